"""Group-by against pandas and exact fractions, and its merge in any grouping: the same bytes."""

from __future__ import annotations

import datetime as dt
import math
from array import array
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pangea.compute import templates
from pangea.compute.data import DataError, Table
from pangea.compute.data.running import _power_below, figures_by_key
from pangea.compute.errors import ManifestError
from pangea.compute.jobs import JobDefinition
from pangea.compute.templates import grouping, groups
from tests.examples import share_of
from tests.merging import cut_at, executed, merged, merged_in_groups

ALL = ("count", "sum", "mean", "min", "max", "var", "std")
KEYS = {
    "int64": st.integers(-(1 << 63), (1 << 63) - 1) | st.integers(-2, 2),
    "string": st.text(max_size=3) | st.sampled_from(["", "a", "é", "🐍"]),
    "float64": st.floats() | st.sampled_from([0.0, -0.0, math.inf]),
    "bool": st.booleans(),
    "date32": st.dates(dt.date(1900, 1, 1), dt.date(2100, 1, 1)),
}
#: What spoils sums that round: large and small together, what cancels, what is missing.
AWKWARD = st.sampled_from([0.1, -0.1, 1e16, -1e16, 1e100, -1e100, 5e-324, 1e-30, 0.0, -0.0, math.nan, math.inf, -math.inf])
FLOATS = st.floats(-1e6, 1e6) | AWKWARD
INTEGERS = st.integers(-(1 << 63), (1 << 63) - 1) | st.integers(-9, 9)
CUTS = st.lists(st.integers(0, 60), max_size=5)


@st.composite
def tables(draw: st.DrawFn, values: st.SearchStrategy[Any] = FLOATS, kind: str = "float64") -> Table:
    key_kind = draw(st.sampled_from(sorted(KEYS)))
    keys = st.none() | KEYS[key_kind]
    held = draw(st.lists(keys, min_size=1, max_size=4))
    rows = draw(st.lists(st.tuples(st.sampled_from(held), st.none() | values), max_size=40))
    columns = {"key": [key for key, _ in rows], "x": [value for _, value in rows]}
    return Table.of(columns, {"key": key_kind, "x": kind})


def by_key(table: Table) -> dict[Any, list[Any]]:
    """The values of each key, neither of them missing."""
    groups: dict[Any, list[Any]] = {}
    for key, value in table.rows():
        if key is not None and key == key:
            groups.setdefault(key, [])
            groups[key] += [value] if value is not None and value == value else []
    return groups


def assert_merges_to_the_same_bytes(job: JobDefinition, table: Table, cuts: list[int], groups: list[int]) -> Table:
    results = executed(job, cut_at(table, cuts))
    whole = merged(job, results)
    assert merged_in_groups(job, results, groups) == whole
    assert merged(job, [whole]) == whole
    return Table.from_arrow(whole)


@given(tables(), CUTS, CUTS)
@settings(max_examples=share_of(300))
def test_any_grouping_of_merges_gives_the_same_bytes(table: Table, cuts: list[int], groups: list[int]) -> None:
    job = templates.group_by("key", {"x": ["count", "sum", "mean", "min", "max"]}, size="rows", keep_missing=True)
    assert_merges_to_the_same_bytes(job, table, cuts, groups)


#: Types of which there are first and last values, and whether these are true or not.
FIRSTS: dict[str, st.SearchStrategy[Any]] = {
    "float64": AWKWARD,
    "int64": st.integers(-1, 1),
    "bool": st.booleans(),
    "string": st.sampled_from(["", "a", "é"]),
    "date32": st.dates(),
    "list<item: int64>": st.lists(st.integers(0, 3), max_size=2),
}


@given(st.data(), st.sampled_from(sorted(FIRSTS)), CUTS, CUTS)
@settings(max_examples=share_of(300))
def test_first_and_last_values_are_those_of_the_rows_as_they_come(data: Any, kind: str, cuts: Any, groups: Any) -> None:
    table = data.draw(tables(FIRSTS[kind], kind))
    truths = ["any", "all"] if kind in ("float64", "int64", "bool") else []
    job = templates.group_by("key", {"x": ["first", "last", *truths]})
    found = assert_merges_to_the_same_bytes(job, table, cuts, groups)
    wanted = by_key(table)
    assert len(found) == len(wanted)
    for key, first, last, *known in found.rows():
        values = wanted[key]
        assert repr([first, last]) == repr([values[0], values[-1]] if values else [None, None])
        assert known == [any(values), all(values)][: len(truths)]


@given(tables(st.floats(-1e6, 1e6) | AWKWARD.filter(lambda x: not abs(x) > 1e90)), CUTS, CUTS)
@settings(max_examples=share_of(300))
def test_variances_merge_to_the_same_bytes(table: Table, cuts: list[int], groups: list[int]) -> None:
    job = templates.group_by("key", {"x": ["var", "mean"]})
    assert_merges_to_the_same_bytes(job, table, cuts, groups)


@given(tables(INTEGERS, "int64"), CUTS, CUTS)
def test_integers_merge_to_the_same_bytes_and_are_exact(table: Table, cuts: list[int], groups: list[int]) -> None:
    found = assert_merges_to_the_same_bytes(templates.group_by("key", {"x": ALL}), table, cuts, groups)
    for row in found.dicts():
        values = by_key(table)[row["key"]]
        total = sum(values)
        assert row["x_count"] == len(values)
        assert row["x_sum"] == (total if found.schema["x_sum"] == "int64" else float(total))
        assert (row["x_min"], row["x_max"]) == (min(values, default=None), max(values, default=None))
        if values:
            assert math.isclose(row["x_mean"], Fraction(total, len(values)), rel_tol=1e-15, abs_tol=0)
        if len(values) > 1:
            mean = Fraction(total, len(values))
            expected = sum((value - mean) ** 2 for value in values) / (len(values) - 1)
            assert math.isclose(row["x_var"], expected, rel_tol=1e-14, abs_tol=0)


@given(tables(), CUTS)
@settings(max_examples=share_of(300))
def test_sums_are_exact_wherever_the_input_is_cut(table: Table, cuts: list[int]) -> None:
    job = templates.group_by("key", {"x": ["count", "sum", "mean", "min", "max"]})
    found = Table.from_arrow(merged(job, executed(job, cut_at(table, cuts))))
    groups = by_key(table)
    assert found["key"].tolist() == sorted(groups)
    for row in found.dicts():
        values = groups[row["key"]]
        special = [value for value in values if math.isinf(value)]
        expected = sum(special) if special else float(sum(map(Fraction, values)))
        assert row["x_sum"] == expected or (math.isnan(row["x_sum"]) and math.isnan(expected))
        assert (row["x_count"], row["x_min"], row["x_max"]) == (len(values), min(values, default=None), max(values, default=None))
        assert (row["x_mean"] is None) == (not values)
        if values and not special:
            assert row["x_mean"] == row["x_sum"] / len(values)


@given(
    st.lists(st.tuples(st.integers(0, 3), st.floats(-1e3, 1e3) | st.floats(1e5, 1e5 + 1e-3) | st.just(math.nan)), min_size=1),
    CUTS,
    st.integers(0, 2),
)
def test_the_figures_are_those_of_pandas(rows: list[tuple[int, float]], cuts: list[int], ddof: int) -> None:
    frame = pd.DataFrame(rows, columns=["key", "x"])
    job = templates.group_by("key", {"x": ALL}, size="rows", ddof=ddof)
    chunks = [piece for piece in cut_at(frame, cuts) if len(piece)]
    found = Table.from_arrow(merged(job, executed(job, [Table.of({"key": list(c["key"]), "x": list(c["x"])}) for c in chunks])))
    groups = frame.groupby("key")["x"]
    expected = groups.agg(["count", "sum", "mean", "min", "max"])
    for what in ("count", "sum", "mean", "min", "max"):
        np.testing.assert_allclose(
            np.array(found[f"x_{what}"].tolist(), float), expected[what].to_numpy(float), rtol=1e-12, atol=1e-9
        )
    assert found["rows"].tolist() == groups.size().tolist()
    assert found["x_std"].tolist() == [None if each is None else math.sqrt(each) for each in found["x_var"].tolist()]
    spread = groups.var(ddof=ddof).to_numpy(float)
    scale = np.nan_to_num(groups.apply(lambda x: np.square(x).max()).to_numpy(float))
    for mine, theirs, top in zip(np.array(found["x_var"].tolist(), float), spread, scale, strict=True):
        assert (math.isnan(mine) and math.isnan(theirs)) or math.isclose(mine, theirs, rel_tol=1e-9, abs_tol=1e-14 * top)


def test_variances_are_right_where_squares_cancel() -> None:
    random = np.random.default_rng(7)
    far = np.concatenate([[1e5], random.normal(100.0, 15.0, 40_000)])  # the first number says little of the others
    near = 1e12 + random.normal(0.0, 1.0, 40_001)
    for values, tolerance in ((far, 1e-13), (near, 1e-9)):
        found = templates.group_by("key", {"x": "var"}).run_local({"key": ["a"] * len(values), "x": values}).as_frame()
        mean = sum(map(Fraction, values)) / len(values)
        expected = float(sum((Fraction(value) - mean) ** 2 for value in values) / (len(values) - 1))
        assert math.isclose(found["x_var"][0], expected, rel_tol=tolerance)


def test_what_is_constant_has_no_variance() -> None:
    values = np.random.default_rng(2).normal(0.0, 9.0, 50).repeat(99)
    frame = pd.DataFrame({"key": np.arange(50).repeat(99), "x": values})
    assert set(templates.group_by("key", {"x": "var"}).run_local(frame).as_frame()["x_var"]) == {0.0}


@pytest.mark.parametrize("spread", [1.0, 1e30])
@pytest.mark.parametrize("kinds", [3, 3000])
def test_the_fast_way_and_the_slow_one_agree(spread: float, kinds: int) -> None:
    random = np.random.default_rng(3)
    values = random.normal(0.0, 1.0, 70_000) * np.where(random.random(70_000) < 0.5, spread, 1.0)
    frame = pd.DataFrame({"key": random.integers(0, kinds, 70_000), "x": values})
    is_fast = figures_by_key(frame["key"].to_list(), frame["x"].to_list(), 8.0 * float(abs(values).max())) is not None
    assert is_fast == (spread == 1.0)
    found = templates.group_by("key", {"x": ["sum", "count"]}).run_local(frame).as_frame()
    expected = [(key, math.fsum(group), len(group)) for key, group in frame.groupby("key")["x"]]
    assert list(found.itertuples(index=False, name=None)) == expected


@pytest.mark.parametrize(("likely", "kinds"), [(8.0, 1), (2.1e6, 50_000), (1e7, 1)])
def test_numbers_that_are_not_as_expected_are_gone_through_again(likely: float, kinds: int) -> None:
    random = np.random.default_rng(1)
    for values in (random.uniform(1e6, 2e6, 50_000), random.normal(0.0, 1e6, 50_000)):
        groups = figures_by_key(["a"] * 50_000, memoryview(array("d", values)), likely, kinds)
        assert groups is not None
        assert Fraction(groups["a"].high) + Fraction(groups["a"].low) == sum(map(Fraction, values))
        assert (groups["a"].least, groups["a"].most, groups["a"].count) == (values.min(), values.max(), 50_000)


@given(st.lists(st.floats(-1e300, 1e300).filter(bool), min_size=1))
def test_no_number_is_below_the_power_that_is_said_to_be(values: list[float]) -> None:
    power = _power_below(memoryview(array("d", values)))
    assert power <= min(map(abs, values))
    assert power == 0.0 or min(map(abs, values)) < power * 2**16
    assert _power_below(memoryview(array("d", [*values, 0.0]))) == 0.0
    assert _power_below(values) == 0.0


def test_several_keys_several_columns_and_what_is_missing() -> None:
    frame = pd.DataFrame(
        {
            "a": ["x", "x", None, "y", "x", None],
            "b": pd.array([1, None, 1, 2, 1, None], "Int64"),
            "day": pd.to_datetime(["2026-01-03", "2026-01-01", "2026-01-02", None, "2026-01-05", "2026-01-09"]),
            "n": pd.array([1, 2, 3, None, 5, 6], "Int64"),
        }
    )
    wanted = {"day": ["min", "max"], "n": ["sum", "count"]}
    kept = templates.group_by(["a", "b"], wanted, keep_missing=True).run_local(frame).as_frame()
    expected = frame.groupby(["a", "b"], dropna=False).agg(
        day_min=("day", "min"), day_max=("day", "max"), n_sum=("n", "sum"), n_count=("n", "count")
    )
    assert kept["a"].fillna("-").tolist() == ["x", "x", "y", "-", "-"]
    assert kept["b"].astype(object).where(kept["b"].notna(), None).tolist() == [1, None, 2, 1, None]
    assert kept["n_sum"].tolist() == expected["n_sum"].tolist()
    assert kept["n_count"].tolist() == expected["n_count"].tolist()
    assert kept["day_min"].astype(str).tolist() == expected["day_min"].astype(str).tolist()
    left = templates.group_by(["a", "b"], wanted).run_local(frame).as_frame()
    assert left["n_sum"].tolist() == [6, 0]
    assert [None if pd.isna(day) else day.day for day in left["day_max"]] == [5, None]


def test_a_sum_beyond_64_bits_is_a_float() -> None:
    found = templates.group_by("k", {"x": ["sum"]}).run_local({"k": [1, 1, 2], "x": [(1 << 63) - 1, 5, 7]}).as_frame()
    assert found["x_sum"].tolist() == [float((1 << 63) + 4), 7.0]


def test_what_is_in_the_metadata_is_in_no_column() -> None:
    result = templates.group_by("k", {"x": ["mean", "var"]}).run_local({"k": [1, 1], "x": [1.0, 2.0]})
    assert result.as_frame().columns.tolist() == ["k", "x_mean", "x_var"]


def test_no_rows_are_no_groups() -> None:
    table = Table.of({"k": [], "x": []}, {"k": "string", "x": "float64"})
    found = templates.group_by("k", {"x": ALL}).run_local(table)
    assert len(found.as_frame()) == 0
    assert Table.from_arrow(bytes(found)).schema["x_sum"] == "float64"


SPANS = st.integers(-(1 << 55), 1 << 55) | st.integers(-3, 3)


@given(tables(SPANS, "duration[us]"), CUTS, CUTS)
@settings(max_examples=share_of(100))
def test_spans_of_time_add_up_to_spans(table: Table, cuts: list[int], groups: list[int]) -> None:
    job = templates.group_by("key", {"x": ["sum", "mean", "count"]})
    found = assert_merges_to_the_same_bytes(job, table, cuts, groups)
    kinds = [found.schema[f"x_{what}"] for what in ("sum", "mean", "count")]
    assert (found.names, kinds) == (["key", "x_sum", "x_mean", "x_count"], ["duration[us]", "duration[us]", "int64"])
    for key, total, mean, count in found.rows():
        values = by_key(table)[key]
        wanted = sum(values, dt.timedelta())
        whole = wanted // dt.timedelta(microseconds=1)
        assert (total, count) == (wanted, len(values))
        assert mean == (dt.timedelta(microseconds=math.trunc(Fraction(whole, count))) if count else None)


@pytest.mark.parametrize("unit", ["s", "ns"])
def test_sums_and_means_of_spans_are_pandas(unit: str) -> None:
    spans = np.array([5, 6, -7, 0, 1, -2], f"m8[{unit}]").astype(f"m8[{unit}]")
    spans[3] = np.timedelta64("NaT")
    frame = pd.DataFrame({"k": ["a", "a", "b", "c", "b", "a"], "x": spans})
    found = templates.group_by("k", {"x": ["sum", "mean", "min"]}).run_local(frame).as_frame().set_index("k")
    wanted = frame.groupby("k")["x"].agg(["sum", "mean", "min"]).rename(columns="x_{}".format)
    pd.testing.assert_frame_equal(found, wanted, check_index_type=False)


def test_spans_beyond_64_bits_are_refused_not_turned_round() -> None:
    table = Table.of({"k": [1, 1], "x": np.array([1 << 62, 1 << 62], "m8[ns]")})
    with pytest.raises(DataError, match="spans of time is beyond 64 bits"):
        templates.group_by("k", {"x": "sum"}).run_local(table)
    with pytest.raises(DataError, match=r"of type duration\[ns\] has no var"):
        templates.group_by("k", {"x": "var"}).run_local(table)
    with pytest.raises(DataError, match=r"of type duration\[ns\] has no std"):
        templates.group_by("k", {"x": "std"}).run_local(table)
    assert templates.group_by("k", {"x": "mean"}).run_local(table).as_frame()["x_mean"].tolist() == [pd.Timedelta(1 << 62)]


def test_wrong_wishes_are_said_at_once() -> None:
    with pytest.raises(ManifestError, match="'means'; it must be one of count, sum") as caught:
        templates.group_by("k", {"x": "means"})
    assert caught.value.hint == "did you mean 'mean'?"
    with pytest.raises(ManifestError, match="'median', which isn't made here") as elsewhere:
        templates.group_by("k", {"x": "median"})
    assert elsewhere.value.hint == "of groups: templates.median(data, column, by=...)"
    with pytest.raises(DataError, match="column 'x' of type string has no any: numbers have"):
        templates.group_by("k", {"x": "any"}).run_local(Table.of({"k": [1], "x": ["a"]}))
    for by, aggregates in (([], {"x": "sum"}), (["k", "k"], {"x": "sum"}), (3, {"x": "sum"})):
        with pytest.raises(ManifestError, match="a column's name, or a list of different ones"):
            templates.group_by(by, aggregates)  # type: ignore[arg-type]
    with pytest.raises(ManifestError, match="no figures"):
        templates.group_by("k", {})
    with pytest.raises(ManifestError, match="one twice"):
        templates.group_by("k", {"x": ["sum", "sum"]})
    with pytest.raises(ManifestError, match="it must be a dict"):
        templates.group_by("k", ["x"])  # type: ignore[arg-type]


def test_columns_that_can_not_be_summed_are_named() -> None:
    with pytest.raises(DataError, match="column 's' of type string has no mean"):
        templates.group_by("k", {"s": "mean"}).run_local({"k": [1], "s": ["a"]})
    with pytest.raises(KeyError, match="no column 'y'"):
        templates.group_by("k", {"y": "mean"}).run_local({"k": [1], "s": ["a"]})
    job = templates.group_by("k", {"x": "sum"})
    one, other = executed(job, [Table.of({"k": [1], "x": [1]}), Table.of({"k": [1], "x": [1.5]})])
    with pytest.raises(DataError, match="column 'x' is of floats in one part"):
        merged(job, [one, other])
    texts = executed(job, [Table.of({"k": ["a"], "x": [1]})])
    with pytest.raises(DataError, match=r"string in one part|int64 in one part"):
        merged(job, [one, *texts])


@st.composite
def ordinary(draw: st.DrawFn) -> Table:
    """Tables as people have them, which NumPy reckons with: no infinities, no zeros of two signs."""
    key = draw(st.sampled_from(["int64", "string", "date32"]))
    keys = {"int64": st.integers(-3, 3) | st.just(1 << 60), "string": st.sampled_from("abc"), "date32": KEYS["date32"]}[key]
    kind = draw(st.sampled_from(["float64", "float32", "int64", "uint64", "int8", "bool"]))
    values = {
        "float64": st.integers(-(10**7), 10**7).map(lambda number: number / 1000) | st.just(math.nan),
        "float32": st.integers(-999, 999).map(lambda number: number / 8),
        "int64": INTEGERS,
        "uint64": st.integers(0, (1 << 64) - 1),
        "int8": st.integers(-128, 127),
        "bool": st.booleans(),
    }[kind]
    rows = draw(st.lists(st.tuples(keys | st.none(), values | st.none()), max_size=40))
    return Table.of({"key": [row[0] for row in rows], "x": [row[1] for row in rows]}, {"key": key, "x": kind})


@given(ordinary(), CUTS, st.booleans())
@settings(max_examples=share_of(150))
def test_what_numpy_reckons_is_what_rows_come_to_one_by_one(table: Table, cuts: list[int], keeps: bool) -> None:
    whats = ["count", "min", "max", "sum", "mean", *(["var"] if table["x"].type.startswith("float") else [])]
    job = templates.group_by("key", {"x": whats}, size="rows", keep_missing=keeps)
    found = merged(job, executed(job, cut_at(table, cuts)))
    with pytest.MonkeyPatch.context() as patch:
        for name in ("coded", "distilled", "totals", "extremes", "array_variances"):
            patch.setattr(groups, name, lambda *_, **__: None)
        slow = merged(job, executed(job, cut_at(table, cuts)))
    if "var" not in whats:
        assert found == slow
    for name, column in Table.from_arrow(found).columns.items():
        other = Table.from_arrow(slow)[name].tolist()
        close = math.isclose if name == "x_var" else lambda one, two, **_: one == two
        assert all(one is two or close(one, two, rel_tol=1e-12) for one, two in zip(column.tolist(), other, strict=True)), name


def test_the_variances_of_arrays_are_those_of_lists_to_the_last_digit() -> None:
    random = np.random.default_rng(5)
    values = [
        random.normal(50, 15, 400).round(3),
        random.normal(1e9, 1e-3, 400),
        random.normal(0, 1, 400) * 10.0 ** random.integers(-8, 8, 400),
    ]
    for each in [*values, np.repeat(0.1, 400)]:
        table = Table.of({"key": np.arange(400) % 90, "x": each})
        job = templates.group_by("key", {"x": ["var"]})
        results = executed(job, cut_at(table, [100, 300]))
        found = merged(job, results)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(groups, "array_variances", lambda *_: None)
            assert merged(job, results) == found


@pytest.mark.parametrize("count", [5, 3_000])
def test_many_rows_of_few_groups_and_of_many_come_to_what_rows_come_to_one_by_one(count: int) -> None:
    random = np.random.default_rng(3)
    keys, values = random.integers(-7, count - 7, 9_000), random.normal(100.0, 15.0, 9_000)
    values[::1_000] = 5e6  # so that one number for all is far from some groups' own
    table = Table.of({"key": keys, "x": values, "n": random.integers(-(1 << 62), 1 << 62, 9_000)})
    job = templates.group_by("key", {"x": ["min", "max", "sum", "mean", "var"], "n": ["sum", "min", "max"]}, size="rows")
    results = executed(job, cut_at(table, [2_000, 7_000]))
    found = Table.from_arrow(merged(job, results))
    with pytest.MonkeyPatch.context() as patch:
        for name in ("coded", "distilled", "totals", "extremes", "array_variances", "exact_levels", "of_all_keys"):
            patch.setattr(groups, name, lambda *_, **__: None)
        slow = Table.from_arrow(merged(job, executed(job, cut_at(table, [2_000, 7_000]))))
    for name in found.names:
        if name != "x_var":
            assert found[name].tolist() == slow[name].tolist(), name
    for one, two in zip(found["x_var"].tolist(), slow["x_var"].tolist(), strict=True):
        assert one is two or math.isclose(one, two, rel_tol=1e-12)


def test_keys_beyond_the_range_of_signed_numbers_are_keys() -> None:
    keys = [(1 << 64) - 1, (1 << 64) - 3, (1 << 63) + 5, (1 << 64) - 1]
    for given_keys in (keys, keys[:2], [3, *keys]):
        table = Table.of({"key": given_keys, "x": [1.5] * len(given_keys)}, {"key": "uint64", "x": "float64"})
        job = templates.group_by("key", {"x": ["sum", "var"]}, size="rows")
        found = assert_merges_to_the_same_bytes(job, table, [1], [])
        assert found["key"].tolist() == sorted(set(given_keys))
        assert found["rows"].tolist() == [given_keys.count(key) for key in sorted(set(given_keys))]


def test_a_table_merged_once_more_is_the_same_bytes_where_groups_have_no_variance() -> None:
    """What lies below a null is the same, whichever way a variance was found."""
    table = Table.of({"key": [0, 1, 0, 1], "x": [3.0, -0.0, None, 3.4e-6]}, {"key": "int64", "x": "float64"})
    found = assert_merges_to_the_same_bytes(templates.group_by("key", {"x": ["var", "mean"]}), table, [0, 2, 2], [])
    assert found["x_var"].tolist()[0] is None


@given(tables(st.floats(-1e6, 1e6)), CUTS, st.integers(1, 9))
@settings(max_examples=share_of(50))
def test_rows_gone_through_in_parts_come_to_the_same_sums(table: Table, cuts: list[int], most: int) -> None:
    job = templates.group_by("key", {"x": ["count", "sum", "mean", "min", "max"]}, size="rows", keep_missing=True)
    whole = merged(job, executed(job, cut_at(table, cuts)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(groups, "_ROWS_MAX", most)
        assert merged(job, executed(job, cut_at(table, cuts))) == whole


@pytest.mark.parametrize(("decades", "is_fast"), [(3, True), (18, True), (30, True), (90, False)])
def test_numbers_of_many_sizes_are_cut_into_as_many_parts_as_it_takes(decades: int, is_fast: bool) -> None:
    random = np.random.default_rng(11)
    values = random.normal(0.0, 1.0, 5_000) * 10.0 ** random.integers(-decades, 1, 5_000)
    table = Table.of({"key": random.integers(0, 9, 5_000), "x": values})
    rows = grouping.coded(table["key"].numbers(), sorted)
    assert rows is not None
    assert (grouping.figures(rows, table["x"], None, ("sum", "var"), needs_sums=True) is not None) == is_fast
    found = templates.group_by("key", {"x": ["sum", "var"]}).run_local(table).as_frame()
    for key, total, variance in found.itertuples(index=False, name=None):
        held = [Fraction(value) for value in values[np.array(table["key"].tolist()) == key]]
        mean = sum(held) / len(held)
        assert total == float(sum(held))
        assert math.isclose(variance, sum((value - mean) ** 2 for value in held) / (len(held) - 1), rel_tol=1e-13)


@pytest.mark.parametrize("cuts", [[], [1], [1, 2]])
def test_the_mean_of_a_sum_beyond_a_float_is_the_same_wherever_the_input_is_cut(cuts: list[int]) -> None:
    job = templates.group_by("k", {"x": ["sum", "mean"]})
    table = Table.of({"k": [0, 0], "x": [-1e308, -1e308]})
    assert list(Table.from_arrow(merged(job, executed(job, cut_at(table, cuts)))).rows()) == [(0, -math.inf, -1e308)]


def test_a_deviation_needs_no_variance_beside_it() -> None:
    frame = pd.DataFrame({"k": ["a", "b", "a", "a"], "x": [1.0, 5.0, 2.0, 4.0], "n": [1, 2, 3, 5]})
    found = templates.group_by("k", {"x": ["std", "mean"], "n": "std"}, size="rows").run_local(frame).as_frame()
    theirs = frame.groupby("k")
    assert found.columns.tolist() == ["k", "x_std", "x_mean", "n_std", "rows"]
    for column in ("x", "n"):
        np.testing.assert_allclose(found[f"{column}_std"].to_numpy(float), theirs[column].std().to_numpy(), rtol=1e-15)
