"""Values: containers, instances, and what the standard library's own types hold."""

from __future__ import annotations

import array
import contextvars
import functools
import json.scanner
import logging
import math
import pathlib
import struct
import types
import typing
import weakref
import zoneinfo
from collections.abc import Callable, Generator
from typing import Any

from pangea.compute.runtime.guest.graph.payloads import PAYLOADS
from pangea.compute.runtime.guest.graph.rebuilding import POSTPONED, Need, Rebuilding
from pangea.compute.runtime.guest.graph.zones import know

Build = Generator[Need, None, None]


def _constant(make: Callable[[list[Any]], Any]) -> Callable[[Rebuilding, int, list[Any]], Build]:
    """A value that is made of no others."""

    def build(at: Rebuilding, number: int, node: list[Any]) -> Build:
        at.objects[number] = make(node)
        yield None

    return build


def _of_parts(make: Callable[[list[Any]], Any], *places: int) -> Callable[[Rebuilding, int, list[Any]], Build]:
    """A value that is made of others, which are complete by then."""

    def build(at: Rebuilding, number: int, node: list[Any]) -> Build:
        yield at.complete(*(node[place] for place in places))
        at.objects[number] = make([at.value(each) if place in places else each for place, each in enumerate(node)])
        yield None

    return build


def list_(at: Rebuilding, number: int, node: list[Any]) -> Build:
    """A list."""
    made: list[Any] = []
    at.objects[number] = made
    yield None
    yield at.complete(*node[1])
    made.extend(at.values(node[1]))


def tuple_(at: Rebuilding, number: int, node: list[Any]) -> Build:
    """A tuple: after its elements, which may be filled later."""
    yield at.made(*node[1])
    if not all(map(at.is_made, node[1])):
        yield POSTPONED
    at.objects[number] = tuple(at.values(node[1]))
    yield None
    yield at.complete(*node[1])


def dict_(at: Rebuilding, number: int, node: list[Any]) -> Build:
    """A dict."""
    made: dict[Any, Any] = {}
    at.objects[number] = made
    yield None
    yield at.complete(*node[1])
    at.fill_dict(made, node[1], dict.__setitem__)


def set_(at: Rebuilding, number: int, node: list[Any]) -> Build:
    """A set."""
    made: set[Any] = set()
    at.objects[number] = made
    yield None
    yield at.complete(*node[1])
    values = at.values(node[1])
    at.once_hashable(values, lambda: made.update(values))


def frozenset_(at: Rebuilding, number: int, node: list[Any]) -> Build:
    """A frozenset: after its elements, which have to be hashed."""
    yield at.made(*node[1])
    if not all(map(at.is_made, node[1])):
        yield POSTPONED
    if not all(map(at.is_safe, at.values(node[1]))):
        yield at.complete(*node[1])
    at.objects[number] = yield from at.with_globals(lambda: frozenset(at.values(node[1])))
    yield None
    yield at.complete(*node[1])


def instance(at: Rebuilding, number: int, node: list[Any]) -> Build:
    """An instance of a class: what the class was derived from, then attributes and slots."""
    _, kind, about = node
    yield at.made(kind)
    cls = at.value(kind)
    if "base" in about:
        base, *parts = about["base"]
        yield from PAYLOADS[base](at, number, cls, parts)
    else:
        at.objects[number] = _empty(cls)
        yield None
    yield at.complete(kind)
    yield from _fill(at, at.objects[number], about)


def _fill(at: Rebuilding, made: Any, about: dict[str, Any]) -> Build:
    """Set attributes and slots: what is at hand at once, as hashing the instance may need it, and last what hashes it itself."""
    written = [
        *about.get("slots", ())[1::2],
        *about.get("hidden", ())[::3],
        *about.get("hidden", ())[2::3],
        *about.get("dict", ()),
    ]
    if not all(map(at.is_made, written)):
        _put(at, made, about)
        last = sorted((each for each in written if at.tag(each) in ("frozenset", "tuple")), key=at.tag, reverse=True)
        yield at.made(*(each for each in written if each not in last))
        for each in last:
            _put(at, made, about)
            yield at.made(each)
    if not _put(at, made, about):
        at.afterwards(lambda: _put(at, made, about))
    yield at.complete(*written)


def _put(at: Rebuilding, made: Any, about: dict[str, Any]) -> bool:
    """Set those attributes and slots whose values are made; whether all are."""
    slots, hidden, state = about.get("slots", []), about.get("hidden", []), about.get("dict", [])
    for name, written in zip(slots[::2], slots[1::2], strict=True):
        if at.is_made(written):
            object.__setattr__(made, name, at.value(written))
    for owner, name, written in zip(hidden[::3], hidden[1::3], hidden[2::3], strict=True):
        if at.is_made(owner) and at.is_made(written):  # another class has put something else under the slot's name
            vars(at.value(owner))[name].__set__(made, at.value(written))
    if len(state) == 1:
        if at.is_made(state[0]):
            object.__setattr__(made, "__dict__", at.value(state[0]))
    elif state:
        pairs = zip(state[::2], state[1::2], strict=True)
        kept = {at.value(key): at.value(each) for key, each in pairs if at.is_made(key) and at.is_made(each)}
        values = object.__getattribute__(made, "__dict__")
        values.clear()
        values.update(kept)
    return all(map(at.is_made, [*slots[1::2], *hidden[::3], *hidden[2::3], *state]))


def _empty(cls: type) -> Any:
    """An instance of a class that holds attributes alone; of one derived from a type of C, as that type makes it."""
    try:
        return object.__new__(cls)
    except TypeError:
        makers = (vars(each)["__new__"] for each in cls.__mro__ if "__new__" in vars(each))
        return next(make for make in makers if isinstance(make, types.BuiltinFunctionType))(cls)


def call(at: Rebuilding, number: int, node: list[Any]) -> Build:
    """What a function of the library returns."""
    keywords = node[3] if len(node) > 3 else {}
    yield at.complete(node[1], *node[2], *keywords.values())
    options = {name: at.value(each) for name, each in keywords.items()}
    at.objects[number] = at.value(node[1])(*at.values(node[2]), **options)
    yield None


def advanced(at: Rebuilding, number: int, node: list[Any]) -> Build:
    """An iterator that has begun: what a call makes, after some steps."""
    yield at.complete(node[1], *node[2])
    made = at.value(node[1])(*at.values(node[2]))
    for _ in range(node[3]):
        next(made)
    at.objects[number] = made
    yield None


def reduce(at: Rebuilding, number: int, node: list[Any]) -> Build:
    """What a class took apart for `copy` and `pickle`, put together as they do."""
    yield at.complete(node[1], *node[2])
    made = at.objects[number] = yield from at.with_globals(lambda: at.value(node[1])(*at.values(node[2])))
    yield None
    if len(node) == 3:
        return
    state, items, pairs, setter = node[3:]
    yield at.complete(*(state or ()), *items, *pairs, *(setter or ()))
    if items:
        (made.extend if hasattr(made, "extend") else lambda each: list(map(made.append, each)))(at.values(items))
    at.fill_dict(made, pairs, lambda target, key, value: target.__setitem__(key, value))
    if state is not None:
        _set_state(made, at.value(state[0]), at.value(setter[0]) if setter else None)


def _set_state(made: Any, state: Any, setter: Any) -> None:
    if setter is not None:
        setter(made, state)
    elif hasattr(made, "__setstate__"):
        made.__setstate__(state)
    else:
        attributes, slots = state if isinstance(state, tuple) and len(state) == 2 else (state, None)
        vars(made).update(attributes or {}) if attributes else None
        for name, value in (slots or {}).items():
            object.__setattr__(made, name, value)


def weak(at: Rebuilding, number: int, node: list[Any]) -> Build:
    """A weak reference, its target kept; or one whose target was gone."""
    if len(node) == 1:
        at.objects[number] = weakref.ref(type("Gone", (), {})())
        yield None
        return
    yield at.made(node[1])
    at.kept.append(at.value(node[1]))
    at.objects[number] = weakref.ref(at.value(node[1]))
    yield None
    yield at.complete(node[1])


def weak_method(at: Rebuilding, number: int, node: list[Any]) -> Build:
    """A weak reference to a bound method, its object kept."""
    yield at.made(node[1])
    at.kept.append(at.value(node[1]))
    at.objects[number] = weakref.WeakMethod(at.value(node[1]))
    yield None
    yield at.complete(node[1])


def super_(at: Rebuilding, number: int, node: list[Any]) -> Build:
    """What `super(class, object)` gives."""
    yield at.made(*node[1:])
    at.objects[number] = super(*at.values(node[1:]))
    yield None
    yield at.complete(*node[1:])


def finalizer(at: Rebuilding, number: int, node: list[Any]) -> Build:
    """A call at the end of an object, which lives as long as the job here; or one that was made, or called off."""
    if len(node) == 1:
        at.objects[number] = weakref.finalize(type("Gone", (), {})(), int)
        yield None
        return
    _, target, function, arguments, keywords, at_exit = node
    yield at.complete(target, function, *arguments, *keywords)
    pairs = at.values(keywords)
    at.kept.append(at.value(target))
    options = dict(zip(pairs[::2], pairs[1::2], strict=True))
    made = at.objects[number] = weakref.finalize(at.value(target), at.value(function), *at.values(arguments), **options)
    made.atexit = at_exit
    yield None


def found_text(at: Rebuilding, number: int, node: list[Any]) -> Build:
    """What a regular expression has found in a text: it is found again."""
    _, pattern, text, start, end, how, spans = node
    yield at.complete(pattern, text)
    search = at.value(pattern)
    given = (at.value(text), start, end)
    found = (each for each in ([getattr(search, how)(*given)] if how else search.finditer(*given)) if each is not None)
    made = next((each for each in found if [*map(list, each.regs)] == spans), None)
    if made is None:
        raise ValueError(f"the pattern {search.pattern!r:.80} finds something else in this version of Python")
    at.objects[number] = made
    yield None


def context_variable(at: Rebuilding, number: int, node: list[Any]) -> Build:
    """A context variable, with its default and what it is set to."""
    _, name, default, value = node
    yield at.complete(*default)
    made: contextvars.ContextVar[Any] = contextvars.ContextVar(name, **({"default": at.value(default[0])} if default else {}))
    at.objects[number] = made
    yield None
    yield at.complete(*value)
    if value:
        made.set(at.value(value[0]))


def scanner(at: Rebuilding, number: int, node: list[Any]) -> Build:
    """What reads JSON for a decoder."""
    names = ("strict", "object_hook", "object_pairs_hook", "parse_float", "parse_int", "parse_constant")
    yield at.made(*node[1:])
    make: Any = vars(json.scanner)["c_make_scanner"]
    at.objects[number] = make(types.SimpleNamespace(**dict(zip(names, at.values(node[1:]), strict=True))))
    yield None
    yield at.complete(*node[1:])


def weak_set(at: Rebuilding, number: int, node: list[Any]) -> Build:
    """A set of weak references."""
    made: weakref.WeakSet[Any] = weakref.WeakSet()
    at.objects[number] = made
    yield None
    yield at.complete(*node[1])
    values = at.values(node[1])
    at.kept.append(values)
    at.once_hashable(values, lambda: made.update(values))


def weak_dict(at: Rebuilding, number: int, node: list[Any]) -> Build:
    """A dict with weak keys or values."""
    yield at.made(node[1])
    made = at.objects[number] = at.value(node[1])()
    yield None
    yield at.complete(*node[2])
    at.kept.append(at.values(node[2]))
    at.fill_dict(made, node[2], lambda target, key, value: target.__setitem__(key, value))


def _dead_nan(node: list[Any]) -> Any:
    return struct.unpack(">d", bytes.fromhex(node[1]))[0]


def _complex(node: list[Any]) -> Any:
    return complex(*struct.unpack(">dd", bytes.fromhex(node[1])))


def _view(node: list[Any]) -> Any:
    """A view of a part of an object: `step` items from each to the next, backwards if negative."""
    _, base, code, shape, offset, step, is_readonly = node
    size, flat = struct.calcsize(code), memoryview(base).cast("B")
    count = math.prod(shape)
    far = (count - 1) * step * size if count else 0
    low, high = (min(offset, offset + far), max(offset, offset + far) + size) if count else (0, 0)
    part = flat[low:high].cast(code)
    made = part.cast("B").cast(code, shape) if len(shape) > 1 else part[::step] if step != 1 else part
    return made.toreadonly() if is_readonly else made


def comparison(at: Rebuilding, number: int, node: list[Any]) -> Build:
    """What `functools.cmp_to_key` makes of a function, or that called with an object."""
    yield at.complete(*node[1:])
    made: Any = functools.cmp_to_key(at.value(node[1]))
    at.objects[number] = made(at.value(node[2])) if len(node) > 2 else made
    yield None


def context_manager(at: Rebuilding, number: int, node: list[Any]) -> Build:
    """What a context manager's function returns; of a generator, whose body doesn't begin yet."""
    _, kind, function, arguments, keywords = node
    yield at.complete(kind, function, *arguments, *keywords)
    pairs = at.values(keywords)
    options = dict(zip(pairs[::2], pairs[1::2], strict=True))
    at.objects[number] = at.value(kind)(at.value(function), tuple(at.values(arguments)), options)
    yield None


def _cached_property(node: list[Any]) -> Any:
    made = functools.cached_property(node[1])
    made.attrname, made.__doc__ = node[2], node[3]
    return made


def logger(at: Rebuilding, number: int, node: list[Any]) -> Build:
    """A logger, and those above it: levels, filters, and the names of levels."""
    for name, level, propagate, disabled in reversed(node[1]):
        made = logging.getLogger(None if name == "root" else name)
        made.propagate, made.disabled = propagate, disabled
        made.setLevel(level)
    logging.disable(node[2])
    for level, text in node[4]:
        logging.addLevelName(level, text)
    at.objects[number] = made
    yield None
    for filters in node[3]:
        yield at.complete(*filters)
    for (name, *_), filters in zip(node[1], node[3], strict=True):
        logging.getLogger(None if name == "root" else name).filters[:] = at.values(filters)


def _zone(node: list[Any]) -> Any:
    know(node[1], node[2])
    return zoneinfo.ZoneInfo(node[1])


def variable(at: Rebuilding, number: int, node: list[Any]) -> Build:
    """A type variable."""
    _, kind, name, constraints, options, module = node
    yield at.made(*constraints, *options.values(), module)
    given = {key: at.value(each) for key, each in options.items()}
    made = at.objects[number] = getattr(typing, kind)(name, *at.values(constraints), **given)
    made.__module__ = at.value(module)
    yield None


def _new_type(node: list[Any]) -> Any:
    make: Any = typing.NewType
    made = make(node[1], node[2])
    made.__module__, made.__qualname__ = node[3], node[4]
    return made


def alias(at: Rebuilding, number: int, node: list[Any]) -> Build:
    """A type alias, evaluated when it is looked at: it may speak of itself.

    No function makes such a one with given parameters, but the statement's own code does: they are one of its constants.
    """
    yield at.complete(node[3])
    statement = compile("type alias = value()", "<alias>", "exec")
    name, parameters = statement.co_consts.index("alias"), statement.co_consts.index(None)
    constants = list(statement.co_consts)
    constants[name], constants[parameters] = node[1], at.value(node[3]) or None
    space: dict[str, Any] = {"value": lambda: at.value(node[2]), "__name__": node[4]}
    exec(statement.replace(co_consts=tuple(constants)), space)
    at.objects[number] = space["alias"]
    yield None
    yield at.complete(node[2])


VALUES: dict[str, Callable[[Rebuilding, int, list[Any]], Build]] = {
    "float": _constant(_dead_nan),
    "complex": _constant(_complex),
    "object": _constant(lambda _node: object()),
    "list": list_,
    "tuple": tuple_,
    "dict": dict_,
    "set": set_,
    "frozenset": frozenset_,
    "bytearray": _of_parts(lambda node: bytearray(node[1]), 1),
    "instance": instance,
    "call": call,
    "advanced": advanced,
    "reduce": reduce,
    "view": _of_parts(_view, 1),
    "view of": _of_parts(lambda node: getattr(node[1], node[2])(), 1),
    "array": _constant(lambda node: array.array(node[1], node[2])),
    "array of bytes": _of_parts(lambda node: array.array(node[1], node[2]), 2),
    "comparison": comparison,
    "context manager": context_manager,
    "weak": weak,
    "weak method": weak_method,
    "finalizer": finalizer,
    "found": found_text,
    "context variable": context_variable,
    "scanner": scanner,
    "super": super_,
    "weakset": weak_set,
    "weakdict": weak_dict,
    "cached property": _of_parts(_cached_property, 1, 3),
    "logger": logger,
    "zone": _of_parts(_zone, 2),
    "path": _constant(lambda node: getattr(pathlib, node[1])(*node[2])),
    "variable": variable,
    "new type": _of_parts(_new_type, 2),
    "alias": alias,
}
