"""Spans of time and pivots are pandas', over frames with nulls, gaps, changes of clocks and no rows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pangea.compute import templates
from pangea.compute.data import DataError
from pangea.compute.errors import ManifestError, ResultError
from pangea.compute.templates import reshaping
from tests.examples import share_of

SETTINGS = settings(max_examples=share_of(60), deadline=None)
#: Seconds around 2024-10-26 to 28: the clocks of Berlin go back in between.
SECONDS = st.none() | st.integers(1729_893_600 - 40_000, 1729_893_600 + 190_000)
ROWS = st.lists(st.tuples(SECONDS, st.none() | st.integers(-5, 5), st.sampled_from([0.5, math.nan, 2.25, -3.0])), max_size=14)
WHATS = ["count", "sum", "mean", "min", "max", "var", "first", "last", "any", "all"]


def plain(values: Any) -> list[Any]:
    return [None if value is None or value is pd.NA or value is pd.NaT or value != value else value for value in values.tolist()]


def are_close(found: list[Any], wanted: list[Any]) -> bool:
    return len(found) == len(wanted) and all(
        one is other or (None not in (one, other) and (one == other or math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)))
        for one, other in zip(found, wanted, strict=True)
    )


@SETTINGS
@given(
    ROWS,
    st.sampled_from(["h", "1h", "7h", "15min", "D", "1D", "2D", "36h", "24h"]),
    st.sampled_from(["Europe/Berlin", "UTC", "America/New_York", None]),
    st.sampled_from(["s", "ms", "ns"]),
)
def test_spans_of_time_are_pandas(rows: list[Any], rule: str, zone: str | None, unit: str) -> None:
    seconds = np.array(["NaT" if row[0] is None else row[0] for row in rows], "M8[s]")
    frame = pd.DataFrame(
        {"t": seconds.astype(f"M8[{unit}]"), "n": pd.array([row[1] for row in rows], "Int64"), "x": [row[2] for row in rows]}
    )
    frame["x"] = frame["x"].astype("float64")
    if zone:
        frame["t"] = frame["t"].dt.tz_localize("UTC").dt.tz_convert(zone)
    job = templates.resample(rule, "t", {"n": WHATS, "x": WHATS}, size="rows")
    found = job.run_local(frame, max_chunk_size=16_384).as_frame()
    known = frame[frame["t"].notna()]
    if not len(known):
        assert len(found) == 0
        return
    bins = known.resample(rule, on="t")
    assert found["t"].tolist() == bins.size().index.tolist()
    assert found["rows"].tolist() == bins.size().tolist()
    for column in ("n", "x"):
        for what in WHATS:
            wanted = bins[column].agg(what)
            assert are_close(plain(found[f"{column}_{what}"]), plain(wanted)), (column, what)


ANCHORS = ["JAN", "FEB", "MAR", "AUG", "DEC"]
RULES = ["W", "1W", "MS", "ME", "QS", "QE", "YS", "YE", *(f"W-{day}" for day in ("MON", "THU", "SAT", "SUN"))]
RULES += ["2W", "3W-TUE", "2MS", "5ME", "2QS-FEB", "2QE", "3YS", "2YE-MAR", "200ME"]
RULES += [f"{name}-{month}" for name in ("QS", "QE", "YS", "YE") for month in ANCHORS]


@SETTINGS
@given(
    st.lists(st.tuples(st.none() | st.integers(1_600_000_000, 1_760_000_000), st.integers(-5, 5)), max_size=8),
    st.sampled_from(RULES),
    st.sampled_from(["Europe/Berlin", "America/New_York", "UTC", None]),
)
def test_periods_of_the_calendar_are_pandas(rows: list[Any], rule: str, zone: str | None) -> None:
    times = np.array(["NaT" if row[0] is None else row[0] for row in rows], "M8[s]")
    frame = pd.DataFrame({"t": times.astype("M8[ns]"), "n": np.array([row[1] for row in rows], "i8")})
    if zone:
        frame["t"] = frame["t"].dt.tz_localize("UTC").dt.tz_convert(zone)
    found = templates.resample(rule, "t", {"n": ["sum", "min"]}, size="rows").run_local(frame, max_chunk_size=16_384).as_frame()
    known = frame[frame["t"].notna()]
    bins = known.resample(rule, on="t")["n"]
    assert found["t"].tolist() == (bins.sum().index.tolist() if len(known) else [])
    assert found["n_sum"].tolist() == bins.sum().tolist()
    assert found["rows"].tolist() == bins.size().tolist()
    assert plain(found["n_min"]) == plain(bins.min())


#: Each has seconds around a midnight that is within a quarter of an hour of UTC's, or a change of clocks a minute after it.
MIDNIGHTS = {
    "Europe/Amsterdam": -1_246_670_372,  # 1930-07-01, 1:19:32 ahead
    "Africa/Monrovia": 44_585_070,  # 1971-06-01, 0:44:30 behind
    "America/St_Johns": 1_162_089_000,  # 2006-10-29, 00:01 becomes 23:01
}


@SETTINGS
@given(
    st.sampled_from(sorted(MIDNIGHTS)), st.lists(st.integers(-4000, 4000), min_size=1, max_size=12), st.sampled_from(["1D", "MS"])
)
def test_days_are_those_of_the_clock_in_any_order_of_rows(zone: str, seconds: list[int], rule: str) -> None:
    times = pd.Series(np.array([MIDNIGHTS[zone] + each for each in seconds], "M8[s]")).dt.tz_localize("UTC").dt.tz_convert(zone)
    frame = pd.DataFrame({"t": times, "n": 1})
    found = templates.resample(rule, "t", {"n": "sum"}).run_local(frame).as_frame()
    days = times.dt.strftime("%Y-%m-%d" if rule == "1D" else "%Y-%m-01")
    wanted = days.value_counts().sort_index()
    held = found[found["n_sum"] > 0]
    assert dict(zip(held["t"].dt.strftime("%Y-%m-%d"), held["n_sum"], strict=True)) == wanted.to_dict()


@pytest.mark.parametrize(
    ("day", "rule", "named"),
    [("9999-12-31", "ME", "9999-12-31"), ("9999-12-31", "YE", "9999-12-31"), ("0001-01-01", "YS", "0001-01-01")],
)
def test_periods_at_the_ends_of_the_calendar_are_called_by_their_days(day: str, rule: str, named: str) -> None:
    frame = pd.DataFrame({"t": np.array([day], "M8[s]"), "n": [1]})
    found = templates.resample(rule, "t", {"n": "sum"}).run_local(frame).as_frame()
    assert found["t"].to_numpy().astype("M8[D]").astype(str).tolist() == [named]


@pytest.mark.parametrize(("day", "rule"), [("9999-12-31", "W"), ("9999-12-31", "QE-FEB"), ("0001-01-01", "QS-FEB")])
def test_periods_that_reach_beyond_the_calendar_are_refused(day: str, rule: str) -> None:
    frame = pd.DataFrame({"t": np.array([day], "M8[s]"), "n": [1]})
    with pytest.raises(DataError, match="column 't' has times whose spans reach beyond the years 1 to 9999"):
        templates.resample(rule, "t", {"n": "sum"}).run_local(frame)


def test_the_hour_that_is_there_twice_is_two_spans_and_days_have_the_hours_that_they_have() -> None:
    hours = pd.date_range("2024-10-26 22:00", periods=30, freq="h", tz="UTC").tz_convert("Europe/Berlin")
    frame = pd.DataFrame({"t": hours, "n": 1})
    by_hour = templates.resample("1h", "t", {"n": "sum"}).run_local(frame).as_frame()
    assert by_hour["n_sum"].tolist() == [1] * 30
    by_day = templates.resample("1D", "t", {"n": "sum"}).run_local(frame).as_frame()
    assert by_day["n_sum"].tolist() == [25, 5]
    assert by_day["t"].dt.hour.tolist() == [0, 0]


def test_a_day_that_a_zone_has_left_out_is_no_span() -> None:
    hours = pd.date_range("2011-12-29", periods=50, freq="h", tz="Pacific/Apia")  # which went from the 29th to the 31st
    found = templates.resample("1D", "t", {"n": "sum"}).run_local(pd.DataFrame({"t": hours, "n": 1})).as_frame()
    assert found["t"].dt.day.tolist() == [29, 31, 1]
    assert found["n_sum"].tolist() == [24, 24, 2]


def test_days_of_dates_stay_dates_and_finer_spans_are_times() -> None:
    frame = pd.DataFrame({"t": pd.Series(pd.to_datetime(["2024-01-01", "2024-01-03"])).dt.date, "n": [1, 2]})
    assert templates.resample("1D", "t", {"n": "sum"}).run_local(frame).as_arrow().to_pydict()["n_sum"] == [1, 0, 2]
    halves = templates.resample("12h", "t", {"n": "sum"}).run_local(frame).as_frame()
    assert halves["n_sum"].tolist() == [1, 0, 0, 0, 2]
    assert str(halves["t"].dtype) == "datetime64[s]"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: templates.resample("0W", "t", {"n": "sum"}), "from 1 to 120,000 periods"),
        (lambda: templates.resample("1M", "t", {"n": "sum"}), "which day are the periods called by"),
        (lambda: templates.resample("W-JAN", "t", {"n": "sum"}), "'W' is followed by one of MON, TUE"),
        (lambda: templates.resample("MS-JAN", "t", {"n": "sum"}), "'MS' is followed by none"),
        (lambda: templates.resample("1B", "t", {"n": "sum"}), "rule is '1B'; it must be a span"),
        (lambda: templates.resample("1h", "t", {}), "no figures"),
        (lambda: templates.resample("1h", "t", {"n": "median"}), "the aggregate of 'n' is 'median'"),
        (lambda: templates.pivot({"a": [1]}, "a", "a"), "one is named twice"),
        (lambda: templates.pivot({"a": [1]}, "a", "b", "c", "mode"), "aggregate is 'mode'"),
    ],
)
def test_options_out_of_range_are_refused(make: Any, said: str) -> None:
    with pytest.raises(ManifestError, match=said):
        make()


def test_spans_of_what_is_no_time_and_too_many_of_them_are_refused() -> None:
    with pytest.raises(DataError, match="column 't' is of type int64: spans of time"):
        templates.resample("1h", "t", {"n": "sum"}).run_local(pd.DataFrame({"t": [1], "n": [1]}))
    far = pd.DataFrame({"t": np.array(["1970-01-01", "2024-01-01"], "M8[s]"), "n": [1, 2]})
    with pytest.raises(DataError, match="spans of time; 10,000,000 are the most"):
        templates.resample("1s", "t", {"n": "sum"}).run_local(far)


@SETTINGS
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "b", None]), st.sampled_from(["p", "q", "r"]), st.integers(0, 2),
            st.sampled_from([0.5, 2.0, math.nan]),
        ),
        min_size=1, max_size=20,
    ),
    st.sampled_from(["mean", "sum", "min", "max", "count", "var"]), st.booleans(),
)  # fmt: skip
def test_pivots_are_pandas(rows: list[Any], aggregate: str, two: bool) -> None:
    patch = pytest.MonkeyPatch()
    patch.setattr(reshaping, "submit_job", lambda job, data, **options: job.run_local(data, max_chunk_size=2048, **options))
    frame = pd.DataFrame(rows, columns=["i", "c", "j", "x"]).astype({"i": "string", "c": "string", "x": "float64"})
    index = ["i", "j"] if two else "i"
    try:
        found = templates.pivot(frame, index, "c", "x", aggregate)
        counted = templates.pivot(frame, index, "c")
    finally:
        patch.undo()
    wanted = frame.pivot_table(index=index, columns="c", values="x", aggfunc=aggregate, observed=True).sort_index()
    if aggregate == "count":
        wanted = wanted.fillna(0)
    assert found.index.tolist() == wanted.index.tolist()
    assert found.columns.tolist() == wanted.columns.tolist()
    for name in found.columns:
        assert are_close(plain(found[name]), plain(wanted[name]))
    known = frame[frame["i"].notna()]
    sizes = known.groupby(index if two else ["i"])["c"].value_counts().unstack(fill_value=0).sort_index(axis=1)
    assert counted.to_numpy().tolist() == sizes.to_numpy().tolist()


def test_a_pivot_of_as_many_values_as_rows_is_refused_before_it_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reshaping, "submit_job", lambda job, data, **options: job.run_local(data, **options))
    frame = pd.DataFrame({"a": range(8_000), "b": range(8_000), "x": 1.0})
    with pytest.raises(ResultError, match=r"8,000 rows and 8,000 columns: 64,000,000 cells; 50,000,000 are the most"):
        templates.pivot(frame, "a", "b", "x")
