"""NumPy's own tests, in the guest: `python -m tests.numpy_suite [FILE ...]` (half an hour on two cores).

They are those of this Python's NumPy, whose version is the guest's. Each test is a call of its own, so one that ends the sandbox
(out of fuel or memory) is told, and the next goes on in a fresh one; what asks for a file, a C test module, Hypothesis or another
part that a job hasn't is skipped. Prints a line for each file and for each test that fails; `--json FILE` keeps all.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from multiprocessing import Pool
from pathlib import Path
from typing import Any

import numpy as np
from bench.inside import CompiledGuest, Guest

from pangea.compute.engine.sandbox import SandboxError
from tests.regression import FINDER

ROOT = Path(np.__file__).parent
#: Of rooms and files that are about what isn't in the guest: compilers, other threads and processes, the CPU.
_ELSEWHERE = ("distutils", "f2py", "typing", "_pyinstaller", "testing")
_LEFT_OUT = """
test_cython test_limited_api test_multithreading test_multiprocessing test_memmap test_cpu_features test_cpu_dispatcher test_simd
test_simd_module test_reloading test_scripts test_public_api test_ctypeslib test_configtool test_lazyloading test_extending
test_warnings test_direct test_numpy_config test_array_interface test_mem_policy test_abc_cython
""".split()
#: What the files import that a job hasn't; the C test modules aren't built for the guest.
_OUTSIDE = """
subprocess ctypes ctypes.util mmap multiprocessing concurrent.futures.process pdb socket numpy._core._multiarray_tests
numpy._core._umath_tests numpy._core._rational_tests numpy._core._struct_ufunc_tests numpy._core._operand_flag_tests
numpy._core._simd numpy.ctypeslib numpy.f2py
""".split()
#: Tests that draw their arguments are skipped.
_HYPOTHESIS = """
import pytest

def given(*args, **options):
    return pytest.mark.skip(reason="draws its arguments by Hypothesis")

def settings(*args, **options):
    return lambda function: function

example = assume = settings

class _Strategy:
    def __call__(self, *args, **options):
        return self
    def __getattr__(self, name):
        return self
    __or__ = __call__

def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    return type(name, (Exception,), {}) if __name__ == "hypothesis.errors" else _Strategy()
"""
_FUEL, _MEMORY = 4 * 10**10, 1 << 30
_INSIDE = """
import numpy as np
import numpy.testing
import pytest

numpy.testing.IS_WASM = False  # it has what others lack: status of floats
_cases, _is_collecting = {}, False

def _no_program(*args, **options):
    raise OSError("a job starts no programs")

sys.modules["subprocess"].run = _no_program

def _skip(*args, **options):
    if not _is_collecting:  # parameters are made of it then
        raise unittest.SkipTest("needs what a job hasn't")

def _collect(name):
    global _is_collecting
    _is_collecting = True
    _cases.update(pytest.collect(importlib.import_module(name)))
    _is_collecting = False
    return list(_cases)

def execute(chunk):
    what, name = json.loads(chunk)
    return json.dumps(_collect(name) if what == "collect" else _cases[name].run()).encode()
"""


def files(names: list[str]) -> list[Path]:
    """The files of tests, or those of these names."""
    found = sorted(ROOT.rglob("tests/test_*.py"))
    return [
        path
        for path in found
        if (path.stem in names if names else path.stem not in _LEFT_OUT and path.relative_to(ROOT).parts[0] not in _ELSEWHERE)
    ]


def _texts(path: Path) -> tuple[str, dict[str, tuple[bool, str]]]:
    """The module's name in the guest, and all files that it needs, by name: whether it is a package, and its text."""
    relative = path.relative_to(ROOT.parent).with_suffix("")
    package = ".".join(relative.parts[:-1])
    found = {"pytest": (False, Path(__file__).with_name("pytest_inside.py").read_text(encoding="utf-8"))}
    found |= dict.fromkeys((package, *(f"numpy.{room}.tests" for room in ("_core", "lib", "linalg"))), (True, ""))
    found |= dict.fromkeys(("hypothesis", "hypothesis.extra"), (True, _HYPOTHESIS))
    found |= dict.fromkeys(("hypothesis.strategies", "hypothesis.extra.numpy", "hypothesis.errors"), (False, _HYPOTHESIS))
    for each in (path, *(ROOT / "_core/tests").glob("_*.py"), ROOT / "linalg/tests/test_linalg.py"):
        name = ".".join(each.relative_to(ROOT.parent).with_suffix("").parts)
        found[name] = (False, each.read_text(encoding="utf-8"))
    return ".".join(relative.parts), found


class Runner:
    """Runs tests of one file, each in the instance of the one before unless that has ended."""

    def __init__(self, compiled: CompiledGuest, path: Path) -> None:
        """Read what is needed."""
        self._name, texts = _texts(path)
        self._compiled, self._source = compiled, f"TEXTS = {texts!r}\nOUTSIDE = {_OUTSIDE}\n{FINDER}{_INSIDE}"

    def _started(self) -> tuple[Guest, list[str]]:
        guest = Guest(self._source, self._compiled)
        return guest, json.loads(guest.execute(json.dumps(["collect", self._name]).encode()))

    def run(self) -> dict[str, tuple[str, str]]:
        """The outcome of each test, by its name."""
        try:
            guest, names = self._started()
        except SandboxError as error:
            return {self._name: ("not collected", _told(error))}
        found: dict[str, tuple[str, str]] = {}
        for each in names:
            try:
                found[each] = tuple(json.loads(guest.execute(json.dumps(["run", each]).encode())))
            except SandboxError as error:
                found[each] = ("ended", _told(error))
                guest, _ = self._started()
        return found


def _told(error: SandboxError) -> str:
    return f"{error.failure.traceback or ''}{error.failure.message}"[-900:]


_compiled: list[CompiledGuest] = []


def run_file(path: Path) -> tuple[str, dict[str, Any]]:
    """In a process of the pool: a file, and its tests' outcomes."""
    if not _compiled:
        _compiled.append(CompiledGuest(fuel=_FUEL, memory=_MEMORY))
    return str(path.relative_to(ROOT)), Runner(_compiled[0], path).run()


def main() -> None:
    """Run, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="of files, as test_umath")
    parser.add_argument("--json", type=Path, help="keep all outcomes here")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    everything: dict[str, dict[str, Any]] = {}
    with Pool(options.processes) as pool:
        for name, found in pool.imap_unordered(run_file, files(options.names)):
            everything[name] = found
            print(name, dict(Counter(outcome for outcome, _ in found.values())), flush=True)
            for each, (outcome, text) in found.items():
                if outcome not in ("passed", "skipped", "expected"):
                    last = text.strip().splitlines()[-1:] or [""]
                    print(f"    {outcome}: {each}: {last[0][:160]}", flush=True)
    print("all:", dict(Counter(outcome for found in everything.values() for outcome, _ in found.values())))
    if options.json:
        options.json.write_text(json.dumps(everything, indent=1))


if __name__ == "__main__":
    main()
