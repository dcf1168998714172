"""Mistakes on the command line, in words, with what may have been meant."""

from __future__ import annotations

import dataclasses
import inspect
import re
import typing
from collections.abc import Callable, Iterable
from typing import Any

from cyclopts import CycloptsError, MissingArgumentError, Parameter

from pangea.compute.model.errors import EXIT_USAGE, PangeaError
from pangea.compute.model.limits import nearest

_FLAG = re.compile(r"parameter (--?[\w-]+) requires an argument")


class UsageError(PangeaError):
    """The command line doesn't parse."""

    code = "USAGE"
    exit_code = EXIT_USAGE


def usage_error(error: CycloptsError, known: Iterable[str]) -> UsageError:
    """What the parser says; `known` are the options that commands with options of the job's own have themselves."""
    text = " ".join(str(error).split())
    found = _FLAG.search(text) if isinstance(error, MissingArgumentError) else None
    if found is not None and found[1].lstrip("-").replace("-", "_") not in set(known):
        return unknown_option(found[1], known, " (or one of the job's own, without its value)")
    return UsageError(text[:1].lower() + text[1:], hint="pangea --help lists the commands, pangea run --help the options")


def unknown_option(flag: str, known: Iterable[str], note: str = "") -> UsageError:
    """The error for an option that nobody knows; `known` are the names there are, with underscores."""
    near = nearest(flag.lstrip("-").replace("-", "_"), list(known))
    hint = f"did you mean {flag_of(near)}?" if near else "pangea run --help lists the options"
    return UsageError(f"unknown option {flag}{note}", hint=hint)


def flag_of(name: str) -> str:
    """An option as it is written."""
    return f"--{name.replace('_', '-')}"


def options_of(command: Callable[..., Any]) -> frozenset[str]:
    """The names of a command's options, those in its dataclasses included."""
    hints = typing.get_type_hints(command, include_extras=True)
    names: set[str] = set()
    for name, parameter in inspect.signature(command).parameters.items():
        groups = [kind for kind in (hints[name], *typing.get_args(hints[name])) if _is_group(kind)]
        if groups:
            names.update(field.name for field in dataclasses.fields(groups[0]))
        elif parameter.kind is not parameter.VAR_KEYWORD:
            names.update(_names_of(name, hints[name]))
    return frozenset(names)


def _is_group(kind: object) -> bool:
    """Whether a parameter's type is a dataclass of options."""
    return isinstance(kind, type) and dataclasses.is_dataclass(kind) and not issubclass(kind, Parameter)


def _names_of(name: str, hint: object) -> list[str]:
    given = [each.name or () for each in typing.get_args(hint) if isinstance(each, Parameter)]
    flags = [flag for names in given for flag in ([names] if isinstance(names, str) else names) if flag.startswith("--")]
    return [flag[2:].replace("-", "_") for flag in flags] or [name]
