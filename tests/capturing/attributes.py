"""Classes that attrs makes: attrs travels as text, and what it made for a class as the text that it has registered."""

from __future__ import annotations

import functools
from typing import Any

import attrs
from attrs import Factory, converters, define, field, frozen, validators

from tests.capturing import Cases, Look

CASES = Cases()


@define
class Point:
    x: int
    y: float = field(default=1.0, converter=float)
    tags: list[int] = Factory(list)


@frozen(order=True)
class Version:
    major: int = field(validator=validators.instance_of(int))
    word: str = field(default="q", kw_only=True)


@CASES
def plain_attrs() -> Look:
    kept = Point(1, "2.5", [3])
    return lambda: (
        *(kept, Point(2), Point(1, 2) == Point(1, 2.0), attrs.asdict(kept), attrs.evolve(kept, x=9)),
        *([each.name for each in attrs.fields(Point)], hasattr(kept, "__dict__"), attrs.has(Point)),
    )


@CASES
def frozen_attrs() -> Look:
    kept = Version(1)

    def look() -> Any:
        said = []
        for action in (lambda: setattr(kept, "major", 2), lambda: Version("x")):
            try:
                action()
            except (AttributeError, TypeError) as error:
                said.append(type(error).__name__)
        return said, kept < Version(2), hash(kept) == hash(Version(1)), {kept: 1}[Version(1)], sorted([Version(2), kept])

    return look


@CASES
def attrs_with_hooks() -> Look:
    @define(slots=False)
    class Hooked:
        x: int = field(default=1, alias="ex")
        y: int = field(init=False)
        log: list[int] = field(factory=list, repr=False, eq=False)
        _hidden: int = 3

        @y.default
        def _y(self) -> int:
            return self.x + 1

        @x.validator
        def _check(self, attribute: Any, value: int) -> None:
            if value < 0:
                raise ValueError("negative")

        def __attrs_post_init__(self) -> None:
            self.log.append(self.y)

    kept = Hooked(ex=5, hidden=7)
    kept.more = 1

    def look() -> Any:
        try:
            Hooked(-1)
        except ValueError as error:
            return kept, kept.log, kept._hidden, kept.more, Hooked(2).log, str(error)

    return look


@CASES
def attrs_with_slots_and_super() -> Look:
    @define
    class Base:
        v: int

        def who(self) -> str:
            return super().__repr__()[:1]

        @functools.cached_property
        def square(self) -> int:
            return self.v**2

    @define
    class Derived(Base):
        w: int = 0

        def who(self) -> str:
            return "D" + super().who()

    kept = Derived(3)
    return lambda: (kept.who(), kept.square, kept, Derived(1, 2).square, Derived.__slots__)


@CASES
def attrs_with_converters_and_validators() -> Look:
    @define
    class Many:
        a: int | None = field(converter=converters.optional(int), default=None)
        b: str = field(validator=validators.in_(["x", "y"]), default="x")
        c: int = field(validator=[validators.instance_of(int), validators.le(5)], default=1)
        d: str = field(converter=converters.pipe(str, str.upper), default="z")
        e: bool = field(converter=converters.to_bool, default="yes")
        f: int = field(default=Factory(lambda self: self.c * 10, takes_self=True))
        g: str = field(validator=validators.matches_re(r"\d+"), default="12")

    kept = Many("4")

    def look() -> Any:
        try:
            kept.c = 9
        except ValueError:
            return kept, Many(c=2).f, Many(d="abc").d, kept.c

    return look
