"""Missing values are filled, and rows with them dropped, as pandas does, over frames of all kinds of columns."""

from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pangea.compute import templates
from pangea.compute.data import DataError, Table
from pangea.compute.errors import ManifestError
from tests.examples import share_of
from tests.merging import cut_at, executed

SETTINGS = settings(max_examples=share_of(60), deadline=None)
CUTS = st.lists(st.integers(0, 40), max_size=3)
TIME = "timestamp[us, tz=UTC]"
TYPES = {
    "n": "int64",
    "x": "float64",
    "w": "string",
    "b": "bool",
    "t": TIME,
    "d": "decimal128(9, 2)",
    "l": "list<item: int64>",
}
FILLERS: dict[str, Any] = {
    "n": 7,
    "x": 0.5,
    "w": "none",
    "b": False,
    "t": dt.datetime(2024, 2, 29, tzinfo=dt.UTC),
    "d": Decimal("1.25"),
    "l": [1, 2],
}
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "n": st.none() | st.integers(-4, 4),
            "x": st.none() | st.sampled_from([0.0, 1.5, math.nan, math.inf]),
            "w": st.none() | st.sampled_from(["a", "ä", ""]),
            "b": st.none() | st.booleans(),
            "t": st.none() | st.just(dt.datetime(2020, 1, 1, tzinfo=dt.UTC)),
            "d": st.none() | st.just(Decimal("0.50")),
            "l": st.none() | st.just([3]),
        }
    ),
    max_size=15,
)


def through(job: Any, rows: list[Any], cuts: list[int]) -> list[dict[str, Any]]:
    """The rows that a job makes of some, wherever the table is cut; its columns keep their types."""
    table = Table.of_rows(rows, TYPES)
    found = all_of(job, cut_at(table, cuts))
    assert found.schema == table.schema
    return found.tolist()


def all_of(job: Any, parts: list[Table]) -> Table:
    return Table.concat(map(Table.from_arrow, executed(job, parts)))


def is_missing(value: Any) -> bool:
    return value is None or value != value


@SETTINGS
@given(ROWS, CUTS, st.sets(st.sampled_from(sorted(TYPES)), min_size=1))
def test_what_is_missing_is_filled(rows: list[Any], cuts: list[int], names: set[str]) -> None:
    found = through(templates.fillna({name: FILLERS[name] for name in names}), rows, cuts)
    wanted = [{name: FILLERS[name] if name in names and is_missing(row[name]) else row[name] for name in TYPES} for row in rows]
    assert str(found) == str(wanted)


@SETTINGS
@given(st.lists(st.none() | st.sampled_from([0.0, 1.5, math.nan]), max_size=12), CUTS)
def test_a_number_fills_all_columns_of_numbers_as_in_pandas(values: list[Any], cuts: list[int]) -> None:
    table = Table.of({"x": values, "y": values[::-1]}, {"x": "float64", "y": "float64"})
    job = templates.fillna(2.5)
    found = all_of(job, cut_at(table, cuts))
    frame = pd.DataFrame({"x": values, "y": values[::-1]}, dtype="float64").fillna(2.5)
    assert found.tolist() == frame.to_dict("records")


@SETTINGS
@given(ROWS, CUTS, st.none() | st.lists(st.sampled_from(sorted(TYPES)), min_size=1, unique=True), st.sampled_from(["any", "all"]))
def test_rows_are_dropped_as_pandas_does(rows: list[Any], cuts: list[int], subset: list[str] | None, how: Any) -> None:
    found = through(templates.dropna(subset, how=how), rows, cuts)
    frame = pd.DataFrame({name: pd.Series([row[name] for row in rows], dtype=object) for name in TYPES})
    kept = frame.dropna(subset=subset, how=how).index
    assert str(found) == str([{name: rows[place][name] for name in TYPES} for place in kept])


@pytest.mark.parametrize(
    ("values", "kind", "filler", "match"),
    [
        (["a", None], "string", 0, "give a dict of a value for each column"),
        ([1, None], "int64", 0.5, "0.5"),
        ([1, None], "int64", True, "is of type int64, and is to be filled with True"),
        ([True, None], "bool", 1, "is of type bool, and is to be filled with 1"),
        (
            [dt.datetime(2020, 1, 1, tzinfo=dt.UTC), None],
            TIME,
            0,
            r"is of type timestamp\[us, tz=UTC\], and is to be filled with 0",
        ),
        ([1, None], "int8", 300, "300"),
    ],
)
def test_a_value_of_another_type_is_refused(values: list[Any], kind: str, filler: Any, match: str) -> None:
    table = Table.of({"c": values}, {"c": kind})
    with pytest.raises(DataError, match=match):
        executed(templates.fillna(filler), [table])
    assert executed(templates.fillna(filler), [table[:1]]), "nothing is missing there"


def test_categories_are_filled_by_one_of_theirs() -> None:
    column = Table.of({"c": ["lo", None, "hi"]})["c"].with_categories(["hi", "lo"], ordered=True)
    table = Table.of({"c": column})
    (made,) = executed(templates.fillna({"c": "hi"}), [table])
    found = Table.from_arrow(made)["c"]
    assert (found.tolist(), found.categories, found.is_ordered) == (["lo", "hi", "hi"], ["hi", "lo"], True)
    with pytest.raises(DataError, match="'mid' is none of its categories"):
        executed(templates.fillna({"c": "mid"}), [table])


@pytest.mark.parametrize("value", [None, math.nan, {"x": None}, {}, {1: 2}])
def test_what_is_missing_itself_fills_nothing(value: Any) -> None:
    with pytest.raises(ManifestError, match=r"missing itself|must be a column's name"):
        templates.fillna(value)


def test_a_column_that_is_not_there_is_named() -> None:
    for job in (templates.fillna({"y": 1}), templates.dropna("y")):
        with pytest.raises(DataError, match="'y'"):
            executed(job, [Table.of({"x": [1]})])
