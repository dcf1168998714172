"""Masks, lists and comparisons choose what NumPy's and pandas' choose, or are refused."""

import datetime as dt
import operator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pangea.compute.data import Array, Table

COMPARISONS = [operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge]
NUMBERS = st.sampled_from(["<f8", "<f4", "<i8", "<i2", "|u1", ">i4", "|b1"])
NULL_OR = st.one_of


@st.composite
def arrays(draw: Any) -> Any:
    dtype = draw(NUMBERS)
    low, high = (0, 1) if dtype == "|b1" else (0, 3) if dtype == "|u1" else (-2, 3)
    values = st.integers(low, high).map(float) | st.just(float("nan")) if "f" in dtype else st.integers(low, high)
    return draw(hnp.arrays(dtype, hnp.array_shapes(max_dims=2, max_side=6, min_side=0), elements=values))


@given(arrays(), st.sampled_from(COMPARISONS), st.integers(-2, 3))
def test_a_mask_of_an_array_is_numpy_s(array: Any, compare: Any, value: int) -> None:
    ours = Array.of(array)
    mask, wanted = compare(ours, value), compare(array, value)
    assert (mask.dtype, mask.tolist()) == ("|b1", wanted.tolist())
    assert ours[mask].tolist() == pytest.approx(array[wanted].tolist(), nan_ok=True)
    assert (~mask).tolist() == (~wanted).tolist()
    assert (value in ours) == (value in array)
    both = (ours > 0) & (ours < 3) | (ours == -2)
    assert both.tolist() == ((array > 0) & (array < 3) | (array == -2)).tolist()
    assert (both.any(), both.all()) == (bool(both.tolist() and np.asarray(both).any()), bool(np.asarray(both).all()))


@given(arrays(), st.lists(st.integers(-8, 8), max_size=5))
def test_a_list_of_numbers_chooses_numpy_s_rows_or_is_out_of_range(array: Any, places: list[int]) -> None:
    ours = Array.of(array)
    if all(-len(array) <= place < len(array) for place in places):
        assert repr(ours[places].tolist()) == repr(array[np.array(places, int)].tolist())
        assert ours[places].shape == array[np.array(places, int)].shape
    else:
        with pytest.raises(IndexError):
            ours[places]


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
    array = Array.of(series.to_numpy())
    assert compare(array, other.to_pydatetime()).tolist() == wanted
    assert compare(array, np.datetime64(other)).tolist() == wanted
    assert compare(column, array).tolist() == compare(series, series).tolist()


ZONED = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
TABLE = Table.of({"city": ["Oslo", None], "km": [1, 2], "at": [ZONED, None], "is_far": [True, False]})
ARRAY = Array.of([1.0, 2.0])


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
        (lambda: ARRAY[True], TypeError, "not by True"),
        (lambda: ARRAY[None], TypeError, "adds no axis"),
        (lambda: ARRAY[[0.0]], TypeError, "not by 0.0"),
        (lambda: ARRAY == "x", TypeError, "holds numbers"),
        (lambda: Array.of([1j]) < 2, TypeError, "complex numbers, which have no order"),
        (lambda: Array.of([[1, 2]])[[True], 0], TypeError, "stands alone in the brackets"),
        (lambda: bool(ARRAY), ValueError, "neither true nor false as a whole"),
    ],
)
def test_what_chooses_nothing_is_refused(use: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        use()


def test_a_table_says_which_columns_it_has() -> None:
    assert ("km" in TABLE, "hours" in TABLE, 0 in TABLE) == (True, False, False)
    assert TABLE[["km", "city"]].tolist() == [{"km": 1, "city": "Oslo"}, {"km": 2, "city": None}]
    assert TABLE[TABLE["is_far"]].tolist() == TABLE[[0]].tolist() == TABLE[:1].tolist()
