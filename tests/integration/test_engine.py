"""The engine with real processes: they are reused, tasks aren't; they are replaced when lost, and none is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError
from itertools import islice
from pathlib import Path

import pytest

from pangea.compute import runtime
from pangea.compute.engine.engines.local import LocalEngine, LocalFuture
from pangea.compute.engine.process import WorkerProcess
from pangea.compute.engine.task import Guest
from pangea.compute.model import frames
from pangea.compute.model.errors import JobCancelledError, JobFailedError, UnavailableError
from pangea.compute.model.limits import Limits
from pangea.compute.model.outcome import Failure, FailureKind
from pangea.compute.model.units import MIB
from tests import guests
from tests.deadlines import children_of, has_worked, is_running, status_of, until, workers_of
from tests.examples import first, long, spread
from tests.guests import module
from tests.leaks import Held
from tests.runs import (
    error_of_run,
    failed,
    finished,
    module_guest,
    module_job,
    outcome_of,
    python_guest,
    python_job,
    results_of,
    run_of,
    task_of,
)

COUNT = "n = 0\ndef execute(c):\n global n\n n += 1\n return b'%d' % n\n"
WASM_COUNT = """(i32.store (i32.const 0) (i32.load (i32.const 8))) (i32.store (i32.const 8) (i32.add (i32.load (i32.const 8))
  (i32.const 1))) (global.set $seen (i32.add (global.get $seen) (i32.const 1))) (i32.store (i32.const 4) (global.get $seen))"""
STATEFUL = {
    "globals": COUNT,
    "order of a set": "class P: pass\ndef execute(c):\n found = [P() for _ in range(20)]\n"
    " return b','.join(b'%d' % found.index(each) for each in set(found))",
    "random of the system": "import sqlite3\ndef execute(c):\n"
    " return b'%d' % sqlite3.connect(':memory:').execute('SELECT random()').fetchone()[0]",
    "random": "import random\nown = random.Random(5)\ndef execute(c): return b'%r %r' % (random.random(), own.random())",
    "decimal context": "import decimal\ndef execute(c):\n decimal.getcontext().prec += 1\n"
    " return str(decimal.Decimal(1) / 3).encode()",
    "imports": "def execute(c):\n import sys, colorsys, bisect\n return b'%d' % len(sys.modules)",
    "garbage": "import gc\ndef execute(c):\n for _ in range(3000):\n  a = []; a.append(a)\n return b'%d %d %d' % gc.get_count()",
    "many objects": "kept = {}\ndef execute(c):\n for n in range(20000): kept[c, n] = n\n return b'%d' % len(kept)",
}
ENDLESS = {"fuel": 10**15, "time": 60}


@pytest.fixture
def own(cache_folder: Path) -> Iterator[LocalEngine]:
    """An engine with one worker, for tests that count or kill processes."""
    engine = LocalEngine(workers=1, cache_folder=cache_folder)
    yield engine
    engine.close()


@pytest.fixture
def alone(own: LocalEngine) -> LocalEngine:
    """That engine, with the Python runtime prepared."""
    own.prepare(runtime.sha256(), Limits(), runtime.load, lambda: None)
    return own


def tasks_process_of(engine: LocalEngine) -> int:
    """The process that the one worker of `engine` has forked last, once no other is left."""
    [worker] = [pid for pid in workers_of(os.getpid()) if is_of(engine, pid)]
    return until(lambda: found[0] if len(found := children_of(worker)) == 1 and is_running(found[0]) else 0)


class TestProcesses:
    def test_worker_processes_are_reused(self, own: LocalEngine) -> None:
        guest = module_guest(own, module(guests.BURN), **ENDLESS)
        before = workers_of(os.getpid())
        for _ in range(5):
            assert results_of(outcome_of(own, module_guest(own, module()), b"x")) == [b"x"]
        assert workers_of(os.getpid()) == before
        future = own.submit(task_of(guest, b"x"))
        assert set(until(own.pids)) <= before
        own.cancel([future])

    def test_the_chunks_of_a_pack_share_the_fuel_of_as_many(self, python: LocalEngine) -> None:
        source = "def execute(c):\n for _ in range(int(c)): pass\n return c"
        needs = finished(outcome_of(python, python_guest(source), b"100000")).fuel
        guest = python_guest(source, fuel=needs * 2 // 3)
        assert failed(outcome_of(python, guest, b"100000")).kind is FailureKind.OUT_OF_FUEL
        assert results_of(outcome_of(python, guest, b"1", b"100000")) == [b"1", b"100000"]
        many = failed(outcome_of(python, guest, *[b"100000"] * 9))
        assert (many.kind, many.index) == (FailureKind.OUT_OF_FUEL, 6), "there is fuel for six of them"
        apart = failed(outcome_of(python, guest, *[b"1"] * 8, b"100000", b"1", packs=[4, 4, 1, 1]))
        assert (apart.kind, apart.index) == (FailureKind.OUT_OF_FUEL, 8)

    def test_a_pack_of_no_chunks_has_the_fuel_of_one(self, python: LocalEngine) -> None:
        assert results_of(outcome_of(python, python_guest("def execute(c): return c"))) == []

    def test_each_pack_of_a_task_starts_afresh(self, python: LocalEngine) -> None:
        together = outcome_of(python, python_guest(COUNT), *[b"x"] * 7, packs=[3, 1, 2, 1])
        assert results_of(together) == [b"1", b"2", b"3", b"1", b"1", b"2", b"1"]

    def test_each_segment_of_a_split_starts_afresh(self, python: LocalEngine) -> None:
        guest = python_guest("n = 0\ndef split(c):\n global n\n n += 1\n return [b'%d' % n]\ndef execute(c): return c")
        lists = results_of(outcome_of(python, guest, b"a", b"b", b"c", function="split"))
        assert [list(frames.unpack(each)) for each in lists] == [[b"1"]] * 3

    def test_each_pack_of_a_module_starts_afresh_memory_and_globals(self, engine: LocalEngine) -> None:
        wasm = module(WASM_COUNT + guests.packed(0, 8), extra="(global $seen (mut i32) (i32.const 0))")
        first, second = b"\0\0\0\0\x01\0\0\0", b"\x01\0\0\0\x02\0\0\0"
        outcome = outcome_of(engine, module_guest(engine, wasm), *[b"a"] * 5, packs=[2, 1, 2])
        assert results_of(outcome) == [first, second, first, first, second]

    @pytest.mark.parametrize("name", spread(4, sorted(STATEFUL)))
    def test_a_pack_gives_the_same_bytes_for_the_same_fuel_wherever_it_is(self, python: LocalEngine, name: str) -> None:
        """Whether an instance is a new fork or one that was put back can't be told from inside."""
        guest, chunks = python_guest(STATEFUL[name]), [b"%d" % number for number in range(30)]
        packs = [3, 1, 5, 1, 1, 7, 2, 10]
        together = finished(outcome_of(python, guest, *chunks, packs=packs))
        apart, rest = [], iter(chunks)
        for count in packs:
            apart.append(finished(outcome_of(python, guest, *islice(rest, count))))
        assert results_of(together) == [result for each in apart for result in results_of(each)]
        assert together.fuel == sum(each.fuel for each in apart)

    def test_a_pack_after_one_whose_memory_has_grown_starts_afresh_too(self, python: LocalEngine) -> None:
        source = "kept = []\ndef execute(c):\n kept.append(bytearray(int(c)))\n return b'%d' % len(kept)"
        chunks = [b"1", b"30000000", b"1", b"20000000", b"1"]
        guest = python_guest(source)
        together = finished(outcome_of(python, guest, *chunks, packs=[1] * 5))
        assert results_of(together) == [b"1"] * 5
        assert together.fuel == sum(finished(outcome_of(python, guest, each)).fuel for each in chunks)

    def test_each_task_of_a_python_job_starts_afresh(self, python: LocalEngine) -> None:
        guest = python_guest(COUNT)
        for _ in range(4):
            assert results_of(outcome_of(python, guest, b"a")) == [b"1"]

    def test_tasks_of_one_job_that_end_well_share_a_process_and_nothing_else(self, alone: LocalEngine) -> None:
        guest = python_guest(COUNT)
        outcome_of(alone, guest, *[b"x"] * 10, packs=[1] * 10)  # enough of them to be worth it
        first = finished(outcome_of(alone, guest, b"x", b"y"))
        process = tasks_process_of(alone)
        again = [finished(outcome_of(alone, guest, b"x", b"y")) for _ in range(3)]
        assert [(each.results, each.fuel) for each in again] == 3 * [(first.results, first.fuel)]
        assert tasks_process_of(alone) == process

    @pytest.mark.parametrize("chunk", [b"bad", *long(b"20000000")])
    def test_a_task_that_fails_or_takes_long_is_its_process_s_last(self, alone: LocalEngine, chunk: bytes) -> None:
        guest = python_guest("def execute(c):\n if c == b'bad': 1 / 0\n n = 0\n while n < int(c): n += 1\n return b''")
        outcome_of(alone, guest, b"1")
        process = tasks_process_of(alone)
        outcome_of(alone, guest, chunk)
        assert until(lambda: tasks_process_of(alone) != process)

    def test_a_process_killed_while_it_waits_for_its_next_task_is_replaced(self, alone: LocalEngine) -> None:
        guest = python_guest(COUNT)
        outcome_of(alone, guest, b"x")
        process = tasks_process_of(alone)
        os.kill(process, signal.SIGKILL)
        until(lambda: not is_running(process))
        assert results_of(outcome_of(alone, guest, b"x")) == [b"1"]

    def test_a_failed_task_leaves_nothing_to_the_next(self, python: LocalEngine) -> None:
        guest = python_guest("seen = []\ndef execute(c):\n seen.append(c)\n if c == b'bad': 1 / 0\n return b'%d' % len(seen)")
        for _ in range(2 * python.workers):
            assert failed(outcome_of(python, guest, b"bad")).kind is FailureKind.GUEST_ERROR
            assert results_of(outcome_of(python, guest, b"good")) == [b"1"]

    def test_each_task_of_a_module_starts_afresh_memory_and_globals(self, engine: LocalEngine) -> None:
        wasm = module(WASM_COUNT + guests.packed(0, 8), extra="(global $seen (mut i32) (i32.const 0))")
        for _ in range(4):
            assert results_of(outcome_of(engine, module_guest(engine, wasm), b"a")) == [b"\0\0\0\0\x01\0\0\0"]

    def test_two_jobs_in_turn_on_one_process_don_t_meet(self, own: LocalEngine) -> None:
        own.prepare(runtime.sha256(), Limits(), runtime.load, lambda: None)
        one, two = python_guest("def execute(c): return b'one'"), python_guest("def execute(c): return b'two'")
        for _ in range(3):
            assert results_of(outcome_of(own, one, b"")) == [b"one"]
            assert results_of(outcome_of(own, two, b"")) == [b"two"]

    def test_limits_belong_to_the_job_not_to_the_process(self, own: LocalEngine) -> None:
        wasm = module(f"(i32.store (i32.const 0) (memory.grow (i32.const 1000))) {guests.packed(0, 4)}")
        narrow, wide = module_guest(own, wasm, memory=8 * MIB), module_guest(own, wasm, memory=128 * MIB)
        for _ in range(2):
            assert results_of(outcome_of(own, narrow, b"")) == [b"\xff\xff\xff\xff"]
            assert results_of(outcome_of(own, wide, b"")) == [(64).to_bytes(4, "little")]

    def test_a_process_killed_while_idle_is_replaced(self, own: LocalEngine) -> None:
        guest = module_guest(own, module())
        outcome_of(own, guest, b"x")
        [victim] = [pid for pid in workers_of(os.getpid()) if is_of(own, pid)]
        os.kill(victim, signal.SIGKILL)
        until(lambda: not is_running(victim))
        assert results_of(outcome_of(own, guest, b"again")) == [b"again"]

    def test_closing_a_process_twice_closes_nobody_else_s_files(self, tmp_path: Path) -> None:
        worker = WorkerProcess(tmp_path)
        worker.close()
        with tempfile.TemporaryFile() as another, open(os.devnull, "rb") as one_more:
            worker.close()
            assert os.fstat(another.fileno()).st_nlink == 0
            assert os.path.samestat(os.fstat(one_more.fileno()), os.stat(os.devnull))


def is_of(engine: LocalEngine, pid: int) -> bool:
    """Whether `pid` was started by a thread of `engine`."""
    started = [thread.native_id for thread in engine._threads]
    lists = [Path(f"/proc/self/task/{native}/children") for native in started]
    return any(str(pid) in file.read_text().split() for file in lists if file.exists())


class TestLoss:
    def test_a_worker_killed_in_a_task_is_a_loss_and_is_replaced(self, own: LocalEngine) -> None:
        future = own.submit(task_of(module_guest(own, module(guests.BURN), **ENDLESS), b"x"))
        [pid] = until(own.pids)
        until(lambda: children_of(pid))
        os.kill(pid, signal.SIGKILL)
        assert failed(future.result(50)).kind is FailureKind.WORKER_LOST
        assert results_of(outcome_of(own, module_guest(own, module()), b"x")) == [b"x"]

    def test_the_process_of_a_task_dies_with_its_worker(self, own: LocalEngine) -> None:
        future = own.submit(task_of(module_guest(own, module(guests.BURN), **ENDLESS), b"x"))
        [pid] = until(own.pids)
        [child] = until(lambda: children_of(pid))
        os.kill(pid, signal.SIGKILL)
        until(lambda: not is_running(child))
        assert failed(future.result(50)).kind is FailureKind.WORKER_LOST

    def test_a_task_s_own_process_killed_is_a_loss_and_the_worker_stays(self, own: LocalEngine) -> None:
        future = own.submit(task_of(module_guest(own, module(guests.BURN), **ENDLESS), b"x"))
        [pid] = until(own.pids)
        [child] = until(lambda: [each for each in children_of(pid) if has_worked(each)])
        os.kill(child, signal.SIGKILL)
        outcome = failed(future.result(50))
        assert outcome.kind is FailureKind.WORKER_LOST
        assert "SIGKILL" in outcome.message

    def test_a_job_whose_worker_is_killed_once_is_tried_again_and_ends_well(self, own: LocalEngine) -> None:
        wait = f"(if (i32.eq (i32.load8_u (local.get 0)) (i32.const 33)) (then {guests.BURN})) {guests.ECHO}"
        job = module_job(own, module(wait), fuel=10**15, time=2)
        lost: list[int] = []

        def kill_once() -> bool:
            if not lost and (running := own.pids()) and children_of(running[0]):
                lost.append(running[0])
                os.kill(running[0], signal.SIGKILL)
            return False

        run = run_of(own, job, [b"!"], is_cancelled=kill_once, retry_count=1)
        error = error_of_run(run)  # the second attempt runs into its time
        assert error.details["kind"] == "timed out"
        assert lost
        assert run.counts.retries == 1

    def test_a_job_whose_workers_are_always_killed_ends_in_a_typed_error(self, own: LocalEngine) -> None:
        job = module_job(own, module(guests.BURN), **ENDLESS)
        killed: set[int] = set()

        def kill() -> bool:
            for pid in own.pids():
                if pid not in killed and children_of(pid):
                    killed.add(pid)
                    os.kill(pid, signal.SIGKILL)
            return False

        run = run_of(own, job, [b"x"], is_cancelled=kill, retry_count=2)
        error = error_of_run(run)
        assert type(error) is JobFailedError
        assert error.details["kind"] == "worker lost"
        assert "in each of 3 attempts" in error.message
        assert run.counts.retries == 2
        assert len(killed) == 3


class TestOutcomes:
    def test_a_python_error_carries_its_traceback_and_prints(self, python: LocalEngine) -> None:
        source = "def helper(c):\n    print('looking at', c)\n    return 1 / 0\n\ndef execute(c):\n    return helper(c)\n"
        outcome = failed(outcome_of(python, python_guest(source), b"x"))
        assert outcome.kind is FailureKind.GUEST_ERROR
        assert outcome.message == "execute failed: ZeroDivisionError: division by zero"
        assert 'File "job.py", line 3, in helper\n    return 1 / 0' in outcome.traceback
        assert "looking at b'x'" in outcome.traceback
        assert "pangea/compute" not in outcome.traceback

    def test_prints_of_a_good_task_are_captured(self, python: LocalEngine) -> None:
        outcome = finished(outcome_of(python, python_guest("def execute(c):\n print('saw', c)\n return c"), b"a", b"b"))
        assert outcome.prints == "saw b'a'\nsaw b'b'\n"

    def test_prints_without_end_are_cut(self, python: LocalEngine) -> None:
        source = "def execute(c):\n for _ in range(3000): print('x' * 100)\n return c"
        assert 1000 < len(finished(outcome_of(python, python_guest(source), b"a")).prints) <= 8192

    @pytest.mark.parametrize("text", ["'\\x00' * 9000", "'\\ud800' * 9000", "'😀' * 9000"])
    def test_a_message_of_any_characters_fits_its_record(self, python: LocalEngine, text: str) -> None:
        source = f"def execute(c):\n print({text})\n raise ValueError({text})"
        assert failed(outcome_of(python, python_guest(source), b"a")).kind is FailureKind.GUEST_ERROR

    def test_a_failing_pack_names_its_chunk(self, python: LocalEngine) -> None:
        guest = python_guest("def execute(c): return b'%d' % (1 // (c[0] - 100))")
        assert failed(outcome_of(python, guest, b"a", b"b", b"d", b"c")).index == 2
        assert failed(outcome_of(python, guest, b"a", b"b", b"d", b"c", packs=[1, 3])).index == 2
        assert failed(outcome_of(python, guest, b"a", b"b", b"x", b"d", packs=[2, 2])).index == 3

    def test_a_failure_that_no_chunk_leads_to_by_itself_names_its_pack(self, python: LocalEngine) -> None:
        guest = python_guest("def execute(c):\n while c == b'!': pass\n return c", time=0.3, fuel=10**14)
        outcome = failed(outcome_of(python, guest, b"a", b"b", b"!", b"d", packs=[1, 3]))
        assert (outcome.kind, outcome.index, outcome.count) == (FailureKind.TIMED_OUT, 1, 3)

    def test_a_job_names_the_failing_chunk_over_the_whole_job(self, python: LocalEngine) -> None:
        job = python_job("def execute(c): return b'%d' % (1 // (c[0] - 100))")
        error = error_of_run(run_of(python, job, [b"x"] * 40 + [b"d"] + [b"x"] * 40))
        assert isinstance(error, JobFailedError)
        assert (error.chunk_index, error.function) == (40, "execute")

    def test_a_job_that_fails_at_its_top_level_says_so(self, python: LocalEngine) -> None:
        outcome = failed(outcome_of(python, python_guest("import nosuchmodule"), b"x"))
        assert (outcome.function, outcome.kind) == ("init", FailureKind.GUEST_ERROR)
        assert "nosuchmodule" in outcome.message

    def test_the_same_task_gives_the_same_bytes_and_fuel_on_every_worker(self, python: LocalEngine) -> None:
        guest = python_guest("import random\ndef execute(c): return b'%d %d' % (sum(c), random.getrandbits(60))")
        futures = [python.submit(task_of(guest, b"abc", b"de")) for _ in range(6 * python.workers)]
        outcomes = [finished(future.result(30)) for future in futures]
        assert len({(outcome.fuel, outcome.results) for outcome in outcomes}) == 1
        assert outcomes[0].fuel > 0

    def test_an_unprepared_module_is_not_run(self, engine: LocalEngine) -> None:
        with pytest.raises(UnavailableError, match="was not prepared"):
            engine.submit(task_of(Guest("0" * 64, b"", Limits(fuel=1)), b"x"))

    def test_large_chunks_and_results_arrive_whole(self, engine: LocalEngine) -> None:
        big = module_guest(engine, module(alloc="(drop (memory.grow (i32.const 700))) (i32.const 0x200000)"))
        chunk = os.urandom(1 << 20) * 40
        assert results_of(outcome_of(engine, big, chunk, b"")) == [chunk, b""]


class TestCancelling:
    def test_a_cancelled_task_ends_with_its_process_and_the_engine_goes_on(self, own: LocalEngine) -> None:
        guest = module_guest(own, module(guests.BURN), **ENDLESS)
        running, waiting = own.submit(task_of(guest, b"x")), own.submit(task_of(guest, b"x"))
        [pid] = until(own.pids)
        own.cancel([running, waiting])
        assert failed(running.result(50)).kind is FailureKind.CANCELLED
        with pytest.raises(CancelledError):
            waiting.result(50)
        until(lambda: not is_running(pid))
        assert results_of(outcome_of(own, module_guest(own, module()), b"x")) == [b"x"]

    def test_a_cancelled_run_says_so_and_kills_its_tasks(self, own: LocalEngine) -> None:
        job = module_job(own, module(guests.BURN), **ENDLESS)
        error = error_of_run(run_of(own, job, [b"x"] * 9, is_cancelled=lambda: bool(own.pids())))
        assert isinstance(error, JobCancelledError)
        until(lambda: not own.pids())

    def test_a_job_s_timeout_ends_it_whatever_its_tasks_may_use(self, own: LocalEngine) -> None:
        job = module_job(own, module(guests.BURN), **ENDLESS)
        error = error_of_run(run_of(own, job, [b"x"] * 9, timeout=0.3))
        assert error.details["limit"] == "timeout"
        assert error.exit_code == 5
        until(lambda: not own.pids())


class TestNothingIsLeft:
    def test_a_closed_engine_leaves_no_process_no_shared_memory_and_no_file(
        self, cache_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # other tests write in that of all
        before, processes = Held.now(cache_folder), workers_of(os.getpid())
        engine = LocalEngine(workers=2, cache_folder=cache_folder)
        assert len(workers_of(os.getpid()) - processes) == 2
        future = engine.submit(task_of(module_guest(engine, module(guests.BURN), **ENDLESS), b"x"))
        [pid] = until(engine.pids)
        [child] = until(lambda: children_of(pid))
        engine.close()
        assert isinstance(future.result(0), Failure)
        assert workers_of(os.getpid()) <= processes
        until(lambda: not is_running(child))
        assert not list(tmp_path.iterdir())
        until(lambda: not Held.now(cache_folder).beyond(before))
        assert not [thread for thread in engine._threads if thread.is_alive()]

    def test_an_engine_closed_with_tasks_waiting_starts_none_of_them(self, cache_folder: Path) -> None:
        processes = workers_of(os.getpid())
        engine = LocalEngine(workers=1, cache_folder=cache_folder)
        guest = module_guest(engine, module(guests.BURN), fuel=10**15, time=7)
        futures = [engine.submit(task_of(guest, b"x")) for _ in range(3)]
        until(engine.pids)
        engine.close()
        left = workers_of(os.getpid()) - processes
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        assert not left
        assert all(future.done() for future in futures)

    def test_a_task_taken_from_the_queue_while_the_engine_closes_is_not_run(self, cache_folder: Path) -> None:
        engine = LocalEngine(workers=1, cache_folder=cache_folder)
        guest = module_guest(engine, module())
        entry = engine._modules.get(guest.module, guest.limits)
        assert entry is not None
        engine.close()
        late = LocalFuture(task_of(guest, b"x"), entry)
        process = engine._run(late, None)
        assert process is not None
        process.close()
        assert failed(late.result(0)).kind is FailureKind.CANCELLED

    def test_a_closed_engine_takes_no_task(self, cache_folder: Path) -> None:
        engine = LocalEngine(workers=1, cache_folder=cache_folder)
        guest = module_guest(engine, module())
        engine.close()
        engine.close()
        with pytest.raises(UnavailableError, match="the engine is closed"):
            engine.submit(task_of(guest, b"x"))

    CALLER = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # which is ignored where the tests run in a shell's background
sys.path[:] = {path!r}
from pangea.compute.engine.engines import embedded
from tests import guests
from tests.deadlines import children_of, workers_of, until
from tests.runs import module_guest, task_of
engine = embedded.engine()[0]
guest = module_guest(engine, guests.module(guests.BURN), fuel=10**15, time=60)
futures = [engine.submit(task_of(guest, b"x")) for _ in range(engine.workers)]
until(lambda: len(engine.pids()) == engine.workers and all(map(children_of, engine.pids())))
pids = engine.pids()
print(*pids, *[child for pid in pids for child in children_of(pid)], flush=True)
{then}
"""

    @pytest.mark.parametrize(
        ("then", "signal_number"),
        first(
            1,
            [
                ("futures[0].result()", signal.SIGKILL),
                ("futures[0].result()", signal.SIGINT),
                ("futures[0].result()", signal.SIGTERM),
                ("sys.exit(0)", None),
                ("raise RuntimeError", None),
                ("import os; os._exit(3)", None),
                ("import os; os.abort()", None),
            ],
        ),
    )
    def test_no_process_outlives_its_caller_however_that_ends(self, then: str, signal_number: int | None) -> None:
        caller = subprocess.Popen(
            [sys.executable, "-c", self.CALLER.format(path=sys.path, then=then)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        with caller:
            assert caller.stdout
            pids = [int(word) for word in caller.stdout.readline().split()]
            assert len(pids) >= 2
            if signal_number is not None:
                caller.send_signal(signal_number)
            caller.wait(30)
        until(lambda: not any(map(is_running, pids)), what="the end of the workers")

    def test_an_interrupt_at_the_terminal_is_the_caller_s_alone_to_handle(self, own: LocalEngine) -> None:
        future = own.submit(task_of(module_guest(own, module(guests.BURN), **ENDLESS), b"x"))
        [pid] = until(own.pids)
        ignored = int(status_of(pid)["SigIgn"], 16)
        assert ignored >> (signal.SIGINT - 1) & 1
        assert os.getpgid(pid) != os.getpgid(0)
        own.cancel([future])

    def test_a_thread_that_submits_and_ends_takes_no_worker_with_it(self, own: LocalEngine) -> None:
        guest = module_guest(own, module())
        found: list[bytes] = []
        thread = threading.Thread(target=lambda: found.extend(results_of(outcome_of(own, guest, b"x"))))
        thread.start()
        thread.join(20)
        assert found == results_of(outcome_of(own, guest, b"x")) == [b"x"]
