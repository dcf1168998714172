"""Values come back with their types, whatever Python programs are full of."""

import datetime as dt
import math
import zoneinfo
from collections import Counter, OrderedDict, deque
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pangea.compute.data import DataError
from pangea.compute.data.tagged import dumps, loads

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


def test_numbers_of_numpy_become_python_s_and_arrays_stay_arrays() -> None:
    assert exactly(loads(dumps([np.int64(3), np.float32(0.5), np.True_, np.datetime64("2024-02-29")]))) == exactly(
        [3, 0.5, True, dt.date(2024, 2, 29)]
    )
    assert math.isnan(loads(dumps(np.float64("nan"))))
    array = np.array([[1, 2], [3, 4]], "i2")
    found = loads(dumps([array]))[0]
    assert (found.dtype, found.tolist()) == (array.dtype, array.tolist())


def test_a_time_finer_than_python_s_stays_numpy_s() -> None:
    fine = np.datetime64("2024-01-01T00:00:00.000000001")
    found = loads(dumps(fine))
    assert (found.dtype, found.item()) == (fine.dtype, fine.item())


class Colour(Enum):
    RED = 1


@pytest.mark.parametrize("value", [object(), Colour.RED, [{"a": {1: object}}]])
def test_objects_of_other_classes_are_refused_by_name(value: Any) -> None:
    with pytest.raises(DataError, match="can't travel as a value"):
        dumps(value)


def test_a_value_that_holds_itself_is_refused() -> None:
    endless: list[Any] = [1.5]
    endless.append(endless)
    with pytest.raises(DataError, match="holds itself"):
        dumps(endless)


@pytest.mark.parametrize(
    "line", [b"{", b'{"$": "nope", "v": 1}', b'{"$": "date", "v": "x"}', b'{"$": "array", "v": "!"}', b'{"$": "set"}']
)
def test_damaged_lines_are_refused(line: bytes) -> None:
    with pytest.raises(DataError):
        loads(line)
