"""The built-in type of an exception that a guest raised, found in its traceback, and an error class that is of that type, too."""

from __future__ import annotations

import builtins
import re
import sys
from functools import cache
from typing import Any

#: How the line of a traceback that names the exception begins. Frames, and what else is shown of it, are indented.
_LAST = re.compile(r"(?!\s|Traceback \()")
_NAME = re.compile(r"([A-Za-z_][\w.]{,199})(?::|$)")
#: Raised by a caller's own machinery, these would mean something else; a group can't be without its members.
_KEPT_OUT = (StopIteration, StopAsyncIteration, BaseExceptionGroup)


def builtin_of(traceback: str) -> type[Exception] | None:
    """The built-in exception that a traceback's last paragraph names, or the nearest one that the class named there derives from.

    None without one, and of a class that this process hasn't loaded: a guest's word never imports anything. A class of the job's
    own that is called like a built-in one is taken for that.
    """
    text = traceback.partition("\nprinted before the error:")[0]
    after = text[text.rfind('\n  File "') + 1 :].splitlines()
    last = next((line for line in after if line and _LAST.match(line)), "")
    found = _NAME.match(last)
    named = _loaded_class(found[1]) if found else None
    if named is None or not issubclass(named, Exception) or issubclass(named, _KEPT_OUT):
        return None
    nearest: type[Exception] = next(kind for kind in named.__mro__ if vars(builtins).get(kind.__name__) is kind)
    return nearest


def _loaded_class(name: str) -> type | None:
    """The class that a traceback calls `name`, if it is loaded; builtins and __main__ go without saying."""
    parts = name.split(".")
    places = [(module, parts[at:]) for at in range(len(parts) - 1, 0, -1) if (module := ".".join(parts[:at])) in sys.modules]
    for module, path in [*places, ("builtins", parts), ("__main__", parts)]:
        found: Any = sys.modules.get(module)
        for part in path:  # not getattr: a module's own may import, a class's own may do anything
            found = found.__dict__.get(part) if isinstance(found, type | type(sys)) else None
        if isinstance(found, type):
            return found
    return None


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
