"""Numeric ready jobs count as NumPy and pandas do, and refuse what is no number by column and type."""

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pangea.compute.data import DataError
from pangea.compute.model.errors import ManifestError
from pangea.compute.templates import extent, histogram, join, sort
from pangea.compute.templates.rounds import column_sums, kmeans_labels, sample_rows
from tests.examples import share_of

DAYS = np.array(["2024-03-10", "NaT", "2024-01-05"], "datetime64[D]")


def run(job: Any, value: Any, **options: Any) -> Any:
    return job.run_local(value, **options)


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.array(["1", "2"]), r"the array is of type <U1, not of numbers: convert it to numbers first: x\.astype\(float\)"),
        (np.array([b"1"]), r"type \|S1, not of numbers"),
        (np.array([1j]), r"type <c16, not of numbers: take x\.real"),
        (np.array([(1, 2.0)], [("id", "i4"), ("x", "f8")]), "not of numbers: choose a field first"),
        (np.array([1], "timedelta64[Y]"), "whose unit has no one length"),
    ],
)
def test_arrays_that_hold_no_numbers_are_refused_by_type(array: Any, said: str) -> None:
    for job in (extent(), histogram([0, 1])):
        with pytest.raises(DataError, match=said):
            run(job, array)
    points = array.reshape(-1, 1)
    for job in (column_sums(), kmeans_labels([[0.0]]), sample_rows(1, 0, None)):
        with pytest.raises(DataError, match=f"{said}|not of numbers|of type"):
            run(job, points)


@pytest.mark.parametrize("value", [DAYS.reshape(-1, 1), np.array([[1], [2]], "timedelta64[s]")])
def test_fits_of_dates_and_spans_are_refused_as_their_unit_would_be_a_guess(value: Any) -> None:
    with pytest.raises(DataError, match="numbers are needed: divide spans of time by a unit"):
        run(column_sums(), value)
    with pytest.raises(DataError, match=r"column 'x' is of type (timestamp|duration)\[.*numbers are needed"):
        run(column_sums((None, "x")), pd.DataFrame({"x": value.ravel()}))


@pytest.mark.parametrize(
    ("column", "said"),
    [(["a"], "column 'x' is of type (large_)?string, not of numbers"), ([b"a"], "column 'x' is of type binary")],
)
def test_columns_that_hold_no_numbers_are_refused_by_name_and_type(column: Any, said: str) -> None:
    for job in (extent(column="x"), histogram([0, 1], column="x"), column_sums((None, "x"))):
        with pytest.raises(DataError, match=said):
            run(job, {"x": column})


@settings(max_examples=share_of(60), deadline=None)
@given(
    st.lists(st.one_of(st.none(), st.integers(-700_000, 10**6)), min_size=1, max_size=12),
    st.sampled_from(["s", "ms", "us", "ns", "D", "h"]),
    st.booleans(),
)
def test_extents_of_dates_are_pandas(values: list[Any], unit: str, is_table: bool) -> None:
    array = np.array(["NaT" if value is None else value for value in values], f"datetime64[{unit}]")
    series = pd.Series(array)
    found = (run(extent(column="t"), series.to_frame("t")) if is_table else run(extent(), array)).as_json()
    assert found["count"] == series.count()
    if found["count"]:
        assert (pd.Timestamp(found["low"]), pd.Timestamp(found["high"])) == (series.min(), series.max())
    else:
        assert (found["low"], found["high"]) == (None, None)


def test_extents_of_other_times() -> None:
    assert run(extent(), DAYS).as_json() == {"count": 2, "low": "2024-01-05", "high": "2024-03-10"}
    spans = np.array([90, "NaT", -5], "timedelta64[s]")
    assert run(extent(), spans).as_json() == {"count": 2, "low": -5, "high": 90, "unit": "s"}
    zoned = pd.Series(pd.to_datetime(["2024-07-01 12:00"], utc=True)).dt.tz_convert("Europe/Berlin")
    assert run(extent(column="t"), zoned.to_frame("t")).as_json()["low"][:19] == "2024-07-01T12:00:00"
    months = np.array(["2024-03", "NaT", "2023-12"], "datetime64[M]")
    assert run(extent(), months).as_json() == {"count": 2, "low": "2023-12-01", "high": "2024-03-01"}


@settings(max_examples=share_of(60), deadline=None)
@given(st.lists(st.one_of(st.none(), st.integers(0, 400)), min_size=1, max_size=30), st.sampled_from(["s", "ms", "ns"]))
def test_a_histogram_of_times_is_pandas_cut(values: list[Any], unit: str) -> None:
    start = pd.Timestamp("2024-01-01")
    times = pd.Series([pd.NaT if value is None else start + pd.Timedelta(minutes=value) for value in values]).astype(
        f"datetime64[{unit}]"
    )
    edges = [start + pd.Timedelta(minutes=each) for each in (30, 60, 90, 300)]
    known = times.dropna().astype("datetime64[ns]").astype("int64").to_numpy()
    wanted = np.histogram(known, [edge.as_unit("ns").value for edge in edges])[0].tolist()
    for given_edges in (edges, [edge.to_pydatetime() for edge in edges], [np.datetime64(edge) for edge in edges]):
        found = run(histogram(given_edges), times.to_numpy()).as_json()
        assert found["counts"] == wanted
        assert found["missing"] == times.isna().sum()
        assert found["below"] + found["above"] + sum(wanted) + found["missing"] == len(times)
        assert found["bin_edges"][0] == "2024-01-01T00:30:00"


def test_a_histogram_of_spans_takes_numbers_of_their_unit_or_timedeltas() -> None:
    waits = np.array([30, 70, "NaT", 110, 20, 120], "timedelta64[s]")
    wanted = np.histogram([30, 70, 110, 20, 120], [0, 60, 120])[0].tolist()
    assert run(histogram([0.0, 60.0, 120.0]), waits).as_json()["counts"] == wanted
    minutes = [dt.timedelta(minutes=each) for each in range(3)]
    found = run(histogram(minutes), waits).as_json()
    assert (found["counts"], found["missing"], found["bin_edges"]) == (wanted, 1, [0.0, 60.0, 120.0])


def test_edges_of_another_kind_are_refused() -> None:
    day, zoned = dt.date(2024, 1, 1), dt.datetime(2024, 1, 2, tzinfo=dt.UTC)
    with pytest.raises(DataError, match="the array holds numbers, and the edges of the bins are dates or times"):
        run(histogram([day, dt.date(2024, 1, 2)]), np.arange(3.0))
    with pytest.raises(DataError, match="the array holds dates or times, and the edges of the bins are numbers"):
        run(histogram([0, 1]), DAYS)
    with pytest.raises(DataError, match="the edges with a time zone, the array without one"):
        run(histogram([zoned, zoned + dt.timedelta(1)]), DAYS)
    with pytest.raises(ManifestError, match="bins mixes times"):
        histogram([day, zoned])


def test_options_may_be_numpy_s() -> None:
    values = np.random.default_rng(4).normal(5.0, 2.0, 500)
    edges = np.linspace(0.0, 10.0, 21)
    assert run(histogram(edges), values).as_json()["counts"] == np.histogram(values, edges)[0].tolist()
    frame = pd.DataFrame({"n": [2, 5, 3]})
    falls: Any
    for falls in (np.True_, [np.True_], np.array([True])):
        assert run(sort("n", descending=falls), frame).as_frame()["n"].tolist() == [5, 3, 2]
    wrong: Any
    for wrong in ("yes", 1, [True, False], np.array([1])):
        with pytest.raises(ManifestError, match="descending"):
            sort("n", descending=wrong)


@settings(max_examples=share_of(60), deadline=None)
@given(
    st.lists(st.one_of(st.none(), st.integers(-3, 3)), min_size=1, max_size=9),
    st.sampled_from(["<M8[D]", "<m8[s]", "<f8", "<c16"]),
)
def test_an_array_is_sorted_as_numpy_sorts_it(values: list[Any], dtype: str) -> None:
    if dtype[1] in "Mm":
        array = np.array(["NaT" if value is None else value for value in values], dtype)
    else:
        array = np.array([np.nan if value is None else value for value in values], dtype)
    found, wanted = run(sort(), array).as_array(), np.sort(array)
    assert found.dtype == wanted.dtype
    assert np.array_equal(found, wanted, equal_nan=True)


@settings(max_examples=share_of(40), deadline=None)
@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=8),
    st.sampled_from(["s", "ms", "us", "ns"]),
    st.sampled_from(["s", "us", "ns"]),
)
def test_times_are_joined_whatever_their_units(days: list[int], unit: str, small_unit: str) -> None:
    start = pd.Timestamp("2024-05-01")
    large = pd.DataFrame(
        {"day": pd.Series([start + pd.Timedelta(days=day) for day in days]).astype(f"datetime64[{unit}]"), "n": days}
    )
    small = pd.DataFrame(
        {"day": pd.Series([start, start + pd.Timedelta(days=2)]).astype(f"datetime64[{small_unit}]"), "mm": [1.5, 0.0]}
    )
    found = run(join(small, "day"), large).as_frame()
    wanted = large.merge(small, on="day")
    assert found[["n", "mm"]].to_dict("records") == wanted[["n", "mm"]].to_dict("records")
    assert found["day"].dtype == f"datetime64[{unit}]"


def test_whole_numbers_beyond_the_digits_of_floats_are_in_numpys_bins() -> None:
    values = np.array([(1 << 62) + 1, (1 << 62) + 1, 5, 1 << 61])
    low, high = float(values.min()), float(values.max())
    counts, _ = np.histogram(values, 4, range=(low, high))
    assert run(histogram(4, between=(low, high)), values).as_json()["counts"] == counts.tolist()
    assert counts.sum() == len(values)


def test_keys_of_no_value_at_all_are_found_nowhere_whatever_the_other_side_has() -> None:
    nothing, words = {"k": [None, None], "n": [1, 2]}, {"k": ["a"], "m": [1]}
    assert run(join(words, "k", how="left"), nothing).as_arrow().to_pydict() == {
        "k": [None, None],
        "n": [1, 2],
        "m": [None, None],
    }
    assert run(join({"k": [None], "m": [1]}, "k", how="anti"), {"k": ["a"]}).as_arrow().to_pydict() == {"k": ["a"]}
