"""Ready jobs for the distribution of numbers: how many fall into each bin, and between what they lie."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from pangea.compute.client.job import Job, JobDefinition
from pangea.compute.client.submit import submit_job
from pangea.compute.client.templates.checks import again, number, whole
from pangea.compute.model.errors import InputError, ManifestError

_BINS_MAX = 1_000_000


def histogram(
    bins: int | Sequence[float] = 10, *, between: tuple[float, float] | None = None, column: str | None = None
) -> JobDefinition:
    """Count numbers by bins, as `numpy.histogram` does: each bin has its left edge, the last one both.

    Args:
        bins: how many of equal width, or the edges, rising.
        between: lowest and highest edge; needed if `bins` is a number. `extent` finds it; `histogram_of` does both.
        column: the table's column to look at; None for an array, all of whose items count.

    Returns:
        A job whose result is JSON: `bin_edges`, `counts` (one less), `below` and `above` (finite or not), and `missing` (nulls
        and NaN).

    Raises:
        ManifestError: an option is out of range.
    """
    edges = _edges(bins, between)
    name = _column_name(column)

    @Job.define(name="histogram")
    def job() -> None:
        @Job.execute(input="table" if column is not None else "array", output="json")
        def execute(chunk: Any) -> dict[str, Any]:
            from bisect import bisect_right
            from functools import partial

            values, missing = numbers_of(chunk, name)
            counts = [0] * (len(edges) + 1)
            for index in map(partial(bisect_right, edges), values):
                counts[index] += 1
            at_end = values.count(edges[-1])  # the last bin has its right edge, too
            counts[-2] += at_end
            counts[-1] -= at_end
            return {"bin_edges": edges, "counts": counts[1:-1], "below": counts[0], "above": counts[-1], "missing": missing}

        @Job.merge(associative=True, output="json")
        def merge(results: list[dict[str, Any]]) -> dict[str, Any]:
            total = {name: sum(result[name] for result in results) for name in ("below", "above", "missing")}
            counts = [sum(column) for column in zip(*(result["counts"] for result in results), strict=True)]
            return {"bin_edges": edges, "counts": counts, **total}

    return job


def extent(*, column: str | None = None) -> JobDefinition:
    """Find the lowest and the highest finite number, and count.

    Args:
        column: the table's column to look at; None for an array.

    Returns:
        A job whose result is JSON: `count` of the finite ones, `low` and `high` (null if there are none).

    Raises:
        ManifestError: `column` is no name.
    """
    name = _column_name(column)

    @Job.define(name="extent")
    def job() -> None:
        @Job.execute(input="table" if column is not None else "array", output="json")
        def execute(chunk: Any) -> dict[str, Any]:
            from math import isfinite

            values = list(filter(isfinite, numbers_of(chunk, name)[0]))
            return {"count": len(values), "low": min(values, default=None), "high": max(values, default=None)}

        @Job.merge(associative=True, output="json")
        def merge(results: list[dict[str, Any]]) -> dict[str, Any]:
            found = [result for result in results if result["count"]]
            return {
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
    whole("bins", bins, 1, _BINS_MAX)
    again(data)
    found = submit_job(extent(column=column), data, **submit_options).as_json()
    if not found["count"]:
        raise InputError("there is no finite number to count", hint="give edges to histogram() to count what there is")
    low, high = float(found["low"]), float(found["high"])
    low, high = (low - 0.5, high + 0.5) if low == high else (low, high)
    result = submit_job(histogram(bins, between=(low, high), column=column), data, **submit_options).as_json()
    return dict(result)


def numbers_of(chunk: Any, column: str | None) -> tuple[list[float], int]:
    """The numbers in an array, or in a table's column, and how many are missing: null or NaN.

    Raises:
        KeyError: there is no such column.
        TypeError: it doesn't hold numbers.
    """
    values = chunk[column].tolist() if column is not None else chunk.data.tolist()
    if any(isinstance(value, str | bytes) for value in values[:1]):
        raise TypeError(f"{column or 'the array'} holds {type(values[0]).__name__}, not numbers")
    kept = [value for value in values if value is not None and value == value]
    return kept, len(values) - len(kept)


def _column_name(column: Any) -> str | None:
    if column is not None and not isinstance(column, str):
        raise ManifestError(f"column is {column!r:.80}; it must be a column's name", field="column")
    return column


def _edges(bins: int | Sequence[float], given: tuple[float, float] | None) -> list[float]:
    """The bins' edges, rising.

    Source: `numpy.linspace`: start + index * step, and the end as it is given.
    """
    if not hasattr(bins, "__index__"):
        edges = [number("bins", edge, -math.inf, math.inf) for edge in bins]
        if len(edges) < 2 or any(left >= right for left, right in pairwise(edges)):
            raise ManifestError(
                f"bins has {len(edges)} edges that don't rise; give two or more, each above the last", field="bins"
            )
        return edges
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
    step = (high - low) / count
    return [*(index * step + low for index in range(count)), high]
