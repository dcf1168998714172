"""Exact sums: the same bytes in any order and grouping, and right to the last bit."""

from __future__ import annotations

import itertools
import math
import statistics
from fractions import Fraction
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pangea.compute.data.errors import DataError
from pangea.compute.data.exact import (
    exact_integers,
    exact_sum,
    exact_sums,
    pivot_of,
    quotient,
    repeated_squares,
    squares,
    squares_about,
    variance,
)

FINITE = st.floats(allow_nan=False, allow_infinity=False)
LARGEST = math.nextafter(math.inf, 0.0)
# Each list has what cancels, what is tiny and what is huge: the sums that rounding would spoil.
LISTS = st.lists(
    st.one_of(FINITE, st.sampled_from([0.1, -0.1, 1e16, -1e16, 1e308, -1e308, 5e-324, -5e-324, LARGEST])), max_size=30
)
MODERATE = st.lists(st.one_of(st.floats(-1e6, 1e6), st.floats(-1e-3, 1e-3).map(lambda x: 1e9 + x)), min_size=1, max_size=30)


def grouped(values: list[float], cuts: list[int]) -> list[list[float]]:
    edges = [0, *sorted(cut % (len(values) + 1) for cut in cuts), len(values)]
    return [values[start:end] for start, end in itertools.pairwise(edges)]


@given(LISTS)
def test_a_sum_is_exact(values: list[float]) -> None:
    levels = exact_sum(values)
    assert sum(map(Fraction, levels)) == sum(map(Fraction, values))


@given(LISTS, st.lists(st.integers(0, 40), max_size=6), st.randoms())
def test_any_order_and_grouping_gives_the_same_levels(values: list[float], cuts: list[int], random: object) -> None:
    whole = exact_sum(values)
    shuffled = list(values)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert exact_sum(shuffled) == whole
    parts = [exact_sum(group) for group in grouped(shuffled, cuts)]
    assert exact_sum(part for levels in parts for part in levels) == whole


@given(st.lists(LISTS, max_size=6))
def test_many_sums_are_each_sum(lists: list[list[float]]) -> None:
    levels = exact_sums(lists)
    columns = list(zip(*levels, strict=True)) if levels else [()] * len(lists)
    for values, column in zip(lists, columns, strict=True):
        assert [part for part in column if part] == exact_sum(values)


@given(LISTS, st.integers(1, 1000))
def test_a_quotient_is_rounded_once(values: list[float], count: int) -> None:
    exact = sum(map(Fraction, values), Fraction(0)) / count
    try:
        expected = exact.numerator / exact.denominator
    except OverflowError:
        expected = math.inf if exact > 0 else -math.inf
    assert quotient(exact_sum(values), count) == expected


@given(st.lists(st.sampled_from([math.inf, -math.inf, math.nan, 1.0, 1e308, 1e308]), min_size=1), st.lists(st.integers(0, 40)))
def test_what_is_not_finite_follows_ieee_in_any_grouping(values: list[float], cuts: list[int]) -> None:
    special = [value for value in values if not math.isfinite(value)]
    parts = [part for group in grouped(values, cuts) for part in exact_sum(group)]
    for total in (quotient(exact_sum(values), 1), quotient(exact_sum(parts), 1)):
        if special:
            assert repr(total) == repr(sum(special)).replace("-nan", "nan")
        else:
            assert total in (sum(values), math.inf)


def test_sums_beyond_the_range_come_back_and_end_somewhere() -> None:
    assert quotient(exact_sum([1e308] * 10), 1) == math.inf
    assert quotient(exact_sum([1e308] * 10), 100) == 1e307
    assert exact_sum([*exact_sum([1e308] * 10), *exact_sum([-1e308] * 10)]) == []
    with pytest.raises(DataError, match="24 times the largest float"):
        exact_sum([1e308] * 200)


@given(MODERATE, st.lists(st.integers(0, 40), max_size=6), st.integers(0, 1))
def test_a_variance_is_right(values: list[float], cuts: list[int], ddof: int) -> None:
    groups = [group for group in grouped(values, cuts) if group]
    squared = exact_sum(part for group in groups for part in squares(group, exact_sum(group)))
    found = variance(len(values), exact_sum(values), squared, ddof=ddof)
    if len(values) <= ddof:
        assert math.isnan(found)
        return
    mean = sum(map(Fraction, values)) / len(values)
    expected = sum((Fraction(value) - mean) ** 2 for value in values) / (len(values) - ddof)
    assert math.isclose(found, expected, rel_tol=1e-12, abs_tol=1e-25 * max(map(abs, values)) ** 2)


@given(st.lists(st.integers(-(10**9), 10**9), min_size=1, max_size=30), st.lists(st.integers(0, 40), max_size=6))
def test_squares_of_whole_numbers_are_right(values: list[int], cuts: list[int]) -> None:
    groups = [group for group in grouped(list(map(float, values)), cuts) if group]
    parts = [part for group in groups for part in squares(group, exact_sum(group))]
    assert math.isclose(sum(map(Fraction, parts)), sum(value * value for value in values), rel_tol=1e-14)


@given(FINITE.filter(lambda value: abs(value) < 1e140), st.integers(1, 1 << 40))
def test_what_is_constant_has_no_variance(value: float, count: int) -> None:
    times = 3
    parts = exact_sum([value] * times)
    found = variance(times, parts, squares([value] * times, parts), ddof=0)
    assert found == 0.0 or (abs(value) < 1e-130 and found < 1e-300)  # where the squares' last digits are out of the range
    if abs(value) > 1e-130:
        assert sum(map(Fraction, repeated_squares(count, value))) == count * Fraction(value) ** 2


@given(st.integers(1, 1 << 50), st.floats(-1e6, 1e6), st.floats(-1e9, 1e9), st.floats(0, 1e9))
def test_squares_about_a_pivot_are_exact_products(count: int, near: float, total: float, spread: float) -> None:
    pivot = pivot_of(near)
    found = squares_about([count], [[total]], [pivot], [spread])
    exact = Fraction(spread) + 2 * Fraction(pivot) * Fraction(total) - count * Fraction(pivot) ** 2
    if not any(0 < abs(number) < 1e-100 for number in (near, total)):  # the last digits of products are in the range
        assert sum(Fraction(column[0]) for column in found) == exact


def test_constants_have_no_variance_to_the_last_digit() -> None:
    random = Random(3)
    for value in (random.gauss(0.0, 9.0) for _ in range(300)):
        parts = exact_sum([value] * 7)
        assert variance(7, parts, squares([value] * 7, parts)) == 0.0


def test_variances_of_what_is_not_finite_or_too_large() -> None:
    for values in ([math.nan, 1.0], [math.inf, 1.0], [math.inf, -math.inf], [math.inf, math.inf]):
        assert math.isnan(variance(2, exact_sum(values), squares(values, exact_sum(values))))
    columns = squares_about([3, 2], [[math.inf, 3.0]], [1.0, 1.0], [math.inf, 1.0])
    assert math.isnan(columns[0][0])
    assert sum(column[1] for column in columns) == 5.0
    for values in ([1e200, -1e200], [1e200, 1e200], [1e200, 1.0], [0.0, 1e160]):
        with pytest.raises(DataError, match="beyond 1e140"):
            squares(values, exact_sum(values))


def test_a_variance_survives_a_large_mean() -> None:
    values = [1e15 + each for each in (4.0, 7.0, 13.0, 16.0)]
    assert variance(4, exact_sum(values), squares(values, exact_sum(values))) == 30.0 == statistics.variance([4, 7, 13, 16])


@given(st.lists(st.integers(-(1 << 70), 1 << 70), max_size=20), st.integers(0, 20))
def test_integers_have_levels_like_floats(values: list[int], cut: int) -> None:
    levels = exact_integers([sum(values[:cut]), sum(values[cut:])])
    assert quotient(exact_sum(part for level in levels for part in level), 1) == float(sum(values))
    assert exact_sums(zip(*levels, strict=True)) == levels
    if len(values) > 1:
        (parts, squared) = (
            [level[0] for level in exact_integers([number])] for number in (sum(values), sum(value * value for value in values))
        )
        assert math.isclose(variance(len(values), parts, squared), statistics.variance(values), rel_tol=1e-14)


def test_an_integer_beyond_the_range_is_refused() -> None:
    with pytest.raises(DataError, match="beyond the range"):
        exact_integers([10**309])
