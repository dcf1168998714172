"""Ready jobs for the distribution of numbers: how many fall into each bin, and between what they lie."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

from pangea.compute.client.definition.job import Job, JobDefinition
from pangea.compute.client.submission.submit import submit_job
from pangea.compute.data import DataError
from pangea.compute.data.measures import (
    INSTANT,
    NANOSECONDS,
    NUMBER,
    SPAN,
    Scale,
    instant_of_text,
    instant_text,
    nanoseconds_of,
    numbers_of,
)
from pangea.compute.model.errors import InputError, ManifestError
from pangea.compute.templates.checks import again, number, whole

_BINS_MAX = 1_000_000


def histogram(
    bins: int | Iterable[Any] = 10, *, between: tuple[float, float] | None = None, column: str | None = None
) -> JobDefinition:
    """Count numbers by bins, as `numpy.histogram` does: each bin has its left edge, the last one both.

    Args:
        bins: how many of equal width, or the edges, rising: numbers; dates or times for what holds such; of spans of time
            timedeltas, or numbers of the unit that these are stored in.
        between: lowest and highest edge; needed if `bins` is a number. `extent` finds it; `histogram_of` does both.
        column: the table's column to look at; None for an array, all of whose items count.

    Returns:
        A job whose result is JSON: `bin_edges` (of dates and times as text, of timedeltas in seconds), `counts` (one less),
        `below` and `above` (finite or not), and `missing` (nulls, NaN and NaT). It fails on text, complex numbers and records.

    Raises:
        ManifestError: an option is out of range.
    """
    given_edges: tuple[Any, ...] = tuple(edges_of(bins, between))
    name = _column_name(column)

    @Job.define(name="histogram")
    def job() -> None:
        @Job.execute(input="table" if column is not None else "array", output="json")
        def execute(chunk: Any) -> dict[str, Any]:
            return counted(chunk, name, Edges(*given_edges))

        @Job.merge(associative=True, output="json")
        def merge(results: list[dict[str, Any]]) -> dict[str, Any]:
            total = {name: sum(result[name] for result in results) for name in ("below", "above", "missing")}
            counts = [sum(column) for column in zip(*(result["counts"] for result in results), strict=True)]
            return {"bin_edges": results[0]["bin_edges"], "counts": counts, **total}

    return job


def extent(*, column: str | None = None) -> JobDefinition:
    """Find the lowest and the highest finite number, date or span of time, and count.

    Args:
        column: the table's column to look at; None for an array.

    Returns:
        A job whose result is JSON: `count` of those that are finite and not missing, `low` and `high` (null if there are none):
        numbers; text in ISO 8601 for dates and times, those with a zone in UTC; of spans of time numbers of `unit`, which is
        there, too. It fails on text, complex numbers and records.

    Raises:
        ManifestError: `column` is no name.
    """
    name = _column_name(column)

    @Job.define(name="extent")
    def job() -> None:
        @Job.execute(input="table" if column is not None else "array", output="json")
        def execute(chunk: Any) -> dict[str, Any]:
            return extent_in(chunk, name)

        @Job.merge(associative=True, output="json")
        def merge(results: list[dict[str, Any]]) -> dict[str, Any]:
            found = [result for result in results if result["count"]]
            return {
                **results[0],
                "count": sum(result["count"] for result in found),
                "low": min((result["low"] for result in found), default=None),
                "high": max((result["high"] for result in found), default=None),
            }

    return job


def histogram_of(data: Any, bins: int = 10, *, column: str | None = None, **submit_options: Any) -> dict[str, Any]:
    """Count the numbers in `data` by bins between the lowest and the highest: two rounds, `extent` and `histogram`.

    Args:
        data: what `submit_job` takes, but nothing that can be read only once.
        bins: how many.
        column: the table's column to look at; None for an array.
        submit_options: keywords of `submit_job`.

    Returns:
        What `histogram` returns. Of equal numbers, one unit wide around them, as NumPy's; infinities are above or below.

    Raises:
        ManifestError: an option is out of range.
        InputError: there is no finite number.
    """
    count = whole("bins", bins, 1, _BINS_MAX)
    again(data)
    found = submit_job(extent(column=column), data, **submit_options).as_json()
    if not found["count"]:
        raise InputError("there is no finite number to count", hint="give edges to histogram() to count what there is")
    edges = _instants_between(found["low"], found["high"], count) if isinstance(found["low"], str) else _between(found, count)
    result = submit_job(histogram(edges, column=column), data, **submit_options).as_json()
    return dict(result)


def _between(found: dict[str, Any], count: int) -> list[float]:
    low, high = float(found["low"]), float(found["high"])
    low, high = (low - 0.5, high + 0.5) if low == high else (low, high)
    return _even(low, high, count)


def _instants_between(low: str, high: str, count: int) -> Edges:
    """Edges on whole nanoseconds; around equal instants, a second wide."""
    (first, has_zone), (last, _) = instant_of_text(low), instant_of_text(high)
    first, last = (first - 500_000_000, last + 500_000_000) if first == last else (first, last)
    return Edges(INSTANT, tuple(first + (last - first) * index // count for index in range(count + 1)), has_zone)


# What follows runs in the sandbox, too.


class Edges(NamedTuple):
    """The edges of bins.

    Attributes:
        kind: NUMBER, INSTANT or SPAN.
        values: rising: numbers, or nanoseconds (since 1970).
        has_zone: of instants, whether they are in UTC.
    """

    kind: str
    values: tuple[Any, ...]
    has_zone: bool = False


def extent_in(chunk: Any, column: str | None) -> dict[str, Any]:
    """Count, lowest and highest of a chunk."""
    values, _, scale = numbers_of(chunk, column)
    values = list(filter(math.isfinite, values))
    ends: list[Any] = [min(values), max(values)] if values else [None, None]
    if scale.kind == INSTANT and values:
        ends = [instant_text(value, scale) for value in ends]
    unit = {"unit": scale.unit} if scale.kind == SPAN else {}
    return {"count": len(values), "low": ends[0], "high": ends[1], **unit}


def counted(chunk: Any, column: str | None, edges: Edges) -> dict[str, Any]:
    """The numbers of a chunk by bins.

    Raises:
        DataError: the edges are of another kind than the numbers, or one has a zone and the other none.
    """
    values, missing, scale = numbers_of(chunk, column)
    if edges.kind == scale.kind == NUMBER:
        values = list(map(float, values))  # as NumPy compares them: the ends of whole numbers beyond 2**53 are edges
    places, has_end = _places(edges, scale, "the array" if column is None else f"column {column!r}")
    counts = [0] * (len(places) + 1)
    for index in map(partial(bisect_right, places), values):
        counts[index] += 1
    at_end = values.count(places[-1]) if has_end else 0  # the last bin has its right edge, too
    counts[-2] += at_end
    counts[-1] -= at_end
    return {
        "bin_edges": _shown_edges(edges),
        "counts": counts[1:-1],
        "below": counts[0],
        "above": counts[-1],
        "missing": missing,
    }


def _places(edges: Edges, scale: Scale, what: str) -> tuple[list[Any], bool]:
    """The edges in the unit of the numbers, rounded up if need be; and whether the last one wasn't rounded."""
    if edges.kind == scale.kind == INSTANT and edges.has_zone != scale.has_zone:
        with_zone, without = ("the edges", what) if edges.has_zone else (what, "the edges")
        raise DataError(f"{with_zone} with a time zone, {without} without one: give both one, or neither")
    if edges.kind == scale.kind or (edges.kind == NUMBER and scale.kind == SPAN):
        if edges.kind == NUMBER:
            return list(edges.values), True
        return [-(-edge // scale.nanoseconds) for edge in edges.values], not edges.values[-1] % scale.nanoseconds
    remedy = {NUMBER: "numbers", INSTANT: "dates or times", SPAN: "timedeltas"}
    raise DataError(f"{what} holds {remedy[scale.kind]}, and the edges of the bins are {remedy[edges.kind]}")


def _shown_edges(edges: Edges) -> list[Any]:
    if edges.kind == NUMBER:
        return list(edges.values)
    if edges.kind == SPAN:
        return [edge / NANOSECONDS["s"] for edge in edges.values]
    units = ("D", "s", "ms", "us", "ns")
    unit = next(NANOSECONDS[unit] for unit in units if not any(edge % NANOSECONDS[unit] for edge in edges.values))
    return [instant_text(edge // unit, Scale(INSTANT, unit, edges.has_zone)) for edge in edges.values]


def _column_name(column: Any) -> str | None:
    if column is not None and not isinstance(column, str):
        raise ManifestError(f"column is {column!r:.80}; it must be a column's name", field="column")
    return column


def edges_of(bins: Any, given: Any) -> Edges:
    """The bins' edges, rising."""
    if isinstance(bins, Edges):
        return bins
    if isinstance(bins, Iterable):
        return _given(list(bins))
    count = whole("bins", bins, 1, _BINS_MAX)
    if given is None:
        raise ManifestError(
            f"bins is {count} and between isn't given: how wide is a bin?",
            hint="give between=(low, high), or use histogram_of, which looks first",
            field="between",
        )
    low, high = (number("range", end, -math.inf, math.inf) for end in given)
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ManifestError(f"between is ({low:g}, {high:g}); it must rise, between finite numbers", field="between")
    return Edges(NUMBER, tuple(_even(low, high, count)))


def _given(bins: list[Any]) -> Edges:
    times = [nanoseconds_of(edge) for edge in bins]
    if None in times:
        edges = Edges(NUMBER, tuple(number("bins", edge, -math.inf, math.inf) for edge in bins))
    else:
        kinds = {time[1] for time in times if time is not None}
        if len(kinds) > 1:
            raise ManifestError("bins mixes times that have a zone, times that have none, or spans of time", field="bins")
        has_zone = kinds.pop() if kinds else None
        values = tuple(time[0] for time in times if time is not None)
        edges = Edges(SPAN if has_zone is None else INSTANT, values, bool(has_zone))
    if len(edges.values) < 2 or any(left >= right for left, right in pairwise(edges.values)):
        raise ManifestError(f"bins has {len(bins)} edges that don't rise; give two or more, each above the last", field="bins")
    return edges


def _even(low: float, high: float, count: int) -> list[float]:
    """Edges of bins of equal width.

    Source: `numpy.linspace`: start + index * step, and the end as it is given.
    """
    step = (high - low) / count
    return [*(index * step + low for index in range(count)), high]
