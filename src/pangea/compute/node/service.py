"""What one client may ask of a node: its own jobs, and nothing of anybody else's."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

from pangea.compute.model.errors import InputError, NotDoneError, PangeaError, PeerError, QuotaError, UnknownJobError
from pangea.compute.model.ids import JobId, PeerId
from pangea.compute.model.manifest import JobManifest
from pangea.compute.model.status import Capacity, JobOutcome, JobState, JobStatus, NodeInfo
from pangea.compute.network.identity import is_peer_id
from pangea.compute.network.peering import Hello, PeerEnd, PeerLink
from pangea.compute.network.service import BLOCK_BYTES, INLINE_BYTES_MAX, Caller, Upload
from pangea.compute.node.blobs import BlobWriter
from pangea.compute.node.census import census, checked
from pangea.compute.node.jobs import Job
from pangea.compute.node.monitor import Monitor
from pangea.compute.node.node import Node
from pangea.compute.node.records import JobEnded, Stored
from pangea.compute.node.reports import worker_rows
from pangea.compute.node.tracing import trace_so_far, unpacked
from pangea.compute.orchestrator.explain import Explanation

#: A watcher hears of changes at most this often …
_PUSH_SECONDS = 0.1
#: … and at least this often, so that it knows the link is alive.
_BEAT_SECONDS = 5.0
_LIST_MAX = 1_000
_EXPLAINED_TASKS_MAX = 200


class Session:
    """A node, for one caller. Implements `network.adapter.Session` and `network.service.ContentService`."""

    def __init__(self, node: Node, caller: Caller, monitor: Monitor) -> None:
        """Serve `caller`."""
        self._node = node
        self._caller = caller
        self._owner = caller.owner
        self._monitor = monitor
        self._loop = asyncio.get_running_loop()

    async def submit(self, manifest: JobManifest) -> JobId:
        """Accept a job."""
        self._may_submit()
        await self._believe(manifest)
        return await self._node.accept(self._owner, manifest)

    async def status(self, job_id: JobId) -> JobStatus:
        """How the job stands."""
        return self._job(job_id).status(self._loop.time())

    async def outcome(self, job_id: JobId, timeout: float) -> JobOutcome:
        """How the job ended."""
        job = self._job(job_id)
        until = self._loop.time() + timeout
        while job.ended is None:
            left = until - self._loop.time()
            if left <= 0:
                raise NotDoneError(f"job {job_id} is {self._state(job)} after {timeout:g} s", hint="wait longer, or ask again")
            await job.change(left)
        ended = await self._end(job)
        is_complete = ended.state == JobState.COMPLETE.value
        is_small = is_complete and ended.size <= INLINE_BYTES_MAX
        if is_complete and ended.body is not None and ended.body.blob:
            await asyncio.to_thread(self._node.blobs.believe, ended.body.blob)
        return JobOutcome(
            status=job.status(self._loop.time()),
            size=ended.size,
            data=await self._read(ended, 0, ended.size) if is_small else None,
            report=json.loads(ended.report) if ended.report else None,
        )

    async def read_result(self, job_id: JobId, offset: int, count: int) -> bytes:
        """A block of a complete job's result."""
        job = self._job(job_id)
        ended = job.ended
        if ended is None or ended.state != JobState.COMPLETE.value:
            raise NotDoneError(f"job {job_id} is {self._state(job)}: it has no result")
        if not 0 <= count <= BLOCK_BYTES or offset < 0:
            raise InputError(f"a block of {count:,} bytes at {offset:,} was asked for; it may have {BLOCK_BYTES:,} at most")
        return await self._read(ended if ended.body is not None else await self._end(job), offset, count)

    async def _end(self, job: Job) -> JobEnded:
        """How a job ended, with what was left of it on disk."""
        if job.is_slim:
            return await asyncio.to_thread(self._node.journal.end_of, job.id)
        assert job.ended is not None, "asked of ended jobs only"
        return job.ended

    async def _read(self, ended: JobEnded, offset: int, count: int) -> bytes:
        body = ended.body
        if body is None:
            raise UnknownJobError(
                f"the journal has no result of job {ended.job_id}, or it is damaged there", hint="run the job again"
            )
        if body.data is not None:
            return body.data[offset : offset + count]
        return await asyncio.to_thread(self._block, body, offset, count)

    def _block(self, body: Stored, offset: int, count: int) -> bytes:
        self._node.blobs.believe(body.blob)
        block = self._node.blobs.read(body.blob, offset, count)
        if len(block) < min(count, body.size - offset):
            raise InputError(f"content {body.blob} is damaged on the node's disk", hint="run the job again")
        return block

    async def cancel(self, job_id: JobId) -> bool:
        """Cancel a job."""
        return await self._node.cancel(self._job(job_id))

    async def upload(self, sha256: str, size: int) -> Upload | None:
        """Begin to receive content."""
        self._may_submit()
        if self._node.blobs.has(sha256) and self._node.blobs.size(sha256) == size:
            with suppress(InputError):  # damaged, and so deleted: send it again
                await asyncio.to_thread(self._node.blobs.believe, sha256)
                self._node.reserve(sha256)
                return None
        self._node.check_bytes(self._owner, size)
        return Receiving(self._node, self._owner, await asyncio.to_thread(self._node.blobs.writer, size, sha256), sha256, size)

    async def receive(self, size: int, fill: Callable[[memoryview], None]) -> str:
        """Take content as it comes."""
        node = self._node
        node.check_bytes(self._owner, size)
        node.uploading[self._owner] = node.uploading.get(self._owner, 0) + size
        try:
            name = await self._loop.run_in_executor(node.streams, node.blobs.take, size, fill)
        finally:
            node.uploading[self._owner] -= size
        node.reserve(name)
        return name

    async def watch(self, job_id: JobId) -> AsyncIterator[JobStatus]:
        """Yield the job's status until it has ended."""
        job = self._job(job_id)
        while True:
            changed = asyncio.ensure_future(job.change(_BEAT_SECONDS))  # before the look, so that no change is missed
            status = job.status(self._loop.time())
            try:
                yield status
                if status.state.is_final:
                    return
                await changed
            finally:
                changed.cancel()
            if job.ended is None:
                await asyncio.sleep(_PUSH_SECONDS)

    async def list_jobs(self, prefix: str = "", limit: int = 100) -> list[JobStatus]:
        """Own jobs, latest first."""
        found: list[JobStatus] = []
        for job in self._node.book.latest():
            if len(found) >= min(limit, _LIST_MAX):
                break
            if job.owner == self._owner and job.id.startswith(prefix):
                found.append(job.status(self._loop.time()))
        return found

    async def explain(self, job_id: JobId) -> dict[str, Any]:
        """Why the job is where it is."""
        job = self._job(job_id)
        record: dict[str, Any] = {"status": job.status(self._loop.time()).to_json(), "score": "", "tasks": []}
        explained = self._node.driver.explain(job.id, _EXPLAINED_TASKS_MAX)
        record["tasks"] = [_task(each) for each in explained]
        record["score"] = next((str(each.score) for each in explained if each.score is not None), "")
        return record

    async def rerun(self, job_id: JobId) -> JobId:
        """Run a job again."""
        manifest = await self._node.manifest_of(self._job(job_id))
        await self._believe(manifest)
        return await self._node.accept(self._owner, manifest.with_job_id(str(uuid.uuid4())))

    async def capacity(self) -> Capacity:
        """What the node can do."""
        return self._monitor.capacity()

    async def info(self) -> NodeInfo:
        """The node at this moment; counts of jobs are the caller's own."""
        return self._monitor.info(self._owner)

    def attach(self, link: Callable[[PeerId, str], PeerLink], hello: Hello) -> tuple[PeerEnd, Hello]:
        """Take the caller as a child."""
        return self._node.family.adopt(self._caller, link, hello)

    async def peers(self) -> dict[str, Any]:
        """Neighbours, workers, bans."""
        self._must_be_local("see the node's peers")
        return census(self._node.driver, self._node.trust, self._node.config.site)

    async def ban(self, peer: PeerId, reason: str) -> None:
        """Shut a peer out."""
        self._must_be_local("ban peers")
        if not is_peer_id(peer) or peer == self._node.peer:
            raise PeerError(f"{peer[:80]!r} is no other peer's id", hint="`pangea peer list` shows those there are")
        self._node.family.ban(peer, reason or "banned by hand")

    async def unban(self, peer: PeerId) -> bool:
        """Lift a ban."""
        self._must_be_local("lift bans")
        return await self._node.family.pardon(peer)

    async def read_receipt(self, job_id: JobId, offset: int, count: int) -> tuple[bytes, int]:
        """A block of a complete job's receipt."""
        job = self._job(job_id)
        if not 0 <= count <= BLOCK_BYTES or offset < 0:
            raise InputError(f"a block of {count:,} bytes at {offset:,} was asked for; it may have {BLOCK_BYTES:,} at most")
        stored = await self._node.receipt_of(job)
        return await asyncio.to_thread(self._block, stored, offset, min(count, max(0, stored.size - offset))), stored.size

    async def tree(self, job_id: JobId) -> dict[str, Any]:
        """Who did what."""
        job = self._job(job_id)
        if job.ended is None:
            workers = worker_rows(job.live, self._node.peer) if job.live is not None else []
            report, trace = {}, await trace_so_far(job.live, self._node.peer) if job.live is not None else {}
        else:
            report = json.loads((await self._end(job)).report or "{}")
            workers = report.get("done_by", [])
            trace = unpacked(job.ended.trace or await asyncio.to_thread(self._node.journal.trace_of, job.id))
        return {
            "job_id": job.id,
            "status": job.status(self._loop.time()).to_json(),
            "owner": self._node.peer,
            "verification": report.get("verification", ""),
            "checks": report.get("checks", {}),
            "workers": [row | {"checked": checked(self._node.driver, self._node.trust, row["peer"])} for row in workers],
            "below": [list(place) for place in self._node.driver.neighbours.below()],
            "options": (await self._node.manifest_of(job)).options.chosen(),
            "trace": trace,
        }

    def _may_submit(self) -> None:
        if not (self._caller.is_local or self._owner in self._node.config.allow):
            raise PeerError(f"{self._owner} may not submit jobs here", hint="the node's --allow names who may")

    def _must_be_local(self, what: str) -> None:
        if not self._caller.is_local:
            raise PeerError(f"only users of the node's own machine may {what}", hint="use the node's --data-dir there")

    async def _believe(self, manifest: JobManifest) -> None:
        """Look at content that the node has from before, so that no job is computed from what is damaged."""
        for content in (manifest.module, *manifest.inputs):
            if content.sha256 and self._node.blobs.has(content.sha256):
                await asyncio.to_thread(self._node.blobs.believe, content.sha256)

    def _job(self, job_id: str) -> Job:
        job = self._node.book.get(job_id)
        if job is None or job.owner != self._owner:
            raise UnknownJobError(f"no job {job_id[:64]!r} of yours on this node", hint="pangea job list shows them")
        return job

    def _state(self, job: Job) -> str:
        return job.status(self._loop.time()).state.value


class Receiving:
    """Content that arrives in blocks. Implements `network.service.Upload`."""

    def __init__(self, node: Node, owner: str, writer: BlobWriter, sha256: str, size: int) -> None:
        """Receive `size` bytes into `writer`."""
        self._node = node
        self._owner = owner
        self._writer = writer
        self._sha256 = sha256
        self._size = size
        self._is_open = True
        self._turn = asyncio.Lock()
        node.uploading[owner] = node.uploading.get(owner, 0) + size

    async def write(self, block: bytes) -> None:
        """Append a block."""
        async with self._turn:  # blocks come in order; several may be waiting
            if not self._is_open:
                raise InputError("this upload is over")
            if len(block) > BLOCK_BYTES:
                raise QuotaError(f"a block of {len(block):,} bytes; it may have {BLOCK_BYTES:,} at most")
            try:
                await asyncio.to_thread(self._writer.write, block)
            except PangeaError:
                await self._close()
                raise

    async def finish(self) -> None:
        """Check the content and keep it."""
        async with self._turn:
            if not self._is_open:
                raise InputError("this upload is over")
            try:
                await asyncio.to_thread(self._writer.finish)
                self._node.reserve(self._sha256)
            finally:
                await self._close()

    async def abort(self) -> None:
        """Forget what was sent."""
        async with self._turn:
            await self._close()

    async def _close(self) -> None:
        if self._is_open:
            self._is_open = False
            self._node.uploading[self._owner] -= self._size
            await asyncio.to_thread(self._writer.abort)


def _task(explanation: Explanation) -> dict[str, Any]:
    return {"task_id": explanation.task, "state": explanation.state.value, "lines": str(explanation).splitlines()}
