"""Chunks that found other types are joined without losing a digit, or not at all."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pangea.compute.client.results.reading import array_of, arrow_of
from pangea.compute.data import Table
from pangea.compute.data.array import Array
from pangea.compute.model.errors import ResultError


def joined(*parts: Any) -> Any:
    return arrow_of(b"".join(part.to_arrow() for part in parts))


def test_a_column_without_a_value_takes_the_type_that_it_has_elsewhere() -> None:
    found = joined(Table.of({"a": [None]}), Table.of({"a": [1]}), Table.of({"a": [None, None]}))
    assert (str(found.schema.field("a").type), found["a"].to_pylist()) == ("int64", [None, 1, None, None])
    assert str(joined(Table.of({"a": [None]})).schema.field("a").type) == "null"


def test_whole_numbers_become_fractions_where_other_chunks_have_such() -> None:
    found = joined(Table.of({"a": [1, None]}), Table.of({"a": [0.5]}))
    assert (str(found.schema.field("a").type), found["a"].to_pylist()) == ("double", [1.0, None, 0.5])
    with pytest.raises(
        ResultError, match=r"column 'a' has fractions in some chunks, and in chunk 1 whole numbers that no float holds"
    ):
        joined(Table.of({"a": [0.5]}), Table.of({"a": [2**53 + 1]}))


def test_a_chunk_of_which_nothing_was_left_says_nothing() -> None:
    none = Table.of({"city": ["Oslo"], "km": [1]}).without_rows()
    found = joined(none, Table.of({"double": [2.5]}), none)
    assert found.to_pylist() == [{"double": 2.5}]
    assert (found.schema.names, found.schema.metadata) == (["double"], None)
    empty = joined(none, none)
    assert (empty.schema.names, list(map(str, empty.schema.types)), len(empty)) == (["city", "km"], ["string", "int64"], 0)
    assert (empty.schema.metadata, Table.from_arrow(none.to_arrow()).names) == (None, ["city", "km"])


@pytest.mark.parametrize("other", [{"a": ["x"]}, {"b": [1]}, {"a": [1], "b": [1]}, {"a": [True]}])
def test_columns_of_other_kinds_and_names_are_refused(other: Any) -> None:
    with pytest.raises(ResultError, match=r"tables with different columns: number 1 has .*number 0 has a: int64"):
        joined(Table.of({"a": [1]}), Table.of(other))


def test_arrays_of_chunks_are_joined_likewise() -> None:
    def both(*parts: Any) -> Any:
        return array_of(b"".join(Array.of(part).to_npy() for part in parts), copy=True)

    assert both([], [1, 2], []).tolist() == [1, 2]
    assert both([], [1, 2]).dtype == np.int64
    assert both([1], [0.5]).tolist() == [1.0, 0.5]
    assert both(["ab"], ["c"]).dtype == np.dtype("<U2")
    assert both([[1, 2]], [], [[3, 4]]).tolist() == [[1, 2], [3, 4]]
    with pytest.raises(ResultError, match="in chunk 1 whole numbers"):
        both([0.5], [2**53 + 1])
    for other in (["x"], [[1]], [True]):
        with pytest.raises(ResultError, match="arrays that don't fit together"):
            both([1], other)


def test_what_our_own_metadata_says_stays_with_us() -> None:
    table = Table.of({"a": [1]})
    data = Table(table.columns.values(), [1], ((b"pangea.group_by", b"x"), (b"theirs", b"y"))).to_arrow()
    assert arrow_of(data).schema.metadata == {b"theirs": b"y"}
    zoned = pa.schema([pa.field("at", pa.timestamp("us", tz="UTC"), metadata={b"pangea.zone": b"x"})])
    assert zoned.field("at").metadata == {b"pangea.zone": b"x"}
