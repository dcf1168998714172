"""A histogram: how often numbers fall into equal ranges. numpy counts; only the counts go into the picture."""

from __future__ import annotations

import math
import sys
from typing import Any, Final

import altair as alt
import numpy as np

from pangea.compute.model.errors import PictureError
from pangea.compute.model.units import counted
from pangea.compute.pictures.values import charts, theme, turning
from pangea.compute.pictures.values.logarithms import Logarithm, offer
from pangea.compute.pictures.values.options import PictureOptions
from pangea.compute.pictures.values.picture import Picture
from pangea.compute.pictures.values.shapes import Bins, Numbers
from pangea.compute.pictures.values.turning import Shape
from pangea.compute.pictures.values.wording import figure, label_format, shown

BINS_MIN, BINS_MAX = 8, 60
#: Above it, whole numbers have no halves between them.
_WHOLE_MAX: Final = 2.0**52
#: Values from which the width of the ranges is estimated.
_SAMPLE: Final = 100_000
#: Widths that differ by so small a share of themselves are one width, rounded.
_SAME_WIDTH: Final = 1e-6
#: Ranges narrower than so many steps of a float can't be equal ones.
_STEPS_MIN: Final = 8


def draw(shape: Shape, options: PictureOptions) -> Picture:
    """Draw a histogram.

    Raises:
        PictureError: there are no numbers.
    """
    if isinstance(shape, Bins):
        bins, name, reach, notes = shape, "value", (shape.edges[0], shape.edges[-1]), _notes_of(shape, options)
        held = ""
    else:
        series = turning.as_series(shape, options.x, "histogram")
        values, notes = turning.finite(series.values, f"{shown(series.name)!r}")
        given = log_bins_of(values, options.bins) if options.is_log else bins_of(values, options.bins)
        counts, edges = np.histogram(values, bins=given)
        bins, name, reach = Bins(edges, counts), series.name, (values.min(), values.max())
        held = "" if options.is_log else _held(values, edges)
        notes += [] if options.scale else offer(values)
    x_title = charts.axis_title(options.x_label or name, options.unit)
    y_title = shown(options.y_label or "number of values")
    rows = _rows(bins, is_log=options.is_log)
    is_even = "density" not in rows[0]
    if not is_even:
        y_title = shown(options.y_label or "density: share of the values, by the range's width")
        notes.append("the ranges differ in width: areas, not heights, are numbers of values")
    total = counted(int(bins.counts.sum()), "value")
    notes.append(f"{total} in {counted(len(rows), 'range')}{held}")
    if options.is_log:
        factor = (rows[-1]["to"] / rows[0]["from"]) ** (1 / len(rows))
        notes.append(f"logarithmic scale: each range ends at {figure(factor, 3)} times what it begins with")
    title = options.heading
    words = f"{title or 'Histogram'}: {total} of {x_title}, from {figure(reach[0])} to {figure(reach[1])}"
    log = Logarithm(rows[0]["from"], rows[-1]["to"], 0.0) if options.is_log else None
    chart = _chart(rows, x_title, y_title, "count" if is_even else "density", log)
    return charts.picture_of(chart, {"rows": rows}, kind="histogram", title=title, alt=words, notes=notes)


def _rows(bins: Bins, *, is_log: bool) -> list[dict[str, Any]]:
    """A row for each range; with its density, if the ranges aren't equally wide.

    Source: `numpy.histogram(density=True)`: count / (total * width).
    """
    rows: list[dict[str, Any]] = [
        {"from": float(start), "to": float(end), "count": int(count)}
        for start, end, count in zip(bins.edges[:-1], bins.edges[1:], bins.counts, strict=True)
    ]
    widths, total = np.diff(np.asarray(bins.edges, dtype=np.float64)), int(bins.counts.sum())
    if not is_log and np.ptp(widths) > _SAME_WIDTH * widths.max():
        for row, width in zip(rows, widths.tolist(), strict=True):
            row["density"] = row["count"] / (total * width) if total else 0.0
    return rows


def _held(values: Numbers, edges: Numbers) -> str:
    """How many whole numbers each range holds, where that is more than one, or not the same."""
    if not bool((values == np.rint(values)).all()) or abs(float(edges[0])) + abs(float(edges[-1])) > _WHOLE_MAX:
        return ""
    places = np.ceil(edges)
    places[-1] = math.floor(edges[-1]) + 1  # the last range has both its edges
    held = np.diff(places)
    if held.min() == held.max():
        beyond = int(edges[-1] - float(values.max()))
        more = f", the last of which reaches {beyond} beyond the greatest value" if beyond else ""
        return f" of {int(held[0])} whole numbers each{more}" if held[0] > 1 else ""
    return f" that hold {int(held.min())} to {int(held.max())} whole numbers each, so that heights differ by that alone"


def _notes_of(bins: Bins, options: PictureOptions) -> list[str]:
    """What isn't seen of a histogram that was counted before.

    Raises:
        PictureError: its ranges are to be others.
    """
    if options.bins is not None:
        raise PictureError("the values are counted already, so their ranges stay", hint="leave out bins, or count anew")
    if options.is_log:
        raise PictureError("the values are counted already, so their ranges stay", hint="leave out scale, or count anew")
    return [f"{counted(bins.outside, 'value')} left out: in none of the ranges, or missing"] if bins.outside else []


def bins_of(values: Numbers, asked: int | None) -> Numbers:
    """The edges of the ranges.

    Whole numbers have ranges that hold equally many of them, as an uneven share would look like a pattern. Others have round
    edges, or as many ranges as are asked for; how many there are is the rule of Freedman and Diaconis.
    Source: D. Freedman, P. Diaconis, On the histogram as a density estimator, Z. Wahrscheinlichkeitstheorie 57 (1981).
    """
    low, high = float(values.min()), float(values.max())
    if max(-low, high) < _WHOLE_MAX and bool((values == np.rint(values)).all()):
        count = high - low + 1.0
        number = asked or (int(count) if count <= BINS_MAX else _number(values, high - low))
        step = _whole_step(count, math.ceil(count / number)) if asked is None else math.ceil(count / number)
        if asked is None or step * number == count:
            whole: Numbers = low - 0.5 + step * np.arange(math.ceil(count / step) + 1, dtype=np.float64)
            return whole
    edges = np.linspace(low, high, asked + 1) if asked else _round_edges(low, high, _number(values, high - low))
    least = max(_STEPS_MIN * float(np.spacing(max(-low, high))), sys.float_info.min)
    if not (np.diff(edges) >= least).all():  # one value, or as good as one
        room = max(abs(low), 1.0) * 0.5
        return np.linspace(low - room, high + room, (asked or 1) + 1)
    return edges


def log_bins_of(values: Numbers, asked: int | None) -> Numbers:
    """The edges of ranges that are equally wide by factor; powers of ten are among them.

    Raises:
        PictureError: there is a zero, or something below it.
    """
    low, high = float(values.min()), float(values.max())
    if low <= 0:
        raise PictureError(
            f"{counted(int((values <= 0).sum()), 'value')} of {len(values):,} are zero or below, the least {figure(low)}: ranges"
            " of a logarithmic scale have no place for them",
            hint="leave those out (x[x > 0]), or leave out scale='log'",
        )
    if asked and low < high:
        return np.geomspace(low, high, asked + 1)
    reach = math.log10(high) - math.log10(low)
    share = next((share for share in (1, 2, 5, 10) if share * reach >= 2 * BINS_MIN), 20)  # ranges for each power of ten
    step = max(1, math.ceil(reach * share / BINS_MAX))
    first, last = math.floor(math.log10(low) * share), math.ceil(math.log10(high) * share)
    edges: Numbers = 10.0 ** (np.arange(first, max(last, first + 1) + step, step, dtype=np.float64) / share)
    edges = edges[: int(np.searchsorted(edges, high)) + 1]
    edges[0], edges[-1] = min(edges[0], low), max(edges[-1], high)
    return edges if len(edges) > 1 else np.array([low / 2, high * 2])


def _whole_step(count: float, about: int) -> int:
    """How many whole numbers a range holds: about so many, and such that the last one reaches least beyond the greatest.

    Of the steps that give one number of ranges the least reaches least beyond, so only these are looked at.
    """
    ranges = range(max(1, math.ceil(count / (2 * about))), min(BINS_MAX, math.ceil(count / max(1, about // 2))) + 1)
    steps = {step for number in ranges if max(1, about // 2) <= (step := math.ceil(count / number)) <= 2 * about}
    return min(steps, key=lambda step: (-count % step / step, abs(math.log(step / about))), default=about)


def _round_edges(low: float, high: float, number: int) -> Numbers:
    """About so many ranges, whose edges are multiples of 1, 2, 2.5 or 5 times a power of ten."""
    plain, width = np.linspace(low, high, number + 1), (high - low) / number
    if not sys.float_info.min < width < math.inf:
        return plain
    power = 10.0 ** math.floor(math.log10(width))
    for step in sorted((each * power for each in (1.0, 2.0, 2.5, 5.0, 10.0)), key=lambda each: abs(math.log(each / width))):
        first, last = math.floor(low / step), math.ceil(high / step)
        if last - first <= BINS_MAX and max(-first, last) < _WHOLE_MAX:
            edges: Numbers = np.arange(first, last + 1, dtype=np.float64) * step
            return edges if edges[0] <= low and high <= edges[-1] else plain
    return plain


def _number(values: Numbers, reach: float) -> int:
    sample = values[:: max(1, len(values) // _SAMPLE)]
    quarter, three_quarters = np.percentile(sample, [25, 75])
    width = 2.0 * (three_quarters - quarter) / len(values) ** (1 / 3)
    wanted = math.ceil(reach / width) if width * BINS_MAX > reach else BINS_MAX
    return min(max(wanted, BINS_MIN), BINS_MAX)


def _chart(rows: list[dict[str, Any]], x_title: str, y_title: str, height: str, log: Logarithm | None) -> Any:
    edges = [rows[0]["from"], rows[-1]["to"]]
    form = label_format([*edges, rows[0]["to"]])
    x = charts.amounts("X", "from", x_title, edges, zero=False, log=log)
    if log is None:
        x.scale = alt.Scale(domain=edges, nice=False, zero=False)
    tooltips = [charts.tooltip("from", "from", form), charts.tooltip("to", "to", form)]
    tooltips.append(charts.tooltip("count", "number of values" if height != "count" else y_title, ",d"))
    return (
        charts.chart()
        .mark_bar(orient="vertical", stroke=theme.PAPER, strokeWidth=0.5)
        .encode(
            x=x,
            x2=alt.X2(field="to"),
            y=charts.amounts("Y", height, y_title, [row[height] for row in rows]),
            y2=alt.Y2Datum(0),
            tooltip=tooltips,
        )
        .properties(width=theme.WIDTH, height=theme.HEIGHT)
    )
