"""`PangeaExecutor` as `concurrent.futures` has it, habit by habit; and CPython's own tests, where they are installed."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import sys
import threading
import unittest
from concurrent import futures
from concurrent.futures import CancelledError, Future
from typing import Any

import pytest

from pangea.compute import PangeaExecutor, map_unordered
from pangea.compute.model.errors import InputError, JobCancelledError, JobDefinitionError

WAIT = 50
FOREVER = {"limits": {"time": 60, "fuel": 10**15}}


def add(one: int, other: int = 1) -> int:
    return one + other


def capture(*args: Any, **kwargs: Any) -> Any:
    return args, kwargs


def fail(_: object) -> None:
    raise ZeroDivisionError("on purpose")


def endless(_: object) -> None:
    while True:
        pass


class TestSubmitting:
    def test_keywords_of_any_name_are_the_function_s(self) -> None:
        with PangeaExecutor() as executor:
            assert executor.submit(capture, 1, self=2, fn=3, args=4).result(WAIT) == ((1,), {"self": 2, "fn": 3, "args": 4})

    def test_fn_is_positional_only(self) -> None:
        with PangeaExecutor() as executor, pytest.raises(TypeError):
            executor.submit(fn=capture, arg=1)  # type: ignore[call-arg]

    def test_an_asyncio_loop_takes_it_as_its_executor(self) -> None:
        async def asked(executor: PangeaExecutor) -> int:
            return await asyncio.get_running_loop().run_in_executor(executor, add, 2, 3)

        with PangeaExecutor() as executor:
            assert asyncio.run(asked(executor)) == 5

    @pytest.mark.parametrize("number", [0, -1, True, "2"])
    def test_max_jobs_is_positive(self, number: Any) -> None:
        with pytest.raises(ValueError, match="max_jobs"):
            PangeaExecutor(max_jobs=number)


class TestWaiting:
    def test_first_completed_first_exception_and_all(self) -> None:
        with PangeaExecutor() as executor:
            good: Future[Any] = executor.submit(add, 1)
            bad: Future[Any] = executor.submit(fail, 1)
            done, _ = futures.wait([good, bad], WAIT, futures.FIRST_COMPLETED)
            assert done
            done, rest = futures.wait([good, bad], WAIT, futures.ALL_COMPLETED)
            assert (done, rest) == ({good, bad}, set())
            assert isinstance(bad.exception(), ZeroDivisionError)
            slow: Future[Any] = Future()
            assert bad in futures.wait([slow, bad], WAIT, futures.FIRST_EXCEPTION).done

    def test_as_completed_gives_each_once_and_times_out(self) -> None:
        with PangeaExecutor() as executor:
            future = executor.submit(add, 1)
            assert [*futures.as_completed([future, future], WAIT)] == [future]
            never: Future[None] = Future()
            with pytest.raises(TimeoutError):
                [*futures.as_completed([never], 0)]


class TestMapping:
    def test_several_iterables_a_timeout_a_chunksize_and_a_buffersize(self) -> None:
        with PangeaExecutor() as executor:
            assert [*executor.map(add, range(70), range(80))] == [2 * number for number in range(70)]
            taken: list[int] = []
            numbers = (taken.append(number) or number for number in range(1000))  # type: ignore[func-returns-value]
            results = executor.map(add, numbers, chunksize=5, buffersize=10)
            assert next(results) == 1
            assert len(taken) <= 20, "more was taken than may be under way"

    def test_an_exception_comes_in_its_place(self) -> None:
        with PangeaExecutor() as executor:
            for chunksize in (1, 2, None):
                results = executor.map(divmod, [1, 1, 1, 1], [2, 1, 0, 1], chunksize=chunksize)
                assert [next(results), next(results)] == [(0, 1), (1, 0)]
                with pytest.raises(ZeroDivisionError):
                    next(results)

    @pytest.mark.long
    def test_unordered_results_are_the_same_ones(self) -> None:
        assert sorted(map_unordered(add, range(500), chunksize=50)) == list(range(1, 501))
        with pytest.raises(ZeroDivisionError):
            [*map_unordered(fail, range(3))]
        taken: list[int] = []
        numbers = (taken.append(number) or number for number in range(60))  # type: ignore[func-returns-value]
        results = map_unordered(add, numbers, chunksize=3)
        assert next(results) < 13
        assert len(taken) < 30, "items are taken as results are"
        assert len([*results]) == 59


class TestChains:
    def test_a_future_may_be_an_argument(self) -> None:
        with PangeaExecutor(max_jobs=1) as executor:
            first = executor.submit(add, 1)
            last = executor.submit(add, executor.submit(add, first, other=first), other=first)
        assert last.result(0) == 6, "shutdown waits for what waits"

    def test_a_chain_holds_no_thread(self) -> None:
        gate: Future[int] = Future()
        with PangeaExecutor(max_jobs=1) as executor:
            waiting = [executor.submit(add, gate) for _ in range(20)]
            assert executor.submit(add, 1).result(WAIT) == 2
            gate.set_result(5)
            assert [each.result(WAIT) for each in waiting] == [6] * 20

    def test_what_the_first_raised_the_last_raises(self) -> None:
        with PangeaExecutor() as executor:
            last = executor.submit(add, executor.submit(fail, 1))
            assert isinstance(last.exception(WAIT), ZeroDivisionError)
            gate: Future[Any] = Future()
            refused = executor.submit(add, gate)
            gate.set_result(threading.Lock())
            assert isinstance(refused.exception(WAIT), InputError)

    def test_one_that_waits_can_be_cancelled(self) -> None:
        gate: Future[int] = Future()
        with PangeaExecutor() as executor:
            waiting = executor.submit(add, gate)
            assert waiting.cancel()
            gate.set_result(1)
            with pytest.raises(CancelledError):
                waiting.result(0)

    def test_a_function_that_can_t_travel_is_an_error_at_once(self) -> None:
        lock = threading.Lock()
        with PangeaExecutor() as executor, pytest.raises(JobDefinitionError):
            executor.submit(lambda number: (lock, number), Future())


class TestShutdown:
    def test_nothing_is_taken_after_it(self) -> None:
        executor = PangeaExecutor()
        executor.shutdown()
        for argument in (1, Future[int]()):
            with pytest.raises(RuntimeError, match="after shutdown"):
                executor.submit(add, argument)

    def test_what_waits_is_cancelled_if_that_is_asked_for(self) -> None:
        gate: Future[int] = Future()
        executor = PangeaExecutor(max_jobs=1)
        waiting = executor.submit(add, gate)
        many = [executor.submit(add, number) for number in range(30)]
        executor.shutdown(cancel_futures=True)
        assert waiting.cancelled()
        assert any(each.cancelled() for each in many)
        assert all(each.done() for each in many)

    def test_without_waiting_chains_still_end(self) -> None:
        executor = PangeaExecutor()
        last = executor.submit(add, executor.submit(add, 1))
        executor.shutdown(wait=False)
        assert last.result(WAIT) == 3

    def test_a_cancelled_job_is_a_cancelled_future_s_error(self) -> None:
        assert issubclass(JobCancelledError, CancelledError)


#: CPython's own that can't hold here, and why.
_NOT_OURS = {
    "test_free_reference": "results of a class that holds more than fields are refused by name",
    "test_max_workers_negative": "max_workers is max_jobs here: test_max_jobs_is_positive",
    "test_map_timeout": "a sandbox has no clock: sleep returns at once",
    "test_first_completed": "likewise",
    "test_first_completed_some_already_completed": "likewise",
    "test_first_exception": "likewise",
    "test_first_exception_some_already_complete": "likewise",
    "test_future_times_out": "likewise",
    "test_timeout": "likewise",
}
_MIXINS = {"executor": "ExecutorTest", "test_wait": "WaitTests", "test_as_completed": "AsCompletedTests"}


def _cpythons() -> list[Any]:
    """The host Python's own suites for executors, in files of a package; before 3.12 one file, which make gets if need be."""
    package = "test.test_concurrent_futures"
    if importlib.util.find_spec("test") is None:
        return []
    if importlib.util.find_spec(package) is None:
        version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
        importlib.import_module("test").__path__.append(f"{sys.prefix}/cpythons-tests/usr/lib/{version}/test")
        importlib.invalidate_caches()
        if importlib.util.find_spec(package) is None:
            return []
    found = importlib.import_module(package)
    if not hasattr(found, "__path__"):
        return [getattr(found, name) for name in _MIXINS.values()]
    return [getattr(importlib.import_module(f"{package}.{file}"), name) for file, name in _MIXINS.items()]


@pytest.mark.long
@pytest.mark.filterwarnings("default")
@pytest.mark.timeout(200)
def test_cpythons_own_futures_tests_pass() -> None:
    mixins = _cpythons()
    if not mixins:
        pytest.skip("this Python comes without its own tests: make test gets them with apt-get, as root")
    suite, count = unittest.TestSuite(), 0
    for mixin in mixins:

        class Ours(mixin, unittest.TestCase):  # type: ignore[misc, valid-type]
            executor_type = PangeaExecutor
            worker_count = 2

            def setUp(self) -> None:
                self.executor = PangeaExecutor(max_jobs=2)

            def tearDown(self) -> None:
                self.executor.shutdown()

        names = [name for name in dir(Ours) if name.startswith("test")]
        count += len(names)
        suite.addTests(Ours(name) for name in names if name not in _NOT_OURS)
    result = unittest.TextTestRunner(verbosity=0).run(suite)
    print(f"CPython's futures tests: {result.testsRun} of {count} apply, {len(result.failures) + len(result.errors)} fail")
    assert result.wasSuccessful(), [*result.failures, *result.errors]
    assert result.testsRun >= 13
