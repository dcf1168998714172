"""The driver: carries out what the orchestrator decides, and tells it what happened. Thin: it decides nothing itself.

It lives on one event loop. The engine's work, files and hashes happen in threads and processes; nothing here blocks the loop.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import replace
from functools import partial
from random import Random
from typing import Any, Protocol, assert_never

from pangea.compute.engine.engine import Engine
from pangea.compute.model import frames
from pangea.compute.model.errors import PangeaError, UnavailableError
from pangea.compute.model.ids import JobId, PeerId, TaskId
from pangea.compute.model.outcome import MACHINE_FAULTS, Failure
from pangea.compute.model.packet import TaskPacket, TaskResult
from pangea.compute.network.identity import Identity, is_signed_by
from pangea.compute.node import logs
from pangea.compute.node.jobs import checking, final_merge
from pangea.compute.node.jobs.call_records import Witness, kept
from pangea.compute.node.jobs.calls import Calls, lost
from pangea.compute.node.jobs.comparing import compared, is_the_same
from pangea.compute.node.jobs.execution import execute, failed, hash_of
from pangea.compute.node.jobs.intake import Intake
from pangea.compute.node.jobs.jobs import Kept, LiveJob, TaskDone
from pangea.compute.node.jobs.proofs import Proofs
from pangea.compute.node.jobs.receipting import sign_spec
from pangea.compute.node.jobs.repeating import not_the_same
from pangea.compute.node.storage.contents import Contents
from pangea.compute.node.storage.modules import Modules
from pangea.compute.node.storage.records import RecordKept, SegmentsSplit, Stored, TaskDropped, TaskKept, TrustKept
from pangea.compute.node.storage.result_store import ResultStore
from pangea.compute.node.tree.attestation import record_of, signed
from pangea.compute.node.tree.delegated import DelegatedJob, DelegatedJobs
from pangea.compute.node.tree.neighbours import Neighbours
from pangea.compute.node.tree.peer_codec import PeerCodec
from pangea.compute.orchestrator.core.commands import (
    Command,
    DropJob,
    DropPeer,
    DropResult,
    FailJob,
    FinishJob,
    KeepResult,
    KeepTrust,
    MergeJob,
    Send,
    StartTask,
    StopTask,
)
from pangea.compute.orchestrator.core.events import (
    ChunksReady,
    Event,
    FinishedTask,
    JobBroken,
    JobCancelled,
    JobMerged,
    JobSubmitted,
    TaskExecuted,
    TimerFired,
)
from pangea.compute.orchestrator.judging.own_check import CHECK
from pangea.compute.orchestrator.machine import Orchestrator
from pangea.compute.orchestrator.rules.trust import TrustBook
from pangea.compute.verification.signed_spec import SignedSpec


class DurableStore(Protocol):
    """Where the driver writes down what must survive."""

    def post(self, entry: SegmentsSplit | TaskKept | TaskDropped | TrustKept | RecordKept) -> object:
        """Write soon, in order."""


OnEnd = Callable[[JobId, LiveJob, FinishJob | FailJob], None]
OnTask = Callable[[str, float], None]
Work = Callable[[], Coroutine[Any, Any, TaskResult]]
OnKept = Callable[[int, int, int], None]


class Driver:
    """Drives the jobs of one node."""

    #: Told of each event, of what was decided, before that is done, and when.
    observe: Callable[[Event, list[Command], float], None] | None = None

    def __init__(
        self,
        identity: Identity,
        engine: Engine,
        result_store: ResultStore,
        journal: DurableStore,
        modules: Modules,
        *,
        trust: TrustBook,
        proofs: Proofs,
        on_end: OnEnd,
        on_change: Callable[[JobId], None],
        on_task: OnTask,
        on_kept: OnKept,
    ) -> None:
        """Drive `engine` for a node.

        Args:
            identity: this node's key.
            engine: executes.
            result_store: keeps results.
            journal: keeps what is done.
            modules: keeps modules of parents' jobs.
            trust: what is known of workers from earlier.
            proofs: keeps what gets workers shut out.
            on_end: told when a job has its result or fails.
            on_change: told when a job's status has changed.
            on_task: told of each finished task: "done" or why not, and seconds in the sandbox.
            on_kept: told of each accepted task: its chunks, their bytes, and its fuel.
        """
        self.calls: Calls = Calls(engine)
        random = Random(secrets.randbits(128))  # noqa: S311  # seeded by the kernel, and nobody sees its numbers
        self._peer = PeerId(identity.peer_id)
        adapters = int(bool(engine.adapter))
        self.core: Orchestrator = Orchestrator(self._peer, cores=engine.workers, random=random, trust=trust, adapters=adapters)
        self._witness = Witness(self._peer, identity.sign)
        self._result_store = result_store
        self._journal = journal
        self.proofs = proofs
        self._on_end, self._on_change = on_end, on_change
        self._on_task = on_task
        self._on_kept = on_kept
        self._loop = asyncio.get_running_loop()
        #: Trust outlives the process: what the orchestrator calls now is the time of day when this began, and goes on evenly.
        self._clock_offset = time.time() - self._loop.time()
        self._events: deque[Event] = deque()
        self._is_telling = False
        self._live: dict[JobId, LiveJob] = {}
        self._attempts: dict[int, LiveJob | DelegatedJob] = {}
        self.contents: Contents = Contents(lambda *what: self.neighbours.fetch(*what))  # noqa: PLW0108  # they are made last
        delegated = DelegatedJobs(self._witness, self.calls, result_store, self.contents, modules, on_task, check=is_signed_by)
        self.delegated: DelegatedJobs = delegated
        parts = (self.core, self._live, self.delegated, result_store, self.contents)
        self.codec: PeerCodec = PeerCodec(self._witness, *parts, check=is_signed_by)
        self.neighbours: Neighbours = Neighbours(self._peer, self.tell, self.codec, self.delegated, self.contents)
        #: Why peers were shut out, as far as this process knows.
        self.causes: dict[PeerId, str] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._is_stopping = False

    # What happens

    def submit(self, job: LiveJob, splits: tuple[SegmentsSplit, ...] = (), kept: tuple[TaskKept, ...] = ()) -> None:
        """Begin a prepared job, with what is left of it from before a restart."""
        assert job.prepared is not None, "the module comes first"
        finished = []
        for each in kept:
            packet = TaskPacket(task_id=TaskId(each.task_id), start=each.start, count=each.count, size_bytes=each.size_bytes)
            job.done[each.digest] = TaskDone(each.body, each.fuel, each.seconds, each.prints)
            size = each.body.size - frames.HEADER_BYTES
            finished.append(FinishedTask(packet=packet, digest=each.digest, fuel=each.fuel, size_bytes=size))
            self._count(job, Kept(packet, each.digest, each.fuel))
        job.chunks.expect((each.start, each.count) for each in kept)
        self._live[job.spec.job_id] = job
        self.tell(JobSubmitted(spec=job.spec, finished=tuple(finished)))
        if job.spec.job_id in self._live:
            self._spawn(job, self._feed(job, splits))

    def sign_spec(self, job: LiveJob) -> SignedSpec:
        """The spec of a prepared job, signed by this node."""
        return sign_spec(job, self.calls.engine.meter, self._witness)

    def has(self, job_id: JobId) -> bool:
        """Whether the job is under way here."""
        return job_id in self._live

    def cancel(self, job_id: JobId) -> None:
        """The client doesn't want it any more."""
        self.tell(JobCancelled(job_id=job_id))

    def tell(self, event: Event) -> None:
        """Tell the orchestrator what happened, and do what it says."""
        self._events.append(event)
        if self._is_telling:
            return  # doing what it says made this happen: it hears of it when all of that is done
        self._is_telling = True
        try:
            while self._events:
                event, now = self._events.popleft(), self.now()
                commands = self.core.handle(event, now=now)
                if self.observe is not None:
                    self.observe(event, commands, now)
                for command in commands:
                    self._do(command)
        finally:
            self._is_telling = False
            self._arm()

    def now(self) -> float:
        """The orchestrator's clock: seconds since 1970, as far as one can go without ever jumping."""
        return self._clock_offset + self._loop.time()

    async def stop(self, seconds: float) -> None:
        """Start nothing any more; give running tasks up to `seconds` to finish."""
        self._is_stopping = True
        running = [task for number, job in self._attempts.items() if (task := job.running.get(number)) is not None]
        if running:
            await asyncio.wait(running, timeout=seconds)
        await self.neighbours.close()
        if self._timer is not None:
            self._timer.cancel()
        await self.delegated.close()
        self.contents.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def waiting(self) -> int:
        """Calls of split and merge, results on their way to disk, and whatever else jobs have under way beside their tasks."""
        return len(self._tasks) - len(self._attempts)

    @property
    def running(self) -> int:
        """Tasks at the engine."""
        return len(self._attempts)

    def _arm(self) -> None:
        due = self.core.next_timer()
        if self._timer is not None:
            self._timer.cancel()
        self._timer = (
            None if due is None or self._is_stopping else self._loop.call_at(due - self._clock_offset, self.tell, TimerFired())
        )

    # What to do

    def _do(self, command: Command) -> None:
        match command:
            case StartTask():
                self._start(command)
            case StopTask(attempt=attempt):
                self._stop(attempt)
            case KeepResult(job_id=job_id):
                self._keep(self._live[job_id], command)
            case DropResult(job_id=job_id, task_id=task_id):
                self._drop(self._live[job_id], task_id)
            case MergeJob(spec=spec):
                job = self._live[spec.job_id]
                job.is_merging = True
                self._spawn(job, self._merge(job, command))
            case FinishJob(job_id=job_id) | FailJob(job_id=job_id):
                self._end(self._live.pop(job_id), command)
            case KeepTrust():
                self._keep_trust(command)
            case DropJob(parent=parent, job_id=job_id):
                self.delegated.drop(parent, job_id)
            case Send(peer=peer, message=message):
                self.neighbours.send(peer, message)
            case DropPeer(peer=peer, reason=reason):
                self.neighbours.drop(peer, reason)
            case _:
                assert_never(command)

    def _keep_trust(self, command: KeepTrust) -> None:
        if command.why:
            self.causes[command.worker] = command.why
        if command.evidence is not None and (job := self._live.get(command.evidence.job_id)) is not None:
            self._begin_apart(self._prove(command, job))
        record = {**command.record.to_json(), "why": self.causes.get(command.worker, "")}
        self._journal.post(TrustKept(worker=command.worker, runtime=command.runtime, record=json.dumps(record)))

    def _begin_apart(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Do something that outlives the job that it is about, or that is of no own job."""
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _prove(self, command: KeepTrust, job: LiveJob) -> None:
        assert command.evidence is not None, "there is something to prove"
        try:
            done = job.done.get(command.evidence.digest) if job.spec.tolerance else None
            output = None if done is None else await asyncio.to_thread(self._result_store.read, done.stored)
            await self.proofs.keep(command, job, await self.codec.frame(job, command.evidence.packet), output)
        except PangeaError as error:
            logs.get("peers").warning("a ban without its proof", worker=command.worker, error=error.message)

    def _start(self, command: StartTask) -> None:
        if self._is_stopping:
            return
        source = self.core.core.attempts[command.attempt].task.job.source
        work: Work
        job: LiveJob | DelegatedJob
        if source is None:
            job = live = self._live[command.spec.job_id]
            work = partial(self._check if command.packet.function == CHECK else self._execute, live, command.packet)
        else:
            delegated = self.delegated.find(source, command.spec.job_id)
            assert delegated is not None, "a parent's job lives as long as the orchestrator has it"
            job, work = delegated, partial(self.delegated.run, delegated, command.packet)
        self._attempts[command.attempt] = job
        job.running[command.attempt] = self._begin(job, self._run(job, command.attempt, work))

    async def _run(self, job: LiveJob | DelegatedJob, attempt: int, work: Work) -> None:
        result = await work()
        if isinstance(job, LiveJob) and self.core.contradicts(attempt, result):
            result = await self._confirmed(job, result, work)
        job.running.pop(attempt, None)
        if self._attempts.pop(attempt, None) is not None:
            self.tell(TaskExecuted(attempt=attempt, result=result))

    async def _confirmed(self, job: LiveJob, result: TaskResult, work: Work) -> TaskResult:
        """Execute again what contradicts somebody: nobody is shut out because a job, or this machine, isn't the same twice."""
        again = await work()
        if again.failure in MACHINE_FAULTS or is_the_same(again, result):
            return again
        self._broken(job, await asyncio.to_thread(not_the_same, job, self._result_store, result, again))
        return result

    def _stop(self, attempt: int) -> None:
        job = self._attempts.pop(attempt, None)
        if job is not None and (task := job.running.pop(attempt, None)) is not None:
            task.cancel()

    def _begin(self, job: LiveJob | DelegatedJob, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        if isinstance(job, LiveJob):
            return self._spawn(job, work)
        return self._begin_apart(work)

    def _spawn(self, job: LiveJob, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        job.helpers.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(job.helpers.discard)
        return task

    async def _feed(self, job: LiveJob, splits: tuple[SegmentsSplit, ...]) -> None:
        job_id = job.spec.job_id
        intake = Intake(
            job,
            calls=self.calls,
            result_store=self._result_store,
            stored=splits,
            keep=self._journal.post,
            witness=self._witness,
            on_chunks=partial(self._chunks_ready, job),
        )
        try:
            await intake.run()
        except PangeaError as error:
            job.error = error
            # What comes before it in the input may fail, too, and then goes first.
            self.tell(ChunksReady(job_id=job_id, count=0, size_bytes=0, is_last=True))
        except Exception as error:  # a bug of ours must end the job, not leave it waiting
            self._broken(job, UnavailableError(f"the node failed to read the input: {type(error).__name__}: {error}"))

    def _chunks_ready(self, job: LiveJob, packs: tuple[int, ...], size: int, is_last: bool) -> None:
        count, first = sum(packs), job.chunks.count - sum(packs)
        # Shaders have no memory that lasts; and what another adapter gave may differ from what this one gives.
        if not job.spec.tolerance and (place := job.independence.choose(first, packs)) is not None:
            job.alone = self._spawn(job, final_merge.execute_alone(job, place.chunk, self.calls))
        self.tell(ChunksReady(job_id=job.spec.job_id, count=count, size_bytes=size, is_last=is_last, packs=packs))

    async def _execute(self, job: LiveJob, packet: TaskPacket) -> TaskResult:
        assert job.prepared is not None, "a job with tasks has a module"
        packet = job.packed(packet)
        try:
            packs = job.chunks.packs(packet.start, packet.count) if packet.function == "execute" else ()
            parts = await self.codec.frame(job, packet)
            named = replace(packet, input=await hash_of(parts)) if job.records.is_wanted else packet
            done = await execute(
                job.prepared,
                packet,
                parts,
                calls=self.calls,
                result_store=self._result_store,
                worker=self._peer,
                packs=packs,
            )
            del parts
        except PangeaError as error:
            return self._failed(job, packet, lost(error.message))
        except Exception as error:  # likewise: the attempt must end
            return self._failed(job, packet, lost(f"{type(error).__name__}: {error}"))
        if isinstance(done.outcome, Failure):
            return self._failed(job, packet, done.outcome)
        assert done.stored is not None, "a finished task has results"
        job.stored.append(done.stored)
        outcome = done.outcome
        job.done[done.result.digest] = TaskDone(
            done.stored,
            outcome.fuel,
            outcome.seconds,
            outcome.prints,
            at=job.elapsed(),
            of=(packet.function, packet.start, packet.count),
            leaves=done.result.leaves,
        )
        if named.input:
            result = signed(done.result, named, job.spec, self._peer, self._witness.sign)
            job.records.note(record_of(result, named, job.spec, self._peer))
        self._on_task(done.result.status, done.result.seconds)
        return await compared(job, packet, done.result, self._result_store)

    async def _check(self, job: LiveJob, packet: TaskPacket) -> TaskResult:
        try:
            chunks = await self.codec.frame(job, replace(packet, function="execute"))
            return await checking.check(
                job,
                packet,
                chunks,
                calls=self.calls,
                result_store=self._result_store,
                worker=self._peer,
                sign=self._witness.sign,
            )
        except PangeaError as error:
            return failed(packet, lost(error.message), self._peer)
        except Exception as error:  # likewise
            return failed(packet, lost(f"{type(error).__name__}: {error}"), self._peer)

    def _failed(self, job: LiveJob, packet: TaskPacket, failure: Failure) -> TaskResult:
        job.failures[packet.start] = (packet, failure)
        self._on_task(failure.kind, 0.0)
        return failed(packet, failure, self._peer)

    def _keep(self, job: LiveJob, command: KeepResult) -> None:
        packet, done = command.packet, job.done[command.digest]
        self._count(job, Kept(packet, command.digest, command.fuel, command.provenance))
        entry = TaskKept(
            job_id=job.spec.job_id,
            task_id=packet.task_id,
            start=packet.start,
            count=packet.count,
            size_bytes=packet.size_bytes,
            digest=command.digest,
            body=done.stored,
            fuel=command.fuel,
            seconds=done.seconds,
            prints=done.prints,
        )
        self._journal.post(entry)
        record = job.records.of(packet.task_id, command.digest, command.fuel) if job.records.is_wanted else None
        if record is not None:
            self._journal.post(kept(record))
        before = job.chunks.waiting_bytes
        job.chunks.release(packet.start, packet.count)
        self._on_kept(packet.count, before - job.chunks.waiting_bytes, command.fuel)
        job.room.set()
        self._on_change(job.spec.job_id)

    def _count(self, job: LiveJob, task: Kept) -> None:
        done = job.done[task.digest]
        job.kept[task.packet.task_id] = task
        job.counts.spent("execute", fuel=task.fuel, seconds=done.seconds, prints=done.prints)

    def _drop(self, job: LiveJob, task_id: TaskId) -> None:
        task = job.kept.pop(task_id)
        counts = job.counts
        counts.tasks -= 1
        counts.fuel -= task.fuel
        counts.seconds["execute"] -= job.done[task.digest].seconds
        job.chunks.reopen(task.packet.start, task.packet.count)
        self._journal.post(TaskDropped(job_id=job.spec.job_id, task_id=task_id))

    async def _merge(self, job: LiveJob, command: MergeJob) -> None:
        self._on_change(job.spec.job_id)
        if job.error is not None:
            self._broken(job, job.error)
            return
        job.records.accepted = self.core.accepted(job.spec.job_id)
        job.counts.fuel += sum(each.fuel for each in job.records.accepted if each.packet.function == "merge")
        try:
            stored: list[Stored] = [job.done[digest].stored for digest in command.digests]
            await final_merge.compare_alone(job, self._result_store)
            job.result = await final_merge.merge(job, stored, calls=self.calls, keeper=self._result_store, witness=self._witness)
        except PangeaError as error:
            self._broken(job, error)
        except Exception as error:  # likewise: the job must end
            self._broken(job, UnavailableError(f"the node failed to merge: {type(error).__name__}: {error}"))
        else:
            self.tell(JobMerged(job_id=job.spec.job_id, digest=final_merge.name_of(job.result)))

    def _broken(self, job: LiveJob, error: PangeaError) -> None:
        job.error = error
        self.tell(JobBroken(job_id=job.spec.job_id, cause="broken", message=error.message))

    def _end(self, job: LiveJob, command: FinishJob | FailJob) -> None:
        self.contents.forget(job.spec.job_id)
        for task in list(job.helpers):
            if task is not asyncio.current_task():
                task.cancel()
        self._on_end(job.spec.job_id, job, command)
