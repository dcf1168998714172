"""Parsers of command lines (`argparse`), which are objects of a library in Python: in each version with other attributes.

What the guest's version looks for besides is added, as it is there unless it is asked for. Two things go by name: the function
that leaves a text as it is, and the text that stands for "nothing at all", which is told by its identity.
"""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

_ADDED: dict[str, dict[str, Any]] = {
    "ArgumentParser": {"suggest_on_error": False, "color": False},
    "Action": {"deprecated": False},
    "_SubParsersAction": {"_deprecated": set()},
}
#: What a parser makes of the text of an argument without a type: the same text.
_TEXT_ITSELF = "ArgumentParser.__init__.<locals>.identity"


class LibraryName(NamedTuple):
    """A value that travels by its name."""

    module: str
    name: str


def is_of_parser(value: Any) -> bool:
    """Whether something is a parser, or what parsers are made of; classes derived from those count."""
    return any(each.__module__ == "argparse" for each in type(value).__mro__)


def reference(function: Any) -> list[Any] | None:
    """What stands for the function of `argparse` that leaves a text as it is; None for any other."""
    is_it = function.__module__ == "argparse" and function.__code__.co_qualname == _TEXT_ITSELF
    return ["name", "builtins", "str"] if is_it else None


def state(value: Any) -> dict[str, Any]:
    """The attributes of a part of a parser, as the guest's `argparse` wants them."""
    added = {key: each for kind in type(value).__mro__ if kind.__module__ == "argparse" for key, each in _added(kind).items()}
    return {**added, **{key: _named(each) for key, each in vars(value).items()}}


def _added(kind: type) -> dict[str, Any]:
    return {key: each.copy() if isinstance(each, set) else each for key, each in _ADDED.get(kind.__name__, {}).items()}


def _named(value: Any) -> Any:
    return LibraryName("argparse", "SUPPRESS") if value is vars(sys.modules["argparse"])["SUPPRESS"] else value
