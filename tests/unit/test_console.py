"""What the command line says: whatever a job prints, the terminal only shows it."""

from __future__ import annotations

import io
import json
import os
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pangea.compute.cli.console import ProgressDisplay, say, show_error
from pangea.compute.cli.records import SCHEMA, say_error, where
from pangea.compute.cli.shapes import ERROR
from pangea.compute.model.errors import InputError, JobFailedError, ManifestError, PangeaError
from pangea.compute.model.plain_text import plain
from pangea.compute.model.progress import Progress

STEERING = {
    "colour": "\x1b[31mred",
    "title": "\x1b]0;owned\x07",
    "clear": "\x1b[2J\x1b[H",
    "8-bit control": "\x9b31m",
    "carriage return": "good\rbad!",
    "backspace": "abc\b\b\bxyz",
    "delete": "a\x7f",
    "null": "a\0b",
    "right to left": "a\u202egnp.exe",
    "isolate": "\u2066a\u2069",
    "vertical tab": "a\x0bb\x0cc",
}


@pytest.mark.parametrize("name", STEERING)
def test_control_characters_are_shown_and_not_obeyed(name: str) -> None:
    shown = plain(STEERING[name])
    assert shown.isprintable()
    assert "\\x" in shown


@given(st.text())
def test_no_text_reaches_the_terminal_with_a_control_character_but_newline_and_tab(text: str) -> None:
    shown = plain(text)
    assert all(char in "\n\t" or unicodedata.category(char) != "Cc" for char in shown)
    if not any(unicodedata.category(char) in {"Cc", "Cf"} for char in text):
        assert shown == text


def test_newlines_tabs_and_letters_of_any_script_stay() -> None:
    assert plain("a\tb\nünïcødé 漢字 😀") == "a\tb\nünïcødé 漢字 😀"


@pytest.mark.parametrize("name", STEERING)
def test_everything_said_goes_to_stderr_and_through_the_filter(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    error = JobFailedError(STEERING[name], hint=STEERING[name], traceback=STEERING[name])
    error.__cause__ = ValueError(STEERING[name] + " below")
    say(STEERING[name])
    show_error(error)
    say_error(error)
    ProgressDisplay(quiet=False).update(Progress(phase=f"compiling {STEERING[name]}"))
    out, err = capsys.readouterr()
    assert out == ""
    assert all(line.isprintable() for line in err.split("\n"))


def test_an_error_shows_code_cause_and_hint(capsys: pytest.CaptureFixture[str]) -> None:
    error = PangeaError("it broke", hint="mend it")
    error.__cause__ = ValueError("no reason")
    show_error(error)
    assert capsys.readouterr().err == "error ERROR: it broke\n  cause: no reason\n  hint: mend it\n"


def test_the_traceback_of_the_guest_comes_first(capsys: pytest.CaptureFixture[str]) -> None:
    show_error(JobFailedError("it broke", traceback="Traceback ...\nValueError\n"))
    assert capsys.readouterr().err == "Traceback ...\nValueError\nerror JOB_FAILED: it broke\n"


def test_an_error_as_json_is_one_line_that_parses(capsys: pytest.CaptureFixture[str]) -> None:
    say_error(JobFailedError("it broke\u202e", traceback="a\nb\x1b", function="merge"))
    [line] = capsys.readouterr().err.splitlines()
    record = json.loads(line)
    error = record["error"]
    assert record["schema"] == SCHEMA
    assert ERROR.faults(error) == []
    assert (error["code"], error["message"], error["traceback"]) == ("JOB_FAILED", "it broke\u202e", "a\nb\x1b")
    assert error["details"]["function"] == "merge"


@pytest.mark.parametrize(
    ("error", "place"),
    [
        (JobFailedError("it broke", function="execute", chunk_index=3), "execute, chunk 3"),
        (JobFailedError("it broke", function="merge"), "merge"),
        (InputError("no such file", path="a.txt"), "a.txt"),
        (InputError("no job", file="job.py", line=7), "job.py:7"),
        (ManifestError("out of range", field="limit"), "limit"),
        (PangeaError("it broke"), ""),
    ],
)
def test_where_an_error_is(error: PangeaError, place: str) -> None:
    assert where(error) == place


def test_a_closed_stderr_is_nobody_s_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    say("into the void")  # without the guard: ValueError, I/O operation on closed file
    assert sys.stderr is closed


def test_a_stderr_whose_reader_has_gone_is_nobody_s_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w", closefd=False) as gone:
        monkeypatch.setattr(sys, "stderr", gone)
        say("into the void")
        monkeypatch.undo()
        with pytest.raises(BrokenPipeError):
            gone.flush()
        os.dup2(os.open(os.devnull, os.O_WRONLY), writer)


class TestProgress:
    def test_quiet_says_nothing(self, capsys: pytest.CaptureFixture[str]) -> None:
        with ProgressDisplay(quiet=True) as display:
            display.update(Progress(phase="compiling the world"))
        assert capsys.readouterr() == ("", "")

    def test_a_compilation_is_news_at_once_and_once(self, capsys: pytest.CaptureFixture[str]) -> None:
        with ProgressDisplay(quiet=False) as display:
            for _ in range(3):
                display.update(Progress(phase="compiling the world"))
            display.update(Progress(phase="running", chunks=1))
        assert capsys.readouterr().err == "compiling the world ...\n"
