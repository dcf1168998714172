"""A histogram: how often numbers fall into equal ranges. numpy counts; only the counts go into the picture."""

from __future__ import annotations

import math
from typing import Any, Final

import altair as alt
import numpy as np

from pangea.compute.client.visualizer import charts, theme, turning
from pangea.compute.client.visualizer.picture import Picture
from pangea.compute.client.visualizer.shapes import Bins, Numbers, Shape
from pangea.compute.client.visualizer.wishes import Wishes
from pangea.compute.client.visualizer.wording import counted, figure, label_format, shown
from pangea.compute.model.errors import PictureError

BINS_MIN, BINS_MAX = 8, 60
#: Above it, whole numbers have no halves between them.
_WHOLE_MAX: Final = 2.0**52
#: Values from which the width of the ranges is estimated.
_SAMPLE: Final = 100_000


def draw(shape: Shape, wishes: Wishes) -> Picture:
    """Draw a histogram.

    Raises:
        PictureError: there are no numbers.
    """
    if isinstance(shape, Bins):
        bins, name, reach, notes = shape, "value", (shape.edges[0], shape.edges[-1]), _notes_of(shape, wishes)
    else:
        series = turning.as_series(shape, wishes.x, "histogram")
        values, notes = turning.finite(series.values, f"{shown(series.name)!r}")
        counts, edges = np.histogram(values, bins=bins_of(values, wishes.bins))
        bins, name, reach = Bins(edges, counts), series.name, (values.min(), values.max())
    x_title = charts.axis_title(wishes.x_label or name, wishes.unit)
    y_title = shown(wishes.y_label or "number of values")
    rows = [
        {"from": float(start), "to": float(end), "count": int(count)}
        for start, end, count in zip(bins.edges[:-1], bins.edges[1:], bins.counts, strict=True)
    ]
    total = counted(int(bins.counts.sum()), "value")
    notes.append(f"{total} in {counted(len(rows), 'range')}")
    title = wishes.heading
    words = f"{title or 'Histogram'}: {total} of {x_title}, from {figure(reach[0])} to {figure(reach[1])}"
    return charts.picture_of(
        _chart(rows, x_title, y_title), {"rows": rows}, kind="histogram", title=title, alt=words, notes=notes
    )


def _notes_of(bins: Bins, wishes: Wishes) -> list[str]:
    """What isn't seen of a histogram that was counted before.

    Raises:
        PictureError: its ranges are to be others.
    """
    if wishes.bins is not None:
        raise PictureError("the values are counted already, so their ranges stay", hint="leave out bins, or count anew")
    return [f"{counted(bins.outside, 'value')} left out: in none of the ranges, or missing"] if bins.outside else []


def bins_of(values: Numbers, asked: int | None) -> Numbers:
    """The edges of the ranges: one for each whole number where those are few, else by the rule of Freedman and Diaconis.

    Source: D. Freedman, P. Diaconis, On the histogram as a density estimator, Z. Wahrscheinlichkeitstheorie 57 (1981).
    """
    low, high = float(values.min()), float(values.max())
    few = asked is None and high - low < BINS_MAX and max(-low, high) < _WHOLE_MAX
    if few and bool((values == np.rint(values)).all()):
        return np.arange(low, high + 2.0) - 0.5
    number = asked or _number(values, high - low)
    edges = np.linspace(low, high, number + 1)
    if not (np.diff(edges) > 0).all():  # one value, or as good as one
        room = max(abs(low), 1.0) * 0.5
        return np.linspace(low - room, high + room, (asked or 1) + 1)
    return edges


def _number(values: Numbers, reach: float) -> int:
    sample = values[:: max(1, len(values) // _SAMPLE)]
    quarter, three_quarters = np.percentile(sample, [25, 75])
    width = 2.0 * (three_quarters - quarter) / len(values) ** (1 / 3)
    wanted = math.ceil(reach / width) if width * BINS_MAX > reach else BINS_MAX
    return min(max(wanted, BINS_MIN), BINS_MAX)


def _chart(rows: list[dict[str, Any]], x_title: str, y_title: str) -> Any:
    edges = [rows[0]["from"], rows[-1]["to"]]
    form = label_format([*edges, rows[0]["to"]])
    x = charts.amounts("X", "from", x_title, edges, zero=False)
    x.scale = alt.Scale(domain=edges, nice=False, zero=False)
    tooltips = [charts.tooltip("from", "from", form), charts.tooltip("to", "to", form), charts.tooltip("count", y_title, ",d")]
    return (
        charts.chart()
        .mark_bar(orient="vertical", stroke=theme.PAPER, strokeWidth=0.5)
        .encode(
            x=x,
            x2=alt.X2(field="to"),
            y=charts.amounts("Y", "count", y_title, [row["count"] for row in rows]),
            y2=alt.Y2Datum(0),
            tooltip=tooltips,
        )
        .properties(width=theme.WIDTH, height=theme.HEIGHT)
    )
