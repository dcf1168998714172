"""Columns are cast as NumPy and pandas cast, or not at all."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pangea.compute.data import DataError, Table

FLOATS = st.floats(-100, 100)
SHORT = st.floats(-100, 100, width=32)
#: A column's type, values that it may have, and the types that all of these have a place in.
KINDS = [
    ("float64", FLOATS, ("int64", "int8", "float32", "bool", "string")),
    ("float32", SHORT, ("int16", "float64", "bool", "string")),
    ("int64", st.integers(-100, 100), ("int8", "float64", "bool", "string")),
    ("uint8", st.integers(0, 100), ("int8", "uint64", "float32", "bool", "string")),
    ("bool", st.booleans(), ("int64", "uint8", "float64", "string")),
    ("string", st.integers(-100, 100).map(str), ("int64", "float64")),
    ("string", FLOATS.map(str), ("float64",)),
]


@pytest.mark.parametrize(("kind", "values", "wanted"), KINDS, ids=lambda each: each if isinstance(each, str) else "")
@given(data=st.data())
def test_a_cast_is_pandas_cast_and_null_stays_null(
    kind: str, values: st.SearchStrategy[object], wanted: tuple[str, ...], data: st.DataObject
) -> None:
    listed = data.draw(st.lists(values, min_size=1, max_size=6))
    theirs = pd.Series(listed, dtype="object" if kind == "string" else kind)
    ours = Table.of({"x": [*listed, None]}, {"x": kind})["x"]
    for each in wanted:
        cast = theirs.astype("object").map(str) if each == "string" and kind == "bool" else theirs.astype(each)
        found = ours.astype(each)
        assert (found.type, found.tolist()[-1]) == (each, None)
        assert found.tolist()[:-1] == cast.tolist()


@pytest.mark.parametrize(
    ("values", "wanted", "message"),
    [
        ([1.0, np.nan], int, r"column 'x', row 1: nan is no int64; fill\(\) or leave it out first"),
        ([np.inf], "int8", "row 0: inf is no int8"),
        ([1e20], int, "row 0: 100000000000000000000 is no int64"),
        ([300], "int8", "row 0: 300 is no int8"),
        ([-1], "uint8", "row 0: -1 is no uint8"),
        (["1", "a"], int, "row 1: 'a' is no int64"),
        (["1.5"], "int32", "row 0: '1.5' is no int32"),
        (["True"], bool, "row 0: 'True' is no bool"),
    ],
)
def test_what_a_cast_would_make_up_is_refused(values: list[object], wanted: object, message: str) -> None:
    table = Table.of({"x": np.array(values) if isinstance(values[0], float) else values})
    with pytest.raises(DataError, match=message):
        table["x"].astype(wanted)


def test_groups_say_what_they_are() -> None:
    groups = Table.of({"k": ["b", "a", "b"], "n": [1, 2, 3]}).groupby("k")
    with pytest.raises(TypeError, match=r"has no items: take {key: rows\['x'\]\.sum\(\) for key, rows in t\.groupby"):
        groups["n"]
    with pytest.raises(AttributeError, match=r"t\.groupby\(by\) has no 'agg': take {key: .*templates\.group_by"):
        groups.agg({"n": "sum"})
    assert [(key, rows["n"].tolist()) for key, rows in groups] == [("a", [2]), ("b", [1, 3])]
    assert next(groups, None) is None
