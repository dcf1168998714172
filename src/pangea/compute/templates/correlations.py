"""How columns go together: pandas' `corr` and `cov`, from sums that are exact, so that no cut of the data shows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from itertools import chain, combinations_with_replacement
from typing import Any

from pangea.compute.client.definition.job import Job, JobDefinition
from pangea.compute.client.submission.submit import submit_job
from pangea.compute.data import DataError, Table
from pangea.compute.data.exact import exact_sum
from pangea.compute.data.measures import check_numbers
from pangea.compute.model.libraries import need
from pangea.compute.templates.checks import columns, whole
from pangea.compute.templates.rounds import exact_parts, exact_products

_ROWS_MAX = 1 << 53


def corr(data: Any, names: str | Sequence[str] | None = None, *, min_periods: int = 1, **submit_options: Any) -> Any:
    """Correlate columns of numbers with each other (Pearson): of each pair the rows in which neither value is missing.

    Args:
        data: a table; anything `submit_job` takes for one.
        names: of the columns; None for all, which must then be numbers.
        min_periods: how many such rows a pair must have.
        submit_options: keywords of `submit_job`.

    Returns:
        A pandas frame with a row and a column for each of them; NaN where a pair has too few rows, where one of its columns
        doesn't vary, or holds an infinity.

    Raises:
        ManifestError: an option is out of range.
        JobFailedError: there is no such column, or it isn't of numbers.
    """
    least = max(1, whole("min_periods", min_periods, 0, _ROWS_MAX))
    return _square(data, names, submit_options, lambda sums: sums.correlation() if sums.count >= least else math.nan)


def cov(
    data: Any, names: str | Sequence[str] | None = None, *, min_periods: int = 1, ddof: int = 1, **submit_options: Any
) -> Any:
    """Find how columns of numbers vary together: of each pair the rows in which neither value is missing.

    Args:
        data: a table.
        names: of the columns; None for all, which must then be numbers.
        min_periods: how many such rows a pair must have.
        ddof: what is taken from their number before it divides.
        submit_options: keywords of `submit_job`.

    Returns:
        A pandas frame with a row and a column for each of them; NaN where a pair has too few rows, or holds an infinity.

    Raises:
        ManifestError, JobFailedError: as of `corr`.
    """
    least, freedom = max(1, whole("min_periods", min_periods, 0, _ROWS_MAX)), whole("ddof", ddof, 0, _ROWS_MAX)
    return _square(data, names, submit_options, lambda sums: sums.covariance(freedom) if sums.count >= least else math.nan)


class _Sums:
    """Of the rows of a pair of columns: how many, and the exact sums of both, of their squares and of their products."""

    def __init__(self, count: int, parts: Sequence[Sequence[Any]]) -> None:
        self.count = count
        self._is_finite = None not in chain.from_iterable(parts)
        self._sums = [sum(map(Fraction, each), Fraction(0)) for each in parts] if self._is_finite else [Fraction(0)] * len(parts)

    def _spread(self, product: int, one: int, other: int) -> Fraction:
        """Their number times the sum of products about the means."""
        return self.count * self._sums[product] - self._sums[one] * self._sums[other]

    def covariance(self, ddof: int) -> float:
        if not self._is_finite or self.count <= ddof:
            return math.nan
        return float(self._spread(3, 0, 1) / (self.count * (self.count - ddof)))

    def correlation(self) -> float:
        spread, spreads = self._spread(3, 0, 1), self._spread(2, 0, 0) * self._spread(4, 1, 1)
        if not self._is_finite or not spreads:
            return math.nan
        return math.copysign(math.sqrt(spread * spread / spreads), spread)


def _square(data: Any, names: Any, submit_options: dict[str, Any], figure: Any) -> Any:
    """The frame of a figure for each pair."""
    chosen = None if names is None else columns("names", names)
    found = submit_job(pair_sums(chosen), data, **submit_options).as_json()
    listed = found["columns"]
    made: dict[str, dict[str, float]] = {name: {} for name in listed}
    pairs = zip(combinations_with_replacement(listed, 2), found["counts"], found["sums"], strict=True)
    for (one, other), count, parts in pairs:
        made[one][other] = made[other][one] = figure(_Sums(count, parts))
    return need("pandas", "correlations").DataFrame(made, index=listed, columns=listed, dtype="float64")


def pair_sums(names: Sequence[str] | None) -> JobDefinition:
    """Add up what is known of each pair of columns: the first with itself, with the second, and so on.

    Returns:
        A job whose result is JSON: the `columns`, and by pair `counts` of rows and `sums`, each five lists of parts
        (`pangea.compute.data.exact`): of x, y, x², xy, y²; [null] where an infinity is among the numbers.
    """
    wanted = None if names is None else tuple(names)

    @Job.define(name="pair_sums", operation_type="regression", split_strategy="arrow_batches")
    def job() -> None:
        @Job.execute(input="table", output="json")
        def execute(table: Table) -> dict[str, Any]:
            return sums_of_pairs(table, table.names if wanted is None else wanted)

        @Job.merge(associative=True, output="json")
        def merge(results: list[dict[str, Any]]) -> dict[str, Any]:
            return sums_together(results)

    return job


# What follows runs in the sandbox.


def sums_of_pairs(table: Table, names: Sequence[str]) -> dict[str, Any]:
    """Counts and sums of each pair of columns."""
    held = []
    for name in names:
        check_numbers(table, name)
        held.append([None if value is None or value != value else float(value) for value in table[name].tolist()])
    counts, sums = [], []
    for one, other in combinations_with_replacement(held, 2):
        rows = [(x, y) for x, y in zip(one, other, strict=True) if x is not None and y is not None]
        counts.append(len(rows))
        sums.append(_parts_of([x for x, _ in rows], [y for _, y in rows]))
    return {"columns": list(names), "counts": counts, "sums": sums}


def _parts_of(xs: list[float], ys: list[float]) -> Sequence[Sequence[float | None]]:
    """The parts of five sums; None where an infinity is among the numbers, as JSON has none."""
    if any(map(math.isinf, chain(xs, ys))):
        return [[None]] * 5
    squares_x, products, squares_y = exact_products([xs, ys])
    return [*exact_parts([xs, ys]), squares_x, products, squares_y]


def sums_together(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Counts and sums of all parts of the input."""
    names = results[0]["columns"]
    for result in results:
        if result["columns"] != names:
            raise DataError(f"one part of the input has the columns {names}, another {result['columns']}")
    return {
        "columns": names,
        "counts": [sum(each) for each in zip(*(result["counts"] for result in results), strict=True)],
        "sums": [
            [_added(parts) for parts in zip(*pairs, strict=True)]
            for pairs in zip(*(result["sums"] for result in results), strict=True)
        ],
    }


def _added(lists: Sequence[list[float | None]]) -> list[float | None]:
    together = list(chain.from_iterable(lists))
    return [None] if None in together else [*exact_sum(part for part in together if part is not None)]
