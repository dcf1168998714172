"""Lines: amounts over numbers, dates or steps. Long ones keep their peaks: of each stretch the least and the greatest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import altair as alt
import numpy as np
import pyarrow as pa

from pangea.compute.model.errors import PictureError
from pangea.compute.model.units import counted
from pangea.compute.pictures.values import charts, frames, groups, theme, turning
from pangea.compute.pictures.values.clocks import Clock
from pangea.compute.pictures.values.frames import Table
from pangea.compute.pictures.values.logarithms import Logarithm, scale_of
from pangea.compute.pictures.values.options import PictureOptions
from pangea.compute.pictures.values.picture import Picture
from pangea.compute.pictures.values.shapes import Grid, Numbers, Series
from pangea.compute.pictures.values.turning import Shape
from pangea.compute.pictures.values.wording import label_format, shown

#: Points of all lines together; more are too close to see.
POINTS_MAX: Final = 4_000
#: So few points are marked, as a lone one between gaps would have no line.
_MARKED_MAX: Final = 40
#: So few whole numbers each have a tick, and nothing between them.
_TICKS_MAX: Final = 12
#: From here on, floats don't have all whole numbers.
_WHOLE_MAX: Final = 2.0**53
#: A step of time is a gap if it is so many times the usual one, which so large a share of the steps must be.
_GAP, _USUAL, _USUAL_SHARE = 1.5, 1.25, 0.75
_NONE: Final = np.array([], dtype=np.int64)
#: So many answer to the pointer.
_ANSWERING_MAX: Final = 1_000


@dataclass(slots=True)
class _Lines:
    """What is shown: x and y of each line by name, and how x is to be read."""

    x_name: str
    y_name: str
    sort: frames.Sort
    color_name: str = ""
    lines: dict[str, tuple[Numbers, Numbers]] = field(default_factory=dict)
    words: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    clock: Clock = field(default_factory=Clock)


def draw(shape: Shape, options: PictureOptions) -> Picture:
    """Draw lines.

    Raises:
        PictureError: there are no numbers to draw.
    """
    lines = _lines(shape, options)
    if not any(turning.drawable(y).any() for _, y in lines.lines.values()):
        raise PictureError(
            f"{shown(lines.y_name)!r} has no finite number to draw", hint="look for what made them NaN or infinite"
        )
    rows = _rows(lines)
    x_title = shown(options.x_label if options.x_label is not None else lines.clock.title(lines.x_name))
    y_title = charts.axis_title(options.y_label or lines.y_name, options.unit)
    title = options.heading
    words = f"{title or 'Line'}: {y_title} over {x_title}, {counted(len(lines.lines), 'line')}"
    log, notes = scale_of([row["y"] for row in rows], options)
    chart = _chart(rows, lines, x_title, y_title, shown(lines.color_name), log)
    lines.notes += notes
    return charts.picture_of(chart, {"rows": rows}, kind="line", title=title, alt=words, notes=lines.notes)


def _lines(shape: Shape, options: PictureOptions) -> _Lines:
    if isinstance(shape, Series):
        lines = _Lines("index", shape.name, "number")
        _add(lines, "", np.arange(len(shape.values), dtype=np.float64), shape.values, None)
        return lines
    table = turning.as_table(shape, "line")
    if isinstance(shape, Grid):
        return _of_columns(table, options, table.of("number"))
    asked = [options.y] if isinstance(options.y, str) else list(options.y or ())
    return _of_columns(table, options, [table.need(name, "number") for name in asked])


def _of_columns(table: Table, options: PictureOptions, asked: Sequence[str]) -> _Lines:
    x = _x_column(table, options.x, asked)
    numbers = [name for name in table.of("number") if name != x]
    ys = list(asked) or numbers[:1]
    if not ys:
        raise frames.no_numbers(table)
    if len(ys) > len(theme.PALETTE):
        raise PictureError(
            f"{len(ys)} lines are too many to tell apart: at most {len(theme.PALETTE)}", hint="name some with y=[…]"
        )
    lines = _Lines(x or "index", ys[0] if len(ys) == 1 else "value", table.sort_of(x) if x is not None else "number")
    places = _places(table, x, lines)
    color = _color_column(table, options, ys, places)
    if not asked and color is None and len(numbers) > 1:
        ys = numbers[: len(theme.PALETTE)]
        lines.y_name = "value"
    if not asked and len(ys) < len(numbers):
        lines.notes.append(f"{counted(len(ys), 'column')} of {len(numbers):,}: y=[…] names others")
    lines.color_name = color or ""
    for name in ys:
        _add(lines, name if len(ys) > 1 else "", places, table.numbers(name), table.texts(color) if color is not None else None)
    return lines


def _x_column(table: Table, asked: str | None, taken: Sequence[str]) -> str | None:
    if asked is not None:
        return table.need(asked, "number", "date", "text")
    numbers = [name for name in table.of("number") if name not in taken]
    spare = numbers[:1] if taken or len(numbers) > 1 else []
    return next(iter([*table.of("date"), *([] if taken else spare), *table.of("text")]), None)


def _places(table: Table, x: str | None, lines: _Lines) -> Numbers:
    """Where each row stands on the axis; for text, the index of its word."""
    if x is None:
        return np.arange(len(table), dtype=np.float64)
    if lines.sort == "date":
        lines.clock, places = table.moments(x)
        lines.notes += [lines.clock.note] if lines.clock.note else []
        return places
    if lines.sort == "number":
        return _apart(table, x)
    texts = [text if text is not None else "(none)" for text in table.texts(x)]
    index = {text: place for place, text in enumerate(dict.fromkeys(texts))}
    if len(index) > _MARKED_MAX:
        raise PictureError(
            f"column {shown(x)!r} has {len(index):,} different words, too many for an axis", hint="draw a 'bar', or name x"
        )
    lines.words = list(index)
    return np.array([index[text] for text in texts], dtype=np.float64)


def _apart(table: Table, x: str) -> Numbers:
    """A column of numbers as places, different ones at different places.

    Raises:
        PictureError: whole numbers, as ids are, have more digits than places have, so that their rows would be taken for one's.
    """
    places = table.numbers(x)
    if table.is_whole(x) and bool((np.abs(places) >= _WHOLE_MAX).any()):
        column = table.arrow[x].drop_null()
        if len(column.unique()) > len(np.unique(places[~np.isnan(places)])):
            raise PictureError(
                f"column {shown(x)!r} has whole numbers that are nearer to each other than an axis can tell apart",
                hint="draw a 'bar', whose names have all their digits, or subtract the least of them",
            )
    return places


def _color_column(table: Table, options: PictureOptions, ys: Sequence[str], places: Numbers) -> str | None:
    """The column that tells lines apart: the one asked for, or the first of few words if a place has several values."""
    if options.color is not None:
        if len(ys) > 1:
            raise PictureError("lines are told apart by y or by color, not by both", hint="name one column in y")
        return table.need(options.color)
    if len(ys) > 1 or len(np.unique(places)) == len(places):
        return None
    return next(
        (name for name in table.of("text") if name != options.x and 1 < len(table.labels(name).unique()) <= len(theme.PALETTE)),
        None,
    )


def _add(lines: _Lines, name: str, x: Numbers, y: Numbers, labels: Sequence[str | None] | None) -> None:
    known = turning.drawable(y)
    if not known.all():
        what = shown(name or lines.y_name)
        lines.notes.append(f"{counted(int((~known).sum()), 'value')} of {len(y):,} left out: {what} is missing, or not finite")
    placed = turning.drawable(x)
    if not placed.all():
        lines.notes.append(f"{counted(int((~placed).sum()), 'row')} left out: {shown(lines.x_name)} is missing")
    if labels is None:
        lines.lines[name] = _ordered(lines, x[placed], y[placed])
        return
    words = np.array([label if label is not None else "(none)" for label in labels])
    found, counts = np.unique(words[placed], return_counts=True)
    names, notes = groups.kept([(str(word), int(count)) for word, count in zip(found, counts, strict=True)])
    lines.notes.extend(note.replace("together as 'others'", "not shown") for note in notes)
    for word in names:
        chosen = placed & (words == word)
        lines.lines[word] = _ordered(lines, x[chosen], y[chosen])


def _ordered(lines: _Lines, x: Numbers, y: Numbers) -> tuple[Numbers, Numbers]:
    """In order of x; several values at one place become their mean."""
    if len(x) < 2 or bool((np.diff(x) > 0).all()):
        return x, y
    means = pa.table({"x": x, "y": pa.array(y, from_pandas=True)}).group_by(["x"]).aggregate([("y", "mean")]).sort_by("x")
    if len(means) < len(x) and not any(note.startswith("means") for note in lines.notes):
        lines.notes.append(f"means, where several rows have the same {shown(lines.x_name)}")
    return np.asarray(means["x"].to_numpy()), np.asarray(means["y_mean"].to_numpy())


def gaps_after(x: Numbers, most: int) -> Any:
    """After which points of a line over time there is none for longer than usual, as where hours or days are missing.

    There is no usual step where fewer than three quarters of them are about equal, as months are; more gaps than `most` are none.
    """
    steps = np.diff(x)
    usual = float(np.median(steps)) if len(steps) else 0.0
    if usual <= 0 or np.mean((steps * _USUAL >= usual) & (steps <= usual * _USUAL)) < _USUAL_SHARE:
        return _NONE
    gaps = np.flatnonzero(steps > _GAP * usual)
    return gaps if len(gaps) <= most else _NONE


def thinned(x: Numbers, y: Numbers, points_max: int, gaps: Any = _NONE) -> tuple[Numbers, Numbers]:
    """About `points_max` points: the first, the last, the least and the greatest of stretches of equally many, and ends of gaps.

    Args:
        x: places.
        y: amounts.
        points_max: how many there may be.
        gaps: after which points there is a gap; it becomes a point without an amount.
    """
    chosen = np.arange(len(x))
    if len(x) > points_max:
        chosen = np.unique(np.concatenate([_extremes(x, y, points_max), gaps, gaps + 1]))
    at = np.searchsorted(chosen, gaps, side="right")
    return np.insert(x[chosen], at, (x[gaps] + x[gaps + 1]) / 2), np.insert(y[chosen], at, np.nan)


def _extremes(x: Numbers, y: Numbers, points_max: int) -> Any:
    size = -(-len(x) // (points_max // 2))
    starts = np.arange(0, len(x), size)
    low, high = (np.array([start + pick(y[start : start + size]) for start in starts]) for pick in (_least, _greatest))
    return np.unique(np.concatenate([[0, len(x) - 1], low, high]))


def _least(stretch: Numbers) -> int:
    return int(np.argmin(np.where(turning.drawable(stretch), stretch, np.inf)))


def _greatest(stretch: Numbers) -> int:
    return int(np.argmax(np.where(turning.drawable(stretch), stretch, -np.inf)))


def _rows(lines: _Lines) -> list[dict[str, Any]]:
    total = sum(len(x) for x, _ in lines.lines.values())
    room = max(2, POINTS_MAX // max(1, len(lines.lines)))
    if any(len(x) > room for x, _ in lines.lines.values()):
        lines.notes.append(f"{total:,} values are drawn by the least and the greatest of each short stretch")
    rows: list[dict[str, Any]] = []
    broken = 0
    for colour, (name, (x, y)) in zip(theme.PALETTE, lines.lines.items(), strict=False):
        gaps = gaps_after(x, room // 4) if lines.sort == "date" else _NONE
        broken += len(gaps)
        few_x, few_y = thinned(x, y, room, gaps)
        is_row = np.isin(few_x, x) | np.isnan(few_x)
        texts = iter(_texts(lines, few_x[is_row]))
        group = {"group": name, "ink": colour} if name else {}
        for place, value, is_known in zip(few_x, few_y, is_row, strict=True):
            known = float(value) if turning.drawable(value) else None
            where = lines.words[int(place)] if lines.words else float(place)
            rows.append({"x": where, "y": known, "at": next(texts) if is_known else "", **group})
    if broken:
        lines.notes.append(f"broken at {counted(broken, 'gap')}: steps of {shown(lines.x_name)} that are longer than usual")
    return rows


def _texts(lines: _Lines, x: Numbers) -> list[str]:
    if lines.sort == "date":
        return lines.clock.texts(x)
    return [lines.words[int(place)] if lines.words else f"{place:,.10g}" for place in x]


def _chart(rows: list[dict[str, Any]], lines: _Lines, x_title: str, y_title: str, color_title: str, log: Logarithm | None) -> Any:
    values = [row["y"] for row in rows if row["y"] is not None]
    names = [name for name in lines.lines if name]
    base = charts.chart().encode(
        x=_x_axis(rows, lines, x_title), y=charts.amounts("Y", "y", y_title, values, zero=False, log=log)
    )
    drawn = base.mark_line(aria=False)
    marked = base.mark_point(aria=False, shape="circle", opacity=1 if len(rows) <= _MARKED_MAX else 0)
    if names:
        colour = groups.color(names, color_title)
        dashes = groups.marks(alt.StrokeDash, theme.DASHES, names, color_title)
        # The points have their colours from the rows: in the legend they would stand over the dashes, which tell lines apart.
        ink = alt.Color(field="ink", type="nominal", scale=None)
        drawn, marked = drawn.encode(color=colour, strokeDash=dashes), marked.encode(color=ink)
    group = [charts.tooltip("group", color_title or "line")] if names else []
    amount = charts.tooltip("y", y_title or "value", label_format(values))
    marked = marked.encode(tooltip=[*group, charts.tooltip("at", x_title or "x"), amount])
    layers = [drawn, marked] if len(rows) <= _ANSWERING_MAX else [drawn]
    layered = alt.layer(*layers).resolve_scale(color="independent", strokeDash="independent")
    return layered.properties(width=theme.WIDTH, height=theme.HEIGHT)


def _x_axis(rows: list[dict[str, Any]], lines: _Lines, title: str) -> Any:
    if lines.sort == "date":
        return charts.moments("X", "x", title)
    if lines.words:
        axis = alt.Axis(title=title, labelAngle=-45 if len(lines.words) > 8 else 0)
        return alt.X(field="x", type="ordinal", sort=lines.words, axis=axis)
    places = sorted({row["x"] for row in rows})
    few = len(places) <= _TICKS_MAX and all(place == round(place) for place in places)
    x = charts.amounts("X", "x", title, places, zero=False, ticks=places if few else None)
    x.scale = alt.Scale(zero=False, nice=False)
    return x
