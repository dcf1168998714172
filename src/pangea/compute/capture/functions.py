"""What can be a job's function, and how messages speak of one."""

from __future__ import annotations

import inspect
from types import FunctionType
from typing import Any

from pangea.compute.capture.sources import display_name
from pangea.compute.model.errors import JobDefinitionError

_TAKES = {"split": "a segment", "execute": "a chunk", "merge": "the list of results", "check": "a chunk and its result"}
#: A function's parameters, as a hint shows them.
_SHOWN = {"split": "segment", "execute": "chunk", "merge": "results", "check": "chunk, result"}


def check_function(role: str, function: Any) -> None:
    """Refuse what can't be called with one argument (check: with two), here and in the sandbox.

    Raises:
        JobDefinitionError: says why, and where the function is.
    """
    plain = inspect.unwrap(function) if callable(function) else function
    if not isinstance(plain, FunctionType):
        raise JobDefinitionError(
            f"{role} must be a Python function, not {described(function)}",
            hint=f"wrap it: def {role}(data): return ...",
            role=role,
        )
    where = f"{role} function {name_of(plain)} ({place_of(plain)})"
    if inspect.iscoroutinefunction(plain) or inspect.isasyncgenfunction(plain):
        raise JobDefinitionError(f"{where} is async", hint="a sandbox has nothing to wait for: use a plain function", role=role)
    if role != "split" and inspect.isgeneratorfunction(plain):
        raise JobDefinitionError(f"{where} is a generator", hint="return the result instead; only split may yield", role=role)
    try:
        inspect.signature(function).bind(*[b""] * (2 if role == "check" else 1))
    except TypeError as error:
        what, number = _TAKES[role], "two arguments" if role == "check" else "one argument"
        raise JobDefinitionError(
            f"{where} must take {number}, {what}; its signature is {inspect.signature(function)}",
            hint=f"def {name_of(plain)}({_SHOWN[role]}): ...",
            role=role,
        ) from error


def name_of(function: Any) -> str:
    """The function's name, or its type's."""
    return str(getattr(function, "__name__", type(function).__name__))


def place_of(function: Any) -> str:
    """File and line of the function."""
    code = getattr(inspect.unwrap(function) if callable(function) else function, "__code__", None)
    return f"{display_name(code.co_filename)}:{code.co_firstlineno}" if code else "no source"


def described(value: object) -> str:
    """Type and beginning of a value that isn't what it should be."""
    return f"a {type(value).__name__}: {value!r:.80}"
