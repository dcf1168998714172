"""The built-in type of an exception that a guest raised, found in its traceback, and an error class that is of that type, too."""

from __future__ import annotations

import builtins
import re
from functools import cache
from typing import Any

_LAST = re.compile(r"([A-Za-z]\w*)(?::|$)")
#: Raised by a caller's own machinery, these would mean something else; a group can't be without its members.
_KEPT_OUT = (StopIteration, StopAsyncIteration, BaseExceptionGroup)


def builtin_of(traceback: str) -> type[Exception] | None:
    """The built-in exception that a traceback's last paragraph names; None of a type of the job's own, or without one.

    A class of the job's own that is called like a built-in one is taken for that.
    """
    text = traceback.partition("\nprinted before the error:")[0]
    after = text[text.rfind('\n  File "') + 1 :].splitlines()
    found = next((match for line in after if (match := _LAST.match(line))), None)
    kind = getattr(builtins, found[1], None) if found else None
    is_known = isinstance(kind, type) and issubclass(kind, Exception) and not issubclass(kind, _KEPT_OUT)
    return kind if is_known else None


def new_of_both(kind: Any, builtin: Any, *arguments: Any) -> Any:
    """An error, not yet initialised, of a class that is both `kind` and `builtin`."""
    both: Any = _mixed(kind, builtin)
    solid = both
    while solid.__module__ != builtins.__name__:  # only whose layout it has may make it
        solid = solid.__base__
    return solid.__new__(both, *arguments)


@cache
def _mixed(kind: Any, builtin: Any) -> Any:
    """Shows itself as `kind` does."""
    if issubclass(kind, builtin):
        return kind
    shown = {"__module__": kind.__module__, "__qualname__": kind.__qualname__, "__str__": BaseException.__str__}
    return type(kind.__name__, (kind, builtin), {**shown, "mixed_from": kind})


def remade(kind: type[Any], message: str, traceback: str, state: dict[str, Any]) -> Any:
    """Such an error again, as it was pickled."""
    error = kind(message, traceback=traceback)
    error.__dict__.clear()
    error.__dict__.update(state)
    return error
