"""Values become source text that makes equal values, the same text each time."""

from __future__ import annotations

import array
import builtins
import collections
import datetime
import decimal
import enum
import fractions
import functools
import math
import operator
import pathlib
import re
import struct
import sys
import types
import typing
import uuid
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pangea.compute.client.imports import dotted
from pangea.compute.client.values import UnwritableError, expression


def refer(value: Any) -> str:
    """Name a class, function or module by where it is found."""
    if isinstance(value, types.ModuleType):
        return f"__import__({value.__name__!r})"
    module, name = dotted(value) or ("", "")
    return f"__import__('sys').modules[{module!r}].{name}"


def again(value: Any) -> Any:
    return eval(expression(value, refer), {"__builtins__": builtins})


zones = st.none() | st.builds(
    datetime.timezone, st.timedeltas(datetime.timedelta(hours=-23), datetime.timedelta(hours=23)), st.text(min_size=1, max_size=5)
)
#: Spelled by name: they are deprecated, and met in users' code.
_typing = vars(typing)
_generic = _typing["List"]
types_of_typing = [list[int], int | None, _generic, _generic[int], _typing["Optional"][int], _typing["Callable"][[int], str]]
hashable = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=1 << 5000, max_value=1 << 60000).map(lambda value: -value),
    st.floats(allow_nan=False),
    st.complex_numbers(allow_nan=False),
    st.text(st.characters(exclude_categories=[])),
    st.binary(),
    st.decimals(allow_nan=False),
    st.fractions(),
    st.uuids(),
    st.dates(),
    st.times(timezones=zones),
    st.datetimes(timezones=zones),
    st.timedeltas(),
    st.just(...),
    st.just(datetime.UTC),
    st.builds(range, st.integers(-9, 9), st.integers(-9, 9), st.integers(1, 9)),
    st.sampled_from([re.compile("a.b"), re.compile(rb"\d", re.I), re.compile("(?x) a", re.ASCII | re.M)]),
    st.sampled_from(types_of_typing),
    st.sampled_from([int, collections.Counter, len, math.sqrt, str.upper, pathlib.PurePosixPath("a/b")]),
)
values = st.recursive(
    hashable,
    lambda inner: st.one_of(
        st.lists(inner),
        st.lists(inner).map(tuple),
        st.sets(hashable),
        st.frozensets(hashable),
        st.dictionaries(hashable, inner),
        st.binary().map(bytearray),
        st.lists(inner).map(collections.deque),
        st.dictionaries(hashable, inner).map(collections.OrderedDict),
        st.lists(hashable).map(collections.Counter),
        st.dictionaries(hashable, inner).map(lambda pairs: collections.defaultdict(list, pairs)),
        st.lists(st.integers(-9, 9)).map(lambda numbers: array.array("b", numbers)),
        st.lists(st.floats(allow_nan=False)).map(lambda numbers: array.array("d", numbers)),
    ),
    max_leaves=20,
)


def same(one: Any, other: Any) -> bool:
    """Equal, of the same types all the way down, with equal signs of zero and orders of keys."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return same(list(one), list(other)) and same(list(one.values()), list(other.values()))
    if isinstance(one, list | tuple | collections.deque | array.array):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, set | frozenset):
        return one == other and {type(item) for item in one} == {type(item) for item in other}
    if isinstance(one, float):
        return one == other and math.copysign(1, one) == math.copysign(1, other)
    return bool(one == other)


@given(values)
@settings(deadline=None)
def test_a_value_is_made_again(value: Any) -> None:
    assert same(again(value), value)


@given(values)
@settings(deadline=None)
def test_the_text_says_everything_and_is_always_the_same(value: Any) -> None:
    text = expression(value, refer)
    assert "\n" not in text
    assert expression(again(value), refer) == text
    text.encode()


@given(st.sets(st.text() | st.integers()))
def test_the_order_of_a_set_does_not_show(items: set[Any]) -> None:
    assert expression(set(dict.fromkeys(reversed(list(items)))), refer) == expression(items, refer)


@given(st.sampled_from([math.nan, complex(math.nan, -0.0), decimal.Decimal("sNaN"), [math.inf, -math.inf, math.nan]]))
def test_values_that_equal_nothing(value: Any) -> None:
    assert repr(again(value)) == repr(value)


class Color(enum.Enum):
    RED = 1


class Bits(enum.Flag):
    A = 1
    B = 2


class Level(enum.IntEnum):
    LOW = 1


@pytest.mark.parametrize("value", [Color.RED, Bits.A, Bits.A | Bits.B, Bits(0), Level.LOW, {Level.LOW: [Color.RED]}])
def test_members_of_enumerations(value: Any) -> None:
    assert again(value) == value
    assert type(again(value)) is type(value)


def test_callables_are_made_again() -> None:
    assert again(functools.partial(int, base=2))("101") == 5
    assert again(operator.itemgetter(1, 2))("abc") == ("b", "c")
    assert again(operator.attrgetter("real"))(3) == 3
    assert again(struct.Struct("<I")).pack(1) == b"\1\0\0\0"
    assert again(slice(1, None, 2)) == slice(1, None, 2)
    assert again(types.MappingProxyType({1: 2})) == {1: 2}
    assert again(type(None)) is type(None)
    assert again(uuid.UUID(int=5)) == uuid.UUID(int=5)
    assert again(fractions.Fraction(1, 3)) == fractions.Fraction(1, 3)


class Subclass(dict[str, int]):
    pass


UNWRITABLE = [object(), Subclass(a=1), iter([]), [object()], {"k": (object(),)}, sys._getframe(), compile("1", "", "eval")]


@pytest.mark.parametrize("value", UNWRITABLE)
def test_what_has_no_text(value: Any) -> None:
    with pytest.raises(UnwritableError, match="is of type"):
        expression(value, refer)


def test_a_value_inside_itself() -> None:
    recursive: dict[str, Any] = {}
    recursive["self"] = [recursive]
    with pytest.raises(UnwritableError, match="contains itself"):
        expression(recursive, refer)
    shared = [1]
    assert again([shared, shared]) == [[1], [1]]
