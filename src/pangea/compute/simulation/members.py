"""Who is connected to whom: links that come up and go down, nodes that die, come back, leave and arrive, orphans, swarms.

In real life this is the work of drivers, discovery and transport: a broken connection is noticed at both ends, a silent one
when a lease has passed without a word; then a node looks for another parent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pangea.compute.orchestrator.core.events import PeerJoined, PeerLost, Relation
from pangea.compute.orchestrator.limits import DEPTH_MAX, FAN_OUT_MAX, LEASE_SECONDS
from pangea.compute.simulation.cores import Cores
from pangea.compute.simulation.liars import LIARS
from pangea.compute.simulation.node import Link, Mind, Node
from pangea.compute.simulation.stage import Stage
from pangea.compute.simulation.tree import make_node

#: A process that died: its connections break, and its neighbours' systems say so.
NOTICE_SECONDS: Final = 0.1
#: A lost parent is replaced after about this long.
REJOIN_SECONDS: Final = 1.0
#: A silent parent is given up after this long.
SILENCE_SECONDS: Final = LEASE_SECONDS + 2.0
#: Managers that an orphan asks before it goes to the owner.
_ASKED_MAX: Final = 8
#: Fresh keys of one swarm's operator.
_KEYS_MAX: Final = 1000


class Members:
    """The nodes of a world, and their links."""

    def __init__(self, world: Stage, cores: Cores, make_mind: Callable[[Node], Mind]) -> None:
        """Begin with nobody."""
        self._world = world
        self._cores = cores
        self._make_mind = make_mind
        self._random = world.scenario.stream("members")
        self._managers: list[Node] = []
        self._renewed = 0

    def add(self, *, liar: str = "", swarm: int = -1) -> Node:
        """A new node, without links."""
        world, scenario = self._world, self._world.scenario
        number = len(world.nodes)
        region = self._random.randrange(scenario.regions)
        node = make_node(scenario, number, self._random.random(), region)
        node.memory = scenario.memory_bytes if number else 0
        if liar:
            self._corrupt(node, liar, swarm)
        world.nodes.append(node)
        world.by_peer[node.peer] = node
        node.mind = self._make_mind(node)
        world.tally.cores += node.cores
        return node

    def join(self, parent: Node, child: Node) -> None:
        """A link comes up: both ends are told, the parent first."""
        world = self._world
        for one, other in ((parent, child), (child, parent)):
            if other.peer in one.links:  # a connection that silently died is replaced
                self.part(parent, child, told=(one,))
        latency = world.network.latency(parent, child)
        down, up = Link(parent, child, latency), Link(child, parent, latency)
        down.back, up.back = up, down
        parent.links[child.peer], child.links[parent.peer] = down, up
        child.parent = parent
        if not parent.is_manager:
            parent.is_manager = True
            self._managers.append(parent)
        world.note(child, "joins", f"n{parent.number}")
        world.tally.linked(child)
        way = 2 * latency
        news = PeerJoined(peer=child.peer, relation=Relation.CHILD, network=child.network, round_trip=way, cores=child.cores)
        world.tell(parent, news)
        if down.is_up:  # the parent may have refused
            back = PeerJoined(peer=parent.peer, relation=Relation.PARENT, network=parent.network, round_trip=way)
            world.tell(child, back)

    def part(self, one: Node, other: Node, *, told: tuple[Node, ...]) -> None:
        """A link goes down; those of its ends named are told. Whoever loses its parent will look for another."""
        child = other if other.parent is one else one
        for node, peer in ((one, other), (other, one)):
            link = node.links.pop(peer.peer, None)
            if link is not None:
                link.is_up = False
        if child.parent is one or child.parent is other:
            child.parent = None
            self._world.clock.call(self._world.clock.now + REJOIN_SECONDS * (0.5 + self._random.random()), self.rejoin, child)
        for node in told:
            self.tell_lost(node, other if node is one else one)

    def tell_lost(self, node: Node, peer: Node) -> None:
        """A node learns that a link is down."""
        if node.is_up:
            self._world.note(node, "loses", f"n{peer.number}")
            self._world.tell(node, PeerLost(peer=peer.peer))

    def rejoin(self, node: Node) -> None:
        """An orphan, or a node that came back, finds a parent that takes it; if nobody does, its children go their own ways."""
        if node.parent is not None or not node.is_up or node is self._world.owner:
            return
        parent = self._find_parent(node)
        if parent is not None:
            self.join(parent, node)
            return
        for child in node.children:
            self.part(node, child, told=(child, node))
        self._world.clock.call(self._world.clock.now + SILENCE_SECONDS, self.rejoin, node)

    def die(self, node: Node, *, is_silent: bool) -> None:
        """A node dies. Its neighbours are told soon, or, if it fell silent, find out by themselves."""
        if not node.is_up:
            return
        world, now = self._world, self._world.clock.now
        world.note(node, "dies", "silently" if is_silent else "")
        self._cores.lose(node)
        node.is_up = False
        world.tally.cores -= node.cores
        for link in list(node.links.values()):
            neighbour = link.target
            wait = SILENCE_SECONDS if is_silent else NOTICE_SECONDS * (0.5 + self._random.random())
            if not is_silent or neighbour.parent is node:
                world.clock.call(now + wait, self._notice, neighbour, node, link)

    def restart(self, node: Node) -> None:
        """A dead node comes back with its key, and without its memory."""
        if node.is_up:
            return
        for neighbour in [link.target for link in node.links.values()]:
            self.part(node, neighbour, told=(neighbour,))
        node.reset()
        node.mind = self._make_mind(node)
        self._world.tally.cores += node.cores
        self._world.note(node, "is back")
        self._world.clock.call(self._world.clock.now + REJOIN_SECONDS * self._random.random(), self.rejoin, node)

    def leave(self, node: Node) -> None:
        """A node goes for good, and says so."""
        if not node.is_up:
            return
        self._world.note(node, "leaves")
        self._cores.lose(node)
        node.is_up = False
        self._world.tally.cores -= node.cores
        for neighbour in [link.target for link in node.links.values()]:
            self.part(node, neighbour, told=(neighbour,))

    def arrive(self, *, liar: str = "", swarm: int = -1) -> Node:
        """A new node comes, and finds a parent."""
        node = self.add(liar=liar, swarm=swarm)
        self.rejoin(node)
        return node

    def renew(self, node: Node) -> None:
        """A swarm's operator sees that a key is burnt: it goes, and comes back with a fresh one."""
        self._renewed += 1
        if self._renewed <= _KEYS_MAX:
            wait = REJOIN_SECONDS * (0.5 + self._random.random())
            self._world.clock.call(self._world.clock.now + wait, self._replace, node)

    def _replace(self, node: Node) -> None:
        """The machine is the same; only its key is new."""
        parent = node.parent
        self.leave(node)
        fresh = self.add(liar="sybil", swarm=node.swarm)
        fresh.network, fresh.speed, fresh.region = node.network, node.speed, node.region
        if parent is not None and parent.is_up and self._takes(parent, fresh):
            self.join(parent, fresh)
        else:
            self.rejoin(fresh)

    def _notice(self, neighbour: Node, dead: Node, link: Link) -> None:
        """A neighbour finds out that a node is dead, unless it came back meanwhile or the link is gone."""
        if link.is_up and neighbour.is_up:
            self.part(neighbour, dead, told=(neighbour,))

    def _find_parent(self, node: Node) -> Node | None:
        owner = self._world.owner
        for _ in range(_ASKED_MAX if self._managers else 0):
            candidate = self._random.choice(self._managers)
            if candidate is not owner and self._takes(candidate, node):
                return candidate
        if self._takes(owner, node):
            return owner
        start = self._random.randrange(len(self._world.nodes))
        everybody = self._world.nodes[start:] + self._world.nodes[:start]
        return next((candidate for candidate in everybody if self._takes(candidate, node)), None)

    def _takes(self, parent: Node, node: Node) -> bool:
        """Whether a node would be taken: connected to the owner, not below it, room in breadth and depth, not refused."""
        if not parent.is_up or node.peer in parent.refuses or parent.peer in node.refuses or parent.is_below(node):
            return False
        if self._world.network.is_partitioned and parent.half != node.half:
            return False
        top = parent
        while top.parent is not None:
            top = top.parent
        if top is not self._world.owner or len(parent.children) >= FAN_OUT_MAX:
            return False
        return parent.depth() + 1 + node.height() <= DEPTH_MAX

    def _corrupt(self, node: Node, kind: str, swarm: int) -> None:
        world, scenario = self._world, self._world.scenario
        random = scenario.stream(f"liar {node.number}")
        strategy = LIARS[kind]
        node.liar = strategy(world.program, random, world.gossip, rate=scenario.lie_rate, sleep_tasks=scenario.sleep_tasks)
        world.gossip.is_wanted = world.gossip.is_wanted or kind == "copier"
        if strategy.is_swarm:
            node.swarm = max(swarm, 0)
            node.network = f"swarm{node.swarm}"
