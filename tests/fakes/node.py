"""One real orchestrator on a bench: a clock that the test sets, neighbours that are puppets, and wires that must be read.

Every event is followed by `check()`. Whatever the orchestrator sends or starts, the test has to claim (`asked`, `take`,
`started`, `play`), or see called off: the bench fails at its end on a `Delegate`, an `Answers` or a `StartTask` that nobody
looked at. What is right is a pure function of a packet (tests/fakes/packets.py), so a puppet is right or wrong by choice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from random import Random
from types import TracebackType
from typing import Any, Self

from pangea.compute.model.ids import JobId, PeerId, TaskId
from pangea.compute.model.outcome import FailureKind
from pangea.compute.model.packet import Budget, JobSpec, TaskPacket, TaskResult, TaskStatus
from pangea.compute.orchestrator.core.commands import (
    Command,
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
    JobMerged,
    JobSubmitted,
    MessageReceived,
    PeerJoined,
    PeerLost,
    Relation,
    TaskExecuted,
    TimerFired,
)
from pangea.compute.orchestrator.core.messages import Answers, Beat, Cancel, Delegate, Lease, Message, Reveal
from pangea.compute.orchestrator.core.records import Case, Job, Ownership, Task
from pangea.compute.orchestrator.core.state import Core
from pangea.compute.orchestrator.judging.own_check import CHECK, PASSES, REFUSED
from pangea.compute.orchestrator.machine import Orchestrator
from pangea.compute.orchestrator.rules.trust import TrustBook, TrustRecord
from tests.fakes.packets import CHUNK_BYTES, JOB, ME, Ask, budget_of, failed, merge_of, right, sealed, spec_of, wrong

Puppet = Callable[[TaskPacket], TaskResult | None]


class Dice(Random):
    """The orchestrator's randomness: counted, and loaded when a test says so."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.loaded: float | None = None
        self.draws = 0

    def random(self) -> float:
        self.draws += 1
        return super().random() if self.loaded is None else self.loaded


class Node:
    """The bench. Use it in a `with`: its end looks for what nobody claimed."""

    def __init__(
        self, *, cores: int = 1, seed: int = 1, chunk_seconds: float = 1.5, trust: TrustBook | None = None, network: str = ""
    ) -> None:
        """Put an orchestrator of `cores` cores on the bench; by default a chunk is dear enough to be a task of its own."""
        self.dice = Dice(seed)
        self.orchestrator = Orchestrator(ME, cores=cores, random=self.dice, trust=trust, network=network)
        self.now = 0.0
        self.chunk_seconds = chunk_seconds
        self.ends: dict[JobId, FinishJob | FailJob] = {}
        self.merges: list[MergeJob] = []
        self.dropped: list[PeerId] = []
        self.kept: list[KeepTrust] = []
        self.results_kept: dict[str, KeepResult] = {}
        self.stopped: list[int] = []
        self.heartbeats: list[tuple[PeerId, Message]] = []
        self.holds_questions = False
        "whether a test claims the questions that are put to those who were wrong"
        self.silent: set[str] = set()
        "neighbours that don't send heartbeats while time passes"
        self._inbox: dict[str, list[Message]] = {}
        self._starts: dict[int, StartTask] = {}
        self._wanted: dict[str, set[JobId]] = {}
        self._committed: dict[tuple[str, int], TaskResult] = {}
        self._heartbeat_at = 0.0
        self._number = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None:
            self.orchestrator.check()
            self.assert_all_claimed()

    def assert_all_claimed(self) -> None:
        """Fail on work or answers that the test has overlooked."""
        kinds = Delegate | Answers
        left = {peer: [m for m in messages if isinstance(m, kinds)] for peer, messages in self._inbox.items()}
        unclaimed = {peer: messages for peer, messages in left.items() if messages}
        assert not unclaimed, f"nobody claimed {unclaimed}"
        assert not self._starts, f"nobody claimed {list(self._starts.values())}"

    # Events.

    def tell(self, event: Event) -> list[Command]:
        """Have one event handled, now."""
        commands = self.orchestrator.handle(event, now=self.now)
        self.orchestrator.check()
        for command in commands:
            self._note(command)
        return commands + self._dodge()

    def _dodge(self) -> list[Command]:
        """Whoever is asked once more about an answer that was wrong hands the question back, unless the test wants to see it."""
        if self.holds_questions:
            return []
        asks = {peer: self.asked(peer, only=True) for peer in list(self._inbox)}
        return [command for peer, found in asks.items() if found for command in self.hands_back(peer, *found)]

    def hears(self, peer: str, message: Message) -> list[Command]:
        return self.tell(MessageReceived(peer=PeerId(peer), message=message))

    def join_child(
        self, name: str, *, cores: int = 1, round_trip: float = 0.0, network: str = "", is_near: bool = True
    ) -> list[Command]:
        event = PeerJoined(
            peer=PeerId(name),
            relation=Relation.CHILD,
            network=network or f"net-{name}",
            round_trip=round_trip,
            cores=cores,
            is_near=is_near,
        )
        return self.tell(event)

    def join_parent(self, name: str) -> list[Command]:
        self._wanted[name] = set()
        return self.tell(PeerJoined(peer=PeerId(name), relation=Relation.PARENT))

    def loses(self, name: str) -> list[Command]:
        self._wanted.pop(name, None)
        return self.tell(PeerLost(peer=PeerId(name)))

    def submit(self, chunks: int = 10, *, job: str = JOB, size_bytes: int | None = None, **fields: Any) -> list[Command]:
        """A client's job, all its input at once."""
        commands = self.tell(JobSubmitted(spec=spec_of(job, **fields)))
        size = CHUNK_BYTES * chunks if size_bytes is None else size_bytes
        return commands + self.tell(ChunksReady(job_id=JobId(job), count=chunks, size_bytes=size, is_last=True))

    def keep_busy(self) -> None:
        """Give this node's own engine work of another kind, light enough to stay here, for as long as the test lasts."""
        cores = self.core.me.cores
        fields: dict[str, Any] = {"estimated_flops": 0.0, "attempt_timeout": 1e6, "timeout": 1e6, "verification": "none"}
        self.submit(cores, job="elsewhere", size_bytes=0, **fields)
        for start in self.started():
            assert start.spec.job_id == "elsewhere"

    def manage(self, *names: str) -> None:
        """Have children at work, while this node is busy elsewhere."""
        self.keep_busy()
        for name in names:
            self.join_child(name)

    def delegates(
        self, parent: str, *, chunks: int = 1, first: int = 0, job: str = JOB, budget: Budget | None = None, **fields: Any
    ) -> list[int]:
        """A parent's batch of one-chunk tasks; its numbers for them."""
        spec = spec_of(job, **fields)
        packets = [
            TaskPacket(task_id=TaskId(f"{job}:{start}"), start=start, count=1, size_bytes=CHUNK_BYTES)
            for start in range(first, first + chunks)
        ]
        return self.delegate_packets(parent, packets, spec=spec, budget=budget)

    def delegate_packets(
        self, parent: str, packets: list[TaskPacket], *, spec: JobSpec | None = None, budget: Budget | None = None
    ) -> list[int]:
        """A parent's batch of these tasks; its numbers for them."""
        spec = spec or spec_of()
        numbers = [self._next_number() for _ in packets]
        self._wanted.setdefault(parent, set()).add(spec.job_id)
        tasks = tuple(zip(numbers, packets, strict=True))
        self.hears(parent, Delegate(spec=spec, budget=budget or budget_of(parent), tasks=tasks))
        return numbers

    def beats(
        self, child: str, *, cores: int = 1, window: int | None = None, nodes: int = 1, height: int = 0, adapters: int = 0
    ) -> list[Command]:
        wants = cores if window is None else window
        return self.hears(child, Beat(cores=cores, window=wants, nodes=nodes, height=height, adapters=adapters))

    def passes(self, seconds: float) -> list[Command]:
        """Let time pass; timers fire when due, neighbours that aren't `silent` say that they live."""
        end, commands = self.now + seconds, []
        while True:
            due = self.orchestrator.next_timer()
            self.now = max(self.now, min(end, self._heartbeat_at, due if due is not None else end))
            if due is not None and due <= self.now:
                commands += self.tell(TimerFired())
            elif self._heartbeat_at <= self.now:
                self._heartbeat_at = self.now + 0.5
                self._heartbeats()
            else:
                return commands

    # What was sent and started.

    def take(self, peer: str) -> list[Message]:
        """Claim all that `peer` was told, heartbeats apart."""
        return self._inbox.pop(peer, [])

    def asked(self, peer: str, *, only: bool = False) -> list[Ask]:
        """Claim the tasks that `peer` was given and that weren't called off since; the rest stays to be taken.

        With `only` no others than those that nobody else may do.
        """
        messages = self._inbox.get(peer, [])
        batches = [
            message
            for message in messages
            if isinstance(message, Delegate) and (not only or any(packet.only for _, packet in message.tasks))
        ]
        self._inbox[peer] = [message for message in messages if message not in batches]
        return [Ask(attempt, packet, batch.spec, batch.budget) for batch in batches for attempt, packet in batch.tasks]

    def started(self) -> list[StartTask]:
        """Claim what this node's own engine was given and not told to stop."""
        starts, self._starts = list(self._starts.values()), {}
        return starts

    def told(self, parent: str) -> list[tuple[int, TaskResult]]:
        """Claim the answers that a parent got."""
        messages = self._inbox.get(parent, [])
        self._inbox[parent] = [message for message in messages if not isinstance(message, Answers)]
        return [pair for message in messages if isinstance(message, Answers) for pair in message.results]

    # Answers.

    def right(self, packet: TaskPacket, worker: str) -> TaskResult:
        return right(packet, worker, network=f"net-{worker}", chunk_seconds=self.chunk_seconds)

    def answers(self, peer: str, *asks: Ask, worker: str | None = None, lie: bytes = b"", **changes: Any) -> list[Command]:
        """`peer` answers, rightly unless there is a `lie`, for itself unless it names another `worker`."""
        results = []
        for ask in asks:
            result = self.right(ask.packet, worker or peer)
            if lie:
                result = wrong(result, lie=lie)
            results.append((ask.attempt, replace(result, **changes)))
        return self.hears(peer, Answers(results=tuple(results)))

    def says(self, peer: str, ask: Ask, result: TaskResult) -> list[Command]:
        """`peer` answers just this."""
        return self.hears(peer, Answers(results=((ask.attempt, result),)))

    def hands_back(self, peer: str, *asks: Ask, status: TaskStatus = TaskStatus.REFUSED) -> list[Command]:
        results = [(a.attempt, TaskResult(task_id=a.task_id, status=status, worker=PeerId(peer), message="no")) for a in asks]
        return self.hears(peer, Answers(results=tuple(results)))

    def fails(self, peer: str, ask: Ask, kind: FailureKind = FailureKind.WORKER_LOST) -> list[Command]:
        return self.says(peer, ask, failed(ask.packet, peer, kind))

    def executes(self, *starts: StartTask, kind: FailureKind | None = None) -> list[Command]:
        """This node's own engine is done."""
        commands: list[Command] = []
        for start in starts:
            if start.packet.function == CHECK and kind is None:
                true = right(replace(start.packet, function="execute", inputs=()), ME).digest
                commands += self.checks(start, says="" if start.packet.inputs == (true,) else "it is wrong")
                continue
            result = self.right(start.packet, ME) if kind is None else failed(start.packet, ME, kind)
            commands += self.tell(TaskExecuted(attempt=start.attempt, result=result))
        return commands

    def checks(self, *starts: StartTask, says: str = "", kind: FailureKind | None = None) -> list[Command]:
        """The job's own check has looked at answers: all pass, unless it `says` something, or ended with a failure."""
        commands: list[Command] = []
        for start in starts:
            assert start.packet.function == CHECK
            result = TaskResult(
                task_id=start.packet.task_id, worker=ME, digest=REFUSED if says else PASSES, fuel=10, seconds=0.01, message=says
            )
            if kind is not None:
                result = failed(start.packet, ME, kind, says)
            commands += self.tell(TaskExecuted(attempt=start.attempt, result=result))
        return commands

    # Whole jobs.

    def honest(self, *workers: str) -> dict[str, Puppet]:
        """Puppets that answer rightly."""
        return {worker: self._puppet(worker) for worker in workers}

    def liar(self, worker: str, *, when: Callable[[TaskPacket], bool] = lambda packet: True, lie: bytes = b"") -> Puppet:
        """A puppet that answers wrongly at times; its lie is its own unless one is given."""

        def answer(packet: TaskPacket) -> TaskResult:
            result = self.right(packet, worker)
            return wrong(result, lie=lie or worker.encode()) if when(packet) else result

        return answer

    def play(self, puppets: Mapping[str, Puppet], *, seconds: float = 300.0) -> FinishJob | FailJob:
        """Let the puppets, this node's engine and the clock do what they do, until a job ends."""
        end = self.now + seconds
        while not self.ends:
            assert self.now < end, "the job hangs"
            self.step(puppets)
        return next(iter(self.ends.values()))

    def step(self, puppets: Mapping[str, Puppet]) -> None:
        """Have everybody do what they were given, each task in a tenth of a second."""
        heard = {peer: self.take(peer) for peer in puppets}
        starts = self.started()
        self.passes(0.1)
        for peer, messages in heard.items():
            for message in messages:
                self._react(peer, puppets[peer], message)
        for start in starts:
            if start.attempt not in self.stopped:
                self.executes(start)
        self.merge()

    def merge(self) -> None:
        """Do the merges that were asked for."""
        merges, self.merges = self.merges, []
        for merge in merges:
            self.tell(JobMerged(job_id=merge.spec.job_id, digest=merge_of(merge.digests)))

    # Looking inside.

    @property
    def core(self) -> Core:
        return self.orchestrator.core

    def job(self, job: str = JOB, source: str | None = None) -> Job:
        return self.core.jobs[None if source is None else PeerId(source), JobId(job)]

    def task(self, index: int = 0, job: str = JOB, source: str | None = None) -> Task:
        return self.job(job, source).tasks[TaskId(f"{job}:{index}")]

    def own(self, job: str = JOB) -> Ownership:
        """What this node keeps as a job's owner."""
        own = self.job(job).own
        assert own is not None
        return own

    def case(self, index: int = 0) -> Case:
        """What this node knows about the answers to a task of its job."""
        case = self.task(index).case
        assert case is not None
        return case

    def trusts(self, **passes: int) -> None:
        """Let workers have passed so many checks before, and be so well known to this node that no crowd hides behind them."""
        for worker, count in passes.items():
            self.core.trust.restore(PeerId(worker), "", TrustRecord(passes=count, anchors=10**6))

    def _puppet(self, worker: str) -> Puppet:
        return lambda packet: self.right(packet, worker)

    def _react(self, peer: str, puppet: Puppet, message: Message) -> None:
        if isinstance(message, Delegate):
            for attempt, packet in message.tasks:
                result = puppet(packet)
                if result is None:
                    continue
                if packet.commit_first and result.status is TaskStatus.DONE:
                    self._committed[peer, attempt] = result
                    result = sealed(result)
                self.hears(peer, Answers(results=((attempt, result),)))
        elif isinstance(message, Reveal):
            shown = [(attempt, self._committed.pop((peer, attempt))) for attempt in message.attempts]
            self.hears(peer, Answers(results=tuple(shown)))

    def _heartbeats(self) -> None:
        for child in list(self.core.children.values()):
            if child.id not in self.silent:
                wants = max(child.wants, child.cores)
                said = {"nodes": child.nodes, "height": child.height, "adapters": child.adapters}
                self.beats(child.id, cores=child.cores, window=wants, **said)
        for parent in list(self.core.parents):
            if parent not in self.silent:
                self.hears(parent, Lease(jobs=tuple(sorted(self._wanted[parent]))))

    def _next_number(self) -> int:
        self._number += 1
        return self._number

    def _note(self, command: Command) -> None:
        match command:
            case Send(peer=peer, message=Beat() | Lease() as message):
                self.heartbeats.append((peer, message))
            case Send(peer=peer, message=message):
                if isinstance(message, Cancel):
                    self._call_off(peer, message)
                self._inbox.setdefault(peer, []).append(message)
            case StartTask(attempt=attempt):
                self._starts[attempt] = command
            case StopTask(attempt=attempt):
                self._starts.pop(attempt, None)
                self.stopped.append(attempt)
            case MergeJob():
                self.merges.append(command)
            case FinishJob(job_id=job_id) | FailJob(job_id=job_id):
                self.ends[job_id] = command
            case DropPeer(peer=peer):
                self.dropped.append(peer)
                self._inbox.pop(peer, None)
            case KeepTrust():
                self.kept.append(command)
            case KeepResult(packet=packet):
                self.results_kept[packet.task_id] = command
            case DropResult(task_id=task_id):
                del self.results_kept[task_id]

    def _call_off(self, peer: str, message: Cancel) -> None:
        """What is cancelled before anybody looked at it needn't be claimed."""
        kept: list[Message] = []
        for earlier in self._inbox.get(peer, []):
            if isinstance(earlier, Delegate):
                tasks = tuple(task for task in earlier.tasks if task[0] not in message.attempts)
                if tasks:
                    kept.append(replace(earlier, tasks=tasks))
            else:
                kept.append(earlier)
        self._inbox[peer] = kept
