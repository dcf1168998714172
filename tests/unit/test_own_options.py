"""Options of a job's own on the command line: those that are yes or no need no value."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from pangea.compute.cli.main import app
from pangea.compute.cli.own_options import values_of, with_values
from pangea.compute.cli.usage import UsageError
from pangea.compute.client.definition.hooks import options_of


def inputs(flag: bool = False, size: int = 3, no_wait: bool = False, name: str = "x") -> None:
    """Options as a job's file declares them."""


def values(line: str) -> Mapping[str, object]:
    """What the words behind a job mean, as `pangea run` reads them."""
    words = with_values(["run", "job.py", *line.split()], app)
    _, bound, _ = app.parse_args(words, exit_on_error=False, print_error=False)
    options = options_of(inputs)
    given = values_of({name: each for name, each in bound.kwargs.items() if isinstance(each, str)}, options, ["quiet", "fuel"])
    return {name: options[name].parse(text) for name, text in given.items()}


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("--flag", {"flag": True}),
        ("--no-flag", {"flag": False}),
        ("--flag --size 4", {"flag": True, "size": 4}),
        ("--size -4 --flag", {"flag": True, "size": -4}),
        ("--flag -q", {"flag": True}),
        ("--flag --quiet", {"flag": True}),
        ("--flag=false --size=5", {"flag": False, "size": 5}),
        ("--flag no", {"flag": False}),
        ("--no-wait", {"no_wait": True}),  # its own name
        ("--no-no-wait", {"no_wait": False}),
        ("--name=--flag", {"name": "--flag"}),
    ],
)
def test_flags_need_no_value(line: str, found: Mapping[str, object]) -> None:
    assert values(line) == found


@pytest.mark.parametrize(
    ("line", "message", "hint"),
    [
        ("--size", "--size needs a value", "--size=VALUE"),
        ("--size --flag", "--size needs a value", "--size=VALUE"),
        ("--no-size", "unknown option --no-size", "did you mean --size?"),
        ("--flga", "unknown option --flga", "did you mean --flag?"),
        ("--qiet", "unknown option --qiet", "did you mean --quiet?"),
        ("--no-flag=yes", "--no-flag takes no value", "--flag=no"),
        ("--flag --no-flag", "--flag is given twice", "once"),
    ],
)
def test_what_is_wrong_with_them_is_said(line: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        values(line)
    assert caught.value.message == message
    assert hint in (caught.value.hint or "")
