"""A node: its jobs from acceptance to the end, over restarts; who may have how much; what is kept and what is collected."""

from __future__ import annotations

import asyncio
import heapq
import json
import time
import uuid
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from hashlib import sha256
from typing import Any

from pangea.compute.engine.engine import Engine
from pangea.compute.model.errors import (
    JobCancelledError,
    ManifestError,
    NotDoneError,
    PangeaError,
    QuotaError,
    UnavailableError,
)
from pangea.compute.model.ids import JobId, PeerId
from pangea.compute.model.manifest import Content, JobManifest
from pangea.compute.model.status import JobState
from pangea.compute.model.units import human_bytes
from pangea.compute.network.identity import Identity
from pangea.compute.network.limits import WireLimits
from pangea.compute.node import logs, memory
from pangea.compute.node.blobs import BlobStore
from pangea.compute.node.bodies import Bodies
from pangea.compute.node.config import NodeConfig
from pangea.compute.node.driver import Driver
from pangea.compute.node.family import Family
from pangea.compute.node.jobs import Job, JobBook, LiveJob
from pangea.compute.node.journal import Journal
from pangea.compute.node.metrics import Metrics
from pangea.compute.node.modules import Modules
from pangea.compute.node.receipting import Witness, receipt_of
from pangea.compute.node.records import (
    INLINE_BYTES_MAX,
    JobAccepted,
    JobEnded,
    JobForgotten,
    JobsRestarted,
    SegmentsSplit,
    Stored,
    StoredJob,
    TaskKept,
)
from pangea.compute.node.reports import error_for, error_record, report_of
from pangea.compute.node.starting import check_module, prepare_job, rank_of, read_content, spec_of
from pangea.compute.node.tracing import packed_trace
from pangea.compute.orchestrator.commands import FailJob, FinishJob
from pangea.compute.orchestrator.trust import TrustBook

#: Jobs that the orchestrator has in hand at once; the others wait in the order of their priority and arrival.
ACTIVE_JOBS_MAX = 500
#: Content that was sent ahead waits so long for its job.
RESERVED_SECONDS = 600.0
_COLLECT_SECONDS = 10.0
_YOUNG_SECONDS = 60.0
_DAY_SECONDS = 86_400.0
_MODULES = "modules"
#: Whoever cancels waits no longer for the end to be written down.
_END_SECONDS = 5.0


class Node:
    """Everything a node does, but for who asks it to."""

    def __init__(
        self, config: NodeConfig, identity: Identity, engine: Engine, journal: Journal, blobs: BlobStore, metrics: Metrics
    ) -> None:
        """A node at rest; `start` sets it to work. All parts are open and stay their opener's to close."""
        self.config = config
        self.identity = identity
        self.peer = PeerId(identity.peer_id)
        self.engine = engine
        self.journal = journal
        self.blobs = blobs
        self.bodies = Bodies(blobs)
        self.metrics = metrics
        self.book = JobBook()
        self.is_stopping = False
        self.uploading: dict[str, int] = {}
        "bytes announced and not yet in a job, by owner"
        #: Where content that comes in streams is written.
        self.streams = ThreadPoolExecutor(WireLimits().streams_max, "pangea-content")
        self._reserved: dict[str, float] = {}
        self._line: list[tuple[float, int, Job, tuple[StoredJob, ...]]] = []
        self._active = 0
        self._serial = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._taking: dict[JobId, asyncio.Task[None]] = {}
        "jobs on their way to disk"
        self._loop = asyncio.get_running_loop()
        self.trust = TrustBook()
        self.driver = Driver(
            identity,
            engine,
            self.bodies,
            journal,
            Modules(config.data_dir / _MODULES),
            trust=self.trust,
            on_end=self._on_end,
            on_change=self._on_change,
            on_task=metrics.task_ended,
            on_kept=metrics.task_accepted,
        )
        self.driver.neighbours.site = config.site
        self.family = Family(config, self.driver, self.trust, journal)

    # Life

    async def start(self) -> int:
        """Take up what was left unfinished; how many jobs that is."""
        self.family.restore(await asyncio.to_thread(self.journal.trust))
        stored = await asyncio.to_thread(self.journal.load)
        self.book = JobBook.restored(stored, await asyncio.to_thread(self.journal.ledger))
        unfinished = [each for each in stored if each.ended is None]
        if unfinished:
            self.journal.post(JobsRestarted(job_ids=tuple(each.accepted.job_id for each in unfinished)))
        for each in unfinished:
            job = self.book.get(each.accepted.job_id)
            assert job is not None, "just restored"
            job.restarts += 1
            for each_body in _bodies_of(each):
                self.bodies.pin(each_body)  # before anything is collected
            self._enqueue(job, (each,))
        self._spawn(self._collect_for_ever())
        self._begin_more()
        return len(unfinished)

    async def stop(self) -> None:
        """Begin nothing more, let running tasks finish for a while; unfinished jobs go on after the next start."""
        self.is_stopping = True
        await asyncio.gather(*self._taking.values(), return_exceptions=True)
        await self.driver.stop(self.config.stop_seconds)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.streams.shutdown(wait=False, cancel_futures=True)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # Acceptance

    async def accept(self, owner: str, manifest: JobManifest) -> JobId:
        """Put a job on disk, then begin it when it is its turn.

        Raises:
            ManifestError: its id is another job's, or it names a file.
            BadModuleError: its module is none.
            InputError: it names content that the node doesn't have.
            QuotaError: the owner or the node has as much as it may have, or the disk is full.
        """
        if self.is_stopping:
            raise UnavailableError("the node is stopping", hint="try again when it is back", retry=True)
        manifest = manifest if manifest.job_id else manifest.with_job_id(str(uuid.uuid4()))
        if (known := self.book.get(manifest.job_id)) is not None:
            if known.owner == owner and await self._manifest_text(known) == _text(_by_hash(manifest)):
                if (taking := self._taking.get(known.id)) is not None:
                    await asyncio.shield(taking)
                return known.id
            raise ManifestError(f"there is another job {manifest.job_id} on this node", hint="leave job_id out", field="jobId")
        self._check_quota(owner, manifest)
        manifest = await self._on_disk(manifest)
        accepted = JobAccepted(
            job_id=manifest.job_id,
            owner=owner,
            name=manifest.name,
            manifest=_text(manifest),
            accepted_at=time.time(),
            bytes_in=manifest.data_size,
            blobs=tuple(each.sha256 for each in (manifest.module, *manifest.inputs) if each.sha256),
        )
        job = Job(accepted)
        job.fresh = manifest if self._active < ACTIVE_JOBS_MAX else None  # of those that wait, the text is enough
        self.book.add(job)  # before the wait, so that the same id a moment later meets it
        taking = self._loop.create_task(self._take(job))
        self._taking[job.id] = taking
        taking.add_done_callback(lambda done: self._taken(job, done))
        await asyncio.shield(taking)  # who hangs up now can't know whether the job is on disk: if it is, it runs
        return job.id

    async def _take(self, job: Job) -> None:
        await self.journal.append(job.accepted)
        self.metrics.job_accepted()
        self._enqueue(job, ())
        self._begin_more()

    def _taken(self, job: Job, done: asyncio.Task[None]) -> None:
        self._taking.pop(job.id, None)
        if done.cancelled() or done.exception() is not None:
            self.book.remove(job)

    def _check_quota(self, owner: str, manifest: JobManifest) -> None:
        config, own = self.config, self.book.unfinished(owner)
        if len(own) >= config.jobs_per_owner_max:
            raise QuotaError(
                f"{owner} has {len(own):,} unfinished jobs on this node, the most it may have",
                hint="wait for one to end, or cancel one",
            )
        if len(self.book.unfinished()) >= config.jobs_max:
            raise QuotaError(f"this node has {config.jobs_max:,} unfinished jobs, the most it takes", hint="try again later")
        self.check_bytes(owner, manifest.data_size)
        used = self.book.fuel.get(owner, 0)
        if config.fuel_per_owner_max and used >= config.fuel_per_owner_max:
            raise QuotaError(
                f"{owner} has used {used:,} fuel of the {config.fuel_per_owner_max:,} it may use on this node",
                hint="ask whoever runs the node for more",
            )

    def check_bytes(self, owner: str, size: int) -> None:
        """Whether an owner may bring `size` bytes more.

        Raises:
            QuotaError: no.
        """
        held = sum(job.accepted.bytes_in for job in self.book.unfinished(owner)) + self.uploading.get(owner, 0)
        if held + size > self.config.bytes_per_owner_max:
            raise QuotaError(
                f"{human_bytes(size)} more would be {human_bytes(held + size)} of input for {owner};"
                f" this node holds {human_bytes(self.config.bytes_per_owner_max)} at most",
                hint="wait for a job to end, or give the node less",
            )

    async def _on_disk(self, manifest: JobManifest) -> JobManifest:
        """The same job with everything large in blobs, pinned until the job has ended."""
        for content in (manifest.module, *manifest.inputs):
            if content.path:
                raise ManifestError(f"the manifest names the file {content.path!r} of another machine", hint="send its bytes")
        module = manifest.module
        check_module(
            module.data[:4] if module.data is not None else await asyncio.to_thread(_head, module, self.blobs), manifest.name
        )
        return replace(
            manifest,
            module=await self._content_on_disk(module),
            inputs=tuple([await self._content_on_disk(each) for each in manifest.inputs]),
        )

    async def _content_on_disk(self, content: Content) -> Content:
        if content.data is None:
            if not self.blobs.has(content.sha256) or self.blobs.size(content.sha256) != content.size:
                raise ManifestError(f"the node has no content {content.sha256} of {content.size:,} bytes", hint="upload it first")
            return content
        if content.size <= INLINE_BYTES_MAX:
            return content
        name = await asyncio.to_thread(self.blobs.put, [content.data], durable=True)
        self.reserve(name)
        return Content(sha256=name, size=content.size)

    def reserve(self, name: str) -> None:
        """Keep a blob for a job that comes soon."""
        if name not in self._reserved:
            self.blobs.pin(name)
        self._reserved[name] = self._loop.time() + RESERVED_SECONDS

    # Under way

    def _enqueue(self, job: Job, stored: tuple[StoredJob, ...]) -> None:
        self._serial += 1
        rank = rank_of(job.manifest(), job.accepted.accepted_at)
        heapq.heappush(self._line, (rank, self._serial, job, stored))

    def _begin_more(self) -> None:
        while self._line and self._active < ACTIVE_JOBS_MAX and not self.is_stopping:
            rank, _, job, stored = heapq.heappop(self._line)
            if not job.is_ending:
                self._active += 1
                self._spawn(self._begin(job, rank, stored))

    async def _begin(self, job: Job, rank: float, stored: tuple[StoredJob, ...]) -> None:
        manifest, job.fresh = job.manifest(), None
        job.accepted = replace(job.accepted, manifest="")  # the journal has it
        live = LiveJob(manifest=manifest, spec=spec_of(manifest), rank=rank, since=self._loop.time())
        job.live = live
        live.records.is_wanted = manifest.options.receipt
        for one in stored:
            for each in one.records:
                live.records.restore(each, live.spec, self.peer)
        live.stored += [body for one in stored for body in _bodies_of(one)]
        try:
            live.prepared = await prepare_job(manifest, self.engine, self.blobs)
            splits, kept = await asyncio.to_thread(self._whole, stored) if stored else ((), ())
        except PangeaError as error:
            self._finish(job, live, state=JobState.FAILED, error=error)
            return
        except Exception as error:  # a bug of ours must end the job, not leave it waiting
            failure = UnavailableError(f"the node failed to begin the job: {type(error).__name__}: {error}")
            self._finish(job, live, state=JobState.FAILED, error=failure)
            return
        if not job.is_ending:
            live.since = self._loop.time()
            self.driver.submit(live, splits, kept)
            job.touch()

    def _whole(self, stored: tuple[StoredJob, ...]) -> tuple[tuple[SegmentsSplit, ...], tuple[TaskKept, ...]]:
        """What was done before a restart and is still there, undamaged; the rest is done again."""
        for one in stored:
            for name in one.accepted.blobs:
                self.blobs.verify(name)  # what lay on the disk while the node was down is looked at before it is believed
        splits = tuple(each for one in stored for each in one.splits if self.bodies.is_whole(each.body))
        tasks = tuple(each for one in stored for each in one.tasks if self.bodies.is_whole(each.body))
        return splits, tasks

    async def cancel(self, job: Job) -> bool:
        """Cancel a job, and wait until it has ended; False if its end was decided already."""
        if (taking := self._taking.get(job.id)) is not None:
            await asyncio.shield(taking)  # in the journal, its end must come behind it
        is_ours = not job.is_ending
        if is_ours and job.live is not None and self.driver.has(job.id):
            self.driver.cancel(job.id)
        elif is_ours:
            self._finish(job, job.live, state=JobState.CANCELLED, error=JobCancelledError("the job was cancelled"))
        until = self._loop.time() + _END_SECONDS
        while job.ended is None and (left := until - self._loop.time()) > 0:
            await job.change(left)
        return is_ours

    def _on_change(self, job_id: JobId) -> None:
        if (job := self.book.get(job_id)) is not None:
            job.touch()

    def _on_end(self, job_id: JobId, live: LiveJob, command: FinishJob | FailJob) -> None:
        job = self.book.get(job_id)
        assert job is not None, "a live job is in the book"
        if isinstance(command, FinishJob):
            self._finish(job, live, state=JobState.COMPLETE, command=command)
        else:
            state = JobState.CANCELLED if command.cause == "cancelled" else JobState.FAILED
            self._finish(job, live, state=state, error=error_for(live, command))

    def _finish(
        self,
        job: Job,
        live: LiveJob | None,
        *,
        state: JobState,
        command: FinishJob | None = None,
        error: PangeaError | None = None,
    ) -> None:
        if job.is_ending:  # cancelled while its module was being prepared: it ends once
            return
        job.is_ending = True
        counts = live.counts if live is not None else None
        result = live.result if live is not None and command is not None else None
        seconds = self._loop.time() - live.since if live is not None else 0.0
        report = report_of(live, command, self, seconds) if live is not None and command is not None else None
        ended = JobEnded(
            job_id=job.id,
            state=state.value,
            ended_at=time.time(),
            body=result,
            size=result.size if result is not None else 0,
            error=json.dumps(error_record(error)) if error is not None else "",
            report=json.dumps(report) if report is not None else "",
            fuel=counts.fuel if counts is not None else 0,
            chunks=live.chunks.count - live.chunks.waiting_count if live is not None else 0,
        )
        if live is not None:
            self._active -= 1
        self.metrics.job_ended(state.value)
        self._spawn(self._close(job, live, ended, command))
        self._begin_more()

    async def _close(self, job: Job, live: LiveJob | None, ended: JobEnded, command: FinishJob | None) -> None:
        """Write down the end; tell those who wait once it is on disk, or at once if the disk won't have it now."""
        if live is not None and command is not None and live.records.is_wanted:
            ended = await self._with_receipt(live, ended, command)
        if live is not None:
            ended = replace(ended, trace=await packed_trace(live, self.peer))
        is_on_disk = await self.journal.settle(ended)
        ended = replace(ended, trace=b"") if is_on_disk else ended
        self.book.charge(job.owner, ended.fuel)
        self.book.end(job, ended, is_on_disk=is_on_disk)
        job.live = job.fresh = None
        if live is not None:
            for stored in live.stored:
                self.bodies.forget(stored)
        job.touch()

    async def receipt_of(self, job: Job) -> Stored:
        """Where a job's receipt is.

        Raises:
            NotDoneError: it has none, or hasn't ended.
        """
        if job.receipt is None:
            state = job.status(self._loop.time()).state.value
            raise NotDoneError(f"job {job.id} is {state}, and has no receipt", hint="submit it with receipt=True (--receipt)")
        name, size = job.receipt
        return Stored(data=None, blob=name, size=size)

    async def _with_receipt(self, live: LiveJob, ended: JobEnded, command: FinishJob) -> JobEnded:
        """The end of a job, with where its receipt is; without one, if none can be made, and why."""
        assert live.result is not None, "a finished job has a result"
        report = json.loads(ended.report)
        try:
            module = await asyncio.to_thread(read_content, live.manifest.module, self.blobs)
            receipt = await asyncio.to_thread(
                receipt_of, live, command.report, live.result, module, Witness(self.peer, self.identity.sign)
            )
            name = await asyncio.to_thread(self.blobs.put, [receipt], durable=True)
        except (PangeaError, ValueError) as error:
            logs.get("node").warning("no receipt", job=ended.job_id, error=str(error))
            report["no_receipt"] = str(error)
        else:
            self.reserve(name)
            report["receipt"] = {"sha256": name, "size": len(receipt)}
        return replace(ended, report=json.dumps(report))

    # Afterwards

    async def manifest_of(self, job: Job) -> JobManifest:
        """What was submitted."""
        return JobManifest.from_json(json.loads(await self._manifest_text(job)))

    async def _manifest_text(self, job: Job) -> str:
        if job.accepted.manifest:
            return job.accepted.manifest
        return await asyncio.to_thread(self.journal.manifest_of, job.id)

    def needed(self) -> set[str]:
        """Blobs that some job's record names."""
        names: set[str] = set()
        for job in self.book:
            names.update(job.accepted.blobs)
            if job.receipt is not None:
                names.add(job.receipt[0])
            if job.ended is not None and job.ended.body is not None and job.ended.body.blob:
                names.add(job.ended.body.blob)
        return names

    async def _collect_for_ever(self) -> None:
        while True:
            try:
                await self._collect()
            except (PangeaError, OSError) as error:  # a full or failing disk: the next time may be better
                logs.get("node").warning("collecting failed", error=str(error))
            await asyncio.sleep(_COLLECT_SECONDS)

    async def _collect(self) -> None:
        """Forget old jobs, and delete content that nobody needs any more."""
        self._forget_old()
        now = self._loop.time()
        for name in [name for name, until in self._reserved.items() if until < now]:
            del self._reserved[name]
            self.blobs.unpin(name)
        await asyncio.to_thread(self.blobs.collect, self.needed(), older_than=_YOUNG_SECONDS, now=time.time())
        self.metrics.blob_bytes(self.blobs.total_bytes)
        if not self.book.unfinished():
            await asyncio.to_thread(memory.give_back)

    def _forget_old(self) -> None:
        ended = [job for job in self.book if job.ended is not None]
        oldest = time.time() - self.config.kept_days * _DAY_SECONDS
        surplus = max(0, len(ended) - self.config.kept_jobs_max)
        for place, job in enumerate(ended):
            assert job.ended is not None, "only ended ones"
            if place < surplus or job.ended.ended_at < oldest:
                self.book.remove(job)
                self.journal.post(JobForgotten(job_id=job.id))


def _bodies_of(stored: StoredJob) -> list[Stored]:
    return [*(each.body for each in stored.splits), *(each.body for each in stored.tasks)]


def _head(content: Content, blobs: BlobStore) -> bytes:
    if not blobs.has(content.sha256):
        raise ManifestError(f"the node has no module {content.sha256}", hint="upload it first")
    return blobs.read(content.sha256, 0, 4)


def _text(manifest: JobManifest) -> str:
    return json.dumps(manifest.to_json(), sort_keys=True)


def _by_hash(manifest: JobManifest) -> JobManifest:
    """The manifest as it is kept: what is large, by its hash."""

    def shorten(content: Content) -> Content:
        if content.data is None or content.size <= INLINE_BYTES_MAX:
            return content
        return Content(sha256=sha256(content.data).hexdigest(), size=content.size)

    return replace(manifest, module=shorten(manifest.module), inputs=tuple(map(shorten, manifest.inputs)))
