"""A confusion matrix: what truly is, by what it was taken for; the colour is the share of the row, the figure the count."""

from __future__ import annotations

from typing import Any, Final

import altair as alt
import numpy as np

from pangea.compute.model.errors import PictureError
from pangea.compute.model.units import counted
from pangea.compute.pictures.values import charts, heatmaps, theme, turning
from pangea.compute.pictures.values.options import PictureOptions
from pangea.compute.pictures.values.picture import Picture
from pangea.compute.pictures.values.shapes import Confusion, Grid, Numbers
from pangea.compute.pictures.values.turning import Shape
from pangea.compute.pictures.values.wording import figure, shown

#: From this share on, the colour is dark.
_DARK: Final = 0.75


def draw(shape: Shape, options: PictureOptions) -> Picture:
    """Draw a confusion matrix.

    Raises:
        PictureError: there is none, or its entries aren't counts.
    """
    counts, classes = _counts(shape)
    total = float(counts.sum())
    if total <= 0 or counts.min() < 0:
        raise PictureError("the confusion matrix counts nothing", hint="its entries are counts: none below zero, and some above")
    if options.labels is not None and len(options.labels) != len(counts):
        raise PictureError(
            f"there are {len(options.labels):,} labels for {len(counts):,} classes", hint="give one for each class"
        )
    names = heatmaps.labels_of(options.labels if options.labels is not None else classes, len(counts))
    right = f"{100 * float(np.trace(counts)) / total:.1f} %"
    rows = _rows(counts, names)
    title = options.heading
    words = f"{title or 'Confusion matrix'}: {counted(len(names), 'class', 'classes')}, {right} right"
    titles = (shown(options.y_label or "what it is"), shown(options.x_label or "what it was taken for"))
    notes = [f"{right} of {figure(total)} are on the diagonal, which is right"]
    return charts.picture_of(_chart(rows, names, titles), {"rows": rows}, kind="confusion", title=title, alt=words, notes=notes)


def _counts(shape: Shape) -> tuple[Numbers, list[str]]:
    if isinstance(shape, Confusion):
        return np.nan_to_num(shape.counts), list(shape.classes)
    if isinstance(shape, Grid) and shape.values.shape[0] == shape.values.shape[1]:
        names = list(shape.rows) if shape.rows is not None else [f"class {index}" for index in range(len(shape.values))]
        return np.nan_to_num(shape.values), names
    raise turning.unsuited("confusion", shape, "give {'confusion': [[…], …], 'labels': […]}, or a square array of counts")


def _rows(counts: Numbers, names: list[str]) -> list[dict[str, Any]]:
    sums = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, sums, out=np.zeros_like(counts), where=sums > 0)
    return [
        {
            "row": row,
            "column": column,
            "value": float(counts[i, j]),
            "share": float(shares[i, j]),
            "text": figure(float(counts[i, j])),
            "ink": theme.PAPER if shares[i, j] > _DARK else theme.INK,
        }
        for i, row in enumerate(names)
        for j, column in enumerate(names)
    ]


def _chart(rows: list[dict[str, Any]], names: list[str], titles: tuple[str, str]) -> Any:
    side = max(14, min(48, 520 // len(names)))
    scale = alt.Scale(range=list(theme.SHARES), domain=[0, 1], interpolate="rgb")
    colour = charts.shades("share", "share of row", scale, length=side * len(names), form=".0%")
    tooltips = [
        charts.tooltip("row", titles[0] or "row"),
        charts.tooltip("column", titles[1] or "column"),
        charts.tooltip("value", "count", ",d"),
        charts.tooltip("share", "share of row", ".1%"),
    ]
    wide = heatmaps.name_width(names)
    size = (wide if side < wide and wide * len(names) <= theme.WIDTH else side, side)
    return heatmaps.cell_chart((names, names), titles, colour, tooltips, size=size, is_written=side >= 26)
