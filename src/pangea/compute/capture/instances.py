"""Describe instances: what their class was derived from, attributes and slots. Constructors aren't called again."""

from __future__ import annotations

import array
import builtins
import collections
import copyreg
import datetime
import decimal
import enum
import functools
import pathlib
import random
import sys
import types
import weakref
from collections.abc import Callable
from typing import Any

from pangea.compute.capture import buffers, iterators, modules, versions
from pangea.compute.capture.atoms import is_a
from pangea.compute.capture.homes import lookup
from pangea.compute.capture.packages import Home
from pangea.compute.capture.walk import HINT_VALUE, Record, Walk
from pangea.compute.model.errors import JobDefinitionError

_POINTER = 8
_FOREIGN = {"pandas", "pyarrow", "torch", "polars", "scipy", "tensorflow", "sklearn"}
_HINT_NATIVE = "such values don't travel with the code: pass it in the chunk, as an array or a table"


def instance(walk: Walk, value: Any) -> Record:
    """An instance of a class of the user's, or of a library's."""
    kind = type(value)
    if is_a(value, enum.Enum) and value._name_ not in kind._member_map_:
        if is_a(value, enum.Flag):
            return ["flag", walk.ref(kind, "type"), walk.ref(value._value_)]
        walk.refuse(f"is a {kind.__qualname__} that isn't a member of its class")
    place = walk.homes.reference(kind)
    if place is not None:
        return _of_library(walk, value, place[0])
    module = _module_of(kind)
    if walk.homes.is_found(module) and (name := _own_name(value, module)):  # of a class that has none there
        return ["name", module, name]
    if is_a(value, BaseException) or not _is_users(walk, kind):
        return _raw(walk, value) if is_a(value, BaseException) else _of_nowhere(walk, value)
    return _of_user(walk, value)


def _is_users(walk: Walk, kind: type) -> bool:
    module = _module_of(kind)
    is_library = module.partition(".")[0] in sys.stdlib_module_names
    return bool(kind.__flags__ & _HEAP_TYPE) and (not is_library or walk.homes.is_value(module))


def _module_of(kind: type) -> str:
    """The module that a class is of; one of the user's may say it in a property of its instances."""
    return kind.__module__ if isinstance(kind.__module__, str) else ""


_HEAP_TYPE = 1 << 9
#: Takes itself apart into a name, its own even, where that is what its function has been made.
_CURRIED = ("toolz.functoolz", "curry")


def _of_nowhere(walk: Walk, value: Any) -> Record:
    """An instance of a type that has no name, such as an iterator: if it can be taken apart."""
    try:
        made = value.__reduce_ex__(4)
    except Exception:
        walk.refuse(f"is of type {modules.type_name(value)}", HINT_VALUE)
    if isinstance(made, str):
        if (found := modules.reference(walk, value)) is not None:
            return found
        walk.refuse(f"is of type {modules.type_name(value)}", HINT_VALUE)
    return reduced(walk, made)


def _of_library(walk: Walk, value: Any, module: str) -> Record:
    """An instance of a library's class: by name if it is one of the library's own, else as the class itself takes it apart."""
    kind = type(value)
    if walk.homes.is_found(module) and (name := _own_name(value, module)):
        return ["name", module, name]
    if (place := walk.homes.place_in_package(value)) is not None:
        return ["name", *place]
    if module.partition(".")[0] in _FOREIGN:
        walk.refuse(f"is of type {modules.type_name(value)}", _HINT_NATIVE)
    modules.require(walk, module, value)
    if is_a(value, BaseException):
        return _raw(walk, value)
    if is_a(value, enum.Enum):
        return ["attribute", walk.ref(kind, "type"), value._name_]
    if module == "itertools":  # those that can be taken apart are taken apart differently by each version of Python
        iterators.refuse(walk, value)
    return _apart(walk, value, module)


def _apart(walk: Walk, value: Any, module: str) -> Record:
    """An instance of a library's class, as the class takes it apart; of a package's that leaves it to Python, as it is."""
    is_packages = walk.homes.of(module) is Home.SHIPPED
    if is_packages and _is_plain(type(value)):
        return _raw(walk, value)
    try:
        made = value.__reduce_ex__(4)
    except Exception:
        walk.refuse(f"is of type {modules.type_name(value)}", HINT_VALUE)
    if isinstance(made, str):
        if lookup(module, made) is value:
            return ["name", module, made]
        if is_packages:  # it says it is the user's, of that name, as what decorates functions does
            return _raw(walk, value)
        walk.refuse(f"is of type {modules.type_name(value)}", HINT_VALUE)
    if versions.is_versioned(value):
        made = (*made[:2], versions.state(value), *made[3:])
    if (module, type(value).__name__) == _CURRIED and type(made[1][1]) is str:  # the user's function's name, which is to be found
        made = (made[0], (type(value), value.func, *made[1][2:5], None))
    return reduced(walk, made)


_TAKE_APART = (
    *("__getstate__", "__setstate__", "__reduce__", "__reduce_ex__"),
    *("__getnewargs__", "__getnewargs_ex__"),
)


def _is_plain(kind: type) -> bool:
    """Whether a package's class leaves it to Python how its instances are copied: then no method of it has to be called."""
    if copyreg.dispatch_table.get(kind) is not None or payload_owner(kind) not in (object, *PAYLOADS):
        return False
    own = [each for each in kind.__mro__ if each.__flags__ & _HEAP_TYPE]
    return bool(own) and not any(name in vars(each) for each in own for name in _TAKE_APART)


def reduced(walk: Walk, made: tuple[Any, ...]) -> Record:
    """What `__reduce_ex__` said: a call, then state, items and pairs."""
    whole: list[Any] = [*made, *[None] * (6 - len(made))]
    function, arguments, state, items, pairs, setter = whole
    record: Record = ["reduce", walk.ref(function), walk.refs(arguments)]
    rest = [
        None if state is None else [walk.ref(state, "state")],
        [] if items is None else walk.refs(list(items)),
        [] if pairs is None else walk.pairs(list(pairs)),
        None if setter is None else [walk.ref(setter)],
    ]
    return [*record, *rest] if any(rest) else record


def _own_name(value: Any, module: str) -> str | None:
    """The name that the module of its class has for `value`, such as `dataclasses.MISSING`."""
    values = vars(sys.modules[module]) if module in sys.modules else {}
    return min((name for name, each in values.items() if each is value and name.isidentifier()), default=None)


def _of_user(walk: Walk, value: Any) -> Record:
    """An instance of a user's class: as it is; if that can't travel, as its class takes it apart for pickle and copy."""
    kind = type(value)
    if not _takes_itself_apart(walk, kind):
        return _raw(walk, value)
    found: list[Record] = []
    if not walk.attempt(lambda: found.append(_raw(walk, value))):
        found.clear()
        try:
            found.append(_taken_apart(walk, value))
        except JobDefinitionError:
            raise
        except Exception as error:
            walk.refuse(
                f"is of type {modules.type_name(value)}, whose own way to be copied fails: {type(error).__name__}: {error}"
            )
    return found[0]


def _taken_apart(walk: Walk, value: Any) -> Record:
    made = value.__reduce_ex__(4)
    if isinstance(made, str):
        walk.refuse(f"is of type {modules.type_name(value)}, which travels by the name {made!r}, and that isn't found in a job")
    return reduced(walk, made)


def _takes_itself_apart(walk: Walk, kind: type) -> bool:
    """Whether a class of the user's says how its instances are copied."""
    for each in kind.__mro__:
        if any(name in vars(each) for name in ("__getstate__", "__reduce__", "__reduce_ex__")):
            return walk.homes.reference(each) is None
    return False


def _raw(walk: Walk, value: Any) -> Record:
    kind = type(value)
    about: dict[str, Any] = {}
    owner = _owner(value)
    if owner is not object:
        base = owner if owner in PAYLOADS else None
        if base is None:
            walk.refuse(f"is of type {modules.type_name(value)}, derived from {modules.type_name(owner)}")
        about["base"] = [base.__name__, *PAYLOADS[base](walk, value)]
    attributes = versions.state(value) if versions.is_versioned(value) else _attributes(value)
    if attributes is not None:
        walk.attributes(about, attributes)
    _write_slots(walk, value, about)
    return ["instance", walk.ref(kind, "type"), about]


def _owner(value: Any) -> type:
    kind = type(value)
    if is_a(value, BaseException):
        return next(each for each in kind.__mro__ if each.__module__ == "builtins")
    return pathlib.PurePath if is_a(value, pathlib.PurePath) else payload_owner(kind)


def payload_owner(kind: type) -> type:
    """The class, along the line of first bases, whose instances hold more than attributes and slots: object if none."""
    each: type = kind
    while each is not object:
        base: type = object if each.__base__ is None else each.__base__
        entries = vars(each)
        slots = 0 if _is_of_c(each) else sum(isinstance(entry, types.MemberDescriptorType) for entry in entries.values())
        extra = _POINTER * (slots + ("__weakref__" in entries) + ("__dict__" in entries))
        if each.__basicsize__ > base.__basicsize__ + extra or each.__itemsize__ != base.__itemsize__:
            return each
        each = base
    return object


def _attributes(value: Any) -> dict[str, Any] | None:
    try:
        found = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return None
    return found if isinstance(found, dict) else None


def _write_slots(walk: Walk, value: Any, about: dict[str, Any]) -> None:
    """What is in the slots: by name, or by class and name if the name leads elsewhere by now."""
    slots: list[Any] = []
    hidden: list[Any] = []
    for each in type(value).__mro__:
        if is_a(value, pathlib.PurePath) and each.__module__.partition(".")[0] == "pathlib":
            continue  # its parts say all, in other slots in each version of Python
        for name, entry in vars(each).items():
            if isinstance(entry, types.MemberDescriptorType) and entry.__objclass__ is each and not _is_of_c(each):
                try:
                    inner = entry.__get__(value, type(value))
                except AttributeError:
                    continue
                if _entry(type(value), name) is entry:
                    slots += [name, walk.ref(inner, "attribute", name)]
                else:
                    hidden += [walk.ref(each, "type"), name, walk.ref(inner, "attribute", name)]
    about |= {key: written for key, written in (("slots", slots), ("hidden", hidden)) if written}


def _entry(kind: type, name: str) -> Any:
    """What a class, or the first of its bases that does, has under a name in its dictionary."""
    return next((vars(each)[name] for each in kind.__mro__ if name in vars(each)), None)


def _is_of_c(kind: type) -> bool:
    """Whether a class's members are fields of a structure of C, and no slots."""
    return "__slots__" not in vars(kind)


def _exception(walk: Walk, value: BaseException) -> list[Any]:
    """Arguments, cause, context and what some classes keep in C."""
    walk.has_tracebacks |= value.__traceback__ is not None
    kept = {name: getattr(value, name) for name in _EXCEPTION_FIELDS if name in _fields_of(type(value))}
    links = {"__cause__": value.__cause__, "__context__": value.__context__}
    state = {name: each for name, each in {**kept, **links}.items() if each is not None}
    if isinstance(value, BaseExceptionGroup):
        return [walk.refs((value.message, list(value.exceptions))), [], value.__suppress_context__]
    return [walk.refs(value.args), walk.pairs(state.items(), "attribute"), value.__suppress_context__]


_EXCEPTION_FIELDS = (
    *("name", "obj", "path", "code", "value", "errno", "strerror", "filename", "filename2"),
    *("msg", "lineno", "offset", "text", "end_lineno", "end_offset", "print_file_and_line"),
    *("encoding", "object", "start", "end", "reason", "name_from"),
)


def _fields_of(kind: type) -> set[str]:
    fields: set[str] = set()
    for each in kind.__mro__:
        if each.__module__ == "builtins":
            fields |= {name for name, entry in vars(each).items() if isinstance(entry, types.MemberDescriptorType)}
    return fields


def _when(walk: Walk, value: Any) -> list[Any]:
    names = [name for name in ("year", "month", "day", "hour", "minute", "second", "microsecond") if hasattr(value, name)]
    zone = getattr(value, "tzinfo", None)
    return [[getattr(value, name) for name in names], walk.ref(zone, "attribute", "tzinfo"), getattr(value, "fold", 0)]


#: What a class is derived from, to what its instances hold of it. In the order of lookup: subclasses first.
PAYLOADS: dict[type, Callable[[Walk, Any], list[Any]]] = {
    collections.OrderedDict: lambda walk, value: [walk.pairs(list(collections.OrderedDict.items(value)))],
    collections.defaultdict: lambda walk, value: [
        walk.ref(value.default_factory, "attribute", "default_factory"),
        walk.pairs(list(dict.items(value))),
    ],
    dict: lambda walk, value: [walk.pairs(list(dict.items(value)))],
    list: lambda walk, value: [walk.refs(list.__getitem__(value, slice(None)))],
    tuple: lambda walk, value: [walk.refs(tuple.__getitem__(value, slice(None)))],
    set: lambda walk, value: [walk.unordered(set.__iter__(value))],
    frozenset: lambda walk, value: [walk.unordered(frozenset.__iter__(value))],
    str: lambda walk, value: [walk.ref(str.__str__(value))],
    bytes: lambda walk, value: [walk.ref(bytes.__getitem__(value, slice(None)))],
    bytearray: lambda walk, value: [walk.ref(bytes(bytearray.__getitem__(value, slice(None))))],
    int: lambda walk, value: [walk.ref(int.__index__(value))],
    float: lambda walk, value: [walk.ref(float.__pos__(value))],
    complex: lambda walk, value: [walk.ref(complex.__pos__(value))],
    collections.deque: lambda walk, value: [walk.refs(list(collections.deque.__iter__(value))), value.maxlen],
    decimal.Decimal: lambda walk, value: [decimal.Decimal.__str__(value)],
    datetime.datetime: _when,
    datetime.date: _when,
    datetime.time: _when,
    datetime.timedelta: lambda walk, value: [[value.days, value.seconds, value.microseconds]],
    array.array: lambda walk, value: buffers.numbers(walk, value)[1:],
    pathlib.PurePath: lambda _walk, value: [[str(part) for part in pathlib.PurePath.parts.__get__(value)]],
    functools.partial: lambda walk, value: [
        walk.ref(value.func, "attribute", "func"),
        walk.refs(value.args),
        walk.pairs(value.keywords.items()),
    ],
    property: lambda walk, value: [*walk.refs((value.fget, value.fset, value.fdel), "attribute"), walk.ref(value.__doc__)],
    weakref.ref: lambda walk, value: [] if (target := weakref.ref.__call__(value)) is None else [walk.ref(target, "target")],
    random.Random.__bases__[0]: lambda walk, value: [walk.refs(value.__reduce__()[2][1])],
    BaseException: _exception,
}
for _each in list(vars(builtins).values()):
    if isinstance(_each, type) and issubclass(_each, BaseException):
        PAYLOADS.setdefault(_each, _exception)
