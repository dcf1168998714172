"""`--json`: one record a line, of one shape for every command. This alone writes it; `shapes` says what each command's data is.

    {"schema": 1, "command": "job list", "jobs": […], …}
    {"schema": 1, "command": "job list", "error": {"code": …, "message": …, "where": …, "hint": …, …}}

Data goes to stdout, or to stderr where stdout is the result's; errors go to stderr, and the exit code is what it is without.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Annotated, Any

from cyclopts import Parameter

from pangea.compute.cli.console import say, traceback_of
from pangea.compute.model.errors import JobFailedError, PangeaError
from pangea.compute.model.plain_text import plain

#: Of the records' shape: another one when a program that reads them would have to be changed.
SCHEMA = 1
AsJson = Annotated[
    bool,
    Parameter(
        name="--json",
        negative="",
        help="Print a record for programs (docs/cli.md), and errors as records too; PANGEA_OUTPUT=json asks for the former.",
    ),
]
_command: ContextVar[str] = ContextVar("command", default="")


def answering(command: str) -> None:
    """From now on records are those of `command`, such as "job status"."""
    _command.set(command)


def wants_json(*, as_json: bool) -> bool:
    """Whether an answer is for programs: as the flag says, else PANGEA_OUTPUT."""
    return as_json or os.environ.get("PANGEA_OUTPUT") == "json"


def print_out(text: str) -> None:
    """Print a line on stdout, its control characters shown as escapes."""
    sys.stdout.write(plain(text) + "\n")
    sys.stdout.flush()


def print_data(data: Mapping[str, Any]) -> None:
    """Print the record of what the command has found."""
    print_out(_line(data))


def say_data(data: Mapping[str, Any]) -> None:
    """Likewise on stderr, since stdout is the result's."""
    say(_line(data))


def say_error(error: PangeaError) -> None:
    """Print the record of an error, on stderr."""
    record = {
        "code": error.code,
        "message": error.message,
        "where": where(error),
        "hint": error.hint,
        "details": error.details,
        "traceback": traceback_of(error),
    }
    say(_line({"error": record}))


def say_interrupted(notes: list[str]) -> None:
    """Print the record of an interrupt, with what whoever was interrupted adds."""
    record = {"code": "INTERRUPTED", "message": "; ".join(["interrupted", *notes]), "where": "", "hint": ""}
    say(_line({"error": {**record, "details": {}, "traceback": ""}}))


def where(error: PangeaError) -> str:
    """The place that an error is about, as far as there is one: a file and its line, a call and its chunk, or a field."""
    details = error.details
    if isinstance(error, JobFailedError) and error.function:
        return error.function if error.chunk_index is None else f"{error.function}, chunk {error.chunk_index}"
    if file := details.get("file") or details.get("path"):
        return f"{file}:{details['line']}" if details.get("line") else str(file)
    return str(details.get("field", ""))


def _line(told: Mapping[str, Any]) -> str:
    return json.dumps({"schema": SCHEMA, "command": _command.get(), **told})
