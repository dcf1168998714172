"""What instances of classes that are derived from Python's own types hold of those. The user's constructors aren't called."""

from __future__ import annotations

import array
import collections
import datetime
import decimal
import functools
import weakref
from _random import Random as _Random
from collections.abc import Callable, Generator
from typing import Any

from pangea.compute.runtime.guest.graph.rebuilding import Need, Rebuilding

Build = Generator[Need, None, None]
_OF_BYTES = 2


def _of_value(base: Any) -> Callable[[Rebuilding, int, Any, list[Any]], Build]:
    """Of a type whose instances are made of one value: int, str, bytes and such."""

    def build(at: Rebuilding, number: int, cls: Any, parts: list[Any]) -> Build:
        yield at.complete(parts[0])
        at.objects[number] = base.__new__(cls, at.value(parts[0]))
        yield None

    return build


def _of_items(base: Any) -> Callable[[Rebuilding, int, Any, list[Any]], Build]:
    """Of a type that can't change, made of elements: tuple, frozenset."""

    def build(at: Rebuilding, number: int, cls: Any, parts: list[Any]) -> Build:
        yield at.complete(*parts[0]) if base is frozenset else at.made(*parts[0])
        at.objects[number] = base.__new__(cls, at.values(parts[0]))
        yield None

    return build


def _list(at: Rebuilding, number: int, cls: Any, parts: list[Any]) -> Build:
    made = at.objects[number] = list.__new__(cls)
    yield None
    yield at.complete(*parts[0])
    list.extend(made, at.values(parts[0]))


def _set(at: Rebuilding, number: int, cls: Any, parts: list[Any]) -> Build:
    made = at.objects[number] = set.__new__(cls)
    yield None
    yield at.complete(*parts[0])
    values = at.values(parts[0])
    at.once_hashable(values, lambda: set.update(made, values))


def _dict(at: Rebuilding, number: int, cls: Any, parts: list[Any]) -> Build:
    made = at.objects[number] = dict.__new__(cls)
    yield None
    yield at.complete(*parts[0])
    at.fill_dict(made, parts[0], dict.__setitem__)


def _ordered_dict(at: Rebuilding, number: int, cls: Any, parts: list[Any]) -> Build:
    made = at.objects[number] = collections.OrderedDict.__new__(cls)
    yield None
    yield at.complete(*parts[0])
    at.fill_dict(made, parts[0], collections.OrderedDict.__setitem__)


def _defaultdict(at: Rebuilding, number: int, cls: Any, parts: list[Any]) -> Build:
    made = at.objects[number] = collections.defaultdict.__new__(cls)
    yield None
    yield at.complete(parts[0], *parts[1])
    collections.defaultdict.__init__(made, at.value(parts[0]))
    at.fill_dict(made, parts[1], dict.__setitem__)


def _deque(at: Rebuilding, number: int, cls: Any, parts: list[Any]) -> Build:
    made = at.objects[number] = collections.deque.__new__(cls)
    yield None
    yield at.complete(*parts[0])
    collections.deque.__init__(made, at.values(parts[0]), parts[1])


def _bytearray(at: Rebuilding, number: int, cls: Any, parts: list[Any]) -> Build:
    made = at.objects[number] = bytearray.__new__(cls)
    bytearray.__init__(made, at.value(parts[0]))
    yield None


def _complex(at: Rebuilding, number: int, cls: Any, parts: list[Any]) -> Build:
    yield at.complete(parts[0])
    value = at.value(parts[0])
    at.objects[number] = complex.__new__(cls, value.real, value.imag)
    yield None


def _when(base: Any) -> Callable[[Rebuilding, int, Any, list[Any]], Build]:
    def build(at: Rebuilding, number: int, cls: Any, parts: list[Any]) -> Build:
        numbers, zone, fold = parts
        yield at.complete(zone)
        options = {} if base is datetime.date else {"tzinfo": at.value(zone), "fold": fold}
        at.objects[number] = base.__new__(cls, *numbers, **options)
        yield None

    return build


def _property(at: Rebuilding, number: int, cls: Any, parts: list[Any]) -> Build:
    made = at.objects[number] = property.__new__(cls)
    yield None
    yield at.complete(*parts)
    property.__init__(made, *at.values(parts[:3]))
    object.__setattr__(made, "__doc__", at.value(parts[3]))


def _random(at: Rebuilding, number: int, cls: Any, parts: list[Any]) -> Build:
    made = at.objects[number] = _Random.__new__(cls)
    _Random.setstate(made, tuple(parts[0]))
    yield None


def _reference(at: Rebuilding, number: int, cls: Any, parts: list[Any]) -> Build:
    yield at.made(*parts)
    target = at.value(parts[0]) if parts else type("Gone", (), {})()
    at.kept += [target] if parts else []
    at.objects[number] = weakref.ref.__new__(cls, target)
    yield None
    yield at.complete(*parts)


def _timedelta(at: Rebuilding, number: int, cls: Any, parts: list[Any]) -> Build:
    at.objects[number] = datetime.timedelta.__new__(cls, *parts[0])
    yield None


def _array(at: Rebuilding, number: int, cls: Any, parts: list[Any]) -> Build:
    code, written = parts
    items = at.value(written) if len(written) == _OF_BYTES and written[0] == "b" else written
    at.objects[number] = array.array.__new__(cls, code, items)
    yield None


def _partial(at: Rebuilding, number: int, cls: Any, parts: list[Any]) -> Build:
    made = at.objects[number] = functools.partial.__new__(cls, _partial)
    yield None
    given, arguments, keywords = parts
    yield at.complete(given, *arguments, *keywords)
    pairs = at.values(keywords)
    options = dict(zip(pairs[::2], pairs[1::2], strict=True))
    functools.partial.__setstate__(made, (at.value(given), tuple(at.values(arguments)), options, None))  # type: ignore[attr-defined]


def _path(at: Rebuilding, number: int, cls: Any, parts: list[Any]) -> Build:
    base = next(each for each in cls.__mro__ if each.__module__.partition(".")[0] == "pathlib")
    made = at.objects[number] = object.__new__(cls)
    if base.__init__ is object.__init__:  # before Python 3.12
        for name, value in zip(("_drv", "_root", "_parts"), base._parse_args(parts[0]), strict=True):
            object.__setattr__(made, name, value)
    else:
        base.__init__(made, *parts[0])
    yield None


def _exception(base: Any) -> Callable[[Rebuilding, int, Any, list[Any]], Build]:
    is_group = issubclass(base, BaseExceptionGroup)

    def build(at: Rebuilding, number: int, cls: Any, parts: list[Any]) -> Build:
        arguments, state, is_suppressed = parts
        yield at.made(*arguments)
        given = at.values(arguments)
        if is_group:
            yield at.complete(*arguments)
        made = at.objects[number] = base.__new__(cls, *given)
        if not is_group:
            made.args = tuple(given)
        yield None
        yield at.complete(*arguments, *state)
        values = at.values(state)
        for name, value in zip(values[::2], values[1::2], strict=True):
            object.__setattr__(made, name, value)
        made.__suppress_context__ = is_suppressed

    return build


PAYLOADS: dict[str, Callable[[Rebuilding, int, Any, list[Any]], Build]] = {
    "dict": _dict,
    "list": _list,
    "set": _set,
    "OrderedDict": _ordered_dict,
    "defaultdict": _defaultdict,
    "deque": _deque,
    "bytearray": _bytearray,
    "complex": _complex,
    "timedelta": _timedelta,
    "property": _property,
    "Random": _random,
    "array": _array,
    "partial": _partial,
    "PurePath": _path,
    "ReferenceType": _reference,
    **{base.__name__: _of_value(base) for base in (int, float, str, bytes, decimal.Decimal)},
    **{base.__name__: _of_items(base) for base in (tuple, frozenset)},
    **{base.__name__: _when(base) for base in (datetime.datetime, datetime.date, datetime.time)},
}


def _exceptions(base: type) -> None:
    if base.__module__ == "builtins":
        PAYLOADS[base.__name__] = _exception(base)
        inner: list[type] = base.__subclasses__()
        for each in inner:
            _exceptions(each)


_exceptions(BaseException)
