"""Describe functions and what is made of them: methods, cells, descriptors, functions of C."""

from __future__ import annotations

import functools
import gc
import operator
import sys
import types
import typing
from collections.abc import Iterable, Iterator
from functools import partial as partial_
from typing import Any

from pangea.compute.capture import caches, changes, generated, modules, versions
from pangea.compute.capture.atoms import NONE, is_a
from pangea.compute.capture.homes import lookup
from pangea.compute.capture.proof import UnprovedError
from pangea.compute.capture.scan import path_of
from pangea.compute.capture.walk import Record, Walk

#: Attributes that this package puts on functions.
_OWN_ATTRIBUTES = {"__pangea_hook__"}
_ABSENT = object()


def function(walk: Walk, value: types.FunctionType) -> Record:
    """A function: its code, and everything else as it is now."""
    if place := modules.reference(walk, value) or versions.reference(value):
        return place
    try:
        code = walk.code(value)
    except UnprovedError as error:
        if (made := generated.method(walk, value)) is not None:
            return made
        walk.refuse(*error.args)
    return _by_value(walk, value, code)


def _by_value(walk: Walk, value: types.FunctionType, code: int) -> Record:
    space = walk.space(value.__globals__)
    if space.is_library:
        modules.require(walk, space.name, value)
    about: dict[str, Any] = {"code": code, "space": space.number, "name": value.__name__}
    plain = value.__code__
    if value.__qualname__ != path_of(plain.co_qualname):
        about["qualname"] = value.__qualname__
    if value.__module__ != value.__globals__.get("__name__"):
        about["module"] = walk.ref(value.__module__, "attribute", "__module__")
    if value.__doc__ is not None:
        about["doc"] = walk.ref(value.__doc__, "attribute", "__doc__")
    if value.__closure__:
        about["cells"] = [
            each
            for name, cell in zip(plain.co_freevars, value.__closure__, strict=True)
            for each in (name, walk.ref(cell, "closure", name))
        ]
    if value.__defaults__ is not None:
        about["defaults"] = walk.ref(value.__defaults__, "attribute", "__defaults__")
    if value.__kwdefaults__:
        about["kwdefaults"] = walk.ref(value.__kwdefaults__, "attribute", "__kwdefaults__")
    state = {name: each for name, each in vars(value).items() if name not in _OWN_ATTRIBUTES}
    if state:
        about["dict"] = walk.pairs(state.items(), "attribute")
    if parameters := getattr(value, "__type_params__", ()):
        about["type_params"] = walk.ref(parameters, "attribute", "__type_params__")
    _annotations(walk, value, about)
    if not space.is_library:
        modules.use_names(walk, value, space)
        modules.use_closure(walk, value)
    return ["function", about]


def _annotations(walk: Walk, value: types.FunctionType, about: dict[str, Any]) -> None:
    """Annotations travel as far as they can, and take no packages along: a job rarely looks at them."""
    if sys.version_info >= (3, 14) and value.__annotate__ is not None:

        def put(written: Any) -> None:
            if written is not NONE:
                about["annotate"] = written

        walk.soft(value.__annotate__, "attribute", "__annotate__", put, lean=True)
        if isinstance(value.__annotate__, types.FunctionType):
            modules.soft_texts(walk, value.__globals__, modules.constants(value.__annotate__), lean=True)
    elif value.__annotations__:
        about["annotations"] = soft_pairs(walk, value.__annotations__)
        modules.soft_texts(walk, value.__globals__, texts_among(value.__annotations__.values()), lean=True)


def texts_among(annotations: Iterable[Any]) -> Iterator[str]:
    """The annotations that are texts, those inside others included: `typing.get_type_hints` looks up what they name."""
    for each in annotations:
        if type(each) is str:
            yield each
        elif type(each) is typing.ForwardRef:
            yield each.__forward_arg__
        elif type(inner := getattr(each, "__args__", None)) is tuple:
            yield from texts_among(inner)


def soft_pairs(walk: Walk, annotations: dict[str, Any]) -> list[Any]:
    """Names and annotations in turn; one that can't travel is the text of what it was."""
    written: list[Any] = [each for name in annotations for each in (name, None)]
    for index, (name, annotation) in enumerate(annotations.items()):
        walk.soft(annotation, "annotation", name, partial_(_put, written, 2 * index + 1, annotation), lean=True)
    return written


def _put(written: list[Any], at: int, annotation: Any, found: Any) -> None:
    written[at] = ["u", modules.type_name(annotation)] if found is NONE else found


def cell(walk: Walk, value: types.CellType) -> Record:
    """A closure variable, which several functions may share."""
    if (owner := walk.class_cells.get(id(value))) is not None:
        return ["class names", walk.ref(owner)]
    try:
        return ["cell", walk.ref(value.cell_contents)]
    except ValueError:
        return ["cell"]


def bound_method(walk: Walk, value: types.MethodType) -> Record:
    """A function bound to an object."""
    if place := _module_name(walk, value):
        return place
    return ["method", walk.ref(value.__func__, "attribute", "__func__"), walk.ref(value.__self__, "attribute", "__self__")]


def builtin(walk: Walk, value: Any) -> Record:
    """A function of C: of a module, by name; of an object, by that."""
    owner = value.__self__
    if owner is None or is_a(owner, types.ModuleType):
        return modules.named(walk, value)
    if place := _module_name(walk, value):
        return place
    return ["attribute", walk.ref(owner, "attribute", "__self__"), value.__name__]


def _module_name(walk: Walk, value: Any) -> Record | None:
    """A method that a library's module has under its name, such as `random.random`, which is one of a hidden object."""
    module = type(value.__self__).__module__
    if walk.homes.is_value(module) or lookup(module, value.__name__) is not value:
        return None
    if changes.stands_for_another(walk.homes, module, value.__name__, value):
        return None
    modules.require(walk, module, value)
    return ["name", module, value.__name__]


def descriptor(walk: Walk, value: Any) -> Record:
    """A method or attribute of a class of C, by the class."""
    return ["entry", walk.ref(value.__objclass__, "attribute", "__objclass__"), value.__name__]


def method_wrapper(walk: Walk, value: Any) -> Record:
    """A special method of an object of C."""
    return ["attribute", walk.ref(value.__self__, "attribute", "__self__"), value.__name__]


def wrapped(walk: Walk, value: Any) -> Record:
    """A static or class method."""
    attributes = {name: each for name, each in vars(value).items() if name not in ("__isabstractmethod__",)}
    kind = "static" if is_a(value, staticmethod) else "classmethod"
    if not hasattr(value.__func__, "__dict__") or type(value.__func__) is types.FunctionType:
        attributes = {
            name: each
            for name, each in attributes.items()
            if getattr(value.__func__, name, _ABSENT) is not each and name != "__wrapped__"
        }
    return [kind, walk.ref(value.__func__, "attribute", "__func__"), walk.pairs(attributes.items(), "attribute")]


def property_(walk: Walk, value: property) -> Record:
    """A property."""
    parts = [walk.ref(getattr(value, name), "attribute", name) for name in ("fget", "fset", "fdel")]
    name = getattr(value, "__name__", None) if sys.version_info >= (3, 13) else None
    return ["property", *parts, walk.ref(value.__doc__, "attribute", "__doc__"), name if isinstance(name, str) else None]


def partial(walk: Walk, value: functools.partial[Any]) -> Record:
    """A function with some of its arguments."""
    return [
        "partial",
        walk.ref(value.func, "attribute", "func"),
        walk.refs(value.args),
        walk.pairs(value.keywords.items()),
        walk.pairs(vars(value).items(), "attribute"),
    ]


def cached(walk: Walk, value: Any) -> Record:
    """What `functools.lru_cache` made, with the results that it keeps, if they can travel."""
    if place := modules.reference(walk, value):
        return place
    state = vars(value)
    inner = state.get("__wrapped__")
    made = (type(value), vars(functools)["_CacheInfo"])
    held = [each for each in gc.get_referents(value) if callable(each) and not any(each is one for one in made)]
    if not any(each is inner for each in held):
        if len(held) != 1:
            walk.refuse(
                "is a cached function whose own function can't be told", "decorate the function with @functools.lru_cache"
            )
        inner = held[0]
    options = value.cache_parameters()
    record: Record = [
        "cached",
        walk.ref(inner, "attribute", "__wrapped__"),
        walk.ref(options["maxsize"]),
        walk.ref(options["typed"]),
        walk.pairs(state.items(), "attribute"),
    ]
    if type(inner) is types.FunctionType and (calls := caches.calls_kept(value)):
        walk.soft(calls, "cache", "its cache", partial_(_put_calls, walk, value, record), lean=True, most=caches.MOST_KEPT)
    return record


def _put_calls(walk: Walk, value: Any, record: Record, found: Any) -> None:
    """Add what a cache holds to its record; how often it was asked, too, if the job's code may look."""
    if found is NONE:
        return
    record.append(found)
    if any("cache_info" in each.attributes for each in walk.scans()):
        record.append(caches.counts(value))


def getter(walk: Walk, value: Any) -> Record:
    """`itemgetter`, `attrgetter`, `methodcaller`: made by a call."""
    made = value.__reduce__()
    return ["call", walk.ref(made[0]), walk.refs(made[1])]


CALLABLES: dict[type, Any] = {
    types.FunctionType: function,
    types.CellType: cell,
    types.MethodType: bound_method,
    types.BuiltinFunctionType: builtin,
    types.MethodDescriptorType: descriptor,
    types.WrapperDescriptorType: descriptor,
    types.ClassMethodDescriptorType: descriptor,
    types.GetSetDescriptorType: descriptor,
    types.MemberDescriptorType: descriptor,
    types.MethodWrapperType: method_wrapper,
    staticmethod: wrapped,
    classmethod: wrapped,
    property: property_,
    functools.partial: partial,
    type(functools.lru_cache(maxsize=1)(len)): cached,
    operator.itemgetter: getter,
    operator.attrgetter: getter,
    operator.methodcaller: getter,
}
