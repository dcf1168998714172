"""Each command shows an example in its `--help`, and each example parses."""

from __future__ import annotations

import io
import shlex

import pytest
from rich.console import Console

from pangea.compute.cli.examples import EXAMPLES, show_examples
from pangea.compute.cli.main import app
from tests.commands import commands

show_examples(app)


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_its_help_ends_with_an_example_that_parses(words: tuple[str, ...]) -> None:
    example = EXAMPLES[" ".join(words)]
    written = io.StringIO()
    app.help_print([*words], console=Console(file=written, width=200))
    assert written.getvalue().rstrip().endswith(f"Example: {example}")
    name, *rest = shlex.split(example)
    assert name == "pangea"
    assert rest[: len(words)] == [*words]
    command, _, _ = app.parse_args(rest, exit_on_error=False, print_error=False)
    assert callable(command)


def test_there_are_no_examples_of_commands_that_are_gone() -> None:
    assert set(EXAMPLES) == {" ".join(words) for words in commands()}
