"""What models are fitted with, round by round, against scikit-learn and NumPy; natively, in any grouping of merges."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from pangea.compute.data import DataError, Table
from pangea.compute.data.array import Array
from pangea.compute.data.exact import quotient
from pangea.compute.jobs import JobDefinition
from pangea.compute.templates.clusters import _moved
from pangea.compute.templates.rounds import (
    column_sums,
    kmeans_labels,
    kmeans_round,
    logistic_round,
    product_sums,
    sample_rows,
)
from pangea.compute.templates.solving import SingularError, inverse_diagonal, pairs_to_matrix, solve
from tests.examples import share_of
from tests.merging import cut_at, executed, merged, merged_in_groups

CUTS = st.lists(st.integers(0, 60), max_size=5)
POINTS = npst.arrays(
    np.float64, st.tuples(st.integers(1, 20), st.integers(2, 4)), elements=st.floats(-1e3, 1e3) | st.sampled_from([0.1, 0.5])
)


def found_by(job: JobDefinition, points: Any, cuts: list[int], groups: list[int]) -> Any:
    results = executed(job, [Array.of(np.ascontiguousarray(piece)) for piece in cut_at(points, cuts) if len(piece)])
    whole = merged(job, results)
    assert merged_in_groups(job, results, groups) == whole
    uncut = merged(job, executed(job, [Array.of(points)]))
    assert uncut == whole, "where the data was cut shows"
    return json.loads(whole)


@given(POINTS, st.integers(1, 4), CUTS, CUTS)
def test_a_round_of_k_means_is_numpys(points: Any, k: int, cuts: list[int], groups: list[int]) -> None:
    centroids = points[np.arange(k) % len(points)].tolist()
    found = found_by(kmeans_round(centroids), points, cuts, groups)
    squared = ((points[:, None, :] - np.array(centroids)[None]) ** 2).sum(axis=2)
    labels = [next(i for i, each in enumerate(row) if each <= min(row)) for row in squared]
    near = np.array(kmeans_labels(centroids).execute(Array.of(points)).tolist())
    ties = np.sort(squared, axis=1)[:, :2] if k > 1 else np.array([[0.0, 1.0]] * len(points))
    is_clear = np.isclose(ties[:, 0], ties[:, -1], rtol=1e-9) == 0
    assert (near == labels)[is_clear].all()
    np.testing.assert_allclose(squared[np.arange(len(points)), near], squared.min(axis=1), rtol=1e-9, atol=1e-12)
    assert found["counts"] == [int((near == index).sum()) for index in range(k)]
    assert math.isclose(quotient(found["inertia"], 1), squared.min(axis=1).sum(), rel_tol=1e-9, abs_tol=1e-12)
    for index, centroid in enumerate(_moved(tuple(map(tuple, centroids)), found)):
        expected = points[near == index].mean(axis=0) if (near == index).any() else centroids[index]
        np.testing.assert_allclose(centroid, expected, rtol=1e-12, atol=1e-9)


def test_of_equally_near_centroids_the_first_is_the_nearest() -> None:
    labels = kmeans_labels([[5.0], [0.0], [0.0], [0.4]]).execute(Array.of([[0.0], [0.2], [-1.0], [0.3]])).tolist()
    assert labels == [1, 1, 1, 3]


@given(POINTS, CUTS, CUTS)
def test_sums_and_products_are_numpys(points: Any, cuts: list[int], groups: list[int]) -> None:
    sums = found_by(column_sums(), points, cuts, groups)
    assert sums["count"] == len(points)
    means = [quotient(parts, len(points)) for parts in sums["sums"]]
    np.testing.assert_allclose(means, points.mean(axis=0), rtol=1e-12, atol=1e-9)
    width = points.shape[1]
    products = found_by(product_sums(means), points, cuts, groups)
    matrix = pairs_to_matrix([quotient(parts, 1) for parts in products["sums"]], width + 1)
    centred = np.column_stack([np.ones(len(points)), points - np.array(means)])
    np.testing.assert_allclose(matrix, centred.T @ centred, rtol=1e-9, atol=1e-6)


@given(POINTS, CUTS, CUTS)
def test_loss_gradient_and_hessian_are_numpys(points: Any, cuts: list[int], groups: list[int]) -> None:
    points = points / 1e3
    points[:, -1] = points[:, -1] > 0
    width = points.shape[1]
    weights, about = [0.3, *np.linspace(-2, 2, width - 1)], [0.1] * (width - 1)
    found = found_by(logistic_round(weights, about), points, cuts, groups)
    loss, *rest = [quotient(parts, 1) for parts in found["sums"]]
    x = np.column_stack([np.ones(len(points)), points[:, :-1] - about])
    chance = 1 / (1 + np.exp(-x @ weights))
    y = points[:, -1]
    assert math.isclose(loss, -(y * np.log(chance) + (1 - y) * np.log(1 - chance)).sum(), rel_tol=1e-9)
    np.testing.assert_allclose(rest[:width], x.T @ (chance - y), rtol=1e-9, atol=1e-9)
    hessian = (x * (chance * (1 - chance))[:, None]).T @ x
    np.testing.assert_allclose(pairs_to_matrix(rest[width:], width), hessian, rtol=1e-9, atol=1e-9)


def test_scores_of_any_size_have_a_loss() -> None:
    job = logistic_round([0.0, 1.0], [0.0])
    found = json.loads(merged(job, executed(job, [Array.of([[1e6, 0.0], [-1e6, 1.0], [1e6, 1.0], [-1e6, 0.0]])])))
    assert quotient(found["sums"][0], 1) == 2e6


@given(POINTS, CUTS, CUTS)
def test_a_sample_is_of_rows_each_at_most_once(points: Any, cuts: list[int], groups: list[int]) -> None:
    job = sample_rows(5, 1, None)
    results = executed(job, [Array.of(np.ascontiguousarray(piece)) for piece in cut_at(points, cuts) if len(piece)])
    whole = merged(job, results)
    assert merged_in_groups(job, results, groups) == whole
    drawn = [tuple(row) for _, row in json.loads(whole)]
    left = list(map(tuple, points.tolist()))
    assert len(drawn) == min(5, len(left))
    for row in drawn:
        left.remove(row)


def test_each_row_has_the_same_chance_to_be_in_a_sample() -> None:
    rows = Array.of([[float(index)] for index in range(20)])
    counts = np.zeros(20)
    for seed in range(400):
        for _, (index,) in sample_rows(5, seed, None).execute(rows):
            counts[int(index)] += 1
    assert abs(counts - 100).max() < 45  # five standard deviations


@given(st.integers(1, 6), st.integers(0, 1 << 30))
@settings(max_examples=share_of(50))
def test_equations_are_solved_as_numpy_does(size: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    root = random.normal(size=(size + 3, size)) * 10.0 ** random.integers(-4, 5, size)
    matrix, right = root.T @ root, random.normal(size=size)
    np.testing.assert_allclose(solve(matrix.tolist(), right.tolist()), np.linalg.solve(matrix, right), rtol=1e-6)
    np.testing.assert_allclose(inverse_diagonal(matrix.tolist()), np.diag(np.linalg.inv(matrix)), rtol=1e-6)


@pytest.mark.parametrize("matrix", [[[1.0, 2.0], [2.0, 4.0]], [[0.0, 0.0], [0.0, 1.0]], [[1.0, 3.0], [3.0, 1.0]]])
def test_equations_without_one_solution_say_where(matrix: list[list[float]]) -> None:
    with pytest.raises(SingularError) as caught:
        solve(matrix, [1.0, 1.0])
    assert caught.value.index in (0, 1)
    assert inverse_diagonal(matrix) == [math.inf, math.inf]


@pytest.mark.parametrize(
    ("chunk", "names", "message"),
    [
        (Array.of([[1.0, math.nan]]), None, "column 1, row 0 of this chunk is nan"),
        (Array.of([[1.0], [math.inf]]), None, "column 0, row 1 of this chunk is inf"),
        (Array.of([1.0, 2.0]), None, r"the array has shape \(2,\): rows of numbers are needed"),
        (Array.of([[1.0, 2.0]]), (0, 2), "the array has 2 columns"),
        (Table.of({"x": [1.0, None]}), ("x",), "column 'x', row 1 of this chunk: a value is missing"),
        (Table.of({"x": ["a"]}), ("x",), "column 'x' is of type string, not of numbers"),
    ],
)
def test_data_that_can_not_be_fitted_is_named(chunk: Any, names: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        column_sums(names).execute(chunk)


def test_a_target_that_is_neither_is_named() -> None:
    with pytest.raises(DataError, match=r"the target is 0\.5"):
        logistic_round([0.0, 1.0], [0.0]).execute(Array.of([[1.0, 0.5]]))
