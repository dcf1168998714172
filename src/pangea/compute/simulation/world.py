"""The world: one event after another, each handed to the orchestrator of the node it happens to, whose commands are carried out.

What a driver does in real life is done here in virtual time: messages travel (`network`), tasks execute (`cores`), links come
and go (`members`). Everything drawn comes from the scenario's seed; nothing depends on the real clock, on addresses or on the
order of a set. So the same scenario gives the same run, event by event, and `trace` proves it.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any, Final

from pangea.compute.model.ids import PeerId
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
from pangea.compute.orchestrator.core.events import Event, JobMerged, MessageReceived, PeerMisbehaved, TimerFired
from pangea.compute.orchestrator.core.messages import Answers, Beat, Cancel, Delegate, Exclude, Lease, Message
from pangea.compute.simulation.answers import Program
from pangea.compute.simulation.checkers import CheckError, Checkers, wrong_in
from pangea.compute.simulation.clock import Kind
from pangea.compute.simulation.cores import Cores
from pangea.compute.simulation.liars import Forged
from pangea.compute.simulation.members import Members
from pangea.compute.simulation.network import INLINE_BYTES, MESSAGE_BYTES
from pangea.compute.simulation.node import Link, Mind, Node
from pangea.compute.simulation.program import MERGE_SECONDS
from pangea.compute.simulation.scenario import Scenario
from pangea.compute.simulation.stage import Stage
from pangea.compute.simulation.trace import Trace

#: A timer may fire so often at one instant; more is an endless loop.
FIRED_MAX: Final = 1000
_TIMER_FIRED: Final = TimerFired()

MakeMind = Callable[[Node], Mind]


class World(Stage):
    """All nodes of one run, and what happens between them.

    Attributes:
        ended: when the job ended; None while it lives.
        finish: how it ended.
        speed: of all nodes that it began with, in cores of speed 1.
    """

    def __init__(self, scenario: Scenario, program: Program, trace: Trace, make_mind: MakeMind) -> None:
        """A world without nodes; `make_mind` gives each node its orchestrator."""
        super().__init__(scenario, program, trace)
        self.checkers: Checkers = Checkers(scenario, program)
        self.cores: Cores = Cores(self)
        self.members: Members = Members(self, self.cores, make_mind)
        self.speed: float = 0.0
        self.ended: float | None = None
        self.finish: FinishJob | FailJob | None = None
        self._until_check = scenario.check_every
        self._carry_out: dict[type, Callable[[Node, Any], None]] = {
            Send: self._send,
            StartTask: self.cores.start,
            StopTask: self.cores.stop,
            MergeJob: self._merge_job,
            FinishJob: self._finish_job,
            FailJob: self._finish_job,
            DropPeer: self._drop_peer,
            KeepTrust: self._keep_trust,
            KeepResult: self._skip,
            DropResult: self._skip,
            DropJob: self._skip,
        }
        self._happen: tuple[Callable[[Any, Any], None], ...] = (
            self._fire,
            self._arrive,
            self._arrive_forged,
            self.cores.end,
            self._call,
        )

    def run(self, until: float, *, is_enough: Callable[[], bool] = lambda: False) -> None:
        """Let happen what happens up to `until`, or up to when it is enough.

        Raises:
            CheckError: something happened that may not.
        """
        clock, happen, advance = self.clock, self._happen, self.clock.advance
        try:
            while (entry := advance(until)) is not None:
                happen[entry[2]](entry[3], entry[4])
                if clock.now >= self.tally.next_sample:
                    self.tally.sample(clock.now)
                if self.ended is not None and is_enough():
                    return
        except CheckError:
            raise
        except Exception as error:
            where = "; ".join(f"{frame.name}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)[-4:])
            raise CheckError("orchestrator", f"{type(error).__name__}: {error} (in {where}) at {clock.now:.6f} s") from error

    def has_ended(self) -> bool:
        """Whether the job has ended, well or not."""
        return self.ended is not None

    def progress(self) -> str:
        """How far the job is, for people."""
        up = sum(node.is_up for node in self.nodes)
        return f"{self.tally.samples[-1].tasks} tasks answered, {self.tally.busy} cores busy, {up} of {len(self.nodes)} nodes up"

    def tell(self, node: Node, event: Event) -> None:
        """Hand an event to a node, carry out what it wants, and set its timer."""
        clock, mind, carry_out = self.clock, node.mind, self._carry_out
        commands: list[Command] = mind.handle(event, now=clock.now)
        for command in commands:
            carry_out[type(command)](node, command)
        if self._until_check:
            self._check(mind)
        due = mind.next_timer()
        if due is not None and due < node.armed:
            node.armed = due
            clock.plan(due, Kind.TIMER, node, due)

    def wake(self, node: Node) -> None:
        """A stall ends: what has waited happens now, in order."""
        node.stalled_until = self.clock.now
        for kind, subject, what in node.deferred:
            self.clock.plan(self.clock.now, kind, subject, what)
        node.deferred.clear()

    def _check(self, mind: Mind) -> None:
        self._until_check -= 1
        if self._until_check == 0:
            self._until_check = self.scenario.check_every
            mind.check()

    def _fire(self, node: Node, armed: float) -> None:
        """A node's timer; it may have been set anew since, or be due later than it was."""
        now = self.clock.now
        if not node.is_up or armed != node.armed or self.is_stalled(node, Kind.TIMER, node, armed):
            return
        due = node.mind.next_timer()
        node.armed = float("inf")
        if due is None:
            return
        if due > now:
            node.armed = due
            self.clock.plan(due, Kind.TIMER, node, due)
            return
        node.fired = node.fired + 1 if node.fired_at == now else 1
        node.fired_at = now
        if node.fired > FIRED_MAX:
            raise CheckError("orchestrator", f"the timer of n{node.number} fired {FIRED_MAX} times at {now:.6f} s")
        self.trace.count(now, node.number, Kind.TIMER, 0)
        self.tell(node, _TIMER_FIRED)

    def _send(self, node: Node, command: Send) -> None:
        link = node.links.get(command.peer)
        if link is None or not link.is_up:
            return
        message: Any = command.message
        kind = type(message)
        if kind is Delegate:
            self.checkers.delegated(node, command.peer, message)
            self.tally.delegated(node, link.target, message)
        elif kind is Exclude:
            self._ban(node, message.workers)
        elif kind is Answers:
            if node.memory:
                self.cores.release(node, command.peer, [number for number, _ in message.results])
            if self.gossip.is_wanted:
                self.gossip.hear(message)
        event = Kind.MESSAGE
        if node.liar is not None:
            changed = node.liar.relay(message)
            if changed is None:
                return
            if isinstance(changed, Forged):
                event, changed = Kind.FORGERY, changed.message
            message = changed
        self.transmit(link, event, message)

    def transmit(self, link: Link, event: Kind, message: Message) -> None:
        """Put a message on its way."""
        network, clock = self.network, self.clock
        size = network.size(message)
        self.tally.messages += 1
        self.tally.message_bytes += size
        now, delay = clock.now, 0.0
        if size > INLINE_BYTES:  # the message travels alone, its data beside it
            if isinstance(message, Delegate):
                network.fetch(link, message, now)
            elif isinstance(message, Answers):
                delay = network.upload(link, size, now) - now
            size = MESSAGE_BYTES
        if not network.is_faulty:
            clock.plan(network.arrival(link, size, now) + delay, event, link, message)
            return
        for when in network.faulty_arrivals(link, size, now):
            clock.plan(when + delay, event, link, message)

    def _arrive(self, link: Link, message: Message) -> None:
        node, now, kind = link.target, self.clock.now, type(message)
        if not (link.is_up and node.is_up) or (node.stalled_until > now and self.is_stalled(node, Kind.MESSAGE, link, message)):
            return
        source, count = link.source, 0
        if kind is not Beat and kind is not Lease:
            self.trace.heard(now, node.number, source.number, message)
            if isinstance(message, Answers):
                count = len(message.results)
                if node.number == 0:
                    self.tally.answered(message)
            elif isinstance(message, Delegate | Cancel) and node.memory:
                admitted = self.cores.admit(node, link, message)
                if admitted is None:
                    return
                message = admitted
        self.trace.count(now, node.number, Kind.MESSAGE, source.number + (count << 32))
        self.tell(node, MessageReceived(peer=source.peer, message=message))

    def _arrive_forged(self, link: Link, message: Message) -> None:
        """The receiver's driver has checked the signatures: the results aren't passed on, the sender is named."""
        node = link.target
        if not link.is_up or not node.is_up or self.is_stalled(node, Kind.FORGERY, link, message):
            return
        self.trace.count(self.clock.now, node.number, Kind.FORGERY, link.source.number)
        self.trace.heard(self.clock.now, node.number, link.source.number, "results with wrong signatures")
        self.tell(node, PeerMisbehaved(peer=link.source.peer, what="passed on results with wrong signatures"))

    def _call(self, action: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        action(*arguments)

    def _merge_job(self, node: Node, command: MergeJob) -> None:
        self.note(node, "merges", command)
        self.checkers.merged(command)
        self.tally.wrong = wrong_in(self.program, command)
        self.clock.call(self.clock.now + MERGE_SECONDS * len(command.digests), self._merged, node, command)

    def _merged(self, node: Node, command: MergeJob) -> None:
        self.trace.count(self.clock.now, node.number, Kind.CALL, len(command.digests))
        self.tell(node, JobMerged(job_id=command.spec.job_id, digest=self.program.merge(command.digests)))

    def _finish_job(self, node: Node, command: FinishJob | FailJob) -> None:
        self.note(node, "finishes" if isinstance(command, FinishJob) else "fails", command)
        assert self.ended is None, "the job has ended twice"
        self.ended, self.finish = self.clock.now, command
        self._ban(node, command.report.bans)
        self.tally.stop_watching(self.clock.now)

    def _drop_peer(self, node: Node, command: DropPeer) -> None:
        self.note(node, "drops", command)
        node.refuses[command.peer] = None
        self._ban(node, (command.peer,))
        link = node.links.get(command.peer)
        if link is not None:
            self.members.part(node, link.target, told=(link.target,))

    def _keep_trust(self, node: Node, command: KeepTrust) -> None:
        if node.number == 0:
            self.checkers.trusted(command, is_liar=self.by_peer[command.worker].liar is not None)

    def _skip(self, node: Node, command: KeepResult | DropResult | DropJob) -> None:
        """Owners don't crash here, and results have no bytes: nothing has to be on disk, nothing to be let go."""

    def _ban(self, node: Node, workers: tuple[PeerId, ...]) -> None:
        for worker in workers:
            if worker in self.tally.bans:
                continue
            banned, now = self.by_peer[worker], self.clock.now
            self.tally.banned(worker, now, is_liar=banned.liar is not None)
            self.note(node, "bans", str(worker))
            self.checkers.banned(worker, now, is_liar=banned.liar is not None)
            if banned.swarm >= 0:
                self.members.renew(banned)
