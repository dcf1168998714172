"""CPython's own regression tests, in the guest: `python -m tests.regression FOLDER [MODULE ...]` (some minutes).

FOLDER is CPython's source of the guest's version. Each test is a call of its own, so one that ends the sandbox (out of fuel or
memory) is told, and the next goes on in a fresh one. Prints a line for each module and for each test that fails; `--json FILE`
keeps all.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from multiprocessing import Pool
from pathlib import Path
from typing import Any

from bench.inside import CompiledGuest, Guest

from pangea.compute.engine.sandbox import SandboxError

#: Tests of what is in the guest.
MODULES = """
test___all__ test_abc test_abstract_numbers test_annotationlib test_argparse test_array test_ast test_asyncgen test_asyncio
test_augassign test_base64 test_baseexception test_bigaddrspace test_binascii test_binop test_bisect test_bool test_bufio
test_builtin test_bytes test_bz2 test_calendar test_call test_charmapcodec test_class test_cmath test_cmd test_code
test_codeccallbacks test_codecencodings_cn test_codecencodings_hk test_codecencodings_iso2022 test_codecencodings_jp
test_codecencodings_kr test_codecencodings_tw test_codecs test_codeop test_collections test_colorsys test_compare test_compile
test_complex test_configparser test_contains test_context test_contextlib test_contextlib_async test_copy test_copyreg
test_coroutines test_csv test_dataclasses test_datetime test_decimal test_decorators test_defaultdict
test_deque test_descr test_descrtut test_dict test_dictcomps test_dictviews test_difflib test_dis test_doctest test_dynamic
test_dynamicclassattribute test_eintr test_email test_enum test_enumerate test_eof test_errno test_except_star
test_exception_group test_exception_hierarchy test_exception_variations test_exceptions test_extcall
test_finalization test_float test_flufl test_fnmatch test_format test_fractions test_frame test_frozen test_fstring
test_funcattrs test_functools test_future_stmt test_gc test_generators test_generator_stop test_genericalias test_genericclass
test_genericpath test_genexps test_getopt test_gettext test_global test_grammar test_graphlib test_gzip test_hash test_hashlib
test_heapq test_hmac test_html test_htmlparser test_http_cookies test_index test_inspect test_int test_int_literal test_io
test_ipaddress test_isinstance test_iter test_iterlen test_itertools test_json test_keyword test_keywordonlyarg
test_list test_listcomps test_long test_longexp test_lzma test_marshal test_math test_math_property test_memoryio
test_memoryview test_metaclass test_mimetypes test_minidom test_module test_monitoring test_named_expressions test_netrc
test_numeric_tower test_opcodes test_operator test_optparse test_ordered_dict test_patma test_pathlib test_peepholer
test_pickle test_pickletools test_picklebuffer test_plistlib test_pow test_pprint test_print test_property test_pulldom
test_pyexpat test_quopri test_queue test_raise test_random test_range test_re test_reprlib test_richcmp test_rlcompleter
test_sax test_sched test_scope test_secrets test_set test_setcomps test_shelve test_shlex test_slice test_sort test_sqlite3
test_statistics test_str test_strftime test_string test_string_literals test_stringprep test_strptime test_strtod test_struct
test_structseq test_subclassinit test_super test_symtable test_syntax test_tabnanny test_textwrap test_time test_timeit
test_tokenize test_tomllib test_traceback test_tstring test_tuple test_type_aliases test_type_annotations test_type_cache
test_type_comments test_type_params test_types test_typing test_ucn test_unary test_unicode_file_functions
test_unicode_identifiers test_unicodedata test_univnewlines test_unpack test_unpack_ex test_unparse test_urlparse
test_userdict test_userlist test_userstring test_utf8source test_uuid test_warnings test_weakref test_weakset test_with
test_xml_dom_minicompat test_xml_dom_xmlbuilder test_xml_etree test_xml_etree_c test_yield_from test_zipfile test_zlib
test_zoneinfo
""".split()
#: What their files import that a job hasn't.
_OUTSIDE = """
subprocess socket select selectors multiprocessing multiprocessing.util ctypes ctypes.util pdb mmap _socket resource ssl
http.server http.client socketserver wsgiref wsgiref.simple_server fcntl pty tty termios _posixsubprocess _ctypes
dbm dbm.dumb pydoc asyncio.selector_events asyncio.proactor_events concurrent.futures.process urllib.request
""".split()
#: Files of tests that others import; modules that some import anew, without their parts in C, and those that only tests need.
_NEIGHBOURS = "test_contextlib test_xml_etree test_support test_math test_inspect/__init__ test_inspect/test_inspect".split()
_ANEW = "decimal _pydecimal functools operator datetime _pydatetime doctest py_compile".split()
_FUEL, _MEMORY = 3 * 10**10, 512 << 20
#: What a run of others' tests begins with in the guest: modules of `OUTSIDE`, which skip what calls them, and of `TEXTS`.
FINDER = '''
import importlib.abc, importlib.machinery, json, os, sys, types, unittest

def _skip(*args, **options):
    raise unittest.SkipTest("needs what a job hasn't")

class _Outside(types.ModuleType):
    """What a job hasn't: a test that calls anything of it is skipped."""
    __path__, PIPE, STDOUT, DEVNULL, has_ipv6 = [], -1, -2, -3, False
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        bases = (Exception,) if name.endswith(("Error", "Expired")) else ()
        return type(name, bases, {"__init__": _skip, "is_outside": True})

for name in OUTSIDE:
    sys.modules[name] = _Outside(name)
    parent, _, child = name.rpartition(".")
    if parent in sys.modules:
        setattr(sys.modules[parent], child, sys.modules[name])
os.getcwd = lambda: "/"

class _Texts(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path=None, target=None):
        if name in TEXTS:
            return importlib.machinery.ModuleSpec(name, self, origin=name, is_package=TEXTS[name][0])
    def create_module(self, spec):
        return None
    def exec_module(self, module):
        module.__file__ = "/python/lib/" + module.__name__.replace(".", "/") + ".py"
        exec(compile(TEXTS[module.__name__][1], module.__file__, "exec", dont_inherit=True), vars(module))

sys.meta_path.insert(0, _Texts())
'''
_INSIDE = """
_tests = {}

def _flat(suite):
    for each in suite:
        if isinstance(each, unittest.TestSuite):
            yield from _flat(each)
        else:
            yield each

def _collect(name):
    import test.support
    test.support.has_socket_support = True  # or all of asyncio's are skipped
    module = importlib.import_module(name)
    for test in _flat(unittest.defaultTestLoader.loadTestsFromModule(module)):
        _tests[test.id()] = test
    return list(_tests)

def _run(name):
    result = unittest.TestResult()
    unittest.TestSuite([_tests[name]]).run(result)
    if result.errors or result.failures:
        return ["failed", (result.errors + result.failures)[0][1][-1500:]]
    return ["skipped", result.skipped[0][1]] if result.skipped else ["passed", ""]

def execute(chunk):
    what, name = json.loads(chunk)
    return json.dumps(_collect(name) if what == "collect" else _run(name)).encode()
"""


def texts(library: Path, module: str) -> dict[str, tuple[bool, str]]:
    """The files of `module` and what tests of it may import, by full name: whether it is a package, and its text."""
    helpers = [path for path in (library / "test").glob("*.py") if not path.name.startswith("test_")]
    whole = library / "test" / module
    files = [*helpers, *(library / "test/support").rglob("*.py"), *(library / "test/typinganndata").rglob("*.py")]
    files += whole.rglob("*.py") if whole.is_dir() else [whole.with_name(f"{module}.py")]
    files += [library / "test" / f"{name}.py" for name in _NEIGHBOURS]
    tested = library / module.removeprefix("test_")
    files += [library / f"{name}.py" for name in _ANEW] + [tested.with_suffix(".py"), *tested.rglob("*.py")]
    files += (library / "collections").glob("*.py")
    found = {}
    for path in files:
        if path.is_file():
            parts = path.relative_to(library).with_suffix("").parts
            is_package = parts[-1] == "__init__"
            found[".".join(parts[:-1] if is_package else parts)] = (
                is_package,
                path.read_text(encoding="utf-8", errors="replace"),
            )
    if (helper := found.get("test.test_asyncio.utils")) is not None:
        found["test.test_asyncio"] = (True, "")  # else it skips all, for want of sockets
        found["test.test_asyncio.utils"] = (False, _without_certificates(helper[1]))
    return found


def _without_certificates(text: str) -> str:
    """asyncio's helpers without those that they read from files."""
    text = re.sub(r"^(ONLYCERT|ONLYKEY|SIGNED_CERTFILE|SIGNING_CA) = .*$", r"\1 = ''", text, flags=re.MULTILINE)
    return re.sub(r"^with open\(data_file.*\n.*$", "PEERCERT = {}", text, flags=re.MULTILINE)


def names_in(library: Path, module: str) -> Iterator[str]:
    """The modules of tests of a name of `MODULES`: itself, or those of its package."""
    folder = library / "test" / module
    if folder.is_dir():
        yield from (f"test.{module}.{path.stem}" for path in sorted(folder.glob("test*.py")))
    else:
        yield f"test.{module}"


class Runner:
    """Runs tests of one module, each in the instance of the one before unless that has ended."""

    def __init__(self, compiled: CompiledGuest, library: Path, module: str) -> None:
        """Read what is needed."""
        self._compiled, self._source = compiled, f"TEXTS = {texts(library, module)!r}\nOUTSIDE = {_OUTSIDE}\n{FINDER}{_INSIDE}"
        self._guest: Guest | None = None

    def _ask(self, what: str, name: str) -> Any:
        assert self._guest is not None
        return json.loads(self._guest.execute(json.dumps([what, name]).encode()))

    def run(self, name: str) -> dict[str, tuple[str, str]]:
        """The outcome of each test of a module of tests, by its id."""
        self._guest = Guest(self._source, self._compiled)
        try:
            ids = self._ask("collect", name)
        except SandboxError as error:
            return {name: ("not collected", str(error)[-600:])}
        found: dict[str, tuple[str, str]] = {}
        for each in ids:
            try:
                if self._guest is None:
                    self._guest = Guest(self._source, self._compiled)
                    self._ask("collect", name)
                found[each] = tuple(self._ask("run", each))
            except SandboxError as error:
                found[each], self._guest = ("ended", str(error)[-600:]), None
        return found


_compiled: list[CompiledGuest] = []


def run_module(task: tuple[Path, str]) -> tuple[str, dict[str, tuple[str, str]]]:
    """In a process of the pool: a name of `MODULES`, and its tests' outcomes."""
    library, module = task
    if not _compiled:
        _compiled.append(CompiledGuest(fuel=_FUEL, memory=_MEMORY))
    found: dict[str, tuple[str, str]] = {}
    for name in names_in(library, module):
        found |= Runner(_compiled[0], library, module).run(name)
    return module, found


def main() -> None:
    """Run, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="CPython's source")
    parser.add_argument("modules", nargs="*", default=MODULES)
    parser.add_argument("--json", type=Path, help="keep all outcomes here")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    tasks = [(options.folder / "Lib", module) for module in dict.fromkeys(options.modules)]
    everything: dict[str, dict[str, tuple[str, str]]] = {}
    with Pool(options.processes) as pool:
        for module, found in pool.imap_unordered(run_module, tasks):
            everything[module] = found
            counts = Counter(outcome for outcome, _ in found.values())
            print(module, dict(counts), flush=True)
            for each, (outcome, text) in found.items():
                if outcome not in ("passed", "skipped"):
                    last = text.strip().splitlines()[-1:] or [""]
                    print(f"    {outcome}: {each}: {last[0][:160]}", flush=True)
    print("all:", dict(Counter(outcome for found in everything.values() for outcome, _ in found.values())))
    if options.json:
        options.json.write_text(json.dumps(everything, indent=1))
    sys.exit(0)


if __name__ == "__main__":
    main()
