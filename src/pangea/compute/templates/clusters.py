"""k-means clustering (Lloyd's algorithm), one job a round."""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from math import dist
from typing import Any

from pangea.compute.client.submission.submit import submit_job
from pangea.compute.data.exact import quotient
from pangea.compute.model.errors import InputError, ManifestError
from pangea.compute.model.report import Report
from pangea.compute.templates.checks import again, all_columns, columns, number, whole
from pangea.compute.templates.rounds import Columns, kmeans_labels, kmeans_round, nearest, sample_rows, square_distance

_CLUSTERS_MAX = 10_000
_ROUNDS_MAX = 10_000
#: From how many rows k-means++ chooses: all, if there are no more.
_SAMPLE_ROWS = 2_000

Point = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class KMeansModel:
    """Clusters. `numpy.asarray(model.centroids)` is an array of shape (k, d).

    Attributes:
        centroids: the clusters' centres.
        counts: of points by cluster.
        inertia: the sum of the squared distances of all points from their centroids, those of the last round.
        rounds: how many there were.
        has_converged: whether the last round moved no centroid by more than the tolerance.
        reports: of the rounds' jobs.
        columns: names of the coordinates, of a table.
    """

    centroids: tuple[Point, ...]
    counts: tuple[int, ...]
    inertia: float
    rounds: int
    has_converged: bool
    reports: tuple[Report, ...] = field(repr=False, default=())
    columns: tuple[str, ...] = ()

    def predict(self, rows: Sequence[Sequence[float]]) -> list[int]:
        """The cluster of each row, computed here; `labels` does it for large data."""
        return [nearest([float(value) for value in row], self.centroids) for row in rows]

    def labels(self, data: Any, **submit_options: Any) -> Any:
        """The cluster of each row of `data`, as an array of int32, computed in sandboxes.

        Args:
            data: what the model was made of, or the like.
            submit_options: keywords of `submit_job`.
        """
        return submit_job(kmeans_labels(self.centroids, self.columns or None), data, **submit_options).as_array()


def kmeans(
    data: Any,
    k: int,
    *,
    rounds: int = 100,
    seed: int = 0,
    init: Any = None,
    tolerance: float = 0.0,
    by: Sequence[str] | None = None,
    **submit_options: Any,
) -> KMeansModel:
    """Find `k` clusters among points.

    It starts from `init`, or from `k` points that k-means++ draws from all (or from 2,000 drawn at random), and goes on until no
    centroid moves any more. A cluster that loses all its points keeps its place.
    Source: S. P. Lloyd, Least Squares Quantization in PCM, 1982; D. Arthur, S. Vassilvitskii, k-means++, 2007.

    Args:
        data: an array of shape (n, d), or a table; anything `submit_job` takes that can be read several times.
        k: how many.
        rounds: at most.
        seed: of the draws; another one may find other clusters.
        init: the centroids to start from, of shape (k, d).
        tolerance: it ends when no centroid has moved farther, in the data's units; 0 for not at all.
        by: names of the coordinates, for a table; all columns of one in memory, if none are named.
        submit_options: keywords of `submit_job`, for every round.

    Returns:
        The model. It is the same on every machine, wherever the data was cut, if `init` is given or there are at most 2,000
        points.

    Raises:
        ManifestError: an option is out of range.
        InputError: there are fewer different points than clusters.
        JobFailedError: a number is missing, NaN or infinite.
    """
    whole("k", k, 1, _CLUSTERS_MAX)
    whole("rounds", rounds, 1, _ROUNDS_MAX)
    number("tolerance", tolerance, 0.0, float("inf"))
    again(data)
    by = all_columns(data) if by is None else columns("by", by)
    names: Columns = tuple(by) if by is not None else None
    reports: list[Report] = []
    centroids = _given(init, k) if init is not None else _plus_plus(data, k, seed, names, reports, submit_options)
    has_converged, done = False, 0
    while not has_converged and done < rounds:
        result = submit_job(kmeans_round(centroids, names), data, **submit_options)
        reports.append(result.report)
        found = result.as_json()
        before, centroids = centroids, _moved(centroids, found)
        has_converged = all(dist(old, new) <= tolerance for old, new in zip(before, centroids, strict=True))
        done += 1
    inertia = quotient(found["inertia"], 1)
    return KMeansModel(centroids, tuple(found["counts"]), inertia, done, has_converged, tuple(reports), tuple(by or ()))


def _moved(centroids: tuple[Point, ...], found: dict[str, Any]) -> tuple[Point, ...]:
    """The means of each cluster's points."""
    return tuple(
        tuple(quotient(parts, count) for parts in sums) if count else centroid
        for centroid, sums, count in zip(centroids, found["sums"], found["counts"], strict=True)
    )


def _given(init: Any, k: int) -> tuple[Point, ...]:
    points = tuple(tuple(map(float, point)) for point in init)
    if len(points) != k or len({len(point) for point in points}) != 1 or not points[0]:
        raise ManifestError(f"init has {len(points)} points; it must be {k} of equal length, one for each cluster", field="init")
    return points


def _plus_plus(
    data: Any, k: int, seed: int, names: Columns, reports: list[Report], submit_options: dict[str, Any]
) -> tuple[Point, ...]:
    """`k` different points: each drawn with a chance in proportion to its squared distance from those already there."""
    whole("seed", seed, -(10**18), 10**18)
    result = submit_job(sample_rows(max(_SAMPLE_ROWS, k), seed, names), data, **submit_options)
    reports.append(result.report)
    # Sorted, so that where the data was cut doesn't show if all of it is here.
    points = sorted(tuple(map(float, row)) for _, row in result.as_json())
    if len(set(points)) < k:
        raise InputError(f"there are {len(set(points))} different points for {k} clusters", hint="ask for fewer clusters")
    draw = random.Random(seed)  # noqa: S311 (of a sample)
    chosen = [points[draw.randrange(len(points))]]
    squared = [square_distance(point, chosen[0]) for point in points]
    while len(chosen) < k:
        chosen.append(_drawn(points, squared, draw.random(), chosen))
        squared = [min(old, square_distance(point, chosen[-1])) for old, point in zip(squared, points, strict=True)]
    return tuple(chosen)


def _drawn(points: list[Point], squared: list[float], share: float, chosen: list[Point]) -> Point:
    sums = list(accumulate(squared))
    index = bisect_right(sums, share * sums[-1])
    if index < len(points) and squared[index]:
        return points[index]
    # Rounding: beyond the last one, or all of the squares are too small for a float.
    return next(point for point in reversed(points) if point not in chosen)
