"""The jobs of models that are fitted in rounds: each goes through the data once, with what the last round found.

Points are the rows of an array, (n, d), or of some columns of a table. All sums are exact until they are read, so what a round
finds doesn't depend on where the data was cut; but for `sample_rows`, whose generator is seeded from its chunk.
"""

from __future__ import annotations

import hashlib
import heapq
import random
from collections.abc import Iterable, Sequence
from itertools import chain
from math import dist, exp, fsum, isfinite, log1p
from operator import mul, sub
from typing import Any

from pangea.compute.client.definition.job import Job, JobDefinition
from pangea.compute.data import DataError
from pangea.compute.data.exact import exact_sum, exact_sums
from pangea.compute.data.measures import check_numbers

#: How near two distances must be to be compared exactly.
_NEAR = 1e-9
#: 2**27 + 1: cuts a float into halves (T. J. Dekker).
_SPLITTER = 134217729.0
#: Names of columns, the target's last, and None in front for all others; or their numbers in an array; None: all of an array.
Columns = tuple[str | None, ...] | tuple[int, ...] | None


def sample_rows(count: int, seed: int, names: Columns) -> JobDefinition:
    """Draw rows, each with the same chance: those with the smallest random keys.

    Returns:
        A job whose result is JSON: [key, row] of each, in the order of the keys.
    """
    row_count, first_seed, row_names = count, seed, names

    @Job.define(name="sample_rows")
    def job() -> None:
        @Job.execute(input=_kind(names), output="json")
        def execute(chunk: Any) -> list[Any]:
            rows = points_of(chunk, row_names)
            digest = hashlib.sha256(repr(rows).encode()).hexdigest()
            draw = random.Random(f"{first_seed}:{digest}").random  # noqa: S311 (of a sample)
            return heapq.nsmallest(row_count, [[draw(), row] for row in rows])

        @Job.merge(associative=True, output="json")
        def merge(results: list[list[Any]]) -> list[Any]:
            return heapq.nsmallest(row_count, chain.from_iterable(results))

    return job


def kmeans_round(centroids: Sequence[Sequence[float]], names: Columns = None) -> JobDefinition:
    """Give each point to the nearest centroid (the first, of equally near ones), and add up each one's points.

    Returns:
        A job whose result is JSON: `counts` of points by centroid, `sums` of their coordinates and `inertia`, the sum of their
        squared distances; sums are lists of parts (`pangea.compute.data.exact`).
    """
    known, row_names = tuple(tuple(map(float, centroid)) for centroid in centroids), names

    @Job.define(name="kmeans_round", operation_type="kmeans")
    def job() -> None:
        @Job.execute(input=_kind(names), output="json")
        def execute(chunk: Any) -> dict[str, Any]:
            members: list[list[list[float]]] = [[] for _ in known]
            squared = []
            for row in points_of(chunk, row_names):
                index = nearest(row, known)
                members[index].append(row)
                squared.append(square_distance(row, known[index]))
            sums: list[Any] = [exact_parts(zip(*rows, strict=True)) if rows else [[] for _ in known[0]] for rows in members]
            return {"counts": list(map(len, members)), "sums": sums, "inertia": exact_sum(squared)}

        @Job.merge(associative=True, output="json")
        def merge(results: list[dict[str, Any]]) -> dict[str, Any]:
            return {
                "counts": [sum(counts) for counts in zip(*(result["counts"] for result in results), strict=True)],
                "sums": [
                    exact_parts(map(chain.from_iterable, zip(*sums, strict=True)))
                    for sums in zip(*(result["sums"] for result in results), strict=True)
                ],
                "inertia": exact_sum(chain.from_iterable(result["inertia"] for result in results)),
            }

    return job


def kmeans_labels(centroids: Sequence[Sequence[float]], names: Columns = None) -> JobDefinition:
    """Say for each point which centroid is the nearest.

    Returns:
        A job whose result is an array of int32, (n,).
    """
    known, row_names = tuple(tuple(map(float, centroid)) for centroid in centroids), names

    @Job.define(name="kmeans_labels", operation_type="kmeans")
    def job() -> None:
        @Job.execute(input=_kind(names), output="array")
        def execute(chunk: Any) -> Any:
            import numpy as np

            return np.array([nearest(row, known) for row in points_of(chunk, row_names)], "<i4")

    return job


def column_sums(names: Columns = None) -> JobDefinition:
    """Add up each column.

    Returns:
        A job whose result is JSON: `count` of rows, `sums` by column, each a list of parts, and the `columns`' names, of a table.
    """
    row_names = names

    @Job.define(name="column_sums", operation_type="regression")
    def job() -> None:
        @Job.execute(input=_kind(names), output="json")
        def execute(chunk: Any) -> dict[str, Any]:
            columns, names = columns_of(chunk, row_names), names_in(chunk, row_names)
            return {"count": len(columns[0]), "sums": exact_parts(columns), "columns": names}

        @Job.merge(associative=True, output="json")
        def merge(results: list[dict[str, Any]]) -> dict[str, Any]:
            names = results[0]["columns"]
            for result in results:
                if result["columns"] != names:
                    raise DataError(f"one part of the input has the columns {names}, another {result['columns']}")
            return {**add_up(results), "columns": names}

    return job


def product_sums(about: Sequence[float], names: Columns = None) -> JobDefinition:
    """Add up the products of each pair of columns, each taken about a point: sum((x - a) (y - b)), and the columns themselves.

    The products are exact, not only their sums: so nothing of the columns is lost, however nearly one follows from others.

    Args:
        about: a number for each column, such as its mean.
        names: the columns.

    Returns:
        A job whose result is JSON: `count` of rows, `sums` by pair: (0, 0), (0, 1), ... (1, 1), (1, 2), ..., where column 0 is
        1 in each row.
    """
    pivots, row_names = tuple(map(float, about)), names

    @Job.define(name="product_sums", operation_type="regression")
    def job() -> None:
        @Job.execute(input=_kind(names), output="json")
        def execute(chunk: Any) -> dict[str, Any]:
            columns = moved(columns_of(chunk, row_names), pivots)
            sums = [[float(len(columns[0]))], *exact_parts(columns)]
            sums += exact_products(columns)
            return {"count": len(columns[0]), "sums": sums}

        @Job.merge(associative=True, output="json")
        def merge(results: list[dict[str, Any]]) -> dict[str, Any]:
            return add_up(results)

    return job


def logistic_round(weights: Sequence[float], about: Sequence[float], names: Columns = None) -> JobDefinition:
    """Loss, gradient and Hessian of a logistic model, of the points whose last column, the target, is 0 or 1.

    Args:
        weights: the intercept, and one for each feature.
        about: what is taken from each feature.
        names: the columns.

    Returns:
        A job whose result is JSON: `count` of rows, `sums`: the loss (the negative log-likelihood), the gradient (1 + d), the
        Hessian's pairs (0, 0), (0, 1), ...
        Source: C. M. Bishop, Pattern Recognition and Machine Learning, 2006, 4.3.2 and 4.3.3.
    """
    known_weights, pivots, row_names = tuple(map(float, weights)), (*map(float, about), 0.0), names

    @Job.define(name="logistic_round", operation_type="regression")
    def job() -> None:
        @Job.execute(input=_kind(names), output="json")
        def execute(chunk: Any) -> dict[str, Any]:
            *features, targets = moved(columns_of(chunk, row_names), pivots)
            return {"count": len(targets), "sums": logistic_sums(features, targets, known_weights)}

        @Job.merge(associative=True, output="json")
        def merge(results: list[dict[str, Any]]) -> dict[str, Any]:
            return add_up(results)

    return job


def _kind(names: Columns) -> Any:
    return "table" if names is not None and isinstance(names[-1], str) else "array"


# What follows runs in the sandbox.


def points_of(chunk: Any, names: Columns) -> list[list[float]]:
    """The rows of an array or a table.

    Raises:
        DataError: a number is missing, NaN or infinite; or they are no numbers, or no rows.
    """
    return [list(row) for row in zip(*columns_of(chunk, names), strict=True)]


def columns_of(chunk: Any, names: Columns) -> list[list[float]]:
    """The columns of an array or a table, as floats.

    Raises:
        DataError: as of `points_of`.
    """
    if (wanted := names_in(chunk, names)) is not None:
        for name in wanted:
            check_numbers(chunk, name)
        found = [(repr(name), chunk[name].tolist()) for name in wanted]
    else:
        check_numbers(chunk, None)
        if chunk.ndim != 2:
            raise DataError(f"the array has shape {chunk.shape}: rows of numbers are needed, (n, d)")
        width = chunk.shape[1]
        if any(not -width <= int(index or 0) < width for index in names or ()):
            raise DataError(f"the array has {width} columns, and one of {names} is wanted")
        flat = chunk.reshape(-1).tolist()
        found = [(str(index), flat[int(index or 0) % width :: width]) for index in (range(width) if names is None else names)]
    return [_finite(name, values) for name, values in found]


def names_in(chunk: Any, names: Columns) -> list[str] | None:
    """The names of the columns that are wanted of a table; None for an array."""
    if names is None or not isinstance(names[-1], str):
        return None
    if names[0] is not None:
        return list(map(str, names))
    return [*(name for name in chunk.names if name != names[-1]), names[-1]]


def _finite(name: str, values: list[Any]) -> list[float]:
    for row, value in enumerate(values if None in values else ()):
        if value is None:
            raise DataError(f"column {name}, row {row:,} of this chunk: a value is missing; leave such rows out first")
    numbers = list(map(float, values))
    if not isfinite(sum(numbers)):
        for row, number in enumerate(numbers):
            if not isfinite(number):
                raise DataError(f"column {name}, row {row:,} of this chunk is {number}: leave such rows out first")
    return numbers


def exact_parts(lists: Iterable[Iterable[float]]) -> list[list[float]]:
    """The parts of each sum (the other way round than `exact_sums`, and without zeros)."""
    held = [list(values) for values in lists]
    levels = exact_sums(held)
    return [[part for part in parts if part] for parts in zip(*levels, strict=True)] if levels else [[] for _ in held]


def exact_products(columns: list[list[float]]) -> list[list[float]]:
    """The parts of the sum of the products of each pair of columns, (0, 0), (0, 1), ..., none of the products rounded.

    Source: T. J. Dekker, A Floating-Point Technique for Extending the Available Precision, 1971 (a product and its error).
    """
    highs = [[(split := value * _SPLITTER) - (split - value) for value in column] for column in columns]
    lows = [list(map(sub, column, high)) for column, high in zip(columns, highs, strict=True)]
    sums = []
    for one, column in enumerate(columns):
        for other in range(one, len(columns)):
            products = list(map(mul, column, columns[other]))
            errors = [
                ((high * other_high - product) + high * other_low + low * other_high) + low * other_low
                for product, high, low, other_high, other_low in zip(
                    products, highs[one], lows[one], highs[other], lows[other], strict=True
                )
            ]
            if not all(map(isfinite, errors)):
                raise DataError("the numbers are too large to be multiplied: scale them down")
            sums.append(exact_sum(chain(products, errors)))
    return sums


def add_up(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Add up counts and sums."""
    sums = zip(*(result["sums"] for result in results), strict=True)
    return {"count": sum(result["count"] for result in results), "sums": exact_parts(map(chain.from_iterable, sums))}


def nearest(row: Sequence[float], centroids: Sequence[Sequence[float]]) -> int:
    """Index of the nearest centroid; the first, of equally near ones."""
    distances = [dist(row, centroid) for centroid in centroids]
    limit = min(distances) * (1 + _NEAR)
    close = [index for index, distance in enumerate(distances) if distance <= limit]
    if len(close) == 1:
        return close[0]
    return min(close, key=lambda index: square_distance(row, centroids[index]))  # the last digit of `dist` is the machine's


def square_distance(row: Sequence[float], centroid: Sequence[float]) -> float:
    """Rounded once from the squares, which makes it the same everywhere."""
    differences = list(map(sub, row, centroid))
    return fsum(map(mul, differences, differences))


def moved(columns: list[list[float]], pivots: Sequence[float]) -> list[list[float]]:
    """The columns, less a number each."""
    return [[value - pivot for value in column] for column, pivot in zip(columns, pivots, strict=True)]


def logistic_sums(features: list[list[float]], targets: list[float], weights: Sequence[float]) -> list[list[float]]:
    """Loss, gradient and Hessian, as lists of parts."""
    if wrong := set(targets) - {0.0, 1.0}:
        raise DataError(f"the target is {min(wrong):g} in some row; it must be 0 or 1")
    scores = [weights[0]] * len(targets)
    for weight, column in zip(weights[1:], features, strict=True):
        scores = [score + weight * value for score, value in zip(scores, column, strict=True)]
    tails = [exp(-abs(score)) for score in scores]
    chances = [(1.0 if score >= 0 else tail) / (1.0 + tail) for score, tail in zip(scores, tails, strict=True)]
    losses = [max(score, 0.0) - score * target + log1p(tail) for score, target, tail in zip(scores, targets, tails, strict=True)]
    errors = list(map(sub, chances, targets))
    spreads = [tail / ((1.0 + tail) * (1.0 + tail)) for tail in tails]
    columns = [[1.0] * len(targets), *features]
    sums = [exact_sum(losses), *(exact_sum(map(mul, errors, column)) for column in columns)]
    for index, one in enumerate(columns):
        weighted = list(map(mul, spreads, one))
        sums += [exact_sum(map(mul, weighted, other)) for other in columns[index:]]
    return sums
