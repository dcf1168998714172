"""The Python guest's own meter, in the engine: whatever a job does without end is stopped, for the same fuel each time."""

from __future__ import annotations

import gc

import pytest
from wasmtime import wat2wasm

from pangea.compute import runtime
from pangea.compute.engine import sandbox
from pangea.compute.engine.engine import Engine
from pangea.compute.model.limits import Limits
from pangea.compute.model.outcome import Failure, FailureKind
from pangea.compute.runtime.build import binary
from tests import guests
from tests.examples import spread
from tests.runs import finished, module_guest, outcome_of, python_guest

FUEL = 300_000_000
#: One for each way in which work can go on: bytecode, calls, and loops in C that bytecode waits for.
ENDLESS = {
    "while": "while True: pass",
    "for": "import itertools\n for _ in itertools.count(): pass",
    "calls": "def f(n): return n < 2 or f(n - 1) and f(n - 2) and f(n - 1)\n f(400)",
    "generator": "def g():\n  while True: yield\n for _ in g(): pass",
    "in C": "import itertools\n sum(itertools.repeat(1))",
    "consumed": "import collections, itertools\n collections.deque(itertools.count(), maxlen=0)",
    "matching": "import re\n re.match('(a|aa)+$', 'a' * 200 + 'b')",
    "numbers": "x = 3\n while x: x = x ** 7",
    "copies": "x = bytes(1 << 20)\n while x: x = bytes(bytearray(x))",
    "sorting": "x = list(range(100_000))\n while x: x.sort(reverse=True); x.reverse(); x = x[1:] + x[:1]",
    "exceptions": "while True:\n  try: int('x')\n  except ValueError: pass",
    "classes": "while True: type('A', (), {})",
    "text": "while True: '{:>100}'.format('a').strip()",
    "hashing": "import hashlib\n x = b''\n while True: x = hashlib.sha256(x * 100).digest()",
    "database": "import sqlite3\n t = 't(n) as (select 1 union all select n + 1 from t) select max(n) from t'\n"
    " sqlite3.connect(':memory:').execute('with recursive ' + t)",
}

#: What a module must export to be taken for the Python guest: its counter, and how many pages it has taken.
_OWN_GLOBALS = """(global $f (mut i64) (i64.const 0)) (export "fuel" (global $f))
  (global $p (mut i32) (i32.const 1)) (export "pages" (global $p))"""


@pytest.mark.parametrize("how", spread(2, ENDLESS))
def test_what_goes_on_for_ever_runs_out_of_fuel(python: Engine, how: str) -> None:
    guest = python_guest(f"def execute(chunk):\n {ENDLESS[how]}\n return b''", fuel=FUEL)
    outcome = outcome_of(python, guest, b"x")

    assert isinstance(outcome, Failure)
    assert outcome.kind is FailureKind.OUT_OF_FUEL, outcome.message
    assert outcome.fuel == FUEL


def test_fuel_is_the_same_each_time_and_grows_with_the_work(python: Engine) -> None:
    guest = python_guest("def execute(chunk):\n x = 0\n for _ in range(int(chunk)): x ^= 1\n return b''")
    used = [finished(outcome_of(python, guest, chunk)).fuel for chunk in (b"1000", b"1000", b"2000", b"3000")]

    assert used[0] == used[1]
    assert used[3] - used[2] == pytest.approx(used[2] - used[1], rel=0.02)
    assert used[2] > used[1] > 0


def test_a_trap_is_not_taken_for_an_empty_tank(tmp_path: object) -> None:
    """A module that stops at an `unreachable` while it has fuel has trapped."""
    text = guests.wat("(unreachable)", extra=_OWN_GLOBALS)
    wasm = bytes(wat2wasm(text))
    code, _ = sandbox.check_and_compile(wasm, Limits(), is_own=True)
    path = f"{tmp_path}/code"
    with open(path, "wb") as file:
        file.write(code)
    assert failure_of(path).kind is FailureKind.TRAPPED
    gc.collect()  # the mapped code goes with the engine


def failure_of(path: str) -> Failure:
    """How a call of the guest whose compiled code is in `path` fails; nothing of it is left then."""
    guest = sandbox.Sandbox(sandbox.CompiledModule.load(path, is_own=True), Limits(fuel=1000))
    guest.reserve(1)
    try:
        guest.call("execute", 100)
    except sandbox.SandboxError as error:
        return error.failure
    raise AssertionError("the call ended well")


def test_a_users_module_that_exports_a_global_of_that_name_is_metered_like_any_other(engine: Engine) -> None:
    extra = '(global $f (mut i64) (i64.const 1000000)) (export "fuel" (global $f))'
    guest = module_guest(engine, guests.module(guests.LOOP, extra=extra), fuel=1_000_000)
    outcome = outcome_of(engine, guest, b"x")

    assert isinstance(outcome, Failure)
    assert outcome.kind is FailureKind.OUT_OF_FUEL


def test_a_guest_without_a_meter_is_refused() -> None:
    with pytest.raises(sandbox.SandboxError, match="no meter of its own"):
        sandbox.check_and_compile(guests.module(), Limits(), is_own=True)


def test_the_pinned_guest_has_no_imports_and_exports_its_accounts() -> None:
    module = runtime.load()

    assert binary.imported_functions(module) == []
    assert set(binary.exports(module)) == {
        *("memory", "alloc", "init", "split", "execute", "execute_many", "merge", "take_prints", "last_error", "fuel", "pages")
    }
