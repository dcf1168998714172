"""What the standard library makes without text: dataclasses, named tuples, enumerations."""

from __future__ import annotations

import collections
import dataclasses
import enum
import inspect
import typing
from dataclasses import KW_ONLY, InitVar, dataclass, field
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

from tests.capturing import Cases, Look

CASES = Cases()
RUNS: list[str] = []


@dataclass(order=True, frozen=True)
class Point:
    x: int
    y: int = 2
    tags: tuple[str, ...] = ()


@CASES
def dataclasses_of_all_options() -> Look:
    p = Point(1)

    def look() -> Any:
        try:
            p.x = 3
        except dataclasses.FrozenInstanceError:
            frozen = True
        return (
            p,
            p == Point(1, 2),
            p < Point(2),
            {p: 1}[Point(1)],
            frozen,
            dataclasses.replace(p, y=5),
            dataclasses.asdict(p),
            Point.__match_args__,
            str(inspect.signature(Point)),
            Point.__init__.__annotations__,
        )

    return look


@CASES
def dataclasses_with_factories_and_post_init() -> Look:
    @dataclass
    class Order:
        items: list[int] = field(default_factory=list)
        rate: float = 1.5
        total: float = field(init=False, repr=False, compare=False)
        note: str = field(default="", metadata={"unit": "none"})
        extra: InitVar[int] = 0
        count: ClassVar[int] = 0

        def __post_init__(self, extra: int) -> None:
            RUNS.append("post")
            self.total = sum(self.items) * self.rate + extra

    kept = Order([1, 2], extra=10)
    kept.total = -1.0

    def look() -> Any:
        fresh = Order([4], 2.0, extra=1)
        return (
            kept,
            kept.total,
            fresh.total,
            [f.name for f in dataclasses.fields(Order)],
            Order().items is Order().items,
            len(RUNS),
            dataclasses.fields(Order)[3].metadata["unit"],
        )

    return look


@CASES
def dataclasses_with_slots_and_keywords() -> Look:
    @dataclass(slots=True, kw_only=True)
    class Slotted:
        a: int
        b: int = 2

    @dataclass
    class Mixed:
        a: int
        _: KW_ONLY
        c: int = 3

    @dataclass(slots=True, frozen=True)
    class Both:
        a: int

    s, both = Slotted(a=1), Both(7)
    return lambda: (
        s,
        hasattr(s, "__dict__"),
        Slotted(a=4, b=5),
        Mixed(1, c=2),
        both,
        both == Both(7),
        hash(both) == hash(Both(7)),
        Slotted.__slots__,
    )


@CASES
def dataclasses_inherited() -> Look:
    @dataclass
    class A:
        x: int
        y: list[int] = field(default_factory=lambda: [1])

    @dataclass(eq=False)
    class B(A):
        z: int = 3

        def __repr__(self) -> str:
            return f"B{self.x, self.y, self.z}"

    @dataclass(unsafe_hash=True, repr=False)
    class C:
        k: int

    class Plain(B):
        pass

    b = B(1)
    return lambda: (b, b == B(1), Plain(5), hash(C(1)) == hash(C(1)), C(1) == C(1), [f.name for f in dataclasses.fields(Plain)])


@CASES
def dataclasses_of_a_function() -> Look:
    Made = dataclasses.make_dataclass(
        "Made", [("a", int), ("b", str, field(default="x"))], namespace={"up": lambda self: self.b.upper()}
    )
    m = Made(1)
    return lambda: (m, m.up(), Made(2, b="q") == Made(2, "q"), dataclasses.astuple(m))


@CASES
def named_tuples_with_lists_as_defaults() -> Look:
    class Row(NamedTuple):
        name: str
        tags: list[str] = []  # noqa: RUF012 (shared, as it is at home)

    pair = collections.namedtuple("pair", "a b", defaults=({"k": 1},))  # type: ignore[misc]
    kept = Row("a")
    return lambda: (Row("b"), kept, kept.tags is Row("c").tags, pair(2), Row._field_defaults)


@CASES
def protocols_of_attributes_alone() -> Look:
    @runtime_checkable
    class Named(Protocol):
        name: str

    class Has:
        name = "n"

    class Lacks:
        pass

    return lambda: (isinstance(Has(), Named), isinstance(Lacks(), Named))


@CASES
def dataclasses_with_methods_replaced() -> Look:
    @dataclass
    class R:
        a: int

    R.__repr__ = lambda self: "mine"
    R.__eq__ = lambda self, other: True
    return lambda: (R(1), R(1) == R(2))


@CASES
def dataclasses_generic_and_recursive() -> Look:
    T = typing.TypeVar("T")

    @dataclass
    class Tree(typing.Generic[T]):
        value: T
        left: Tree[T] | None = None

    t = Tree(1, Tree(2))
    t.left.left = t
    return lambda: (repr(t), t.left.left is t, Tree("a"))


@CASES
def named_tuples() -> Look:
    Pair = collections.namedtuple("Pair", "left right", defaults=[7])

    class Row(NamedTuple):
        """A row."""

        a: int
        b: str = "b"

        def both(self) -> str:
            return f"{self.a}{self.b}"

        @property
        def first(self) -> int:
            return self[0]

    class Sized(collections.namedtuple("Sized", "w h")):
        __slots__ = ()

        def __new__(cls, w: Any, h: Any = 3) -> Any:
            RUNS.append("sized")
            return super().__new__(cls, int(w), h)

        @property
        def area(self) -> int:
            return self.w * self.h

    Renamed = collections.namedtuple("Renamed", "a def b", rename=True)
    Pair.__doc__ = "Two things."
    sized = Sized("4")
    kept = len(RUNS)
    return lambda: (
        *(Pair(1), Pair(1)._replace(left=3), Pair._fields, Pair.__doc__, Row(1).both(), Row(1).first, Row.__doc__),
        *(Renamed(1, 2, 3), Renamed._fields),
        *(sized, sized.area, Sized("5").w, Row._field_defaults, Row(2, "c")._asdict(), Pair._make([1, 2]), kept >= 1),
    )


class Color(enum.Enum):
    RED = 1
    GREEN = 2
    LIME = 2

    def lower(self) -> str:
        return self.name.lower()

    @classmethod
    def _missing_(cls, value: object) -> Any:
        return cls.RED if value == "r" else None


@CASES
def enumerations() -> Look:
    table = {Color.RED: "r", "all": [Color.LIME]}
    return lambda: (
        *(list(Color), Color(2), Color["LIME"], Color.LIME is Color.GREEN, Color("r"), Color.RED.lower(), table, len(Color)),
        *(
            Color.RED in Color,
            list(Color.__members__),
            isinstance(Color.RED, Color),
            Color.RED == Color.RED,
            hash(Color.RED) == hash(Color(1)),
        ),
    )


@CASES
def enumerations_of_other_kinds() -> Look:
    class Level(enum.IntEnum):
        LOW = enum.auto()
        HIGH = enum.auto()

    class Name(enum.StrEnum):
        A = enum.auto()
        B = "bee"

    class Planet(enum.Enum):
        EARTH = (5.97, 6.37)
        MARS = (0.64, 3.39)

        def __init__(self, mass: float, radius: float) -> None:
            RUNS.append("planet")
            self.mass, self.radius = mass, radius

        @property
        def density(self) -> float:
            return round(self.mass / self.radius, 3)

    class Coded(bytes, enum.Enum):
        def __new__(cls, code: int, label: str) -> Any:
            member = bytes.__new__(cls, [code])
            member._value_, member.label = code, label
            return member

        X = (1, "one")
        Y = (2, "two")

    Made = enum.Enum("Made", "A B C", start=10)

    class Unhashable(enum.Enum):
        L = [1]
        D = {"a": 1}

    return lambda: (
        *(list(Level), Level.LOW + 1, sorted(Level, reverse=True), f"{Level.HIGH}", Name.A, str(Name.B), Name("bee")),
        *(Planet.EARTH.density, Planet((0.64, 3.39)), Coded(2).label, Coded.X[0], Coded.Y == b"\2", list(Made), Made(11)),
        *(Unhashable([1]), Unhashable.D.value, RUNS.count("planet")),
    )


@CASES
def flags() -> Look:
    class Perm(enum.Flag):
        R = 4
        W = 2
        X = 1
        RW = R | W

    class Bits(enum.IntFlag, boundary=enum.KEEP):
        A = 1
        B = 8

    mixed = Perm.R | Perm.X
    return lambda: (
        *(
            list(Perm),
            mixed,
            Perm.RW,
            Perm.RW & Perm.W,
            ~Perm.R,
            Perm(0),
            bool(Perm(0)),
            Perm.R in mixed,
            mixed is (Perm.R | Perm.X),
        ),
        *(Bits(9), Bits(16), Bits.A | 2, int(Bits.B), list(Bits.A | Bits.B), Perm(5) == mixed, {mixed: 1}[Perm.R | Perm.X]),
    )


@CASES
def enumerations_with_things_added() -> Look:
    class Shape(enum.Enum):
        ROUND = 1
        _ignore_ = ["hidden"]
        hidden = 5

        @enum.property
        def area(self) -> int:
            return 3

    Shape.extra = "added"
    Shape.ROUND.note = "noted"
    return lambda: (list(Shape), Shape.extra, Shape.ROUND.note, Shape.ROUND.area)


@CASES
def dataclasses_whose_hook_came_or_went_later() -> Look:
    @dataclass
    class Late:
        x: int

    @dataclass
    class Gone:
        x: int

        def __post_init__(self) -> None:
            self.y = 1

    Late.__post_init__ = lambda self: setattr(self, "y", 2)
    Gone.__post_init__ = lambda self: setattr(self, "y", 3)

    @dataclass
    class Never:
        x: int

        def __post_init__(self) -> None:
            self.y = 4

    made = Never(1)
    del Never.__post_init__
    return lambda: (vars(Late(1)), vars(Gone(1)), made.y)


@CASES
def a_field_that_no_class_has() -> Look:
    kept = field(default=1, metadata={"unit": "m"})
    return lambda: (kept.default, kept.metadata["unit"], kept.name)


@CASES
def named_tuples_with_a_type() -> Look:
    T = typing.TypeVar("T")

    class Pair(NamedTuple, typing.Generic[T]):
        left: T
        right: int = 2

        def both(self) -> list[Any]:
            return [self.left, self.right]

    kept = Pair("a")
    return lambda: (kept, Pair[int](1), kept.both(), Pair[str].__args__, Pair.__parameters__ == (T,), Pair._fields)


@CASES
def enumerations_of_dataclasses() -> Look:
    @dataclass
    class Size:
        width: int

    class Named:
        def __repr__(self) -> str:
            return "named"

    class Paper(Size, enum.Enum):
        A4 = 210

    class Word(Named, enum.Enum):
        ONE = 1

    return lambda: (Paper.A4, Paper.A4.width, Paper(Size(210)) is Paper.A4, Word.ONE, Word(1) is Word.ONE)


@dataclass(order=True)
class Marked:
    size: int = 1
    parts: list[int] = field(default_factory=list)
    last: int = field(default=3, kw_only=True)

    def __post_init__(self) -> None:
        self.parts.append(self.size)


vars(Marked)["__lt__"].seen = [Marked]
vars(Marked)["__init__"].__defaults__ = (5, *vars(Marked)["__init__"].__defaults__[1:])
vars(Marked)["__init__"].__kwdefaults__["last"] = 7
vars(Marked)["__repr__"].__doc__ = "What it shows."


@CASES
def what_was_done_to_methods_that_dataclass_made() -> Look:
    @dataclass(frozen=True, slots=True)
    class Slotted:
        x: int

    vars(Slotted)["__eq__"].note = "kept"
    slotted: Any = Slotted
    marked: Any = Marked
    return lambda: (
        (Marked(), Marked(2), Marked(1) < Marked(2), Marked(1) == Marked(1), Marked.__init__.__qualname__),
        (marked.__lt__.seen[0] is Marked, marked.__repr__.__doc__, vars(marked.__eq__)),
        (slotted.__eq__.note, Slotted(1) == Slotted(1), repr(Slotted(2)), Slotted.__slots__),
    )
