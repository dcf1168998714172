"""Bars: an amount for each name, the largest first; numbers and dates stand side by side, in their own order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import altair as alt

from pangea.compute.model.errors import PictureError
from pangea.compute.pictures.values import charts, frames, groups, theme, turning
from pangea.compute.pictures.values.frames import Table
from pangea.compute.pictures.values.logarithms import Logarithm, scale_of
from pangea.compute.pictures.values.options import Aggregate, PictureOptions
from pangea.compute.pictures.values.picture import Picture
from pangea.compute.pictures.values.shapes import Series
from pangea.compute.pictures.values.totals import Totals, totals
from pangea.compute.pictures.values.turning import Shape
from pangea.compute.pictures.values.wording import figure, label_format, shown

_STEP: Final = 24
#: Columns that have their figure on top; in more they would touch.
_WRITTEN_MAX: Final = 15
#: Room for the figures beside bars, as a share of what the axis covers.
_ROOM: Final = 0.12
_ADDS_UP: Final = ("sum", "count")


def draw(shape: Shape, options: PictureOptions) -> Picture:
    """Draw bars.

    Raises:
        PictureError: there is nothing to make bars of.
    """
    table, name, value = _columns(shape, options)
    how: Aggregate = options.aggregate or ("count" if value is None else "sum")
    amounts = totals(table, name, value, how, options)
    measured = options.y_label or _measured(value, how, amounts.is_merged)
    titles = (shown(options.x_label if options.x_label is not None else name), charts.axis_title(measured, options.unit))
    title = options.heading
    largest = max(amounts.rows, key=lambda row: row["value"])
    of_group = f", {largest['group']}," if amounts.groups else ""
    most = f"largest is {largest['name']}{of_group} with {figure(largest['value'])}"
    words = f"{title or 'Bars'}: {titles[1]} by {titles[0]}; {most}"
    log, notes = scale_of(_values(amounts), options, from_zero=True)
    if log is not None and amounts.groups and how in _ADDS_UP:
        raise PictureError(
            "parts of a bar add up, and lengths on a logarithmic scale don't", hint="leave out color, or scale='log'"
        )
    form = _upright if amounts.is_ordered else _lying
    chart = form(amounts, titles, shown(options.color or ""), adds_up=how in _ADDS_UP, log=log)
    return charts.picture_of(chart, {"rows": amounts.rows}, kind="bar", title=title, alt=words, notes=[*amounts.notes, *notes])


def _columns(shape: Shape, options: PictureOptions) -> tuple[Table, str, str | None]:
    """The table, its column of names and its column of amounts; None to count rows."""
    if options.y is not None and not isinstance(options.y, str):
        raise PictureError(f"bars show one column, and y names {len(options.y)}", hint="name one, or draw a 'line'")
    if isinstance(shape, Series):
        return _labelled(shape, options.labels)
    table = turning.as_table(shape, "bar")
    numbers = table.of("number")
    if len(table) == 1 and len(numbers) > 1 and options.x is None and options.y is None:
        return frames.of_columns({"column": numbers, "value": [table.numbers(each)[0] for each in numbers]}), "column", "value"
    if options.x is None and not numbers:
        raise frames.no_numbers(table)
    if options.x is None and options.y is None and len(numbers) == 1 and not table.of("text", "date"):
        return _labelled(turning.as_series(table, numbers[0], "bar"), options.labels)
    name = table.need(options.x) if options.x is not None else [*table.of("text"), *table.of("date"), *numbers][0]
    if options.y is not None:
        return table, name, table.need(options.y, "number")
    spare = [each for each in numbers if each != name]
    return table, name, spare[0] if spare and options.aggregate != "count" else None


def _labelled(series: Series, labels: Sequence[str] | None) -> tuple[Table, str, str]:
    if labels is None:
        return turning.as_table(series, "bar"), "index", series.name
    if len(labels) != len(series.values):
        raise PictureError(f"there are {len(labels):,} labels for {len(series.values):,} values", hint="give one for each value")
    return frames.of_columns({"name": [str(label) for label in labels], series.name: series.values}), "name", series.name


def _measured(value: str | None, how: Aggregate, is_merged: bool) -> str:
    if value is None or how == "count":
        return "number of rows"
    return f"{how} of {value}" if is_merged else value


def _lying(amounts: Totals, titles: tuple[str, str], color_title: str, *, adds_up: bool, log: Logarithm | None) -> Any:
    """Bars that begin at the left, with room for long names."""
    x = _amount_axis("X", amounts, titles[1], log)
    base = charts.chart().encode(y=charts.names("Y", "name", titles[0], amounts.names, all_shown=True))
    bars = base.mark_bar().encode(x=x, tooltip=_tooltips(amounts, titles, color_title))
    if amounts.groups:
        bars = _coloured(bars, amounts, color_title, None if adds_up else "yOffset")
        return bars.properties(width=theme.WIDTH, height=alt.Step(_STEP if adds_up else 12))
    text = alt.Text(field="value", type="quantitative", format=label_format(_values(amounts)))
    beside = [
        _signed(base, below=below).mark_text(align=side, dx=shift, aria=False).encode(x=x, text=text)
        for below, side, shift in ((False, "left", 4), (True, "right", -4))
        if below in _signs(amounts)
    ]
    return alt.layer(bars, *beside).properties(width=theme.WIDTH, height=alt.Step(_STEP))


def _upright(amounts: Totals, titles: tuple[str, str], color_title: str, *, adds_up: bool, log: Logarithm | None) -> Any:
    """Bars side by side, as numbers and dates go from left to right."""
    y = _amount_axis("Y", amounts, titles[1], log)
    tilted = max(map(len, amounts.names)) * len(amounts.names) > 80
    base = charts.chart().encode(x=charts.names("X", "name", titles[0], amounts.names, tilted=tilted))
    bars = base.mark_bar().encode(y=y, tooltip=_tooltips(amounts, titles, color_title))
    width = max(theme.WIDTH // 2, min(theme.WIDTH, 46 * len(amounts.names)))
    if amounts.groups:
        return _coloured(bars, amounts, color_title, None if adds_up else "xOffset").properties(width=width, height=theme.HEIGHT)
    if len(amounts.names) > _WRITTEN_MAX:
        return bars.properties(width=width, height=theme.HEIGHT)
    text = alt.Text(field="value", type="quantitative", format=label_format(_values(amounts)))
    above = [
        _signed(base, below=below).mark_text(dy=shift, aria=False).encode(y=y, text=text)
        for below, shift in ((False, -8), (True, 8))
        if below in _signs(amounts)
    ]
    return alt.layer(bars, *above).properties(width=width, height=theme.HEIGHT)


def _signs(amounts: Totals) -> set[bool]:
    """Whether there are bars that go below zero (True), and such that don't (False): figures stand beyond the end of a bar."""
    return {value < 0 for value in _values(amounts)}


def _signed(base: Any, *, below: bool) -> Any:
    return base.transform_filter("datum.value < 0" if below else "datum.value >= 0")


def _values(amounts: Totals) -> list[float]:
    return [row["value"] for row in amounts.rows]


def _amount_axis(channel: str, amounts: Totals, title: str, log: Logarithm | None) -> Any:
    """The axis of amounts, with zero on it, and room for the figures beside bars that go below zero."""
    values = _values(amounts)
    axis = charts.amounts(channel, "value", title, values, log=log)
    if log is not None:
        return axis
    low, high = min(0.0, *values), max(0.0, *values)
    if low < 0 and not amounts.groups:
        room = _ROOM * (high - low)
        axis.scale = alt.Scale(domain=[low - room, high + room if high > 0 else 0.0], nice=False, zero=True)
    return axis


def _coloured(bars: Any, amounts: Totals, color_title: str, offset: str | None) -> Any:
    """Parts of a whole are stacked; what can't be added stands side by side."""
    coloured = bars.encode(color=groups.color(amounts.groups, color_title))
    if offset is None:
        return coloured
    channel = (alt.XOffset if offset == "xOffset" else alt.YOffset)(field="group", type="nominal", sort=amounts.groups)
    return coloured.encode(**{offset: channel})


def _tooltips(amounts: Totals, titles: tuple[str, str], color_title: str) -> list[Any]:
    group = [charts.tooltip("group", color_title or "group")] if amounts.groups else []
    amount = charts.tooltip("value", titles[1] or "value", label_format(_values(amounts)))
    return [charts.tooltip("name", titles[0] or "name"), *group, amount]
