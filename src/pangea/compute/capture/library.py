"""Describe values of the types of Python and its standard library: each so that the guest's own library makes an equal one."""

from __future__ import annotations

import array
import ast
import collections
import contextlib
import contextvars
import dataclasses
import functools
import gc
import inspect
import itertools
import json
import logging
import pathlib
import re
import struct
import sys
import types
import typing
import weakref
import zoneinfo
from typing import Any

from pangea.compute.capture import buffers, generated, modules, versions
from pangea.compute.capture.atoms import is_a
from pangea.compute.capture.homes import lookup
from pangea.compute.capture.walk import HINT_VALUE, Record, Walk
from pangea.compute.capture.zones import zone_data

_ABSENT = object()


def not_a_number(walk: Walk, value: float) -> Record:
    """A NaN: its bits, and its identity."""
    return ["float", struct.pack(">d", value).hex()]


def not_a_complex(walk: Walk, value: complex) -> Record:
    """A complex number with a NaN in it."""
    return ["complex", struct.pack(">dd", value.real, value.imag).hex()]


def called(walk: Walk, function: Any, *arguments: Any) -> Record:
    """The result of calling a function of the library."""
    return ["call", walk.ref(function), walk.refs(arguments, "argument")]


def dictionary(walk: Walk, value: dict[Any, Any]) -> Record:
    """A dict; one of its own kind if it is the globals of functions."""
    if modules.is_namespace(walk, value):
        return modules.namespace(walk, value)
    return ["dict", walk.pairs(value.items())]


def dictionary_view(walk: Walk, value: Any) -> Record:
    """Keys, values or items of a dict: of the same dict."""
    return ["view of", walk.ref(gc.get_referents(value)[0], "mapping"), type(value).__name__.rpartition("_")[2]]


def proxy(walk: Walk, value: types.MappingProxyType[Any, Any]) -> Record:
    """A read-only view of a mapping: of the same one, unless it is a class's own."""
    base = gc.get_referents(value)[0]
    return ["call", walk.ref(types.MappingProxyType), [walk.ref(base, "mapping")]]


def forward_reference(walk: Walk, value: Any) -> Record:
    """A type that is named by a text."""
    return called(walk, typing.ForwardRef, value.__forward_arg__)


def counter(walk: Walk, value: Any) -> Record:
    """`itertools.count`, `itertools.repeat`: from where they are."""
    try:
        arguments = ast.literal_eval(repr(value).removeprefix(type(value).__name__).replace("(", "(", 1).rstrip(")") + ",)")
    except (ValueError, SyntaxError):
        walk.refuse(f"is an iterator of type {modules.type_name(value)}", "make it inside the function")
    return called(walk, type(value), *arguments)


def weak(walk: Walk, value: weakref.ref[Any]) -> Record:
    """A weak reference: its target travels, and lives as long as the job."""
    target = value()
    return ["weak"] if target is None else ["weak", walk.ref(target, "target")]


def weak_method(walk: Walk, value: Any) -> Record:
    """A weak reference to a bound method: its object travels, and lives as long as the job."""
    target = value()
    if target is None:
        walk.refuse("is a weak reference to a method of an object that is gone", "leave it out")
    return ["weak method", walk.ref(target, "target")]


def finalizer(walk: Walk, value: weakref.finalize[Any, Any]) -> Record:
    """A call at the end of an object: that travels, and lives as long as the job. One that was made, or called off, is dead."""
    if (made := value.peek()) is None:
        return ["finalizer"]
    target, function, arguments, keywords = made
    return [
        "finalizer",
        walk.ref(target, "target"),
        walk.ref(function, "attribute", "func"),
        walk.refs(arguments, "argument"),
        walk.pairs(keywords.items(), "argument"),
        bool(value.atexit),
    ]


def found_text(walk: Walk, value: re.Match[Any]) -> Record:
    """What a regular expression has found in a text: it is found again, by a method that finds the very same here."""
    given, spans = (value.string, value.pos, value.endpos), value.regs
    for how in ("search", "match", "fullmatch", ""):
        again = [getattr(value.re, how)(*given)] if how else value.re.finditer(*given)
        if any(each is not None and each.regs == spans for each in again):
            text = walk.ref(value.string, "attribute", "string")
            return ["found", walk.ref(value.re, "attribute", "re"), text, *given[1:], how, [*map(list, spans)]]
    return walk.refuse("is a match of a text that was changed since", "keep the groups that you need of it")


def pattern(walk: Walk, value: re.Pattern[Any]) -> Record:
    """A regular expression: compiled again, of its text."""
    if value.pattern is None:  # compiled of parts
        walk.refuse("is a regular expression without a text", "make what holds it inside the function")
    return called(walk, re.compile, value.pattern, value.flags)


def token_scanner(walk: Walk, value: Any) -> Record:
    """A `re.Scanner`: made again, of its lexicon."""
    if type(value)(value.lexicon, value.scanner.flags).scanner != value.scanner:
        walk.refuse("is a scanner whose lexicon was changed since", "make it inside the function")
    return called(walk, type(value), value.lexicon, value.scanner.flags)


def context_variable(walk: Walk, value: contextvars.ContextVar[Any]) -> Record:
    """A context variable: its default, and what it is set to now."""
    default, present = [], []
    with contextlib.suppress(LookupError):
        default = [walk.ref(contextvars.Context().run(value.get), "default")]
    if value in (context := contextvars.copy_context()):
        present = [walk.ref(context[value], "value")]
    return ["context variable", value.name, default, present]


def scanner(walk: Walk, value: Any) -> Record:
    """What reads JSON for a decoder."""
    names = ("strict", "object_hook", "object_pairs_hook", "parse_float", "parse_int", "parse_constant")
    return ["scanner", *(walk.ref(getattr(value, name), "attribute", name) for name in names)]


def super_(walk: Walk, value: Any) -> Record:
    """What `super(class, object)` gave: reading an attribute of it reads one of the object's."""
    parts = (vars(super)[name].__get__(value) for name in ("__thisclass__", "__self__"))
    return [
        "super",
        *(walk.ref(each, "attribute", name) for each, name in zip(parts, ("__thisclass__", "__self__"), strict=True)),
    ]


def weak_set(walk: Walk, value: Any) -> Record:
    """A set of weak references."""
    return ["weakset", walk.unordered(list(value))]


def weak_dict(walk: Walk, value: Any) -> Record:
    """A dict with weak keys or values."""
    return ["weakdict", walk.ref(type(value)), walk.pairs(list(value.items()))]


def cached_property(walk: Walk, value: functools.cached_property[Any]) -> Record:
    """A property that is computed once."""
    return ["cached property", walk.ref(value.func, "attribute", "func"), value.attrname, walk.ref(value.__doc__)]


def comparison(walk: Walk, value: Any) -> Record:
    """What `functools.cmp_to_key` made."""
    parts = [each for each in gc.get_referents(value) if each is not type(value)]  # the function, and what it was called with
    return ["comparison", *(walk.ref(each, "attribute", name) for name, each in zip(("cmp", "obj"), parts, strict=False))]


def partial_method(walk: Walk, value: Any) -> Record:
    """A method with some of its arguments."""
    return [
        "partial method",
        walk.ref(value.func, "attribute", "func"),
        walk.refs(value.args),
        walk.pairs(value.keywords.items()),
    ]


def dispatcher(walk: Walk, value: types.FunctionType) -> Record:
    """What `functools.singledispatch` made: its function, and those registered by type."""
    registry = dict(value.registry)  # type: ignore[attr-defined]
    own = ("registry", "dispatch", "register", "_clear_cache", "__wrapped__")
    state = {name: each for name, each in vars(value).items() if name not in own}
    return ["dispatch", walk.ref(registry.pop(object)), walk.pairs(registry.items()), walk.pairs(state.items(), "attribute")]


def is_dispatcher(value: Any) -> bool:
    """Whether `functools.singledispatch` made the function."""
    code = value.__code__
    return value.__globals__ is vars(functools) and code.co_qualname == "singledispatch.<locals>.wrapper"


def logger(walk: Walk, value: logging.Logger) -> Record:
    """A logger by its name, with levels and filters, its own and above; handlers stay behind: a job has nothing to write to."""
    levels, filters = [], []
    each: logging.Logger | None = value
    while each is not None:
        levels.append([each.name, each.level, each.propagate, each.disabled])
        filters.append(walk.refs(each.filters, "filter"))
        each = each.parent
    names = [[level, name] for level, name in sorted(vars(logging)["_levelToName"].items()) if _LEVELS.get(level) != name]
    return ["logger", levels, value.manager.disable, filters, names]


_LEVELS = {getattr(logging, name): name for name in ("CRITICAL", "ERROR", "WARNING", "INFO", "DEBUG", "NOTSET")}


def zone(walk: Walk, value: zoneinfo.ZoneInfo) -> Record:
    """A time zone, with its data as this machine has them: a job has no files."""
    if value.key is None or (data := zone_data(value.key)) is None:
        walk.refuse("is a time zone without a name in the database", "use datetime.timezone, or zoneinfo.ZoneInfo(name)")
    return ["zone", value.key, walk.ref(data)]


def path(walk: Walk, value: pathlib.PurePath) -> Record:
    """A path: its kind and its parts. This machine's own kind is the guest's own."""
    name = "PureWindowsPath" if type(value).__name__ in ("PureWindowsPath", "WindowsPath") else "PurePosixPath"
    if is_a(value, pathlib.Path) and name == "PurePosixPath":
        name = "PosixPath"
    return ["path", name, list(value.parts)]


def variable(walk: Walk, value: Any) -> Record:
    """A type variable, of any kind."""
    if walk.homes.is_found(str(value.__module__)) and lookup(value.__module__, value.__name__) is value:
        return ["name", value.__module__, value.__name__]
    options: dict[str, Any] = {}
    for name, attribute in (
        ("covariant", "__covariant__"),
        ("contravariant", "__contravariant__"),
        ("infer_variance", "__infer_variance__"),
    ):
        if getattr(value, attribute, False):
            options[name] = True
    if (bound := _evaluated(value, "__bound__")) is not None:
        options["bound"] = walk.ref(bound, "attribute", "__bound__")
    default = _evaluated(value, "__default__")
    if default is not None and default is not getattr(typing, "NoDefault", None):
        options["default"] = walk.ref(default, "attribute", "__default__")
    constraints = walk.refs(_evaluated(value, "__constraints__") or (), "constraint")
    return ["variable", type(value).__name__, value.__name__, constraints, options, walk.ref(value.__module__)]


def _evaluated(value: Any, name: str) -> Any:
    """What a type variable is bound by; the text of it if it names what isn't there, as types for a checker alone may."""
    try:
        return getattr(value, name, None)
    except Exception as error:  # the user's expression
        return error.name if isinstance(error, NameError) and error.name else "Unavailable"


def new_type(walk: Walk, value: Any) -> Record:
    """What `typing.NewType` made."""
    return [
        "new type",
        value.__name__,
        walk.ref(value.__supertype__, "attribute", "__supertype__"),
        value.__module__,
        value.__qualname__,
    ]


def alias_type(walk: Walk, value: Any) -> Record:
    """A type alias of a `type` statement."""
    try:
        _ = value.__value__
    except Exception as error:
        walk.refuse(f"is a type alias that can't be evaluated: {type(error).__name__}: {error}", "define what it names")
    written = walk.ref(value.__value__, "attribute", "__value__")
    return ["alias", value.__name__, written, walk.ref(value.__type_params__), value.__module__]


def member_of(walk: Walk, value: Any) -> Record:
    """`P.args` and `P.kwargs` of a ParamSpec."""
    return ["attribute", walk.ref(value.__origin__), "args" if type(value).__name__ == "ParamSpecArgs" else "kwargs"]


def context_manager(walk: Walk, value: Any) -> Record:
    """What a function made by `contextlib.contextmanager` returned: its generator, which hasn't begun, is made again."""
    function = getattr(value, "func", None)  # what is entered lets go of it
    if type(function) is not types.FunctionType or inspect.getgeneratorstate(value.gen) != inspect.GEN_CREATED:
        walk.refuse("is a context manager that has been entered", "make it inside the function")
    return [
        "context manager",
        walk.ref(type(value), "type"),
        walk.ref(function, "attribute", "func"),
        walk.refs(value.args, "argument"),
        walk.pairs(value.kwds.items(), "argument"),
    ]


def refused(walk: Walk, value: Any) -> Record:
    """What can't travel, whatever it holds."""
    walk.refuse(f"is of type {modules.type_name(value)}", HINT_VALUE)


def named_stream(walk: Walk, value: Any) -> Record:
    """Standard output and error, which the guest has; other files can't travel."""
    for name in ("stdout", "stderr"):
        if value is getattr(sys, name, None) or value is getattr(sys, f"__{name}__", None):
            return ["name", "sys", name]
    return refused(walk, value)


LIBRARY: dict[type, Any] = {
    float: not_a_number,
    complex: not_a_complex,
    object: lambda walk, value: ["object"],
    list: lambda walk, value: ["list", walk.refs(value)],
    tuple: lambda walk, value: ["tuple", walk.refs(value)],
    dict: dictionary,
    set: lambda walk, value: ["set", walk.unordered(value)],
    frozenset: lambda walk, value: ["frozenset", walk.unordered(value)],
    bytearray: lambda walk, value: ["bytearray", walk.ref(bytes(value))],
    memoryview: buffers.view,
    range: lambda walk, value: called(walk, range, value.start, value.stop, value.step),
    slice: lambda walk, value: called(walk, slice, value.start, value.stop, value.step),
    array.array: buffers.numbers,
    struct.Struct: lambda walk, value: called(walk, struct.Struct, value.format),
    type({}.keys()): dictionary_view,
    type({}.values()): dictionary_view,
    type({}.items()): dictionary_view,
    type(collections.OrderedDict().keys()): dictionary_view,
    type(collections.OrderedDict().values()): dictionary_view,
    type(collections.OrderedDict().items()): dictionary_view,
    types.MappingProxyType: proxy,
    itertools.count: counter,
    itertools.repeat: counter,
    weakref.ref: weak,
    weakref.WeakMethod: weak_method,
    weakref.finalize: finalizer,
    re.Match: found_text,
    re.Pattern: pattern,
    vars(re)["Scanner"]: token_scanner,
    contextvars.ContextVar: context_variable,
    type(json.JSONDecoder().scan_once): scanner,  # type: ignore[attr-defined]
    super: super_,
    weakref.WeakSet: weak_set,
    weakref.WeakKeyDictionary: weak_dict,
    weakref.WeakValueDictionary: weak_dict,
    functools.cached_property: cached_property,
    functools.partialmethod: partial_method,
    type(functools.cmp_to_key(len)): comparison,  # type: ignore[arg-type]
    logging.Logger: logger,
    logging.RootLogger: logger,
    zoneinfo.ZoneInfo: zone,
    pathlib.PurePosixPath: path,
    pathlib.PureWindowsPath: path,
    type(pathlib.Path()): path,
    typing.TypeVar: variable,
    typing.ParamSpec: variable,
    typing.TypeVarTuple: variable,
    typing.NewType: new_type,
    typing.ParamSpecArgs: member_of,
    typing.ParamSpecKwargs: member_of,
    dataclasses.Field: generated.field,
    generated.Changed: generated.changed,
    versions.LibraryName: lambda walk, value: ["name", value.module, value.name],
    versions.LibraryCall: lambda walk, value: called(walk, value.function, *value.arguments),
    dataclasses._DataclassParams: generated.parameters,  # type: ignore[attr-defined]
    typing.ForwardRef: forward_reference,
    contextlib._GeneratorContextManager: context_manager,
    types.ModuleType: modules.module,
    types.CodeType: refused,
    types.FrameType: refused,
    types.GeneratorType: refused,
    types.TracebackType: refused,
}
if sys.version_info >= (3, 12):
    LIBRARY[typing.TypeAliasType] = alias_type
for _name in ("TextIOWrapper", "BufferedWriter", "BufferedReader", "FileIO"):
    LIBRARY[vars(sys.modules["io"])[_name]] = named_stream
