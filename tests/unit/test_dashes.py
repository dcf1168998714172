"""`-` is standard input or output where it stands for a file, and a text everywhere else."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from pangea.compute.cli import main
from pangea.compute.cli.dashes import hide, readable, show, writable
from pangea.compute.cli.main import app
from pangea.compute.cli.usage import UsageError
from pangea.compute.engine import descriptors
from pangea.compute.model.errors import OutputError


@dataclass(frozen=True)
class Group:
    one: str
    several: list[Path]


def test_what_is_hidden_from_the_parser_is_shown_again() -> None:
    words = ["run", "-", "--sep", "-", "--sep=-", "-x", "--", "a-b", "--=-"]
    hidden = hide(words)
    assert [word for word in hidden if word == "-" or word.endswith("=-")] == []
    assert show(hidden) == words
    group = show(Group(hide(["-"])[0], [Path(hide(["-"])[0]), Path("a")]))
    assert group == Group("-", [Path("-"), Path("a")])
    assert show({hide(["-"])[0]: (1, None)}) == {"-": (1, None)}


@pytest.mark.parametrize("words", [["--sep", "-"], ["--sep=-"]])
def test_an_option_of_the_jobs_own_takes_a_dash_for_a_text(words: list[str]) -> None:
    _, bound, _ = app.parse_args(hide(["run", "job.py", *words, "-o", "-"]), exit_on_error=False, print_error=False)
    assert show(bound.kwargs) == {"sep": "-", "output": Path("-")}


def test_a_file_to_be_read_is_standard_input() -> None:
    _, bound, _ = app.parse_args(
        hide(["verify", "-", "--input", "a", "-", "b", "--module=-"]), exit_on_error=False, print_error=False
    )
    assert bound.args == (Path("/dev/stdin"),)
    sources = show(bound.kwargs)["sources"]
    assert (sources.input, sources.module) == ([Path("a"), Path("/dev/stdin"), Path("b")], Path("/dev/stdin"))


def test_a_closed_standard_input_is_no_empty_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pangea.compute.cli.dashes.is_usable", lambda number: number != 0)
    assert readable("a") == "a"
    with pytest.raises(UsageError, match="standard input, which is closed"):
        readable("-")
    assert descriptors.is_open(1)


def test_an_empty_name_is_no_file() -> None:
    with pytest.raises(UsageError, match="a file's name is empty"):
        readable("")
    with pytest.raises(OutputError, match="--report is given an empty name"):
        writable("", "--report")


@pytest.mark.parametrize("word", ["new/", "new/.", "/"])
def test_what_names_a_folder_is_no_file_to_write(word: str) -> None:
    with pytest.raises(OutputError, match="names a folder"):
        writable(word, "-o")
    assert writable("new", "-o") == Path("new")


def test_a_library_that_is_missing_is_named(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    class Missing:
        def __getattr__(self, _name: str) -> object:
            raise ModuleNotFoundError("No module named 'base58'", name="base58")

    # What the command itself uses: the command may have been looked up before, by a test of this process.
    monkeypatch.setattr("pangea.compute.network.identity.Identity", Missing())
    assert main._run(["id", "--identity", "a.key"]) == 3
    said = capsys.readouterr().err
    assert said == "error UNAVAILABLE: this needs base58, which isn't installed\n  hint: pip install 'pangea-compute[node]'\n"
