"""What a client meets where a node should be: nobody, silence, garbage, somebody else, lies. Always a named error, in time."""

from __future__ import annotations

import asyncio
import gc
import json
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from pangea.compute import Client
from pangea.compute.model.errors import PangeaError, UnavailableError
from pangea.compute.model.ids import JobId
from pangea.compute.model.manifest import Content, JobManifest
from pangea.compute.model.progress import JobState
from pangea.compute.model.status import JobStatus
from pangea.compute.network.identity import Identity
from pangea.compute.network.peers.address import NodeAddress
from pangea.compute.network.peers.connection import Connection, connect
from pangea.compute.network.rpc import rpc
from pangea.compute.network.rpc.limits import WireLimits
from pangea.compute.network.serving.server import serve_tcp
from tests.deadlines import until
from tests.fakes.service import FakeService

SECONDS = 50
ME, WANTED, OTHER = Identity.create(), Identity.create(), Identity.create()
JOB = JobId("0af2cdd1-3d5c-4a63-8c6b-7f3a4f8f1a11")


@contextmanager
def listening(listener: socket.socket, behave: Callable[[socket.socket], None]) -> Iterator[None]:
    """A server that does nothing but `behave`, with each connection."""
    listener.listen()
    held: list[socket.socket] = []

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            held.append(connection)
            try:
                behave(connection)
            except OSError:
                continue

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(SECONDS)
        for each in held:
            each.close()


@contextmanager
def at_a_socket(path: Path, behave: Callable[[socket.socket], None]) -> Iterator[None]:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    with listening(listener, behave):
        yield


def silent(_connection: socket.socket) -> None:
    pass


def garbage(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 1_000)


def a_bomb(connection: socket.socket) -> None:
    connection.sendall(b"\xff" * 65_536)


def hang_up(connection: socket.socket) -> None:
    connection.close()


def half_an_answer(connection: socket.socket) -> None:
    connection.recv(65_536)
    connection.sendall(b"\0\0\0\0\5\0\0\0\0\0")


@pytest.mark.parametrize("behave", [garbage, a_bomb, hang_up, half_an_answer])
def test_what_is_no_node_is_named_in_time(tmp_path: Path, behave: Callable[[socket.socket], None]) -> None:
    path = tmp_path / "rpc.sock"
    with at_a_socket(path, behave), Client(f"unix:{path}", timeout=0.5, reconnect_timeout=0.5) as client:
        begun = time.monotonic()
        with pytest.raises(UnavailableError) as refused:
            client.capacity()
        assert time.monotonic() - begun < 25  # were it not its own deadline, it would be the half minute that is everybody's
    assert str(path) in refused.value.message
    assert refused.value.__cause__ is None  # nothing of the library's


def test_what_a_connection_held_is_free_when_it_was_hung_up_on(tmp_path: Path) -> None:
    def held() -> int:
        return sum(type(each).__name__ == "TwoPartyClient" for each in gc.get_objects())

    gc.collect()
    before = held()
    gc.disable()  # a cycle waits for it; what it finds in another thread's event loop ends the process
    try:
        with (
            at_a_socket(tmp_path / "rpc.sock", hang_up),
            Client(f"unix:{tmp_path}/rpc.sock", reconnect_timeout=0.5) as client,
            pytest.raises(UnavailableError),
        ):
            client.capacity()
        until(lambda: held() <= before, what="the end of what the connection held")
    finally:
        gc.enable()


def test_a_node_that_never_answers_is_named_with_the_client_s_deadline(tmp_path: Path) -> None:
    path = tmp_path / "rpc.sock"
    with (
        at_a_socket(path, silent),
        Client(f"unix:{path}", timeout=0.3, reconnect_timeout=0.3) as client,
        pytest.raises(UnavailableError, match=rf"the node at unix:{path} didn't answer in 0\.3 s"),
    ):
        client.list_jobs()


def test_a_socket_that_nobody_serves_any_more_is_no_node(tmp_path: Path) -> None:
    path = tmp_path / "rpc.sock"
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(path))
    stale.close()
    with (
        Client(f"unix:{path}", timeout=0.3, reconnect_timeout=0.3) as client,
        pytest.raises(UnavailableError, match=f"no node at unix:{path}: connection refused") as refused,
    ):
        client.capacity()
    assert "pangea node start" in refused.value.hint


def over_tcp(port: int, who: Identity) -> Any:
    async def scene() -> None:
        async with asyncio.timeout(SECONDS), rpc.event_loop():
            address = NodeAddress(host="127.0.0.1", port=port, peer=WANTED.peer_id)
            connection = await connect(address, identity=who, timeout=0.5)
            try:
                await connection.capacity()
            finally:
                await connection.close()

    return asyncio.run(scene())


@pytest.mark.parametrize("behave", [silent, garbage, hang_up])
def test_over_tcp_what_speaks_no_tls_is_named_in_time(behave: Callable[[socket.socket], None]) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    with listening(listener, behave), pytest.raises(UnavailableError, match=f"tcp://127.0.0.1:{port}/{WANTED.peer_id}"):
        over_tcp(port, ME)


def test_over_tcp_somebody_else_is_told_nothing_and_named() -> None:
    async def scene() -> None:
        service = FakeService()
        async with (
            asyncio.timeout(SECONDS),
            rpc.event_loop(),
            serve_tcp("127.0.0.1", 0, OTHER, lambda _: True, service.session, WireLimits(), lambda _: None) as server,
        ):
            asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)  # the hang-up is told there
            address = NodeAddress(host="127.0.0.1", port=server.port, peer=WANTED.peer_id)
            with pytest.raises(UnavailableError, match=f"is node {OTHER.peer_id}, not {WANTED.peer_id}"):
                await connect(address, identity=ME, timeout=30.0)
            assert service.callers == []

    asyncio.run(scene())


# A node that speaks the protocol and lies.


class Liar(rpc.SCHEMA.ComputeService.Server):  # type: ignore[misc]  # made at run time, from the schema
    """Answers everything with what it is told to."""

    def __init__(self, lie: str, data: bytes = b"") -> None:
        self._lie, self._data = lie, data

    async def getOutcome(self, _context: Any, **_: Any) -> None:
        _context.results.outcome, _context.results.data, _context.results.isInline = self._lie, self._data, bool(self._data)

    async def getJobStatus(self, _context: Any, **_: Any) -> None:
        _context.results.status.status, _context.results.status.detail = "running", self._lie

    async def listJobs(self, _context: Any, **_: Any) -> None:
        _context.results.jobs = self._lie

    async def explainJob(self, _context: Any, **_: Any) -> None:
        _context.results.explanation = self._lie

    async def getNodeInfo(self, _context: Any, **_: Any) -> None:
        _context.results.info = self._lie

    async def readResult(self, _context: Any, **_: Any) -> None:
        _context.results.data = self._data

    async def submitJob(self, _context: Any, **_: Any) -> None:
        _context.results.failure.json = self._lie


@asynccontextmanager
async def lying(folder: Path, lie: str, data: bytes = b"") -> AsyncIterator[Connection]:
    path = folder / "rpc.sock"

    async def serve(stream: Any) -> None:
        await rpc.serve_stream(stream, Liar(lie, data), message_bytes_max=8 << 20)

    async with asyncio.timeout(SECONDS), rpc.event_loop():
        listener = await asyncio.get_running_loop().create_unix_server(lambda: rpc.stream_protocol(serve), str(path))
        connection = await connect(NodeAddress(path=path), timeout=30.0)
        try:
            yield connection
        finally:
            await connection.close()
            listener.close()


STATUS = JobStatus(job_id=JOB, state=JobState.COMPLETE).to_json()
LIES = ["{", "null", "1", '"x"', "{}", "[1]", "[[]]", "[" * 100_000, '{"status": 1, "size": 1}', '{"job_id": 1, "state": "x"}']
ASKS: dict[str, Callable[[Connection], Any]] = {
    "outcome": lambda node: node.outcome(JOB, 1.0),
    "status": lambda node: node.status(JOB),
    "list": lambda node: node.list_jobs(),
    "info": lambda node: node.info(),
}


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie[:20])
@pytest.mark.parametrize("ask", ASKS.values(), ids=ASKS)
def test_an_answer_that_makes_no_sense_is_an_error_that_says_so(tmp_path: Path, lie: str, ask: Callable[..., Any]) -> None:
    async def scene() -> None:
        async with lying(tmp_path, lie) as node:
            with pytest.raises(UnavailableError, match="the node's answer can't be read"):
                await ask(node)

    asyncio.run(scene())


@pytest.mark.parametrize("lie", ["{", "null", "[]"])
def test_a_failure_or_an_explanation_that_makes_no_sense_is_an_error_that_says_so(tmp_path: Path, lie: str) -> None:
    async def scene() -> None:
        async with lying(tmp_path, lie) as node:
            for work in (node.explain(JOB), node.submit(JobManifest(module=Content(b"\0asm"), inputs=(Content(b""),)))):
                with pytest.raises(UnavailableError, match="the node's answer can't be read"):
                    await work

    asyncio.run(scene())


@pytest.mark.parametrize("size", [-1, 3, 5, 10**15])
def test_a_result_of_another_size_than_was_said_is_refused(tmp_path: Path, size: int) -> None:
    async def scene() -> None:
        async with lying(tmp_path, json.dumps({"status": STATUS, "size": size, "report": None}), b"four") as node:
            with pytest.raises(UnavailableError, match="the node's answer can't be read: a result of"):
                await node.outcome(JOB, 1.0)

    asyncio.run(scene())


def test_a_block_larger_than_was_asked_for_is_refused(tmp_path: Path) -> None:
    async def scene() -> None:
        async with lying(tmp_path, "", b"four") as node:
            assert await node.read_result(JOB, 0, 4) == b"four"
            with pytest.raises(UnavailableError, match="a block of 4 bytes where 3 were asked for"):
                await node.read_result(JOB, 0, 3)

    asyncio.run(scene())


def test_no_lie_is_anything_but_an_error_of_ours(tmp_path: Path) -> None:
    lie = json.dumps({"code": "JOB_FAILED", "message": ["m"], "details": {"hint": 1, "self": 2, "function": 3}, "traceback": 4})

    async def scene() -> None:
        async with lying(tmp_path, lie) as node:
            with pytest.raises(PangeaError):
                await node.submit(JobManifest(module=Content(b"\0asm"), inputs=(Content(b""),)))

    asyncio.run(scene())
