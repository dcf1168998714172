"""Coefficients: the largest first, with their intervals; those of several classes as a heat map."""

from __future__ import annotations

from typing import Any, Final

import altair as alt
import numpy as np

from pangea.compute.model.units import counted
from pangea.compute.pictures.values import charts, heatmaps, theme, turning
from pangea.compute.pictures.values.options import PictureOptions
from pangea.compute.pictures.values.picture import Picture
from pangea.compute.pictures.values.shapes import Coefficients, Grid
from pangea.compute.pictures.values.turning import Shape
from pangea.compute.pictures.values.wording import figure, label_format, shown

TOP: Final = 25
_STEP: Final = 26
#: Standard errors on both sides that make 95 % of a normal distribution.
_NORMAL_95: Final = 1.96


def draw(shape: Shape, options: PictureOptions) -> Picture:
    """Draw coefficients.

    Raises:
        PictureError: there are none.
    """
    if not isinstance(shape, Coefficients):
        raise turning.unsuited("coefficients", shape, "give {'coefficients': […], 'names': […]}")
    if shape.values.ndim == 2:
        return heatmaps.of_grid(Grid(shape.values, shape.classes, shape.names), options, ("class", "feature"))
    rows, notes = _rows(shape, options.top or TOP)
    title = options.heading
    x_title = charts.axis_title(options.x_label or "coefficient", options.unit)
    y_title = shown(options.y_label or "feature")
    largest = f"largest is {rows[0]['name']} with {figure(rows[0]['value'])}"
    words = f"{title or 'Coefficients'}: {counted(len(rows), 'feature')}; {largest}"
    return charts.picture_of(
        _chart(rows, x_title, y_title), {"rows": rows}, kind="coefficients", title=title, alt=words, notes=notes
    )


def _rows(shape: Coefficients, top: int) -> tuple[list[dict[str, Any]], list[str]]:
    names = heatmaps.labels_of(shape.names, len(shape.values))
    order = [int(at) for at in np.argsort(-np.abs(shape.values), kind="stable") if turning.drawable(shape.values[at])]
    errors = shape.errors if shape.errors is not None else np.zeros(len(names))
    spans = np.where(np.isfinite(errors), errors, 0.0) * _NORMAL_95
    rows = [
        {
            "name": names[at],
            "value": float(shape.values[at]),
            "low": float(shape.values[at] - spans[at]),
            "high": float(shape.values[at] + spans[at]),
            "group": "positive" if shape.values[at] >= 0 else "negative",
        }
        for at in order[:top]
    ]
    notes = [f"intercept {figure(shape.intercept)}"] if shape.intercept is not None else []
    if len(order) < len(names):
        notes.append(f"{counted(len(names) - len(order), 'coefficient')} left out: not finite")
    if len(order) > top:
        notes.append(f"the largest {top} are shown, and {len(order) - top:,} more are not")
    if shape.errors is not None:
        notes.append("lines are intervals of 95 %")
    return rows, notes


def _chart(rows: list[dict[str, Any]], x_title: str, y_title: str) -> Any:
    x = charts.amounts("X", "value", x_title, [row[end] for row in rows for end in ("low", "high")])
    signs = alt.Scale(domain=["positive", "negative"], range=[theme.MAIN, theme.ACCENT])
    base = charts.chart().encode(y=charts.names("Y", "name", y_title, [row["name"] for row in rows], all_shown=True))
    form = label_format([row["value"] for row in rows])
    bars = base.mark_bar(height=alt.RelativeBandSize(band=0.6)).encode(
        x=x,
        color=alt.Color(field="group", type="nominal", scale=signs, legend=None),
        tooltip=[
            charts.tooltip("name", y_title or "feature"),
            charts.tooltip("value", x_title, form),
            charts.tooltip("low", "from", form),
            charts.tooltip("high", "to", form),
        ],
    )
    layers = [bars, charts.chart().mark_rule(color=theme.INK).encode(x=alt.XDatum(0))]
    if any(row["low"] != row["high"] for row in rows):
        span = alt.X(field="low", type="quantitative")
        layers.append(base.mark_rule(color=theme.INK, strokeWidth=1.5).encode(x=span, x2=alt.X2(field="high")))
    return alt.layer(*layers).properties(height=alt.Step(_STEP), width=theme.WIDTH)
