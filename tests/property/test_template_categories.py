"""Categories, ordered or not, go through ready jobs as through pandas: the same rows, in the same order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pangea.compute import templates
from pangea.compute.data import DataError
from pangea.compute.jobs import JobDefinition
from pangea.compute.templates import reshaping, summaries
from tests.examples import share_of

SETTINGS = settings(max_examples=share_of(40), deadline=None)
#: Of each type that categories may have, in an order that isn't that of the values; not all of them need be there.
LISTS: dict[str, Any] = {
    "text": ["S", "M", "L", "XL", "ä"],
    "whole": [30, 10, 2**62, -5],
    "float": [2.5, -1.0, np.inf],
    "truth": [True, False],
    "days": list(pd.to_datetime(["2024-03-01", "2024-01-01"])),
    "zoned": list(pd.to_datetime(["2024-03-01", "2024-01-01"], utc=True).tz_convert("Europe/Berlin")),
    "spans": list(pd.to_timedelta([3, 1, 2], unit="h")),
}


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (summaries, reshaping):
        monkeypatch.setattr(
            module, "submit_job", lambda job, data, **options: job.run_local(data, max_chunk_size=4096, **options)
        )


@st.composite
def frames(draw: st.DrawFn, *, is_ordered: bool | None = None) -> Any:
    kind = draw(st.sampled_from(sorted(LISTS)))
    ordered = draw(st.booleans()) if is_ordered is None else is_ordered
    size = draw(st.integers(0, 40))
    codes = draw(st.lists(st.integers(-1, len(LISTS[kind]) - 1), min_size=size, max_size=size))
    numbers = draw(st.lists(st.integers(0, 3), min_size=size, max_size=size))
    values = pd.Categorical.from_codes(codes, categories=LISTS[kind], ordered=ordered)
    return pd.DataFrame({"c": values, "n": np.array(numbers, "i8"), "row": np.arange(size)})


def made(job: JobDefinition, frame: Any) -> Any:
    return job.run_local(frame, max_chunk_size=4096).as_frame()


def check(found: Any, wanted: Any, **how: Any) -> None:
    pd.testing.assert_frame_equal(found, wanted.reset_index(drop=True), **how)


@SETTINGS
@given(frames(), st.booleans())
def test_rows_are_sorted_in_the_order_of_categories(frame: Any, descending: bool) -> None:
    wanted = frame.sort_values("c", ascending=not descending, kind="stable")
    check(made(templates.sort("c", descending=descending), frame), wanted)
    check(made(templates.top_k(5, "c", descending=descending), frame), wanted[:5])


@SETTINGS
@given(frames())
def test_groups_are_in_the_order_of_categories(frame: Any) -> None:
    wanted = frame.groupby("c", observed=True)["n"].agg(n_sum="sum", n_count="count").reset_index()
    check(made(templates.group_by("c", {"n": ["sum", "count"]}), frame), wanted)
    wanted = frame.groupby(["n", "c"], observed=True).size().reset_index(name="rows")
    check(made(templates.group_by(["n", "c"], {}, size="rows"), frame), wanted)


@SETTINGS
@given(frames(is_ordered=True))
def test_the_least_and_greatest_are_by_the_order_of_categories(frame: Any) -> None:
    wanted = frame.groupby("n")["c"].agg(c_min="min", c_max="max", c_count="count").reset_index()
    if len(frame):  # of no rows, pandas' figures have no categories
        check(made(templates.group_by("n", {"c": ["min", "max", "count"]}), frame), wanted)


@SETTINGS
@given(frames(), st.sampled_from(["average", "min", "max", "first", "dense"]))
def test_ranks_and_shifts_are_pandas(frame: Any, method: Any) -> None:
    check(made(templates.rank("c", method=method), frame), frame.assign(c_rank=frame["c"].rank(method=method)))
    check(made(templates.shift("c", by="n"), frame), frame.assign(c_shift=frame.groupby("n")["c"].shift()))


@SETTINGS
@given(frames(), st.booleans())
def test_counts_of_values_have_the_categories_that_no_row_has(frame: Any, dropna: bool) -> None:
    check(templates.value_counts(frame, "c", dropna=dropna), frame["c"].value_counts(dropna=dropna).reset_index())
    assert templates.nunique(frame, "c", dropna=dropna) == frame["c"].nunique(dropna=dropna)
    if frame["c"].notna().any():
        check(templates.median(frame, "n", by="c"), frame.groupby("c", observed=True)["n"].median().reset_index(name="n_median"))


@SETTINGS
@given(frames(), st.sampled_from([("n", "c"), ("c", "n"), (["c", "d"], "n"), (["n", "d"], "c"), (["d", "n"], "c")]))
@example(pd.DataFrame({"c": pd.Categorical(["b", "a"], categories=["b", "a", "z"]), "n": [1, 0], "row": [0, 1]}), ("n", "c"))
def test_pivots_and_first_rows_are_pandas(frame: Any, axes: Any) -> None:
    check(made(templates.distinct("c"), frame), frame.drop_duplicates("c"))
    if frame["c"].notna().any():
        frame = frame.assign(d=frame["row"].astype("category") if len(frame) < 5 else frame["row"] % 3)
        index, column = axes
        wanted = frame.pivot_table(index=index, columns=column, values="row", aggfunc="mean", observed=True)
        pd.testing.assert_frame_equal(templates.pivot(frame, index, column, "row", "mean"), wanted)


@SETTINGS
@given(frames(), frames(), st.sampled_from(["inner", "left"]), st.booleans())
def test_a_key_keeps_its_categories_where_both_tables_have_the_same(one: Any, other: Any, how: Any, same: bool) -> None:
    small = (one if same else other).drop_duplicates("c").dropna(subset="c")[["c", "row"]]
    small = small.assign(row=pd.Categorical(small["row"].astype(str), [*map(str, range(40))], ordered=True))
    if one["c"].cat.categories.dtype != small["c"].cat.categories.dtype:
        return  # such keys are refused
    plain = {"c": object if one["c"].dtype != small["c"].dtype else one["c"].dtype}  # pandas can't cast whole numbers and NaN
    wanted = one.astype(plain).merge(small.astype(plain), on="c", how=how, suffixes=("", "_right"))
    wanted = wanted[wanted["c"].notna()] if how == "inner" else wanted
    found = made(templates.join(small, "c", how=how), one)
    assert [None if pd.isna(key) else key for key in found["c"]] == [None if pd.isna(key) else key for key in wanted["c"]]
    check(found.drop(columns="c"), wanted.drop(columns="c"))
    assert isinstance(found["c"].dtype, pd.CategoricalDtype) == (one["c"].dtype == small["c"].dtype)


def test_an_outer_join_is_in_the_order_of_categories_that_both_have() -> None:
    sizes = pd.CategoricalDtype(["S", "M", "L"], ordered=True)
    large = pd.DataFrame({"c": pd.Series(["L", "S", None], dtype=sizes), "n": [1, 2, 3]})
    small = pd.DataFrame({"c": pd.Series(["M", "L"], dtype=sizes), "v": [8, 9]})
    found = made(templates.join(small, "c", how="outer"), large)
    assert (found["c"].dtype, found["c"].tolist()[1:]) == (sizes, ["S", "M", "L"])
    assert pd.isna(found["c"][0])
    found = made(templates.join(small.astype({"c": "str"}), "c", how="outer"), large)
    assert (str(found["c"].dtype), found["c"].tolist()[:3]) == ("str", ["L", "M", "S"])
    found = made(templates.join(small, "c", how="right"), large)
    assert (found["c"].dtype, found["c"].tolist(), found["n"].tolist()) == (sizes, ["M", "L"], [pd.NA, 1])


def test_the_nearest_row_and_spans_of_time_bring_their_categories_along() -> None:
    sizes = pd.CategoricalDtype(["S", "M", "L"], ordered=True)
    days = pd.DataFrame({"t": pd.to_datetime(["2024-01-01", "2024-01-03"]), "c": pd.Series(["M", "S"], dtype=sizes)})
    found = made(templates.join_asof(days, "t"), days[["t"]])
    check(found, pd.merge_asof(days[["t"]], days, on="t"))
    found = made(templates.resample("1D", "t", {"c": "max"}), days)
    assert (found["c_max"].dtype, found["c_max"].astype(object).where(found["c_max"].notna(), None).tolist()) == (
        sizes,
        ["M", None, "S"],
    )


@pytest.mark.parametrize(
    ("aggregate", "is_ordered", "message"),
    [
        ("min", False, r"column 'c' has categories without an order: none is the least or the greatest; .*as_ordered\(\)"),
        ("max", False, r"column 'c' has categories without an order"),
        ("sum", True, r"column 'c' has categories, which have no sum: pass it as numbers"),
        ("mean", False, r"column 'c' has categories, which have no mean"),
    ],
)
def test_figures_that_pandas_refuses_are_refused(aggregate: str, is_ordered: bool, message: str) -> None:
    frame = pd.DataFrame({"c": pd.Categorical([2, 1], categories=[2, 1], ordered=is_ordered), "n": [1, 1]})
    with pytest.raises(DataError, match=message):
        templates.group_by("n", {"c": aggregate}).run_local(frame)
