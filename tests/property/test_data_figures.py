"""Arithmetic and figures of columns against pandas, over random values with nulls, NaN and infinities."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pangea.compute.data import Table

WHOLE = st.none() | st.integers(-9, 9)
FLOATS = st.none() | st.floats(-1e6, 1e6) | st.sampled_from([math.nan, math.inf, -math.inf, -0.0])
LISTS = st.integers(0, 12).flatmap(
    lambda size: st.tuples(
        st.lists(WHOLE, min_size=size, max_size=size),
        st.lists(WHOLE, min_size=size, max_size=size),
        st.lists(FLOATS, min_size=size, max_size=size),
    )
)
OPERATIONS = [operator.add, operator.sub, operator.mul, operator.truediv]


def table_of(lists: Any) -> tuple[Table, pd.DataFrame]:
    names, types = ("i", "j", "f"), ("int64", "int64", "float64")
    table = Table.of(dict(zip(names, lists, strict=True)), dict(zip(names, types, strict=True)))
    kinds = ("Int64", "Int64", "float64")
    frame = pd.DataFrame({name: pd.Series(values, dtype=kind) for name, values, kind in zip(names, lists, kinds, strict=True)})
    return table, frame


def listed(values: Any) -> list[Any]:
    """Plain values, with None for whatever is missing."""
    return [None if value is None or value is pd.NA or value != value else value for value in values.tolist()]


@given(LISTS, st.sampled_from(OPERATIONS), st.sampled_from("ijf"), st.sampled_from(["i", "j", "f", 3, -2.5]))
def test_arithmetic_is_that_of_pandas(lists: Any, operation: Any, one: str, other: Any) -> None:
    table, frame = table_of(lists)
    ours = operation(table[one], table[other] if isinstance(other, str) else other)
    with np.errstate(all="ignore"):
        theirs = operation(frame[one], frame[other] if isinstance(other, str) else other)
        turned = operation(frame[other], frame[one]) if isinstance(other, str) else operation(other, frame[one])
    assert listed(ours) == listed(theirs)
    back = operation(table[other], table[one]) if isinstance(other, str) else operation(other, table[one])
    assert listed(back) == listed(turned)


@given(LISTS, st.sampled_from("ijf"))
def test_figures_are_those_of_pandas(lists: Any, name: str) -> None:
    table, frame = table_of(lists)
    column, series = table[name], frame[name]
    with np.errstate(all="ignore"):
        for what in ("sum", "mean", "min", "max", "std", "count", "nunique"):
            ours, theirs = getattr(column, what)(), getattr(series, what)()
            is_missing = theirs is pd.NA or theirs != theirs
            if is_missing:
                assert ours is None or ours != ours
            else:
                assert ours == pytest.approx(theirs, rel=1e-12)
    assert listed(column.sort()) == listed(series.sort_values(kind="stable"))
    assert listed(column.fill(5)) == listed(series.fillna(5))
    assert listed(column.unique())[: len(lists[0])] == listed(pd.Series(series.unique())) or name == "f"
    assert column.isin([1, None, -2.5]).tolist() == [value in (1, -2.5) for value in column.tolist()]


@given(st.lists(st.integers(-(1 << 63), (1 << 63) - 1), max_size=6), st.integers(-(1 << 63), (1 << 63) - 1))
def test_whole_numbers_come_out_exactly_or_not_at_all(values: list[int], other: int) -> None:
    column = Table.of({"n": values}, {"n": "int64"})["n"]
    assert column.sum() == sum(values)
    for operation in (operator.add, operator.sub, operator.mul):
        right = [operation(value, other) for value in values]
        if all(-(1 << 63) <= value < 1 << 63 for value in right):
            assert operation(column, other).tolist() == right
        else:
            with pytest.raises(ValueError, match="don't fit into int64"):
                operation(column, other)


@given(
    st.lists(
        st.tuples(*[st.integers(0, (1 << 64) - 1) | st.integers(0, 9) | st.integers(1 << 63, (1 << 63) + 3)] * 2), max_size=6
    )
)
def test_whole_numbers_without_a_sign_are_never_below_zero(pairs: list[tuple[int, int]]) -> None:
    table = Table.of({"n": [one for one, _ in pairs], "m": [other for _, other in pairs]}, {"n": "uint64", "m": "uint64"})
    for operation in (operator.add, operator.sub, operator.mul):
        right = [operation(one, other) for one, other in pairs]
        if all(0 <= value < 1 << 64 for value in right):
            assert operation(table["n"], table["m"]).tolist() == right
        else:
            with pytest.raises(ValueError, match="don't fit into uint64"):
                operation(table["n"], table["m"])
