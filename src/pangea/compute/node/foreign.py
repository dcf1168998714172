"""Work of parents: modules, inputs, and results until they are fetched. Nothing of it but modules outlives the link."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from hashlib import sha256

from pangea.compute.engine.engine import Engine
from pangea.compute.engine.prepared import PreparedJob
from pangea.compute.model import frames
from pangea.compute.model.errors import PangeaError, PeerError
from pangea.compute.model.ids import JobId, PeerId, TaskId
from pangea.compute.model.packet import JobSpec, TaskPacket, TaskResult
from pangea.compute.network.parcels import JobParcel, Parcel
from pangea.compute.node.bodies import Bodies
from pangea.compute.node.calls import Calls, lost
from pangea.compute.node.contents import CONTENT_BYTES_MAX, Contents
from pangea.compute.node.execution import execute, failed, name_of
from pangea.compute.node.modules import Modules
from pangea.compute.node.records import Stored
from pangea.compute.node.starting import prepare_module
from pangea.compute.orchestrator.messages import Delegate

#: Whose job it is, and which: a node may get one job from two parents.
ForeignKey = tuple[PeerId, JobId]
OnTask = Callable[[str, float], None]


@dataclass(slots=True, eq=False)
class ForeignJob:
    """A parent's job.

    Attributes:
        owner: the node whose client wants it; the parent may be in between.
        preparing: fetches and compiles the module.
        packets: tasks in hand, with the names of their inputs.
        running: attempts at the engine.
        stored: results that are kept.
    """

    parent: PeerId
    owner: PeerId
    spec: JobSpec
    parcel: JobParcel
    preparing: asyncio.Task[PreparedJob] | None = None
    packets: dict[TaskId, TaskPacket] = field(default_factory=dict)
    running: dict[int, asyncio.Task[None]] = field(default_factory=dict)
    stored: list[Stored] = field(default_factory=list)

    @property
    def key(self) -> ForeignKey:
        """Its key among the node's."""
        return self.parent, self.spec.job_id

    @property
    def results(self) -> tuple[PeerId, JobId, str]:
        """Its results' key among contents: one may be the same bytes as an input, and outlives it."""
        return self.parent, self.spec.job_id, "results"


class ForeignJobs:
    """All jobs of parents on this node."""

    def __init__(self, me: PeerId, calls: Calls, bodies: Bodies, contents: Contents, modules: Modules, on_task: OnTask) -> None:
        """None yet. `on_task` is told of each finished task: "done" or why not, and seconds in the sandbox."""
        self._me = me
        #: Of parents' tasks; a liar's are its own.
        self.calls = calls
        self._bodies = bodies
        self._contents = contents
        self._modules = modules
        self._on_task = on_task
        self._jobs: dict[ForeignKey, ForeignJob] = {}
        self._by_task: dict[tuple[PeerId, TaskId], ForeignJob] = {}
        self._ahead = asyncio.Semaphore(2 * calls.engine.workers)
        self._helpers: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        """How many there are."""
        return len(self._jobs)

    def find(self, parent: PeerId, job_id: JobId) -> ForeignJob | None:
        """A job, if it is here."""
        return self._jobs.get((parent, job_id))

    def job_of(self, parent: PeerId, task_id: TaskId) -> ForeignJob | None:
        """The job that a parent's task belongs to, while it isn't answered."""
        return self._by_task.get((parent, task_id))

    def hear(self, parent: PeerId, parcel: Parcel, message: Delegate) -> ForeignJob:
        """Note what a parent's batch needs, before the orchestrator hears of it.

        Raises:
            PeerError: an input isn't what its name says, or larger than any may be.
        """
        assert parcel.job is not None, "tasks belong to a job"
        for name, data in parcel.contents.items():
            if sha256(data).digest() != name:
                raise PeerError(f"an input of {len(data):,} bytes isn't what its hash says")
        largest = max(packet.input_bytes for _, packet in message.tasks)
        if largest > CONTENT_BYTES_MAX:
            raise PeerError(f"an input of {largest:,} bytes; at most {CONTENT_BYTES_MAX:,}")
        job = self._jobs.get((parent, message.spec.job_id))
        if job is None:
            owner = message.budget.ancestors[0]
            job = ForeignJob(parent=parent, owner=owner, spec=message.spec, parcel=parcel.job)
            self._jobs[job.key] = job
            self._contents.hear(job.key, bytes.fromhex(job.spec.module), parcel.job.module_bytes, parent)
        for _, packet in message.tasks:
            job.packets[packet.task_id] = packet
            self._by_task[parent, packet.task_id] = job
            self._note(job, packet, parcel.contents.get(packet.input))
        return job

    def _note(self, job: ForeignJob, packet: TaskPacket, data: bytes | None) -> None:
        if data is not None:
            self._contents.put(job.key, packet.input, data)
            return
        self._contents.hear(job.key, packet.input, packet.input_bytes, job.parent)
        if not self._ahead.locked():
            task = asyncio.create_task(self._fetch_ahead(packet.input))
            self._helpers.add(task)
            task.add_done_callback(self._helpers.discard)

    async def _fetch_ahead(self, name: bytes) -> None:
        """Have an input here when its task begins: hides the way."""
        async with self._ahead:
            try:
                await self._contents.whole(name)
            except PangeaError:
                return  # whoever begins the task finds out, too, and says so

    async def run(self, job: ForeignJob, packet: TaskPacket) -> TaskResult:
        """Execute a task; the answer is unsigned, its results can be fetched here."""
        try:
            prepared = await asyncio.shield(self._prepared(job))
            frame = await self._contents.whole(packet.input)
            if packet.function == "execute" and frames.count_of(frame) != packet.count:
                raise PeerError(f"the input of {packet.task_id} has {frames.count_of(frame):,} chunks, not {packet.count:,}")
            done = await execute(
                prepared, packet, [frame], calls=self.calls, bodies=self._bodies, worker=self._me, is_shared=True
            )
        except PangeaError as error:
            return failed(packet, lost(error.message), self._me)
        except Exception as error:  # a bug of ours, or bytes that make no sense: the attempt must end
            return failed(packet, lost(f"{type(error).__name__}: {error}"), self._me)
        self._on_task(done.result.status if done.result.failure is None else done.result.failure, done.result.seconds)
        return done.result if done.stored is None else self._kept(job, done.result, done.stored)

    def _kept(self, job: ForeignJob, result: TaskResult, stored: Stored) -> TaskResult:
        if self._jobs.get(job.key) is not job:
            self._bodies.forget(stored)  # nobody wants it any more
            return result
        job.stored.append(stored)
        body = name_of(stored)
        if stored.data is not None:
            self._contents.put(job.results, body, stored.data)
        else:
            self._contents.offer(job.results, body, stored.size, lambda: self._bodies.read(stored))
        return replace(result, body=body, body_bytes=stored.size)

    def _prepared(self, job: ForeignJob) -> asyncio.Task[PreparedJob]:
        if job.preparing is None or (job.preparing.done() and _has_failed(job.preparing)):
            job.preparing = asyncio.create_task(self._prepare(job))
        return job.preparing

    async def _prepare(self, job: ForeignJob) -> PreparedJob:
        module = await self._modules.get(job.spec.module)
        if module is None:
            fetched = await self._contents.whole(bytes.fromhex(job.spec.module))
            module = await self._modules.keep(job.spec.module, fetched)
        engine: Engine = self.calls.engine
        return await prepare_module(
            module,
            job.spec.module,
            job.parcel.limits,
            engine,
            name=job.parcel.name,
            associative=job.spec.associative,
        )

    def answered(self, job: ForeignJob, task_id: TaskId) -> None:
        """A task's last answer has gone up: its input isn't needed any more."""
        packet = job.packets.pop(task_id, None)
        self._by_task.pop((job.parent, task_id), None)
        if packet is not None and all(packet.input != other.input for other in job.packets.values()):
            self._contents.drop(job.key, packet.input)

    def drop(self, parent: PeerId, job_id: JobId) -> None:
        """Nothing of a job is wanted any more."""
        job = self._jobs.pop((parent, job_id), None)
        if job is None:
            return
        for task in job.running.values():
            task.cancel()
        if job.preparing is not None and not job.preparing.done():
            job.preparing.cancel()
        for stored in job.stored:
            self._bodies.forget(stored)
        for task_id in job.packets:
            self._by_task.pop((parent, task_id), None)
        self._contents.forget(job.key)
        self._contents.forget(job.results)

    def lose(self, parent: PeerId) -> None:
        """A parent is gone, and with it all that it wanted."""
        for source, job_id in list(self._jobs):
            if source == parent:
                self.drop(source, job_id)

    async def close(self) -> None:
        """Drop all."""
        for parent, job_id in list(self._jobs):
            self.drop(parent, job_id)
        for task in list(self._helpers):
            task.cancel()
        await asyncio.gather(*self._helpers, return_exceptions=True)


def _has_failed(task: asyncio.Task[PreparedJob]) -> bool:
    return task.cancelled() or task.exception() is not None
