"""Values arrive equal in value, type and sharing, and are written the same each time."""

from __future__ import annotations

import array
import collections
import datetime
import io
import json
import math
import pathlib
import re
import sys
import typing
import zipfile
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pangea.compute.capture.archive import build_archive
from pangea.compute.runtime.guest.loading import load
from pangea.compute.runtime.guest.packages import PackageFinder, StandIns

KINDS = {"execute": ("bytes", "bytes")}


def archive_of(value: Any) -> bytes:
    def execute(_chunk: bytes) -> Any:
        return value

    return build_archive({"execute": execute}, KINDS)


def again(value: Any) -> Any:
    """What `value` is after a trip, without leaving this process."""
    kept = dict(sys.modules)
    try:
        return load(archive_of(value), PackageFinder(), StandIns()).functions["execute"](b"")
    finally:
        for name in sys.modules.keys() - kept.keys():
            del sys.modules[name]
        sys.modules.update(kept)


def graph_of(archive: bytes) -> Any:
    with zipfile.ZipFile(io.BytesIO(archive)) as files:
        return json.loads(files.read("graph.json"))["nodes"]


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
    st.ip_addresses(),
    st.dates(),
    st.times(timezones=zones),
    st.datetimes(timezones=zones),
    st.timedeltas(),
    st.just(...),
    st.builds(range, st.integers(-9, 9), st.integers(-9, 9), st.integers(1, 9)),
    st.sampled_from([re.compile("a.b"), re.compile(rb"\d", re.I), re.compile("(?x) a", re.ASCII | re.M)]),
    st.sampled_from(types_of_typing),
    st.sampled_from([int, collections.Counter, len, math.sqrt, str.upper, pathlib.PurePosixPath("a/b"), datetime.UTC]),
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
        inner.map(lambda one: [one, one]),
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
def test_a_value_arrives_as_it_is(value: Any) -> None:
    assert same(again(value), value)


@given(values)
@settings(deadline=None)
def test_what_arrived_is_written_as_it_was(value: Any) -> None:
    assert graph_of(archive_of(again(value))) == graph_of(archive_of(value))


@given(st.sets(st.text() | st.integers() | st.tuples(st.integers(), st.text())))
@settings(deadline=None)
def test_the_order_of_a_set_does_not_show(items: set[Any]) -> None:
    assert archive_of(set(dict.fromkeys(reversed(list(items))))) == archive_of(items)


@given(st.sampled_from([math.nan, complex(math.nan, -0.0), -math.nan, [math.inf, -math.inf, math.nan]]))
@settings(deadline=None)
def test_values_that_equal_nothing(value: Any) -> None:
    assert repr(again(value)) == repr(value)
    first, second = again([value, value])
    assert first is second


@given(st.recursive(st.builds(list), lambda inner: st.lists(inner, min_size=1, max_size=3), max_leaves=8), st.data())
@settings(deadline=None)
def test_aliases_and_cycles_stay(tree: list[Any], data: st.DataObject) -> None:
    lists = [tree]
    for each in lists:
        lists += [inner for inner in each if not any(inner is one for one in lists)]
    target, member = data.draw(st.sampled_from(lists)), data.draw(st.sampled_from(lists))
    target.append(member)
    assert shape(again(tree)) == shape(tree)


def shape(tree: list[Any]) -> list[list[int]]:
    """For each list, in the order of first visit, the numbers of its members."""
    found = [tree]
    for each in found:
        found += [inner for index, inner in enumerate(each) if not any(inner is one for one in [*found, *each[:index]])]
    return [[next(number for number, one in enumerate(found) if one is inner) for inner in each] for each in found]
