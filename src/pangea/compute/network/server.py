"""The serving end: every method of the schema, adapted to a `ComputeService`; unix sockets and TLS; limits on everybody."""

from __future__ import annotations

import asyncio
import json
import socket
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

from pangea.compute.model.errors import ConfigError, InputError, PangeaError, QuotaError, UnavailableError
from pangea.compute.model.ids import JobId
from pangea.compute.model.status import JobState
from pangea.compute.network import codec, rpc
from pangea.compute.network.doorway import Doorway
from pangea.compute.network.framing import GuardedProtocol
from pangea.compute.network.identity import Identity, PeerSSLObject, server_context
from pangea.compute.network.limits import RESULT_BYTES_MAX, TEXT_CHARACTERS_MAX, WireLimits
from pangea.compute.network.service import BLOCK_BYTES, BLOCKS_IN_FLIGHT, Caller, ComputeService, Upload
from pangea.compute.network.unix import bound, caller_at

Sessions = Callable[[Caller], ComputeService]
OnTrouble = Callable[[BaseException], None]

_BACKLOG = 128
_CLOSE_SECONDS = 2.0
#: Nobody can wait for longer in one call.
_WAIT_SECONDS_MAX = 24 * 3600.0
_PUSH_SECONDS = 30.0


class Server:
    """One listening endpoint and its connections."""

    def __init__(self, sessions: Sessions, limits: WireLimits, on_trouble: OnTrouble) -> None:
        """Serve `sessions` within `limits`; `on_trouble` hears of errors that are this program's own."""
        self._sessions = sessions
        self._limits = limits
        self._on_trouble = on_trouble
        self._links: set[_Link] = set()
        self._per_owner: Counter[str] = Counter()
        self._listener: asyncio.Server | None = None
        #: Of a TCP endpoint: where connections wait for their handshake.
        self.door: Doorway | None = None

    @property
    def connections(self) -> int:
        """Live connections."""
        return len(self._links)

    @property
    def port(self) -> int:
        """The TCP port."""
        assert self._listener is not None, "not listening"
        return int(self._listener.sockets[0].getsockname()[1])

    def listen(self, listener: asyncio.Server) -> None:
        """Note what is to be closed at the end."""
        self._listener = listener

    def protocol(self) -> GuardedProtocol:
        """A protocol for a connection that is about to be accepted."""
        link = _Link(self)
        return link.protocol

    def admit(self, link: _Link, caller: Caller) -> bool:
        """Whether one more connection of `caller` may stay."""
        limits = self._limits
        if len(self._links) >= limits.connections_max or self._per_owner[caller.owner] >= limits.connections_per_owner_max:
            return False
        self._links.add(link)
        self._per_owner[caller.owner] += 1
        return True

    def leave(self, link: _Link, caller: Caller) -> None:
        """A connection is gone."""
        if link in self._links:
            self._links.discard(link)
            self._per_owner[caller.owner] -= 1

    async def close(self) -> None:
        """Stop accepting, hang up on everybody."""
        if self._listener is not None:
            self._listener.close()
        for link in list(self._links):
            link.abort()
        tasks = [link.task for link in self._links if link.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=_CLOSE_SECONDS)


class _Link:
    """One connection."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._caller: Caller | None = None
        self._adapter: Adapter | None = None
        self._transport: asyncio.Transport | None = None
        self.task: asyncio.Task[Any] | None = None
        self.protocol = GuardedProtocol(
            rpc.stream_protocol(self._serve),
            server._limits,
            on_made=self._made,
            on_lost=self._lost,
            is_busy=lambda: self._adapter is not None and self._adapter.calls > 0,
        )

    def _made(self, transport: asyncio.Transport) -> bool:
        self._transport = transport
        if self._server.door is not None:
            self._server.door.enter(transport.get_extra_info("socket").fileno())
        self._caller = _caller_of(transport)
        return self._caller is not None and self._server.admit(self, self._caller)

    async def _serve(self, stream: Any) -> None:
        assert self._caller is not None, "only admitted connections are served"
        self.task = asyncio.current_task()
        self._adapter = Adapter(
            self._server._sessions(self._caller),
            self._server._limits,
            self._server._on_trouble,
            is_read=self.protocol.is_read,
        )
        try:
            await rpc.serve_stream(stream, self._adapter, message_bytes_max=self._server._limits.message_bytes_max)
        finally:
            await self._adapter.abort_uploads()

    def _lost(self) -> None:
        if self._caller is not None:
            self._server.leave(self, self._caller)

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()


def _caller_of(transport: asyncio.Transport) -> Caller | None:
    """Who is at the other end, as the kernel or the handshake says."""
    tls = transport.get_extra_info("ssl_object")
    if isinstance(tls, PeerSSLObject):
        return Caller(tls.peer_id, is_local=False) if tls.peer_id else None
    connection = transport.get_extra_info("socket")
    if connection is None or connection.family != socket.AF_UNIX:
        return None
    return caller_at(connection)


@asynccontextmanager
async def serve_unix(path: Path, sessions: Sessions, limits: WireLimits, on_trouble: OnTrouble) -> AsyncIterator[Server]:
    """Serve on a unix socket that only this user can open.

    Raises:
        UnavailableError: the socket can't be made.
    """
    server = Server(sessions, limits, on_trouble)
    with bound(path) as listener:
        server.listen(await asyncio.get_running_loop().create_unix_server(server.protocol, sock=listener, backlog=_BACKLOG))
        try:
            yield server
        finally:
            await server.close()


@asynccontextmanager
async def serve_tcp(
    host: str,
    port: int,
    identity: Identity,
    is_allowed: Callable[[str], bool],
    sessions: Sessions,
    limits: WireLimits,
    on_trouble: OnTrouble,
) -> AsyncIterator[Server]:
    """Serve on TCP under mutual TLS, to peers that are allowed.

    Raises:
        ConfigError: the address can't be listened on.
    """
    server = Server(sessions, limits, on_trouble)
    try:
        door = Doorway.listen_at(host, port, waiting_max=limits.handshakes_max, backlog=_BACKLOG)
        server.door = door
        listener = await asyncio.get_running_loop().create_server(
            server.protocol,
            sock=door,
            ssl=server_context(identity, is_allowed),
            ssl_handshake_timeout=limits.handshake_seconds,
            backlog=_BACKLOG,
        )
    except OSError as error:
        message = f"{host}:{port} can't be listened on: {(error.strerror or str(error)).lower()}"
        raise ConfigError(message, hint="choose another --listen address") from error
    server.listen(listener)
    try:
        yield server
    finally:
        await server.close()


class Adapter(rpc.SCHEMA.ComputeService.Server):  # type: ignore[misc]  # made at run time, from the schema
    """The schema's methods over one session. No exception leaves a method: it would travel with its traceback."""

    def __init__(
        self,
        session: ComputeService,
        limits: WireLimits,
        on_trouble: OnTrouble,
        *,
        is_read: asyncio.Event,
    ) -> None:
        """Adapt `session` for a caller: `is_read` while it reads its answers."""
        self._session = session
        self._is_read = is_read
        self._blocks = asyncio.Semaphore(BLOCKS_IN_FLIGHT)
        self._limits = limits
        self._on_trouble = on_trouble
        self._uploads: set[Receiver] = set()
        #: Under way.
        self.calls = 0

    async def abort_uploads(self) -> None:
        """The link is gone: what was half sent is dropped."""
        for upload in list(self._uploads):
            await upload.abort()

    async def _guarded(self, results: Any, work: Callable[[], Awaitable[None]]) -> PangeaError | None:
        """Do `work`; what goes wrong becomes the results' `failure`, and is returned."""
        try:
            async with self._under_way() as calls:
                if calls > self._limits.calls_in_flight_max:
                    raise QuotaError(
                        f"{calls} calls are in flight on this connection; at most {self._limits.calls_in_flight_max} may be",
                        hint="wait for answers before you ask more",
                    )
                await work()
        except PangeaError as error:
            results.failure.json = codec.failure_to_text(error)
            return error
        except Exception as error:  # ours: its text may tell a stranger too much
            self._on_trouble(error)
            trouble = UnavailableError("the node failed to do this", hint="its log says more")
            results.failure.json = codec.failure_to_text(trouble)
            return trouble
        return None

    @asynccontextmanager
    async def _under_way(self) -> AsyncIterator[int]:
        """Count a call; say how many there are. Whoever doesn't read its answers waits for more."""
        self.calls = calls = self.calls + 1
        try:
            await self._is_read.wait()  # until the protocol gives up on it
            yield calls
        finally:
            self.calls -= 1

    @asynccontextmanager
    async def _block(self) -> AsyncIterator[None]:
        """A turn to answer with much: while a caller doesn't read, few such answers are made for it."""
        async with self._blocks:
            await self._is_read.wait()
            yield

    async def submitJob(self, manifest: Any, _context: Any, **_: Any) -> None:
        results = _context.results

        async def work() -> None:
            results.jobId = await self._session.submit(codec.manifest_from_wire(manifest))
            results.success = True

        _say(results, await self._guarded(results, work))

    async def getJobStatus(self, jobId: str, _context: Any, **_: Any) -> None:
        results = _context.results

        async def work() -> None:
            codec.status_to_wire(await self._session.status(_job(jobId)), results.status)

        await self._guarded(results, work)

    async def getJobResult(self, jobId: str, timeoutMs: int, _context: Any, **_: Any) -> None:
        results = _context.results

        async def work() -> None:
            outcome = await self._session.outcome(_job(jobId), timeoutMs / 1000)
            if outcome.status.state is not JobState.COMPLETE:
                codec.raise_failure(json.dumps(outcome.status.error or {"code": "ERROR", "message": "the job has no result"}))
            if outcome.size > RESULT_BYTES_MAX:
                raise QuotaError(
                    f"the result has {outcome.size:,} bytes; getJobResult carries {RESULT_BYTES_MAX:,} at most",
                    hint="read it in blocks, with readResult",
                )
            async with self._block():
                results.result = outcome.data if outcome.data is not None else await self._whole(_job(jobId), outcome.size)
            results.success = True

        _say(results, await self._guarded(results, work))

    async def _whole(self, job_id: JobId, size: int) -> bytes:
        starts = range(0, size, BLOCK_BYTES)
        return b"".join([await self._session.read_result(job_id, at, min(BLOCK_BYTES, size - at)) for at in starts])

    async def cancelJob(self, jobId: str, _context: Any, **_: Any) -> None:
        results = _context.results

        async def work() -> None:
            results.success = await self._session.cancel(_job(jobId))

        await self._guarded(results, work)

    async def getComputeCapacity(self, _context: Any, **_: Any) -> None:
        async with self._under_way():
            capacity = await self._session.capacity()
        _context.results.cpuCores = capacity.cpu_cores
        _context.results.ramMb = capacity.ram_mb
        _context.results.currentLoad = capacity.current_load

    async def delegateTask(self, _context: Any, **_: Any) -> None:
        """Refused: this node takes no tasks from peers."""
        _context.results.accepted = False

    async def returnTaskResult(self, _context: Any, **_: Any) -> None:
        """Refused: this node has delegated nothing."""
        _context.results.verified = False

    async def upload(self, sha256: str, size: int, _context: Any, **_: Any) -> None:
        results = _context.results

        async def work() -> None:
            if len(self._uploads) >= self._limits.uploads_max:
                raise QuotaError(f"{len(self._uploads)} uploads are open on this connection already", hint="finish one first")
            upload = await self._session.upload(_text(sha256, "sha256"), size)
            results.isPresent = upload is None
            if upload is not None:
                receiver = Receiver(self, upload)
                self._uploads.add(receiver)
                results.upload = receiver

        await self._guarded(results, work)

    def upload_ended(self, receiver: Receiver) -> None:
        """An upload is over, one way or the other."""
        self._uploads.discard(receiver)

    async def getOutcome(self, jobId: str, timeoutMs: int, _context: Any, **_: Any) -> None:
        results = _context.results

        async def work() -> None:
            outcome = await self._session.outcome(_job(jobId), min(timeoutMs / 1000, _WAIT_SECONDS_MAX))
            results.outcome = json.dumps(outcome.to_json())
            results.isInline = outcome.data is not None
            async with self._block():
                results.data = outcome.data or b""

        await self._guarded(results, work)

    async def readResult(self, jobId: str, offset: int, count: int, _context: Any, **_: Any) -> None:
        results = _context.results

        async def work() -> None:
            async with self._block():
                results.data = await self._session.read_result(_job(jobId), offset, count)

        await self._guarded(results, work)

    async def watchJob(self, jobId: str, watcher: Any, _context: Any, **_: Any) -> None:
        results = _context.results

        async def work() -> None:
            async with aclosing(self._session.watch(_job(jobId))) as statuses:  # type: ignore[type-var]
                async for status in statuses:
                    request = watcher.changed_request()
                    codec.status_to_wire(status, request.status)
                    await asyncio.wait_for(_sent(request), _PUSH_SECONDS)  # who doesn't listen is told no more

        try:
            await self._guarded(results, work)
        except rpc.CallError as error:
            if not rpc.is_disconnect(error):
                self._on_trouble(error)

    async def listJobs(self, prefix: str, limit: int, _context: Any, **_: Any) -> None:
        results = _context.results

        async def work() -> None:
            jobs = await self._session.list_jobs(_text(prefix, "prefix"), limit or 100)
            results.jobs = json.dumps([status.to_json() for status in jobs])

        await self._guarded(results, work)

    async def explainJob(self, jobId: str, _context: Any, **_: Any) -> None:
        results = _context.results

        async def work() -> None:
            results.explanation = json.dumps(await self._session.explain(_job(jobId)))

        await self._guarded(results, work)

    async def rerunJob(self, jobId: str, _context: Any, **_: Any) -> None:
        results = _context.results

        async def work() -> None:
            results.jobId = await self._session.rerun(_job(jobId))

        await self._guarded(results, work)

    async def getNodeInfo(self, _context: Any, **_: Any) -> None:
        results = _context.results

        async def work() -> None:
            results.info = json.dumps((await self._session.info()).to_json())

        await self._guarded(results, work)


class Receiver(rpc.SCHEMA.Upload.Server):  # type: ignore[misc]  # made at run time, from the schema
    """Content that arrives. The answer to a block comes when it is written: who sends too fast waits."""

    def __init__(self, adapter: Adapter, upload: Upload) -> None:
        """Receive for `upload`."""
        self._adapter = adapter
        self._upload = upload

    async def write(self, data: bytes, _context: Any, **_: Any) -> None:
        await self._adapter._guarded(_context.results, lambda: self._upload.write(bytes(data)))

    async def finish(self, _context: Any, **_: Any) -> None:
        try:
            await self._adapter._guarded(_context.results, self._upload.finish)
        finally:
            self._adapter.upload_ended(self)

    async def abort(self) -> None:
        """The link is gone."""
        self._adapter.upload_ended(self)
        await self._upload.abort()


async def _sent(request: Any) -> None:
    await request.send()


def _job(text: str) -> JobId:
    return JobId(_text(text, "jobId"))


def _text(text: str, field: str) -> str:
    if len(text) > TEXT_CHARACTERS_MAX:
        raise InputError(f"{field} has {len(text):,} characters; at most {TEXT_CHARACTERS_MAX}")
    return text


def _say(results: Any, error: PangeaError | None) -> None:
    """For clients of the original schema: success and a text."""
    if error is not None:
        results.success = False
        results.errorMsg = codec.summary(error)
