"""Which figures `group_by` makes of columns of which type, and those of spans of time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import Any

from pangea.compute.data import DataError
from pangea.compute.model.errors import ManifestError
from pangea.compute.templates.checks import choice, columns
from pangea.compute.templates.levels import listed

AGGREGATES = ("count", "sum", "mean", "min", "max", "var", "std", "first", "last", "any", "all")
#: What pandas makes of groups besides, and what makes it here.
_ELSEWHERE = {
    "median": "templates.median(data, column, by=...)",
    "quantile": "templates.quantile(data, column, q, by=...)",
    "nunique": "templates.nunique(data, column, by=...)",
    "size": "size='rows' beside the aggregates",
}
Wanted = tuple[tuple[str, tuple[str, ...]], ...]
#: The figures that are made of a sum.
NEED_SUMS = frozenset({"sum", "mean", "var", "std"})
#: The figures that are one of the values.
VALUES = ("min", "max", "first", "last")
_MADE_OF = {"std": "var", "any": "trues", "all": "trues"}


def wanted_aggregates(aggregates: Any) -> Wanted:
    """What is to be made of which columns.

    Raises:
        ManifestError: an aggregate is unknown, or the columns are no dict.
    """
    if not isinstance(aggregates, Mapping):
        raise ManifestError(
            f"aggregates is a {type(aggregates).__name__}; it must be a dict such as {{'price': ['mean', 'var']}}",
            field="aggregates",
        )
    found = []
    for name, each in aggregates.items():
        columns("aggregates", name)
        whats = [each] if isinstance(each, str) else list(each)
        found.append((name, tuple(_known_aggregate(name, what) for what in whats)))
    return tuple(found)


def _known_aggregate(name: str, what: Any) -> str:
    if isinstance(what, str) and what in _ELSEWHERE:
        hint = f"of groups: {_ELSEWHERE[what]}"
        raise ManifestError(f"the aggregate of {name!r} is {what!r}, which isn't made here", hint=hint, field="aggregates")
    return str(choice(f"the aggregate of {name!r}", what, AGGREGATES))


def check_type(name: str, kind: str, whats: tuple[str, ...]) -> None:
    """Refuse figures that a column doesn't have.

    Raises:
        DataError: names the column, its type and the figure.
    """
    if kind.startswith(("list<", "struct<")) and not {"min", "max"}.isdisjoint(whats):
        raise DataError(f"column {name!r} of type {kind} has no min and max: lists and structs have no order")
    of_numbers = [what for what in whats if what in NEED_SUMS or what in ("any", "all")]
    wrong = next((what for what in of_numbers if not (is_span(kind) and what in ("sum", "mean"))), None)
    if wrong is not None and not kind.startswith(("int", "uint", "float", "bool")):
        raise DataError(f"column {name!r} of type {kind} has no {wrong}: numbers have; count, first and last are for all types")


def is_span(kind: str) -> bool:
    """Whether a column's type is one of spans of time."""
    return kind.startswith("duration")


def known_type(kind: str, whats: tuple[str, ...]) -> tuple[str, ...]:
    """The figures to know of a column: for a deviation the variance; for spans the least, too, which says their unit.

    Of truth values, and numbers as such, it is how many are true (`trues`).
    """
    known = dict.fromkeys(_MADE_OF.get(what, what) for what in whats)
    return (*known, "min") if is_span(kind) and "min" not in known else (*known,)


def roots(variances: Any) -> Any:
    """The deviations of variances, in an array or a list with nulls."""
    if isinstance(variances, list):
        return [None if each is None else sqrt(each) for each in variances]
    import numpy as np

    return np.sqrt(variances)


def spans(levels: Sequence[Any], counts: Sequence[int] | None) -> list[int | None]:
    """Sums of spans of time, in their unit; with `counts` their means, cut off there.

    Raises:
        DataError: a sum is beyond 64 bits.
    """
    sums = [sum(map(int, each)) for each in zip(*map(listed, levels), strict=True)]
    if counts is None and any(abs(total) >= 1 << 63 for total in sums):
        raise DataError("the sum of a group's spans of time is beyond 64 bits: cast the column to a coarser unit")
    if counts is None:
        return list(sums)
    # toward zero, as pandas does: // would go down
    return [
        None if not count else abs(total) // count * (-1 if total < 0 else 1)
        for total, count in zip(sums, listed(counts), strict=True)
    ]
