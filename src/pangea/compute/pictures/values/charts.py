"""From an altair chart to a picture in the look of all pictures.

Data go in under short names of ours ("x", "y", "name"); what a column is called is only ever shown. So a name with dots,
brackets or quotes can't be taken for a path, and a stranger's text never becomes part of an expression.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from pangea.compute.model.libraries import need
from pangea.compute.pictures.values import theme, wording
from pangea.compute.pictures.values.drawings import Chart
from pangea.compute.pictures.values.picture import Picture

if TYPE_CHECKING:
    from pangea.compute.pictures.values.logarithms import Logarithm
    from pangea.compute.pictures.values.shapes import Numbers

Rows: TypeAlias = Sequence[dict[str, Any]]

#: Keys that vega-tooltip doesn't show but acts on: it would load an "image" from where its text says.
_TOOLTIP_KEYS: Final = ("title", "image")


def chart(table: str = "rows") -> Any:
    """An altair chart of one of the tables that `picture_of` is given.

    The rows themselves join at the end: altair would check each of them against its schema, which takes longer than drawing.
    """
    altair = need("altair", "a picture")
    return altair.Chart(altair.NamedData(table))


def amounts(
    channel: str,
    field: str,
    title: str,
    values: Sequence[float],
    *,
    zero: bool = True,
    ticks: Sequence[float] | None = None,
    log: Logarithm | None = None,
) -> Any:
    """An axis of numbers.

    Args:
        channel: "X" or "Y".
        field: our name of the column.
        title: name and unit.
        values: what is shown on it, for the way its figures are written.
        zero: whether it must reach down to zero, as for bars.
        ticks: whole numbers at which figures stand; Vega chooses, if nothing is said.
        log: the scale, if it is no even one.
    """
    altair = need("altair", "a picture")
    if log is not None:
        axis = altair.Axis(title=title, format=wording.label_format(log.ticks()), values=log.ticks())
        scale = log.scale(
            domain=[min(0.0, log.low) if log.even else log.low, max(0.0, log.high) if log.even else log.high], nice=False
        )
        return getattr(altair, channel)(field=field, type="quantitative", axis=axis, scale=scale, stack=None)
    whole = "d" if not zero and wording.are_years(values) else ",d" if ticks is not None else None
    axis = altair.Axis(
        title=title,
        format=whole or wording.axis_format(values) or altair.Undefined,
        tickMinStep=1 if all(value == round(value) for value in values) else altair.Undefined,
        values=list(ticks) if ticks is not None else altair.Undefined,
    )
    return getattr(altair, channel)(field=field, type="quantitative", axis=axis, scale=altair.Scale(zero=zero, nice=True))


def moments(channel: str, field: str, title: str) -> Any:
    """An axis of dates: milliseconds since 1970, shown as the clock shows them wherever the picture is opened."""
    altair = need("altair", "a picture")
    return getattr(altair, channel)(field=field, type="temporal", axis=altair.Axis(title=title), scale=altair.Scale(type="utc"))


def moment_texts(milliseconds: Numbers) -> list[str]:
    """Dates in words, as short as they tell them apart: years where all are New Year, days where all are midnight."""
    import numpy as np

    dates: Any = np.asarray(milliseconds).astype("int64").astype("datetime64[ms]")
    unit: Any = next((unit for unit in ("Y", "M", "D", "m", "s") if (dates == dates.astype(f"datetime64[{unit}]")).all()), "ms")
    return [str(text).replace("T", " ") for text in np.datetime_as_string(dates, unit=unit)]


def names(channel: str, field: str, title: str, order: Sequence[str], *, tilted: bool = False, all_shown: bool = False) -> Any:
    """An axis of names, in their order.

    Args:
        channel: "X" or "Y".
        field: our name of the column.
        title: what the names are.
        order: all of them.
        tilted: whether they are too long to stand side by side.
        all_shown: whether none may be left out where they are close.
    """
    altair = need("altair", "a picture")
    axis = altair.Axis(
        title=title, ticks=False, domain=False, grid=False, labelAngle=-45 if tilted else 0,
        labelOverlap=False if all_shown else "greedy",
    )  # fmt: skip
    return getattr(altair, channel)(field=field, type="nominal", sort=list(order), axis=axis)


def written(field: str) -> Any:
    """The channel of text that stands in a column as it is to be shown."""
    return need("altair", "a picture").Text(field=field, type="nominal")


def shades(
    field: str, title: str, scale: Any, *, length: float = 200, form: str | None = None, ticks: Mapping[float, str] | None = None
) -> Any:
    """The channel that colours by amounts.

    Args:
        field: our name of the column.
        title: what is measured, and in what unit.
        scale: of altair's: scheme and domain.
        length: of its legend, in pixels.
        form: a d3-format, or None for Vega's own.
        ticks: the figures, by where they stand; Vega chooses, if nothing is said.
    """
    altair = need("altair", "a picture")
    said = {f"{place:.6f}": text for place, text in (ticks or {}).items()}
    legend = altair.Legend(
        title=title,
        gradientLength=min(200, max(80, length)),
        format=form or altair.Undefined,
        values=list(ticks) if ticks else altair.Undefined,
        labelExpr=f"{json.dumps(said)}[format(datum.value, '.6f')]" if ticks else altair.Undefined,
    )
    return altair.Color(field=field, type="quantitative", legend=legend, scale=scale)


def tooltip(field: str, label: str, form: str | None = None) -> Any:
    """A line of what the pointer shows.

    Args:
        field: our name of the column.
        label: what it is called there.
        form: a d3-format for numbers, such as ",.4~g"; without one, the column is text.
    """
    shown = f"{label}\u200b" if label.lower() in _TOOLTIP_KEYS else label
    altair = need("altair", "a picture")
    if form is None:
        return altair.Tooltip(field=field, type="nominal", title=shown)
    return altair.Tooltip(field=field, type="quantitative", format=form, title=shown)


def picture_of(
    drawn: Any, tables: Mapping[str, Rows], *, kind: str, title: str = "", alt: str = "", notes: Sequence[str] = ()
) -> Picture:
    """Make a picture of an altair chart.

    Args:
        drawn: the chart, of any sort, also layered or side by side.
        tables: the rows of each table that it names; numbers must be finite or None.
        kind: what sort of picture.
        title: stands above it.
        alt: what it shows, in words.
        notes: stand below the title: what was left out or put together.
    """
    # Checking against the schema is two fifths of drawing, and for our tests.
    spec: dict[str, Any] = drawn.to_dict(validate=False)
    spec["datasets"] = {name: list(rows) for name, rows in tables.items()}
    spec["config"] = theme.vega_config()  # not what somebody's altair theme says
    title = wording.shown(title, wording.TITLE_LETTERS_MAX)
    words = wording.shown(alt or title or kind, 400)
    spec["description"] = words
    if title or notes:
        spec["title"] = _heading(title, notes)
    return Picture(Chart(spec), kind=kind, title=title, alt=words, notes=tuple(notes))


def _heading(title: str, notes: Sequence[str]) -> dict[str, Any]:
    """Title and notes; Vega shows a subtitle only below a title, so that notes alone are one, in a subtitle's letters."""
    lines = [line for note in notes for line in wording.wrapped(wording.sentence(note), wording.NOTE_LINE)]
    if title:
        return {"text": wording.wrapped(title, wording.TITLE_LINE), "subtitle": lines}
    return {"text": lines, "fontSize": theme.SMALL, "fontWeight": "normal", "color": theme.INK_QUIET}


def axis_title(name: str, unit: str | None) -> str:
    """A name with its unit, as an axis shows it: "delay (minutes)"."""
    text, measure = wording.shown(name), wording.shown(unit or "", 30)
    return f"{text} ({measure})" if measure and text else text or measure
