"""Clusters: points and centres in the plane; centres of many features without points as a heat map."""

from __future__ import annotations

from typing import Any

import altair as alt
import numpy as np

from pangea.compute.model.errors import PictureError
from pangea.compute.model.units import counted
from pangea.compute.pictures.values import charts, heatmaps, scatters, theme, turning
from pangea.compute.pictures.values.options import PictureOptions
from pangea.compute.pictures.values.picture import Picture
from pangea.compute.pictures.values.shapes import Clusters, Grid, Numbers
from pangea.compute.pictures.values.turning import Shape
from pangea.compute.pictures.values.wording import shown


def draw(shape: Shape, options: PictureOptions) -> Picture:
    """Draw clusters; points with more than two features are laid out by their two principal components.

    Raises:
        PictureError: there are none, or they have one feature only.
    """
    if not isinstance(shape, Clusters):
        raise turning.unsuited("clusters", shape, "give {'centroids': [[…], …]}, and 'points' if there are")
    names = _names(shape)
    if shape.points is None and shape.centroids.shape[1] != 2:
        return heatmaps.of_grid(Grid(shape.centroids, names, shape.names), options, ("cluster", "feature"))
    centres, points, titles = _plane(shape)
    dots, notes = _dots(shape, points, names)
    marks = [
        {"x": float(x), "y": float(y), "group": name, "number": str(index)}
        for index, ((x, y), name) in enumerate(zip(centres, names, strict=True))
    ]
    title = options.heading
    x_title, y_title = shown(options.x_label or titles[0]), charts.axis_title(options.y_label or titles[1], options.unit)
    of_points = f" and {counted(len(points), 'point')}" if points is not None else ""
    words = f"{title or 'Clusters'}: {counted(len(centres), 'centre')}{of_points}"
    chart = _chart(dots, marks, x_title, y_title)
    return charts.picture_of(chart, {"points": dots, "centres": marks}, kind="clusters", title=title, alt=words, notes=notes)


def _names(shape: Clusters) -> list[str]:
    if shape.sizes is None:
        return [f"cluster {index}" for index in range(len(shape.centroids))]
    return [f"cluster {index}: {counted(size, 'point')}" for index, size in enumerate(shape.sizes)]


def _plane(shape: Clusters) -> tuple[Numbers, Numbers | None, tuple[str, str]]:
    """Centres and points in two dimensions, and what those are."""
    if shape.centroids.shape[1] == 2 or shape.points is None:
        return shape.centroids, shape.points, (shape.names[0], shape.names[1])
    if shape.centroids.shape[1] == 1:
        raise PictureError("clusters of one feature have no plane to lie in", hint="draw a 'histogram' of the points")
    usable = shape.points[np.isfinite(shape.points).all(axis=1)]
    if len(usable) < 2:
        raise PictureError("clusters of several features need at least two points to be laid out", hint="draw the 'heatmap'")
    middle = usable.mean(axis=0)
    shares, directions = np.linalg.eigh(np.cov(usable - middle, rowvar=False))
    axes = directions[:, [-1, -2]]
    axes = axes * np.where(axes[np.abs(axes).argmax(axis=0), [0, 1]] < 0, -1.0, 1.0)  # the sign is free: always the same
    first, second = (100.0 * part / max(float(shares.sum()), 1e-300) for part in (shares[-1], shares[-2]))
    titles = (
        f"first principal component ({first:.0f} % of the variance)",
        f"second principal component ({second:.0f} % of the variance)",
    )
    return (shape.centroids - middle) @ axes, (shape.points - middle) @ axes, titles


def _dots(shape: Clusters, points: Numbers | None, names: list[str]) -> tuple[list[dict[str, Any]], list[str]]:
    if points is None or shape.labels is None:
        return [], []
    usable = np.flatnonzero(np.isfinite(points).all(axis=1))
    chosen, notes = scatters.sampled(usable)
    if len(usable) < len(points):
        notes = [f"{counted(len(points) - len(usable), 'point')} left out: something is missing, or not finite", *notes]
    return [{"x": float(points[at, 0]), "y": float(points[at, 1]), "group": names[shape.labels[at]]} for at in chosen], notes


def _chart(dots: list[dict[str, Any]], marks: list[dict[str, Any]], x_title: str, y_title: str) -> Any:
    """Colours and shapes repeat where there are more clusters than those; the number at each centre says which it is."""
    names = [mark["group"] for mark in marks]
    together = [*dots, *marks]
    x = charts.amounts("X", "x", x_title, [row["x"] for row in together], zero=False)
    y = charts.amounts("Y", "y", y_title, [row["y"] for row in together], zero=False)
    colours = [theme.PALETTE[index % len(theme.PALETTE)] for index in range(len(names))]
    shapes = [theme.SHAPES[(index + index // len(theme.PALETTE)) % len(theme.SHAPES)] for index in range(len(names))]
    colour = alt.Color(field="group", type="nominal", title="cluster", sort=names, scale=alt.Scale(domain=names, range=colours))
    shape = alt.Shape(field="group", type="nominal", title="cluster", sort=names, scale=alt.Scale(domain=names, range=shapes))
    points = charts.chart("points").mark_point(aria=False, opacity=0.55).encode(x=x, y=y, color=colour, shape=shape)
    centres = charts.chart("centres").encode(x=x, y=y, tooltip=[charts.tooltip("group", "cluster")])
    discs = centres.mark_point(shape="circle", size=380, opacity=1, stroke=theme.INK, strokeWidth=1.5, fill=theme.PAPER)
    numbers = centres.mark_text(fontWeight="bold", fontSize=theme.TEXT).encode(text=charts.written("number"))
    return alt.layer(points, discs, numbers).properties(width=theme.WIDTH, height=400)
