"""Each command shows an example in its `--help`, and each example parses."""

from __future__ import annotations

import io
import re
import shlex
from pathlib import Path

import pytest
from cyclopts import CycloptsError
from rich.console import Console

from pangea.compute.cli.dashes import hide
from pangea.compute.cli.examples import EXAMPLES, show_examples
from pangea.compute.cli.main import app
from tests.commands import commands
from tests.examples import long, spread

show_examples(app)


@pytest.mark.parametrize("words", spread(12, map(pytest.param, commands())), ids=" ".join)
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


ROOT = Path(__file__).parents[2]
#: What stands for something else, in lines that show a command's shape.
_SHAPES = re.compile(r"…|\.\.\.|\[|<")


def lines_of_the_documentation() -> list[tuple[str, str]]:
    """Each command of an indented block, with the file that it is in."""
    found = []
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        text = page.read_text(encoding="utf-8").replace("\\\n", " ")
        for line in re.findall(r"^    (?:\S.*?; |\S.*\| )?(pangea .*)$", text, re.MULTILINE):
            command = re.split(r" +#| *[;|&]| 2?> ", line)[0].strip()
            if not _SHAPES.search(command):
                found.append((str(page.relative_to(ROOT)), command))
    return found


@pytest.mark.parametrize("step", [4, *long(1)])
def test_each_command_in_the_documentation_parses(step: int) -> None:
    wrong = []
    lines = {line: page for page, line in lines_of_the_documentation()}
    for line, page in [*lines.items()][::step]:
        try:
            app.parse_args(hide(shlex.split(line)[1:]), exit_on_error=False, print_error=False)
        except (CycloptsError, ValueError) as error:
            wrong.append(f"{page}: {line}: {error}")
    assert not wrong, "\n".join(wrong)
    assert len(lines) > 80
