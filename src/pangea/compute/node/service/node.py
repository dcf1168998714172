"""A node: its jobs from acceptance to the end, over restarts; who may have how much; what is kept and what is collected."""

from __future__ import annotations

import asyncio
import heapq
import json
import os
import time
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from random import SystemRandom
from typing import Any

from pangea.compute.engine.engine import Engine
from pangea.compute.model.errors import (
    JobCancelledError,
    NotDoneError,
    PangeaError,
    UnavailableError,
)
from pangea.compute.model.ids import JobId, PeerId
from pangea.compute.model.manifest import JobManifest
from pangea.compute.model.progress import JobState
from pangea.compute.model.tolerance import check_mode
from pangea.compute.network.identity import Identity, is_signed_by
from pangea.compute.network.rpc.limits import WireLimits
from pangea.compute.node import logs
from pangea.compute.node.conditions import Conditions, Machine, watch
from pangea.compute.node.config import NodeConfig
from pangea.compute.node.jobs.call_records import Witness
from pangea.compute.node.jobs.forgetting import Keeping, to_forget
from pangea.compute.node.jobs.jobs import Job, JobBook, LiveJob, receipt_in
from pangea.compute.node.jobs.proofs import Proofs
from pangea.compute.node.jobs.receipt_logging import ReceiptLogging
from pangea.compute.node.jobs.receipting import receipt_of
from pangea.compute.node.jobs.reports import error_for, error_record, report_of
from pangea.compute.node.jobs.starting import prepare_job, rank_of, read_content, spec_of
from pangea.compute.node.jobs.tracing import packed_trace
from pangea.compute.node.service.admission import Admission
from pangea.compute.node.service.lending import Lending
from pangea.compute.node.service.metrics import Metrics
from pangea.compute.node.service.spans import NodeSpans, Sink, said_of
from pangea.compute.node.storage import memory
from pangea.compute.node.storage.blobs import BlobStore
from pangea.compute.node.storage.journal import Journal
from pangea.compute.node.storage.modules import Modules
from pangea.compute.node.storage.receipt_log import FOLDER as LOG_FOLDER
from pangea.compute.node.storage.receipt_log import ReceiptLog
from pangea.compute.node.storage.records import (
    JobEnded,
    JobForgotten,
    JobsRestarted,
    SegmentsSplit,
    Stored,
    StoredJob,
    TaskKept,
)
from pangea.compute.node.storage.result_store import ResultStore
from pangea.compute.node.storage.witnessed import Witnessed
from pangea.compute.node.tree.contributions import Contributions
from pangea.compute.node.tree.cosigning import Cosigning
from pangea.compute.node.tree.driver import Driver
from pangea.compute.node.tree.membership import Membership
from pangea.compute.node.tree.witnessing import Witnessing
from pangea.compute.orchestrator.core.commands import FailJob, FinishJob
from pangea.compute.orchestrator.core.events import LendingChanged
from pangea.compute.orchestrator.rules.trust import TrustBook

#: Jobs that the orchestrator has in hand at once; the others wait in the order of their priority and arrival.
ACTIVE_JOBS_MAX = 500
_COLLECT_SECONDS = 10.0
_YOUNG_SECONDS = 60.0
_DAY_SECONDS = 86_400.0
_MODULES = "modules"
#: Lost jobs that are named one by one.
_NAMED_MAX = 50
_PROOFS = "bans"
_PAUSED = "paused"
_CONTRIBUTIONS = "contributions"
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
        self.peer: PeerId = PeerId(identity.peer_id)
        self.engine = engine
        self.journal = journal
        self.blobs = blobs
        self.result_store: ResultStore = ResultStore(blobs)
        self.metrics = metrics
        self.book: JobBook = JobBook()
        self.admission: Admission = Admission(config, self.book, journal, blobs, peer=self.peer, begin=self._accepted)
        self.is_stopping: bool = False
        #: Where content that comes in streams is written.
        self.streams: ThreadPoolExecutor = ThreadPoolExecutor(WireLimits().streams_max, "pangea-content")
        self._line: list[tuple[float, int, Job, tuple[StoredJob, ...]]] = []
        self._active = 0
        self._serial = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._restored_at = self._loop.time()
        self._spans: NodeSpans | None = None
        self.trust: TrustBook = TrustBook()
        self.driver: Driver = Driver(
            identity,
            engine,
            self.result_store,
            journal,
            Modules(config.data_dir / _MODULES),
            trust=self.trust,
            proofs=Proofs(config.data_dir / _PROOFS),
            on_end=self._on_end,
            on_change=self._on_change,
            on_task=metrics.task_ended,
            on_kept=metrics.task_accepted,
        )
        log = ReceiptLog(config.data_dir / LOG_FOLDER, self.peer, identity.sign)
        self.receipt_logging: ReceiptLogging = ReceiptLogging(log, blobs)
        self.cosigning: Cosigning = Cosigning(config.data_dir / LOG_FOLDER, self.driver.neighbours, is_signed_by, SystemRandom())
        witnessed = Witnessed(config.data_dir, self.peer, identity.sign, is_signed_by)
        self.driver.neighbours.witness = Witnessing(witnessed).cosign
        self.driver.neighbours.site = config.site
        self.contributions: Contributions = Contributions(config.data_dir / _CONTRIBUTIONS)
        self.driver.delegated.contributions = self.contributions
        self.membership: Membership = Membership(config, self.driver, self.trust, journal)
        self.lending: Lending = Lending(
            config.data_dir / _PAUSED, tell=lambda is_paused: self.driver.tell(LendingChanged(is_paused=is_paused))
        )

    def trace(self, sink: Sink) -> None:
        """Make spans of what is done, from now on."""
        self._spans = spans = NodeSpans(self.peer, self.driver.core, sink, self._given)
        self.driver.observe, self.driver.codec.trace = spans.saw, spans.passed_on

    def _given(self, source: PeerId | None, job_id: JobId) -> str:
        """Where a job's giver has it in a trace."""
        if source is not None:
            lent = self.driver.delegated.find(source, job_id)
            return "" if lent is None else lent.envelope.trace
        job = self.book.get(job_id)
        return "" if job is None or job.live is None else job.live.manifest.trace

    # Life

    async def start(self) -> int:
        """Take up what was left unfinished; how many jobs that is."""
        self.membership.restore(await asyncio.to_thread(self.journal.trust))
        await self.lending.restore()
        if not await asyncio.to_thread(self.contributions.restore):
            logs.get("node").warning("what was done for others is damaged", kept=f"{_CONTRIBUTIONS}.damaged")
        self._spawn(self.contributions.keep())
        self._spawn(self._watch())
        stored = await asyncio.to_thread(self.journal.load)
        ledger = await asyncio.to_thread(self.journal.ledger)
        self._restored_at = self._loop.time()
        self.book.restore(stored, ledger, clock=time.time(), now=self._restored_at)
        self.admission.restore(self._loop.time())
        if (log := self.journal.damaged_log) is not None:
            known = {name for job in self.book for name in (job.id, job.given)}
            lost = sorted(log.named - known)
            logs.get("node").error(
                "the journal's log is damaged",
                cause="its header fails its checksum: what came since the last checkpoint is lost",
                kept=str(log.path),
                lost=len(lost),
                jobs=" ".join(lost[:_NAMED_MAX]),
            )
        unfinished = [each for each in stored if each.ended is None]
        if unfinished:
            self.journal.post(JobsRestarted(job_ids=tuple(each.accepted.job_id for each in unfinished)))
        for each in unfinished:
            job = self.book.get(each.accepted.job_id)
            assert job is not None, "just restored"
            job.restarts += 1
            for each_body in _bodies_of(each):
                self.result_store.pin(each_body)  # before anything is collected
            self._enqueue(job, (each,))
        self._spawn(self.receipt_logging.start([job for job in self.book if job.receipt is not None]))
        self._spawn(self.cosigning.run())
        self._spawn(self._collect_for_ever())
        self._begin_more()
        return len(unfinished)

    async def _watch(self) -> None:
        config = self.config
        conditions = Conditions(only_idle=config.only_idle, hours=config.hours, battery=config.battery)
        await watch(conditions, Machine(counts_others=config.only_idle), self.lending.hold)

    async def stop(self) -> None:
        """Begin nothing more, let running tasks finish for a while; unfinished jobs go on after the next start."""
        self.is_stopping = True
        self.lending.close()
        await self.admission.are_taken()
        await self.driver.stop(self.config.stop_seconds)
        with suppress(OSError):  # a full disk: what came last isn't told
            await asyncio.to_thread(self.contributions.save)
        if self._spans is not None:
            self._spans.close(self.driver.now())
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
        """Put a job on disk, then begin it when it is its turn; raises as `Admission.accept` does."""
        if self.is_stopping:
            raise UnavailableError("the node is stopping", hint="try again when it is back", retry=True)
        return await self.admission.accept(owner, manifest)

    def _accepted(self, job: Job, manifest: JobManifest) -> None:
        """A job is on disk."""
        job.fresh = manifest if self._active < ACTIVE_JOBS_MAX else None  # of those that wait, the text is enough
        self.metrics.job_accepted()
        self._enqueue(job, ())
        self._begin_more()

    # Under way

    def _enqueue(self, job: Job, stored: tuple[StoredJob, ...]) -> None:
        self._serial += 1
        rank = rank_of(job.manifest(), job.accepted.accepted_at)
        heapq.heappush(self._line, (rank, self._serial, job, stored))

    def _begin_more(self) -> None:
        while self._line and self._active < ACTIVE_JOBS_MAX and not self.is_stopping:
            rank, _, job, stored = heapq.heappop(self._line)
            if not job.is_ending:
                job.has_slot = True
                self._active += 1
                self._spawn(self._begin(job, rank, stored))

    async def _begin(self, job: Job, rank: float, stored: tuple[StoredJob, ...]) -> None:
        if job.is_ending:  # cancelled since its turn came
            return
        manifest, job.fresh = job.manifest(), None
        job.accepted = replace(job.accepted, manifest="")  # the journal has it
        live = LiveJob(manifest=manifest, spec=spec_of(manifest), rank=rank, since=self._loop.time())
        job.live = live
        live.records.is_wanted = manifest.options.receipt
        live.stored += [body for one in stored for body in _bodies_of(one)]
        try:
            is_strangers = job.owner != f"uid:{os.getuid()}"
            live.prepared = await prepare_job(manifest, self.engine, self.blobs, is_strangers=is_strangers)
            if live.prepared.tolerance is not None:
                has_check = live.prepared.checker is not None
                check_mode(live.spec.verification, expects_hash=bool(live.spec.expected), has_check=has_check)
                live.spec = replace(live.spec, tolerance=str(live.prepared.tolerance))
            is_shader, has_check = live.prepared.guest_of("execute").gpu is not None, live.prepared.checker is not None
            live.spec = replace(live.spec, needs_adapter=is_shader, has_check=has_check)
            live.spec = replace(live.spec, associative=live.spec.associative and live.prepared.has_merge)
            live.signed = self.driver.sign_spec(live)
            live.spec = replace(live.spec, signed=live.signed.hash())
            for one in stored:
                for each in one.records:
                    live.records.restore(each, live.spec, self.peer)
            splits, kept = await asyncio.to_thread(self._whole, stored) if stored else ((), ())
        except PangeaError as error:
            self._finish(job, live, state=JobState.FAILED, error=error)
            return
        except Exception as error:  # a bug of ours must end the job, not leave it waiting
            failure = UnavailableError(f"the node failed to begin the job: {type(error).__name__}: {error}")
            self._finish(job, live, state=JobState.FAILED, error=failure)
            return
        if not (job.is_ending or self.is_stopping):  # the driver takes nothing any more: it is begun after the next start
            live.since = self._loop.time()
            self.driver.submit(live, splits, kept)
            job.touch()

    def _whole(self, stored: tuple[StoredJob, ...]) -> tuple[tuple[SegmentsSplit, ...], tuple[TaskKept, ...]]:
        """What was done before a restart and is still there, undamaged; the rest is done again."""
        for one in stored:
            for name in one.accepted.blobs:
                self.blobs.verify(name)  # what lay on the disk while the node was down is looked at before it is believed
        splits = tuple(each for one in stored for each in one.splits if self.result_store.is_whole(each.body))
        tasks = tuple(each for one in stored for each in one.tasks if self.result_store.is_whole(each.body))
        return splits, tasks

    async def cancel(self, job: Job) -> bool:
        """Cancel a job, and wait until it has ended; False if its end was decided already."""
        await self.admission.is_taken(job)  # in the journal, its end must come behind it
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
        report: dict[str, Any] | None = {"prints": counts.prints} if counts is not None and counts.prints else None
        if live is not None and command is not None:
            report = report_of(live, command, self.peer, engine=self.engine, seconds=seconds)
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
        if job.has_slot:
            job.has_slot = False
            self._active -= 1
        self.metrics.job_ended(state.value)
        if self._spans is not None:
            self._span(self._spans, job, live, ended, error)
        self._spawn(self._close(job, live, ended, command))
        self._begin_more()

    def _span(self, spans: NodeSpans, job: Job, live: LiveJob | None, ended: JobEnded, error: PangeaError | None) -> None:
        """The span of a job that has ended, and those of the calls that only this node makes."""
        about: dict[str, str | int] = {"pangea.job.name": job.accepted.name, "pangea.node": self.peer}
        about |= {"pangea.fuel": ended.fuel, "pangea.chunk.count": ended.chunks, "pangea.input.bytes": job.accepted.bytes_in}
        place = spans.job_ended(
            job.id,
            live.manifest.trace if live is not None else "",
            state=JobState(ended.state),
            began=job.accepted.accepted_at,
            ended=ended.ended_at,
            about=about,
            error=said_of(error),
        )
        if live is not None:
            spans.called(place, job.id, live.tracer, ended.ended_at - live.elapsed())

    async def _close(self, job: Job, live: LiveJob | None, ended: JobEnded, command: FinishJob | None) -> None:
        """Write down the end; tell those who wait once it is on disk, or at once if the disk won't have it now."""
        receipt = ""
        if live is not None and command is not None and live.records.is_wanted:
            ended, receipt = await self._with_receipt(live, ended, command)
        if live is not None:
            ended = replace(ended, trace=await packed_trace(live, self.peer))
        is_on_disk = await self.journal.settle(ended)
        if is_on_disk and (kept := receipt_in(ended)) is not None:
            await self.receipt_logging.add([(job.id, *kept)])
        ended = replace(ended, trace=b"") if is_on_disk else ended
        self.book.charge(job.owner, ended.fuel)
        job.kept_since = self._loop.time()
        self.book.end(job, ended, is_on_disk=is_on_disk)
        if receipt:
            self.blobs.unpin(receipt)
        job.live = job.fresh = None
        if live is not None:
            for stored in live.stored:
                self.result_store.forget(stored)
        job.touch()

    async def receipt_of(self, job: Job) -> Stored:
        """Where a job's receipt is.

        Raises:
            NotDoneError: it has none, or hasn't ended.
        """
        if job.receipt is None:
            state = job.status(self._loop.time()).state.value
            raise NotDoneError(f"job {job.given} is {state}, and has no receipt", hint="submit it with receipt=True (--receipt)")
        name, size = job.receipt
        return Stored(data=None, blob=name, size=size)

    async def _with_receipt(self, live: LiveJob, ended: JobEnded, command: FinishJob) -> tuple[JobEnded, str]:
        """The end of a job, with where its receipt is, and the pinned blob's name; without one, if none can be made, and why."""
        assert live.result is not None, "a finished job has a result"
        report, name = json.loads(ended.report), ""
        try:
            module = await asyncio.to_thread(read_content, live.manifest.module, self.blobs)
            receipt = await asyncio.to_thread(
                receipt_of,
                live,
                command.report,
                live.result,
                module,
                Witness(self.peer, self.identity.sign),
                self.result_store,
            )
            name = await asyncio.to_thread(lambda: self.blobs.put([receipt], durable=True, is_pinned=True))
        except (PangeaError, ValueError) as error:
            logs.get("node").warning("no receipt", job=ended.job_id, error=str(error))
            report["no_receipt"] = str(error)
        else:
            report["receipt"] = {"sha256": name, "size": len(receipt)}
        return replace(ended, report=json.dumps(report)), name

    # Afterwards

    async def manifest_of(self, job: Job) -> JobManifest:
        """What was submitted."""
        return JobManifest.from_json(json.loads(await self.admission.manifest_text(job)))

    def needed(self) -> set[str]:
        """Blobs that some job's record names."""
        return {name for job in self.book for name in job.contents()}

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
        self.admission.shelf.expire(self._loop.time())
        await asyncio.to_thread(self.blobs.collect, self.needed(), older_than=_YOUNG_SECONDS, now=time.monotonic())
        self.metrics.blob_bytes(self.blobs.total_bytes)
        if not self.book.unfinished():
            await asyncio.to_thread(memory.give_back)

    def _forget_old(self) -> None:
        ended, config = [job for job in self.book if job.ended is not None], self.config
        keeping = Keeping(
            seconds=config.kept_days * _DAY_SECONDS,
            jobs_max=config.kept_jobs_max,
            asked_for_max=config.jobs_max,
            bytes_per_owner_max=config.bytes_per_owner_max,
        )
        now, restored_at = self._loop.time(), self._restored_at
        for job in to_forget(ended, keeping, now=now, restored_at=restored_at, bytes_of=self.blobs.bytes_of):
            self.book.remove(job)
            self.journal.post(JobForgotten(job_id=job.id))


def _bodies_of(stored: StoredJob) -> list[Stored]:
    return [*(each.body for each in stored.splits), *(each.body for each in stored.tasks)]
