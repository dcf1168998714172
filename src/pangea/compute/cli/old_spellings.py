"""Options that had another name a version ago: they still do what they did, and say on stderr how they are written now.

`--output json|table` chose the form of an answer; it is `--json` now, since `--output` names a file wherever there is one.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from cyclopts import App

from pangea.compute.cli.console import say
from pangea.compute.cli.usage import flags_of

_FORMS = ("json", "table")


def renewed(words: Sequence[str], app: App) -> list[str]:
    """The command line with each `--output json` or `--output table` as it is written now, where `--output` isn't a file.

    Asking for a table overrides PANGEA_OUTPUT, as it did: the process's own is set.
    """
    given = list(words)
    end = given.index("--") if "--" in given else len(given)
    at = _first_form(given[:end])
    if at is None or not _prints_forms(given, app):
        return given
    wide, form = (1, given[at].partition("=")[2]) if "=" in given[at] else (2, given[at + 1])
    if form == "json":
        say("warning: --output json is now --json; the old spelling goes with the next version")
        return [*given[:at], "--json", *given[at + wide :]]
    say("warning: --output table is what is printed without --json; the old spelling goes with the next version")
    os.environ["PANGEA_OUTPUT"] = form
    return [*given[:at], *given[at + wide :]]


def _first_form(words: Sequence[str]) -> int | None:
    """Where the old spelling begins, in one word or two."""
    for at, word in enumerate(words):
        flag, is_one, form = word.partition("=")
        following = form if is_one else next(iter(words[at + 1 : at + 2]), "")
        if flag == "--output" and following in _FORMS:
            return at
    return None


def _prints_forms(words: Sequence[str], app: App) -> bool:
    """Whether the command that the words name prints JSON if asked, and writes no file of the user's choice."""
    chain, apps, _ = app.parse_commands(list(words))
    flags = flags_of(apps[-1]) if chain else []
    return "json" in flags and "output" not in flags
