"""Options of ready jobs, checked where they are given: what is wrong is said before anything runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import index
from typing import Any

from pangea.compute.model.errors import JobDefinitionError, ManifestError
from pangea.compute.model.limits import nearest, shown


def whole(name: str, value: Any, low: int, high: int) -> int:
    """`value`, if it is an integer between `low` and `high`.

    Raises:
        ManifestError: it isn't.
    """
    try:
        found = low - 1 if isinstance(value, bool) else index(value)
    except TypeError:  # an array has __index__, too, and may not mean it
        found = low - 1
    if not low <= found <= high:
        raise ManifestError(f"{name} is {shown(value)}; it must be an integer between {low:,} and {high:,}", field=name)
    return found


def number(name: str, value: Any, low: float, high: float) -> float:
    """`value` as a float, if it is a number between `low` and `high`.

    Raises:
        ManifestError: it isn't.
    """
    is_number = not isinstance(value, bool | str | bytes) and hasattr(value, "__float__")
    if not is_number or not low <= float(value) <= high:
        raise ManifestError(f"{name} is {shown(value)}; it must be a number between {low:g} and {high:g}", field=name)
    return float(value)


def flag(name: str, value: Any) -> bool:
    """`value`, if it is True or False, of Python or of NumPy.

    Raises:
        ManifestError: it isn't.
    """
    is_numpy = getattr(getattr(value, "dtype", None), "kind", "") == "b" and getattr(value, "shape", None) == ()
    if not (isinstance(value, bool) or is_numpy):
        raise ManifestError(f"{name} is {shown(value)}; it must be True or False", field=name)
    return bool(value)


def choice(name: str, value: Any, known: Sequence[str]) -> Any:
    """`value`, if it is one of `known`.

    Raises:
        ManifestError: it isn't; names the nearest.
    """
    if value not in known:
        near = nearest(str(value), list(known))
        hint = f"did you mean {near!r}?" if near else ""
        raise ManifestError(f"{name} is {shown(value)}; it must be one of {', '.join(known)}", hint=hint, field=name)
    return value


def columns(name: str, value: Any, *, least: int = 1) -> list[str]:
    """Names of columns: one, or several, each once.

    Raises:
        ManifestError: something else came, or too few.
    """
    names = [value] if isinstance(value, str) else list(value) if isinstance(value, Iterable) else [value]
    if len(names) < least or not all(isinstance(each, str) for each in names) or len({*names}) < len(names):
        raise ManifestError(
            f"{name} is {shown(value)}; it must be a column's name, or a list of different ones",
            field=name,
        )
    return names


def all_columns(data: Any) -> list[str] | None:
    """The names of a frame's or table's columns; None of what isn't one that lies in memory."""
    found = next((names for name in ("column_names", "columns") if (names := getattr(data, name, None)) is not None), None)
    return [str(name) for name in found] if isinstance(found, Iterable) else None


def again(data: Any) -> None:
    """Refuse an input that can be read only once, for work of several rounds.

    Raises:
        ManifestError: it is an open file or an iterator.
    """
    for each in data if isinstance(data, list | tuple) else [data]:
        if hasattr(each, "read") or hasattr(each, "read_next_batch") or hasattr(each, "__next__"):
            raise ManifestError(
                f"the input is a {type(each).__name__}, which can be read once, and there are several rounds",
                hint="give its path, or read it first",
                field="data",
            )


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
