"""What every engine promises, tried on each: this machine's pool, a Dask cluster and a Ray cluster, all of them real."""

from __future__ import annotations

from concurrent.futures import CancelledError, wait

import pytest

from pangea.compute.engine.cache import RefusedError
from pangea.compute.engine.engines.local import LocalEngine
from pangea.compute.model import frames
from pangea.compute.model.errors import JobCancelledError, JobFailedError, UnavailableError
from pangea.compute.model.limits import Limits
from pangea.compute.model.outcome import Failure, FailureKind, Finished
from tests import guests
from tests.clusters.conftest import WORKERS, Case
from tests.deadlines import until
from tests.guests import module
from tests.runs import (
    error_of_run,
    failed,
    finished,
    module_guest,
    outcome_of,
    python_guest,
    python_job,
    results_of,
    run_of,
    task_of,
)

SHOUT = """
def split(data): return data.split()
def execute(word): return word.upper() + b'!'
def merge(results): return b' '.join(results)
"""
SLOW_SUM = """
def split(data): return [data[i:i + 100] for i in range(0, len(data), 100)]
def execute(chunk):
    total = 0
    for _ in range(1000):
        for byte in chunk: total += byte
    return b'%d\\n' % (total // 1000)
def merge(results): return b'%d' % sum(map(int, results))
"""
ENDLESS = {"fuel": 10**15, "time": 60}
#: How tasks end: a source and chunks for each.
ENDS = {
    "well": ("def execute(c): return c * 2", [b"a", b"bc", b""]),
    "by an error": ("def execute(c): return b'%d' % (10 // int(c))", [b"1", b"5", b"0", b"2"]),
    "out of fuel": ("def execute(c):\n while True: pass", [b"x"]),
    "with a result that isn't bytes": ("def execute(c): return 7", [b"x"]),
    "at its top level": ("1 // 0\ndef execute(c): return c", [b"x"]),
    "with prints": ("def execute(c):\n print('seen', c)\n return c", [b"x"]),
}

pytestmark = [pytest.mark.timeout(400), pytest.mark.slow]


class TestTasks:
    @pytest.mark.parametrize("name", sorted(ENDS))
    def test_a_task_ends_as_it_does_on_this_machine(self, case: Case, python: LocalEngine, name: str) -> None:
        source, chunks = ENDS[name]
        guest = python_guest(source, fuel=10**8)
        here, there = outcome_of(python, guest, *chunks), outcome_of(case.engine, guest, *chunks)
        if isinstance(here, Failure):
            assert failed(there) == here
        else:
            assert (results_of(there), finished(there).fuel, finished(there).prints) == (results_of(here), here.fuel, here.prints)

    def test_packs_start_afresh_and_inputs_of_megabytes_come_whole(self, case: Case) -> None:
        guest = python_guest("n = 0\ndef execute(c):\n global n\n n += 1\n return b'%d %d ' % (n, len(c)) + c[-3:]")
        chunks = [bytes([number]) * (1_500_000 + number) for number in range(4)]
        outcome = outcome_of(case.engine, guest, *chunks, packs=[2, 1, 1])
        counts = [1, 2, 1, 1]
        assert results_of(outcome) == [b"%d %d " % (n, len(c)) + c[-3:] for n, c in zip(counts, chunks, strict=True)]

    def test_a_module_runs_and_is_kept(self, case: Case) -> None:
        guest = module_guest(case.engine, module())
        assert case.engine.prepare(guest.module, guest.limits, lambda: b"not asked for", lambda: None) != ()
        assert results_of(outcome_of(case.engine, guest, b"x", b"yz")) == [b"x", b"yz"]

    def test_what_is_no_module_is_refused(self, case: Case) -> None:
        with pytest.raises(RefusedError):
            case.engine.prepare("0" * 64, Limits(), lambda: b"\0asm nothing", lambda: None)

    def test_a_module_that_was_not_prepared_is_an_error(self, case: Case) -> None:
        guest = module_guest(case.engine, module())
        with pytest.raises(UnavailableError, match="was not prepared"):
            case.engine.submit(task_of(type(guest)("f" * 64, b"", guest.limits), b"x"))

    def test_who_worked_and_when_is_told(self, case: Case) -> None:
        future = case.engine.submit(task_of(python_guest(ENDS["well"][0]), b"x"))
        assert isinstance(future.result(50), Finished)
        assert 1 <= future.worker <= 2 * WORKERS
        assert 0 < future.began < future.ended

    def test_a_task_over_its_time_is_the_machines_failure(self, case: Case) -> None:
        guest = module_guest(case.engine, module(guests.BURN), fuel=10**15, time=1)
        assert failed(outcome_of(case.engine, guest, b"x")).kind is FailureKind.TIMED_OUT


class TestJobs:
    def test_a_job_is_what_it_is_natively(self, case: Case) -> None:
        words = b" ".join(b"word%d" % number for number in range(3000))
        run = run_of(case.engine, python_job(SHOUT), [words])
        assert run.result() == b" ".join(word.upper() + b"!" for word in words.split())

    def test_the_fuel_of_a_job_is_the_same_everywhere(self, case: Case, python: LocalEngine) -> None:
        here, there = (run_of(engine, python_job(SHOUT), [b"some words and more"]) for engine in (python, case.engine))
        assert here.result() == there.result()
        assert here.counts.fuel == there.counts.fuel
        assert case.engine.meter == python.meter

    def test_the_first_failure_is_told_as_on_this_machine(self, case: Case, python: LocalEngine) -> None:
        source = "def split(d): return d.split()\ndef execute(c): return b'%d' % (1 // int(c))"
        here, there = (error_of_run(run_of(each, python_job(source), [b"1 2 0 3 0"])) for each in (python, case.engine))
        assert (str(here), type(here)) == (str(there), type(there))
        assert isinstance(there, JobFailedError)
        assert there.chunk_index == 2

    def test_a_worker_killed_on_the_way_changes_nothing(self, case: Case) -> None:
        data = bytes(number % 251 for number in range(20_000))
        kills: list[bool] = []

        def look() -> bool:
            if len(kills) < 1 and case.victims():
                case.kill_one()
                kills.append(True)
            return False

        run = run_of(case.engine, python_job(SLOW_SUM), [data], is_cancelled=look, retry_count=10, min_chunk_size=1000)
        assert run.result() == b"%d" % sum(data)
        assert kills, "nobody was killed"

    def test_a_cancelled_job_frees_the_workers_at_once(self, case: Case) -> None:
        run = run_of(case.engine, python_job("def execute(c):\n while True: pass", **ENDLESS), [b"x"] * WORKERS)
        asked = iter(range(8))
        run._is_cancelled = lambda: next(asked, None) is None
        assert isinstance(error_of_run(run), JobCancelledError)
        guest = python_guest(ENDS["well"][0])
        futures = [case.engine.submit(task_of(guest, b"x")) for _ in range(2 * WORKERS)]
        done = wait(futures, timeout=90).done
        assert len(done) == len(futures), "workers were still held by what was cancelled"


class TestEnds:
    def test_running_tasks_that_are_given_up_end(self, case: Case) -> None:
        guest = module_guest(case.engine, module(guests.BURN), **ENDLESS)
        futures = [case.engine.submit(task_of(guest, b"x")) for _ in range(3 * WORKERS)]
        case.engine.cancel(futures)
        assert not wait(futures, timeout=60).not_done
        for future in futures:
            assert future.cancelled() or failed(future.result()).kind is FailureKind.CANCELLED

    def test_a_closed_engine_takes_no_task_and_ends_those_it_had(self, case: Case) -> None:
        guest = module_guest(case.engine, module(guests.BURN), **ENDLESS)
        futures = [case.engine.submit(task_of(guest, b"x")) for _ in range(2 * WORKERS)]
        case.engine.close()
        case.engine.close()
        assert not wait(futures, timeout=60).not_done
        with pytest.raises(UnavailableError, match="the engine is closed"):
            case.engine.submit(task_of(guest, b"x"))
        for future in futures:
            try:
                assert failed(future.result(0)).kind is FailureKind.CANCELLED
            except CancelledError:
                continue

    def test_it_says_how_many_and_where(self, case: Case) -> None:
        assert until(lambda: case.engine.workers) >= 1
        words = {"local": "this machine", "dask": "the Dask cluster at", "ray": "the Ray cluster at"}
        assert case.engine.place.startswith(words[case.name])


def test_frames_of_no_chunks_are_frames(case: Case) -> None:
    assert list(frames.unpack(finished(outcome_of(case.engine, python_guest(ENDS["well"][0]))).results)) == []
