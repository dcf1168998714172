"""Fitted lines have as many right digits as a QR decomposition's, and more."""

import json
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pangea.compute.data import DataError
from pangea.compute.data.array import Array
from pangea.compute.data.exact import quotient
from pangea.compute.templates.least_squares import Fit, fit, quality
from pangea.compute.templates.rounds import column_sums, product_sums
from pangea.compute.templates.solving import SingularError
from tests.examples import share_of
from tests.merging import executed, merged


def fitted(points: Any, penalty: float = 0.0, pieces: int = 3) -> Fit:
    chunks = [Array.of(np.ascontiguousarray(piece)) for piece in np.array_split(points, pieces) if len(piece)]
    job = column_sums()
    sums = json.loads(merged(job, executed(job, chunks)))
    means = [quotient(parts, sums["count"]) for parts in sums["sums"]]
    job = product_sums(means)
    return fit(json.loads(merged(job, executed(job, chunks)))["sums"], means, penalty)


@given(st.integers(1, 5), st.integers(0, 1 << 30), st.floats(0, 10))
@settings(max_examples=share_of(40), deadline=None)
def test_a_line_is_the_one_that_numpy_fits(size: int, seed: int, penalty: float) -> None:
    random = np.random.default_rng(seed)
    x = random.normal(size=(30, size)) * 10.0 ** random.integers(-3, 4, size) + 5.0
    y = x @ random.normal(size=size) + random.normal(size=30)
    found = fitted(np.column_stack([x, y]), penalty)
    centred, target = x - x.mean(axis=0), y - y.mean()
    wanted = np.linalg.solve(centred.T @ centred + penalty * np.eye(size), centred.T @ target)
    np.testing.assert_allclose(found.coefficients, wanted, rtol=1e-7, atol=1e-12)
    lost = 1e-9 * max(1.0, float(np.abs(wanted) @ np.abs(x.mean(axis=0))))  # of large terms that cancel, NumPy keeps so little
    assert found.intercept == pytest.approx(y.mean() - wanted @ x.mean(axis=0), rel=1e-7, abs=lost)
    assert found.residual == pytest.approx(((target - centred @ wanted) ** 2).sum(), rel=1e-7)
    r2, errors = quality(found, 30, 0.0)
    if not penalty:
        spread = found.residual / (30 - size - 1) * np.diag(np.linalg.inv(centred.T @ centred))
        np.testing.assert_allclose(errors, np.sqrt(spread), rtol=1e-6)
    assert r2 == pytest.approx(1 - found.residual / (target**2).sum())


def test_a_nearly_dependent_feature_keeps_ten_digits() -> None:
    """The condition is 1e7: normal equations in floats keep two digits of it."""
    random = np.random.default_rng(1)
    base = random.normal(size=500)
    x = np.column_stack([base, base + 1e-7 * random.normal(size=500)])
    y = 3.0 * x[:, 0] - 2.0 * x[:, 1] + 1.0
    exact = np.array([[Fraction(float(value)) for value in row] for row in np.column_stack([np.ones(500), x])])
    wanted = _rational(exact, [Fraction(float(value)) for value in y])
    found = fitted(np.column_stack([x, y]))
    np.testing.assert_allclose([found.intercept, *found.coefficients], [float(each) for each in wanted], rtol=1e-10)


def _rational(x: Any, y: list[Fraction]) -> list[Fraction]:
    """The least squares, without any rounding."""
    size = x.shape[1]
    wide = [[sum(a * b for a, b in zip(x[:, i], x[:, j], strict=True)) for j in range(size)] for i in range(size)]
    for i in range(size):
        wide[i].append(sum(a * b for a, b in zip(x[:, i], y, strict=True)))
    for pivot in range(size):
        wide[pivot] = [each / wide[pivot][pivot] for each in wide[pivot]]
        for other in range(size):
            if other != pivot:
                wide[other] = [a - wide[other][pivot] * b for a, b in zip(wide[other], wide[pivot], strict=True)]
    return [row[size] for row in wide]


@pytest.mark.parametrize("third", ["sum", "constant", "same"])
def test_a_combination_of_others_is_named_by_its_place(third: str) -> None:
    random = np.random.default_rng(2)
    x = random.normal(100.0, 3.0, size=(200, 2))
    more = {"sum": x[:, 0] + x[:, 1] / 3, "constant": np.full(200, 0.1), "same": x[:, 1]}[third]
    with pytest.raises(SingularError) as caught:
        fitted(np.column_stack([x, more, random.normal(size=200)]))
    assert caught.value.index == 2
    assert fitted(np.column_stack([x, more, random.normal(size=200)]), penalty=1.0).residual > 0


def test_numbers_whose_products_no_float_holds_are_refused() -> None:
    with pytest.raises(DataError, match="too large to be multiplied"):
        product_sums([0.0, 0.0]).execute(Array.of([[1e200, 1.0], [2.0, 3.0]]))
