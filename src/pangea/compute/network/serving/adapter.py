"""Every method of the schema, adapted to a `ComputeService`: within limits, and what goes wrong as codes and text."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from typing import Any, Protocol

from pangea.compute.model.errors import InputError, PangeaError, QuotaError, UnavailableError
from pangea.compute.model.ids import JobId, PeerId
from pangea.compute.model.progress import JobState
from pangea.compute.model.status import TASKS_TOLD_MAX
from pangea.compute.network.peers.hello import Hello
from pangea.compute.network.peers.peering import PeerEnd, PeerLink, PeerMethods
from pangea.compute.network.rpc import codec, notes, rpc
from pangea.compute.network.rpc.fair_queue import FairQueue
from pangea.compute.network.rpc.limits import RESULT_BYTES_MAX, TEXT_CHARACTERS_MAX, WireLimits
from pangea.compute.network.rpc.service import BLOCK_BYTES, BLOCKS_IN_FLIGHT, ComputeService, Upload
from pangea.compute.network.rpc.turns import in_turns

OnTrouble = Callable[[BaseException], None]
#: Nobody can wait for longer in one call.
_WAIT_SECONDS_MAX = 24 * 3600.0
_PUSH_SECONDS = 30.0
#: Jobs that are written down before others have a turn.
_TOLD = 20


class Session(ComputeService, Protocol):
    """A node, for one caller at the other end of a connection, which may become a link between nodes."""

    def may_submit(self) -> None:
        """Whether the caller may submit jobs.

        Raises:
            PeerError: it may not.
        """

    def attach(self, link: Callable[[PeerId, str], PeerLink], hello: Hello) -> tuple[PeerEnd, Hello]:
        """Take the caller as a child.

        Args:
            link: makes the link, given who is there and where.
            hello: what the caller says of itself.

        Raises:
            PeerError: it isn't taken.
        """


class Adapter(PeerMethods, rpc.SCHEMA.ComputeService.Server):  # type: ignore[misc]  # made at run time, from the schema
    """The schema's methods over one session. No exception leaves a method: it would travel with its traceback."""

    def __init__(
        self,
        session: Session,
        limits: WireLimits,
        on_trouble: OnTrouble,
        *,
        is_read: asyncio.Event,
        hang_up: Callable[[], None],
        large_answers: asyncio.Semaphore | None = None,
        queue: FairQueue | None = None,
        owner: str = "",
    ) -> None:
        """Adapt `session` for a caller.

        Args:
            session: the node, for the caller.
            limits: of what it may ask.
            on_trouble: hears of errors that are this program's own.
            is_read: set while the caller reads its answers.
            hang_up: ends the connection.
            large_answers: turns of all callers to be answered with as much as a message carries.
            queue: turns of all callers to have a piece of work done.
            owner: at whose cost that is.
        """
        self._large_answers = large_answers or asyncio.Semaphore(limits.large_answers_max)
        self._queue, self._owner = queue, owner
        self._taken_answers: set[asyncio.Task[None]] = set()
        self._hang_up = hang_up
        self._session = session
        self._is_read = is_read
        self._blocks = asyncio.Semaphore(BLOCKS_IN_FLIGHT)
        #: Of what is done in pieces one is done at a time: else each of a thousand calls would have its piece in every round.
        self._pieces = asyncio.Lock()
        self._limits = limits
        self._on_trouble = on_trouble
        self._uploads: set[Receiver] = set()
        self._opening = 0
        self._is_gone = False
        #: Under way, and when the last began, on the loop's clock.
        self.calls: int = 0
        self.last_call: float = 0.0

    async def gone(self) -> None:
        """The connection is down: what was half sent is dropped, a neighbour is told of as lost."""
        self._is_gone = True
        if self.end is not None:
            end, self.end = self.end, None
            end.lost()
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
        self.last_call = asyncio.get_running_loop().time()
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
            await asyncio.sleep(0)  # answers go out before more are made, which is when it shows that they aren't read

    async def submitJob(self, manifest: Any, _context: Any, **_: Any) -> None:
        results = _context.results

        async def work() -> None:
            self._session.may_submit()  # before anything is decoded for a stranger
            async with self._pieces:
                read = await codec.manifest_from_wire(manifest)
            results.jobId = await self._session.submit(read)
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
            if outcome.data is not None:
                async with self._block():
                    results.result = outcome.data
            else:
                await self._large_answers.acquire()
                try:
                    results.result = await self._whole(_job(jobId), outcome.size)
                finally:
                    self._taken_answers.add(taken := asyncio.ensure_future(self._until_taken()))
                    taken.add_done_callback(self._taken_answers.discard)
            results.success = True

        _say(results, await self._guarded(results, work))

    async def _until_taken(self) -> None:
        """Give back a turn to answer with much once that was read, or the caller is gone: the protocol sees to it that it is."""
        for _ in range(3):
            await asyncio.sleep(0)  # the answer goes out, which is when it shows that it isn't read
        await self._is_read.wait()
        self._large_answers.release()

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
        _context.results.adapter = capacity.adapter
        _context.results.adapterBytes = capacity.adapter_bytes

    async def upload(self, sha256: str, size: int, _context: Any, **_: Any) -> None:
        results = _context.results

        async def work() -> None:
            upload = await self._opened(_text(sha256, "sha256"), size)
            results.isPresent = upload is None
            if upload is not None:
                receiver = Receiver(self, upload)
                self._uploads.add(receiver)
                results.upload = receiver

        await self._guarded(results, work)

    async def _opened(self, sha256: str, size: int) -> Upload | None:
        """A new upload, of which there may be so many; None if the content is there."""
        open_now = len(self._uploads) + self._opening
        if open_now >= self._limits.uploads_max:
            raise QuotaError(f"{open_now} uploads are open on this connection already", hint="finish one first")
        self._opening += 1
        try:
            upload = await self._session.upload(sha256, size)
        finally:
            self._opening -= 1
        if upload is not None and self._is_gone:  # the connection went down meanwhile, and what was open with it
            await upload.abort()
            raise UnavailableError("this connection is down", retry=True)
        return upload

    def upload_ended(self, receiver: Receiver) -> None:
        """An upload is over, one way or the other."""
        self._uploads.discard(receiver)

    async def getOutcome(self, jobId: str, timeoutMs: int, isNamed: bool, _context: Any, **_: Any) -> None:
        results = _context.results

        async def work() -> None:
            outcome = await self._session.outcome(_job(jobId), min(timeoutMs / 1000, _WAIT_SECONDS_MAX), is_named=isNamed)
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

    async def readPrints(self, jobId: str, offset: int, waitMs: int, _context: Any, **_: Any) -> None:
        results = _context.results

        async def work() -> None:
            wait = min(waitMs / 1000, _WAIT_SECONDS_MAX)
            results.prints, results.isEnded = await self._session.prints(_job(jobId), offset, wait)

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

    async def listJobs(self, prefix: str, limit: int, offset: int, state: str, _context: Any, **_: Any) -> None:
        results = _context.results

        async def work() -> None:
            async with self._pieces:
                page = await self._session.job_page(
                    _text(prefix, "prefix"), limit=limit or 100, offset=offset, state=_text(state, "state")
                )
                told = [json.dumps(status.to_json()) async for status in in_turns(page.jobs, _TOLD)]
            results.jobs = f"[{', '.join(told)}]"
            results.total = page.total

        await self._guarded(results, work)

    async def explainJob(self, jobId: str, offset: int, limit: int, task: str, _context: Any, **_: Any) -> None:
        results = _context.results

        async def work() -> None:
            async with self._pieces:
                told = await self._session.explain(
                    _job(jobId), offset=offset, limit=limit or TASKS_TOLD_MAX, task=_text(task, "task")
                )
            results.explanation = json.dumps(told)

        await self._guarded(results, work)

    async def rerunJob(self, jobId: str, _context: Any, **_: Any) -> None:
        results = _context.results

        async def work() -> None:
            results.jobId = await self._session.rerun(_job(jobId))

        await self._guarded(results, work)

    async def getNodeInfo(self, _context: Any, **_: Any) -> None:
        results = _context.results

        async def work() -> None:
            async with self._pieces:
                results.info = json.dumps((await self._session.info()).to_json())

        await self._guarded(results, work)

    async def attachPeer(self, node: Any, hello: str, _context: Any, **_: Any) -> None:
        results = _context.results

        async def work() -> None:
            said = Hello.from_json(notes.record_of(hello, notes.HELLO_CHARACTERS_MAX))
            end, welcome = self._session.attach(lambda peer, host: PeerLink(node, peer, host, self._hang_up), said)
            self.end = end
            results.welcome = json.dumps(welcome.to_json())

        await self._guarded(results, work)

    async def listPeers(self, _context: Any, **_: Any) -> None:
        results = _context.results

        async def work() -> None:
            results.peers = json.dumps(await self._session.peers())

        await self._guarded(results, work)

    async def banPeer(self, peer: str, reason: str, _context: Any, **_: Any) -> None:
        async def work() -> None:
            await self._session.ban(PeerId(_text(peer, "peer")), _text(reason, "reason"))

        await self._guarded(_context.results, work)

    async def unbanPeer(self, peer: str, _context: Any, **_: Any) -> None:
        results = _context.results

        async def work() -> None:
            results.isChanged = await self._session.unban(PeerId(_text(peer, "peer")))

        await self._guarded(results, work)

    async def pauseLending(self, seconds: float, _context: Any, **_: Any) -> None:
        async def work() -> None:
            await self._session.pause(seconds)

        await self._guarded(_context.results, work)

    async def resumeLending(self, _context: Any, **_: Any) -> None:
        results = _context.results

        async def work() -> None:
            results.isChanged = await self._session.resume()

        await self._guarded(results, work)

    async def readReceipt(self, jobId: str, offset: int, count: int, _context: Any, **_: Any) -> None:
        results = _context.results

        async def work() -> None:
            async with self._block():
                results.data, results.size = await self._session.read_receipt(_job(jobId), offset, count)

        await self._guarded(results, work)

    async def getJobTree(self, jobId: str, _context: Any, **_: Any) -> None:
        results = _context.results

        async def work() -> None:
            results.tree = json.dumps(await self._session.tree(_job(jobId)))

        await self._guarded(results, work)

    def _turn(self) -> AbstractAsyncContextManager[None]:
        return self._block()


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
