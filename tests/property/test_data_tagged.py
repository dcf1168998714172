"""Values come back with their types, whatever Python programs are full of."""

import datetime as dt
import zoneinfo
from collections import Counter, OrderedDict, defaultdict, deque
from concurrent.futures import Future
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from typing import Any, NamedTuple
from uuid import UUID, SafeUUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pangea.compute.data import DataError, Table
from pangea.compute.data.errors import NoPlaceError
from pangea.compute.data.tagged import Classes, dumps, loads

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(st.characters(exclude_categories=[])),  # half surrogates, too
    st.binary(),
    st.complex_numbers(),
    st.dates(),
    st.datetimes(),
    st.datetimes(timezones=st.sampled_from([dt.UTC, dt.timezone(dt.timedelta(minutes=-90)), zoneinfo.ZoneInfo("Europe/Berlin")])),
    st.times(),
    st.timedeltas(),
    st.decimals(),
    st.fractions(),
    st.uuids(),
)
KEYS = st.one_of(st.integers(), st.text(), st.booleans(), st.tuples(st.integers(), st.text()), st.just("$"), st.binary())
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner),
        st.lists(inner).map(tuple),
        st.dictionaries(KEYS, inner),
        st.sets(st.integers()),
        st.frozensets(st.text()),
    ),
    max_leaves=12,
)


def exactly(value: Any) -> str:
    """What shows a value's type, the sign of zero, and NaN; sets in an order that doesn't depend on how they came to be."""
    if isinstance(value, set | frozenset):
        return f"{type(value)} {sorted(map(repr, value))}"
    if isinstance(value, list | tuple):
        return f"{type(value)} {list(map(exactly, value))}"
    if isinstance(value, dict):
        return f"{type(value)} {[(exactly(key), exactly(each)) for key, each in value.items()]}"
    return f"{type(value)} {value!r}"


@given(VALUES)
def test_every_value_comes_back_as_it_was(value: Any) -> None:
    line = dumps(value)
    assert b"\n" not in line
    assert exactly(loads(line)) == exactly(value)


@pytest.mark.parametrize(
    "value",
    [
        {1: "a", "1": "b"},
        {"$": "tuple", "v": [1]},
        Counter("hello"),
        OrderedDict([("b", 1), ("a", 2)]),
        deque([1, 2], maxlen=3),
        range(3, 9, 2),
        UUID(int=5),
        slice(1, None, -2),
        10**5000,
        Decimal("1.10"),
        Fraction(-1, 3),
        bytearray(b"\xff"),
        -0.0,
        dt.datetime(2023, 10, 29, 2, 30, fold=1, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin")),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_that_json_would_change(value: Any) -> None:
    found = loads(dumps(value))
    assert (type(found), found) == (type(value), value)
    assert str(found)[:100] == str(value)[:100] if not isinstance(value, int) else True


def test_an_identifier_says_whether_it_was_made_safely() -> None:
    assert loads(dumps(UUID(int=5, is_safe=SafeUUID.safe))).is_safe is SafeUUID.safe


RECORD = np.array([(1, 2.5)], [("a", "i4"), ("b", "f8")])


@pytest.mark.parametrize(
    "value",
    [
        np.int64(3),
        np.float32(0.5),
        np.True_,
        np.datetime64("2024-02-29"),
        np.complex64(1j),
        np.str_("é"),
        np.str_(""),
        np.bytes_(b"a\0b"),
        np.float64("nan"),
        RECORD[0],
        np.array("x"),
        np.array(2.5),
        RECORD,
        np.array([[1, 2], [3, 4]], "i2"),
        np.array([], ">f4"),
    ],
    ids=lambda value: f"{type(value).__name__} {value.dtype}",
)
def test_numbers_and_arrays_of_numpy_stay_what_they_are(value: Any) -> None:
    found = loads(dumps([value]))[0]
    assert (type(found), found.dtype, found.shape, found.tobytes()) == (type(value), value.dtype, value.shape, value.tobytes())


def test_a_number_of_numpy_is_a_key_and_an_item_of_sets() -> None:
    found = loads(dumps([{np.int64(1): 2}, {np.int64(1)}]))
    assert exactly(found) == exactly([{np.int64(1): 2}, {np.int64(1)}])


def test_tables_travel() -> None:
    table = Table.of({"a": [1, None], "b": ["x", "y"]})
    found = loads(dumps({"t": table}))["t"]
    assert (type(found), found.to_arrow()) == (Table, table.to_arrow())


class OwnArray(np.ndarray):
    pass


@pytest.mark.parametrize("value", [np.zeros(2).view(OwnArray), np.ma.masked_array([1], [True]), np.array([1]).view(np.recarray)])
def test_arrays_of_other_kinds_are_refused_rather_than_changed(value: Any) -> None:
    with pytest.raises(DataError, match="can't travel as a value"):
        dumps(value)


def test_a_time_finer_than_python_s_stays_numpy_s() -> None:
    fine = np.datetime64("2024-01-01T00:00:00.000000001")
    found = loads(dumps(fine))
    assert (found.dtype, found.item()) == (fine.dtype, fine.item())


class Colour(Enum):
    RED = 1


class Point(NamedTuple):
    x: Any


@dataclass
class Pair:
    a: Any
    b: Any


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ([1, {"a": (2, iter(()))}], "[1]['a'][1]"),
        ({1: deque([object()])}, "[1][0]"),
        ({(1, open): 2}, ".keys(), (1, <built-in function open>)[1]"),
        ([{"$": print}], "[0]['$']"),
        ([Point([print])], "[0].x[0]"),
        ([Pair(1, print)], "[0].b"),
        ([Future()], "[0]"),
        ([defaultdict[int, Any](int, {1: print})], "[0]"),
    ],
)
def test_what_is_refused_is_found_by_its_place(value: Any, place: str) -> None:
    with pytest.raises(NoPlaceError) as caught:
        dumps(value, Classes.of((Point, Pair)))
    assert caught.value.place == place
    assert f", at {place};" in str(caught.value)


@pytest.mark.parametrize("value", [object(), Colour.RED, [{"a": {1: len}}]])
def test_objects_of_other_classes_are_refused_by_name(value: Any) -> None:
    with pytest.raises(DataError, match="can't travel as a value"):
        dumps(value)


def test_a_value_that_holds_itself_is_refused() -> None:
    endless: list[Any] = [1.5]
    endless.append(endless)
    with pytest.raises(DataError, match="holds itself"):
        dumps(endless)


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b'{"$": "nope", "v": 1}',
        b'{"$": "date", "v": "x"}',
        b'{"$": "array", "v": "!"}',
        b'{"$": "set"}',
        b'{"$": "scalar", "v": ["O", ""]}',
        b'{"$": "scalar", "v": ["<i8", "0"]}',
        b'{"$": "table", "v": "0"}',
    ],
)
def test_damaged_lines_are_refused(line: bytes) -> None:
    with pytest.raises(DataError):
        loads(line)
