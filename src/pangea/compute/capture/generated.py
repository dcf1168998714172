"""Describe what the standard library makes without text: dataclasses, named tuples, enumerations. By their specification.

What a class has now is compared with what this Python's own library makes from that specification: where they are equal, the
guest's library makes it, too; where they aren't, the entry is the user's, and travels as such.
"""

from __future__ import annotations

import collections
import dataclasses
import enum
import functools
import types
import typing
from typing import Any, NamedTuple

from pangea.compute.capture.atoms import NONE, is_a
from pangea.compute.capture.homes import lookup
from pangea.compute.capture.instances import reduced
from pangea.compute.capture.modules import type_name
from pangea.compute.capture.proof import same_code
from pangea.compute.capture.walk import Record, Walk

_PARAMETERS = ("init", "repr", "eq", "order", "unsafe_hash", "frozen", "match_args", "kw_only", "slots", "weakref_slot")
_FIELD = ("name", "default", "default_factory", "init", "repr", "hash", "compare", "metadata", "kw_only", "doc")
#: What `EnumType` keeps, besides the members: made again from them.
_OF_ENUM = {
    *(
        "_member_names_",
        "_member_map_",
        "_value2member_map_",
        "_hashable_values_",
        "_unhashable_values_",
        "_unhashable_values_map_",
    ),
    *("_boundary_", "_flag_mask_", "_singles_mask_", "_all_bits_", "_inverted_", "_value_repr_"),
}
_METHODS = ("__init__", "__repr__", "__eq__", "__lt__", "__le__", "__gt__", "__ge__", "__hash__", "__setattr__", "__delattr__")


def dataclass(walk: Walk, value: type, entries: dict[str, Any]) -> list[Any]:
    """The methods that `dataclass` made, to be made again; they are taken out of `entries`."""
    fields: dict[str, Any] = entries["__dataclass_fields__"]
    parameters = entries["__dataclass_params__"]
    has_hook = hasattr(value, "__post_init__")
    made = _model(value, fields, parameters, has_hook=has_hook)
    if "__init__" in entries and "__init__" in made and not _same(entries["__init__"], made["__init__"]):
        other = _model(value, fields, parameters, has_hook=not has_hook)  # the hook came later, or went
        if "__init__" in other and _same(entries["__init__"], other["__init__"]):
            has_hook, made = not has_hook, other
    names, twins = [], _Twins(value, fields, parameters, has_hook=has_hook)
    for name in _METHODS:
        if name in entries and name in made and _same(entries[name], made[name]):
            if (changed := twins.changed(walk, name, entries[name])) is not None:
                entries[name] = changed
                continue
            names.append(name)
            del entries[name]
    return [names, has_hook, True] if _sets_slots(value, fields) else [names, has_hook]


class Changed(NamedTuple):
    """A method that `dataclass` made and that was changed since: its twin in a class made alike, and what was done."""

    twin: type
    name: str
    attributes: dict[str, Any]
    slots: dict[str, Any]


def changed(walk: Walk, value: Changed) -> Record:
    """The twin, as `copy` would take it apart."""
    return reduced(walk, (getattr, (value.twin, value.name), (value.attributes, value.slots)))


def method(walk: Walk, value: types.FunctionType) -> Record | None:
    """A method that `dataclass` made and that is used by itself: of its class, or of one made alike; None if it is none."""
    path, _, name = value.__qualname__.rpartition(".")
    owner = lookup(str(value.__globals__.get("__name__")), path)
    if name not in _METHODS or not is_a(owner, type) or "__dataclass_params__" not in vars(owner):
        return None
    if vars(owner).get(name) is value:
        return ["attribute", walk.ref(owner, "attribute", "__objclass__"), name]
    fields, parameters = vars(owner)["__dataclass_fields__"], vars(owner)["__dataclass_params__"]
    for has_hook in (False, True):
        twins = _Twins(owner, fields, parameters, has_hook=has_hook)
        if name in _model(owner, fields, parameters, has_hook=has_hook) and _same(value, twins.method(name)):
            return changed(walk, twins.changed(walk, name, value) or Changed(twins.made(), name, {}, {}))
    return None


class _Twins:
    """A class with the same fields as a dataclass, to tell what was done to the methods since they were made."""

    def __init__(self, value: type, fields: dict[str, Any], parameters: Any, *, has_hook: bool) -> None:
        self._value, self._fields, self._parameters, self._has_hook = value, fields, parameters, has_hook
        self._class: type | None = None

    def changed(self, walk: Walk, name: str, method: Any) -> Changed | None:
        """What was done to a method, if anything."""
        attributes = {key: each for key, each in vars(method).items() if key != "__wrapped__"}
        is_plain = not attributes and method.__doc__ is None and method.__name__ == name
        if is_plain and (name != "__init__" or self._are_defaults_own(method)):
            return None
        if name in ("__setattr__", "__delattr__"):  # these hold their class in a cell
            hint = "put what you added on the class, or on a function of your own"
            walk.refuse(f"has a {name} that dataclass made and that was changed since", hint)
        twin = self.made()
        own = vars(twin)[name]
        slots = {key: getattr(method, key) for key in _FUNCTION_SLOTS if not _is_equal(getattr(method, key), getattr(own, key))}
        return Changed(twin, name, attributes, slots) if attributes or slots else None

    def _are_defaults_own(self, method: Any) -> bool:
        """Whether an `__init__` has the defaults that the fields say."""
        given = [each.default for each in self._fields.values() if each.init and each.default is not dataclasses.MISSING]
        found = [each for each in (method.__defaults__ or ()) if each is not _FACTORY]
        found += [each for each in (method.__kwdefaults__ or {}).values() if each is not _FACTORY]
        return len(found) == len(given) and set(map(id, found)) == set(map(id, given))

    def method(self, name: str) -> Any:
        """The method of a class made alike; None if it has none of its own."""
        return vars(self.made()).get(name)

    def made(self) -> type:
        """A class made alike."""
        if self._class is None:
            options = {name: getattr(self._parameters, name) for name in ("init", "repr", "eq", "order", "unsafe_hash", "frozen")}
            space = {"__post_init__": vars(self._value).get("__post_init__", len)} if self._has_hook else {}
            specification = [
                (each.name, each.type if _kind(each) != "_FIELD_INITVAR" else dataclasses.InitVar[int], _again(each))
                for each in self._fields.values()
                if _kind(each) != "_FIELD_CLASSVAR"
            ]
            options["slots"] = _sets_slots(self._value, self._fields)
            twin = dataclasses.make_dataclass(self._value.__name__, specification, namespace=space, **options)
            twin.__module__, twin.__qualname__ = self._value.__module__, self._value.__qualname__
            self._class = twin
        return self._class


_FACTORY = vars(dataclasses).get("_HAS_DEFAULT_FACTORY")
_FUNCTION_SLOTS = ("__doc__", "__name__", "__defaults__", "__kwdefaults__")


def _again(field: Any) -> Any:
    names = ("default", "default_factory", "init", "repr", "hash", "compare", "kw_only")
    options = {name: getattr(field, name) for name in names}
    return dataclasses.field(**{name: each for name, each in options.items() if each is not dataclasses.MISSING})


def _is_equal(one: Any, other: Any) -> bool:
    """Whether two attributes of functions hold the very same."""
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(_is_equal, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return [*one] == [*other] and all(map(_is_equal, one.values(), other.values()))
    return one is other or (isinstance(one, str) and one == other)


def _sets_slots(value: type, fields: dict[str, Any]) -> bool:
    """Whether a class's slots are of `dataclass`, whose `__init__` then sets those that have a default and aren't given."""
    defaults = (each for each in fields.values() if not each.init and each.default is not dataclasses.MISSING)
    return "__slots__" in vars(value) and any(_kind(each) == "_FIELD" for each in defaults)


def _model(value: type, fields: dict[str, Any], parameters: Any, *, has_hook: bool) -> dict[str, Any]:
    """What this Python's `dataclass` makes of the same fields, in a class of its own."""
    options = {name: getattr(parameters, name) for name in _PARAMETERS if hasattr(parameters, name)}
    options |= {"slots": _sets_slots(value, fields), "weakref_slot": False, "match_args": False, "kw_only": False}
    specification = tuple(_model_field(each) for each in fields.values() if _kind(each) != "_FIELD_CLASSVAR")
    return _made_model(specification, tuple(options.items()), has_hook=has_hook)


@functools.lru_cache(maxsize=256)
def _made_model(specification: tuple[Any, ...], options: tuple[Any, ...], *, has_hook: bool) -> dict[str, Any]:
    """The class of `_model`, whose methods all classes with such fields have. With a docstring, as making one is dear."""
    fields = []
    for name, is_given, (has_default, has_factory), *rest in specification:
        about: dict[str, Any] = dict(zip(_MODELLED, rest, strict=True))
        about |= {"default": None} if has_default else {}
        about |= {"default_factory": list} if has_factory else {}
        fields.append((name, dataclasses.InitVar[int] if is_given else int, dataclasses.field(**about)))
    namespace: dict[str, Any] = {"__doc__": "A model.", **({"__post_init__": len} if has_hook else {})}
    try:
        model = dataclasses.make_dataclass("Model", fields, namespace=namespace, **dict(options))
    except (TypeError, ValueError):
        return {}
    return dict(vars(model))


_MODELLED = ("init", "repr", "hash", "compare", "kw_only")


def _model_field(field: Any) -> tuple[Any, ...]:
    """What the code of methods depends on: the name, whether `__init__` alone has it, defaults, and the options."""
    missing = dataclasses.MISSING
    has = field.default is not missing, field.default_factory is not missing
    return field.name, _kind(field) == "_FIELD_INITVAR", has, *(getattr(field, name) for name in _MODELLED)


def _kind(field: Any) -> str:
    return str(getattr(field._field_type, "name", ""))  # none before a class has it


def _same(one: Any, other: Any) -> bool:
    """Whether two functions are of equal code, looking through what wraps them alike."""
    while hasattr(one, "__wrapped__") and hasattr(other, "__wrapped__"):
        one, other = one.__wrapped__, other.__wrapped__
    if not (isinstance(one, types.FunctionType) and isinstance(other, types.FunctionType)):
        return False
    return same_code(one.__code__, other.__code__)


def field(walk: Walk, value: dataclasses.Field[Any]) -> Record:
    """A field of a dataclass; its type travels if it can."""
    about = [walk.ref(getattr(value, name, None), "attribute", name) for name in _FIELD]
    record: Record = ["field", about, None, _kind(value)]

    def put(written: Any) -> None:
        record[2] = ["u", type_name(value.type)] if written is NONE else written

    walk.soft(value.type, "attribute", "type", put, lean=True)
    return record


def parameters(walk: Walk, value: Any) -> Record:
    """The options of a dataclass."""
    return ["parameters", [bool(getattr(value, name, default)) for name, default in zip(_PARAMETERS, _DEFAULTS, strict=True)]]


_DEFAULTS = (True, True, True, False, False, False, True, False, False, False)


def is_namedtuple(value: type) -> bool:
    """Whether `collections.namedtuple` made the class (a `typing.NamedTuple` is made by it, too)."""
    return (
        value.__bases__ in ((tuple,), (tuple, typing.Generic))
        and isinstance(vars(value).get("_fields"), tuple)
        and "__new__" in vars(value)
    )


def namedtuple(walk: Walk, value: type, entries: dict[str, Any]) -> list[Any]:
    """Fields and defaults of a named tuple; what `namedtuple` made of them is taken out of `entries`."""
    names, make = list(entries["_fields"]), typing.cast("typing.Any", collections.namedtuple)
    try:
        alike = make(value.__name__, names, rename=True, module="m")
    except (TypeError, ValueError):
        return []
    made = dict(vars(alike))  # a copy: the class's own is emptied when it is collected, whoever still looks at it
    new = getattr(entries["__new__"], "__func__", entries["__new__"])
    defaults = new.__defaults__ if _same(new, made["__new__"].__func__) else ()
    if getattr(getattr(entries.get("__class_getitem__"), "__func__", None), "__module__", "") == "typing":
        del entries["__class_getitem__"]  # of a generic one: the guest's typing puts its own
    kept = []
    for name, each in made.items():
        if name in entries and name not in ("__doc__", "__module__", "_field_defaults") and _is_made(entries[name], each):
            del entries[name]
        elif name not in entries:
            kept.append(name)
    return [names, walk.refs(defaults or (), "default"), sorted(kept)]


def _is_made(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    one, other = getattr(one, "__func__", one), getattr(other, "__func__", other)
    if isinstance(one, types.FunctionType):
        return _same(one, other) and not vars(one)
    if hasattr(one, "__reduce__") and type(one).__name__ == "_tuplegetter":
        return bool(one.__reduce__() == other.__reduce__())
    return bool(one == other)


def _value_text(walk: Walk, value: Any) -> list[Any] | None:
    """How members show their values: as a dataclass does inside an enumeration, or as a base class of the user's does."""
    function = vars(value).get("_value_repr_")
    if function is not None and function is vars(enum).get("_dataclass_repr"):
        return []
    owners = [each for each in value.__mro__ if vars(each).get("__repr__") is function and walk.homes.reference(each) is None]
    return [walk.ref(owners[0], "base")] if function is not None and owners else None


def enumeration(walk: Walk, value: Any, entries: dict[str, Any]) -> dict[str, Any]:
    """Members of an enumeration, as they are; what `EnumType` keeps of them is taken out of `entries`."""
    members: dict[str, Any] = value._member_map_
    for name in [*_OF_ENUM, *members]:
        entries.pop(name, None)
    by_value = vars(value).get("_value2member_map_", {})
    named = {id(member) for member in members.values()}
    aliases = [(key, member) for key, member in by_value.items() if id(member) in named and key != member._value_]
    about: dict[str, Any] = {
        "names": list(value._member_names_),
        "members": walk.pairs(members.items(), "attribute"),
        "values": walk.refs([member._value_ for member in members.values()], "value"),
    }
    if aliases:
        about["aliases"] = walk.pairs(aliases)
    if (text := _value_text(walk, value)) is not None:
        about["repr"] = text
    if issubclass(value, enum.Flag):
        about["flag"] = [value._flag_mask_, value._all_bits_]
        about["boundary"] = value._boundary_.name if value._boundary_ is not None else None
    return about
