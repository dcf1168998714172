"""Options of a job's own without a value: `--flag` and `--no-flag` of one that is yes or no.

Which of them are such is known when the job's file is read. Until then each has a value that no command line can hold.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from cyclopts import App

from pangea.compute.cli.usage import UsageError, flag_of, flags_of, unknown_option

if TYPE_CHECKING:
    from pangea.compute.client.definition.hooks import Option

_BARE = "\0"
_NO = "no_"
_OPTION = re.compile(r"-(?!\.?\d)")


def with_values(words: Sequence[str], app: App) -> list[str]:
    """The command line with a value for each option that its command doesn't know and that has none."""
    _, apps, _ = app.parse_commands(list(words))
    known, end = flags_of(apps[-1]), words.index("--") if "--" in words else len(words)
    return [
        f"{word}={_BARE}" if at < end and _is_bare(word, words[at + 1 : end]) and _name(word) not in known else word
        for at, word in enumerate(words)
    ]


def _is_bare(word: str, following: Sequence[str]) -> bool:
    is_last = not following or (len(following[0]) > 1 and _OPTION.match(following[0]) is not None)
    return word.startswith("--") and "=" not in word and is_last


def _name(word: str) -> str:
    return word.removeprefix("--").replace("-", "_")


def values_of(own: Mapping[str, str], options: Mapping[str, Option], known: Iterable[str]) -> dict[str, str]:
    """What is given for the options of a job's own, each by its name.

    Args:
        own: as the command line has them.
        options: those that the job's file declares.
        known: the command's.

    Raises:
        UsageError: one is unknown, is given twice, or lacks a value that it needs.
    """
    given: dict[str, str] = {}
    for written, text in own.items():
        name, value = _name(written), text
        if name not in options and name.startswith(_NO) and _is_flag(options.get(name[len(_NO) :])):
            if value != _BARE:
                raise UsageError(f"{flag_of(name)} takes no value", hint=f"it is the same as {flag_of(name[len(_NO) :])}=no")
            name, value = name[len(_NO) :], "no"
        if name not in options:
            raise unknown_option(flag_of(name), [*options, *known])
        if name in given:
            raise UsageError(f"{flag_of(name)} is given twice", hint="give it once")
        if value == _BARE and not _is_flag(options[name]):
            raise UsageError(f"{flag_of(name)} needs a value", hint=f"{flag_of(name)}=VALUE, if it begins with a dash")
        given[name] = "yes" if value == _BARE else value
    return given


def _is_flag(option: Option | None) -> bool:
    return option is not None and option.kind is bool
