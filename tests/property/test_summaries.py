"""Counts, quantiles and descriptions are pandas', over frames with nulls, NaN, ties and no rows to speak of."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pangea.compute import templates
from pangea.compute.errors import InputError, ManifestError
from pangea.compute.templates import distinct, filter_rows, join, reshaping, summaries
from tests.examples import share_of

#: pandas warns where it reckons with infinities.
pytestmark = pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
SETTINGS = settings(max_examples=share_of(40), deadline=None)


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the jobs in this process: what sandboxes do with them is tested elsewhere."""
    monkeypatch.setattr(
        summaries, "submit_job", lambda job, data, **options: job.run_local(data, **{"max_chunk_size": 8192, **options})
    )


def frames(*, rows: int = 1) -> Any:
    numbers = st.one_of(st.none(), st.sampled_from([0.0, -0.0, 0.1, 1.5, 2.5, 1e9, -3.25, math.inf, -math.inf]))
    whole = st.integers(-3, 3)
    words = st.one_of(st.none(), st.sampled_from(["a", "b", "ä", ""]))
    row = st.fixed_dictionaries({"x": numbers, "n": whole, "w": words, "g": st.sampled_from(["p", "q", None])})
    return st.lists(row, min_size=rows, max_size=40).map(
        lambda found: pd.DataFrame(found, columns=["x", "n", "w", "g"]).astype(
            {"x": "float64", "n": "int64", "w": "string", "g": "string"}
        )
    )


@SETTINGS
@given(frames(), st.sampled_from(["x", "n", "w"]), st.booleans())
def test_value_counts_are_pandas(frame: Any, column: str, dropna: bool) -> None:
    found = templates.value_counts(frame, column, dropna=dropna)
    wanted = frame[column].value_counts(dropna=dropna)
    assert found["count"].tolist() == wanted.tolist()
    assert {(None if pd.isna(v) else v): c for v, c in zip(found[column], found["count"], strict=True)} == {
        (None if pd.isna(v) else v): c for v, c in wanted.items()
    }
    ties = found.dropna().groupby("count", sort=False)[column]
    assert all(list(group) == sorted(group) for _, group in ties)


@SETTINGS
@given(frames(rows=0), st.sampled_from(["x", "n", "w"]), st.booleans())
def test_the_most_frequent_values_are_pandas(frame: Any, column: str, dropna: bool) -> None:
    found = templates.mode(frame, column, dropna=dropna)
    wanted = frame[column].mode(dropna=dropna)
    assert [None if pd.isna(each) else each for each in found] == [None if pd.isna(each) else each for each in wanted]
    assert (found.name, list(found.index)) == (column, list(range(len(found))))


@SETTINGS
@given(frames(), st.sampled_from(["x", "n", "w"]), st.booleans())
def test_different_values_are_counted_as_pandas_does(frame: Any, column: str, dropna: bool) -> None:
    assert templates.nunique(frame, column, dropna=dropna) == frame[column].nunique(dropna=dropna)
    wanted = frame.groupby("g")[column].nunique(dropna=dropna)
    found = templates.nunique(frame, column, by="g", dropna=dropna)
    assert dict(zip(found["g"], found[f"{column}_nunique"], strict=True)) == wanted.to_dict()


def test_a_median_is_never_minus_zero_as_pandas_is_not() -> None:
    frame = pd.DataFrame({"x": [-0.0, -0.0, 1.0, -1.0]})
    assert math.copysign(1, templates.median(frame, "x")) == math.copysign(1, frame["x"].median()) == 1.0


@SETTINGS
@given(frames(), st.sampled_from(["x", "n"]), st.lists(st.floats(0, 1), min_size=1, max_size=4))
def test_quantiles_are_pandas_to_the_last_digit(frame: Any, column: str, q: list[float]) -> None:
    wanted = frame[column].quantile(q).tolist()
    np.testing.assert_array_equal(templates.quantile(frame, column, q), wanted)
    np.testing.assert_array_equal(templates.median(frame, column), frame[column].median())
    by = templates.median(frame, column, by="g")
    grouped = frame.groupby("g")[column].median()
    np.testing.assert_array_equal(by[f"{column}_median"].tolist(), grouped.tolist())
    assert by["g"].tolist() == grouped.index.tolist()


@SETTINGS
@given(frames())
def test_a_description_is_pandas(frame: Any) -> None:
    found = templates.describe(frame)
    numbers = frame[["x", "n"]].describe()
    for name in ("x", "n"):
        for figure, value in numbers[name].items():
            mine = found.loc[figure, name]
            assert (math.isnan(mine) and math.isnan(value)) or mine == pytest.approx(value, rel=1e-12, abs=1e-9), figure
    words = frame["w"].describe()
    assert found.loc["count", "w"] == words["count"]
    assert found.loc["unique", "w"] == words["unique"]
    if words["count"]:
        assert found.loc["freq", "w"] == words["freq"]
        assert found.loc["top", "w"] in frame["w"].value_counts().loc[lambda counts: counts == words["freq"]].index


TIMES = st.sampled_from(["datetime64[s]", "datetime64[us]", "datetime64[s, Europe/Berlin]", "datetime64[us, Asia/Kolkata]"])
HOURS = st.lists(st.none() | st.integers(-500_000, 500_000), max_size=20)


@SETTINGS
@given(HOURS, TIMES | st.sampled_from(["timedelta64[s]", "timedelta64[us]"]))
def test_figures_of_times_are_pandas(hours: list[int | None], kind: str) -> None:
    stored = np.array([-(1 << 63) if each is None else 4 * 3600 * each for each in hours], "i8")  # the least is NaT
    values = pd.Series(stored.view("m8[s]" if "delta" in kind else "M8[s]"))
    zoned = values.dt.tz_localize("UTC").astype(kind) if ", " in kind else values.astype(kind)
    frame = pd.DataFrame({"t": zoned, "g": ["a", "b"] * (len(hours) // 2) + ["c"] * (len(hours) % 2)})
    for q in (0, 0.25, 0.5, 1):
        assert [templates.quantile(frame, "t", q)] == [frame["t"].quantile(q)] or frame["t"].count() == 0
    assert templates.quantile(frame[:0], "t") is pd.NaT
    found = templates.median(frame, "t", by="g")["t_median"]
    wanted = frame.groupby("g")["t"].median()
    pd.testing.assert_series_equal(found, wanted.reset_index(drop=True), check_names=False)
    described, right = templates.describe(frame, "t")["t"], frame["t"].describe()
    assert [*described.index] == [*right.index]
    assert all(
        one is other or one == other
        for one, other in zip(described.drop("count"), right.drop("count"), strict=True)
        if other is not pd.NaT
    )


def test_a_quantile_of_times_is_exact_where_a_float_is_not() -> None:
    late = pd.Timestamp("2262-01-01 00:00:00.000000999")
    frame = pd.DataFrame({"t": pd.Series([late, pd.Timestamp(0)], dtype="datetime64[ns]")})
    assert templates.quantile(frame, "t", 1) == late != frame["t"].quantile(1)
    spans = pd.DataFrame({"t": pd.to_timedelta([0, 10, 20], unit="s").as_unit("s")})
    assert templates.quantile(spans, "t", 0.3) == pd.Timedelta("6s")


@SETTINGS
@given(frames(), st.sampled_from([None, ["x"], ["w", "n"]]))
def test_the_first_row_of_each_is_pandas(frame: Any, subset: Any) -> None:
    found = distinct(subset).run_local(frame, max_chunk_size=2048).as_frame()
    wanted = frame.drop_duplicates(subset).reset_index(drop=True)
    pd.testing.assert_frame_equal(
        found.astype("object").where(found.notna(), None), wanted.astype("object").where(wanted.notna(), None)
    )


@SETTINGS
@given(frames(), frames())
def test_rows_are_kept_by_a_function_and_by_another_table(frame: Any, other: Any) -> None:
    kept = filter_rows(lambda row: row["n"] > 0).run_local(frame, max_chunk_size=2048).as_arrow()
    assert (kept.column_names, kept["n"].to_pylist()) == (list(frame.columns), frame["n"][frame["n"] > 0].tolist())
    small = other[["w", "n"]]
    is_there = frame["w"].isin(small["w"]).astype(bool)  # a null is a key like any other
    kinds: tuple[tuple[Any, Any], ...] = (("semi", is_there), ("anti", ~is_there))
    for how, mask in kinds:
        found = join(small, "w", how=how).run_local(frame, max_chunk_size=2048).as_arrow()
        assert (found.column_names, found["n"].to_pylist()) == (list(frame.columns), frame["n"][mask].tolist())


def test_what_has_no_quantiles_is_refused() -> None:
    frame = pd.DataFrame({"w": ["a"], "count": [1]})
    with pytest.raises(InputError, match=r"column 'w' is of type .*: quantiles are of numbers"):
        templates.quantile(frame, "w")
    with pytest.raises(ManifestError, match="q is 2"):
        templates.quantile(frame, "count", 2)
    with pytest.raises(ManifestError, match="which columns"):
        templates.describe({"a": [1]})
    assert templates.value_counts(frame, "count")["rows"].tolist() == [1]


def test_keys_of_two_bytes_are_widened_as_pandas_has_no_index_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reshaping, "submit_job", lambda job, data, **options: job.run_local(data, **options))
    frame = pd.DataFrame({"h": np.array([1.5, 2.5, 1.5], "f2"), "n": [1, 2, 4], "k": ["a", "b", "b"]})
    wide = frame.astype({"h": "float32"})
    pd.testing.assert_frame_equal(
        templates.pivot(frame, "h", "k", "n", "sum"), wide.pivot_table(index="h", columns="k", values="n", aggfunc="sum")
    )
    pd.testing.assert_frame_equal(
        templates.pivot(frame, "k", "n", "h", "max"), wide.pivot_table(index="k", columns="n", values="h", aggfunc="max")
    )
    pd.testing.assert_frame_equal(
        templates.median(frame, "n", by="h"), wide.groupby("h")["n"].median().reset_index(name="n_median")
    )
    assert templates.nunique(frame, "n", by="h")["n_nunique"].tolist() == [2, 1]
