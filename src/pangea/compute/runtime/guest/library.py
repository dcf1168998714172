"""The guest's standard library: loaded or compressed in memory while the guest is built, served from there in a job.

A job has no files, so nothing can be imported from disk. `collect` runs once, at build time, where the disk is still
there: it imports what jobs use most and compiles the rest. `MemoryFinder` serves both in a job; whatever it doesn't
know is a plain `ModuleNotFoundError`.

Modules that hold the shared generator of `random`, or that of `numpy.random`, are kept aside until a job imports one of them:
only then must every call be reseeded, which costs about 15 microseconds, and 45 for NumPy's.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import marshal
import os
import sys
import threading
import types
import zlib
from collections.abc import Callable, Sequence

#: Imported while the guest is built: a job that imports one of these pays nothing.
PRELOADED = """
abc argparse array ast asyncio base64 binascii bisect calendar cmath codecs collections collections.abc colorsys
concurrent.futures configparser contextlib contextvars copy copyreg csv dataclasses datetime decimal difflib email
encodings.ascii encodings.cp1252 encodings.idna encodings.latin_1 encodings.utf_16 encodings.utf_8 encodings.utf_8_sig
enum fnmatch fractions functools gettext glob graphlib gzip hashlib heapq hmac html html.entities html.parser http
http.cookies inspect io ipaddress itertools json keyword linecache locale logging marshal math numbers operator
pathlib pickle plistlib pprint queue random re reprlib secrets shlex sqlite3 statistics string stringprep struct
sysconfig tempfile textwrap threading time timeit tokenize tomllib traceback types typing unicodedata unittest
urllib.parse uuid warnings weakref xml.dom.minidom xml.etree.ElementTree xml.sax zipfile zlib zoneinfo
numpy numpy.linalg numpy.fft numpy.random numpy.polynomial numpy.ma numpy.lib.stride_tricks numpy.lib.scimath
numpy.lib.recfunctions numpy.char numpy.rec numpy.strings numpy.exceptions numpy.dtypes numpy.testing
""".split()

#: What can't work without files, processes, sockets, threads or native libraries, and what no job needs: left out, so that
#: importing it says so at once.
EXCLUDED = frozenset(
    """
    _pyrepl _socket antigravity ctypes curses dbm ensurepip fcntl ftplib idlelib imaplib lib2to3 mmap
    multiprocessing nntplib poplib pydoc pydoc_data resource select selectors site-packages smtplib socket socketserver
    ssl subprocess telnetlib termios test tkinter tty pty turtle turtledemo venv webbrowser wsgiref xmlrpc __phello__
    __pycache__ compression.zstd cProfile profile pstats pdb doctest
    concurrent.futures.process http.client http.cookiejar http.server logging.config logging.handlers
    asyncio.__main__ asyncio.proactor_events asyncio.selector_events asyncio.tools asyncio.windows_events asyncio.windows_utils
    urllib.request urllib.robotparser numpy.f2py numpy.distutils numpy.ctypeslib numpy.conftest numpy.tests
    asyncio.base_subprocess encodings.mbcs encodings.oem
    """.split()
)

#: Of `PRELOADED`, what packages load once more for themselves, as Markdown and defusedxml do.
AGAIN = ("html.parser", "xml.etree.ElementTree")

#: Imports that modules need for what can't work here alone, by module: cut out of their text.
_CUT = {"xml.sax.saxutils": (b"import os, urllib.parse, urllib.request", b"import os, urllib.parse")}

#: What asyncio takes from modules that can't be here: defaults of functions, with their values on Linux.
_STAND_INS = {
    "socket": {"AF_UNSPEC": 0, "AI_PASSIVE": 1, "SOCK_STREAM": 1},
    "subprocess": {"PIPE": -1, "STDOUT": -2, "DEVNULL": -3},
}

Source = tuple[bool, bytes]  # is a package, zlib-compressed marshalled code


class MemoryFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Import modules from marshalled code in memory."""

    def __init__(self, library: dict[str, Source], folder: str | None = None) -> None:
        """Serve `library`: full module name to (is a package, compressed code).

        Args:
            library: the modules.
            folder: where they seem to be files, for those that ask for their `__file__`; None: they have none.
        """
        self.library = library
        self._folder = folder

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Find `name`, or None when the library lacks it."""
        if name not in self.library:
            return None
        is_package = self.library[name][0]
        spec = importlib.machinery.ModuleSpec(name, self, origin="<memory>", is_package=is_package)
        if self._folder is not None:
            spec.origin = f"{self._folder}/{name.replace('.', '/')}{'/__init__' if is_package else ''}.py"
            spec.has_location = True
            if is_package:
                spec.submodule_search_locations = [f"{self._folder}/{name.replace('.', '/')}"]
        return spec

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:
        """Let Python make the module object."""

    def exec_module(self, module: types.ModuleType) -> None:
        """Run the module's code."""
        exec(self.code(module.__name__), module.__dict__)

    def code(self, name: str) -> types.CodeType:
        """The code of a module."""
        found: types.CodeType = marshal.loads(zlib.decompress(self.library[name][1]))
        return found


class BlockedFinder(importlib.abc.MetaPathFinder):
    """Refuse modules that exist in the interpreter but not in the guest's contract."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Raise for an excluded name, else leave it to the next finder."""
        if name in EXCLUDED or name.partition(".")[0] in EXCLUDED:
            raise ModuleNotFoundError(f"No module named {name!r} inside a job", name=name)
        return None


class EventLoopFinder(importlib.abc.MetaPathFinder):
    """Give asyncio the event loop of a job in place of Unix's."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Find that one module."""
        if name != "asyncio.unix_events":
            return None
        return importlib.util.spec_from_file_location(name, f"{os.path.dirname(__file__)}/event_loop.py")


def serve_again(finder: MemoryFinder) -> None:
    """Let what is loaded already be loaded anew."""
    for name in AGAIN:
        sys.modules[name].__spec__ = finder.find_spec(name)


def forget_excluded() -> None:
    """Drop excluded modules that others have loaded, so that a job's import of them is refused."""
    for name in list(sys.modules):
        if name in EXCLUDED or name.partition(".")[0] in EXCLUDED:
            del sys.modules[name]


class RandomnessFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Keep the modules around a shared generator aside, and tell when a job imports one of them."""

    def __init__(self, name: str, shared: object, on_import: Callable[[], None]) -> None:
        """Find every loaded module that is part of, or holds, the module `name` or a function of its generator.

        Args:
            name: of the module, `random` or `numpy.random`.
            shared: its generator.
            on_import: called when one of them is imported.
        """
        module = sys.modules[name]
        self.name = name
        self.on_import = on_import
        self.modules: dict[str, types.ModuleType] = {
            each: found
            for each, found in sorted(sys.modules.items())
            if not each.startswith("pangea") and each != name.rpartition(".")[0]
            if found is module
            or each.startswith(f"{name}.")
            or any(value is module or getattr(value, "__self__", None) is shared for value in vars(found).values())
        }

    def hide(self) -> None:
        """Make the next import of each a first import."""
        for name in self.modules:
            sys.modules.pop(name, None)
        parent, _, child = self.name.rpartition(".")
        if parent:
            vars(sys.modules[parent]).pop(child, None)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Find a hidden module."""
        if name not in self.modules:
            return None
        return importlib.machinery.ModuleSpec(name, self, origin="<memory>")

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        """Return the module that was set aside, and bring back its siblings: they refer to each other."""
        sys.modules.update(self.modules)
        self.on_import()
        return self.modules[spec.name]

    def exec_module(self, module: types.ModuleType) -> None:
        """Do nothing: the module has run already."""


def collect() -> dict[str, Source]:
    """Import `PRELOADED` and compile the rest of the standard library, for `MemoryFinder`."""
    for name, values in _STAND_INS.items():
        sys.modules[name] = types.ModuleType(name)
        vars(sys.modules[name]).update(values)
    sys.meta_path.insert(0, EventLoopFinder())
    for name in PRELOADED:
        importlib.import_module(name)
    names = vars(sys.modules["numpy"])
    names["__all__"] = [name for name in names["__all__"] if f"numpy.{name}" not in EXCLUDED]  # else `import *` imports them
    root = os.path.dirname(threading.__file__)  # `os` is frozen and has no file of its own
    library: dict[str, Source] = {}
    _scan(root, "", library)
    return library


def preload(package: types.ModuleType) -> None:
    """Import every module of `package`: a job that imports one of them pays nothing, and finds it at all."""
    for name in sorted(os.listdir(package.__path__[0])):
        if name.endswith(".py") and name != "__init__.py":
            importlib.import_module(f"{package.__name__}.{name.removesuffix('.py')}")


def _scan(folder: str, prefix: str, library: dict[str, Source]) -> None:
    for name in sorted(os.listdir(folder)):
        path = f"{folder}/{name}"
        stem = name.removesuffix(".py")
        if stem in EXCLUDED or prefix + stem in EXCLUDED:
            continue
        if name.endswith(".py"):
            is_package = name == "__init__.py"
            module = prefix[:-1] if is_package else prefix + stem
            if module and (module not in sys.modules or module in AGAIN):
                _compile(path, module, is_package, library)
        elif "." not in name and os.path.exists(f"{path}/__init__.py"):
            _scan(path, f"{prefix}{name}.", library)


def _compile(path: str, module: str, is_package: bool, library: dict[str, Source]) -> None:
    with open(path, "rb") as file:
        text = file.read().replace(*_CUT.get(module, (b"", b"")))
    try:
        code = compile(text, f"<stdlib>/{module.replace('.', '/')}.py", "exec", dont_inherit=True, optimize=1)
    except (SyntaxError, ValueError):
        return  # test data of lib2to3 and the like: not modules anyone imports
    library[module] = (is_package, zlib.compress(marshal.dumps(code), 9))
