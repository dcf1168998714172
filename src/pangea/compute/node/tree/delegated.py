"""Work of parents: modules, inputs, and results until they are fetched. Nothing of it but modules outlives the link."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from hashlib import sha256

from pangea.compute.engine.engine import Engine
from pangea.compute.engine.prepared import PreparedJob
from pangea.compute.flow.chunks import sized
from pangea.compute.model import frames
from pangea.compute.model.errors import NoAdapterError, PangeaError, PeerError
from pangea.compute.model.ids import JobId, PeerId, TaskId
from pangea.compute.model.outcome import Failure, FailureKind
from pangea.compute.model.packet import JobSpec, TaskPacket, TaskResult
from pangea.compute.model.units import MIB
from pangea.compute.network.peers.peering import SPECS_TOLD_MAX
from pangea.compute.network.rpc.peer_messages import Envelope, JobHeader
from pangea.compute.node.jobs.call_records import Witness
from pangea.compute.node.jobs.calls import Calls, lost
from pangea.compute.node.jobs.execution import execute, failed, name_of
from pangea.compute.node.jobs.starting import prepare_module
from pangea.compute.node.storage.contents import CONTENT_BYTES_MAX, Contents
from pangea.compute.node.storage.modules import Modules
from pangea.compute.node.storage.records import Stored
from pangea.compute.node.storage.result_store import ResultStore
from pangea.compute.node.tree.attestation import is_attestation, signed
from pangea.compute.node.tree.contributions import Contributions, Work
from pangea.compute.orchestrator.core.messages import Delegate
from pangea.compute.verification.receipts import CheckSignature
from pangea.compute.verification.signed_spec import SignedSpec

#: Whose job it is, and which: a node may get one job from two parents.
ForeignKey = tuple[PeerId, JobId]
OnTask = Callable[[str, float], None]
#: Inputs that came along with one parent's tasks and are in memory until these are answered.
INPUT_BYTES_MAX = 256 * MIB
#: Job specs remembered of a parent: twice as many as it believes.
_SPECS_MAX = 2 * SPECS_TOLD_MAX


class AlteredError(PeerError):
    """A parent passed on something else than the job's owner signed: it should have looked, as every node does."""


class RefusedError(PeerError):
    """Tasks that this node can't so much as note. Nothing is held against the parent that gave them."""


@dataclass(slots=True, eq=False)
class DelegatedJob:
    """A parent's job.

    Attributes:
        owner: the node whose client wants it; the parent may be in between.
        signed: what the owner signed, checked: nothing else says how its calls are made.
        preparing: fetches and compiles the module.
        packets: tasks in hand, by the parent's numbers for them: ids are the owner's, and those of two jobs may be the same.
        numbers: the parent's latest for each task in hand.
        running: attempts at the engine.
        stored: results that are kept.
    """

    parent: PeerId
    owner: PeerId
    spec: JobSpec
    signed: SignedSpec
    envelope: JobHeader
    preparing: asyncio.Task[PreparedJob] | None = None
    packets: dict[int, TaskPacket] = field(default_factory=dict)
    numbers: dict[TaskId, int] = field(default_factory=dict)
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


class DelegatedJobs:
    """All jobs of parents on this node."""

    def __init__(
        self,
        witness: Witness,
        calls: Calls,
        result_store: ResultStore,
        contents: Contents,
        modules: Modules,
        on_task: OnTask,
        *,
        check: CheckSignature,
    ) -> None:
        """None yet.

        Args:
            witness: this node, and its signature.
            calls: its engine.
            result_store: keeps results.
            contents: what can be fetched here, and from whom.
            modules: keeps modules.
            on_task: told of each finished task: "done" or why not, and seconds in the sandbox.
            check: whether a peer has signed something.
        """
        self._me, self._sign = witness.peer, witness.sign
        self._check = check
        #: What was done for whom, where that is written down.
        self.contributions: Contributions | None = None
        #: By parent, then by hash, the latest last.
        self._specs: dict[PeerId, OrderedDict[bytes, SignedSpec]] = {}
        #: Of parents' tasks; a liar's are its own.
        self.calls = calls
        self._result_store = result_store
        self._contents = contents
        self._modules = modules
        self._on_task = on_task
        self._jobs: dict[ForeignKey, DelegatedJob] = {}
        self._by_number: dict[tuple[PeerId, int], DelegatedJob] = {}
        self._ahead = asyncio.Semaphore(2 * calls.engine.workers)
        self._helpers: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        """How many there are."""
        return len(self._jobs)

    def find(self, parent: PeerId, job_id: JobId) -> DelegatedJob | None:
        """A job, if it is here."""
        return self._jobs.get((parent, job_id))

    def job_of(self, parent: PeerId, number: int) -> DelegatedJob | None:
        """The job that a parent's task belongs to, while it isn't answered."""
        return self._by_number.get((parent, number))

    def hear(self, parent: PeerId, envelope: Envelope, message: Delegate) -> DelegatedJob:
        """Note what a parent's batch needs, before the orchestrator hears of it.

        Raises:
            AlteredError: something isn't as the job's owner signed it.
            RefusedError: another job of the parent's has this id, or inputs that came along take as much memory as they may.
            PeerError: an input isn't what its name says, or larger than any may be.
        """
        assert envelope.job is not None, "tasks belong to a job"
        signed = self._spec_of(parent, envelope.job, message)
        for name, data in envelope.contents.items():
            if sha256(data).digest() != name:
                raise PeerError(f"an input of {len(data):,} bytes isn't what its hash says")
        if self._contents.put_bytes(parent) + sum(map(len, envelope.contents.values())) > INPUT_BYTES_MAX:
            raise RefusedError(f"the inputs that came along with this parent's tasks take {INPUT_BYTES_MAX:,} bytes here already")
        largest = max(packet.input_bytes for _, packet in message.tasks)
        if largest > CONTENT_BYTES_MAX:
            raise PeerError(f"an input of {largest:,} bytes; at most {CONTENT_BYTES_MAX:,}")
        job = self._jobs.get((parent, message.spec.job_id))
        if job is not None and job.spec.signed != message.spec.signed:
            # Each as its owner signed it: who chose the id may be the parent's own client, or somebody above it.
            raise RefusedError(f"another job of this parent's has the id {job.spec.job_id}, until that one is over")
        if job is None:
            owner = message.budget.ancestors[0]
            about = replace(envelope.job, signed=signed)
            job = DelegatedJob(parent=parent, owner=owner, spec=message.spec, signed=signed, envelope=about)
            self._jobs[job.key] = job
            self._contents.hear(job.key, bytes.fromhex(job.spec.module), envelope.job.module_bytes, parent)
        for number, packet in message.tasks:
            if (old := job.numbers.get(packet.task_id)) is not None:  # it was called off, and comes again
                job.packets.pop(old, None)
                self._by_number.pop((parent, old), None)
            job.packets[number], job.numbers[packet.task_id] = packet, number
            self._by_number[parent, number] = job
            self._note(job, packet, envelope.contents.get(packet.input))
        return job

    def _spec_of(self, parent: PeerId, about: JobHeader, message: Delegate) -> SignedSpec:
        """The spec that the owner signed, once what the parent says agrees with it."""
        spec, known = message.spec, self._specs.setdefault(parent, OrderedDict())
        signed = known.get(spec.signed) or about.signed
        if signed is None:
            raise PeerError(f"tasks of job {spec.job_id} without its spec")
        if spec.signed not in known:
            if signed.hash() != spec.signed or not signed.is_signed(self._check):
                raise AlteredError(f"passed on a spec of job {spec.job_id} that {signed.owner} hasn't signed")
            known[spec.signed] = signed
            if len(known) > _SPECS_MAX:
                known.popitem(last=False)
        known.move_to_end(spec.signed)
        if difference := _difference(message, signed):
            raise AlteredError(f"passed on job {spec.job_id} with another {difference} than its owner signed")
        return signed

    def _note(self, job: DelegatedJob, packet: TaskPacket, data: bytes | None) -> None:
        if data is not None:
            self._contents.put(job.key, packet.input, data)
            return
        self._contents.hear(job.key, packet.input, packet.input_bytes, job.parent)
        if not self._ahead.locked():
            task = asyncio.create_task(self._fetch_ahead(job.parent, packet.input))
            self._helpers.add(task)
            task.add_done_callback(self._helpers.discard)

    async def _fetch_ahead(self, parent: PeerId, name: bytes) -> None:
        """Have an input here when its task begins: hides the way."""
        async with self._ahead:
            try:
                await self._contents.whole(parent, name)
            except PangeaError:
                return  # whoever begins the task finds out, too, and says so

    async def run(self, job: DelegatedJob, packet: TaskPacket) -> TaskResult:
        """Execute a task; the results can be fetched here.

        It is signed now, for what was executed: before it goes up, the parent may give the ids to something else.
        """
        result = await self._execute(job, packet)
        return signed(result, packet, job.spec, job.owner, self._sign) if is_attestation(result) else result

    async def _execute(self, job: DelegatedJob, packet: TaskPacket) -> TaskResult:
        if (ours := self.calls.engine.meter) != job.signed.meter:
            reason = f"this node counts fuel by {ours}, the job's owner by {job.signed.meter}"
            return failed(packet, lost(reason), self._me)
        try:
            prepared = await asyncio.shield(self._prepared(job))
            frame = await self._contents.whole(job.parent, packet.input)
            if packet.function == "execute" and frames.count_of(frame) != packet.count:
                raise PeerError(f"the input of {packet.task_id} has {frames.count_of(frame):,} chunks, not {packet.count:,}")
            packs = await asyncio.to_thread(sized, frame, packet.packs) if packet.packs else ()
            done = await execute(
                prepared, packet, [frame], calls=self.calls, result_store=self._result_store, worker=self._me, packs=packs
            )
        except NoAdapterError as error:
            return failed(packet, Failure(kind=FailureKind.NO_ADAPTER, message=error.message), self._me)
        except PangeaError as error:
            return failed(packet, lost(error.message), self._me)
        except Exception as error:  # a bug of ours, or bytes that make no sense: the attempt must end
            return failed(packet, lost(f"{type(error).__name__}: {error}"), self._me)
        self._on_task(done.result.status if done.result.failure is None else done.result.failure, done.result.seconds)
        if self.contributions is not None:
            self.contributions.add(job.owner, job.parent, job.envelope.name, _work(packet, done.result, done.stored))
        return done.result if done.stored is None else self._kept(job, done.result, done.stored)

    def _kept(self, job: DelegatedJob, result: TaskResult, stored: Stored) -> TaskResult:
        if self._jobs.get(job.key) is not job:
            self._result_store.forget(stored)  # nobody wants it any more
            return result
        job.stored.append(stored)
        body = name_of(stored)
        self._contents.offer(job.results, body, stored.size, lambda: self._result_store.read(stored))
        if stored.data is not None:
            self._contents.keep(job.results, body, stored.data)  # at hand, to go up with the answer
        return replace(result, body=body, body_bytes=stored.size)

    def _prepared(self, job: DelegatedJob) -> asyncio.Task[PreparedJob]:
        if job.preparing is None or (job.preparing.done() and _has_failed(job.preparing)):
            job.preparing = asyncio.create_task(self._prepare(job))
        return job.preparing

    async def _prepare(self, job: DelegatedJob) -> PreparedJob:
        module = await self._modules.get(job.spec.module)
        if module is None:
            fetched = await self._contents.whole(job.parent, bytes.fromhex(job.spec.module))
            module = await self._modules.keep(job.spec.module, fetched)
        engine: Engine = self.calls.engine
        return await prepare_module(
            module,
            job.spec.module,
            job.signed.options.limits,
            engine,
            name=job.envelope.name,
            associative=job.spec.associative,
            is_strangers=True,
        )

    def answered(self, job: DelegatedJob, number: int) -> None:
        """A task's last answer has gone up: its input isn't needed any more."""
        packet = job.packets.pop(number, None)
        self._by_number.pop((job.parent, number), None)
        if packet is None:
            return
        if job.numbers.get(packet.task_id) == number:
            del job.numbers[packet.task_id]
        if all(packet.input != other.input for other in job.packets.values()):
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
            self._result_store.forget(stored)
        for number in job.packets:
            self._by_number.pop((parent, number), None)
        self._contents.forget(job.key)
        self._contents.forget(job.results)

    def lose(self, parent: PeerId) -> None:
        """A parent is gone, and with it all that it wanted."""
        self._specs.pop(parent, None)
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


def _work(packet: TaskPacket, result: TaskResult, stored: Stored | None) -> Work:
    """What a task was, as the account has it."""
    return Work(
        tasks=int(is_attestation(result)),
        failed=int(not is_attestation(result)),
        fuel=result.fuel,
        seconds=result.seconds,
        bytes_in=packet.input_bytes,
        bytes_out=0 if stored is None else stored.size,
    )


def _difference(message: Delegate, signed: SignedSpec) -> str:
    """What a parent says otherwise than the owner; empty if nothing."""
    spec, options = message.spec, signed.options
    said = {
        "id": (spec.job_id, signed.job_id),
        "owner": (message.budget.ancestors[0], signed.owner),
        "module": (spec.module, signed.module),
        "runtime": (spec.runtime, signed.runtime),
        "rule for merging": (spec.associative, options.associative_merge),
        "memory limit": (spec.memory, options.limits.memory),
    }
    if name := next((name for name, (one, other) in said.items() if one != other), ""):
        return name
    is_odd = any(not _could_be_packs(packet, options.chunks_per_pack) for _, packet in message.tasks)
    return "number of chunks in a pack" if is_odd else ""


def _could_be_packs(packet: TaskPacket, chunks: int) -> bool:
    """Whether a packet's packs are such as the job's rule makes, as far as that can be told without the whole segment."""
    if packet.function == "merge":
        return not packet.packs
    return not chunks or all(count <= chunks for _, count in packet.spans())


def _has_failed(task: asyncio.Task[PreparedJob]) -> bool:
    return task.cancelled() or task.exception() is not None
