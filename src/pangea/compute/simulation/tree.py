"""The tree that a run begins with: levels as equal as they can be, liars drawn among all but the owner."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Final

from pangea.compute.orchestrator.limits import DEPTH_MAX, FAN_OUT_MAX
from pangea.compute.simulation.liars import LIARS
from pangea.compute.simulation.node import Node
from pangea.compute.simulation.scenario import OWNER_BANDWIDTH, Scenario

#: Up to so many nodes below it the owner has them all as its children.
FLAT_MAX: Final = 16


def levels(nodes: int, fan_out: int) -> list[int]:
    """How many nodes each level has, the owner's first.

    Args:
        nodes: all.
        fan_out: of each node at most; 0: the least that needs no more levels than 64 would, or two.
    """
    below = nodes - 1
    fan_out = fan_out or _flattest(below)
    sizes, room = [1], fan_out
    while below > 0:
        sizes.append(min(room, below))
        below -= sizes[-1]
        room = min(sizes[-1] * fan_out, nodes) if len(sizes) < DEPTH_MAX else below
    return sizes


def _flattest(below: int) -> int:
    if below <= FLAT_MAX:
        return max(1, below)
    depth = next(depth for depth in range(2, DEPTH_MAX) if FAN_OUT_MAX**depth >= below)
    return math.ceil(math.pow(below, 1 / depth))


def parents(nodes: int, fan_out: int) -> list[int]:
    """The number of each node's parent; the owner, 0, has -1. The nodes of a level are spread evenly over the level above."""
    result, first = [-1], 0
    sizes = levels(nodes, fan_out)
    for above, size in pairwise(sizes):
        result += [first + index * above // size for index in range(size)]
        first += above
    return result


def make_node(scenario: Scenario, number: int, draw: float, region: int) -> Node:
    """A node without links; `draw`, 0 to 1, places its speed in the spread."""
    if number == 0:
        bandwidth = scenario.bandwidth * OWNER_BANDWIDTH
        return Node(0, cores=scenario.owner_cores, speed=1.0, region=0, network="owner", bandwidth=bandwidth)
    return Node(
        number,
        cores=scenario.cores,
        speed=speed_of(scenario.speed_spread, draw),
        region=region,
        network=f"net{number}",
        bandwidth=scenario.bandwidth,
    )


def speed_of(spread: float, draw: float) -> float:
    """A speed between two whose ratio is `spread`, all equally likely, with an average of 1."""
    return 2.0 * (1.0 + (spread - 1.0) * draw) / (1.0 + spread)


def draw_liars(scenario: Scenario, above: list[int]) -> dict[int, str]:
    """Which nodes lie, and how: managers as likely as others. Kinds that need a subtree get managers, as far as there are any.

    Args:
        scenario: says how many, and which kinds.
        above: the parent of each node.
    """
    if not scenario.malicious:
        return {}
    below: dict[int, list[int]] = {}
    for number, parent in enumerate(above):
        below.setdefault(parent, []).append(number)
    left = max(1, min(round(scenario.malicious * scenario.nodes), scenario.nodes - 1))
    shuffled = scenario.stream("liars").sample(range(1, scenario.nodes), scenario.nodes - 1)
    swarms = [kind for kind in scenario.kinds if LIARS[kind].is_swarm]
    middles = [kind for kind in scenario.kinds if LIARS[kind].is_middle]
    others = [kind for kind in scenario.kinds if kind not in swarms and kind not in middles]
    drawn: dict[int, str] = {}
    for kind in swarms:
        drawn |= dict.fromkeys(_swarms(shuffled, below, max(1, left // len(scenario.kinds))), kind)
    rest = [number for number in shuffled if number not in drawn]
    if middles:  # one manager at least
        first = next((number for number in rest if number in below), None)
        rest = [number for number in rest if number == first] + [number for number in rest if number != first]
    lying = rest[: left - len(drawn)]
    managers = [number for number in lying if number in below]
    leaves = [number for number in lying if number not in below]
    for numbers, kinds in ((managers, [*middles, *others] or swarms), (leaves, others or middles or swarms)):
        drawn |= {number: kinds[index % len(kinds)] for index, number in enumerate(numbers)}
    return drawn


def _swarms(shuffled: list[int], below: dict[int, list[int]], wanted: int) -> list[int]:
    """Managers of leaves, each followed by its children, up to so many nodes."""
    found: list[int] = []
    for manager in shuffled:
        if len(found) >= wanted:
            break
        if manager in below and not any(child in below for child in below[manager]):
            found += [manager, *below[manager]]
    return found[:wanted]
