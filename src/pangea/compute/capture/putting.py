"""What puts state into a package's objects, in a job: it travels with the job, as functions of the user's do."""

from __future__ import annotations

import importlib
from collections.abc import MutableMapping
from typing import Any


def put_state(place: tuple[str, ...], names: tuple[str, ...], values: tuple[Any, ...]) -> None:
    """Give an object of a package's what it has at home: tables stay the objects that others may share."""
    for state in found_at(place):
        for name, value in zip(names, values, strict=True):
            now = vars(state).get(name)
            if type(now) is not type(value) or type(value) not in (list, dict, set):
                setattr(state, name, value) if isinstance(state, type) else vars(state).update({name: value})
            elif type(value) is list:
                now[:] = value
            else:
                now.clear()
                now.update(value)


def put_entries(place: tuple[str, ...], keys: tuple[Any, ...], values: tuple[Any, ...]) -> None:
    """Put into a package's table what the program has put there of its own."""
    for table in found_at(place):
        if isinstance(table, MutableMapping):
            table.update(zip(keys, values, strict=True))
        elif isinstance(table, set):
            table.update(values)
        else:
            for index, value in zip(keys, values, strict=True):
                table.insert(index, value)


def found_at(place: tuple[str, ...]) -> list[Any]:
    """The module, and what it has under a name, and that under the next; nothing where the sandbox can't load the module."""
    try:
        found: Any = importlib.import_module(place[0])
        for name in place[1:]:
            found = getattr(found, name)
    except Exception:  # who needs the module in the job hears of it there
        return []
    return [found]
