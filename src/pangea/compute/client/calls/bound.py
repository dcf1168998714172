"""Arguments that are functions, or hold some: they are code, and travel with the function that is called, not as values."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import chain
from operator import attrgetter, itemgetter, methodcaller
from types import BuiltinFunctionType, FunctionType, MethodDescriptorType, MethodType
from typing import Any

#: One call's arguments.
Call = tuple[tuple[Any, ...], dict[str, Any]]
#: Arguments by their position or keyword.
Bound = dict[int | str, Any]
_FUNCTIONS = (
    *(FunctionType, BuiltinFunctionType, MethodType, MethodDescriptorType),
    *(partial, itemgetter, attrgetter, methodcaller),
)
_CONTAINERS = {list, tuple, dict}


def bound_in(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Bound:
    """The arguments that travel with the function."""
    places: list[tuple[int | str, Any]] = [*enumerate(args), *kwargs.items()]
    return {where: each for where, each in places if _hold_function([each])}


def bound_in_all(calls: Sequence[Call]) -> Bound:
    """Those of many calls, if they are the same in each; else none."""
    found = [bound_in(*call) for call in calls]
    first = found[0] if found else {}
    is_same = all(each.keys() == first.keys() and all(each[where] is first[where] for where in first) for each in found)
    return first if is_same else {}


def without(args: tuple[Any, ...], kwargs: dict[str, Any], bound: Bound) -> Call:
    """The arguments with None in the place of those."""
    left = tuple(None if where in bound else each for where, each in enumerate(args))
    return left, {name: None if name in bound else each for name, each in kwargs.items()}


def _hold_function(values: list[Any]) -> bool:
    """Whether one of these is a function, or a plain list, tuple or dictionary with one somewhere inside.

    Level by level, so that of a million numbers only their types are looked at: to encode them costs enough.
    """
    level, seen = values, set[int]()
    while level:
        kinds = set(map(type, level))
        if any(issubclass(kind, _FUNCTIONS) for kind in kinds):
            return True
        inside = [each for each in level if type(each) in _CONTAINERS and id(each) not in seen] if kinds & _CONTAINERS else []
        seen.update(map(id, inside))
        level = [*chain.from_iterable(each.values() if type(each) is dict else each for each in inside)]
    return False
