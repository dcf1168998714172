"""Lags, differences, running sums, ranks and rolling windows are pandas', over frames with nulls, ties, groups and no rows."""

from __future__ import annotations

import math
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pangea.compute import templates
from pangea.compute.data import DataError, Table
from pangea.compute.errors import ManifestError
from tests.examples import share_of
from tests.merging import cut_at, executed, merged

pytestmark = pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
SETTINGS = settings(max_examples=share_of(60), deadline=None)
CUTS = st.lists(st.integers(0, 40), max_size=3)
ROW = st.tuples(
    st.none() | st.integers(-4, 4),
    st.none() | st.sampled_from([0.0, -0.0, 0.1, 1.5, 2.5, -3.25, math.nan, math.inf, 1e9]),
    st.none() | st.sampled_from(["a", "b", "ä", ""]),
    st.sampled_from(["p", "q", None]),
    st.integers(0, 3),
)
ROWS = st.lists(ROW, max_size=20)
BY = st.sampled_from([None, "g"])


def both(rows: list[Any]) -> tuple[Table, pd.DataFrame]:
    """A table, and the frame that pandas reckons with; `t` rises."""
    names, kinds = ["n", "x", "w", "g", "t"], ["int64", "float64", "string", "string", "int64"]
    lists = [list(each) for each in zip(*rows, strict=True)] or [[] for _ in names]
    lists[4] = np.cumsum(lists[4] or [0])[: len(rows)].tolist()
    table = Table.of(dict(zip(names, lists, strict=True)), dict(zip(names, kinds, strict=True)))
    table = Table.of({**table.columns, "t": np.asarray(lists[4], "i8").astype("M8[D]")})
    dtypes = ["Int64", "float64", "string", "string", "int64"]
    frame = pd.DataFrame({name: pd.Series(each, dtype=kind) for name, each, kind in zip(names, lists, dtypes, strict=True)})
    frame["t"] = frame["t"].to_numpy().astype("M8[D]").astype("M8[s]")
    return table, frame


def of(job: Any, table: Table, cuts: list[int], name: str) -> list[Any]:
    """The column that a job adds, wherever the table is cut."""
    whole = Table.from_arrow(merged(job, executed(job, cut_at(table, cuts))))
    assert whole.names == [*table.names, name]
    assert whole.select(*table.names).tolist() == table.tolist() or any(
        math.isnan(x) for x in table["x"].tolist() if x is not None
    )
    return plain(whole[name].tolist())


def plain(values: Any) -> list[Any]:
    """Values with None for whatever is missing."""
    held = values.tolist() if hasattr(values, "tolist") else values
    return [None if value is None or value is pd.NA or value is pd.NaT or value != value else value for value in held]


def are_close(found: list[Any], wanted: list[Any], rel: float, least: float) -> bool:
    return len(found) == len(wanted) and all(
        one is other or (None not in (one, other) and math.isclose(one, other, rel_tol=rel, abs_tol=least))
        for one, other in zip(found, wanted, strict=True)
    )


def grouped(frame: pd.DataFrame, by: str | None, column: str) -> Any:
    return frame[column] if by is None else frame.groupby(by, dropna=True)[column]


@SETTINGS
@given(ROWS, CUTS, st.integers(-3, 3), BY, st.sampled_from(["n", "x", "w", "t"]))
def test_shifts_are_pandas(rows: list[Any], cuts: list[int], periods: int, by: str | None, column: str) -> None:
    table, frame = both(rows)
    found = of(templates.shift(column, periods, by=by), table, cuts, f"{column}_shift")
    wanted = plain(grouped(frame, by, column).shift(periods))
    assert [str(each) for each in found] == [str(each.date()) if hasattr(each, "date") else str(each) for each in wanted]


def test_by_no_rows_a_row_without_a_key_is_shifted_too() -> None:
    table = Table.of({"g": ["p", None], "n": [5, 7]})
    assert of(templates.shift("n", 0, by="g"), table, [], "n_shift") == [5, 7]
    assert of(templates.diff("n", 0, by="g"), table, [], "n_diff") == [0, 0]
    assert of(templates.shift("n", 1, by="g"), table, [], "n_shift") == [None, None]


@SETTINGS
@given(ROWS, CUTS, st.integers(-3, 3), BY, st.sampled_from(["n", "x"]))
def test_differences_are_pandas(rows: list[Any], cuts: list[int], periods: int, by: str | None, column: str) -> None:
    table, frame = both(rows)
    found = of(templates.diff(column, periods, by=by), table, cuts, f"{column}_diff")
    moved = grouped(frame, by, column).shift(periods)
    wanted = frame[column] - moved
    assert found == plain(wanted)


@SETTINGS
@given(st.lists(st.none() | st.booleans(), max_size=12), CUTS, st.integers(-3, 3))
def test_differences_of_truth_values_are_whether_they_changed(values: list[bool | None], cuts: list[int], periods: int) -> None:
    job, table = templates.diff("b", periods), Table.of({"b": values}, {"b": "bool"})
    whole = Table.from_arrow(merged(job, executed(job, cut_at(table, cuts))))
    assert (whole.schema["b_diff"], whole["b_diff"].tolist()) == (
        "bool",
        plain(pd.Series(values, dtype="boolean").diff(periods).astype(object)),
    )


@SETTINGS
@given(ROWS, CUTS, st.integers(-3, 3), BY, st.sampled_from(["n", "x"]))
def test_changes_by_parts_are_pandas(rows: list[Any], cuts: list[int], periods: int, by: str | None, column: str) -> None:
    table, frame = both(rows)
    found = of(templates.pct_change(column, periods, by=by), table, cuts, f"{column}_pct_change")
    frame["n"] = frame["n"].astype("float64")  # else pandas has missing values of two kinds
    wanted = frame[column].pct_change(periods, fill_method=None) if by is None else of_groups(frame, by, column, periods)
    assert are_close(found, plain(wanted), 0.0, 0.0)


def of_groups(frame: pd.DataFrame, by: str, column: str, periods: int) -> Any:
    with np.errstate(all="ignore"):
        return frame[column] / (grouped(frame, by, column).shift(periods) if periods else frame[column]) - 1


@SETTINGS
@given(ROWS, CUTS, BY, st.sampled_from(["n", "x"]))
def test_running_sums_are_pandas(rows: list[Any], cuts: list[int], by: str | None, column: str) -> None:
    table, frame = both(rows)
    found = of(templates.cumsum(column, by=by), table, cuts, f"{column}_cumsum")
    groups = [frame] if by is None else [group for _, group in frame.groupby(by)]  # whose own cumsum makes NaN of infinities
    wanted = pd.concat([pd.Series(index=frame.index[:0], dtype="float64"), *(group[column].cumsum() for group in groups)])
    wanted = wanted.reindex(frame.index)
    assert are_close(found, plain(wanted.where(frame["g"].notna()) if by else wanted), 1e-12, 0.0)


@SETTINGS
@given(
    ROWS, CUTS, BY, st.sampled_from(["n", "x", "w", "t"]), st.sampled_from(["average", "min", "max", "first", "dense"]),
    st.booleans(), st.booleans(),
)  # fmt: skip
def test_ranks_are_pandas(
    rows: list[Any], cuts: list[int], by: str | None, column: str, method: Any, ascending: bool, pct: bool
) -> None:
    table, frame = both(rows)
    frame["w"] = frame["w"].astype(object)
    found = of(templates.rank(column, method=method, ascending=ascending, pct=pct, by=by), table, cuts, f"{column}_rank")
    held = frame[column].map({word: place for place, word in enumerate(["", "a", "b", "ä"])}) if column == "w" else frame[column]
    held = held.astype("float64") if column in "nw" else held
    series = held if by is None else held.groupby(frame["g"], dropna=True)
    wanted = series.rank(method=method, ascending=ascending, pct=pct)
    assert are_close(found, plain(wanted.where(frame["g"].notna()) if by else wanted), 1e-12, 0.0)


@SETTINGS
@given(
    ROWS, CUTS, BY, st.sampled_from(["n", "x"]), st.sampled_from([1, 2, 3, 5, "1D", "2D", "3D"]),
    st.sampled_from(["sum", "mean", "min", "max", "count", "std", "var"]), st.none() | st.integers(0, 2),
)  # fmt: skip
def test_windows_are_pandas(
    rows: list[Any], cuts: list[int], by: str | None, column: str, window: Any, aggregate: Any, least: int | None
) -> None:
    table, frame = both(rows)
    least = min(least, window) if least is not None and isinstance(window, int) else least
    on = "t" if isinstance(window, str) else None
    job = templates.rolling(column, window, aggregate, on=on, min_periods=least, by=by)
    found = of(job, table, cuts, f"{column}_{aggregate}")
    frame["v"] = frame[column].astype("float64")  # whose infinities pandas leaves out, but counts
    wanted = pd.Series(math.nan, index=frame.index)
    for _, group in [(0, frame)] if by is None else frame.groupby("g"):
        held = group.set_index("t")["v"] if on else group["v"]
        wanted[group.index] = getattr(held.rolling(window, min_periods=least), aggregate)().to_numpy()
    assert are_close(found, plain(wanted), 1e-9, 1e-6)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: templates.rolling("x", 0), "window is 0"),
        (lambda: templates.rolling("x", "7D"), "of which column"),
        (lambda: templates.rolling("x", "7 parsecs", on="t"), "a span of time above 0"),
        (lambda: templates.rolling("x", 3, cast("Any", "median")), "the figure|aggregate is 'median'"),
        (lambda: templates.rolling("x", 3, min_periods=4), "min_periods is 4"),
        (lambda: templates.rank("x", method=cast("Any", "best")), "method is 'best'"),
        (lambda: templates.shift(cast("Any", ["x"])), "column is"),
    ],
)
def test_options_out_of_range_are_refused(make: Any, said: str) -> None:
    with pytest.raises(ManifestError, match=said):
        make()


@pytest.mark.parametrize(
    ("job", "data", "said"),
    [
        (templates.rolling("w", 2), {"w": ["a"]}, "column 'w' is of type (large_)?string, not of numbers"),
        (templates.rolling("x", "1D", on="x"), {"x": [1]}, "windows of a span of time are on dates"),
        (templates.rolling("x", "1D", on="t"), {"x": [1, 2], "t": np.array(["2020-01-02", "2020-01-01"], "M8[s]")}, "'t' falls"),
        (templates.diff("x"), {"x": np.array([3, 1], "u1")}, "column 'x' falls, and type uint8 has nothing below zero"),
        (
            templates.diff("x"),
            {"x": np.array([2**63, 2**64 - 1, 0], "u8")},
            "column 'x' falls, and type uint64 has nothing below",
        ),
        (templates.rolling("x", "1D", on="t"), {"x": [1], "t": np.array(["NaT"], "M8[s]")}, "row 0: a time is missing"),
        (templates.diff("w"), {"w": ["a"]}, "column 'w' is of type (large_)?string"),
        (templates.diff("c"), {"c": pd.Categorical([2, 1])}, "column 'c' has categories, which have no diff"),
        (templates.cumsum("c"), {"c": pd.Categorical([2, 1])}, "column 'c' has categories, which have no cumsum"),
        (templates.rolling("c", 2), {"c": pd.Categorical([2, 1])}, "column 'c' has categories, which have no rolling"),
        (templates.cumsum("n"), {"n": [(1 << 62), (1 << 62)]}, "column 'n', row 1"),
        (templates.shift("n", name="n"), {"n": [1]}, "has a column 'n' already"),
    ],
)
def test_columns_of_other_types_are_refused_by_name_and_type(job: Any, data: Any, said: str) -> None:
    with pytest.raises(DataError, match=said):
        job.run_local(pd.DataFrame(data))


@pytest.mark.parametrize("kind", ["int8", "int16", "int32"])
def test_differences_of_narrow_whole_numbers_dont_overflow(kind: str) -> None:
    ends = np.array([np.iinfo(kind).max, np.iinfo(kind).min, 0], kind)
    found = templates.diff("x").run_local(pd.DataFrame({"x": ends})).as_frame()["x_diff"]
    assert (str(found.dtype), found[1:].tolist()) == ("Int64", pd.Series(ends).astype("int64").diff()[1:].tolist())


def test_running_sums_of_unsigned_numbers_are_unsigned_as_in_pandas() -> None:
    frame = pd.DataFrame({"x": np.array([2**63, 5, 2**63 - 6], "u8"), "y": np.array([200, 100, 1], "u1")})
    for name in frame:
        found = templates.cumsum(name).run_local(frame).as_frame()[f"{name}_cumsum"]
        assert (found.dtype, found.tolist()) == (np.dtype("u8"), frame[name].astype("u8").cumsum().tolist())
    with pytest.raises(DataError, match="column 'x', row 1"):
        templates.cumsum("x").run_local(pd.DataFrame({"x": np.array([2**63, 2**63], "u8")}))
