"""Methods that can't travel, of classes that can: left out, with something in their place that says so when it is called.

A class has methods for this machine beside those for a job: they open files, draw, or run jobs themselves. The class travels
without them if the job's code names none of them; what finds one by another way gets an error, never another result. Methods that
syntax calls, such as `__eq__`, are named nowhere, and the error might be caught: a class that has one of these doesn't travel.
"""

from __future__ import annotations

import functools
import types
from typing import Any

from pangea.compute.capture.walk import Walk
from pangea.compute.model.errors import JobDefinitionError

_MAKERS = {"__init__", "__new__", "__post_init__"}
_PROPERTIES = (property, functools.cached_property)
_METHODS = (types.FunctionType, staticmethod, classmethod, functools.partialmethod, type(functools.lru_cache(len)))


def can_be(name: str, entry: Any) -> bool:
    """Whether an entry of a class's dictionary is one that may be left out."""
    is_syntaxs = name.startswith("__") and name.endswith("__") and name not in _MAKERS
    return not is_syntaxs and type(entry) in (*_PROPERTIES, *_METHODS)


def stand_in(entry: Any, name: str, why: JobDefinitionError) -> Any:
    """What a job has in place of `entry`."""
    method = _method(name, why.message)
    plain = entry if isinstance(entry, types.FunctionType) else getattr(entry, "__func__", None) or getattr(entry, "fget", None)
    if isinstance(plain, types.FunctionType):  # its names and marks may be looked at without calling it
        method.__name__, method.__qualname__, method.__doc__ = plain.__name__, plain.__qualname__, plain.__doc__
        vars(method).update({key: each for key, each in vars(plain).items() if key != "__wrapped__"})
    if type(entry) in _PROPERTIES:
        return property(method)
    return type(entry)(method) if type(entry) in (staticmethod, classmethod) else method


def _method(name: str, why: str) -> types.FunctionType:
    def left_out(*_arguments: Any, **_keywords: Any) -> Any:
        raise RuntimeError(f"{name} was left out of the job: {why}")

    assert isinstance(left_out, types.FunctionType)
    return left_out


def refusal(walk: Walk) -> JobDefinitionError | None:
    """Why something that was left out can't travel, if the job's code may call it; None if it calls nothing of that.

    It may if one of its functions, or of the methods that are called so, names it or, of what makes an instance, its class.
    """
    names = _called(walk)
    for (_, name), (kind, why) in walk.left_out.items():
        family = {each.__name__ for each, _ in walk.classes.values() if any(base is kind for base in each.__mro__)}
        if name in names or (name in _MAKERS and family & names):
            return why
    return None


def _called(walk: Walk) -> set[str]:
    """The names of attributes and globals in functions that were reached not only as a class's, and in methods called so."""
    methods: dict[str, list[types.FunctionType]] = {}
    pending = []
    for function in walk.functions():
        if walk.is_entry(function):
            methods.setdefault(function.__name__, []).append(function)
        else:
            pending.append(function)
    called: set[str] = set()
    while pending:
        found = walk.scan(pending.pop())
        new = (found.attributes | found.names) - called
        called |= new
        pending += [each for name in new for each in methods.get(name, ())]
    return called
