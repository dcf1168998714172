"""Makes a scenario's faults happen while the safety phase lasts, and heals all of them at its end."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Final

from pangea.compute.simulation.network import CLOGGED_LOSS
from pangea.compute.simulation.node import Node

if TYPE_CHECKING:
    from pangea.compute.simulation.world import World

#: How much slower a straggler is than it should be.
STRAGGLER_FACTOR: Final = 10.0
#: A clogged node is clogged for about this long.
_CLOGGED_SECONDS: Final = 5.0


class Trouble:
    """The faults of one run."""

    def __init__(self, world: World) -> None:
        """Draw nothing yet."""
        self._world = world
        self._faults = world.scenario.faults
        self._random = world.scenario.stream("faults")
        self._is_over = False

    def begin(self) -> None:
        """Plan all faults, from now to the end of the safety phase. The owner is spared."""
        world, faults = self._world, self._faults
        world.network.set_faults(faults)
        world.cores.machine_failure = faults.machine_failure
        for node in self._some(faults.stragglers):
            node.speed /= STRAGGLER_FACTOR
        for node in self._some(faults.crash):
            self._plan(faults.crash_at * world.scenario.estimate_seconds or self._moment(), self._kill, node, False)
        for node in self._some(faults.power_loss):
            self._plan(faults.crash_at * world.scenario.estimate_seconds or self._moment(), self._kill, node, True)
        for node in self._some(faults.stalls):
            self._plan(self._moment(), self._stall, node)
        for node in self._some(faults.clogged):
            self._plan(self._moment(), self._clog, node)
        for node in self._some(faults.churn):
            self._plan(self._moment(), self._leave, node)
            self._plan(self._moment(), self._arrive)
        for _ in range(faults.partitions):
            self._plan(self._moment(), self._partition)

    def end(self) -> None:
        """Heal everything: from now on all must converge."""
        self._is_over = True
        world = self._world
        world.trace.note(world.clock.now, 0, "healed", "all faults are over")
        world.network.heal()
        world.cores.machine_failure = 0.0
        for node in list(world.nodes):
            self._world.wake(node)
            for link in node.links.values():
                link.loss = 0.0
        if self._faults.restart_seconds:
            for node in self._dead():
                world.members.restart(node)

    def _dead(self) -> list[Node]:
        return [node for node in self._world.nodes if not node.is_up and node.will_return]

    def _some(self, share: float) -> list[Node]:
        """As many nodes as the share says, but never the owner."""
        others = self._world.nodes[1:]
        count = round(share * len(others))
        if share and others and not count:
            count = int(self._random.random() < share * len(others))
        return self._random.sample(others, count)

    def _moment(self) -> float:
        return self._random.random() * self._world.scenario.safety_seconds

    def _about(self, seconds: float) -> float:
        return seconds * (0.5 + self._random.random())

    def _plan(self, after: float, action: object, *arguments: object) -> None:
        self._world.clock.call(self._world.clock.now + after, self._unless_over, action, *arguments)

    def _unless_over(self, action: object, *arguments: object) -> None:
        if not self._is_over:
            action(*arguments)  # type: ignore[operator]

    def _kill(self, node: Node, is_silent: bool) -> None:
        if not node.is_up:
            return
        node.will_return = bool(self._faults.restart_seconds)
        self._world.members.die(node, is_silent=is_silent)
        if node.will_return:
            self._plan(self._about(self._faults.restart_seconds), self._world.members.restart, node)

    def _stall(self, node: Node) -> None:
        if node.is_up:
            seconds = self._about(self._faults.stall_seconds)
            node.stalled_until = self._world.clock.now + seconds
            self._world.note(node, "stalls", f"for {seconds:.3f} s")
            self._plan(seconds, self._world.wake, node)

    def _clog(self, node: Node) -> None:
        """One direction of all its links: what it sends, or what it should receive."""
        is_outward = self._random.random() < 0.5
        links = [link if is_outward else link.back for link in node.links.values()]
        for link in links:
            link.loss = CLOGGED_LOSS
        self._world.note(node, "clogged", "outward" if is_outward else "inward")
        self._plan(self._about(_CLOGGED_SECONDS), self._unclog, links)

    def _unclog(self, links: list[object]) -> None:
        for link in links:
            link.loss = 0.0  # type: ignore[attr-defined]

    def _leave(self, node: Node) -> None:
        node.will_return = False
        self._world.members.leave(node)

    def _arrive(self) -> None:
        scenario = self._world.scenario
        drawn = draw_newcomer(scenario.kinds, scenario.malicious, self._random)
        self._world.members.arrive(liar=drawn)

    def _partition(self) -> None:
        """Two halves that can't reach each other. A tree is cut where its links cross; so half by region, half by lot."""
        world = self._world
        by_region = self._random.random() < 0.5
        cut = self._random.randrange(1, max(2, world.scenario.regions))
        for node in world.nodes:
            node.half = int(node.region < cut) if by_region else int(self._random.random() < 0.5)
        world.network.is_partitioned = True
        world.trace.note(world.clock.now, 0, "partition", "by region" if by_region else "by lot")
        self._plan(self._about(self._faults.partition_seconds), self._unite)

    def _unite(self) -> None:
        self._world.network.is_partitioned = False
        self._world.trace.note(self._world.clock.now, 0, "united")


def draw_newcomer(kinds: tuple[str, ...], malicious: float, random: Random) -> str:
    """How a newcomer lies: as likely as those who were there; "" is honest."""
    return random.choice(kinds) if kinds and random.random() < malicious else ""
