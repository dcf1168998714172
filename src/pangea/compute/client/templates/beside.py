"""Let a function of the user travel inside a ready job.

A job's functions travel as one module (`client/extraction.py`): the user's, if one of them is the user's. So the few lines that a
ready job puts around a function are made a function of that function's module. They may use nothing but their closure, which
travels, what they import themselves, and builtins; their names are long, as they stand beside the user's own.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import FunctionType
from typing import Any

from pangea.compute.model.errors import JobDefinitionError


def beside(lines: Callable[..., Any], *functions: Callable[..., Any]) -> Any:
    """`lines` as a function of the module that the user's functions are from.

    Args:
        lines: a nested function that uses `functions` through its closure.
        functions: the user's. Of several modules it is the one that is run as a program, else the first.

    Returns:
        The function; `lines` itself if all of `functions` come with Python.
    """
    homes = [plain.__globals__ for plain in map(_plain, functions) if plain is not None]
    if not homes:
        return lines
    home = next((each for each in homes if each.get("__name__") == "__main__"), homes[0])
    assert isinstance(lines, FunctionType)
    return FunctionType(lines.__code__, home, lines.__name__, lines.__defaults__, lines.__closure__)


def check_callable(name: str, function: Any, takes: str) -> None:
    """Refuse what can't be called.

    Raises:
        JobDefinitionError: says what came instead.
    """
    if not callable(function):
        raise JobDefinitionError(
            f"{name} is a {type(function).__name__}, not a function: {function!r:.80}",
            hint=f"give a function of {takes}",
            role=name,
        )


def _plain(function: Any) -> FunctionType | None:
    """The Python function behind decorators and partials; None for one of C, or a class."""
    while True:
        if isinstance(function, functools.partial):
            function = function.func
        elif hasattr(function, "__wrapped__"):
            function = function.__wrapped__
        else:
            return function if isinstance(function, FunctionType) else None
