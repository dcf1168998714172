"""A tree of real orchestrators in memory: links with a delay, engines that take their time, one virtual clock.

Every event is followed by `check()` on the node that had it. Links and nodes can be cut on purpose, with or without notice.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from pangea.compute.model.ids import JobId, PeerId
from pangea.compute.model.packet import TaskPacket
from pangea.compute.orchestrator.core.commands import (
    Command,
    DropPeer,
    FailJob,
    FinishJob,
    MergeJob,
    Send,
    StartTask,
    StopTask,
)
from pangea.compute.orchestrator.core.events import (
    ChunksReady,
    Event,
    JobCancelled,
    JobMerged,
    JobSubmitted,
    MessageReceived,
    PeerJoined,
    PeerLost,
    Relation,
    TaskExecuted,
    TimerFired,
)
from pangea.compute.orchestrator.core.messages import Delegate, Message
from pangea.compute.orchestrator.machine import Orchestrator
from tests.fakes.packets import CHUNK_BYTES, JOB, merge_of, right, spec_of, wrong

OWNER = "owner"
DELAY = 0.01


@dataclass(slots=True)
class Member:
    """One node: its orchestrator, and what its engine does."""

    orchestrator: Orchestrator
    running: dict[int, TaskPacket] = field(default_factory=dict)
    executed: int = 0
    "chunks"
    packets: list[TaskPacket] = field(default_factory=list)
    "that its engine was given"
    is_dead: bool = False
    is_liar: bool = False
    delegated: list[Delegate] = field(default_factory=list)
    "that it received"
    armed: float | None = None


class Tree:
    """The owner at the top, and below each node of a level `fan_out` more, named by their way (`owner.0.1`)."""

    def __init__(self, *, levels: int, fan_out: int = 2, chunk_seconds: float = 0.5, seed: int = 1) -> None:
        """Build it, join it, and let every node tell its parent what stands behind it."""
        self.now = 0.0
        self.chunk_seconds = chunk_seconds
        self.members: dict[str, Member] = {}
        self.ends: list[FinishJob | FailJob] = []
        self.lost: set[tuple[str, type[Message]]] = set()
        "(receiver, kind of message) that never arrives"
        self.observers: dict[str, Callable[[Event, list[Command], float], None]] = {}
        "told what each node hears and decides"
        self._queue: list[tuple[float, int, str, Event]] = []
        self._seed = seed
        self._sequence = 0
        self._grow(OWNER, levels, fan_out)
        self.passes(2.0)

    def submit(self, chunks: int, *, packs: Sequence[int] = (), **fields: Any) -> None:
        """Have the owner begin a job, of packs of so many chunks each if they are given."""
        self.tell(OWNER, JobSubmitted(spec=spec_of(**fields)))
        size = CHUNK_BYTES * chunks
        self.tell(OWNER, ChunksReady(job_id=JOB, count=chunks, size_bytes=size, is_last=True, packs=tuple(packs)))

    def cancel(self) -> None:
        self.tell(OWNER, JobCancelled(job_id=JOB))

    def kill(self, name: str, *, notice: bool = False) -> None:
        """End a node; its neighbours only notice if their links say so."""
        self.members[name].is_dead = True
        for other in self._neighbours(name) if notice else []:
            self._post(DELAY, other, PeerLost(peer=PeerId(name)))

    def passes(self, seconds: float) -> None:
        """Let time pass."""
        self._run(self.now + seconds)

    def finish(self, *, within: float = 600.0) -> FinishJob | FailJob:
        """Let time pass until the job ends."""
        self._run(self.now + within, until_end=True)
        assert self.ends, "the job hangs"
        return self.ends[0]

    def running(self) -> dict[str, int]:
        """How many tasks each node's engine has, where there are any."""
        return {name: len(m.running) for name, m in self.members.items() if m.running and not m.is_dead}

    def holding(self) -> list[str]:
        """Nodes that still know the job."""
        return [name for name, member in self.members.items() if member.orchestrator.core.jobs and not member.is_dead]

    def below(self, name: str) -> list[str]:
        return [other for other in self.members if other.startswith(f"{name}.")]

    def tell(self, name: str, event: Event) -> None:
        """Have one event handled, now."""
        member = self.members[name]
        if member.is_dead:
            return
        if isinstance(event, MessageReceived) and isinstance(event.message, Delegate):
            member.delegated.append(event.message)
        commands = member.orchestrator.handle(event, now=self.now)
        member.orchestrator.check()
        if (observe := self.observers.get(name)) is not None:
            observe(event, commands, self.now)
        for command in commands:
            self._do(name, member, command)
        self._arm(name, member)

    def _grow(self, name: str, levels: int, fan_out: int) -> None:
        random = Random(f"{self._seed} {name}")
        self.members[name] = Member(Orchestrator(PeerId(name), cores=1, random=random, network=name))
        for index in range(fan_out if levels else 0):
            child = f"{name}.{index}"
            self._grow(child, levels - 1, fan_out)
            joined = PeerJoined(peer=PeerId(child), relation=Relation.CHILD, network=child, round_trip=2 * DELAY, cores=1)
            self.tell(name, joined)
            self.tell(child, PeerJoined(peer=PeerId(name), relation=Relation.PARENT))

    def _neighbours(self, name: str) -> list[str]:
        above = name.rpartition(".")[0]
        return [other for other in self.members if other == above or other.rpartition(".")[0] == name]

    def _run(self, end: float, *, until_end: bool = False) -> None:
        while self._queue and self._queue[0][0] <= end and not (until_end and self.ends):
            when, _, name, event = heapq.heappop(self._queue)
            self.now = max(self.now, when)
            if isinstance(event, TaskExecuted) and self.members[name].running.pop(event.attempt, None) is None:
                continue
            if isinstance(event, TimerFired):
                self.members[name].armed = None
            self.tell(name, event)
        if not (until_end and self.ends):
            self.now = end

    def _post(self, delay: float, name: str, event: Event) -> None:
        self._sequence += 1
        heapq.heappush(self._queue, (self.now + delay, self._sequence, name, event))

    def _arm(self, name: str, member: Member) -> None:
        due = member.orchestrator.next_timer()
        if due is not None and (member.armed is None or due < member.armed):
            member.armed = due
            self._post(max(0.0, due - self.now), name, TimerFired())

    def _do(self, name: str, member: Member, command: Command) -> None:
        match command:
            case Send(peer=peer, message=message):
                if peer in self.members and (peer, type(message)) not in self.lost:
                    self._post(DELAY, peer, MessageReceived(peer=PeerId(name), message=message))
            case StartTask(attempt=attempt, packet=packet):
                member.running[attempt] = packet
                member.executed += packet.count
                member.packets.append(packet)
                result = right(packet, name, network=name, chunk_seconds=self.chunk_seconds)
                if member.is_liar:
                    result = wrong(result, lie=name.encode())
                self._post(result.seconds, name, TaskExecuted(attempt=attempt, result=result))
            case StopTask(attempt=attempt):
                member.running.pop(attempt, None)
            case MergeJob(spec=spec, digests=digests):
                self._post(0.01, name, JobMerged(job_id=JobId(spec.job_id), digest=merge_of(digests)))
            case FinishJob() | FailJob():
                self.ends.append(command)
            case DropPeer(peer=peer):
                self._post(DELAY, peer, PeerLost(peer=PeerId(name)))
            case _:
                pass
