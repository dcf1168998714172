"""The world with minds of a few lines: what happens to commands, and what nodes are told."""

from __future__ import annotations

import pytest

from pangea.compute.model.ids import JobId, PeerId, TaskId
from pangea.compute.model.outcome import FailureKind
from pangea.compute.model.packet import Budget, JobSpec, TaskPacket, TaskStatus
from pangea.compute.orchestrator.core.commands import Command, DropPeer, Send, StartTask, StopTask
from pangea.compute.orchestrator.core.events import (
    Event,
    MessageReceived,
    PeerJoined,
    PeerLost,
    PeerMisbehaved,
    Relation,
    TaskExecuted,
    TimerFired,
)
from pangea.compute.orchestrator.core.messages import Answers, Beat, Delegate, Message
from pangea.compute.simulation.checkers import CheckError
from pangea.compute.simulation.members import SILENCE_SECONDS
from pangea.compute.simulation.node import Node
from pangea.compute.simulation.program import Synthetic
from pangea.compute.simulation.scenario import Scenario
from pangea.compute.simulation.trace import Trace
from pangea.compute.simulation.world import World

SPEC = JobSpec(job_id=JobId("j"), module="", attempt_timeout=30.0)
BEAT = Beat(cores=1, window=1, nodes=1, height=0)


class FakeMind:
    """Notes what it is told, and wants what the test says."""

    def __init__(self) -> None:
        self.told: list[tuple[float, Event]] = []
        self.wants: list[Command] = []
        self.timer: float | None = None

    def handle(self, event: Event, *, now: float) -> list[Command]:
        self.told.append((now, event))
        if isinstance(event, TimerFired) and self.timer is not None and self.timer <= now:
            self.timer = None
        wants, self.wants = self.wants, []
        return wants

    def next_timer(self) -> float | None:
        return self.timer

    def check(self) -> None:
        pass


class Room:
    """A world of nodes with fake minds."""

    def __init__(self, **options: object) -> None:
        self.minds: dict[int, FakeMind] = {}
        self.scenario = Scenario(jitter=0.0, chunks=1000, **options)  # type: ignore[arg-type]
        self.world = World(self.scenario, Synthetic(self.scenario), Trace(), self._make)

    def _make(self, node: Node) -> FakeMind:
        return self.minds.setdefault(node.number, FakeMind())

    def node(self, parent: Node | None = None, *, liar: str = "") -> Node:
        node = self.world.members.add(liar=liar)
        if parent is not None:
            self.world.members.join(parent, node)
        return node

    def do(self, node: Node, *commands: Command) -> None:
        """Have a node want this, now."""
        self.minds[node.number].wants = list(commands)
        self.world.tell(node, TimerFired())

    def told(self, node: Node, kind: type) -> list[tuple[float, Event]]:
        return [(when, event) for when, event in self.minds[node.number].told if isinstance(event, kind)]


def packet(start: int = 0, count: int = 10, size_bytes: int = 10) -> TaskPacket:
    return TaskPacket(task_id=TaskId(f"j:{start}"), start=start, count=count, size_bytes=size_bytes, packs=(1,) * count)


def start(attempt: int = 1, task: TaskPacket | None = None) -> StartTask:
    return StartTask(attempt=attempt, spec=SPEC, packet=task or packet())


def delegate(*tasks: TaskPacket) -> Delegate:
    budget = Budget(depth=7, fan_out=64, seconds=100.0, ancestors=(PeerId("n0"),))
    return Delegate(spec=SPEC, budget=budget, tasks=tuple(enumerate(tasks, 1)))


def one_result(room: Room, node: Node) -> TaskExecuted:
    ((_, event),) = room.told(node, TaskExecuted)
    assert isinstance(event, TaskExecuted)
    return event


def answer_of(room: Room, node: Node) -> Answers:
    """What a node has executed, as a message."""
    executed = one_result(room, node)
    return Answers(results=((executed.attempt, executed.result),))


def test_both_ends_of_a_link_are_told() -> None:
    room = Room()
    owner = room.node()
    child = room.node(owner)
    ((_, down),), ((_, up),) = room.told(owner, PeerJoined), room.told(child, PeerJoined)
    assert isinstance(down, PeerJoined)
    assert isinstance(up, PeerJoined)
    assert (down.peer, down.relation, down.cores, down.network) == ("n1", Relation.CHILD, 1, "net1")
    assert (up.peer, up.relation) == ("n0", Relation.PARENT)
    assert down.round_trip == up.round_trip == 2 * room.world.network.latency(owner, child)


def test_a_message_arrives_after_its_latency() -> None:
    room = Room()
    owner = room.node()
    child = room.node(owner)
    room.do(child, Send(peer=owner.peer, message=BEAT))
    room.world.run(1.0)
    ((when, event),) = room.told(owner, MessageReceived)
    assert event == MessageReceived(peer=child.peer, message=BEAT)
    assert when == pytest.approx(room.world.network.latency(owner, child), abs=1e-5)


def test_a_message_to_a_stranger_goes_nowhere() -> None:
    room = Room()
    owner, stranger = room.node(), room.node()
    room.do(owner, Send(peer=stranger.peer, message=BEAT))
    room.world.run(1.0)
    assert room.told(stranger, MessageReceived) == []


def test_a_task_takes_its_time_on_a_core_of_this_speed() -> None:
    room = Room()
    node = room.node()
    node.speed = 2.0
    room.do(node, start())
    room.world.run(10.0)
    ((when, event),) = room.told(node, TaskExecuted)
    assert isinstance(event, TaskExecuted)
    assert when == pytest.approx(10 * 0.1 / 2.0 + 0.003)
    assert event.attempt == 1
    assert event.result.digest == room.world.program.answer(packet()).digest
    assert event.result.seconds == when


def test_tasks_wait_for_a_free_core() -> None:
    room = Room(owner_cores=2)
    node = room.node()
    room.do(node, start(1), start(2), start(3))
    room.world.run(10.0)
    assert [when for when, _ in room.told(node, TaskExecuted)] == pytest.approx([1.003, 1.003, 2.006])


def test_a_stopped_task_is_no_news_and_frees_its_core() -> None:
    room = Room(owner_cores=1)
    node = room.node()
    room.do(node, start(1), start(2))
    room.world.run(0.5)
    room.do(node, StopTask(attempt=1))
    room.world.run(10.0)
    ((when, event),) = room.told(node, TaskExecuted)
    assert isinstance(event, TaskExecuted)
    assert event.attempt == 2
    assert when == pytest.approx(0.5 + 1.003)


def test_a_task_beyond_its_time_is_killed_by_the_node() -> None:
    room = Room()
    node = room.node()
    room.do(node, start(1, packet(count=500)))
    room.world.run(100.0)
    result = one_result(room, node).result
    assert (result.status, result.failure, result.seconds) == (TaskStatus.FAILED, FailureKind.TIMED_OUT, 30.0)


def test_one_timer_is_armed_again_and_again() -> None:
    room = Room()
    node = room.node()
    mind = room.minds[0]
    mind.timer = 5.0
    room.do(node)
    mind.timer = 3.0
    room.do(node)
    room.world.run(2.0)
    mind.timer = 4.0  # later than it is armed for: looked at, and armed again
    room.world.run(10.0)
    assert [when for when, _ in room.told(node, TimerFired)] == [0.0, 0.0, 4.0]


def test_a_timer_that_never_moves_on_is_an_endless_loop() -> None:
    room = Room()
    node = room.node()
    room.minds[0].timer = 0.0
    room.minds[0].handle = lambda event, *, now: []  # type: ignore[method-assign]
    room.do(node)
    with pytest.raises(CheckError, match="the timer of n0 fired 1000 times"):
        room.world.run(1.0)


def test_a_crash_loses_what_was_under_way_and_is_noticed() -> None:
    room = Room()
    owner = room.node()
    child = room.node(owner)
    room.do(child, start())
    room.world.members.die(child, is_silent=False)
    room.world.run(5.0)
    ((when, event),) = room.told(owner, PeerLost)
    assert event == PeerLost(peer=child.peer)
    assert when < 0.5
    assert room.told(child, TaskExecuted) == []


def test_a_silent_death_is_noticed_by_children_alone_and_late() -> None:
    room = Room()
    owner = room.node()
    manager = room.node(owner)
    child = room.node(manager)
    room.world.members.die(manager, is_silent=True)
    room.world.run(SILENCE_SECONDS + 5.0)
    assert room.told(owner, PeerLost) == []
    assert [when for when, _ in room.told(child, PeerLost)] == [SILENCE_SECONDS]
    assert child.parent is owner


def test_a_restarted_node_has_a_fresh_mind_and_finds_a_parent() -> None:
    room = Room()
    owner = room.node()
    child = room.node(owner)
    room.world.members.die(child, is_silent=True)
    room.minds.pop(1)
    room.world.members.restart(child)
    room.world.run(5.0)
    assert [type(event) for _, event in room.minds[1].told] == [PeerJoined]
    assert [type(event) for _, event in room.minds[0].told] == [PeerJoined, PeerLost, PeerJoined]


def test_orphans_of_a_node_that_left_find_another_parent() -> None:
    room = Room()
    owner = room.node()
    manager = room.node(owner)
    child = room.node(manager)
    room.world.members.leave(manager)
    room.world.run(5.0)
    assert child.parent is owner
    assert [type(event) for _, event in room.told(child, PeerLost)] == [PeerLost]


def test_who_was_dropped_is_told_and_turned_away_from_then_on() -> None:
    room = Room()
    owner = room.node()
    manager = room.node(owner)
    liar = room.node(owner, liar="lazy")
    room.node(manager)
    room.do(owner, DropPeer(peer=liar.peer, reason="it was wrong (lied)"))
    room.world.run(5.0)
    assert len(room.told(liar, PeerLost)) == 1
    assert liar.parent is manager


def test_nobody_joins_below_itself() -> None:
    room = Room()
    owner = room.node()
    manager = room.node(owner)
    child = room.node(manager)
    room.node(child)
    room.world.members.part(owner, manager, told=(owner, manager))
    room.world.run(5.0)
    assert manager.parent is owner
    assert child.parent is manager


def test_a_stalled_node_catches_up_in_order() -> None:
    room = Room()
    owner = room.node()
    child = room.node(owner)
    child.stalled_until = 5.0
    messages: list[Message] = [Beat(cores=cores, window=1, nodes=1, height=0) for cores in range(5)]
    room.do(owner, *(Send(peer=child.peer, message=message) for message in messages))
    room.world.run(5.0)
    assert room.told(child, MessageReceived) == []
    room.world.wake(child)
    room.world.run(6.0)
    assert [event.message for _, event in room.told(child, MessageReceived) if isinstance(event, MessageReceived)] == messages


def test_the_receiver_of_forged_results_is_told_who_misbehaved() -> None:
    room = Room(lie_rate=1.0)
    owner = room.node()
    tamperer = room.node(owner, liar="tamperer")
    room.do(tamperer, start())
    room.world.run(5.0)
    room.do(tamperer, Send(peer=owner.peer, message=answer_of(room, tamperer)))
    room.world.run(6.0)
    ((_, event),) = room.told(owner, PeerMisbehaved)
    assert isinstance(event, PeerMisbehaved)
    assert event.peer == tamperer.peer
    assert room.told(owner, MessageReceived) == []


def test_a_node_refuses_what_its_memory_has_no_room_for() -> None:
    room = Room(memory_bytes=100)
    owner = room.node()
    child = room.node(owner)
    room.do(owner, Send(peer=child.peer, message=delegate(packet(0, 10, 60), packet(10, 10, 60), packet(20, 10, 40))))
    room.world.run(1.0)
    ((_, taken),) = room.told(child, MessageReceived)
    ((_, refused),) = room.told(owner, MessageReceived)
    assert isinstance(taken, MessageReceived)
    assert isinstance(refused, MessageReceived)
    assert isinstance(taken.message, Delegate)
    assert isinstance(refused.message, Answers)
    assert [number for number, _ in taken.message.tasks] == [1, 3]
    assert [(number, result.status) for number, result in refused.message.results] == [(2, TaskStatus.REFUSED)]


def test_large_data_is_fetched_beside_the_message_and_the_task_waits_for_it() -> None:
    room = Room(bandwidth=1e6)
    owner = room.node()
    child = room.node(owner)
    task = packet(0, 10, 2_000_000)
    room.do(owner, Send(peer=child.peer, message=delegate(task)), Send(peer=child.peer, message=BEAT))
    room.world.run(0.5)
    assert len(room.told(child, MessageReceived)) == 2  # neither waits for the data
    room.do(child, start(1, task))
    room.world.run(10.0)
    ((when, event),) = room.told(child, TaskExecuted)
    assert isinstance(event, TaskExecuted)
    assert when == pytest.approx(2.0 + 1.003, abs=0.05)
    assert event.result.seconds == pytest.approx(1.003)


def test_a_manager_passes_on_data_when_it_has_it() -> None:
    room = Room(bandwidth=1e6)
    owner = room.node()
    manager = room.node(owner)
    child = room.node(manager)
    task = packet(0, 10, 2_000_000)
    room.do(owner, Send(peer=manager.peer, message=delegate(task)))
    room.world.run(1.0)
    room.do(manager, Send(peer=child.peer, message=delegate(task)))
    room.world.run(1.5)
    assert child.data[task.task_id] == pytest.approx(3.0, abs=0.05)  # its link was free from second 1 on


def test_answered_tasks_give_their_memory_back() -> None:
    room = Room(memory_bytes=100)
    owner = room.node()
    child = room.node(owner)
    room.do(owner, Send(peer=child.peer, message=delegate(packet(0, 10, 60))))
    room.world.run(1.0)
    assert child.held_bytes == 60
    room.do(child, start())
    room.world.run(5.0)
    room.do(child, Send(peer=owner.peer, message=answer_of(room, child)))
    assert child.held_bytes == 0


def test_a_burnt_key_of_a_swarm_comes_back_as_another() -> None:
    room = Room()
    owner = room.node()
    sybil = room.node(owner, liar="sybil")
    room.do(owner, DropPeer(peer=sybil.peer, reason="it was wrong (lied)"))
    room.world.run(10.0)
    fresh = room.world.nodes[-1]
    assert not sybil.is_up
    assert (fresh.peer, fresh.network) == ("n2", sybil.network)
    assert fresh.parent is owner


def test_an_exception_of_an_orchestrator_is_a_violated_check() -> None:
    room = Room()
    owner = room.node()
    child = room.node(owner)
    room.do(child, Send(peer=owner.peer, message=BEAT))
    room.minds[0].handle = None  # type: ignore[method-assign, assignment]
    with pytest.raises(CheckError, match="orchestrator: TypeError"):
        room.world.run(1.0)
