"""Classes: what they hold now, how they are laid out, and what makes them."""

from __future__ import annotations

import abc
import collections
import numbers
import typing
from typing import Any, ClassVar, Generic, NewType, ParamSpec, Protocol, TypedDict, TypeVar, runtime_checkable

from tests.capturing import Cases, Look

CASES = Cases()
T = TypeVar("T")
B = TypeVar("B", bound="Base")
N = TypeVar("N", int, str)
P = ParamSpec("P")
UserId = NewType("UserId", int)
PLUGINS: dict[str, type] = {}


class Base:
    kind = "base"

    def __init_subclass__(cls, *, tag: str = "", **options: Any) -> None:
        super().__init_subclass__(**options)
        PLUGINS[tag or cls.__name__] = cls

    def show(self) -> str:
        return f"{self.kind} {type(self).__name__}"


class One(Base, tag="one"):
    kind = "one"


@CASES
def hooks_of_subclasses_do_not_run_again() -> Look:
    One.kind = "changed"
    return lambda: (sorted(PLUGINS), [cls().show() for cls in PLUGINS.values()], One.__bases__ == (Base,))


@CASES
def methods_and_attributes_set_later() -> Look:
    class Shape:
        sides = 0

        def area(self) -> int:
            return 1

    Shape.sides = 4
    Shape.area = lambda self: 2
    Shape.twice = property(lambda self: self.area() * 2)
    return lambda: (Shape.sides, Shape().area(), Shape().twice)


@CASES
def super_and_cooperation() -> Look:
    class A:
        def f(self) -> str:
            return "A"

    class B(A):
        def f(self) -> str:
            return "B" + super().f()

    class C(A):
        def f(self) -> str:
            return "C" + super().f()

    class D(B, C):
        def f(self) -> str:
            return "D" + super().f()

        @classmethod
        def order(cls) -> list[str]:
            return [each.__name__ for each in cls.__mro__]

    return lambda: (D().f(), D.order(), issubclass(D, C))


@CASES
def slots() -> Look:
    class Point:
        __slots__ = ("__hidden", "x", "y")

        def __init__(self, x: int) -> None:
            self.x, self.__hidden = x, "h"

        def hidden(self) -> str:
            return self.__hidden

    class Named(Point):
        __slots__ = ("__dict__", "__weakref__", "name")

    point, named = Point(1), Named(2)
    named.name, named.more = "n", "m"

    def look() -> Any:
        try:
            point.z = 1
        except AttributeError:
            pass
        else:
            return "no slots"
        return point.x, hasattr(point, "y"), point.hidden(), named.x, named.name, named.more, Named.__slots__

    return look


@CASES
def descriptors() -> Look:
    class Typed:
        def __init__(self, kind: type) -> None:
            self.kind, self.sets = kind, 0

        def __set_name__(self, owner: type, name: str) -> None:
            self.sets += 1
            self.name = "_" + name

        def __get__(self, instance: Any, owner: type) -> Any:
            return self if instance is None else getattr(instance, self.name, "unset")

        def __set__(self, instance: Any, value: Any) -> None:
            setattr(instance, self.name, self.kind(value))

    class Row:
        count = Typed(int)
        word = Typed(str)

    row = Row()
    row.count = "12"

    def look() -> Any:
        row.word = 5
        return row.count, row.word, Row.count.sets, vars(row)

    return look


@CASES
def properties() -> Look:
    class Celsius:
        def __init__(self) -> None:
            self._k = 273

        @property
        def degrees(self) -> int:
            """Degrees."""
            return self._k - 273

        @degrees.setter
        def degrees(self, value: int) -> None:
            self._k = value + 273

    class Read(property):
        note = "own"

        def __get__(self, instance: Any, owner: Any = None) -> Any:
            return self if instance is None else ("read", super().__get__(instance, owner))

    class Other(Celsius):
        value = Read(lambda self: self._k)

    c = Celsius()

    def look() -> Any:
        c.degrees = 10
        return c.degrees, c._k, Celsius.degrees.__doc__, Other().value, Other.value.note

    return look


@CASES
def metaclasses() -> Look:
    made: list[str] = []

    class Meta(type):
        registry: ClassVar[dict[str, type]] = {}

        def __new__(mcs, name: str, bases: Any, space: Any, **options: Any) -> Any:
            made.append(name)
            space["stamp"] = len(made)
            return super().__new__(mcs, name, bases, space)

        def __init__(cls, name: str, bases: Any, space: Any, **options: Any) -> None:
            super().__init__(name, bases, space)
            Meta.registry[name] = cls

        def __len__(cls) -> int:
            return len(cls.registry)

        @property
        def title(cls) -> str:
            return cls.__name__.upper()

    class X(metaclass=Meta):
        pass

    class Y(X):
        pass

    return lambda: (made, X.stamp, Y.stamp, sorted(Meta.registry), len(X), Y.title)


@CASES
def abstract_classes() -> Look:
    class Store(abc.ABC):
        @abc.abstractmethod
        def get(self) -> int: ...

        @property
        @abc.abstractmethod
        def size(self) -> int: ...

    class Memory(Store):
        def get(self) -> int:
            return 1

        @property
        def size(self) -> int:
            return 2

    class Foreign:
        pass

    Store.register(Foreign)

    def look() -> Any:
        try:
            Store()
        except TypeError:
            made = "abstract"
        return (
            made,
            Memory().get(),
            isinstance(Foreign(), Store),
            isinstance(Memory(), Store),
            isinstance(3, Store),
            Store.__abstractmethods__ == {"get", "size"},
        )

    return look


@CASES
def abstract_classes_of_the_library() -> Look:
    class Bag(collections.abc.MutableMapping):
        def __init__(self) -> None:
            self.d: dict[Any, Any] = {}

        def __getitem__(self, key: Any) -> Any:
            return self.d[key]

        def __setitem__(self, key: Any, value: Any) -> None:
            self.d[key] = value

        def __delitem__(self, key: Any) -> None:
            del self.d[key]

        def __iter__(self) -> Any:
            return iter(self.d)

        def __len__(self) -> int:
            return len(self.d)

    class Money:
        pass

    numbers.Number.register(Money)
    bag = Bag()
    bag["a"] = 1
    return lambda: (bag.setdefault("b", 2), dict(bag), isinstance(bag, collections.abc.Mapping), list(bag.items()))


@CASES
def generics() -> Look:
    class Stack(Generic[T]):
        def __init__(self, *items: T) -> None:
            self.items = list(items)

    class Ints(Stack[int]):
        pass

    class Pair(Generic[N, B]):
        pass

    alias = Stack[str]
    return lambda: (
        *(alias("a").items, Ints(1).items, Stack.__parameters__ == (T,), Ints.__orig_bases__ == (Stack[int],)),
        *(Pair[int, Base].__args__[0], N.__constraints__, repr(alias)[-10:], typing.get_args(Stack[int])),
        *(UserId(3), UserId.__name__, UserId.__supertype__, P.__name__),
    )


@CASES
def protocols() -> Look:
    @runtime_checkable
    class Closes(Protocol):
        def close(self) -> None: ...

    class File:
        def close(self) -> None: ...

    class Explicit(Closes):
        pass

    return lambda: (isinstance(File(), Closes), isinstance(3, Closes), issubclass(Explicit, Closes), Explicit().close())


@CASES
def typed_dicts() -> Look:
    class Movie(TypedDict, total=False):
        name: str
        year: int

    movie: Movie = {"name": "x"}
    return lambda: (Movie(name="y"), movie, sorted(Movie.__optional_keys__), sorted(Movie.__annotations__), Movie.__total__)


@CASES
def types_of_typing() -> Look:
    kinds = [list[int], dict[str, "Base"], typing.Optional[int], typing.Union[int, str], int | None, typing.Callable[[int], str]]
    kinds += [typing.Literal["a", 1], typing.Any, typing.List[int], tuple[int, ...], type[Base], typing.Annotated[int, "unit"]]
    return lambda: [typing.get_args(each) for each in kinds] + [typing.get_origin(each) for each in kinds[:2]]


@CASES
def nested_and_local_classes() -> Look:
    class Outer:
        class Inner:
            value = 1

            class Inmost:
                value = 2

        def make(self) -> Any:
            class Local(self.Inner):
                value = 3

            return Local

    made = Outer().make()
    return lambda: (
        Outer.Inner.Inmost.value,
        made.value,
        made.__qualname__,
        Outer().make()().value,
        made.__mro__[1] is Outer.Inner,
    )


@CASES
def two_classes_of_one_factory() -> Look:
    def make(n: int) -> Any:
        class Made(Exception):
            level = n

        return Made

    Soft, Hard = make(1), make(2)

    def look() -> Any:
        try:
            raise Hard
        except Soft:
            return "soft"
        except Hard as error:
            return error.level, Soft is Hard, Soft.level

    return look


@CASES
def a_class_in_its_own_dictionary() -> Look:
    class Node:
        def __init__(self) -> None:
            self.link = self

    Node.again = Node
    Node.one = Node()
    return lambda: (Node.again is Node, type(Node.one) is Node, Node.one.link is Node.one)


@CASES
def classes_made_by_type() -> Look:
    Made = type("Made", (Base,), {"kind": "typed", "f": lambda self: self.kind}, tag="m")
    return lambda: (Made().f(), Made.__name__, PLUGINS["m"] is Made)


@CASES
def operators_and_protocols_of_python() -> Look:
    class Vector:
        def __init__(self, *parts: float) -> None:
            self.parts = parts

        def __add__(self, other: Vector) -> Vector:
            return Vector(*map(sum, zip(self.parts, other.parts, strict=True)))

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Vector) and self.parts == other.parts

        def __hash__(self) -> int:
            return hash(self.parts)

        def __repr__(self) -> str:
            return f"V{self.parts}"

        def __getattr__(self, name: str) -> Any:
            if name.startswith("__"):
                raise AttributeError(name)
            return f"no {name}"

        def __class_getitem__(cls, item: Any) -> str:
            return f"{cls.__name__}[{item}]"

    v = Vector(1, 2)
    table = {v: "v", (v, 1): "t"}
    group = {v, Vector(1, 2), Vector(3)}
    frozen = frozenset([v])
    return lambda: (v + v, table[Vector(1, 2)], table[Vector(1, 2), 1], len(group), v.speed, Vector[3], Vector(1, 2) in frozen)


@CASES
def private_names() -> Look:
    class Secret:
        __value = 1

        def __get(self) -> int:
            return self.__value

        def show(self) -> int:
            return self.__get()

    return lambda: (Secret().show(), Secret()._Secret__get())


@CASES
def the_order_of_a_class() -> Look:
    class Form:
        b = 1
        a = 2

        def z(self) -> None: ...

        c = 3

    return lambda: [name for name in vars(Form) if not name.startswith("__")]


@CASES
def getattribute_and_setattr_of_the_user() -> Look:
    class Frozen:
        def __init__(self) -> None:
            object.__setattr__(self, "x", 1)

        def __setattr__(self, name: str, value: Any) -> None:
            raise AttributeError("frozen")

        def __getattribute__(self, name: str) -> Any:
            return ("got", object.__getattribute__(self, name))

    frozen = Frozen()
    return lambda: (frozen.x, object.__getattribute__(frozen, "x"))


@CASES
def classes_with_init_that_must_not_run() -> Look:
    log: list[str] = []

    class Loud:
        def __new__(cls, *args: Any) -> Any:
            log.append("new")
            return super().__new__(cls)

        def __init__(self, x: int) -> None:
            log.append("init")
            self.x = x

        def __del__(self) -> None: ...

    loud = Loud(1)
    return lambda: (log, loud.x, Loud(2).x, log)
