"""Networks: nodes as discs, larger the more edges they have, and edges as lines, thicker the more they weigh."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import altair as alt
import numpy as np

from pangea.compute.model.errors import PictureError
from pangea.compute.model.libraries import need
from pangea.compute.model.units import counted
from pangea.compute.pictures.values import charts, groups, theme, turning
from pangea.compute.pictures.values.frames import Table
from pangea.compute.pictures.values.layouts import Layout, layout
from pangea.compute.pictures.values.options import PictureOptions
from pangea.compute.pictures.values.picture import Picture
from pangea.compute.pictures.values.shapes import Grid, Network
from pangea.compute.pictures.values.turning import Shape
from pangea.compute.pictures.values.wording import shown

#: More nodes are a ball of wool: the best connected are shown.
NODES_MAX: Final = 200
_NAMED_MAX: Final = 40
_ARROWS_MAX: Final = 150
_NAME_LETTERS_MAX: Final = 32
_SIZE_MIN, _SIZE_RANGE, _SIZE_IN_TREES = 120.0, 500.0, 170.0


@dataclass(frozen=True, slots=True)
class _Drawn:
    """Rows of the tables that are drawn, with places in pixels."""

    nodes: list[dict[str, Any]]
    edges: list[dict[str, Any]]
    arrows: list[dict[str, Any]]
    lay: Layout


def draw(shape: Shape, options: PictureOptions) -> Picture:
    """Draw a network.

    Raises:
        PictureError: there are no nodes and edges in it.
    """
    whole = _graph(shape, options)
    graph, notes = _largest(whole)
    names = {node: shown(about.get("label", node), _NAME_LETTERS_MAX) for node, about in graph.nodes(data=True)}
    is_named = len(names) <= _NAMED_MAX
    lay = layout(graph, max(map(len, names.values())) if is_named else 0)
    nodes = _nodes(graph, lay, names, options.color)
    known, more = _grouped(nodes) if options.color is not None else ([], [])
    drawn = _Drawn(nodes, *_edges(graph, lay, dict(zip(graph.nodes, nodes, strict=True))), lay)
    title = options.heading
    words = f"{title or 'Network'}: {counted(len(whole.nodes), 'node')}, {counted(len(whole.edges), 'edge')}"
    chart = _chart(drawn, known, shown(options.color or ""), is_named=is_named)
    tables = {"nodes": drawn.nodes, "edges": drawn.edges, "arrows": drawn.arrows}
    return charts.picture_of(chart, tables, kind="graph", title=title, alt=words, notes=[*notes, *more])


def _graph(shape: Shape, options: PictureOptions) -> Any:
    networkx = need("networkx", "a picture")
    if isinstance(shape, Network):
        return shape.graph
    if isinstance(shape, Grid) and shape.values.shape[0] == shape.values.shape[1]:
        weights = np.nan_to_num(shape.values)
        is_symmetric = bool((weights == weights.T).all())
        return networkx.from_numpy_array(weights, create_using=networkx.Graph if is_symmetric else networkx.DiGraph)
    if isinstance(shape, Grid) and shape.values.shape[1] == 2 and np.isfinite(shape.values).all():
        return networkx.Graph((f"{start:g}", f"{end:g}") for start, end in shape.values)
    if isinstance(shape, Table):
        return _of_edges(shape, options)
    hint = "give a networkx graph, {'nodes': […], 'edges': […]}, pairs of nodes, or a table of edges with x and y"
    raise turning.unsuited("graph", shape, hint)


def _of_edges(table: Table, options: PictureOptions) -> Any:
    """A graph of a table of edges: x says from where, y whereto; else the first two columns of text."""
    if options.y is not None and not isinstance(options.y, str):
        raise PictureError("an edge ends in one column, and y names several", hint="name one")
    texts = table.of("text")
    ends = [*texts, None, None]
    source = options.x if options.x is not None else ends[0]
    target = options.y if options.y is not None else ends[1]
    if source is None or target is None:
        raise PictureError("a table of edges needs two columns: from where, and whereto", hint="name them with x and y")
    pairs = zip(table.texts(table.need(source)), table.texts(table.need(target)), strict=True)
    graph = need("networkx", "a picture").DiGraph((start, end) for start, end in pairs if start is not None and end is not None)
    if not len(graph.nodes):
        raise PictureError("the table of edges has no row with both ends", hint="look for what made them missing")
    return graph


def _largest(graph: Any) -> tuple[Any, list[str]]:
    if len(graph.nodes) <= NODES_MAX:
        return graph, []
    order = sorted(graph.degree, key=lambda each: -each[1])
    some = graph.subgraph([node for node, _ in order[:NODES_MAX]])
    of_nodes = f"the {NODES_MAX} best connected of {counted(len(graph.nodes), 'node')}"
    return some, [f"{of_nodes}, with {len(some.edges):,} of {counted(len(graph.edges), 'edge')}"]


def _nodes(graph: Any, lay: Layout, names: Mapping[Any, str], color: str | None) -> list[dict[str, Any]]:
    degrees = dict(graph.degree)
    most = max(1, *degrees.values())
    rows: list[dict[str, Any]] = []
    for node, about in graph.nodes(data=True):
        size = _SIZE_IN_TREES if lay.is_tree else _SIZE_MIN + _SIZE_RANGE * degrees[node] / most
        row = {"x": lay.at[node][0], "y": lay.at[node][1], "name": names[node], "degree": degrees[node], "size": size}
        row["side"] = lay.is_tree and not graph.out_degree(node)
        if color is not None:
            row["group"] = shown(about.get(color, "(none)"), _NAME_LETTERS_MAX)
        rows.append(row)
    return rows


def _edges(graph: Any, lay: Layout, rows: Mapping[Any, dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Lines between the nodes, and the heads of arrows at the rims of those that they point to."""
    edges, arrows = [], []
    heaviest = max((abs(_weight(about)) for _, _, about in graph.edges(data=True)), default=0.0) or 1.0
    has_arrows = graph.is_directed() and len(graph.edges) <= _ARROWS_MAX
    for source, target, about in graph.edges(data=True):
        (x, y), (to_x, to_y) = lay.at[source], lay.at[target]
        width = 1.0 + 3.0 * abs(_weight(about)) / heaviest if "weight" in about else 1.5
        edges.append({"x": x, "y": y, "to_x": to_x, "to_y": to_y, "width": width})
        far = math.hypot(to_x - x, to_y - y)
        if has_arrows and far > 0:
            back = (math.sqrt(rows[target]["size"] / math.pi) + 5.0) / far
            turn = math.degrees(math.atan2(to_x - x, y - to_y))
            arrows.append({"x": to_x - (to_x - x) * back, "y": to_y - (to_y - y) * back, "turn": turn})
    return edges, arrows


def _weight(about: Mapping[str, Any]) -> float:
    weight = about.get("weight", 1.0)
    return float(weight) if isinstance(weight, int | float | np.number) and math.isfinite(weight) else 1.0


def _grouped(nodes: list[dict[str, Any]]) -> tuple[list[str], list[str]]:
    counts: dict[str, float] = {}
    for node in nodes:
        counts[node["group"]] = counts.get(node["group"], 0.0) + 1
    names, notes = groups.kept(list(counts.items()))
    for node in nodes:
        node["group"] = node["group"] if node["group"] in names else groups.OTHERS
    return groups.named(names, notes), notes


def _chart(drawn: _Drawn, names: list[str], color_title: str, *, is_named: bool) -> Any:
    at = {"x": _place(alt.X, drawn.lay.size[0]), "y": _place(alt.Y, drawn.lay.size[1])}
    ends = {"x2": alt.X2(field="to_x"), "y2": alt.Y2(field="to_y")}
    lines = charts.chart("edges").mark_rule(color=theme.QUIET, opacity=0.7, aria=False)
    layers = [lines.encode(**at, **ends, strokeWidth=_as_is(alt.StrokeWidth, "width"))]
    if drawn.arrows:
        heads = charts.chart("arrows").mark_point(shape="triangle-up", size=60, color="#777777", opacity=1, aria=False)
        layers.append(heads.encode(**at, angle=_as_is(alt.Angle, "turn")))
    group = [charts.tooltip("group", color_title or "group")] if names else []
    tooltips = [charts.tooltip("name", "node"), *group, charts.tooltip("degree", "edges", ",d")]
    discs = charts.chart("nodes").mark_point(shape="circle", opacity=1, stroke=theme.PAPER, strokeWidth=1.5)
    colour = {"color": groups.color(names, color_title)} if names else {}
    layers.append(discs.encode(**at, **colour, size=_as_is(alt.Size, "size"), tooltip=tooltips))
    if is_named:
        layers += _labels(at, is_tree=drawn.lay.is_tree)
    return alt.layer(*layers).properties(width=drawn.lay.size[0], height=drawn.lay.size[1])


def _labels(at: dict[str, Any], *, is_tree: bool) -> list[Any]:
    """Names below the nodes, or above them in trees and beside their leaves; on a pale rim, for the edges behind them."""
    base = charts.chart("nodes").encode(**at, text=charts.written("name"))
    sides: list[tuple[str, dict[str, Any]]] = [
        ("!datum.side", {"align": "center", "dy": -15 if is_tree else 20}),
        ("datum.side", {"align": "left", "dx": 12}),
    ]
    rim = {"stroke": theme.PAPER, "strokeWidth": 4}
    return [
        base.transform_filter(test).mark_text(baseline="middle", aria=False, **place, **look)
        for test, place in sides
        for look in (rim, {})
    ]


def _place(channel: Any, side: float) -> Any:
    scale = alt.Scale(domain=[0, side], nice=False, zero=False, reverse=channel is alt.Y)
    return channel(field="x" if channel is alt.X else "y", type="quantitative", scale=scale, axis=None)


def _as_is(channel: Any, field: str) -> Any:
    """A channel whose figures are pixels, degrees or areas already."""
    return channel(field=field, type="quantitative", scale=None, legend=None)
