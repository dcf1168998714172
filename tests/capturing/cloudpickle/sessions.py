"""Sessions, determinism, and what is made without text."""

from __future__ import annotations

import abc
import dataclasses
import enum
import functools
import itertools
import types
import typing
import weakref
from typing import Any

from tests.capturing import Cases, Look
from tests.capturing.cloudpickle.shared import cell


CASES = Cases()
GLOBAL = "default"
T = typing.TypeVar("T")


@CASES
def interactively_defined_function() -> Look:
    space: dict[str, Any] = {"__name__": "__main__"}
    cell("CONSTANT = 100\n\nclass Foo:\n    def method(self, x):\n        return x\n", space, "<cell one>")
    cell("def foo(x):\n    return Foo().method(x) + CONSTANT\n\nadd = lambda x: foo(x) + 1\n", space, "<cell two>")
    foo, add = space["foo"], space["add"]
    return lambda: (foo(1), add(1))


@CASES
def interactively_defined_global_variable() -> Look:
    def read() -> str:
        return GLOBAL

    return lambda: (read(), read.__globals__["GLOBAL"])


@CASES
def closure_interacting_with_a_global_variable() -> Look:
    def write() -> str:
        global SHARED
        SHARED += "!"
        return SHARED

    def read() -> str:
        return SHARED

    return lambda: write()[: len("shared")] + str(read().startswith("shared!"))


SHARED = "shared"


@CASES
def interactive_remote_function_calls() -> Look:
    def interactive(x: int) -> int:
        return x + 1

    def wrapper(f: Any, *args: Any) -> Any:
        return f(*args)

    return lambda: wrapper(interactive, 41)


@CASES
def interactive_dynamic_type_and_remote_instances() -> Look:
    class Counter:
        def __init__(self) -> None:
            self.count = 0

        def add(self) -> int:
            self.count += 1
            return self.count

    kept = Counter()
    return lambda: (Counter().add(), type(kept) is Counter)


@CASES
def dynamic_func_deterministic_roundtrip() -> Look:
    def f(*, one: int = 1, two: int = 2) -> int:
        return one + two

    return lambda: (f(), sorted(f.__kwdefaults__))


@CASES
def dynamic_class_deterministic_roundtrip() -> Look:
    class Some:
        attr = 1

        def method(self, arg: int) -> str:
            return "arg"

    kept = Some()
    kept.arg = "arg"
    return lambda: (vars(kept), Some.attr, kept.method(1))


@CASES
def deterministic_dynamic_class_attr_ordering_for_chained_pickling() -> Look:
    class A:
        z = 1
        y = 2
        x = 3

    return lambda: [name for name in vars(A) if len(name) == 1]


@CASES
def deterministic_str_interning_for_chained_dynamic_class_pickling() -> Look:
    class A:
        def join(self) -> str:
            return "join" + self.__class__.__name__

    return lambda: A().join()


@CASES
def dynamic_class_determinist_subworker_tuple_memoization() -> Look:
    class A:
        pair = (1, 2)
        other = pair

    return lambda: A.pair is A.other


@CASES
def unhashable_function() -> Look:
    class Unhashable:
        __hash__ = None

        def __call__(self, x: int) -> int:
            return x + 1

    kept = Unhashable()
    return lambda: kept(1)


@CASES
def itertools_count() -> Look:
    kept = itertools.count(3, 2)
    next(kept)
    return lambda: (next(kept), next(kept))


def _wrapped() -> Any:
    def f(x: int) -> str:
        """42"""
        return str(x)

    @functools.wraps(f)
    def g(*args: Any) -> Any:
        return f(*args)

    return g


@CASES
def wraps_preserves_function_name() -> Look:
    g = _wrapped()
    return lambda: g.__name__


@CASES
def wraps_preserves_function_doc() -> Look:
    g = _wrapped()
    return lambda: g.__doc__


@CASES
def wraps_preserves_function_annotations() -> Look:
    g = _wrapped()
    return lambda: (g.__annotations__, g(3))


@CASES
def type_hint() -> Look:
    kept = typing.Optional[int]
    return lambda: typing.get_args(kept)


@CASES
def instance_with_slots() -> Look:
    class Slotted:
        __slots__ = ["registered"]

        def __init__(self, value: int) -> None:
            self.registered = value

    class Sub(Slotted):
        __slots__ = ("extra",)

    class Weak:
        __slots__ = ("__weakref__",)

    kept, sub, weak = Slotted(3), Sub(4), Weak()
    sub.extra = "x"
    return lambda: (kept.registered, sub.registered, sub.extra, weakref.ref(weak)() is weak, hasattr(kept, "__dict__"))


@CASES
def mappingproxy() -> Look:
    kept = types.MappingProxyType({"some_key": "some value"})
    return lambda: (kept, type(kept).__name__)


@CASES
def dataclass() -> Look:
    Made = dataclasses.make_dataclass("Made", [("x", int)])
    kept = Made(3)
    return lambda: (kept.x, dataclasses.fields(Made)[0].name, Made(4))


@CASES
def locally_defined_enum() -> Look:
    class Quoted(str, enum.Enum):
        CLOSED = "'"

        @__import__("builtins").classmethod
        def of(cls, name: str) -> Any:
            return cls[name]

    class Color(enum.Enum):
        RED, GREEN = 1, 2

        def is_red(self) -> bool:
            return self is Color.RED

    green = Color.GREEN
    return lambda: (
        Quoted.of("CLOSED"),
        Quoted.CLOSED == "'",
        list(Color),
        Color.RED.is_red(),
        green is Color(2),
        type(green).__name__,
    )


@CASES
def locally_defined_intenum() -> Look:
    Days = enum.IntEnum("Days", "MON TUE")
    kept = Days.TUE
    return lambda: (kept + 1, Days["MON"], kept is Days(2), list(Days))


@CASES
def interactively_defined_enum() -> Look:
    space: dict[str, Any] = {"__name__": "__main__"}
    cell("import enum\nclass Color(enum.Enum):\n    RED = 1\ndef check(x):\n    return x in Color\n", space, "<enum cell>")
    check, red = space["check"], space["Color"].RED
    return lambda: check(red)


@CASES
def relative_import_inside_function() -> Look:
    from tests.capturing import helper

    def look() -> Any:
        from .. import helper_nested
        from ..helper import VALUE

        return helper_nested.DEEP, VALUE

    return look if helper else look


@CASES
def interactively_defined_func_with_keyword_only_argument() -> Look:
    def f(a: int, *, b: int = 1) -> int:
        return a + b

    return lambda: (f(1, b=2), f(1))


@CASES
def interactively_defined_func_with_positional_only_argument() -> Look:
    def f(a: int, /, b: int = 1) -> int:
        return a + b

    return lambda: f(1, b=2)


@CASES
def __reduce___returns_string() -> Look:
    import threading

    class Singleton:
        def __init__(self) -> None:
            self.lock = threading.Lock()

        def __reduce__(self) -> str:
            return "the_singleton"

    kept = Singleton()
    return lambda: kept


@CASES
def cloudpickle_extract_nested_globals() -> Look:
    def outer() -> Any:
        def inner() -> str:
            return GLOBAL

        return inner()

    return outer


@CASES
def recursion_during_pickling() -> Look:
    import threading

    class A:
        def __init__(self) -> None:
            self.lock = threading.Lock()

        def __reduce__(self) -> Any:
            return self.__reduce__()

    kept = A()
    return lambda: kept


def _variable(kind: Any, *constraints: Any, **options: Any) -> Look:
    kept = kind("V", *constraints, **options)
    return lambda: (
        *(kept.__name__, kept.__bound__, getattr(kept, "__constraints__", ()), kept.__covariant__, kept.__contravariant__),
        kept.__module__,
    )


@CASES
def pickle_dynamic_typevar() -> Look:
    looks = [_variable(typing.TypeVar, covariant=True), _variable(typing.TypeVar, bound=int), _variable(typing.TypeVar, int, str)]
    return lambda: [look() for look in looks]


@CASES
def pickle_dynamic_typevar_tracking() -> Look:
    V = typing.TypeVar("V")
    kept = [V, list[V], dict[str, V]]
    return lambda: (kept[1].__args__[0] is V, kept[2].__parameters__[0] is kept[0])


@CASES
def pickle_dynamic_typevar_memoization() -> Look:
    V = typing.TypeVar("V")
    kept = (V, V)
    return lambda: kept[0] is kept[1]


@CASES
def pickle_importable_typevar() -> Look:
    kept = typing.AnyStr
    return lambda: kept is typing.AnyStr


@CASES
def generic_type() -> Look:
    class C(typing.Generic[T]):
        pass

    kept = [C, C[int], C[typing.List[int]]]
    return lambda: (kept[1]().__class__ is C, kept[1].__args__, kept[1].__origin__ is C, C.__orig_bases__ == (typing.Generic[T],))


@CASES
def generic_subclass() -> Look:
    class Base(typing.Generic[T]):
        pass

    class Leaf(Base[int]):
        pass

    class Derived(Base[T]):
        pass

    return lambda: (
        Leaf.__orig_bases__ == (Base[int],),
        Derived.__parameters__ == (T,),
        issubclass(Leaf, Base),
        Derived[str].__args__,
    )


@CASES
def locally_defined_class_with_type_hints() -> Look:
    kinds = [typing.Union[int, str], typing.Callable[[int], str], typing.Tuple[int, ...], typing.Any, typing.Type[int]]
    found = []
    for kind in kinds:

        class Hinted:
            def method(self, arg: Any) -> Any:
                return arg

        Hinted.__annotations__ = {"attribute": kind}
        found.append(Hinted)
    return lambda: [typing.get_args(each.__annotations__["attribute"]) for each in found] + [found[0]().method(1)]


@CASES
def class_annotations() -> Look:
    class C:
        pass

    C.__annotations__ = {"a": int}
    return lambda: C.__annotations__


@CASES
def class_annotations_abstractclass() -> Look:
    class C(abc.ABC):
        a: int

    return lambda: list(C.__annotations__)


@CASES
def function_annotations() -> Look:
    def f(a: int) -> str:
        return ""

    f.__annotations__ = {"a": int, "return": str}
    return lambda: f.__annotations__


@CASES
def literal_misdetection() -> Look:
    class Odd:
        __values__ = ()

    kept = Odd()
    return lambda: type(kept).__values__


@CASES
def final_or_classvar_misdetection() -> Look:
    class Odd:
        __type__ = int

    kept = Odd()
    return lambda: type(kept).__type__


@CASES
def deterministic_pickle_bytes_for_function() -> Look:
    def f(x: int) -> Any:
        return {"b": x, "a": {3, 1}}

    return lambda: f(1)


@CASES
def dataclass_fields_are_preserved() -> Look:
    @dataclasses.dataclass
    class Sample:
        x: typing.ClassVar[int]
        y: int = 57
        z: list[int] = dataclasses.field(default_factory=list, metadata={"k": 1})

    kept = Sample()
    return lambda: (
        [(each.name, each.metadata.get("k"), each.default_factory is list) for each in dataclasses.fields(kept)],
        dataclasses.replace(kept, y=1),
        sorted(each.name for each in Sample.__dataclass_fields__.values()),
    )


@CASES
def interactively_defined_dataclass_with_initvar_and_classvar() -> Look:
    @dataclasses.dataclass
    class Sample:
        count: typing.ClassVar[int] = 1
        x: int = 0
        start: dataclasses.InitVar[int] = 5

        def __post_init__(self, start: int) -> None:
            self.x = self.x or start

    kept = Sample(7)
    return lambda: (kept, Sample(), Sample.count)
