"""What newer Pythons than 3.11 can say; each case only where it can be said. Texts, since an older parser reads this file, too."""

from __future__ import annotations

import linecache
import sys
import textwrap
from collections.abc import Callable

from tests.capturing import Cases, Look

CASES = Cases()


def since(minor: int) -> Callable[[Callable[[], str]], None]:
    """Add a case whose text defines `look`."""

    def add(function: Callable[[], str]) -> None:
        if sys.version_info >= (3, minor):

            def case() -> Look:
                text, name = textwrap.dedent(function()), f"<{function.__name__}>"
                linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
                space = {"__name__": f"modern_{function.__name__}"}
                exec(compile(text, name, "exec", dont_inherit=True), space)
                return space["look"]

            case.__name__ = function.__name__
            CASES(case)

    return add


@since(12)
def generic_functions_and_classes() -> str:
    return """
        def first[T: (int, str), *Ts, **P](x: T, *rest: *Ts) -> T:
            return x

        class Box[T]:
            def put[V](self, value: V) -> tuple[T, V]:
                return 1, value

        class Small(Box[int]): pass

        def look():
            names = [each.__name__ for each in first.__type_params__]
            return first(3), names, first.__type_params__[0].__constraints__, Box[int]().put(2), Small.__orig_bases__[0].__args__
    """


@since(12)
def type_aliases_that_speak_of_themselves() -> str:
    return """
        type Json = dict[str, Json] | list[Json] | str | None
        type Tree[T] = T | list[Tree[T]]

        def leaf(tree: Json) -> Json:
            return tree

        def look():
            inner = Tree.__value__.__args__[1]
            return (leaf("x"), Json.__name__, Json.__value__.__args__[1].__args__[0] is Json, Tree[int].__args__,
                inner.__args__[0].__origin__ is Tree, Tree.__value__.__args__[0] is Tree.__type_params__[0], Json.__module__)
    """


@since(12)
def bounds_that_only_a_type_checker_knows() -> str:
    return """
        def same[T: NotThere](x: T) -> T:
            return x

        def look():
            return same(3), same.__type_params__[0].__name__
    """


@since(12)
def generic_named_tuples() -> str:
    return """
        from typing import NamedTuple

        class Pair[T](NamedTuple):
            left: T
            right: int = 0

        def look():
            return Pair(1), Pair[int].__args__, Pair.__type_params__[0].__name__, Pair._field_defaults
    """


@since(14)
def annotations_that_are_evaluated_later() -> str:
    return """
        import annotationlib, dataclasses, typing

        def f(x: Later) -> list[Later]:
            return x

        class Table:
            row: Unknown
            size: int

        @dataclasses.dataclass(slots=True)
        class Slotted:
            a: int
            b: typing.ClassVar[int] = 3
            c: dataclasses.InitVar[int] = 1

            def __post_init__(self, c): pass

        class Later: pass
        Later.__annotations__["added"] = str

        def look():
            as_text = annotationlib.get_annotations(Table, format=annotationlib.Format.STRING)
            return f.__annotations__["x"] is Later, as_text, Slotted.__annotations__, Later.__annotations__, Slotted(1)
    """


@since(14)
def templates() -> str:
    return """
        name = "w"
        kept = t"hello {name!r:>10} {1 + 1}"

        def made(x):
            return t"<{x}>"

        def look():
            parts = [(each.value, each.expression, each.conversion, each.format_spec) for each in kept.interpolations]
            return kept.strings, kept.values, parts, made(3).values
    """


@since(14)
def partials_with_a_gap() -> str:
    return """
        import functools

        square = functools.partial(pow, functools.Placeholder, 2)

        def look():
            return square(5), square.args[0] is functools.Placeholder
    """
