"""Who is who in a devnet: a tree of a given depth, who hides behind a NAT, who cheats, who is slow, where each is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import cycle

from pangea.compute.model.errors import ManifestError
from pangea.compute.model.gpu import ADAPTERS, is_driver
from pangea.compute.orchestrator.limits import DEPTH_MAX
from pangea.compute.testing.sabotage import KINDS, setting

NODES_MAX = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One node.

    Attributes:
        number: 0 is the root, whose clients' jobs run here.
        parent: its parent's number; None of the root. With discovery it is but what it could be.
        level: hops from the root.
        has_children: whether nodes hang below it.
        is_behind_nat: whether nobody can dial it.
        sabotage: how it cheats, as the node's own setting has it; empty: not at all.
        site: its label.
    """

    number: int
    parent: int | None
    level: int
    has_children: bool = False
    is_behind_nat: bool = False
    sabotage: str = ""
    site: str = ""

    @property
    def role(self) -> str:
        """What it is in the tree."""
        return "owner" if self.parent is None else "manager" if self.has_children else "worker"


def plan(
    nodes: int, depth: int, *, behind_nat: int = 0, liars: Sequence[str] = (), slow: int = 0, sites: Sequence[str] = ()
) -> list[Place]:
    """A balanced tree of `depth` levels below node 0.

    Args:
        nodes: nodes in all, 1 to 1,000.
        depth: hops from node 0 to the deepest node, 1 to 8; 0 if it is the only one.
        behind_nat: leaves, from the last on, that can only dial.
        liars: `KIND:COUNT` or `KIND:COUNT:NUMBER`: cheats, on leaves from the first on; kinds that change what they pass on, on
            managers.
        slow: leaves, after those, that take four times as long.
        sites: labels, dealt out to node 0 and then to its children in turn; those below are where their parents are.

    Raises:
        ManifestError: it can't be; names the figures.
        ConfigError: there is no such kind, or none is allowed here.
    """
    places = _tree(nodes, depth)
    leaves = [place.number for place in places if place.parent is not None and not place.has_children]
    managers = [place.number for place in places if place.parent is not None and place.has_children]
    for kind, whole in [pair for text in liars for pair in _liars_in(text)] + [("slow", "slow")] * slow:
        free, who = (managers, "managers") if KINDS[kind].is_middle else (leaves, "leaves")
        if not free:
            total = f"{nodes:,} nodes of depth {depth}"
            raise ManifestError(f"too few {who} for --liar and --slow: {total} have none left for {kind}", field="liar")
        chosen = free.pop(0)
        places[chosen] = replace(places[chosen], sabotage=setting(whole))
    unreached = [place.number for place in places if place.parent is not None and not place.has_children]
    if not 0 <= behind_nat <= len(unreached):
        raise ManifestError(f"{behind_nat:,} nodes can't be behind a NAT: {len(unreached):,} of {nodes:,} have no children")
    for hidden in unreached[len(unreached) - behind_nat :]:
        places[hidden] = replace(places[hidden], is_behind_nat=True)
    return _settled(places, sites)


def fan_out(nodes: int, depth: int) -> int:
    """Children of one node at most: as few as `depth` levels allow.

    Raises:
        ManifestError: there are too few nodes for the depth, or either is out of range.
    """
    if not 1 <= nodes <= NODES_MAX:
        raise ManifestError(f"{nodes:,} nodes; there must be 1 to {NODES_MAX:,}", field="nodes")
    if not 0 <= depth <= DEPTH_MAX or (depth == 0) != (nodes == 1):
        raise ManifestError(f"a tree of {nodes:,} nodes has depth 1 to {DEPTH_MAX} (one node: 0), not {depth}", field="depth")
    if nodes < depth + 1:
        raise ManifestError(f"{nodes:,} nodes are too few for depth {depth}: that takes {depth + 1} at least", field="nodes")
    width = 1
    while sum(width**level for level in range(depth + 1)) < nodes:
        width += 1
    return width


def _tree(nodes: int, depth: int) -> list[Place]:
    width = fan_out(nodes, depth)
    places, above = [Place(number=0, parent=None, level=0)], [0]
    for level in range(1, depth + 1):
        spare = nodes - len(places) - (depth - level)  # each level below needs one
        here = range(len(places), len(places) + min(width * len(above), spare))
        for number in here:
            parent = above[(number - here[0]) % len(above)]
            places.append(Place(number=number, parent=parent, level=level))
            places[parent] = replace(places[parent], has_children=True)
        above = list(here)
    return places


def _liars_in(text: str) -> list[tuple[str, str]]:
    kind, _, rest = text.partition(":")
    count, _, number = rest.partition(":")
    if kind in KINDS and not count.isdecimal():
        raise ManifestError(f"--liar {text!r} doesn't say how many: give KIND:COUNT, such as random:2", field="liar")
    whole = f"{kind}:{number}" if number else kind
    setting(whole)
    return [(kind, whole)] * int(count)


def _settled(places: list[Place], sites: Sequence[str]) -> list[Place]:
    if not sites:
        return places
    labels = cycle(sites)
    settled: list[Place] = []
    for place in places:
        is_near_root = place.parent is None or place.level == 1
        site = next(labels) if is_near_root or place.parent is None else settled[place.parent].site
        settled.append(replace(place, site=site))
    return settled


def adapters(text: str) -> list[str]:
    """The kinds of adapters that --gpu names, with commas between: nodes take them in turn.

    Raises:
        ManifestError: one is no kind, and no driver's file.
    """
    kinds = [kind.strip() for kind in text.split(",")]
    for kind in kinds:
        if kind not in ADAPTERS and not is_driver(kind):
            message = f"--gpu {kind!r} is none of {', '.join(ADAPTERS)}, and not the path of a Vulkan driver's .json file"
            raise ManifestError(message, field="gpu")
    return kinds
