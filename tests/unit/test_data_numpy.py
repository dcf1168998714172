"""What NumPy makes, as results: its scalars in JSON, its arrays as columns, its masks; and what is refused by type."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pangea.compute.data import DataError, Table
from pangea.compute.data.kinds import decode, encode
from pangea.compute.data.ndarrays import array_of, npy_of

DAYS = np.array(["2020-01-01", "NaT"], "M8[D]")


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (np.True_, True),
        ([np.float32(1.5), np.int8(3), np.uint64((1 << 64) - 1)], [1.5, 3, (1 << 64) - 1]),
        ({np.int64(1): np.int64(2), "a": {np.True_: np.float64(0.5)}}, {"1": 2, "a": {"true": 0.5}}),
        (np.arange(4).reshape(2, 2), [[0, 1], [2, 3]]),
        ({"counts": np.array([1, 2]), "names": np.array(["a", "bc"])}, {"counts": [1, 2], "names": ["a", "bc"]}),
        (np.ma.array([1, 2], mask=[True, False]), [None, 2]),
        ([{np.int32(7): 1}], [{"7": 1}]),
    ],
)
def test_json_has_numpys_numbers_truths_and_texts(value: Any, written: Any) -> None:
    assert json.loads(encode("json", value, "execute")) == written


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.datetime64("2020-01-01"), r"NumPy's datetime64\[D\] is not JSON serializable; write str"),
        ([DAYS], r"NumPy's datetime64\[D\]"),
        (np.array([1j]), "NumPy's complex128"),
        (np.longdouble(1), "NumPy's (float|longdouble)"),
        (np.array([b"a"]), r"NumPy's \|S1"),
        (np.array([{}], object), "NumPy's object"),
        (np.array([np.nan]), "Out of range"),
        ({1: 0, np.str_("1"): 0}, "of a dict are both"),
        ({np.int64(1): 0, "1": 0}, "are both '1' in JSON"),
        ({np.datetime64("2020-01-01"): 0}, "datetime64"),
        (object(), "type object is not JSON"),
    ],
)
def test_json_refuses_what_it_lacks_by_type(value: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        encode("json", value, "execute")


@pytest.mark.parametrize(
    ("values", "kind", "listed"),
    [
        (np.array([1, 2], "u2"), "uint16", [1, 2]),
        (np.array([1, 2, 3])[::2], "int64", [1, 3]),
        (np.array([1.5], ">f4"), "float32", [1.5]),
        (np.array([True, False]), "bool", [True, False]),
        (np.array(["a", "日本"]), "string", ["a", "日本"]),
        (np.array(["a", "b"], np.dtypes.StringDType()), "string", ["a", "b"]),
        (np.array(["a", None], object), "string", ["a", None]),
        (np.array([b"a", b"bc"]), "binary", [b"a", b"bc"]),
        (DAYS, "date32", [dt.date(2020, 1, 1), None]),
        (DAYS.astype("M8[ms]"), "timestamp[ms]", [dt.datetime(2020, 1, 1), None]),  # noqa: DTZ001
        (DAYS.astype("M8[h]"), "timestamp[s]", [dt.datetime(2020, 1, 1), None]),  # noqa: DTZ001
        (np.array([90, "NaT"], "m8[m]"), "duration[s]", [dt.timedelta(minutes=90), None]),
        (np.array([1, "NaT"], "m8[ns]"), "duration[ns]", [1, None]),
        (np.ma.array([1, 2, 3], mask=[False, True, False]), "int64", [1, None, 3]),
        (np.ma.array(["a", "b"], mask=[False, True]), "string", ["a", None]),
        ([np.int32(1), None], "int32", [1, None]),
        ([np.bool_(True), None], "bool", [True, None]),
        ([np.int64(1), 2, None], "int64", [1, 2, None]),
        ([np.int64(1), 2.5], "float64", [1.0, 2.5]),
        ([np.datetime64("2020-01-01"), None], "date32", [dt.date(2020, 1, 1), None]),
        ([np.ma.masked, 1], "int64", [None, 1]),
        (np.zeros(0, "M8[us]"), "timestamp[us]", []),
    ],
)
def test_arrays_and_scalars_of_numpy_are_columns(values: Any, kind: str, listed: list[Any]) -> None:
    table = decode("table", encode("table", {"x": values}, "execute"))
    assert table.schema == {"x": kind}
    assert table["x"].tolist() == listed


@pytest.mark.parametrize(
    ("values", "types", "message"),
    [
        (np.zeros((2, 2)), None, r"column 'x': it is an array of shape \(2, 2\)"),
        (np.array([1j]), None, "column 'x': it holds NumPy's complex128"),
        (np.array(["2020-01"], "M8[M]"), None, r"datetime64\[M\]; columns have seconds"),
        (np.array([1 << 61], "M8[h]"), None, "numbers so large"),
        (np.array([1 << 40], "M8[D]"), None, "32 bits"),
        ([np.datetime64("2020-01-01"), 1], None, "values of type datetime64"),
        ([np.array([1, 2]), np.array(["a"])], None, "column 'x' has values of type int, str"),
        (np.array(["2020-01-01"], "M8[ns]"), "timestamp[us]", r"its values are timestamp\[ns\]: cast them"),
        (np.array([1.5]), "int8", "row 0: 1.5 is no int8"),
    ],
)
def test_arrays_that_no_column_holds_are_refused(values: Any, types: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Table.of({"x": values}, {"x": types} if types else None)


def test_datetime64_without_a_zone_is_utc_in_a_column_with_one() -> None:
    column = Table.of({"x": DAYS.astype("M8[us]")}, {"x": "timestamp[us, tz=UTC]"})["x"]
    assert column.tolist() == [dt.datetime(2020, 1, 1, tzinfo=dt.UTC), None]


def test_lists_of_numpys_arrays_and_scalars_are_arrays_of_their_type() -> None:
    assert array_of([np.float32(1.5), np.float32(2)]).dtype == "<f4"
    assert npy_of(array_of([np.array([1, 2], "i2"), np.array([3, 4], "i2")])) == npy_of(np.array([[1, 2], [3, 4]], "i2"))
    assert array_of([[np.int64(1), np.int64(2)], [np.int64(3), np.int64(4)]]).shape == (2, 2)
    assert array_of([True, np.False_]).tolist() == [True, False]
    assert array_of([np.datetime64("NaT", "s")]).dtype == "<M8[s]"
    with pytest.raises(DataError, match="ragged"):
        array_of([np.array([1, 2]), [3]])


def test_masked_items_are_refused_in_arrays_where_nothing_says_that_they_are_missing() -> None:
    assert array_of(np.ma.array([1, 2])).tolist() == [1, 2]
    with pytest.raises(DataError, match="masked items"):
        encode("array", np.ma.array([1, 2], mask=[True, False]), "execute")
    with pytest.raises(DataError, match="masked items"):
        array_of([np.ma.array([1, 2], mask=[True, False])])


def test_columns_reckon_with_instants_and_spans() -> None:
    berlin = dt.timezone(dt.timedelta(hours=1), "+01:00")
    instants = [dt.datetime(2020, 1, 1, tzinfo=berlin), None]
    table = Table.of({"at": instants, "until": [dt.datetime(2020, 1, 2, tzinfo=berlin), None], "day": [dt.date(2020, 1, 1)] * 2})
    assert (table["until"] - table["at"]).tolist() == [dt.timedelta(days=1), None]
    later = table["at"] + dt.timedelta(hours=1)
    assert (later.type, later.tolist()) == (table["at"].type, [dt.datetime(2020, 1, 1, 1, tzinfo=berlin), None])
    assert (table["day"] - dt.timedelta(hours=1)).tolist() == [dt.datetime(2019, 12, 31, 23)] * 2  # noqa: DTZ001
    assert (table["until"] - table["at"]).sum() == dt.timedelta(days=1)
    with pytest.raises(TypeError, match="one side has a time zone"):
        table["at"] - table["day"].astype("timestamp[us]")
    with pytest.raises(TypeError, match="times and numbers don't add up"):
        table["at"] + 1


def test_columns_refuse_what_they_have_no_answer_for() -> None:
    table = Table.of({"n": [1, 2], "s": ["a", None], "small": np.array([100, 100], "i1"), "clock": [dt.time(1), dt.time(2)]})
    refused: list[tuple[Callable[[], Any], str]] = [
        (lambda: table["s"] + 1, "column 's' is of type string"),
        (lambda: table["clock"] + table["clock"], "column 'clock' is of type time64"),
        (table["s"].sum, r"which has no sum\(\)"),
        (lambda: table["n"] + None, "can't be reckoned with None"),
        (lambda: table["n"] + [1, 2, 3], "can't be reckoned with"),
    ]
    for wrong, message in refused:
        with pytest.raises(TypeError, match=message):
            wrong()
    refused = [
        (lambda: table["small"] + table["small"], "don't fit into int8"),
        (lambda: table["n"] * (1 << 62), "don't fit into int64"),
        (lambda: table["n"] // 0, "divided by zero"),
        (lambda: table["s"].fill(1), "column 's', row 1"),
        (lambda: np.asarray(table["n"] / table["n"].astype("float64").fill(1)[:1]), "columns of 2 and 1 rows"),
    ]
    for wrong, message in refused:
        with pytest.raises(ValueError, match=message):
            wrong()
    with pytest.raises(DataError, match="has nulls, which no array"):
        np.asarray(Table.of({"n": [1, None]})["n"])


def test_rows_are_grouped_by_a_column() -> None:
    table = Table.of({"city": ["b", "a", None, "b"], "n": [1, 2, 3, 4]})
    assert [(key, rows["n"].sum()) for key, rows in table.groupby("city")] == [("a", 2), ("b", 5)]


def test_times_are_cast_exactly_or_not_at_all() -> None:
    spans = Table.of({"t": np.array([1_500, "NaT"], "m8[ns]"), "at": np.array(["2020-01-01", "NaT"], "M8[ns]")})
    micro = Table.of({"at": [dt.datetime(2020, 1, 1), None]})["at"]  # noqa: DTZ001
    assert spans["at"].astype("timestamp[us]").tolist() == micro.tolist()
    assert micro.astype("timestamp[ns]").equals(spans["at"])
    assert spans["at"].astype("int64").tolist() == [1577836800_000_000_000, None]
    for wrong, kind in [(spans["t"], "duration[us]"), (spans["at"], "date32"), (micro, "timestamp[us, tz=UTC]")]:
        with pytest.raises(DataError, match=r"exactly|can't be cast"):
            wrong.astype(kind)
    far = Table.of({"at": np.array(["1600-01-01"], "M8[us]")})["at"]
    with pytest.raises(DataError, match="exactly"):
        far.astype("timestamp[ns]")
