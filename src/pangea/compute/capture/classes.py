"""Describe classes: a skeleton (metaclass, name, bases, slots), then the dictionary that they have now.

A class body isn't run a second time, nor is anything that a class statement runs: `__init_subclass__`, `__set_name__`, the
metaclass, decorators. What a library made without text (dataclass, namedtuple, Enum) is made again from its specification.
"""

from __future__ import annotations

import abc
import collections.abc
import contextlib
import enum
import functools
import io
import numbers
import os
import sys
import types
import typing
from typing import Any

from pangea.compute.capture import generated, left_out, modules
from pangea.compute.capture.atoms import NONE
from pangea.compute.capture.callables import soft_pairs, texts_among
from pangea.compute.capture.walk import Record, Walk

#: Entries of a class's dictionary that the class itself has made, or that are told otherwise.
_MADE = {"__abstractmethods__", "_abc_impl", "__annotations__", "__annotate_func__", "__annotations_cache__", "__annotate__"}
_HINT_CLASS = "define the class with a class statement, in the same file as the job"


def class_(walk: Walk, value: type) -> Record:
    """A class: by name if the guest finds it so, else by value."""
    if place := modules.reference(walk, value):
        return place
    if not value.__flags__ & _HEAP_TYPE:
        walk.refuse(f"is the type {modules.type_name(value)}, which Python itself keeps to itself")
    entries = dict(vars(value))
    about: dict[str, Any] = {
        "name": value.__name__,
        "qualname": value.__qualname__,
        "meta": walk.ref(type(value), "metaclass"),
        "bases": walk.refs(value.__bases__, "base"),
    }
    walk.classes[id(value)] = (value, about)
    if any("mro" in vars(each) and each is not type for each in type.mro(type(value))[:-1]):
        about["mro"] = walk.refs(value.__mro__[1:], "base")
    if "__slots__" in entries:
        about["slots"] = _slots(value, entries)
    for name in [*_MADE, *_layout(value, entries)]:
        entries.pop(name, None)
    if isinstance(value, enum.EnumMeta):
        about["enum"] = generated.enumeration(walk, value, entries)
    elif generated.is_namedtuple(value):
        about["namedtuple"] = generated.namedtuple(walk, value, entries)
    if "__dataclass_params__" in entries:
        about["dataclass"] = generated.dataclass(walk, value, entries)
    if isinstance(value, abc.ABCMeta):
        about["abc"] = _registered(walk, value)
        about["abstract"] = sorted(vars(value).get("__abstractmethods__", ()))
    if owners := _registered_with(walk, value):
        about["registered"] = walk.refs(owners, "abstract class")
    if isinstance(value, vars(typing)["_ProtocolMeta"]):
        members = entries.get("__protocol_attrs__")
        about["protocol"] = sorted(vars(typing)["_get_protocol_attrs"](value) if members is None else members)
        _drop_protocols_own(entries)
    about["dict"] = _pairs_less_left_out(walk, value, entries) if walk.is_lenient else walk.pairs(entries.items(), "attribute")
    _annotations(walk, value, about)
    return ["class", about]


_HEAP_TYPE = 1 << 9


def _pairs_less_left_out(walk: Walk, value: type, entries: dict[str, Any]) -> list[Any]:
    """Names and entries in turn; methods that can't travel are replaced by what says so."""
    written: list[Any] = []
    for name, entry in entries.items():
        written += [name, None]
        if left_out.can_be(name, entry):
            walk.soft(entry, "attribute", name, functools.partial(_put_entry, walk, written, len(written) - 1, value, name))
        else:
            written[-1] = walk.ref(entry, "attribute", name)
    return written


def _put_entry(walk: Walk, written: list[Any], at: int, value: type, name: str, found: Any) -> None:
    if found is NONE:
        assert walk.refused is not None, "it was tried"
        walk.left_out[id(value), name] = value, walk.refused
        found = walk.ref(left_out.stand_in(vars(value)[name], f"{value.__qualname__}.{name}", walk.refused))
    written[at] = found


def _slots(value: type, entries: dict[str, Any]) -> list[str]:
    """The slots that lay the class out, by the names that they have in its dictionary."""
    names = sorted(name for name, each in entries.items() if _is_slot(value, each))
    return names + [name for name in ("__dict__", "__weakref__") if isinstance(entries.get(name), types.GetSetDescriptorType)]


def _layout(value: type, entries: dict[str, Any]) -> list[str]:
    names = [name for name, each in entries.items() if _is_slot(value, each)]
    return names + [name for name in ("__dict__", "__weakref__") if isinstance(entries.get(name), types.GetSetDescriptorType)]


def _is_slot(value: type, entry: Any) -> bool:
    return isinstance(entry, types.MemberDescriptorType) and entry.__objclass__ is value


def _registered(walk: Walk, value: type) -> list[Any]:
    """The classes that were registered with an abstract class, by name: the registry has no order."""
    found = [each() for each in _registry(value)]
    classes = sorted((each for each in found if each is not None), key=lambda each: (each.__module__, each.__qualname__))
    return walk.refs(classes, "registered class")


def _registered_with(walk: Walk, value: type) -> list[Any]:
    """The abstract classes of the library that a class was registered with: those travel by name."""
    if walk.registered is None:
        walk.registered = {}
        for owner in _ABSTRACT:
            for known in _registry(owner):
                walk.registered.setdefault(id(known()), []).append(owner)
    return walk.registered.get(id(value), [])


def registered_pairs() -> list[tuple[type, type]]:
    """The abstract classes of the library, and what is registered with each."""
    found = [(owner, each()) for owner in _ABSTRACT for each in _registry(owner)]
    kept = [(owner, kind) for owner, kind in found if kind is not None]
    return sorted(kept, key=lambda each: (each[0].__qualname__, each[1].__module__, each[1].__qualname__))


def _registry(value: Any) -> set[Any]:
    dump = getattr(sys.modules["abc"], "_get_dump", None)
    return set(dump(value)[0]) if dump else set()


_ABSTRACT = [
    each
    for module in (collections.abc, numbers, contextlib, os, io)
    for _, each in sorted(vars(module).items())
    if isinstance(each, abc.ABCMeta) and each.__module__ in (module.__name__, "_collections_abc")
]


def take_subclasses(walk: Walk) -> bool:
    """Take along the subclasses of the user's classes, if the code asks for them; whether that was new."""
    if not any("__subclasses__" in found.attributes for found in walk.scans()):
        return False
    found = False
    for value, about in list(walk.classes.values()):
        kept: list[type] = type.__subclasses__(value)
        if kept and "subclasses" not in about and walk.go_on(value):
            about["subclasses"] = walk.refs(kept, "subclass")
            found = True
    return found


def _drop_protocols_own(entries: dict[str, Any]) -> None:
    """Leave out what `typing` puts into a protocol: the guest's puts its own."""
    for name in ("__subclasshook__", "__init__"):
        found = entries.get(name)
        plain = getattr(found, "__func__", found)
        if getattr(plain, "__module__", "") in ("typing", "typing_extensions"):
            del entries[name]
    for name in ("__protocol_attrs__", "__callable_proto_members_only__", "__non_callable_proto_members__"):
        entries.pop(name, None)


def _annotations(walk: Walk, value: type, about: dict[str, Any]) -> None:
    """The class's own annotations, as far as they can travel; on Python 3.14 the function that makes them."""
    entries = vars(value)
    annotate = entries.get("__annotate_func__", entries.get("__annotate__"))
    if annotate is not None:

        def put(written: Any) -> None:
            if written is not NONE:
                about["annotate"] = written

        _know_names(walk, value, annotate)
        walk.soft(annotate, "attribute", "__annotate__", put, lean=True)
        if isinstance(annotate, types.FunctionType):
            modules.soft_texts(walk, annotate.__globals__, modules.constants(annotate), lean=True)
    annotations = entries.get("__annotations__", entries.get("__annotations_cache__"))
    if isinstance(annotations, dict) and annotations:
        about["annotations"] = soft_pairs(walk, annotations)
        home = sys.modules.get(value.__module__)
        modules.soft_texts(walk, vars(home) if home else {}, texts_among(annotations.values()), lean=True)


def _know_names(walk: Walk, value: type, annotate: Any) -> None:
    """Note the cell in which a class's annotations find its own names: it holds the class's very dictionary."""
    code = getattr(annotate, "__code__", None)
    for name, cell in zip(code.co_freevars, annotate.__closure__ or (), strict=True) if code else ():
        if name == "__classdict__":
            walk.class_cells[id(cell)] = value
