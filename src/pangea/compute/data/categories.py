"""Categories: values that have an order of their own, listed beside the column, which holds the values themselves.

The list is in the metadata of the column's field, under `KEY`, as JSON. So a column of categories is plain text or numbers to
whoever knows of no categories, in any language; nothing is dictionary-encoded.

What has an order goes by the list: sorting, grouping, `<`, least and greatest. What asks for equality goes by the values.
"""

from __future__ import annotations

import functools
import json
import operator
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from pangea.compute.data.comparing import NUMBER, Comparison, Side, flags
from pangea.compute.data.errors import DataError, shown

KEY = b"pangea.categories"
_REMEDY = "plain() has the values without categories"


class Categories(NamedTuple):
    """The categories of a column.

    Attributes:
        values: as the column stores them (dates and times as whole numbers), each once, in their order.
        is_ordered: whether one is less than another, rather than only listed before it.
    """

    values: tuple[Any, ...]
    is_ordered: bool

    def described(self) -> bytes:
        """What is in a field's metadata.

        Raises:
            ValueError: values that JSON doesn't hold exactly.
        """
        if not set(map(type, self.values)) <= {str, int, float, bool} or any(value != value for value in self.values):
            raise ValueError("categories are text, whole numbers, floats, truth values, dates or times")
        return json.dumps({"ordered": self.is_ordered, "values": self.values}, ensure_ascii=False, separators=(",", ":")).encode()


@functools.lru_cache(maxsize=64)
def parsed(described: bytes) -> Categories:
    """What `Categories.described` gave.

    Raises:
        DataError: it is something else.
    """
    try:
        held = json.loads(described)
        found = Categories(tuple(held["values"]), held["ordered"] is True)
        found.described()
    except (ValueError, KeyError, TypeError) as exc:
        raise DataError(f"corrupt metadata of categories: {shown(described)}") from exc
    if len({*found.values}) < len(found.values):
        raise DataError(f"corrupt metadata of categories: one is there twice in {shown(described)}")
    return found


def known_of(metadata: Iterable[tuple[bytes, bytes]] | None) -> Categories | None:
    """The categories that a field's metadata lists; None if it lists none."""
    described = dict(metadata or ()).get(KEY)
    return None if described is None else parsed(described)


def metadata_with(metadata: Iterable[tuple[bytes, bytes]] | None, known: Categories | None) -> tuple[tuple[bytes, bytes], ...]:
    """A field's metadata with these categories in place of any others."""
    kept = tuple(pair for pair in metadata or () if pair[0] != KEY)
    return kept if known is None else (*kept, (KEY, known.described()))


def places(column: Any, values: Sequence[Any] | None = None) -> list[Any]:
    """Where each value stands among the column's categories, None where it is missing.

    Args:
        column: it has categories.
        values: others than its own, as stored.

    Raises:
        DataError: one is no category.
    """
    place: dict[Any, Any] = {value: number for number, value in enumerate(column.known_categories.values)}
    place[None] = None
    held = column.stored() if values is None else values
    try:
        return [place[value] for value in held]
    except (KeyError, TypeError):
        wrong = next(value for value in held if value not in place)
        raise DataError(
            f"column {column.name!r}: {shown(wrong)} is none of its {len(place) - 1:,} categories; {_REMEDY}"
        ) from None


def compared(column: Any, other: Any, compare: Comparison) -> list[bool]:
    """Compare by order, value by value.

    Args:
        column: it has categories.
        other: a column of the same ones, one of them, or a list of as many.
        compare: one of <, <=, > and >=.

    Raises:
        TypeError: they have no order, or the other is something else.
    """
    check_ordered(column, "no value of it is less than another")
    if hasattr(other, "vectors"):
        if getattr(other, "known_categories", None) != column.known_categories:
            raise TypeError(f"column {column.name!r} is compared with {other.name!r}, which has other categories: {_REMEDY}")
        theirs: Any = places(other)
    else:
        held = other.tolist() if hasattr(other, "tolist") else other
        found = places(column, column.made_of(held if isinstance(held, list) else [held], column.type).stored())
        theirs = found if isinstance(held, list) else found[0]
    side = Side(places(column), NUMBER, f"column {column.name!r}")
    return flags(side, Side(theirs, NUMBER, "the other") if isinstance(theirs, list) else theirs, compare)


def check_ordered(column: Any, what: str) -> None:
    """Refuse categories without an order.

    Raises:
        TypeError: says what they haven't got.
    """
    known = column.known_categories
    if known is not None and not known.is_ordered:
        raise TypeError(
            f"column {column.name!r} has categories without an order: {what}; with_categories(…, ordered=True), or {_REMEDY}"
        )


def kept_by(column: Any, made: Any) -> Any:
    """The column `made` of other values with the categories of `column`, if that has any.

    Raises:
        DataError: a value is no category.
    """
    known = column.known_categories
    if known is None:
        return made
    places(column, made.stored())
    return made.described_by(known)


def extreme(column: Any, *, is_least: bool) -> Any:
    """The first or the last category that is there, as a Python value; None if none is."""
    check_ordered(column, "none is the least or the greatest")
    found = [place for place in places(column) if place is not None]
    if not found:
        return None
    best = min(found) if is_least else max(found)
    return column[places(column).index(best)]


ORDER: frozenset[Comparison] = frozenset({operator.lt, operator.le, operator.gt, operator.ge})
