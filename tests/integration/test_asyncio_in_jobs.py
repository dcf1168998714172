"""asyncio, executors and locks inside the sandbox: what they give is what they give at home, sooner."""

from __future__ import annotations

import asyncio
import contextvars
import queue
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed, wait

import pytest

from pangea.compute import Job, JobFailedError, PangeaExecutor, submit, submit_job
from pangea.compute.client.calls import functions
from pangea.compute.errors import JobDefinitionWarning

_HOUR = 3600.0
_variable: contextvars.ContextVar[str] = contextvars.ContextVar("_variable", default="unset")


@pytest.fixture(autouse=True)
def own_executor(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The process's executor is no test's."""
    with PangeaExecutor() as executor:
        monkeypatch.setattr(functions, "_executor", executor)
        yield


def sleepers() -> list[str]:
    seen: list[str] = []

    async def one(name: str, seconds: float) -> str:
        await asyncio.sleep(seconds)
        seen.append(name)
        return name.upper()

    async def main() -> list[str]:
        return list(await asyncio.gather(one("c", 0.03), one("a", 0.01), one("b", 0.02), one("b2", 0.02), one("now", 0)))

    return asyncio.run(main()) + seen


def time_limits() -> list[str]:
    async def main() -> list[str]:
        said = []
        try:
            await asyncio.wait_for(asyncio.sleep(0.2), timeout=0.01)
        except TimeoutError:
            said.append("wait_for")
        try:
            async with asyncio.timeout(0.01):
                await asyncio.Event().wait()
        except TimeoutError:
            said.append("timeout")
        done, pending = await asyncio.wait(
            [asyncio.ensure_future(asyncio.sleep(each, each)) for each in (0.001, 0.5)], timeout=0.1
        )
        said += [repr([task.result() for task in done]), str(len(pending))]
        for task in pending:
            task.cancel()
        return said

    return asyncio.run(main())


def crawl() -> list[int]:
    """Producers and consumers over a queue, held back by a semaphore."""

    async def main() -> list[int]:
        waiting: asyncio.Queue[int] = asyncio.Queue(maxsize=3)
        found: list[int] = []
        door = asyncio.Semaphore(2)

        async def consume() -> None:
            while True:
                each = await waiting.get()
                async with door:
                    await asyncio.sleep(0.001)
                    found.append(each * each)
                waiting.task_done()

        consumers = [asyncio.create_task(consume()) for _ in range(3)]
        for each in range(10):
            await waiting.put(each)
        await waiting.join()
        for consumer in consumers:
            consumer.cancel()
        await asyncio.gather(*consumers, return_exceptions=True)
        return sorted(found)

    return asyncio.run(main())


def groups() -> list[str]:
    async def fails(what: str) -> None:
        await asyncio.sleep(0)
        raise ValueError(what)

    async def main() -> list[str]:
        said = []
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(fails("one"))
                other = group.create_task(asyncio.sleep(10))
        except* ValueError as errors:
            said += [*map(str, errors.exceptions), str(other.cancelled())]
        return said

    return asyncio.run(main())


def streams_of_values() -> list[int]:
    async def ticks(count: int) -> AsyncIterator[int]:
        for each in range(count):
            await asyncio.sleep(0.001)
            yield each

    async def main() -> list[int]:
        return [each async for each in ticks(5) if each % 2 == 0]

    with asyncio.Runner() as runner:
        return runner.run(main()) + runner.run(main())


def finishers() -> list[float]:
    """Timers that are due together keep their order, and sums of sleeps come after what floats say is later."""

    async def main() -> list[float]:
        loop, order = asyncio.get_running_loop(), list[float]()
        for each in range(20):
            loop.call_later(0.01, order.append, each)

        async def twice() -> None:
            await asyncio.sleep(0.01)
            await asyncio.sleep(0.07)
            order.append(100)

        async def once() -> None:
            await asyncio.sleep(0.08)
            order.append(200)

        await asyncio.gather(twice(), once())
        return order

    return asyncio.run(main())


def in_threads() -> list[object]:
    async def main() -> list[object]:
        loop = asyncio.get_running_loop()
        _variable.set("set")
        first = await asyncio.gather(*(asyncio.to_thread(pow, 2, each) for each in range(5)))
        seen = [await asyncio.to_thread(_variable.get), await loop.run_in_executor(None, _variable.get)]
        with ThreadPoolExecutor(2) as pool:
            seen.append(await loop.run_in_executor(pool, str.title, "hello"))
        return [first, *seen]

    return asyncio.run(main())


def pools() -> list[object]:
    _variable.set("of the main thread")
    with ThreadPoolExecutor(4, initializer=_variable.set, initargs=("of a worker",)) as pool:
        futures = [pool.submit(divmod, 100, each) for each in range(3)]
        answers: list[object] = [each.exception() is None for each in futures]
        answers += list(pool.map(lambda a, b: a * b, range(5), range(5)))
        answers += sorted(each.result() for each in as_completed(pool.submit(len, "x" * each) for each in range(4)))
        answers.append(pool.submit(_variable.get).result())
        answers.append(pool.submit(lambda: pool.submit(len, "abc").result() + 1).result())
    try:
        pool.submit(len, "")
    except RuntimeError as error:
        answers.append(str(error))
    return [*answers, _variable.get()]


def failing_pools() -> list[str]:
    def fails() -> None:
        raise ValueError("no")

    with ThreadPoolExecutor(1, initializer=fails) as pool:
        try:
            return [str(pool.submit(len, "abc").result())]
        except Exception as error:
            return [type(error).__name__]


def brief_waits() -> list[object]:
    lock = threading.Lock()
    with lock:
        answers: list[object] = [lock.acquire(timeout=0.01), lock.acquire(blocking=False), threading.Event().wait(0.01)]
    try:
        queue.Queue[int]().get(timeout=0.01)
    except queue.Empty:
        answers.append("empty")
    answers += [threading.Semaphore(0).acquire(timeout=0.01), len(wait([Future[int]()], timeout=0.01).not_done)]
    try:
        list(as_completed([Future[int]()], timeout=0.01))
    except TimeoutError:
        answers.append("not completed")
    try:
        Future[int]().result(timeout=0.01)
    except TimeoutError:
        answers.append("late")
    return answers


PROGRAMS = [
    sleepers,
    time_limits,
    crawl,
    groups,
    streams_of_values,
    finishers,
    in_threads,
    pools,
    failing_pools,
    brief_waits,
]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_what_runs_in_turn_gives_what_it_gives_at_home(program: Callable[[], object]) -> None:
    assert submit(program).result() == contextvars.copy_context().run(program)


def test_waiting_takes_no_time() -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        since = loop.time()
        await asyncio.sleep(_HOUR)
        return loop.time() - since

    since = time.monotonic()
    assert submit(lambda: asyncio.run(main())).result() == pytest.approx(_HOUR, abs=1)
    assert time.monotonic() - since < _HOUR / 2


def test_a_semaphore_that_tasks_of_the_program_have_waited_for_is_bound_to_their_loop() -> None:
    door = asyncio.Semaphore(1)

    async def enter() -> None:
        async with door:
            await asyncio.sleep(0)

    async def main() -> None:
        await asyncio.gather(enter(), enter())

    asyncio.run(main())
    with pytest.raises(JobFailedError, match="is bound to a different event loop") as caught:
        submit(lambda: asyncio.run(main())).result()
    assert isinstance(caught.value, RuntimeError)


def stuck_tasks() -> None:
    async def main() -> None:
        await asyncio.Event().wait()

    asyncio.run(main())


def stuck_lock() -> None:
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()


def stuck_queue() -> None:
    queue.SimpleQueue[int]().get()


def stuck_future() -> None:
    Future[int]().result()


def threads() -> None:
    threading.Thread(target=print).start()


def sockets() -> None:
    asyncio.run(asyncio.open_connection("localhost", 80))


@pytest.mark.parametrize(
    ("program", "kind", "said"),
    [
        (stuck_tasks, RuntimeError, "deadlock: every task of this loop waits"),
        (stuck_lock, RuntimeError, "deadlock: a job has one thread, so nothing else releases this lock"),
        (stuck_queue, RuntimeError, "deadlock: a job has one thread, so nothing else puts anything into this queue"),
        (stuck_future, RuntimeError, "deadlock: a job has one thread"),
        (threads, RuntimeError, "ThreadPoolExecutor runs calls where they are submitted"),
        (sockets, PermissionError, "a job has no files, network, processes or terminal"),
    ],
)
def test_what_would_wait_for_ever_or_reach_outside_says_so(
    program: Callable[[], object], kind: type[Exception], said: str
) -> None:
    with pytest.raises(JobFailedError, match=said) as caught:
        submit(program).result()
    assert isinstance(caught.value, kind)


def test_chunks_of_a_task_do_not_share_a_loop() -> None:
    def execute(chunk: bytes) -> bytes:
        async def main() -> bytes:
            loop = asyncio.get_running_loop()
            await asyncio.sleep(1)
            return b"%s:%.3f " % (chunk, loop.time())

        return asyncio.run(main())

    assert (
        submit_job(Job.from_functions(split=lambda data: data.split(), execute=execute), b"a b c") == b"a:1.000 b:1.000 c:1.000 "
    )


def test_what_waits_until_a_time_gets_there() -> None:
    def execute(chunk: bytes) -> bytes:
        import sched

        since, order = time.monotonic(), list[str]()
        plan = sched.scheduler()
        plan.enter(20, 1, order.append, ("second",))
        plan.enter(10, 1, order.append, ("first",))
        plan.run()
        until = time.time() + 5
        while time.time() < until:
            rest(0.5)
        until = time.monotonic() + 3

        async def patient() -> None:
            while (left := until - time.monotonic()) > 0:
                await asyncio.sleep(left)

        asyncio.run(patient())
        return f"{order} {time.monotonic() - since:.1f} {time.perf_counter_ns() // 10**9};".encode()

    rest = time.sleep
    job = Job.from_functions(split=lambda data: data.split(), execute=execute)
    with pytest.warns(JobDefinitionWarning, match="a job's clock begins at 1970, and only waiting moves it"):
        assert submit_job(job, b"a b") == b"['first', 'second'] 28.0 28;" * 2


def test_a_sleep_without_end_is_no_wait_that_ends() -> None:
    with pytest.raises(JobFailedError, match="deadlock: every task of this loop waits"):
        submit(lambda: asyncio.run(asyncio.sleep(float("inf")))).result()
