"""Mistakes on the command line, in words, with what may have been meant."""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from typing import Any

from cyclopts import (
    App,
    Argument,
    ConsumeMultipleError,
    CycloptsError,
    MissingArgumentError,
    Parameter,
    UnknownCommandError,
    UnknownOptionError,
    UnusedCliTokensError,
)

from pangea.compute.model.errors import EXIT_USAGE, PangeaError
from pangea.compute.model.limits import nearest

_OWN_NOTE = " (or one of the job's own, without its value)"
#: What people type to be told something, and how it is written here.
_ASKED = {"help": "--help", "version": "--version", "-v": "--version", "-V": "--version"}
_BEFORE_NOTE = " (one of the job's own stands behind the job)"


class UsageError(PangeaError):
    """The command line doesn't parse."""

    code = "USAGE"
    exit_code = EXIT_USAGE


def usage_error(error: CycloptsError, app: App, words: Sequence[str]) -> UsageError:
    """What is wrong with the command line `words`, with the nearest that there is."""
    chain = list(error.command_chain or ())
    command = reduce(lambda above, name: above[name], chain, app)
    name = " ".join(["pangea", *chain])
    help_hint = f"{name} --help shows what there is"
    match error:
        case UnknownCommandError(unused_tokens=[word, *_]):
            return _unknown_command(word, command, name)
        case UnknownOptionError():
            return unknown_option(error.token.keyword or "", flags_of(command), command=name)
        case MissingArgumentError(argument=Argument() as argument):
            return _missing(error, argument, command, name, words)
        case ConsumeMultipleError(argument=Argument() as argument):
            return UsageError(f"{argument.name} needs a value", hint=help_hint)
        case UnusedCliTokensError(unused_tokens=[word, *_]):
            hint = f"an input is named by an option: --input {word}" if "input" in flags_of(command) else help_hint
            if hint is not help_hint and word.isidentifier():
                hint += f"; a job of several stands behind its file: FILE:{word}"
            return UsageError(f"{name}: {word!r} is one word too many", hint=hint)
    text = " ".join(str(error).split())
    return UsageError(text[:1].lower() + text[1:], hint=help_hint)


def _unknown_command(word: str, above: App, name: str) -> UsageError:
    if word in _ASKED:
        return UsageError(f"there is no {word} of {name}", hint=f"pangea {_ASKED[word]}")
    if word.startswith("-"):
        return UsageError(f"unknown option {word} of {name}", hint=f"options stand behind a command: {name} COMMAND {word}")
    names = [each for each in above if not each.startswith("-")]
    near = nearest(word, names)
    hint = f"did you mean {name} {near}?" if near else f"there are {', '.join(sorted(names))}"
    return UsageError(f"there is no command {name} {word}", hint=hint)


def _missing(error: MissingArgumentError, argument: Argument, command: App, name: str, words: Sequence[str]) -> UsageError:
    """An option without its value, or an argument that isn't there, perhaps since a mistyped switch has taken it."""
    known = flags_of(command)
    if argument.field_info.kind is inspect.Parameter.VAR_KEYWORD:
        return unknown_option(error.keyword or "", known, _OWN_NOTE, command=name)
    if argument.field_info.kind is inspect.Parameter.KEYWORD_ONLY:
        return UsageError(f"{error.keyword or argument.name} needs a value", hint=f"{name} --help shows what there is")
    flags = [word.partition("=")[0] for word in words if word.startswith("--") and len(word) > 2]
    for flag in flags:
        if flag[2:].replace("-", "_") not in known:
            return unknown_option(flag, known, _BEFORE_NOTE, command=name)
    what = argument.name.lstrip("-").replace("-", "_").upper()
    about = f": {argument.parameter.help}" if argument.parameter.help else ""
    inputs = "; all words behind --input are input files" if "input" in known and {"--input", "-i"} & {*words} else ""
    return UsageError(
        f"{name} needs {what}{about}", hint=f"{name} {what}{' --input FILE' if inputs else ''}{inputs}; {name} --help shows more"
    )


def flags_of(command: App) -> list[str]:
    """The names of a command's options, as their variables are written."""
    if command.default_command is None:
        return []
    names = [
        name
        for argument in command.assemble_argument_collection()
        if argument.field_info.kind is inspect.Parameter.KEYWORD_ONLY
        for name in argument.names
    ]
    return [name[2:].replace("-", "_") for name in names if name.startswith("--")]


def unknown_option(flag: str, known: Iterable[str], note: str = "", *, command: str = "pangea run") -> UsageError:
    """The error for an option that nobody knows; `known` are the names there are, with underscores."""
    names = list(known)
    near = nearest(flag.lstrip("-").replace("-", "_"), names)
    if flag == "--output" and "json" in names:
        near = "json"  # what other commands call so, --output, is always a file
    hint = f"did you mean {flag_of(near)}?" if near else f"{command} --help lists the options"
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
