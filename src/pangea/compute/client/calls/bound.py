"""Arguments that are functions, or hold some: they are code, and travel with the function that is called, not as values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
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


def bound_in(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Bound:
    """The arguments that travel with the function."""
    places: Iterator[tuple[int | str, Any]] = iter([*enumerate(args), *kwargs.items()])
    return {where: each for where, each in places if _holds_function(each)}


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


def _holds_function(value: Any) -> bool:
    """Whether it is a function, or a plain list, tuple or dictionary with one somewhere inside."""
    waiting, seen = [value], set[int]()
    while waiting:
        each = waiting.pop()
        if isinstance(each, _FUNCTIONS):
            return True
        if type(each) in (list, tuple, dict) and id(each) not in seen:
            seen.add(id(each))
            waiting += each.values() if type(each) is dict else each
    return False
