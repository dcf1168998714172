"""Makes docs/cli.md (`make docs`): what `--json` prints, command by command, from `cli/shapes.py`. A test compares."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pangea.compute.cli.shapes import ERROR, SHAPES, Shape

PAGE = Path(__file__).with_name("cli.md")
HEAD = """# The command line for programs

Made by `make docs` from `cli/shapes.py`; a test runs every command and compares.

Every command takes `--json`. It prints one record a line:

    {"schema": 1, "command": "job submit", "job_id": "…"}
    {"schema": 1, "command": "job submit", "error": {"code": "BAD_INPUT", "message": "…", "where": "", "hint": "…", …}}

A record of data goes to stdout; of the commands whose stdout is the result's, to stderr, as the table says. An error goes to
stderr. A command may do both: `verify`, `doctor` and `job validate` tell what they have found, and then that it is wrong. Without
an error's record the exit code is 0; with one it is what it is without `--json`:

| exit code | |
|---|---|
| 0 | ok |
| 1 | the job failed, was cancelled or hasn't ended; or the answer can't be written |
| 2 | usage, bad input |
| 3 | no node, or this machine can't |
| 4 | it doesn't verify |
| 5 | a limit or quota |
| 130, 143, 129 | interrupted by Ctrl-C, SIGTERM, SIGHUP (`code` is INTERRUPTED) |

PANGEA_OUTPUT=json asks for the same records of data everywhere, and leaves errors as people read them. Progress isn't shown where
there are records; a line of stderr that isn't a JSON object is for people (a warning, a node's log).

A record has either what its command tells, by the keys below, or `error` alone. (`job status` and `job watch` tell of a failed
job's `error`, null of others, among its other keys: that is the job's, on stdout, and the command has done what it was asked.)

`schema` changes when a program that reads records would have to. New keys don't change it, so ignore those that you don't know.

## Errors

"""
ERRORS = """

`code` is the name of the kind (`UNKNOWN_JOB`, `BAD_INPUT`, `JOB_FAILED`, …; `USAGE` for the command line itself); `where` a file
with its line, a call with its chunk, or a field, as far as there is one; `details` the figures; `traceback` the guest's own.
Texts may be "".

## Data

"""


def page() -> str:
    """The page."""
    rows = [_row(command, shape) for command in sorted(SHAPES) for shape in SHAPES[command]]
    table = "\n".join(["| command | on | keys | |", "|---|---|---|---|", *rows])
    return HEAD + _keys(ERROR.keys) + ERRORS + table + "\n"


def _row(command: str, shape: Shape) -> str:
    keys = _keys(shape.keys) + (f"; if known {_keys(shape.may)}" if shape.may else "")
    return f"| `{command}` | {'stderr' if shape.is_on_stderr else 'stdout'} | {keys} | {shape.about} |"


def _keys(keys: Mapping[str, str]) -> str:
    return ", ".join(f"`{name}` {kind}" for name, kind in keys.items())


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
