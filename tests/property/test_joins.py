"""Joins that keep all of the small table, and joins with the nearest row, are pandas', with nulls and repeated keys."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

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

SETTINGS = settings(max_examples=share_of(80), deadline=None)
CUTS = st.lists(st.integers(0, 40), max_size=3)
LETTERS = st.none() | st.sampled_from("ab")
LARGE = st.lists(st.tuples(st.none() | st.integers(0, 4), LETTERS), max_size=16)
SMALL = st.lists(st.tuples(st.none() | st.integers(0, 5), LETTERS, st.text(max_size=2)), max_size=8)


def tables(large: list[Any], small: list[Any]) -> tuple[Table, Table]:
    left = Table.of(
        {"k": [k for k, _ in large], "s": [s for _, s in large], "row": list(range(len(large)))},
        {"k": "int64", "s": "string", "row": "int64"},
    )
    names = {"k": "int64", "s": "string", "text": "string"}
    return left, Table.of({name: [row[at] for row in small] for at, name in enumerate(names)}, names)


def frame_of(table: Table) -> pd.DataFrame:
    return pd.DataFrame(table.tolist(), columns=table.names, dtype=object)


def rows_of(frame: pd.DataFrame) -> list[Any]:
    return list(frame.astype(object).where(frame.notna(), None).itertuples(index=False, name=None))


@SETTINGS
@given(LARGE, SMALL, CUTS, st.sampled_from(["inner", "left", "right", "outer"]), st.booleans())
def test_rows_are_joined_as_pandas_joins_them(large: list[Any], small: list[Any], cuts: list[int], how: Any, two: bool) -> None:
    keys = ["k", "s"] if two else ["k"]
    left, right = tables(large, small)
    job = templates.join(right, keys, how=how)
    parts = executed(job, cut_at(left, cuts))
    found = Table.from_arrow(merged(job, parts)) if how in ("right", "outer") else Table.concat(map(Table.from_arrow, parts))
    expected = frame_of(left).merge(frame_of(right), on=keys, how=how, suffixes=("", "_right"))
    assert found.names == expected.columns.tolist()
    assert [*found.rows()] == rows_of(expected)


def instants(numbers: list[Any], dtype: str) -> pd.Series:
    kind, _, zone = dtype.partition(", ")
    found = pd.Series(np.array(["NaT" if each is None else each for each in numbers], kind))
    return found.dt.tz_localize("UTC").dt.tz_convert(zone) if zone else found


KEY_KINDS = ["M8[ns]", "M8[s]", "m8[us]", "M8[ns], Europe/Berlin", "category", "string", "Int64", "float64"]


@SETTINGS
@given(
    st.lists(st.tuples(st.none() | st.integers(0, 3), LETTERS), max_size=8),
    st.lists(st.tuples(st.none() | st.integers(0, 4), LETTERS), max_size=6),
    st.sampled_from(KEY_KINDS),
    st.booleans(),
)
def test_missing_keys_of_outer_joins_are_where_pandas_has_them(large: list[Any], small: list[Any], dtype: str, two: bool) -> None:
    def frame(rows: list[Any], name: str) -> pd.DataFrame:
        numbers = [row[0] for row in rows]
        if dtype == "category":
            key: Any = pd.Categorical(
                [None if each is None else f"c{each}" for each in numbers], [f"c{at}" for at in (2, 4, 0, 1, 3)]
            )
        elif dtype == "string":
            key = pd.array([None if each is None else f"c{each}" for each in numbers], "string")
        else:
            key = pd.Series(numbers, dtype="Int64").astype(dtype) if dtype in ("Int64", "float64") else instants(numbers, dtype)
        texts = pd.Series([row[1] for row in rows], dtype="string")
        return pd.DataFrame({"k": key, "s": texts, name: np.arange(len(rows))})

    left, right = frame(large, "x"), frame(small, "y")
    keys = ["k", "s"] if two else ["k"]
    right = right if two else right.drop(columns="s")
    found = templates.join(right, keys, how="outer").run_local(left).as_frame()
    wanted = left.merge(right, on=keys, how="outer")
    assert found["x"].fillna(-1).tolist() == wanted["x"].fillna(-1).tolist()
    assert found["y"].fillna(-1).tolist() == wanted["y"].fillna(-1).tolist()


@SETTINGS
@given(LARGE, SMALL, st.booleans())
def test_rows_that_are_found_and_those_that_are_not_are_all(large: list[Any], small: list[Any], two: bool) -> None:
    keys = ["k", "s"] if two else ["k"]
    left, right = tables(large, small)
    wanted = {row[: len(keys)] for row in small}
    for how, is_kept in (("semi", True), ("anti", False)):
        job = templates.join(right, keys, how=how)  # type: ignore[arg-type]
        found = Table.concat(map(Table.from_arrow, executed(job, cut_at(left, []))))
        assert [row[-1] for row in found.rows()] == [
            at for at, row in enumerate(large) if (row[: len(keys)] in wanted) is is_kept
        ]


def test_keys_of_other_units_are_those_of_the_large_table() -> None:
    left = {"day": np.array(["2024-01-05"], "M8[s]"), "n": [1]}
    right = {"day": np.array(["2024-01-05", "2024-01-06"], "M8[ns]"), "m": [1, 2]}
    found = templates.join(pd.DataFrame(right), "day", how="outer").run_local(pd.DataFrame(left)).as_frame()
    assert found["day"].tolist() == [pd.Timestamp("2024-01-05"), pd.Timestamp("2024-01-06")]
    right["day"] = np.array(["2024-01-05T00:00:00.000000001"], "M8[ns]").repeat(2)
    with pytest.raises(DataError, match="doesn't hold exactly"):
        templates.join(pd.DataFrame(right), "day", how="outer").run_local(pd.DataFrame(left))


@SETTINGS
@given(
    st.lists(st.tuples(st.none() | st.integers(0, 12), st.sampled_from(["p", "q", None])), max_size=14),
    st.lists(st.tuples(st.integers(0, 12), st.sampled_from(["p", "q", "r", None])), max_size=8),
    CUTS,
    st.sampled_from(["backward", "forward", "nearest"]),
    st.booleans(),
    st.none() | st.integers(0, 3),
    st.booleans(),
    st.booleans(),
)
def test_the_nearest_rows_are_pandas(
    large: list[Any], small: list[Any], cuts: list[int], direction: Any, by: bool, far: Any, is_exact: bool, is_time: bool
) -> None:
    small = sorted(small, key=lambda row: row[0])
    unit = "M8[s]" if is_time else "i8"
    kinds = {"t": "timestamp[s]" if is_time else "int64", "g": "string", "row": "int64"}
    left = Table.of({"t": [t for t, _ in large], "g": [g for _, g in large], "row": list(range(len(large)))}, kinds)
    right = Table.of(
        {"t": [t for t, _ in small], "g": [g for _, g in small], "m": list(range(len(small)))},
        {"t": kinds["t"], "g": "string", "m": "int64"},
    )
    job = templates.join_asof(
        right if by else right.select("t", "m"), "t", by="g" if by else None, direction=direction,
        tolerance=f"{far}s" if is_time and far else far if not is_time else None, allow_exact_matches=is_exact,
    )  # fmt: skip
    found = Table.concat(map(Table.from_arrow, executed(job, cut_at(left, cuts))))
    ours = pd.DataFrame({"t": [t for t, _ in large], "g": [g for _, g in large], "row": range(len(large))})
    ours = ours[ours["t"].notna()].sort_values("t", kind="stable")
    ours = ours.astype({"t": "int64", "g": object})
    theirs = pd.DataFrame({"t": [t for t, _ in small], "g": [g for _, g in small], "m": range(len(small))}).astype(
        {"t": "int64", "g": object}
    )
    for frame in (ours, theirs):
        frame["t"] = frame["t"].to_numpy().astype(unit)
    tolerance = None if far is None or (is_time and not far) else pd.Timedelta(far, "s") if is_time else far
    expected = pd.merge_asof(
        ours, theirs if by else theirs[["t", "m"]], on="t", by="g" if by else None, direction=direction,
        tolerance=tolerance, allow_exact_matches=is_exact,
    ).sort_values("row")  # fmt: skip
    assert found.names == expected.columns.tolist()
    matched = dict(zip(expected["row"], expected["m"], strict=True))
    wanted = [None if pd.isna(matched.get(row, np.nan)) else int(matched[row]) for row in range(len(large))]
    assert found["m"].tolist() == wanted
    assert found["row"].tolist() == list(range(len(large)))


@pytest.mark.parametrize(
    ("small", "options", "said"),
    [
        ({"t": [2, 1]}, {}, "'t' falls at row 1"),
        ({"t": [1, None]}, {}, "'t', row 1: a value is missing"),
        ({"t": ["a"]}, {}, "column 't' is of type string, not of numbers"),
        ({"x": [1]}, {}, "has no column 't'"),
        ({"t": [1]}, {"direction": "up"}, "direction is 'up'"),
        ({"t": [1]}, {"tolerance": "1s"}, "tolerance is '1s'; for a column of this type it must be a number"),
        ({"t": np.array([1], "M8[s]")}, {"tolerance": 3}, "must be a span of time"),
        ({"t": [1]}, {"by": "g"}, "has no column 'g'"),
    ],
)
def test_small_tables_that_cannot_be_searched_are_refused(small: Any, options: Any, said: str) -> None:
    with pytest.raises(ManifestError, match=said):
        templates.join_asof(Table.of(small), "t", **options)
    with pytest.raises(DataError, match="is of type"):
        templates.join_asof({"t": [1]}, "t").run_local(pd.DataFrame({"t": ["a"]}))


@pytest.mark.filterwarnings("ignore:You are merging on int and float")
@pytest.mark.parametrize("how", ["outer", "right"])
@pytest.mark.parametrize(
    ("large", "small"),
    [
        (pd.Series([0.1, 0.5], dtype="float32"), pd.Series([0.1, 0.5], dtype="float64")),
        (pd.Series([0.1, 0.5], dtype="float64"), pd.Series([0.1, 0.5], dtype="float32")),
        (pd.Series([1, 2], dtype="int8"), pd.Series([1, 300], dtype="int64")),
        (pd.Series([1, 2], dtype="uint8"), pd.Series([-1, 2], dtype="int8")),
        (pd.Series([1, 2], dtype="int64"), pd.Series([1.0, 1.5, None], dtype="float64")),
        (pd.Series([7, 2], dtype="int16"), pd.Series([0.1, 2.0], dtype="float32")),
        (pd.Series([Decimal("1.1"), None]), pd.Series([Decimal("1.10"), Decimal("4.123456"), None])),
        (pd.Series([Decimal("12345678901234567890")]), pd.Series([Decimal("0.12345678901234567890123456789")])),
    ],
)
def test_keys_of_other_types_are_of_one_that_holds_both(large: Any, small: Any, how: Any) -> None:
    left, right = pd.DataFrame({"k": large, "a": range(len(large))}), pd.DataFrame({"k": small, "b": range(len(small))})
    found = templates.join(right, "k", how=how).run_local(left).as_frame()
    assert rows_of(found) == rows_of(left.merge(right, on="k", how=how))


def test_whole_keys_beyond_what_floats_hold_stay_whole_or_are_refused() -> None:
    big = 2**53 + 1
    for whole_is_left in (True, False):
        tables_of = {True: pd.DataFrame({"k": np.array([big, 2])}), False: pd.DataFrame({"k": [2.0, 3.0, math.nan]})}
        found = templates.join(tables_of[not whole_is_left], "k", how="outer").run_local(tables_of[whole_is_left]).as_arrow()
        assert found["k"].to_pylist() == [2, 3, big, None]
        tables_of[False]["k"] = [0.5, 2.0, 3.0]
        with pytest.raises(DataError, match=r"column 'k', row 0: 0\.5 is no int64"):
            templates.join(tables_of[not whole_is_left], "k", how="outer").run_local(tables_of[whole_is_left])
    with pytest.raises(DataError, match="column 'k', row 0: -1 is no uint64"):
        templates.join(pd.DataFrame({"k": [-1]}), "k", how="outer").run_local(pd.DataFrame({"k": np.array([2**63], "u8")}))
