"""Refuse by name what a table or a column hasn't got, and say what has it: nothing is guessed."""

from __future__ import annotations

from collections.abc import Mapping


def refused(what: str, name: str, remedies: Mapping[str, str]) -> AttributeError:
    """The error for an attribute that isn't there.

    Args:
        what: whose: Table or Column.
        name: of the attribute.
        remedies: what to write instead, by name; under "" for whatever else.
    """
    remedy = remedies.get(name) or remedies.get("", "what NumPy's array has: numpy.asarray(column)")
    return AttributeError(f"{what} has no {name!r}" + ("" if name.startswith("_") else f": take {remedy}"), name=name)
