"""What is derived from Python's own types, and from what a library made: what those hold, and what was added."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import decimal
import weakref
from typing import Any

from tests.capturing import Cases, Look

CASES = Cases()


@dataclasses.dataclass
class _Point:
    x: int
    y: list[int] = dataclasses.field(default_factory=list)

    def __post_init__(self) -> None:
        self.y.append(self.x)


@dataclasses.dataclass
class _Plain:
    x: int = 1


_plain_init, _equal = _Point.__init__, _Plain.__eq__


def _tenfold(self: _Point, x: int) -> None:
    _plain_init(self, x * 10)


_Point.__init__ = _tenfold  # type: ignore[assignment,method-assign]


@CASES
def of_methods_that_dataclass_made() -> Look:
    return lambda: (_Point(2), _Point(3).y, _equal(_Plain(), _Plain()), _equal is _Plain.__eq__)


def noted(*kept: Any) -> Look:
    """Give each an attribute, and look at it: its text, its type and the attribute."""
    for each in kept:
        each.note = type(each).__name__
    return lambda: [(repr(each), type(each).__name__, each.note) for each in kept]


@CASES
def of_containers() -> Look:
    class L(list[int]):
        extra = "e"

    class S(set[int]):
        pass

    class F(frozenset[int]):
        pass

    class T(tuple[int, ...]):
        pass

    class Dq(collections.deque):
        pass

    class Ct(collections.Counter):
        pass

    return noted(L([1]), S([1]), F([2]), T((1, 2)), Dq([1], 2), Ct("aa"))


@CASES
def of_texts_and_numbers() -> Look:
    class Text(str):
        pass

    class I(int):
        pass

    class Fl(float):
        pass

    class By(bytes):
        pass

    class Ba(bytearray):
        pass

    class Cx(complex):
        pass

    class Dec(decimal.Decimal):
        pass

    class Dt(datetime.datetime):
        pass

    return noted(Text("t"), I(5), Fl(1.5), By(b"b"), Ba(b"x"), Cx(1, 2), Dec("1.10"), Dt(2024, 1, 2))


@CASES
def of_dicts() -> Look:
    class D(dict[str, int]):
        def __setitem__(self, key: str, value: int) -> None:
            super().__setitem__(key, value + 100)

        def __init__(self) -> None:
            super().__init__()
            self.name = "d"

    class Dd(collections.defaultdict):
        pass

    class Od(collections.OrderedDict):
        pass

    plain, groups, ordered = D(), Dd(list, {1: [2]}), Od(b=1, a=2)
    plain["a"] = 1
    ordered.move_to_end("b")
    return lambda: (plain, plain.name, groups, groups[5], list(ordered), type(ordered).__name__)


@CASES
def of_errors() -> Look:
    class Err(OSError):
        pass

    err = Err(2, "no file", "name")
    return lambda: (err.errno, err.filename, str(err))


@CASES
def of_weak_references() -> Look:
    class Target:
        def method(self) -> str:
            return "m"

    class Reference(weakref.ref[Any]):
        __slots__ = ("tag",)
        tag: str

    target = Target()
    reference, method = Reference(target), weakref.WeakMethod(target.method)
    reference.tag = "t"

    def look() -> Any:
        kept = method()
        return reference() is target, reference.tag, kept and kept()

    return look
