"""From an altair chart to a picture in the look of all pictures.

Data go in under short names of ours ("x", "y", "name"); what a column is called is only ever shown. So a name with dots,
brackets or quotes can't be taken for a path, and a stranger's text never becomes part of an expression.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

from pangea.compute.client.visualizer import theme
from pangea.compute.client.visualizer.drawings import Chart
from pangea.compute.client.visualizer.libraries import need
from pangea.compute.client.visualizer.picture import Picture

Rows: TypeAlias = Sequence[dict[str, Any]]

#: Keys that vega-tooltip doesn't show but acts on: it would load an "image" from where its text says.
_TOOLTIP_KEYS: Final = ("title", "image")


def chart(table: str = "rows") -> Any:
    """An altair chart of one of the tables that `picture_of` is given.

    The rows themselves join at the end: altair would check each of them against its schema, which takes longer than drawing.
    """
    altair = need("altair")
    return altair.Chart(altair.NamedData(table))


def tooltip(field: str, label: str, form: str | None = None) -> Any:
    """A line of what the pointer shows.

    Args:
        field: our name of the column.
        label: what it is called there.
        form: a d3-format for numbers, such as ",.4~g"; without one, the column is text.
    """
    shown = f"{label}\u200b" if label.lower() in _TOOLTIP_KEYS else label
    altair = need("altair")
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
    spec: dict[str, Any] = drawn.to_dict()
    spec["datasets"] = {name: list(rows) for name, rows in tables.items()}
    spec["config"] = theme.vega_config()  # not what somebody's altair theme says
    spec["description"] = alt or title or kind
    if title or notes:
        spec["title"] = {"text": title, "subtitle": list(notes)}
    return Picture(Chart(spec), kind=kind, title=title, alt=alt, notes=tuple(notes))


def axis_title(name: str, unit: str | None) -> str:
    """A name with its unit, as an axis shows it."""
    return f"{name} ({unit})" if unit and name else name or unit or ""
