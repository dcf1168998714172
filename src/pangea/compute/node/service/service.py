"""What one client may ask of a node: its own jobs, and nothing of anybody else's."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

from pangea.compute.model.errors import InputError, NotDoneError, PeerError, UnknownJobError
from pangea.compute.model.ids import JobId, PeerId
from pangea.compute.model.manifest import JobManifest
from pangea.compute.model.progress import JobState
from pangea.compute.model.status import TASKS_TOLD_MAX, Capacity, JobOutcome, JobPage, JobStatus, NodeInfo
from pangea.compute.network.identity import is_peer_id
from pangea.compute.network.peers.hello import Hello
from pangea.compute.network.peers.peering import PeerEnd, PeerLink
from pangea.compute.network.rpc.service import BLOCK_BYTES, INLINE_BYTES_MAX, Caller, Upload
from pangea.compute.network.rpc.turns import in_turns
from pangea.compute.node.jobs.jobs import Job
from pangea.compute.node.jobs.reports import worker_rows
from pangea.compute.node.jobs.tracing import trace_so_far, unpacked
from pangea.compute.node.service.explaining import one_task, task_counts, unfinished_tasks
from pangea.compute.node.service.monitor import Monitor
from pangea.compute.node.service.node import Node
from pangea.compute.node.service.receiving import begin_upload, take_stream
from pangea.compute.node.storage.records import JobEnded, Stored
from pangea.compute.node.tree.peer_report import checked, peer_report
from pangea.compute.orchestrator.core.transitions import TaskState
from pangea.compute.orchestrator.lifecycle.explain import Explanation

#: A watcher hears of changes at most this often …
_PUSH_SECONDS = 0.1
#: … and at least this often, so that it knows the link is alive.
_BEAT_SECONDS = 5.0
#: Who waits for prints has them looked at this often, at least.
_LOOK_SECONDS = 1.0
_LIST_MAX = 1_000
#: Jobs that are looked at, and such that are told of, before others have a turn: a millisecond or less.
_LOOKED_AT, _TOLD = 200, 20


class Session:
    """A node, for one caller. Implements `network.serving.adapter.Session` and `network.rpc.service.ContentService`."""

    def __init__(self, node: Node, caller: Caller, monitor: Monitor) -> None:
        """Serve `caller`."""
        self._node = node
        self._caller = caller
        self._owner = caller.owner
        self._monitor = monitor
        self._loop = asyncio.get_running_loop()

    async def submit(self, manifest: JobManifest) -> JobId:
        """Accept a job."""
        self.may_submit()
        return await self._node.accept(self._owner, manifest)

    async def status(self, job_id: JobId) -> JobStatus:
        """How the job stands."""
        return self._job(job_id).status(self._loop.time())

    async def outcome(self, job_id: JobId, timeout: float, *, is_named: bool = False) -> JobOutcome:
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
        name = ended.body.blob if is_complete and ended.body is not None else ""
        is_small = is_complete and ended.size <= INLINE_BYTES_MAX and not (is_named and name)
        if name:
            await asyncio.to_thread(self._node.blobs.believe, name)
        return JobOutcome(
            status=job.status(self._loop.time()),
            size=ended.size,
            data=await self._read(ended, 0, ended.size) if is_small else None,
            report=json.loads(job.told(ended.report)) if ended.report and is_complete else None,
            sha256=name,
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
        """Begin to receive content. What others have sent isn't there: it is received like any other."""
        self.may_submit()
        return await begin_upload(self._node, self._owner, sha256, size)

    async def receive(self, size: int, fill: Callable[[memoryview], None]) -> str:
        """Take content as it comes."""
        return await take_stream(self._node, self._owner, size, fill)

    async def prints(self, job_id: JobId, offset: int, wait: float) -> tuple[str, bool]:
        """What the job has printed: of the tasks that are accepted by now."""
        job, until = self._job(job_id), self._loop.time() + wait
        while True:
            left = max(0.0, until - self._loop.time())  # not all is a change of the job's status: it is looked at each second
            changed = asyncio.ensure_future(job.change(min(_LOOK_SECONDS, left)))  # before the look, so that none is missed
            try:
                is_ended = job.ended is not None
                printed = await self._printed(job)
                if is_ended or len(printed) > offset or self._loop.time() >= until:
                    return printed[offset:], is_ended
                await changed
            finally:
                changed.cancel()
            if job.ended is None:
                await asyncio.sleep(_PUSH_SECONDS)

    async def _printed(self, job: Job) -> str:
        if job.ended is None:
            return job.told(job.live.counts.prints) if job.live is not None else ""
        report = (await self._end(job)).report
        return str(json.loads(job.told(report)).get("prints", "")) if report else ""

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

    async def job_page(self, prefix: str = "", *, limit: int = 100, offset: int = 0, state: str = "") -> JobPage:
        """Own jobs, latest first."""
        jobs = in_turns(self._node.book.latest(self._owner), _LOOKED_AT)
        own = [job async for job in jobs if job.given.startswith(prefix) and state in ("", job.state)]
        shown = own[offset : offset + min(limit, _LIST_MAX)]
        return JobPage(jobs=tuple([job.status(self._loop.time()) async for job in in_turns(shown, _TOLD)]), total=len(own))

    async def explain(self, job_id: JobId, *, offset: int = 0, limit: int = TASKS_TOLD_MAX, task: str = "") -> dict[str, Any]:
        """Why the job is where it is."""
        job = self._job(job_id)
        driver = self._node.driver
        counts = await task_counts(driver, job.id)
        if task:
            explained = one_task(driver, job.id, task.replace(job.given, job.id))
        else:
            explained = await unfinished_tasks(driver, job.id, offset, min(limit, TASKS_TOLD_MAX))
        return {
            "status": job.status(self._loop.time()).to_json(),
            "score": next((str(each.score) for each in explained if each.score is not None), ""),
            "tasks": [_task(job, each) for each in explained],
            "total": counts.total() - counts[TaskState.COMPLETE],
            "counts": {state.value: count for state, count in counts.items()},
        }

    async def rerun(self, job_id: JobId) -> JobId:
        """Run a job again."""
        manifest = await self._node.manifest_of(self._job(job_id))
        again = replace(manifest.with_job_id(str(uuid.uuid4())), order=None, trace="")  # its client has ordered it once
        return await self._node.accept(self._owner, again)

    async def capacity(self) -> Capacity:
        """What the node can do."""
        return self._monitor.capacity()

    async def info(self) -> NodeInfo:
        """The node at this moment; counts of jobs are the caller's own."""
        return await self._monitor.info(self._owner)

    def attach(self, link: Callable[[PeerId, str], PeerLink], hello: Hello) -> tuple[PeerEnd, Hello]:
        """Take the caller as a child."""
        return self._node.membership.adopt(self._caller, link, hello)

    async def peers(self) -> dict[str, Any]:
        """Neighbours, workers, bans."""
        self._must_be_local("see the node's peers")
        node = self._node
        return peer_report(node.driver, node.trust, node.contributions, node.config.site, node.cosigning)

    async def ban(self, peer: PeerId, reason: str) -> None:
        """Shut a peer out."""
        self._must_be_local("ban peers")
        if not is_peer_id(peer) or peer == self._node.peer:
            raise PeerError(f"{peer[:80]!r} is no other peer's id", hint="`pangea peer list` shows those there are")
        self._node.membership.ban(peer, reason or "banned by hand")

    async def unban(self, peer: PeerId) -> bool:
        """Lift a ban."""
        self._must_be_local("lift bans")
        return await self._node.membership.pardon(peer)

    async def pause(self, seconds: float) -> None:
        """Do nothing more for parents."""
        self._must_be_local("pause it")
        await self._node.lending.pause(seconds)

    async def resume(self) -> bool:
        """Work for parents again."""
        self._must_be_local("have it work for others again")
        return await self._node.lending.resume()

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
            report = json.loads(job.told((await self._end(job)).report) or "{}")
            workers = report.get("done_by", [])
            trace = unpacked(job.ended.trace or await asyncio.to_thread(self._node.journal.trace_of, job.id))
        return {
            "job_id": job.given,
            "status": job.status(self._loop.time()).to_json(),
            "owner": self._node.peer,
            "verification": report.get("verification", ""),
            "checks": report.get("checks", {}),
            "workers": [row | {"checked": checked(self._node.driver, self._node.trust, row["peer"])} for row in workers],
            "below": [list(place) for place in self._node.driver.neighbours.below()],
            "options": (await self._node.manifest_of(job)).options.chosen(),
            "trace": trace,
        }

    def may_submit(self) -> None:
        """Whether the caller may submit jobs."""
        if not (self._caller.is_local or self._owner in self._node.config.allow):
            raise PeerError(
                f"{self._owner} may not submit jobs here",
                hint=f"ask whoever runs the node to start it with --allow {self._owner}",
            )

    def _must_be_local(self, what: str) -> None:
        if not self._caller.is_local:
            raise PeerError(f"only users of the node's own machine may {what}", hint="use the node's --data-dir there")

    def _job(self, job_id: str) -> Job:
        job = self._node.book.of(self._owner, job_id)
        if job is None:
            raise UnknownJobError(f"no job {job_id[:64]!r} of yours on this node", hint="pangea job list shows them")
        return job

    def _state(self, job: Job) -> str:
        return job.status(self._loop.time()).state.value


def _task(job: Job, explanation: Explanation) -> dict[str, Any]:
    lines = job.told(str(explanation)).splitlines()
    return {"task_id": job.told(explanation.task), "state": explanation.state.value, "lines": lines}
