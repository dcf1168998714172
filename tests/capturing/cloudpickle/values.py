"""Values, functions and classes."""

from __future__ import annotations

import collections
import functools
import operator
import sys
from typing import Any

from tests.capturing import Cases, Look
from tests.capturing.cloudpickle.shared import cell


CASES = Cases()
GLOBAL = "default"


@CASES
def itemgetter() -> Look:
    one, two = operator.itemgetter(1), operator.itemgetter(0, 3)
    return lambda: (one(range(10)), two(range(10)))


@CASES
def attrgetter() -> Look:
    class Echo:
        def __getattr__(self, name: str) -> Any:
            return name

    kept = Echo()
    kept.e = Echo()
    getters = [
        operator.attrgetter("a"),
        operator.attrgetter("a", "b"),
        operator.attrgetter("e.a"),
        operator.attrgetter("e.a", "e.b"),
    ]
    return lambda: [each(kept) for each in getters]


@CASES
def pickling_file_handles() -> Look:
    with open(__file__, encoding="utf-8") as stream:
        return lambda: stream.name


@CASES
def func_globals() -> Look:
    def leaves() -> None:
        sys.exit(0)

    return lambda: "exit" in leaves.__code__.co_names


@CASES
def memoryview() -> Look:
    view = __builtins__["memoryview"](b"Hello") if isinstance(__builtins__, dict) else __builtins__.memoryview(b"Hello")
    return lambda: (view.tobytes(), view.readonly, type(view).__name__)


def _views(kind: str) -> Look:
    plain, ordered = {"a": 1, "b": 2}, collections.OrderedDict([("a", 1), ("b", 2)])
    view, other = getattr(plain, kind)(), getattr(ordered, kind)()
    return lambda: (list(view), type(view).__name__, list(other), type(other).__name__)


@CASES
def dict_keys() -> Look:
    return _views("keys")


@CASES
def dict_values() -> Look:
    return _views("values")


@CASES
def dict_items() -> Look:
    return _views("items")


@CASES
def odict_keys() -> Look:
    return _views("keys")


@CASES
def odict_values() -> Look:
    return _views("values")


@CASES
def odict_items() -> Look:
    return _views("items")


@CASES
def sliced_and_non_contiguous_memoryview() -> Look:
    import builtins

    view = builtins.memoryview(b"Hello!" * 3)[2:15:2]
    return lambda: view.tobytes()


@CASES
def large_memoryview() -> Look:
    import builtins

    view = builtins.memoryview(b"Hello!" * 100_000)
    return lambda: (len(view), view[:12].tobytes())


CASES["lambda"] = lambda: lambda: 1


@CASES
def nested_lambdas() -> Look:
    a, b = 1, 2
    f = lambda x: x + a
    g = lambda x: f(x) // b
    return lambda: g(1)


@CASES
def recursive_closure() -> Look:
    def make(base: int) -> Any:
        def g(n: int) -> int:
            return base if n <= 1 else n * g(n - 1)

        return g

    def same() -> Any:
        def g() -> Any:
            return g

        return g

    one, two = same(), make(2)
    return lambda: (one() is one, two(5))


@CASES
def closure_none_is_preserved() -> Look:
    space = cell("def f():\n    '''No closure.'''\n", {}, "<closure none>")
    return lambda: space["f"].__closure__ is None


@CASES
def empty_cell_preserved() -> Look:
    def make() -> Any:
        def g() -> Any:
            return unbound

        if GLOBAL == "never":
            unbound = 1
        return g

    g = make()

    def look() -> str:
        try:
            g()
        except NameError:
            return "unbound"
        return "bound"

    return look


@CASES
def unhashable_closure() -> Look:
    s = {1, 2}
    return lambda: len(s)


@CASES
def class_no_firstlineno_deletion_() -> Look:
    class A:
        pass

    return lambda: (
        getattr(A, "__firstlineno__", None) if sys.version_info >= (3, 13) and hasattr(A, "__firstlineno__") else "none"
    )


@CASES
def dynamically_generated_class_that_uses_super() -> Look:
    class Base:
        def method(self) -> int:
            return 1

    class Derived(Base):
        "Derived docstring"

        def method(self) -> int:
            return super().method() + 1

    kept = Derived()
    return lambda: (Derived().method(), Derived.__doc__, kept.method())


@CASES
def cycle_in_classdict_globals() -> Look:
    class C:
        def works(self) -> str:
            return "woohoo"

    C.again, C.instance = C, C()
    return lambda: (C().works(), C.again().works(), C.instance.works())


@CASES
def locally_defined_function_and_class() -> Look:
    constant = 42

    def some(x: float, y: float) -> float:
        sum(range(10))
        return (x + y) / constant

    hidden = lambda: constant

    class Some:
        def __init__(self, value: int) -> None:
            self.value = value

        def one(self) -> float:
            return constant / hidden()

        def method(self, x: float) -> float:
            return self.one() + some(x, 1) + self.value

    kept = Some(5)
    bound = kept.method
    return lambda: (some(41, 1), Some(1).one(), Some(5).method(41), kept.method(41), bound(41))


@CASES
def partial() -> Look:
    kept = functools.partial(min, 1)
    return lambda: kept(4)


@CASES
def ufunc() -> Look:
    import numpy as np

    add = np.add
    return lambda: add(1, 2)


@CASES
def generator() -> Look:
    def some(count: int) -> Any:
        yield from range(count)

    return lambda: (list(some(3)), type(some(1)).__name__)


@CASES
def classmethod() -> Look:
    import builtins

    class A:
        @builtins.staticmethod
        def static() -> str:
            return "sm"

        @builtins.classmethod
        def of_class(cls) -> str:
            return "cm"

    class B:
        static = vars(A)["static"]
        of_class = vars(A)["of_class"]

    return lambda: (B.static(), B.of_class(), A.of_class())


@CASES
def bound_classmethod() -> Look:
    class A:
        @__import__("builtins").classmethod
        def of_class(cls) -> str:
            return "cm"

    kept = A.of_class
    return lambda: kept()


@CASES
def method_descriptors() -> Look:
    upper = str.upper
    return lambda: upper("abc")


@CASES
def instancemethods_without_self() -> Look:
    class F:
        def f(self, x: int) -> int:
            return x + 1

    g = F.f
    return lambda: (g.__name__, g(F(), 1))
