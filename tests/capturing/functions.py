"""Functions, closures, decorators, and what is made of functions."""

from __future__ import annotations

import functools
import itertools
from typing import Any

from tests.capturing import Cases, Look

CASES = Cases()
COUNTS = {"calls": 0}
LIMIT = 3


def scaled(x: int, by: int = LIMIT) -> int:
    return x * by


LIMIT = 4


@CASES
def defaults_are_those_of_definition() -> Look:
    return lambda: (scaled(2), LIMIT)


@CASES
def closures_share_a_cell() -> Look:
    def counter() -> Any:
        count = 0

        def up() -> int:
            nonlocal count
            count += 1
            return count

        return up, lambda: count

    up, now = counter()
    up()
    return lambda: (up(), up(), now())


@CASES
def two_products_of_one_factory() -> Look:
    def factory(n: int) -> Any:
        seen: list[int] = []

        def push(x: int) -> list[int]:
            seen.append(x * n)
            return seen

        return push

    one, two = factory(2), factory(3)
    one(1)
    return lambda: (one(5), two(5), one(6))


@CASES
def a_cell_that_is_still_empty() -> Look:
    def make() -> Any:
        def look() -> str:
            try:
                return later
            except NameError as error:
                return type(error).__name__

        if COUNTS["calls"] < 0:
            later = "never"
        return look

    return make()


@CASES
def recursion_through_a_closure() -> Look:
    def factorial(n: int) -> int:
        return 1 if n < 2 else n * factorial(n - 1)

    return lambda: factorial(20)


@CASES
def attributes_of_a_function() -> Look:
    def rated(x: int) -> Any:
        return rated.table[x]

    rated.table = {1: "one"}
    rated.table[2] = rated
    return lambda: (rated(1), rated(2).table[1], rated.__name__, rated.__qualname__)


@CASES
def names_and_documentation_put_on() -> Look:
    def plain() -> None:
        """Say nothing.

        Indented.
            More.
        """

    other = functools.wraps(plain)(lambda: 1)
    plain.__name__, plain.__doc__ = "renamed", plain.__doc__
    return lambda: (plain.__name__, other.__name__, other.__doc__, other.__wrapped__ is plain, other.__module__)


@CASES
def keyword_defaults_changed() -> Look:
    def f(a: int, b: int = 1, *, c: int = 2) -> tuple[int, ...]:
        return a, b, c

    f.__defaults__, f.__kwdefaults__ = (10,), {"c": 20}
    return lambda: f(0)


@CASES
def positional_only_and_keyword_only() -> Look:
    def f(a: int, /, b: int, *args: int, c: int, **rest: int) -> Any:
        return a, b, args, c, rest

    return lambda: f(1, 2, 3, c=4, d=5)


@CASES
def lambdas_on_one_line() -> Look:
    table = {"a": (lambda x: x + 1), "b": (lambda x: x + 2), "c": (lambda x: lambda y: x * y)}
    return lambda: [table["a"](1), table["b"](1), table["c"](2)(3)]


@CASES
def lambdas_of_a_comprehension() -> Look:
    functions = [(lambda x, i=i: x + i) for i in range(3)]
    late = [lambda: i for i in range(3)]
    return lambda: ([f(10) for f in functions], [f() for f in late])


@CASES
def lambdas_in_a_default() -> Look:
    def apply(x: int, f: Any = lambda y: y * 7, g: Any = (lambda y: y + 1)) -> int:
        return f(g(x))

    return lambda: apply(1)


@CASES
def lambdas_in_the_defaults_of_a_lambda() -> Look:
    f = lambda x, g=lambda y: y + 1, *, h=(lambda z: z * 2): g(h(x))
    k = lambda: (lambda: (lambda: 7)())()
    table = [lambda x: x + 1, [lambda x: x + 2, (lambda: lambda x: x + 3)()], {1: lambda x: x + 4}]
    return lambda: (f(3), k(), table[0](0), table[1][0](0), table[1][1](0), table[2][1](0))


@CASES
def decorated_twice() -> Look:
    def louder(f: Any) -> Any:
        @functools.wraps(f)
        def inner(*args: Any) -> Any:
            return f(*args) + "!"

        return inner

    @louder
    @louder
    def say(x: str) -> str:
        return x

    again = louder(say)
    return lambda: (say("a"), again("b"), say.__wrapped__.__wrapped__("c"))


@CASES
def a_class_as_a_decorator() -> Look:
    class Counted:
        def __init__(self, f: Any) -> None:
            functools.update_wrapper(self, f)
            self.f, self.calls = f, 0

        def __call__(self, *args: Any) -> Any:
            self.calls += 1
            return self.f(*args), self.calls

    @Counted
    def add(a: int, b: int) -> int:
        return a + b

    add(1, 2)
    return lambda: (add(3, 4), add.__name__)


@CASES
def generators_and_coroutines() -> Look:
    def count(n: int) -> Any:
        for i in range(n):
            got = yield i
            if got:
                yield got * 10

    async def double(x: int) -> int:
        return x * 2

    async def chained(x: int) -> int:
        return await double(x) + await double(1)

    async def many() -> Any:
        for i in range(3):
            yield i

    async def gathered() -> list[int]:
        return [i async for i in many()]

    def drive(coroutine: Any) -> Any:
        try:
            coroutine.send(None)
        except StopIteration as end:
            return end.value

    return lambda: (list(count(3)), drive(chained(4)), drive(gathered()))


@CASES
def iterators_with_a_state() -> Look:
    counter, repeated = itertools.count(5, 2), itertools.repeat("x", 2)
    next(counter)
    items = iter([1, 2, 3])
    next(items)
    return lambda: (next(counter), next(counter), list(repeated), list(items))


@CASES
def a_global_that_is_written() -> Look:
    def count() -> int:
        global TOTAL
        TOTAL += 1
        return TOTAL

    def read() -> int:
        return TOTAL

    return lambda: (count() - read(), read.__globals__ is count.__globals__)


TOTAL = 5


@CASES
def matching_and_walrus() -> Look:
    def kind(x: Any) -> str:
        match x:
            case {"type": str(name), **rest}:
                return f"{name} {rest}"
            case [first, *others] if n := len(others):
                return f"{first} and {n}"
            case complex(real=r):
                return f"real {r}"
            case _:
                return "other"

    return lambda: [kind({"type": "a", "b": 1}), kind([1, 2, 3]), kind(2j), kind(None)]


@CASES
def exceptions_and_groups() -> Look:
    class Soft(Exception):
        def __init__(self, what: str, code: int) -> None:
            super().__init__(what)
            self.code = code

    kept = Soft("kept", 7)
    kept.add_note("noted")

    def look() -> Any:
        found = []
        try:
            raise ExceptionGroup("both", [kept, ValueError("x")])
        except* Soft as group:
            found += [(error.args, error.code, error.__notes__) for error in group.exceptions]
        except* ValueError as group:
            found.append(str(group.exceptions))
        return found

    return look


@CASES
def annotations_evaluated() -> Look:
    class Unit:
        pass

    def f(x: Unit, y: int = 1) -> list[int]:
        return [y]

    return lambda: (sorted(f.__annotations__), f.__annotations__["y"])


@CASES
def annotations_that_cannot_travel() -> Look:
    import socket

    def f(x: socket.socket, y: CASES) -> int:
        return 1

    return lambda: f(1, 2)


@CASES
def a_method_taken_off() -> Look:
    class Box:
        size = 3

        def grown(self, by: int) -> int:
            return self.size + by

        @classmethod
        def made(cls) -> Box:
            return cls()

        @staticmethod
        def unit() -> str:
            return "cm"

    box = Box()
    box.size = 10
    bound, made, unit, plain = box.grown, Box.made, Box.unit, Box.grown
    return lambda: (bound(1), type(made()).__name__, unit(), plain(box, 2), bound.__self__.size)


@CASES
def a_name_of_its_own_module() -> Look:
    def look() -> Any:
        import tests.capturing.helper as helper
        from tests.capturing.helper import VALUE, nested

        return helper.twice(4), VALUE, nested.DEEP, helper.Kind.A.name

    return look


def _long() -> Any:
    space: dict[str, Any] = {}
    lines = ["def long(x):", "    if x == 0: return 0"] + [f"    elif x == {i}: return {i} * 2" for i in range(1, 150)]
    text = "\n".join(lines)
    import linecache

    linecache.cache["<long>"] = (len(text), None, text.splitlines(keepends=True), "<long>")
    exec(compile(text, "<long>", "exec"), space)
    return space["long"]


@CASES
def a_long_chain_of_branches() -> Look:
    long = _long()
    return lambda: (long(149), long(1))


@CASES
def a_function_with_globals_of_its_own() -> Look:
    import linecache

    text = "def f():\n    return K, g()\ndef g():\n    global K\n    K += 1\n    return K\n"
    linecache.cache["<own>"] = (len(text), None, text.splitlines(keepends=True), "<own>")
    spaces: list[dict[str, Any]] = [{"K": 1}, {"K": 10}]
    for space in spaces:
        exec(compile(text, "<own>", "exec"), space)
    return lambda: [space["f"]() for space in spaces] if False else [f() for f in (spaces[0]["f"], spaces[1]["f"])]


@CASES
def a_hash_of_c_by_the_name_that_hashlib_has_for_it() -> Look:
    from hashlib import blake2b, sha256

    return lambda: (sha256(b"a").hexdigest(), blake2b(b"a").hexdigest())
