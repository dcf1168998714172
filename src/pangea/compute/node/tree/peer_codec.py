"""What the orchestrator says and hears, with all that has to travel beside it: inputs, results, modules, signatures.

Sending: inputs get their names, answers of this node its signature. Hearing: nothing reaches the orchestrator but what is
authentic, and no result of an own job without its bytes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from hashlib import sha256
from typing import TypeVar

from pangea.compute.flow import merging
from pangea.compute.model.errors import InputError, PangeaError, PeerError
from pangea.compute.model.frames import Buffer, FrameError, count_of
from pangea.compute.model.ids import JobId, PeerId
from pangea.compute.model.outcome import FailureKind
from pangea.compute.model.packet import JobSpec, TaskPacket, TaskResult, TaskStatus
from pangea.compute.network.rpc.peer_messages import Envelope, JobHeader
from pangea.compute.node.jobs.call_records import Witness
from pangea.compute.node.jobs.calls import lost
from pangea.compute.node.jobs.comparing import compared
from pangea.compute.node.jobs.execution import SMALL_BYTES, failed, hash_of, leaves_in
from pangea.compute.node.jobs.jobs import LiveJob, TaskDone, input_key
from pangea.compute.node.storage.contents import ENVELOPE_BYTES_MAX, Contents, Whose
from pangea.compute.node.storage.records import Stored
from pangea.compute.node.storage.result_store import ResultStore
from pangea.compute.node.tree.attestation import is_attestation, is_authentic, record_of, signed
from pangea.compute.node.tree.delegated import DelegatedJobs
from pangea.compute.orchestrator.core.messages import Answers, Delegate, Message
from pangea.compute.orchestrator.core.records import Task
from pangea.compute.orchestrator.machine import Orchestrator
from pangea.compute.verification.merkle import root
from pangea.compute.verification.receipts import CheckSignature

#: Signatures that are checked on the loop; more take a thread.
_FEW = 8
Heard = tuple[int, TaskResult]
T = TypeVar("T")


class PeerCodec:
    """Packs and unpacks for one node."""

    def __init__(
        self,
        witness: Witness,
        core: Orchestrator,
        live: Mapping[JobId, LiveJob],
        delegated: DelegatedJobs,
        result_store: ResultStore,
        contents: Contents,
        *,
        check: CheckSignature,
    ) -> None:
        """Pack for one node.

        Args:
            witness: this node, and its signature.
            core: its decisions; says whom an attempt was given to.
            live: its own jobs.
            delegated: its parents' jobs.
            result_store: keep results.
            contents: what can be fetched here.
            check: whether a peer has signed something.
        """
        self._me, self._sign = witness.peer, witness.sign
        self._core = core
        self._live = live
        self._delegated = delegated
        self._result_store = result_store
        self._contents = contents
        self._check = check
        #: What goes down as a job's traceparent, of what came; a node without spans of its own passes it on.
        self.trace: Callable[[PeerId | None, JobId, str], str] = lambda _source, _job_id, given: given

    # Out

    async def pack(self, peer: PeerId, message: Message) -> Envelope | None:
        """A message with what travels beside it; None if there is no point in it any more.

        Raises:
            PangeaError: something of it can't be read.
        """
        if isinstance(message, Delegate):
            return await self._pack_tasks(message)
        if isinstance(message, Answers):
            return self._pack_answers(peer, message)
        return Envelope(message=message)

    async def _pack_tasks(self, message: Delegate) -> Envelope | None:
        ancestors, job_id = message.budget.ancestors, message.spec.job_id
        if len(ancestors) > 1:
            job = self._delegated.find(ancestors[-2], job_id)
            if job is None:
                return None
            names = (packet.input for _, packet in message.tasks if packet.input_bytes <= ENVELOPE_BYTES_MAX)
            contents = {name: bytes(data) for name in names if (data := self._contents.at_hand(job.parent, name)) is not None}
            about = replace(job.envelope, trace=self.trace(job.parent, job_id, job.envelope.trace))
            return Envelope(message=message, job=about, contents=contents)
        live = self._live.get(job_id)
        if live is None:
            return None
        self._offer_module(live)
        tasks, contents = [], {}
        for attempt, packet in message.tasks:
            named, data = await self._named(live, packet)
            tasks.append((attempt, named))
            if data is not None:
                contents[named.input] = data
        manifest = live.manifest
        trace = self.trace(None, job_id, manifest.trace)
        envelope = JobHeader(name=manifest.name, module_bytes=manifest.module.size, signed=live.signed, trace=trace)
        return Envelope(message=replace(message, tasks=tuple(tasks)), job=envelope, contents=contents)

    def _offer_module(self, live: LiveJob) -> None:
        module, name = live.manifest.module, bytes.fromhex(live.spec.module)
        blobs = self._result_store.blobs
        make = (lambda: module.data or b"") if module.data is not None else lambda: blobs.read(module.sha256, 0, module.size)
        self._contents.offer(live.spec.job_id, name, module.size, make)

    async def _named(self, live: LiveJob, packet: TaskPacket) -> tuple[TaskPacket, bytes | None]:
        """A packet that names its input, and the input, if it travels along."""
        packet = live.packed(packet)
        known = live.input_of(packet)
        data = None
        if known is None or known[1] <= ENVELOPE_BYTES_MAX:
            parts = await self.frame(live, packet)
            size = sum(map(len, parts))
            known = known or (await hash_of(parts), size)
            live.inputs[input_key(packet)] = known
            data = b"".join(parts) if size <= ENVELOPE_BYTES_MAX else None
        name, size = known
        if data is None:
            self._contents.offer(live.spec.job_id, name, size, lambda: b"".join(_frame(live, packet, self._result_store)))
        return replace(packet, input=name, input_bytes=size), data

    async def frame(self, live: LiveJob, packet: TaskPacket) -> list[Buffer]:
        """The framed list that a task of an own job works on, in pieces."""
        if packet.function == "execute" and packet.size_bytes <= SMALL_BYTES:
            return live.chunks.frame(packet.start, packet.count)
        return await asyncio.to_thread(_frame, live, packet, self._result_store)

    def _pack_answers(self, parent: PeerId, message: Answers) -> Envelope:
        results, contents = [], {}
        for attempt, result in message.results:
            job = self._delegated.job_of(parent, attempt)
            if job is not None:
                if is_attestation(result) and result.worker == self._me and not result.signature:
                    result = signed(result, job.packets[attempt], job.spec, job.owner, self._sign)  # noqa: PLW2901
                data = self._contents.at_hand(parent, result.body) if result.body_bytes <= ENVELOPE_BYTES_MAX else None
                if data:
                    contents[result.body] = bytes(data)
                if result.status is not TaskStatus.COMMITTED:
                    self._delegated.answered(job, attempt)
                    if not job.packets and job.key not in self._core.core.jobs:  # all of it was refused
                        self._delegated.drop(*job.key)
            results.append((attempt, result))
        return Envelope(message=Answers(results=tuple(results)), contents=contents)

    def owner_for(self, peer: PeerId, name: bytes) -> Whose | None:
        """Whose content a neighbour asks for, if it is its to have: of a job that it has given, or of a task that it has, now."""
        child = self._core.core.children.get(peer)
        if child is None:
            return peer if self._contents.has(peer, name) else None
        module = name.hex()
        jobs = (attempt.task.job for attempt in child.attempts.values() if self._is_for(attempt.task, name, module))
        job = next(jobs, None)
        return None if job is None else job.source or job.spec.job_id

    def _is_for(self, task: Task, name: bytes, module: str) -> bool:
        """Whether a task needs content: it is its input, or its job's module. Other tasks' inputs are other workers'."""
        job = task.job
        if job.spec.module == module:
            return True
        if job.source is not None:
            return task.packet.input == name
        live = self._live.get(job.spec.job_id)
        return live is not None and (live.input_of(task.packet) or (b"", 0))[0] == name

    def seconds_of(self, message: Delegate) -> float:
        """How long this node by itself would take for a batch; 0 while the module is unknown here."""
        core = self._core.core
        size = sum(packet.size_bytes for _, packet in message.tasks)
        return (core.weights.predict(message.spec, size_bytes=size) or 0.0) / core.me.cores

    # In

    async def authentic(self, child: PeerId, envelope: Envelope) -> list[Heard]:
        """The answers that are wanted, all of them signed by the workers that they name.

        Raises:
            PeerError: one isn't: the child should have seen that.
        """
        assert isinstance(envelope.message, Answers), "answers come in such messages"
        wanted = [
            (number, result, *claim)
            for number, result in envelope.message.results
            if (claim := self._claim(child, number, result))
        ]
        if len(wanted) <= _FEW:
            forged = self._first_forged(wanted)
        else:
            forged = await asyncio.to_thread(self._first_forged, wanted)
        if forged is not None:
            raise PeerError(f"passed on an answer to {forged.task_id} that {forged.worker} hasn't signed")
        return [(number, result) for number, result, *_ in wanted]

    def _first_forged(self, wanted: list[tuple[int, TaskResult, TaskPacket, JobSpec, PeerId]]) -> TaskResult | None:
        return next(
            (each for _, each, packet, spec, owner in wanted if not is_authentic(each, packet, spec, owner, self._check)), None
        )

    def _claim(self, child: PeerId, number: int, result: TaskResult) -> tuple[TaskPacket, JobSpec, PeerId] | None:
        """What an answer is to: the packet with its input's name, the job, its owner; None if nobody waits for it."""
        attempt = self._core.core.attempts.get(number)
        if attempt is None or attempt.peer.id != child or attempt.task.packet.task_id != result.task_id:
            return None
        packet, job = attempt.task.packet, attempt.task.job
        if job.source is not None:
            delegated = self._delegated.find(job.source, job.spec.job_id)
            return None if delegated is None else (packet, job.spec, delegated.owner)
        live = self._live.get(job.spec.job_id)
        if live is None or (known := live.input_of(packet)) is None:
            return None
        name, size = known
        return replace(live.packed(packet), input=name, input_bytes=size), job.spec, self._me

    def unpack(self, child: PeerId, heard: list[Heard], envelope: Envelope) -> tuple[list[Heard], list[Awaitable[Heard]]]:
        """Answers that the orchestrator may hear at once, and those whose results have to be fetched first."""
        ready: list[Heard] = []
        later: list[Awaitable[Heard]] = []
        for number, result in heard:
            claim = self._claim(child, number, result)
            if claim is None:
                continue
            packet, spec, owner = claim
            if result.status is TaskStatus.DONE and result.fuel > (most := self._fuel_max(number)):
                ready.append((number, _beyond(packet, child, result, most)))
                continue
            data = envelope.contents.get(result.body)
            live = self._live.get(spec.job_id) if owner == self._me else None
            if result.status is not TaskStatus.DONE:
                if live is not None and is_attestation(result) and result.failure is not None:
                    live.records.note(record_of(result, packet, spec, owner))  # that the job fails may be a lie, too
                ready.append((number, result))
            elif live is None:
                self._pass_on(child, number, result, data)
                ready.append((number, result))
            else:
                live.records.note(record_of(result, packet, spec, owner))
                live.branches[result.worker] = child
                known = live.done.get(result.digest)
                if known is not None and known.is_of(packet, result) and not spec.tolerance:
                    ready.append((number, replace(result, body_bytes=known.stored.size)))
                else:
                    later.append(self._taken(child, live, packet, number, result, data))
        return ready, later

    def _fuel_max(self, number: int) -> int:
        """What the calls of an attempt that a claim was found for may use together, as the job's owner signed it."""
        task = self._core.core.attempts[number].task
        source, job_id = task.job.source, task.job.spec.job_id
        signed = self._live[job_id].signed if source is None else _there(self._delegated.find(source, job_id)).signed
        return _there(signed).options.limits.fuel * max(1, task.packet.count)

    def _pass_on(self, child: PeerId, number: int, result: TaskResult, data: bytes | None) -> None:
        """Note where the results can be had, for those above."""
        task = self._core.core.attempts[number].task
        assert task.job.source is not None, "a parent's"
        job = self._delegated.find(task.job.source, task.job.spec.job_id)
        assert job is not None, "the claim has found it"
        self._contents.hear(job.results, result.body, result.body_bytes, child)
        if data is not None and sha256(data).digest() == result.body:
            self._contents.keep(job.results, result.body, data)  # the child has it, too

    async def _taken(
        self, child: PeerId, live: LiveJob, packet: TaskPacket, number: int, result: TaskResult, data: bytes | None
    ) -> Heard:
        """The answer, once its results are here and are what it says; else the machine's failure."""
        try:
            stored = await self._take(child, live, packet, result, data)
            result = await compared(live, packet, result, self._result_store)
        except Exception as error:  # a disk's, or bytes that make no sense: the attempt must end, whatever it is
            is_told = isinstance(error, PangeaError | FrameError)
            message = f"the results can't be had: {error if is_told else f'{type(error).__name__}: {error}'}"
            failure = TaskResult(
                task_id=result.task_id, status=TaskStatus.FAILED, worker=child, failure=FailureKind.WORKER_LOST, message=message
            )
            return number, failure
        return number, replace(result, body_bytes=stored.size)

    async def _take(self, child: PeerId, live: LiveJob, packet: TaskPacket, result: TaskResult, data: bytes | None) -> Stored:
        body: Buffer
        if data is not None and sha256(data).digest() == result.body:
            body = data
        else:
            if result.body_bytes > live.spec.memory:
                raise InputError(f"{result.body_bytes:,} bytes of results of {packet.task_id}; a guest has {live.spec.memory:,}")
            user = object()  # of its own: an input may be the same bytes, and stays
            self._contents.hear(user, result.body, result.body_bytes, child)
            try:
                body = await self._contents.whole(user, result.body)
            finally:
                self._contents.forget(user)
        wanted = 1 if packet.function == "merge" else packet.count
        if count_of(body) != wanted:
            raise InputError(f"{count_of(body):,} results of {packet.task_id}, not {wanted:,}")
        leaves = await leaves_in(body, packet)
        if leaves != result.leaves or root(leaves) != result.digest:
            raise InputError(f"the results of {packet.task_id} aren't what {result.worker} has signed")
        stored = await self._result_store.keep([body])
        live.stored.append(stored)
        done = TaskDone(
            stored,
            result.fuel,
            result.seconds,
            result.message,
            at=live.elapsed(),
            of=(packet.function, packet.start, packet.count),
            leaves=leaves,
        )
        live.done.setdefault(result.digest, done)
        return stored


def _there(found: T | None) -> T:
    assert found is not None, "tasks are given away once it is there"
    return found


def _beyond(packet: TaskPacket, child: PeerId, result: TaskResult, most: int) -> TaskResult:
    """In place of an answer that can't be: its calls would have been ended before. Nobody is to be billed, or to plan, by it."""
    said = f"{result.worker} says that it used {result.fuel:,} units of fuel; the calls have {most:,} at most"
    return failed(packet, lost(said), child)


def _frame(live: LiveJob, packet: TaskPacket, result_store: ResultStore) -> list[Buffer]:
    if packet.function == "execute":
        return live.chunks.frame(packet.start, packet.count)
    read = (result_store.read(live.done[digest].stored) for digest in packet.inputs)
    return merging.merge_input([each for body in read for each in merging.results_in(body)])[1]
