"""One simulated machine: what its driver knows, and its ends of the links to its neighbours."""

from __future__ import annotations

from collections import deque
from math import inf
from typing import Any, Protocol

from pangea.compute.model.ids import PeerId, TaskId
from pangea.compute.model.packet import JobSpec, TaskPacket
from pangea.compute.orchestrator.core.commands import Command
from pangea.compute.orchestrator.core.events import Event
from pangea.compute.simulation.liars import Deceit, Liar


class Mind(Protocol):
    """What the world needs of an orchestrator."""

    def handle(self, event: Event, *, now: float) -> list[Command]:
        """Take in what happened, and say what to do."""

    def next_timer(self) -> float | None:
        """When to send `TimerFired`, in seconds."""

    def check(self) -> None:
        """Assert every invariant."""


class Link:
    """One direction between two neighbours; messages along it keep their order unless a fault says otherwise."""

    __slots__ = ("back", "is_up", "last", "latency", "loss", "source", "target")

    back: Link

    def __init__(self, source: Node, target: Node, latency: float) -> None:
        """A link that is up; `latency` in seconds one way."""
        self.source: Node = source
        self.target: Node = target
        self.latency: float = latency
        self.last: float = 0.0
        self.loss: float = 0.0
        self.is_up: bool = True


class Run:
    """One execution on a node; a stopped or lost one is forgotten by its node, and its end is then no news."""

    __slots__ = ("attempt", "begun", "deceit", "fetching", "node", "packet", "spec")

    def __init__(self, node: Node, attempt: int, spec: JobSpec, packet: TaskPacket) -> None:
        """An execution not begun yet."""
        self.node: Node = node
        self.attempt: int = attempt
        self.spec: JobSpec = spec
        self.packet: TaskPacket = packet
        self.begun: float = -1.0
        self.fetching: float = 0.0
        self.deceit: Deceit | None = None


class Node:
    """A machine with an orchestrator, cores, and links.

    Attributes:
        number: unique, in order of appearance; the owner is 0.
        peer: its key.
        speed: of each core.
        region: where it is; latencies depend on it.
        network: where it says it is.
        bandwidth: bytes a second, each way.
        mind: its orchestrator; a fresh one after each restart.
        liar: how it cheats; None: not at all.
        parent: where it gets work from.
        links: by peer.
        runs: executions under way or waiting for a core, by attempt.
        data: when the data of a task is here, if it is fetched.
        armed: when its timer is set for.
        refuses: keys it doesn't speak to any more.
        deferred: what happened to it while it stands still.
        held: bytes of tasks in hand, by parent and attempt (only kept if memory is limited).
        life: how often it has been restarted.
        will_return: whether, being dead, it will be.
        half: which half it belongs to while the network is partitioned.
    """

    __slots__ = (
        *(
            "armed",
            "bandwidth",
            "busy",
            "cores",
            "data",
            "data_down",
            "data_up",
            "deferred",
            "down_free",
            "fired",
            "fired_at",
            "half",
            "held",
            "held_bytes",
        ),
        *(
            "is_manager",
            "is_up",
            "liar",
            "life",
            "links",
            "memory",
            "mind",
            "network",
            "number",
            "parent",
            "peer",
            "refuses",
            "region",
        ),
        *("runs", "speed", "stalled_until", "swarm", "up_free", "waiting", "will_return"),
    )

    mind: Mind

    def __init__(self, number: int, *, cores: int, speed: float, region: int, network: str, bandwidth: float) -> None:
        """A machine without links; whoever makes it gives it a mind."""
        self.number = number
        self.peer: PeerId = PeerId(f"n{number}")
        self.cores = cores
        self.speed = speed
        self.region = region
        self.network = network
        self.bandwidth = bandwidth
        self.memory = 0
        self.liar: Liar | None = None
        self.swarm = -1
        self.is_manager = False
        self.half = 0
        self.will_return = False
        self.life: int = -1
        self.refuses: dict[PeerId, None] = {}
        self.reset()

    def reset(self) -> None:
        """Forget what a restart forgets."""
        self.is_up = True
        self.life += 1
        self.parent: Node | None = None
        self.links: dict[PeerId, Link] = {}
        self.runs: dict[int, Run] = {}
        self.waiting: deque[Run] = deque()
        self.busy = 0
        self.armed = inf
        self.fired_at: float = -1.0
        self.fired = 0
        self.stalled_until: float = 0.0
        self.deferred: list[tuple[int, Any, Any]] = []
        self.up_free: float = 0.0
        self.down_free: float = 0.0
        self.data_up: float = 0.0
        self.data_down: float = 0.0
        self.data: dict[TaskId, float] = {}
        self.held: dict[tuple[PeerId, int], int] = {}
        self.held_bytes = 0

    @property
    def children(self) -> list[Node]:
        """Its neighbours but the parent, in order of their links."""
        return [link.target for link in self.links.values() if link.target.parent is self]

    def depth(self) -> int:
        """Hops to the root of its tree."""
        depth, node = 0, self
        while node.parent is not None:
            depth, node = depth + 1, node.parent
        return depth

    def height(self) -> int:
        """Hops to the deepest node below."""
        return max((child.height() + 1 for child in self.children), default=0)

    def is_below(self, other: Node) -> bool:
        """Whether `other` is this node or one above it."""
        node: Node | None = self
        while node is not None:
            if node is other:
                return True
            node = node.parent
        return False
