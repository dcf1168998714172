"""Columns that become rows are pandas' `melt`, wherever the table is cut."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pangea.compute import templates
from pangea.compute.data import DataError, Table
from pangea.compute.errors import ManifestError
from tests.examples import share_of
from tests.merging import cut_at, executed, merged

SETTINGS = settings(max_examples=share_of(60), deadline=None)
CELL = st.none() | st.integers(-3, 3)
ROWS = st.lists(st.tuples(st.sampled_from(["p", "q", None]), CELL, CELL, CELL), max_size=12)
NAMES = ["g", "a", "b", "c"]


def melted(job: Any, table: Table, cuts: list[int]) -> Table:
    return Table.from_arrow(merged(job, executed(job, cut_at(table, cuts))))


@SETTINGS
@given(
    ROWS,
    st.lists(st.integers(0, 40), max_size=3),
    st.sampled_from([[], ["g"], ["a", "g"]]),
    st.none() | st.lists(st.sampled_from(["b", "c"]), min_size=1, unique=True),
)
def test_it_is_pandas(rows: list[Any], cuts: list[int], kept: list[str], chosen: list[str] | None) -> None:
    chosen = chosen or ([] if "g" in kept else ["a", "b"]) or None  # texts and numbers have no column in common
    columns = {name: [row[place] for row in rows] for place, name in enumerate(NAMES)}
    table = Table.of(columns, {"g": "string", "a": "int64", "b": "int64", "c": "int64"})
    found = melted(templates.melt(kept, chosen, var_name="which", value_name="n"), table, cuts)
    frame = pd.DataFrame({name: pd.Series(each, dtype=object) for name, each in columns.items()})
    wanted = frame.melt(id_vars=kept, value_vars=chosen, var_name="which", value_name="n")
    assert found.names == list(wanted.columns)
    assert found.tolist() == wanted.astype(object).where(wanted.notna(), None).to_dict("records")
    assert found.schema["n"] == "int64"


def test_numbers_of_several_types_get_one_that_holds_them_all() -> None:
    table = Table.of({"x": [1, None], "y": [0.5, 2.0], "z": [3, 4]}, {"x": "int8", "y": "float32", "z": "int64"})
    found = melted(templates.melt(), table, [1])
    assert (found.schema["value"], found["value"].tolist()) == ("float64", [1.0, None, 0.5, 2.0, 3.0, 4.0])


def test_categories_stay_where_all_have_the_same() -> None:
    column = Table.of({"c": ["lo", "hi"]})["c"].with_categories(["hi", "lo"], ordered=True)
    found = melted(templates.melt(), Table.of({"one": column, "two": column}), [])["value"]
    assert (found.tolist(), found.categories, found.is_ordered) == (["lo", "hi"] * 2, ["hi", "lo"], True)


def test_what_has_no_column_in_common_is_refused_by_name() -> None:
    with pytest.raises(DataError, match="'x' int64, 'w' string: cast them, or name some"):
        melted(templates.melt(), Table.of({"x": [1], "w": ["a"]}), [])
    with pytest.raises(DataError, match="'y'"):
        melted(templates.melt("y"), Table.of({"x": [1]}), [])
    for options in ({"id_vars": ["a", "a"]}, {"id_vars": "a", "var_name": "a"}, {"var_name": "v", "value_name": "v"}):
        with pytest.raises(ManifestError, match="must be a column's name, or a list of different ones"):
            templates.melt(**options)
