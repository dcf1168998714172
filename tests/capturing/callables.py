"""What the standard library makes of functions."""

from __future__ import annotations

import contextlib
import functools
import operator
import random
from typing import Any

from tests.capturing import Cases, Look

CASES = Cases()


@CASES
def caches() -> Look:
    @functools.lru_cache(maxsize=2)
    def square(x: int) -> int:
        return x * x

    @functools.cache
    def cube(x: int) -> int:
        """Three times."""
        return x**3

    square(3)
    return lambda: (square(4), cube(2), square.cache_parameters(), cube.__doc__, cube.__name__, square.__wrapped__(5))


@CASES
def a_cache_on_a_method() -> Look:
    class Series:
        def __init__(self, step: int) -> None:
            self.step = step

        @functools.cache
        def term(self, n: int) -> int:
            return 0 if n == 0 else self.step + self.term(n - 1)

        @functools.cached_property
        def first(self) -> int:
            return self.term(1)

    series = Series(4)
    _ = series.first
    other = Series(5)
    return lambda: (series.term(5), series.first, other.first, vars(series))


@CASES
def partials() -> Look:
    base = functools.partial(int, base=2)
    nested = functools.partial(functools.partial(pow, 2), 5)
    base.note = "binary"

    class Cell:
        def set(self, value: int, other: int) -> tuple[int, int]:
            return value, other

        first = functools.partialmethod(set, 1)

    return lambda: (base("101"), base.keywords, base.note, nested(7), Cell().first(2))


@CASES
def a_partial_of_itself() -> Look:
    table: dict[str, Any] = {}
    table["get"] = functools.partial(table.get, "key", "none")
    return lambda: (table["get"](), table["get"].func.__self__ is table)


@CASES
def single_dispatch() -> Look:
    @functools.singledispatch
    def show(x: Any) -> str:
        return f"any {x}"

    @show.register
    def _(x: int) -> str:
        return f"int {x}"

    @show.register(list)
    def _of_list(x: list[Any]) -> str:
        return f"list of {len(x)}"

    class Shown:
        @functools.singledispatchmethod
        def of(self, x: Any) -> str:
            return "any"

        @of.register
        def _(self, x: str) -> str:
            return f"text {x}"

    return lambda: (show(1.5), show(True), show([1]), Shown().of("a"), Shown().of(1), show.__name__, len(show.registry))


@CASES
def context_managers() -> Look:
    @contextlib.contextmanager
    def around(name: str) -> Any:
        log.append(f"in {name}")
        try:
            yield name
        finally:
            log.append(f"out {name}")

    log: list[str] = []

    def look() -> Any:
        with around("a") as name, contextlib.suppress(ZeroDivisionError):
            log.append(name)
            _ = 1 // 0
        return log

    return look


@CASES
def operators() -> Look:
    getters = [
        operator.itemgetter(1),
        operator.itemgetter(0, 2),
        operator.attrgetter("real"),
        operator.methodcaller("split", ","),
    ]
    return lambda: [getters[0]("abc"), getters[1]("abc"), getters[2](3), getters[3]("a,b")]


@CASES
def comparisons_made_of_functions() -> Look:
    key = functools.cmp_to_key(lambda a, b: (a < b) - (a > b))

    @functools.total_ordering
    class Version:
        def __init__(self, n: int) -> None:
            self.n = n

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Version) and self.n == other.n

        def __lt__(self, other: Version) -> bool:
            return self.n < other.n

        __hash__ = None

    return lambda: (sorted([1, 3, 2], key=key), Version(1) >= Version(2), Version(3) > Version(2), Version(2) <= Version(2))


@CASES
def functions_of_c() -> Look:
    words = ["b", "a"]
    kept = [len, str.upper, "x".join, words.append, int.from_bytes, dict.fromkeys, (1).__add__, list.__len__, list.__new__]
    kept += [float.fromhex, max, [].__class__, "abc".__len__]

    def look() -> Any:
        kept[3]("c")
        return words, kept[1]("a"), kept[2](["1", "2"]), kept[4](b"\1\0", "big"), kept[6](2), kept[7]([1]), kept[9]("0x1p-3")

    return look


@CASES
def a_partial_of_a_class_of_its_own() -> Look:
    class Named(functools.partial):
        kind = "named"

    square = Named(pow, exp=2)
    square.note = "noted"
    return lambda: (square(3), type(square).__name__, square.kind, square.note, square.keywords, square.func is pow)


@CASES
def an_order_made_of_a_function_and_what_it_compares() -> Look:
    key = functools.cmp_to_key(lambda a, b: a["n"] - b["n"])
    row = {"n": 3}
    kept = key(row)
    return lambda: (kept < key({"n": 4}), kept > key({"n": 4}), kept.obj is row)


@CASES
def a_context_manager_as_a_decorator() -> Look:
    log: list[str] = []

    @contextlib.contextmanager
    def noted(word: str, *, times: int = 1) -> Any:
        log.extend([word] * times)
        yield word
        log.append("out")

    @noted("in", times=2)
    def work() -> str:
        return "work"

    kept = noted("kept")

    def look() -> Any:
        with kept as word:
            log.append(word)
        return work(), work(), work.__name__, log

    return look


@CASES
def methods_that_a_module_has_by_name() -> Look:
    from random import randint
    from random import random as draw

    return lambda: (draw is random.random, randint == random.randint, randint.__self__ is random._inst)


@CASES
def a_class_with_a_cache() -> Look:
    class Point:
        def __init__(self, x: int) -> None:
            self.x = x

    at: Any = functools.lru_cache(Point)
    return lambda: (at(1).x, at(1) is at(1), at(2).x, at.cache_info().misses)
