"""Masks, lists and comparisons choose what NumPy's and pandas' choose, or are refused."""

import datetime as dt
import operator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pangea.compute.data import DataError, Table

COMPARISONS = [operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge]


@given(
    st.lists(st.one_of(st.none(), st.integers(-2, 3)), min_size=1, max_size=8),
    st.sampled_from(COMPARISONS),
    st.integers(-2, 3),
)
def test_a_mask_of_a_column_is_pandas_(values: list[Any], compare: Any, value: int) -> None:
    table = Table.of({"n": values, "place": range(len(values))}, {"n": "int64"})
    frame = pd.DataFrame({"n": pd.Series(values, dtype="float64"), "place": range(len(values))})
    wanted = compare(frame["n"], value)
    assert compare(table["n"], value).tolist() == wanted.tolist()
    assert table[compare(table["n"], value)]["place"].tolist() == frame[wanted]["place"].tolist()
    assert table["place"][compare(table["n"], value)].tolist() == frame["place"][wanted].tolist()
    assert table["n"].is_missing().tolist() == frame["n"].isna().tolist()


@given(
    st.lists(st.one_of(st.none(), st.integers(0, 400)), min_size=1, max_size=6),
    st.integers(0, 400),
    st.sampled_from(["s", "ms", "us", "ns"]),
    st.sampled_from(COMPARISONS),
)
def test_times_compare_whatever_their_unit(hours: list[Any], hour: int, unit: str, compare: Any) -> None:
    start = pd.Timestamp("2024-01-01")
    series = pd.Series([pd.NaT if each is None else start + pd.Timedelta(hours=each) for each in hours]).astype(
        f"datetime64[{unit}]"
    )
    other = start + pd.Timedelta(hours=hour)
    wanted = compare(series, other).tolist()
    numbers = [
        None if pd.isna(each) else int(each.as_unit(unit).value / {"s": 1e9, "ms": 1e6, "us": 1e3, "ns": 1}[unit])
        for each in series
    ]
    column = Table.of({"at": numbers}, {"at": f"timestamp[{unit}]"})["at"]
    assert compare(column, other.to_pydatetime()).tolist() == wanted
    assert compare(column, other.isoformat()).tolist() == wanted
    assert compare(column, np.datetime64(other)).tolist() == wanted


ZONED = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
TABLE = Table.of({"city": ["Oslo", None], "km": [1, 2], "at": [ZONED, None], "is_far": [True, False]})


@pytest.mark.parametrize(
    ("use", "error", "message"),
    [
        (lambda: TABLE[False], TypeError, "not by False: compare a column"),
        (lambda: TABLE[1.5], TypeError, r"not by 1\.5"),
        (lambda: TABLE[None], TypeError, "not by None"),
        (lambda: TABLE[0, 1], TypeError, r"not by \(0, 1\)"),
        (lambda: TABLE[[True]], IndexError, "a mask of 1 truth values for 2 rows"),
        (lambda: TABLE[[True, 1]], TypeError, "by truth values or by whole numbers"),
        (lambda: TABLE[[0, 2]], IndexError, "index 2 is out of range for 2 rows"),
        (lambda: TABLE[["km", "x"]], KeyError, "no column 'x'"),
        (lambda: TABLE["km"][(0, 1)], TypeError, r"not by \(0, 1\)"),
        (lambda: TABLE["km"][True], TypeError, "not by True"),
        (lambda: TABLE["city"] == 3, TypeError, "holds text, and is compared with 3"),
        (lambda: TABLE["km"] == "3", TypeError, "holds numbers, and is compared with '3'"),
        (lambda: TABLE["km"] == TABLE["city"], TypeError, "column 'km' .* holds numbers, and column 'city' .* text"),
        (lambda: TABLE["km"] == None, TypeError, "is_missing"),  # noqa: E711
        (lambda: TABLE["at"] > dt.datetime(2024, 1, 1), TypeError, "instants with a time zone"),  # noqa: DTZ001
        (lambda: TABLE["at"] > "today", TypeError, "no date in ISO 8601"),
        (lambda: TABLE["at"] > dt.timedelta(1), TypeError, "give a date or a datetime"),
        (lambda: TABLE["km"] & TABLE["is_far"], TypeError, "column 'km' .* no truth values"),
        (lambda: TABLE["km"] == [1], ValueError, "2 items, and is compared with 1"),
        (lambda: bool(TABLE["km"]), ValueError, "neither true nor false as a whole"),
        (lambda: TABLE["km"].where([0, 1]), TypeError, r"takes a mask, as in c.where\(c > 0\)"),
        (lambda: TABLE["km"].where([True]), IndexError, "a mask of 1 truth values for 2 rows"),
        (lambda: TABLE["km"].where([True, False], "x"), DataError, "column 'km', row 1: 'x' is no int64"),
        (lambda: TABLE["km"].where([True, False], TABLE["city"]), DataError, "the others are not such"),
        (lambda: TABLE["km"].isna, AttributeError, r"a Column has no 'isna': take is_missing\(\)"),
        (lambda: TABLE["km"].rolling, AttributeError, r"no 'rolling': take what NumPy's array has: numpy.asarray\(column\)"),
        (lambda: TABLE.km, AttributeError, r"columns are taken by t\['km'\]"),
        (lambda: TABLE.loc, AttributeError, r"a Table has no 'loc': take t\[mask\]"),
        (lambda: TABLE.pivot, AttributeError, "ready jobs .* are in pangea.compute.templates"),
    ],
)
def test_what_chooses_nothing_is_refused(use: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        use()


def test_a_table_says_which_columns_it_has() -> None:
    assert ("km" in TABLE, "hours" in TABLE, 0 in TABLE) == (True, False, False)
    assert TABLE[["km", "city"]].tolist() == [{"km": 1, "city": "Oslo"}, {"km": 2, "city": None}]
    assert TABLE[TABLE["is_far"]].tolist() == TABLE[[0]].tolist() == TABLE[:1].tolist()


def test_numpys_whole_numbers_choose_a_row() -> None:
    assert TABLE["km"][np.int64(1)] == 2
    assert TABLE[np.argmax(TABLE["km"])] == TABLE[1]


@given(st.lists(st.one_of(st.none(), st.integers(-2, 3)), min_size=1, max_size=8), st.integers(-2, 3))
def test_columns_are_arrays_with_a_mask(values: list[Any], value: int) -> None:
    column = Table.of({"n": values}, {"n": "int64"})["n"]
    held = np.ma.array(column.values, mask=column.mask)
    assert held.tolist() == values
    assert (held == value).filled(False).tolist() == (column == value).tolist()
    series = pd.Series(values, dtype="Int64")
    kept = (series > value).fillna(False)
    assert column.where(column > value).tolist() == [None if pd.isna(each) else each for each in series.where(kept)]
    assert column.where(column > value, 7).tolist() == [int(each) for each in series.where(kept, 7)]
    other = column.fill(9)
    assert column.where(column > value, other).tolist() == [int(each) for each in series.where(kept, series.fillna(9))]
    array = np.arange(len(values))
    assert (array + column).tolist() == (column + array).tolist() == [None if pd.isna(each) else each for each in series + array]
    assert (np.full(len(values), value) == column).tolist() == (column == value).tolist()


@given(st.lists(st.one_of(st.none(), st.integers(-2, 3)), min_size=1, max_size=8), st.booleans())
def test_rows_are_sorted_as_pandas_sorts_them(values: list[Any], is_falling: bool) -> None:
    table = Table.of({"n": values, "place": range(len(values))}, {"n": "int64"})
    frame = pd.DataFrame({"n": pd.array(values, "Int64"), "place": range(len(values))})
    wanted = frame.sort_values("n", ascending=not is_falling, kind="stable")
    assert table.sort("n", descending=is_falling)["place"].tolist() == wanted["place"].tolist()
