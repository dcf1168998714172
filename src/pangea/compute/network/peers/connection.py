"""The client's end of a link: a node that looks like a `ComputeService`."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pangea.compute.model.answers import unreadable
from pangea.compute.model.errors import UnavailableError
from pangea.compute.model.ids import JobId, PeerId
from pangea.compute.model.manifest import JobManifest
from pangea.compute.model.status import TASKS_TOLD_MAX, Capacity, JobOutcome, JobPage, JobStatus, NodeInfo
from pangea.compute.network.peers.address import NodeAddress
from pangea.compute.network.rpc import codec, rpc
from pangea.compute.network.rpc.limits import WireLimits
from pangea.compute.network.rpc.pacing import Turns, Way
from pangea.compute.network.rpc.service import BLOCKS_IN_FLIGHT, Upload
from pangea.compute.network.rpc.unix import short_name

if TYPE_CHECKING:  # it brings cryptography, for which users of this machine's node have no use
    from pangea.compute.network.identity import Identity

#: What an answer may take beyond the time that the call itself is to wait.
_GRACE_SECONDS = 10.0
_WATCH_SECONDS = 7 * 24 * 3600.0
#: A node that pushes nothing for so long is gone: it speaks every five seconds.
_SILENCE_SECONDS = 30.0
_UINT32_MAX = 2**32 - 1


#: Links that are up; whoever ends their loop ends them first.
_open: weakref.WeakSet[Connection] = weakref.WeakSet()


async def close_all() -> None:
    """Hang up everywhere."""
    for connection in list(_open):
        await connection.close()


async def connect(address: NodeAddress, *, identity: Identity | None = None, timeout: float = 10.0) -> Connection:
    """Connect to a node, on an event loop inside `rpc.event_loop()`.

    Args:
        address: where it is.
        identity: who we are; needed for TCP.
        timeout: seconds for connecting, and for each call.

    Raises:
        UnavailableError: there is no node, or it isn't the one expected.
    """
    bytes_max = WireLimits().message_bytes_max
    try:
        if address.path is not None:
            stream = await asyncio.wait_for(_unix(address.path, bytes_max), timeout)
        else:
            if identity is None:
                raise UnavailableError(f"{address} wants to know who you are", hint="give a key file: identity=… or --identity")
            from pangea.compute.network.identity import client_context

            context = client_context(identity, want=address.peer)
            stream = await asyncio.wait_for(
                rpc.connect_tcp(address.host, address.port, context=context, message_bytes_max=bytes_max), timeout
            )
    except TimeoutError:
        raise UnavailableError(f"the node at {address} didn't answer in {timeout:g} s", retry=True) from None
    except (OSError, rpc.CallError) as error:
        if found := getattr(error, "peer", ""):
            hint = "ask whoever runs it for its address and peer id: `pangea node id` prints the latter"
            raise UnavailableError(f"{address.host}:{address.port} is node {found}, not {address.peer}", hint=hint) from error
        reason = (getattr(error, "strerror", "") or str(error).partition("\n")[0]).lower()
        raise UnavailableError(
            f"no node at {address}: {reason}", hint="start one with `pangea node start`", retry=True
        ) from error
    return Connection(stream, address, timeout)


async def _unix(path: Path, bytes_max: int) -> rpc.ClientStream:
    with short_name(path) as name:
        return await rpc.connect_unix(name, message_bytes_max=bytes_max)


class Connection:
    """A node at the other end of a link. Implements `network.rpc.service.ComputeService`."""

    def __init__(self, stream: rpc.ClientStream, address: NodeAddress, timeout: float) -> None:
        """Speak over `stream`; calls have `timeout` seconds."""
        self._stream: Any = stream
        self._address = address
        self._timeout = timeout
        self._service: Any = stream.service
        self._gone = asyncio.ensure_future(stream.gone())
        way = Way()
        self._sending, self._reading = Turns(way), Turns(way)
        _open.add(self)

    @property
    def is_lost(self) -> bool:
        """Whether the link is down."""
        return self._gone.done()

    async def close(self) -> None:
        """Hang up, and let go of everything of the library's: here, on its thread."""
        if self not in _open:
            return
        _open.discard(self)
        self._stream.close()
        self._gone.cancel()
        await asyncio.gather(self._gone, return_exceptions=True)
        self._service = self._stream = _Closed(self._address)

    async def submit(self, manifest: JobManifest) -> JobId:
        """Submit a job."""
        request = self._service.submitJob_request()
        codec.manifest_to_wire(manifest, request.manifest)
        return JobId(str((await self._call(request.send())).jobId))

    async def status(self, job_id: JobId) -> JobStatus:
        """How the job stands."""
        return codec.status_from_wire((await self._call(self._service.getJobStatus(job_id))).status)

    async def outcome(self, job_id: JobId, timeout: float, *, is_named: bool = False) -> JobOutcome:
        """How the job ended."""
        milliseconds = max(0, min(int(timeout * 1000), _UINT32_MAX))
        answer = await self._call(self._service.getOutcome(job_id, milliseconds, is_named), waits=timeout)
        return JobOutcome.from_json(codec.loads(str(answer.outcome)), bytes(answer.data) if answer.isInline else None)

    async def read_result(self, job_id: JobId, offset: int, count: int) -> bytes:
        """A block of the result."""
        return (await self._read(lambda *what: self._service.readResult(job_id, *what), offset, count))[0]

    async def cancel(self, job_id: JobId) -> bool:
        """Cancel the job."""
        return bool((await self._call(self._service.cancelJob(job_id))).success)

    async def upload(self, sha256: str, size: int) -> Upload | None:
        """Begin to send content."""
        answer = await self._call(self._service.upload(sha256, size))
        return None if answer.isPresent else Sending(self, answer.upload)

    async def prints(self, job_id: JobId, offset: int, wait: float) -> tuple[str, bool]:
        """What the job has printed from there on."""
        answer = await self._call(self._service.readPrints(job_id, offset, max(0, int(wait * 1000))), waits=wait)
        return str(answer.prints), bool(answer.isEnded)

    async def watch(self, job_id: JobId) -> AsyncIterator[JobStatus]:
        """Yield what the node pushes."""
        pushed: asyncio.Queue[JobStatus] = asyncio.Queue(maxsize=64)
        call = asyncio.ensure_future(self._call(self._service.watchJob(job_id, Watcher(pushed)), waits=_WATCH_SECONDS))
        try:
            while True:
                status = await self._next(pushed, call)
                if status is None:
                    return
                yield status
                if status.state.is_final:
                    return
        finally:
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)

    async def _next(self, pushed: asyncio.Queue[JobStatus], call: asyncio.Future[Any]) -> JobStatus | None:
        """The next status; None when the node says there are no more."""
        get = asyncio.ensure_future(pushed.get())
        try:
            await asyncio.wait({get, call}, timeout=_SILENCE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if get.done():
                return get.result()
            if call.done():
                call.result()
                return None if pushed.empty() else pushed.get_nowait()
            raise UnavailableError(f"the node at {self._address} has been silent for {_SILENCE_SECONDS:g} s", retry=True)
        finally:
            get.cancel()

    async def list_jobs(self, prefix: str = "", limit: int = 100) -> list[JobStatus]:
        """Own jobs."""
        return list((await self.job_page(prefix, limit=limit)).jobs)

    async def job_page(self, prefix: str = "", *, limit: int = 100, offset: int = 0, state: str = "") -> JobPage:
        """Some of one's own jobs, and how many there are."""
        if limit < 1:
            return JobPage()  # on the wire, 0 stands for the default
        answer = await self._call(self._service.listJobs(prefix, min(limit, _UINT32_MAX), min(offset, _UINT32_MAX), state))
        records = codec.loads(str(answer.jobs))
        if not isinstance(records, list):
            raise unreadable("a list of jobs that is none")
        return JobPage(jobs=tuple(JobStatus.from_json(each) for each in records), total=answer.total)

    async def explain(self, job_id: JobId, *, offset: int = 0, limit: int = TASKS_TOLD_MAX, task: str = "") -> dict[str, Any]:
        """Why the job is where it is."""
        answer = await self._call(self._service.explainJob(job_id, offset, limit, task))
        return _object(str(answer.explanation))

    async def rerun(self, job_id: JobId) -> JobId:
        """Run the job again."""
        return JobId(str((await self._call(self._service.rerunJob(job_id))).jobId))

    async def capacity(self) -> Capacity:
        """What the node can do."""
        answer = await self._answer(self._service.getComputeCapacity(), 0.0)
        return Capacity(
            cpu_cores=answer.cpuCores,
            ram_mb=answer.ramMb,
            current_load=answer.currentLoad,
            adapter=answer.adapter,
            adapter_bytes=answer.adapterBytes,
        )

    async def info(self) -> NodeInfo:
        """The node at this moment."""
        return NodeInfo.from_json(codec.loads(str((await self._call(self._service.getNodeInfo())).info)))

    async def peers(self) -> dict[str, Any]:
        """Neighbours and bans."""
        return _object(str((await self._call(self._service.listPeers())).peers))

    async def ban(self, peer: PeerId, reason: str) -> None:
        """Have the node shut a peer out."""
        await self._call(self._service.banPeer(peer, reason))

    async def unban(self, peer: PeerId) -> bool:
        """Have the node lift a ban."""
        return bool((await self._call(self._service.unbanPeer(peer))).isChanged)

    async def pause(self, seconds: float) -> None:
        """Have the node do nothing more for its parents."""
        await self._call(self._service.pauseLending(seconds))

    async def resume(self) -> bool:
        """Have it work for them again."""
        return bool((await self._call(self._service.resumeLending())).isChanged)

    async def read_receipt(self, job_id: JobId, offset: int, count: int) -> tuple[bytes, int]:
        """A block of the job's receipt."""
        block, answer = await self._read(lambda *what: self._service.readReceipt(job_id, *what), offset, count)
        return block, int(answer.size)

    async def tree(self, job_id: JobId) -> dict[str, Any]:
        """Who did what."""
        return _object(str((await self._call(self._service.getJobTree(job_id))).tree))

    async def _read(self, read: Callable[[int, int], Awaitable[Any]], offset: int, count: int) -> tuple[bytes, Any]:
        """A block, in several parts while the link is slow, and the last answer."""
        parts: list[bytes] = []
        while True:
            async with self._reading.turn(count) as turn:
                answer = await self._call(read(offset, turn.size))
            parts.append(answer.data)
            size = len(parts[-1])
            if size > turn.size:
                raise unreadable(f"a block of {size:,} bytes where {turn.size:,} were asked for")
            offset, count = offset + size, count - size
            if not count or size < turn.size:
                return b"".join(parts), answer

    async def _call(self, promise: Awaitable[Any], *, waits: float = 0.0) -> Any:
        """The answer of a call that the node itself may spend `waits` seconds on; its failure is raised."""
        answer = await self._answer(promise, waits)
        codec.raise_failure(str(answer.failure.json))
        return answer

    async def _answer(self, promise: Awaitable[Any], waits: float) -> Any:
        """What the call gives."""
        answer, trouble = await rpc.answer_of(promise, self._timeout + waits + (_GRACE_SECONDS if waits else 0.0))
        if trouble:
            raise UnavailableError(f"the node at {self._address} {rpc.LOST if self.is_lost else trouble}", retry=True)
        return answer


class _Closed:
    """What is left of a link that was closed: whatever is asked of it, it isn't there."""

    def __init__(self, address: NodeAddress) -> None:
        self._address = address

    def __getattr__(self, name: str) -> Any:
        raise UnavailableError(f"the link to the node at {self._address} was closed", retry=True)


class Sending:
    """Content on its way out, several blocks at once. Implements `network.rpc.service.Upload`."""

    def __init__(self, connection: Connection, upload: Any) -> None:
        """Send to `upload`."""
        self._connection = connection
        self._upload = upload
        self._in_flight: set[asyncio.Future[Any]] = set()

    async def write(self, block: bytes) -> None:
        """Send a block, in several parts while the link is slow; waits while too many are unanswered."""
        turns, at = self._connection._sending, 0
        while at < len(block):
            turn = await turns.begin(len(block) - at)
            call = asyncio.ensure_future(self._connection._call(self._upload.write(block[at : at + turn.size])))
            turns.ends_with(turn, call)
            self._in_flight.add(call)
            at += turn.size
            while len(self._in_flight) >= BLOCKS_IN_FLIGHT:
                await self._settle(asyncio.FIRST_COMPLETED)

    async def finish(self) -> None:
        """Wait for all answers, then have the content checked and kept."""
        while self._in_flight:
            await self._settle(asyncio.ALL_COMPLETED)
        await self._connection._call(self._upload.finish(), waits=self._connection._timeout)
        self._upload = None

    async def abort(self) -> None:
        """Stop sending."""
        for each in self._in_flight:
            each.cancel()
        await asyncio.gather(*self._in_flight, return_exceptions=True)
        self._in_flight.clear()
        self._upload = None

    async def _settle(self, when: str) -> None:
        done, self._in_flight = await asyncio.wait(self._in_flight, return_when=when)  # each has its own deadline
        errors = [each.exception() for each in done]
        for error in errors:
            if error is not None:
                raise error


class Watcher(rpc.SCHEMA.Watcher.Server):  # type: ignore[misc]  # made at run time, from the schema
    """Takes what the node pushes; the node waits while the queue is full."""

    def __init__(self, pushed: asyncio.Queue[JobStatus]) -> None:
        """Put each status into `pushed`."""
        self._pushed = pushed

    async def changed(self, status: Any, **_: Any) -> None:
        """The node's news."""
        await self._pushed.put(codec.status_from_wire(status))


def _object(text: str) -> dict[str, Any]:
    record = codec.loads(text)
    if not isinstance(record, dict):
        raise unreadable("an answer that is no object")
    return record
