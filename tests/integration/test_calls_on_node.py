"""Calls on a node through its clients: values in and out, chains whose data stays there, errors, cancelling, other processes."""

from __future__ import annotations

import asyncio
import concurrent.futures as cf
import os
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pangea.compute import AsyncClient, Client, Job, JobFailedError
from pangea.compute.client.submission.remote import RemoteNode
from pangea.compute.errors import InputError, JobCancelledError, NotDoneError, UnavailableError
from pangea.compute.model.progress import JobState
from tests.deadlines import until
from tests.nodes import NodeProcess

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
WAIT = 60


class Sum(NamedTuple):
    of: str
    total: int


class Opaque:
    """Neither fields nor a place in a codec."""


def numbers(count: int) -> list[int]:
    return list(range(count))


def summed(values: list[int], name: str = "", plus: int = 0) -> Sum:
    return Sum(name, sum(values) + plus)


def shown(total: Sum) -> str:
    return f"{type(total).__name__} {total.of}: {total.total}"


def same(value: Any) -> Any:
    return value


def endless() -> None:
    while True:
        pass


def divided(by: int) -> int:
    return 1 // by


COPY = Job.from_functions(execute=lambda chunk: chunk, name="copy")


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with NodeProcess(tmp_path_factory.mktemp("calls") / "node") as process:
        yield str(process.data_dir)


@pytest.fixture
def client(node: str) -> Iterator[Client]:
    with Client(node) as opened:
        yield opened


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Bytes of each result that comes home."""
    sizes: list[int] = []
    fetch = RemoteNode.result

    async def counted(self: RemoteNode, outcome: Any) -> bytes:
        sizes.append(outcome.size)
        return await fetch(self, outcome)

    monkeypatch.setattr(RemoteNode, "result", counted)
    return sizes


def test_calls_take_and_return_values(client: Client) -> None:
    calls = [client.submit(pow, n, 2) for n in range(6)]
    assert sorted(call.result(WAIT) for call in client.as_completed(calls, WAIT)) == [0, 1, 4, 9, 16, 25]
    assert client.submit(int, "ff", base=16).result(WAIT) == 255
    value = {"a": (1, 2.5, {b"x"}), 3: [None, Sum("a", 1)]}
    assert client.submit(same, value).result(WAIT) == value
    assert list(client.map(same, [value, 1, "x"])) == [value, 1, "x"]
    assert list(client.starmap(pow, [(2, 3), (3, 2)])) == [8, 9]
    assert sorted(client.map_unordered(abs, range(-9, 0), chunksize=2)) == list(range(1, 10))
    assert client.submit(sorted, "bca", key=lambda x: -ord(x)).result(WAIT) == ["c", "b", "a"]
    assert client.submit(max, client.submit(sorted, [1, -3, 2]), key=abs).result(WAIT) == -3
    status = calls[0].status()
    assert (status.state, status.name) == (JobState.COMPLETE, "pow")
    with pytest.raises(InputError, match=r"same, call 0: a .*Opaque can't travel"):
        client.submit(same, Opaque())


def test_what_one_call_returns_goes_into_the_next_without_coming_home(client: Client, fetched: list[int]) -> None:
    count = 300_000  # 2 MB of text: neither inline in an answer nor in the journal
    listed = client.submit(numbers, count)
    total = client.submit(summed, listed, name="all", plus=1)
    text = client.submit(shown, total)
    assert text.result(WAIT) == f"Sum all: {sum(range(count)) + 1}"
    assert fetched
    assert max(fetched) < 1_000, "the numbers stay on the node"
    assert total.result(WAIT) == Sum("all", sum(range(count)) + 1)
    assert client.submit(summed, values=listed, name="again").result(WAIT).total == sum(range(count))
    assert max(fetched) < 1_000
    assert listed.result(WAIT) == numbers(count)
    assert max(fetched) > 1 << 20


@pytest.mark.long
def test_jobs_results_and_futures_are_arguments_too(client: Client, fetched: list[int]) -> None:
    data = bytes(range(256)) * 8_000
    job = client.submit_job(COPY, data)
    assert client.submit(len, job).result(WAIT) == len(data)
    again = client.submit_job(COPY, client.submit_job(COPY, client.submit_job(COPY, b"")))
    assert again.result(WAIT) == b""
    waiting: cf.Future[Any] = cf.Future()
    call = client.submit(same, waiting)
    assert call.status().state is JobState.PENDING
    with pytest.raises(NotDoneError):
        call.result(0.05)
    waiting.set_result([Sum("late", 1)])
    assert call.result(WAIT) == [Sum("late", 1)]
    with cf.ThreadPoolExecutor(1) as threads:
        assert client.submit(divmod, threads.submit(int, "7"), client.submit(int, 2)).result(WAIT) == (3, 1)


def test_what_a_call_raises_all_that_wait_for_it_raise(client: Client) -> None:
    failed = client.submit(divided, 0)
    chained = client.submit(same, client.submit(same, failed))
    for call in (failed, chained):
        with pytest.raises(ZeroDivisionError) as raised:
            call.result(WAIT)
        assert isinstance(raised.value, JobFailedError)
        assert "return 1 // by" in raised.value.traceback
    assert chained.exception(WAIT) is not None
    with pytest.raises(UnicodeDecodeError):
        client.submit(same, client.submit(str, client.submit_job(COPY, b"\xff"), "utf-8")).result(WAIT)


@pytest.mark.long
def test_what_failed_runs_again_here_where_a_debugger_reaches_it(client: Client) -> None:
    job = Job.from_functions(split=lambda data: data.split(), execute=lambda chunk: b"%d" % (6 // int(chunk)))
    handle = client.submit_job(job, b"1 2 0 3")
    with pytest.raises(ZeroDivisionError) as raised:
        handle.run_local()
    assert not isinstance(raised.value, JobFailedError)
    assert raised.traceback[-1].locals["chunk"] == b"0"
    assert (handle.run_local(3), job.run_local(b"1 2 0 3", index=1)) == (b"2", b"3")
    with pytest.raises(InputError, match="there is no chunk 4: the job has 4"):
        handle.run_local(4)
    with pytest.raises(UnavailableError, match="hasn't the functions"):
        client.job(handle.job_id).run_local()
    well = client.submit_job(COPY, handle_input := client.submit_job(COPY, b"a b"))
    assert (well.run_local(0), handle_input.run_local(0)) == (b"a b", b"a b")
    with pytest.raises(InputError, match=r"no chunk of job .* failed"):
        well.run_local()
    call = client.submit(divided, by=client.submit(int, 0))
    with pytest.raises(ZeroDivisionError) as raised:
        call.run_local()
    assert not isinstance(raised.value, JobFailedError)


def test_a_call_that_waits_is_given_up_at_once_and_one_that_runs_ends_on_the_node(client: Client) -> None:
    running = client.submit(endless)
    waiting = client.submit(same, running)
    statuses = iter(waiting)
    assert next(statuses).state is JobState.PENDING
    with pytest.raises(NotDoneError, match="waits for its input"):
        waiting.explain()
    assert waiting.cancel()
    assert [*statuses] == []
    with pytest.raises(JobCancelledError, match="before its input was there"):
        waiting.result(WAIT)
    assert waiting.cancelled()
    until(lambda: running.status().running_tasks > 0)
    assert running.cancel()
    with pytest.raises(JobCancelledError):
        running.result(WAIT)


def test_a_callback_may_ask_for_the_value(client: Client) -> None:
    seen: cf.Future[Any] = cf.Future()
    client.submit(numbers, 20_000).add_done_callback(lambda call: seen.set_result(call.result()))
    assert seen.result(WAIT) == numbers(20_000)


@pytest.mark.long
def test_a_pickled_call_and_one_in_a_forked_child_go_on(client: Client, tmp_path: Path) -> None:
    call = client.submit(summed, client.submit(numbers, 3), "x")
    assert call.result(WAIT) == pickle.loads(pickle.dumps(call)).result(WAIT) == Sum("x", 3)
    assert call.rerun().result(WAIT) == Sum("x", 3)
    waiting = client.submit(summed, client.submit(numbers, 4), "y")
    if (pid := os.fork()) == 0:
        try:
            (tmp_path / "child").write_text(repr(waiting.result(WAIT)))
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    assert (tmp_path / "child").read_text() == repr(waiting.result(WAIT)) == "Sum(of='y', total=6)"


def with_client(node: str, program: Callable[[AsyncClient], Any]) -> None:
    async def run() -> None:
        async with AsyncClient(node) as client:
            await program(client)

    asyncio.run(run())


@pytest.mark.long
def test_an_async_client_awaits_all_of_it(node: str, fetched: list[int]) -> None:
    async def program(client: AsyncClient) -> None:
        listed = await client.submit(numbers, 200_000)
        total = await client.submit(summed, listed, name="all")
        assert await total == await total.result(WAIT) == Sum("all", sum(range(200_000)))
        assert max(fetched) < 1_000
        assert await (await total.rerun()) == await pickle.loads(pickle.dumps(total)) == await total
        assert await (await client.submit_job(COPY, await client.submit_job(COPY, b"a"))) == b"a"
        calls = [await client.submit(pow, n, 2) for n in range(4)]
        assert sorted([await call async for call in client.as_completed(calls, WAIT)]) == [0, 1, 4, 9]
        assert [result async for result in client.map(pow, range(5), range(5))] == [n**n for n in range(5)]
        assert [result async for result in client.starmap(pow, [(2, 5)])] == [32]
        assert sorted([result async for result in client.map_unordered(abs, range(-9, 0), chunksize=2)]) == list(range(1, 10))
        with pytest.raises(ZeroDivisionError):
            [result async for result in client.map(divided, [1, 0])]
        assert await calls[2].run_local() == 4
        slow = await client.submit(endless)
        with pytest.raises(TimeoutError, match="1 of the handles"):
            [each async for each in client.as_completed([slow], 0.1)]
        assert await slow.cancel()

    with_client(node, program)


def test_an_abandoned_async_map_holds_up_nothing_and_cancels_its_jobs(node: str) -> None:
    async def program(client: AsyncClient) -> None:
        async def take() -> None:
            async for _ in client.map(lambda _: endless(), [1]):
                pass

        taking = asyncio.ensure_future(take())
        while not any(not job.state.is_final and job.running_tasks for job in await client.list_jobs()):
            continue
        taking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await taking
        while any(not job.state.is_final for job in await client.list_jobs()):
            continue

    with_client(node, program)
