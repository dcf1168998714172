"""Objects of the library's own classes that have other attributes in each version of Python: parsers, filters of logs.

What the guest's version looks for besides is added, as it is there unless it is asked for. In parsers of command lines two
things go by name: the function that leaves a text as it is, and the text that stands for "nothing at all", which is told by its
identity.
"""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

_ADDED: dict[tuple[str, str], dict[str, Any]] = {
    ("argparse", "ArgumentParser"): {"suggest_on_error": False, "color": False},
    ("argparse", "Action"): {"deprecated": False},
    ("argparse", "_SubParsersAction"): {"_deprecated": set()},
    ("configparser", "RawConfigParser"): {"_allow_unnamed_section": False},
    ("html.parser", "HTMLParser"): {
        "scripting": False,
        "_support_cdata": True,
        "_escapable": True,
        "_pending": [],
        "_pending_len": 0,
        "_parse_threshold": 1,
    },
    ("logging", "LoggerAdapter"): {"merge_extra": False},
    ("logging", "LogRecord"): {"taskName": None},
    ("reprlib", "Repr"): {"indent": None},
}
#: What a parser makes of the text of an argument without a type: the same text.
_TEXT_ITSELF = "ArgumentParser.__init__.<locals>.identity"


class LibraryName(NamedTuple):
    """A value that travels by its name."""

    module: str
    name: str


class LibraryCall(NamedTuple):
    """A value that the guest's library makes by a call."""

    function: LibraryName
    arguments: tuple[Any, ...]


def is_versioned(value: Any) -> bool:
    """Whether something is of a class whose attributes depend on the version; classes derived from those count."""
    return any((each.__module__, each.__name__) in _ADDED for each in type(value).__mro__)


def reference(function: Any) -> list[Any] | None:
    """What stands for the function of `argparse` that leaves a text as it is; None for any other."""
    is_it = function.__module__ == "argparse" and function.__code__.co_qualname == _TEXT_ITSELF
    return ["name", "builtins", "str"] if is_it else None


def state(value: Any) -> dict[str, Any]:
    """The attributes of such an object, as the guest's version wants them."""
    own: dict[str, Any] = vars(value)
    added: dict[str, Any] = {}
    for kind in type(value).__mro__:
        added |= {key: each.copy() if isinstance(each, set | list) else each for key, each in _added(kind).items()}
    if "_allow_unnamed_section" in added and "_comments" not in own:  # before Python 3.13
        prefixes = tuple(own[name] for name in ("_comment_prefixes", "_inline_comment_prefixes"))
        added["_comments"] = LibraryCall(LibraryName("configparser", "_CommentSpec"), prefixes)
    return {**added, **{key: _named(each) for key, each in own.items()}}


def _added(kind: type) -> dict[str, Any]:
    return _ADDED.get((kind.__module__, kind.__name__), {})


def _named(value: Any) -> Any:
    parsers = sys.modules.get("argparse")
    return LibraryName("argparse", "SUPPRESS") if parsers and value is vars(parsers)["SUPPRESS"] else value
