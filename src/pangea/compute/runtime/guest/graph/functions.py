"""Functions and what is made of them."""

from __future__ import annotations

import functools
import importlib
import types
from collections.abc import Callable, Generator
from contextlib import suppress
from typing import Any

from pangea.compute.runtime.guest.graph.codes import path_of
from pangea.compute.runtime.guest.graph.rebuilding import Need, Rebuilding

Build = Generator[Need, None, None]


def function(at: Rebuilding, number: int, node: list[Any]) -> Build:
    """A function of its code, its globals and its closure; then everything that was put on it."""
    about = node[1]
    code, cells = at.codes.code(about["code"]), about.get("cells", [])
    yield at.made(*cells[1::2])
    known = dict(zip(cells[::2], at.values(cells[1::2]), strict=True))
    closure = tuple(known.get(name) or types.CellType() for name in code.co_freevars)
    made = types.FunctionType(code, at.space(about["space"]), about["name"], None, closure or None)
    made.__qualname__ = about.get("qualname", path_of(code.co_qualname))
    doc = about.get("doc")
    made.__doc__ = doc if type(doc) is not list else None
    at.objects[number] = made
    yield None
    yield from _fill(at, made, about)


def _fill(at: Rebuilding, made: types.FunctionType, about: dict[str, Any]) -> Build:
    state, annotations = about.get("dict", []), about.get("annotations", [])
    names = [name for name in ("module", "doc", "defaults", "kwdefaults", "type_params", "annotate") if name in about]
    yield at.complete(*about.get("cells", ()), *(about[name] for name in names), *state[1::2], *annotations[1::2])
    for name in names:
        setattr(made, f"__{name}__", at.value(about[name]))
    vars(made).update(zip(state[::2], at.values(state[1::2]), strict=True))
    if annotations:
        made.__annotations__ = dict(zip(annotations[::2], at.values(annotations[1::2]), strict=True))


def cell(at: Rebuilding, number: int, node: list[Any]) -> Build:
    """A closure variable."""
    made = at.objects[number] = types.CellType()
    yield None
    if len(node) > 1:
        yield at.made(node[1])
        if at.is_made(node[1]):
            made.cell_contents = at.value(node[1])
        else:
            at.afterwards(lambda: setattr(made, "cell_contents", at.value(node[1])))
        yield at.complete(node[1])


def class_names(at: Rebuilding, number: int, node: list[Any]) -> Build:
    """The closure variable in which annotations find the names of the class around them."""
    made = at.objects[number] = types.CellType()
    yield None
    yield at.made(node[1])
    made.cell_contents = vars(at.value(node[1]))
    yield at.complete(node[1])


def method(at: Rebuilding, number: int, node: list[Any]) -> Build:
    """A bound method."""
    yield at.made(node[1], node[2])
    at.objects[number] = types.MethodType(at.value(node[1]), at.value(node[2]))
    yield None
    yield at.complete(node[1], node[2])


def attribute(at: Rebuilding, number: int, node: list[Any]) -> Build:
    """What an object has under a name."""
    yield at.complete(node[1])
    at.objects[number] = getattr(at.value(node[1]), node[2])
    yield None


def entry(at: Rebuilding, number: int, node: list[Any]) -> Build:
    """What a class of C has in its dictionary."""
    yield at.complete(node[1])
    owner = next(each for each in at.value(node[1]).__mro__ if node[2] in vars(each))
    at.objects[number] = vars(owner)[node[2]]
    yield None


def name(at: Rebuilding, number: int, node: list[Any]) -> Build:
    """What a module has under a dotted name."""
    found: Any = importlib.import_module(node[1])
    for part in node[2].split("."):
        found = getattr(found, part)
    at.objects[number] = found
    yield None


def module(at: Rebuilding, number: int, node: list[Any]) -> Build:
    """A module of the library, or of a package."""
    at.objects[number] = importlib.import_module(node[1])
    yield None


def own(at: Rebuilding, number: int, node: list[Any]) -> Build:
    """A module of the user's, with the names that are used of it."""
    at.objects[number] = at.module(node[1])
    yield None


def globals_(at: Rebuilding, number: int, node: list[Any]) -> Build:
    """The globals of functions, as a dict."""
    at.objects[number] = at.space(node[1])
    yield None


def _of_class(kind: Any) -> Callable[[Rebuilding, int, list[Any]], Build]:
    def build(at: Rebuilding, number: int, node: list[Any]) -> Build:
        yield at.made(node[1])
        made = at.objects[number] = kind(at.value(node[1]))
        yield None
        yield at.complete(node[1], *node[2][1::2])
        vars(made).update(zip(node[2][::2], at.values(node[2][1::2]), strict=True))

    return build


def property_(at: Rebuilding, number: int, node: list[Any]) -> Build:
    """A property."""
    yield at.made(*node[1:4])
    made: Any = property(*at.values(node[1:4]))
    at.objects[number] = made
    yield None
    yield at.complete(*node[1:5])
    made.__doc__ = at.value(node[4])
    if node[5] is not None:
        made.__name__ = node[5]


def partial(at: Rebuilding, number: int, node: list[Any]) -> Build:
    """A function with some of its arguments."""
    made = at.objects[number] = functools.partial(_not_yet)
    yield None
    _, given, arguments, keywords, state = node
    yield at.complete(given, *arguments, *keywords, *state)
    pairs, attributes = at.values(keywords), at.values(state)
    made.__setstate__(  # type: ignore[attr-defined]
        (
            at.value(given),
            tuple(at.values(arguments)),
            dict(zip(pairs[::2], pairs[1::2], strict=True)),
            dict(zip(attributes[::2], attributes[1::2], strict=True)),
        )
    )


def _not_yet() -> None:
    """Stand for the function of a partial that isn't complete."""


def partial_method(at: Rebuilding, number: int, node: list[Any]) -> Build:
    """A method with some of its arguments."""
    yield at.complete(node[1], *node[2], *node[3])
    pairs = at.values(node[3])
    keywords = dict(zip(pairs[::2], pairs[1::2], strict=True))
    at.objects[number] = functools.partialmethod(at.value(node[1]), *at.values(node[2]), **keywords)
    yield None


def cached(at: Rebuilding, number: int, node: list[Any]) -> Build:
    """A function with a cache of its results."""
    _, given, size, is_typed, state, *kept = node
    yield at.made(given)
    made: Any = functools.lru_cache(size, is_typed)(at.value(given))
    at.objects[number] = made
    yield None
    yield at.complete(given, *state[1::2])
    vars(made).clear()
    vars(made).update(zip(state[::2], at.values(state[1::2]), strict=True))
    for each in ("__module__", "__name__", "__qualname__", "__doc__"):
        if each not in vars(made) and hasattr(at.value(given), each):
            setattr(made, each, getattr(at.value(given), each))
    if kept:
        yield at.complete(kept[0])
        at.afterwards(lambda: _refill(made, at.value(given), at.value(kept[0]), *(kept[1] if len(kept) > 1 else (0, 0))))


def _refill(cached: Any, function: types.FunctionType, calls: tuple[Any, ...], misses: int, hits: int) -> None:
    """Have a cache keep the results of `calls`, as at home: make them with a body that returns those results."""
    own = function.__code__, function.__defaults__, function.__kwdefaults__
    results: list[Any] = []
    function.__code__ = _give.__code__.replace(co_freevars=function.__code__.co_freevars)
    function.__defaults__, function.__kwdefaults__ = None, {"_results": results}
    try:
        for _ in range(misses):
            with suppress(IndexError):
                cached(*calls[0][0], **calls[0][1])
        for arguments, keywords, result in calls:
            results.append(result)
            cached(*arguments, **keywords)
        for _ in range(hits):
            cached(*calls[-1][0], **calls[-1][1])
    finally:
        function.__code__, function.__defaults__, function.__kwdefaults__ = own


def _give(*_arguments: Any, _results: list[Any], **_keywords: Any) -> Any:
    return _results.pop()


def dispatch(at: Rebuilding, number: int, node: list[Any]) -> Build:
    """A function that dispatches by the type of its first argument."""
    _, given, registry, state = node
    yield at.made(given)
    made: Any = functools.singledispatch(at.value(given))
    at.objects[number] = made
    yield None
    yield at.complete(given, *registry, *state[1::2])
    pairs = at.values(registry)
    for kind, implementation in zip(pairs[::2], pairs[1::2], strict=True):
        made.register(kind, implementation)
    vars(made).update(zip(state[::2], at.values(state[1::2]), strict=True))


FUNCTIONS: dict[str, Callable[[Rebuilding, int, list[Any]], Build]] = {
    "function": function,
    "cell": cell,
    "class names": class_names,
    "method": method,
    "attribute": attribute,
    "entry": entry,
    "name": name,
    "module": module,
    "own": own,
    "globals": globals_,
    "static": _of_class(staticmethod),
    "classmethod": _of_class(classmethod),
    "property": property_,
    "partial": partial,
    "partial method": partial_method,
    "cached": cached,
    "dispatch": dispatch,
}
