"""Points: one number against another, coloured by words or by a third number."""

from __future__ import annotations

from typing import Any, Final

import altair as alt
import numpy as np

from pangea.compute.model.errors import PictureError
from pangea.compute.model.units import counted
from pangea.compute.pictures.values import charts, groups, theme, turning
from pangea.compute.pictures.values.clocks import Clock
from pangea.compute.pictures.values.frames import Table
from pangea.compute.pictures.values.options import PictureOptions
from pangea.compute.pictures.values.picture import Picture
from pangea.compute.pictures.values.shapes import Numbers
from pangea.compute.pictures.values.turning import Shape
from pangea.compute.pictures.values.wording import axis_format, label_format, shown

#: More points hide each other, and take long to draw.
POINTS_MAX: Final = 3_000
_SEED: Final = 0


def draw(shape: Shape, options: PictureOptions) -> Picture:
    """Draw points.

    Raises:
        PictureError: there are no two columns of numbers.
    """
    table = turning.as_table(shape, "scatter")
    x, y = _columns(table, options)
    places, notes = _places(table, x, y)
    color = table.need(options.color, "number", "text") if options.color is not None else None
    rows, channels, more = _coloured(table, places, color)
    clock = table.moments(x)[0] if table.sort_of(x) == "date" else Clock()
    notes += [clock.note] if clock.note else []
    x_title, y_title = shown(options.x_label or clock.title(x)), charts.axis_title(options.y_label or y, options.unit)
    _fill(rows, table, (x, y), places)
    title = options.heading
    words = f"{title or 'Points'}: {y_title} against {x_title}, {counted(len(rows), 'point')}"
    chart = _chart(rows, table.sort_of(x), x_title, y_title, color).encode(**channels)
    return charts.picture_of(chart, {"rows": rows}, kind="scatter", title=title, alt=words, notes=[*notes, *more])


def sampled(usable: Any, points_max: int = POINTS_MAX) -> tuple[Any, list[str]]:
    """Indices of at most `points_max` points, chosen by chance from a fixed seed, and a note about it."""
    if len(usable) <= points_max:
        return usable, []
    chosen = np.sort(np.random.default_rng(_SEED).choice(usable, points_max, replace=False))
    return chosen, [f"{points_max:,} of {counted(len(usable), 'point')}, chosen by chance"]


def _columns(table: Table, options: PictureOptions) -> tuple[str, str]:
    if options.y is not None and not isinstance(options.y, str):
        raise PictureError(f"points show one column against another, and y names {len(options.y)}", hint="name one")
    x = table.need(options.x, "number", "date") if options.x is not None else None
    y = table.need(options.y, "number") if options.y is not None else None
    spare = [name for name in table.of("number") if name not in (x, y, options.color)]
    x = x if x is not None else next(iter(spare), None)
    y = y if y is not None else next((name for name in spare if name != x), None)
    if x is None or y is None:
        raise PictureError(
            f"points need two columns of numbers, and the table has {len(table.of('number'))}",
            hint=f"columns of numbers: {', '.join(map(shown, table.of('number'))) or 'none'}",
        )
    return x, y


def _values(table: Table, name: str) -> Numbers:
    return table.moments(name)[1] if table.sort_of(name) == "date" else table.numbers(name)


def _places(table: Table, x: str, y: str) -> tuple[Any, list[str]]:
    usable = np.flatnonzero(turning.drawable(_values(table, x)) & turning.drawable(_values(table, y)))
    missing = len(table) - len(usable)
    if not len(usable):
        raise PictureError(
            f"no row has finite numbers in both {shown(x)!r} and {shown(y)!r}", hint="look for what made them NaN or infinite"
        )
    chosen, notes = sampled(usable)
    left_out = [f"{counted(missing, 'row')} of {len(table):,} left out: missing, or not finite"] if missing else []
    return chosen, [*left_out, *notes]


def _coloured(table: Table, places: Any, color: str | None) -> tuple[list[dict[str, Any]], dict[str, Any], list[str]]:
    """A row for each point with its colour in it, the channels that colour them, and notes."""
    if color is None:
        return [{} for _ in places], {}, []
    title = shown(color)
    if table.sort_of(color) == "number":
        values = table.numbers(color)[places]
        form = axis_format([value for value in values if np.isfinite(value)])
        channel = charts.shades("amount", title, alt.Scale(scheme=theme.AMOUNTS), form=form)
        return [{"amount": float(value) if np.isfinite(value) else None} for value in values], {"color": channel}, []
    words = [text or "(none)" for text in Table(table.arrow.take(places)).texts(color)]
    found, counts = np.unique(np.array(words), return_counts=True)
    names, notes = groups.kept([(str(word), int(count)) for word, count in zip(found, counts, strict=True)])
    known = groups.named(names, notes)
    rows = [{"group": word if word in names else groups.OTHERS} for word in words]
    shapes = groups.marks(alt.Shape, theme.SHAPES, known, title)
    return rows, {"color": groups.color(known, title), "shape": shapes}, notes


def _fill(rows: list[dict[str, Any]], table: Table, columns: tuple[str, str], places: Any) -> None:
    """Put into each point where it stands, and what it is called if there is a column of names."""
    x, y = (_values(table, name)[places] for name in columns)
    named = next(iter(table.of("text")), None)
    names = Table(table.arrow.take(places)).texts(named) if named is not None else None
    at = table.moments(columns[0])[0].texts(x) if table.sort_of(columns[0]) == "date" else None
    for index, row in enumerate(rows):
        row |= {"x": float(x[index]), "y": float(y[index])}
        if names is not None:
            row["name"] = names[index] or ""
        if at is not None:
            row["at"] = at[index]


def _chart(rows: list[dict[str, Any]], sort: str, x_title: str, y_title: str, color: str | None) -> Any:
    xs, ys = ([row[name] for row in rows] for name in ("x", "y"))
    dates = sort == "date"
    x = charts.moments("X", "x", x_title) if dates else charts.amounts("X", "x", x_title, xs, zero=False)
    tooltips = [charts.tooltip("name", "name")] if "name" in rows[0] else []
    tooltips += [charts.tooltip("group", shown(color or ""))] if "group" in rows[0] else []
    tooltips += [charts.tooltip("amount", shown(color or ""), ",.4~r")] if "amount" in rows[0] else []
    tooltips += [
        charts.tooltip("at", x_title) if dates else charts.tooltip("x", x_title, label_format(xs)),
        charts.tooltip("y", y_title, label_format(ys)),
    ]
    return (
        charts.chart()
        .mark_point(aria=False)
        .encode(x=x, y=charts.amounts("Y", "y", y_title, ys, zero=False), tooltip=tooltips)
        .properties(width=theme.WIDTH, height=theme.HEIGHT)
    )
