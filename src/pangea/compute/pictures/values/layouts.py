"""Where the nodes of a graph stand: trees from the root to the right, everything else by springs. Equal graphs lie alike."""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from pangea.compute.model.libraries import need
from pangea.compute.pictures.values.shapes import Numbers

_SEED: Final = 0
_ROUNDS: Final = 200
_ROOM: Final = (70.0, 34.0)
_LEAF_HEIGHT, _LEVEL_WIDTH, _LETTER_WIDTH = 26.0, 150.0, 7.0
_TREE_HEIGHT_MAX, _TREE_WIDTH_MAX = 1_300.0, 1_500.0
#: Pixels between nodes with names, so that neither disc nor name is hidden.
_NEAR: Final = 36.0


@dataclass(frozen=True, slots=True)
class Layout:
    """Places in pixels, from the top left.

    Attributes:
        at: of each node.
        size: width and height of the whole.
        is_tree: whether it goes from the root to the right, so that leaves have room beside them.
    """

    at: dict[Hashable, tuple[float, float]]
    size: tuple[float, float]
    is_tree: bool


def layout(graph: Any, letters_max: int) -> Layout:
    """Lay out a networkx graph.

    Args:
        graph: with at least one node.
        letters_max: length of the longest name, for which trees leave room at the right; 0 if names aren't shown.
    """
    networkx = need("networkx", "a picture")
    is_tree = graph.is_directed() and networkx.is_forest(graph) and max(degree for _, degree in graph.in_degree()) <= 1
    if is_tree and len(graph.edges):
        return _tree(graph, letters_max)
    size = (720.0, 480.0) if len(graph.nodes) > 12 else (560.0, 360.0)
    found = _springs(graph) if len(graph.edges) else networkx.circular_layout(graph)
    corners = np.array([found[node] for node in graph.nodes], dtype=float)
    low, reach = corners.min(axis=0), np.ptp(corners, axis=0)
    shares = np.where(reach > 0, (corners - low) / np.where(reach > 0, reach, 1.0), 0.5)
    places = _apart(np.array(_ROOM) + shares * (np.array(size) - 2 * np.array(_ROOM)), _NEAR if letters_max else _NEAR / 2)
    places = np.clip(places, np.array(_ROOM) / 2, np.array(size) - np.array(_ROOM) / 2)
    return Layout({node: (float(x), float(y)) for node, (x, y) in zip(graph.nodes, places, strict=True)}, size, False)


def _apart(places: Numbers, near: float) -> Numbers:
    """Push nodes away from each other that are nearer than `near` pixels."""
    for _ in range(_ROUNDS):
        between = places[:, np.newaxis] - places[np.newaxis]
        far = np.hypot(between[..., 0], between[..., 1])
        np.fill_diagonal(far, np.inf)
        missing = np.clip(near - far, 0.0, None)
        if not missing.any():
            break
        places = places + 0.25 * (between * (missing / np.maximum(far, 1.0))[..., np.newaxis]).sum(axis=1)
    return places


def _springs(graph: Any) -> Any:
    """Springs along edges; a node that isn't shown holds together what has no edge between."""
    networkx = need("networkx", "a picture")
    springs = networkx.Graph((source, target) for source, target, *_ in graph.edges)
    springs.add_nodes_from(graph.nodes)
    parts = list(networkx.connected_components(springs))
    if len(parts) > 1:
        hub = object()
        order = {node: place for place, node in enumerate(graph.nodes)}
        springs.add_edges_from((hub, min(part, key=order.__getitem__)) for part in parts)
    return networkx.spring_layout(springs, seed=_SEED, iterations=_ROUNDS, k=2.0 / math.sqrt(len(springs)), weight=None)


def _tree(graph: Any, letters_max: int) -> Layout:
    found = _levels(graph)
    leaves = 1 + max(line for _, line in found.values())
    depth = max(level for level, _ in found.values())
    step = min(_LEAF_HEIGHT, _TREE_HEIGHT_MAX / leaves)
    top, left = 24.0, 40.0
    wide = min(_LEVEL_WIDTH, _TREE_WIDTH_MAX / max(1.0, depth))
    at = {node: (left + level * wide, top + line * step) for node, (level, line) in found.items()}
    return Layout(at, (left + depth * wide + 24.0 + letters_max * _LETTER_WIDTH, 2 * top + (leaves - 1) * step), True)


def _levels(graph: Any) -> dict[Hashable, tuple[float, float]]:
    """Level and line of each node: leaves below each other, parents beside the middle of their children."""
    found: dict[Hashable, tuple[float, float]] = {}
    lines = 0
    for root in [node for node, degree in graph.in_degree() if degree == 0]:
        waiting: list[tuple[Hashable, int, bool]] = [(root, 0, False)]
        while waiting:  # not by recursion: a chain may be longer than Python's stack
            node, level, is_opened = waiting.pop()
            children = list(graph.successors(node))
            if not children:
                found[node] = (float(level), float(lines))
                lines += 1
            elif is_opened:
                found[node] = (float(level), (found[children[0]][1] + found[children[-1]][1]) / 2)
            else:
                waiting += [(node, level, True), *((child, level + 1, False) for child in reversed(children))]
    return found
