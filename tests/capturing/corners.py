"""Corners of Python's object model: what a class, its metaclass or a hash of the user's makes of the way there."""

from __future__ import annotations

import abc
import collections.abc
import enum
from typing import Any

import typing_extensions

from tests.capturing import Cases, Look

CASES = Cases()


@CASES
def attributes_with_the_names_of_a_types_own() -> Look:
    class Odd:
        __name__ = "fake"
        __dict__ = "d"  # type: ignore[assignment]
        __bases__ = 5
        __mro__ = "m"
        __text_signature__ = "(x)"
        __doc__ = property(lambda _self: "a text made on demand")  # type: ignore[assignment]
        __slots__ = ()

    class Placed:
        __module__ = property(lambda _self: "a module made on demand")  # type: ignore[assignment]

    placed: Any = Placed()

    class Meta(type):
        title = property(lambda cls: cls.__name__.title())

    class Titled(metaclass=Meta):
        title = "own"

    odd: Any = Odd()
    return lambda: (
        odd.__name__,
        Odd.__name__,
        odd.__dict__,
        odd.__bases__,
        odd.__mro__,
        odd.__doc__,
        placed.__module__,
        Titled.title,
        Titled().title,
    )


@CASES
def proxies_that_say_what_they_stand_for() -> Look:
    class Proxy:
        def __init__(self, target: Any) -> None:
            object.__setattr__(self, "_target", target)

        @property  # type: ignore[misc]
        def __class__(self) -> Any:
            return type(object.__getattribute__(self, "_target"))

        def __getattr__(self, name: str) -> Any:
            return getattr(self._target, name)

    kept = [Proxy([1, 2]), Proxy(collections), Proxy(ValueError("v")), Proxy(enum.Enum)]
    return lambda: [
        isinstance(kept[0], list),
        kept[0].count(1),
        kept[1].OrderedDict.__name__,
        kept[2].args,
        kept[3].__name__,
        [type(each).__name__ for each in kept],
    ]


@CASES
def objects_that_answer_nothing() -> Look:
    class Silent:
        def __init__(self) -> None:
            object.__setattr__(self, "secret", 7)

        def __getattribute__(self, name: str) -> Any:
            raise RuntimeError(name)

        def __hash__(self) -> int:
            return 3

        def __bool__(self) -> bool:
            raise RuntimeError

        __len__ = __iter__ = __eq__ = __bool__  # type: ignore[assignment]

    silent = Silent()
    known, several = {silent: 1}, {silent, 1}
    return lambda: (object.__getattribute__(silent, "secret"), known[silent], len(several))


@CASES
def classes_that_count_compare_and_hash_by_a_metaclass_of_their_own() -> Look:
    class Counting(type):
        items: tuple[Any, ...]

        def __len__(cls) -> int:
            return len(cls.items)

    class Empty(metaclass=Counting):
        items = ()

    class Slotted(Empty):
        __slots__ = ("q",)

    class Comparing(type):
        def __eq__(cls, other: object) -> bool:
            return type(other) is Comparing and cls.__name__ == other.__name__  # type: ignore[attr-defined]

    class Compared(metaclass=Comparing):
        pass

    class Unsure(type):
        def __bool__(cls) -> bool:
            raise RuntimeError

        def __hash__(cls) -> int:
            return 7

        def __eq__(cls, other: object) -> bool:
            return cls is other

    class Doubted(metaclass=Unsure):
        pass

    slotted, compared, doubted = Slotted(), Compared(), Doubted()
    slotted.q, vars(slotted)["x"], vars(compared)["x"], vars(doubted)["x"] = 1, 2, 3, 4
    several, known = [1, compared, doubted], {Doubted: 5}
    return lambda: (
        [slotted.q, *(vars(each)["x"] for each in (slotted, compared, doubted))],
        [len(Slotted), Compared == Compared, known[type(doubted)], several[1] is compared],
    )


@CASES
def values_of_super() -> Look:
    class A:
        def method(self) -> str:
            return "A"

        @classmethod
        def made(cls) -> str:
            return f"A of {cls.__name__}"

    class B(A):
        def method(self) -> str:
            return "B"

        @classmethod
        def made(cls) -> str:
            return "B"

    b = B()
    bound, of_class, unbound = super(B, b), super(B, B), super(B)
    return lambda: (bound.method(), of_class.made(), bound.__self__ is b, unbound.__get__(b, B).method())


@CASES
def hooks_of_abstract_classes_do_not_run_again() -> Look:
    asked: list[str] = []

    class Shape(abc.ABC):
        @classmethod
        def __subclasshook__(cls, other: type) -> Any:
            asked.append(other.__name__)
            return True if hasattr(other, "area") else NotImplemented

    class Registered:
        pass

    class Kid(Shape):
        pass

    class Sized:
        def __len__(self) -> int:
            return 0

    Shape.register(Registered)
    Kid.register(int)
    collections.abc.Sequence.register(Sized)  # type: ignore[type-abstract]
    asked.clear()
    return lambda: (
        list(asked),
        issubclass(Registered, Shape),
        isinstance(3, Kid),
        issubclass(str, Shape),
        isinstance(Sized(), collections.abc.Sequence),
    )


@CASES
def an_order_of_resolution_of_ones_own() -> Look:
    asked: list[str] = []

    class Extra:
        def extra(self) -> str:
            return "extra"

    class Meta(type):
        def mro(cls) -> list[type]:
            asked.append(cls.__name__)
            return [cls, Extra, *type.mro(cls)[1:]]

    class A(metaclass=Meta):
        pass

    class B(A):
        pass

    asked.clear()
    made: Any = B()
    return lambda: (made.extra(), [each.__name__ for each in B.__mro__], asked)


@CASES
def subclasses_that_only_their_base_knows() -> Look:
    class Plugin:
        name = ""

    kept = [type(name, (Plugin,), {"name": name.lower()}) for name in ("Up", "Down", "Aside")]
    Plugin.kept = lambda: len(kept)  # type: ignore[attr-defined]

    class Slotted(Plugin):
        __slots__ = ("q",)

    def under(cls: type) -> list[str]:
        return [name for each in cls.__subclasses__() for name in (each.__name__, *under(each))]

    kept.append(type("Deeper", (kept[1],), {}))
    kept.append(Slotted)
    return lambda: under(Plugin)


@CASES
def slots_that_others_hide() -> Look:
    class A:
        __slots__ = ("a", "b")

    class B(A):
        __slots__ = ("a",)
        b = property(lambda _self: "the property")

    made: Any = B()
    made.a = 5
    vars(A)["a"].__set__(made, 6)
    vars(A)["b"].__set__(made, 7)
    return lambda: (made.a, vars(A)["a"].__get__(made), made.b, vars(A)["b"].__get__(made))


@CASES
def cycles_through_what_hashes() -> Look:
    class Node:
        others: Any = None
        key: Any = 0

        def __init__(self, key: Any) -> None:
            self.key = key

    class Hashed(Node):
        def __eq__(self, other: object) -> bool:
            return isinstance(other, Hashed) and self.key == other.key

        def __hash__(self) -> int:
            return hash(self.key)

    plain, hashed = Node("p"), Hashed(("h", 5))
    plain.others = frozenset([plain])
    plain.pair = (plain, plain.others)  # type: ignore[attr-defined]
    hashed.others = frozenset([hashed])
    hashed.table = {hashed: {hashed}}  # type: ignore[attr-defined]
    return lambda: (
        plain in plain.others,
        plain.pair[1] is plain.others,  # type: ignore[attr-defined]
        Hashed(("h", 5)) in hashed.others,
        Hashed(("h", 5)) in hashed.table[hashed],  # type: ignore[attr-defined]
        list(vars(hashed)),
    )


def _zeroth(key: int) -> int:
    return key % 7


class _Counted:
    def __init__(self, key: int) -> None:
        self.key = key

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Counted) and self.key == other.key

    def __hash__(self) -> int:
        return _zeroth(self.key)


_A_SET = frozenset([_Counted(1), _Counted(2)])
_A_TABLE = {_Counted(3): {frozenset([_Counted(4)])}}


@CASES
def hashes_that_call_a_helper() -> Look:
    return lambda: (_Counted(2) in _A_SET, frozenset([_Counted(4)]) in _A_TABLE[_Counted(3)])


class _Alike:
    def __init__(self, number: int) -> None:
        self.number = number

    def __hash__(self) -> int:
        return 1

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Alike) and self.number % _ZEST[0] == other.number % _ZEST[0]


_ZEST = [10]
_ALIKE = {_Alike(1): "one", _Alike(2): "two"}  # whose name comes first, and is filled first


@CASES
def equality_that_needs_a_global() -> Look:
    return lambda: (_ALIKE[_Alike(12)], len(_ALIKE))


@CASES
def flags_that_know_their_inverse() -> Look:
    class Right(enum.Flag):
        READ = enum.auto()
        WRITE = enum.auto()
        RUN = enum.auto()

    both, rest = Right.READ | Right.RUN, ~Right.WRITE
    counts = {both: 1, Right.READ: 2}
    return lambda: (counts[both], counts[Right.READ], rest is both, [each.name for each in both], Right(5) is both)


@CASES
def protocols_of_a_package_for_older_pythons() -> Look:
    @typing_extensions.runtime_checkable
    class Area(typing_extensions.Protocol):
        def area(self) -> int: ...

    class Square:
        def area(self) -> int:
            return 4

    class Options(typing_extensions.TypedDict):
        size: typing_extensions.NotRequired[int]

    return lambda: (isinstance(Square(), Area), isinstance(3, Area), Options(size=1), sorted(Options.__optional_keys__))
