"""An amount for each name: rows of one name put together by Arrow, the largest picked out, the rest counted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from pangea.compute.model.errors import PictureError
from pangea.compute.model.units import counted
from pangea.compute.pictures.values import groups, turning
from pangea.compute.pictures.values.frames import Table
from pangea.compute.pictures.values.options import Aggregate, PictureOptions
from pangea.compute.pictures.values.wording import are_years, distinct, numeral, shown

#: Bars that can be read at a glance.
TOP: Final = 20
#: Bars in a row of numbers or dates, whose names may be left out here and there.
TOP_ORDERED: Final = 60
_WORDS: Final = {"sum": "sums", "mean": "means", "min": "least values", "max": "greatest values", "count": "counts"}


@dataclass(frozen=True, slots=True)
class Totals:
    """What bars show.

    Attributes:
        rows: name, value, and group if there are groups, in the order of the bars.
        names: of the bars.
        groups: of the parts of each bar.
        is_ordered: whether the names are numbers or dates, in their order.
        is_merged: whether several rows share a name.
        notes: what was left out or put together.
    """

    rows: list[dict[str, Any]]
    names: list[str]
    groups: list[str]
    is_ordered: bool
    is_merged: bool
    notes: list[str]


def totals(table: Table, name: str, value: str | None, how: Aggregate, options: PictureOptions) -> Totals:
    """Put together the rows of `table` by their names.

    Args:
        table: with the columns that follow.
        name: the column of names.
        value: the column of amounts; None to count rows.
        how: amounts of one name become one.
        options: color, top and sort.

    Raises:
        PictureError: no row has all that is needed.
    """
    is_ordered = table.sort_of(name) in ("number", "date") and options.sort is not True
    plain, notes = _plain(table, name, value, options.color)
    ranked = _ranked(plain, how, by_place=options.sort is False, by_name=is_ordered)
    top = options.top or (TOP_ORDERED if is_ordered else TOP)
    if len(ranked) > top:
        which = "first" if is_ordered or options.sort is False else "largest"
        notes.append(f"the {which} {top} are shown, and {len(ranked) - top:,} more are not")
    is_merged = value is not None and len(ranked) < len(plain) and how != "count"
    first = ranked.slice(0, top)["name"]
    names = _texts(table, name, first)
    parts = plain.filter(pc.is_in(plain["name"], first.combine_chunks()))
    parts, known, more = _grouped(parts) if options.color is not None else (parts, [], [])
    rows = _rows(parts, how, dict(zip(first.to_pylist(), names, strict=True)))
    if value is not None and how != "count" and len(rows) < len(parts):
        notes.append(f"{_WORDS[how]} over {counted(len(parts), 'row')}")
    return Totals(rows, names, known, is_ordered and options.sort is not False, is_merged, [*notes, *more])


def _plain(table: Table, name: str, value: str | None, color: str | None) -> tuple[Any, list[str]]:
    """Name, value and group of each row that has all of them, and notes about the others."""
    columns: dict[str, Any] = {"name": _keys(table, name)}
    columns["value"] = pa.array(table.numbers(value)) if value is not None else pa.repeat(1.0, len(table))
    if color is not None:
        columns["group"] = table.labels(table.need(color))
    plain = pa.table(columns)
    usable = pc.less_equal(pc.abs(plain["value"]), turning.LARGEST)
    for column in columns:
        usable = pc.and_(usable, pc.is_valid(plain[column]))
    kept = plain.filter(usable)
    missing = len(plain) - len(kept)
    if not len(kept):
        what = f"column {shown(value or name)!r} has {counted(missing, 'value')}"
        raise PictureError(f"{what}, and none can be drawn: all are missing or not finite", hint="look for what made them so")
    return kept, [f"{counted(missing, 'row')} of {len(plain):,} left out: something is missing, or not finite"] if missing else []


def _keys(table: Table, name: str) -> Any:
    """A column of names by which rows are put together: as they are, so that numbers and dates keep their order."""
    sort = table.sort_of(name)
    if sort == "number":
        whole = table.arrow[name] if table.is_whole(name) else None
        return whole if whole is not None else pa.array(table.numbers(name), from_pandas=True)
    return pa.array(table.moments(name)[1], from_pandas=True) if sort == "date" else table.labels(name)


def _ranked(plain: Any, how: Aggregate, *, by_place: bool, by_name: bool) -> Any:
    """Each name once, in the order of the bars."""
    if by_place:
        places = plain.append_column("place", pa.array(range(len(plain))))
        return places.group_by(["name"]).aggregate([("place", "min")]).sort_by("place_min")
    merged = plain.group_by(["name"]).aggregate([("value", how)])
    by_size = [(f"value_{how}", "descending"), ("name", "ascending")]
    return merged.sort_by("name" if by_name else by_size)


def _texts(table: Table, name: str, keys: Any) -> list[str]:
    sort = table.sort_of(name)
    if sort == "date":
        return distinct(table.moments(name)[0].texts(keys.to_numpy()))
    known = keys.to_pylist()
    if sort == "number":
        return distinct(str(int(key)) if are_years(known) else numeral(key) for key in known)
    return distinct(known)


def _grouped(parts: Any) -> tuple[Any, list[str], list[str]]:
    """The groups of a bar under the names that are shown, those names, and notes about small ones put together."""
    sizes = parts.group_by(["group"]).aggregate([("value", "count")]).to_pylist()
    keys = [row["group"] for row in sizes]
    words = distinct(keys)
    names, notes = groups.kept([(word, row["value_count"]) for word, row in zip(words, sizes, strict=True)])
    shown_as = pa.array([word if word in names else groups.OTHERS for word in words], pa.large_string())
    column = shown_as.take(pc.index_in(parts["group"], pa.array(keys, pa.large_string())))
    return parts.set_column(parts.column_names.index("group"), "group", column), groups.named(names, notes), notes


def _rows(parts: Any, how: Aggregate, name_of: dict[Any, str]) -> list[dict[str, Any]]:
    keys = [column for column in parts.column_names if column != "value"]
    found = parts.group_by(keys).aggregate([("value", how)]).to_pylist()
    rows = [
        {"name": name_of[row["name"]], "value": float(row[f"value_{how}"]), **({"group": row["group"]} if "group" in row else {})}
        for row in found
    ]
    place_of = {name: place for place, name in enumerate(name_of.values())}
    return sorted(rows, key=lambda row: (place_of[row["name"]], row.get("group", "")))
