"""`Table` by example: what it is made of, what it refuses, and that it copies nothing."""

from __future__ import annotations

import datetime as dt
import enum
from array import array as flat_array
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from pangea.compute.data import Column, DataError, Table
from pangea.compute.data.array import Array
from tests.property.drawn_data import stream

TIME = dt.datetime.fromisoformat("2020-01-02T03:04:05")
ZONED = TIME.replace(tzinfo=dt.timezone(dt.timedelta(hours=2)))


def table() -> Table:
    return Table.of({"a": [1, 2, None], "b": ["x", None, "é"]})


def test_it_is_read_in_place() -> None:
    data = stream(pa.table({"a": np.arange(1000), "s": ["x"] * 1000}))
    read = Table.from_arrow(data)
    for part in (read, read[10:20], read.select("a")):
        assert np.shares_memory(part["a"].values, np.frombuffer(data, "u1"))
        assert not part["a"].values.flags.writeable
    assert np.shares_memory(read["a"][100:200].values, np.frombuffer(data, "u1"))


def test_columns_rows_and_values_are_found() -> None:
    found = table()
    assert (found.names, found.types, len(found)) == (["a", "b"], ["int64", "string"], 3)
    assert found.schema == {"a": "int64", "b": "string"}
    assert (found["a"][0], found["a"][-1], found["b"][2]) == (1, None, "é")
    assert (found[0], found[-1]) == ((1, "x"), (None, "é"))
    assert list(found) == list(found.rows()) == [(1, "x"), (2, None), (None, "é")]
    assert found.tolist()[1] == {"a": 2, "b": None}
    assert found.select("b").tolist() == [{"b": "x"}, {"b": None}, {"b": "é"}]
    assert found[::-1]["a"].tolist() == [None, 2, 1]
    assert found[5:].tolist() == []
    assert found.take([2, 0, 0])["b"].tolist() == ["é", "x", "x"]
    assert found["a"].null_count == 1


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([True, None], "bool"),
        ([1, None], "int64"),
        ([1, 2.5, None], "float64"),
        (["a"], "string"),
        ([b"a"], "binary"),
        ([dt.date(2020, 1, 1)], "date32"),
        ([TIME], "timestamp[us]"),
        ([ZONED], "timestamp[us, tz=UTC]"),
        ([dt.time(1)], "time64[us]"),
        ([dt.timedelta(1)], "duration[us]"),
        ([None], "null"),
        ([], "null"),
        (range(3), "int64"),
        (flat_array("H", [1, 2]), "uint16"),
        (memoryview(b"ab"), "uint8"),
        (Array.of([1.5], dtype="f4"), "float32"),
        (Array.of(["a", "b"]), "string"),
        (np.array([1, 2], ">i4"), "int32"),
        (np.arange(3, dtype="i2"), "int16"),
        ([np.float64(1.5), 1], "float64"),
        ((value for value in "ab"), "string"),
    ],
)
def test_a_column_takes_the_type_that_holds_its_values(values: Any, kind: str) -> None:
    made = Table.of({"c": values})
    assert made.types == [kind]
    read = pa.ipc.open_stream(made.to_arrow()).read_all()
    read.validate(full=True)
    assert read["c"].type == {"null": pa.null(), "binary": pa.binary()}.get(kind, read["c"].type)


def test_numbers_in_arrays_become_columns_in_place() -> None:
    numbers = flat_array("d", [1.5, 2.5])
    assert Table.of({"a": Array.of([1, 2, 3])})["a"].values.tolist() == [1, 2, 3]
    assert Table.of({"a": numbers})["a"].values.tolist() == [1.5, 2.5]


@pytest.mark.parametrize(
    ("values", "kind", "message"),
    [
        ([1, "a"], None, "column 'c' has values of type int, str"),
        ([1, True], None, "column 'c' has values of type bool, int"),
        ([[1], ["a"]], None, "column 'c' has values of type int, str"),
        ([[1], 1], None, "column 'c' has values of type int, list"),
        ([{"a": 1}, {2: 1}], None, "column 'c' has dicts and others, or dicts without names"),
        ([{"a": 1, "b": 2}], "struct<a: int64>", "column 'c', row 0: .*no field 'b'"),
        (["ab"], "list<item: string>", "column 'c', row 0: 'ab' is no list<item: string>"),
        ([[1], [0.5]], "list<item: int64>", "column 'c', row 1"),
        ([Decimal("1.05")], "decimal128(5, 1)", "more than 1 digits behind the point"),
        ([Decimal(100)], "decimal128(3, 1)", "no place among 3 digits, 1 behind the point"),
        ([Decimal("NaN")], None, "column 'c', row 0: .*finite"),
        ([1.5], "decimal128(3, 1)", "column 'c', row 0: 1.5 is no decimal"),
        ([[1]], "list<item: foo>", "can't have type"),
        ([[1]], "list<item: int64", "can't have type"),
        ([1], "decimal128(39, 0)", "can't have type"),
        ([2**63], None, "column 'c', row 0: 9223372036854775808 doesn't fit into int64; say uint64"),
        ([0.5, 2**53 + 1], None, "column 'c', row 1: 9007199254740993 among floats would lose digits"),
        ([TIME, ZONED], None, "column 'c' mixes times with and without a time zone"),
        ("abc", None, "column 'c' needs a list of values, not 'abc'"),
        (5, None, "column 'c' needs a list of values, not 5"),
        ([1, 300], "uint8", "column 'c', row 1: 300 is no uint8"),
        ([1.5], "int32", "column 'c', row 0: 1.5 is no int32"),
        ([True], "int32", "column 'c', row 0: True is no int32"),
        ([1], "bool", "column 'c', row 0: 1 is no bool"),
        (["a", 1], "string", "column 'c', row 1: 1 is no string"),
        (["\ud800"], "string", "column 'c', row 0"),
        (["a"], "binary", "column 'c', row 0: 'a' is no binary"),
        ([3], "binary", "column 'c', row 0: 3 is no binary"),
        ([0, 1], "null", "column 'c', row 0: 0 is no null"),
        ([TIME], "date32", "column 'c', row 0"),
        ([TIME], "timestamp[us, tz=UTC]", "no datetime with a time zone"),
        ([ZONED], "timestamp[us]", "no datetime without a time zone"),
        ([TIME.replace(microsecond=1)], "timestamp[ms]", "finer than the type's unit"),
        ([TIME], "timestamp[ns]", "column 'c', row 0"),
        ([1], "decimal", "column 'c' can't have type 'decimal'"),
        ([1], "timestamp[ps]", "can't have type"),
        ([1], "time32[us]", "can't have type"),
        ([1], "duration[s, tz=UTC]", "can't have type"),
        ([1], 5, "can't have type 5"),
    ],
)
def test_what_doesn_t_fit_is_refused_with_its_column_and_row(values: Any, kind: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Table.of({"c": values}, types=None if kind is None else {"c": kind})


def test_types_are_given_by_name_or_in_order() -> None:
    assert Table.of({"a": [1], "b": [2]}, types={"b": "int8"}).types == ["int64", "int8"]
    assert Table.of({"a": [1], "b": [2]}, types=[float, None]).types == ["float64", "int64"]
    with pytest.raises(DataError, match="no such column"):
        Table.of({"a": [1]}, types={"b": "int8"})
    with pytest.raises(DataError, match="one for each of 1 columns"):
        Table.of({"a": [1]}, types=["int8", "int8"])


def test_an_enumeration_s_numbers_are_numbers() -> None:
    colour = enum.IntEnum("colour", "RED GREEN")
    assert Table.of({"c": [colour["RED"], None]}).tolist() == [{"c": 1}, {"c": None}]


def test_bytes_may_come_as_any_buffer() -> None:
    made = Table.of({"c": [flat_array("h", [1, 2]), bytearray(b"x"), memoryview(b"yz"), None]}, types=["binary"])
    assert made["c"].tolist() == [b"\1\0\2\0", b"x", b"yz", None]


def test_columns_of_other_lengths_or_names_are_refused() -> None:
    with pytest.raises(DataError, match="columns differ in length, in rows: 'a' has 1, 'b' has 2"):
        Table.of({"a": [1], "b": [1, 2]})
    with pytest.raises(DataError, match="name is Unicode text, not 5"):
        Table.of({5: [1]})  # type: ignore[dict-item]
    with pytest.raises(KeyError, match="no column 'c'; it has 'a', 'b'"):
        table()["c"]
    with pytest.raises(DataError, match=r"^the table has no column 'c'; it has 'a', 'b'$"):  # told as bad data, too, unquoted
        table()["c"]
    with pytest.raises(KeyError, match="no column 'c'"):
        table().select("c")
    with pytest.raises(IndexError, match="index 3 is out of range for 3 rows"):
        table()["a"][3]


def test_rows_of_dicts_have_nulls_where_a_key_is_missing() -> None:
    made = Table.of_rows([{"a": 1}, {"b": "x", "a": None}])
    assert made.tolist() == [{"a": 1, "b": None}, {"a": None, "b": "x"}]
    assert Table.of_rows([], types={"a": "int8"}).schema == {"a": "int8"}
    with pytest.raises(DataError, match="row 1 is no dict: 5"):
        Table.of_rows([{}, 5])  # type: ignore[list-item]


def test_a_column_of_nulls_joins_any_other() -> None:
    joined = Table.concat([Table.of({"a": [None]}), Table.of({"a": ["x"]}), Table.of({"a": []})])
    assert (joined.types, joined["a"].tolist()) == (["string"], [None, "x"])
    assert pa.ipc.open_stream(joined.to_arrow()).read_all()["a"].to_pylist() == [None, "x"]


def test_tables_that_differ_are_not_put_together() -> None:
    with pytest.raises(DataError, match="no tables"):
        Table.concat([])
    with pytest.raises(DataError, match=r"differ: columns \['a'\] and \['b'\]"):
        Table.concat([Table.of({"a": [1]}), Table.of({"b": [1]})])
    with pytest.raises(DataError, match="column 'a' has type int64 in one table and string in another"):
        Table.concat([Table.of({"a": [1]}), Table.of({"a": ["x"]})])


def test_columns_of_other_batches_become_one_batch() -> None:
    two = Table.concat([Table.of({"a": [1, None]}), Table.of({"a": [3]})])
    mixed = Table.of({"a": two["a"], "b": ["x", "y", "z"]})
    read = pa.ipc.open_stream(mixed.to_arrow()).read_all()
    assert read.to_pydict() == {"a": [1, None, 3], "b": ["x", "y", "z"]}


def test_text_has_no_numbers_to_look_at() -> None:
    with pytest.raises(DataError, match="column 'b' of type string has no numbers"):
        table()["b"].values  # noqa: B018
    assert Table.of({"c": [True, False]})["c"].values.tolist() == [True, False]
    assert Table.of({"c": []}, types=["float16"])["c"].values.tolist() == []


def test_halves_are_halves_on_every_python() -> None:
    table = Table.of({"c": [0.1, 2.0]}, types=["float16"])
    column = Table.concat([table, table])["c"]  # of one batch, and of two
    for values in (table["c"].values, column.values):
        assert values.dtype == np.float16
        assert float(values[0] * 3) == float(np.float16(0.1) * 3)


def test_dates_beyond_python_s_name_their_column_and_their_numbers_are_there() -> None:
    far = Table.of({"when": [2**62]}, types=["timestamp[us]"])
    with pytest.raises(DataError, match="column 'when': a date lies outside of years 1 to 9999"):
        far["when"].tolist()
    assert far["when"].values.tolist() == [2**62]
    with pytest.raises(DataError, match="column 'when': a number is no time of day"):
        Table.of({"when": [86400]}, types=["time32[s]"])["when"].tolist()


def test_tables_are_equal_by_types_and_values() -> None:
    assert table() == table()
    assert table() != table()[:2]
    assert Table.of({"a": [1]}) != Table.of({"a": [1.0]})
    assert Table.of({"a": [1]}) != Table.of({"b": [1]})
    assert table()["a"].equals(Table.of({"x": [1, 2, None]})["x"])
    assert not table().equals(5)
    assert not table()["a"].equals(5)
    with pytest.raises(TypeError, match=r"a table is compared with 5: compare a column, as in t\['name'\] == value"):
        table() == 5  # noqa: B015


def test_it_says_what_it_is_briefly() -> None:
    assert repr(table()) == "Table(3 rows; a: int64, b: string)"
    assert repr(table()["b"]) == "Column('b', string, ['x', None, 'é'])"
    assert repr(Table.of({"n": range(20)})["n"]).endswith("9, ...])")


def test_columns_are_made_by_tables() -> None:
    assert isinstance(table().columns["a"], Column)
    assert list(table().columns) == ["a", "b"]


def test_a_frame_of_pandas_comes_out_as_it_went_in() -> None:
    frame = pd.DataFrame(
        {"i": [1, 2], "s": ["a", None], "t": pd.to_datetime(["2020-01-01", None]), "f": [1.5, float("nan")]}, index=["p", "q"]
    )
    again = pa.ipc.open_stream(Table.from_arrow(stream(pa.Table.from_pandas(frame))).to_arrow()).read_all().to_pandas()
    pd.testing.assert_frame_equal(again, frame)


def test_lists_structs_and_decimals_are_values_but_no_keys() -> None:
    columns = {
        "l": [[1, None], None, []],
        "s": [{"a": 1, "b: c": "x"}, {"a": None}, None],
        "d": [Decimal("1.50"), None, Decimal(-2)],
    }
    table = Table.of(columns, {"d": "decimal128(5, 2)"})
    assert table.schema == {"l": "list<item: int64>", "s": 'struct<a: int64, "b: c": string>', "d": "decimal128(5, 2)"}
    assert Table.of({name: column.tolist() for name, column in table.columns.items()}, table.schema).equals(table)
    assert table["s"].tolist() == [{"a": 1, "b: c": "x"}, {"a": None, "b: c": None}, None]
    assert (table["d"].min(), table["d"].sum(), table.sort("d")["d"].tolist()[0]) == (Decimal(-2), Decimal("-0.50"), Decimal(-2))
    assert (table["d"] < 1).tolist() == [False, False, True]
    assert (table["l"] == table["l"]).tolist() == [True, False, True]
    for name in ("l", "s"):
        for reckon in ("min", "unique", "nunique", "sort"):
            with pytest.raises(DataError, match="are no keys, and have no order"):
                getattr(table[name], reckon)()
        with pytest.raises(TypeError, match="lists or structs, which have no order"):
            _ = table[name] < table[name]


def test_a_sum_of_decimals_is_exact_beyond_28_digits() -> None:
    large = Decimal("9" * 38)
    assert Table.of({"d": [large, Decimal(1)]})["d"].sum() == Decimal(10) ** 38
    assert Table.from_arrow(Table.of({"d": [large, large.copy_negate()]}).to_arrow())["d"].tolist() == [
        large,
        large.copy_negate(),
    ]
