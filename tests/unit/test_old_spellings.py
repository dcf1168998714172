"""Old spellings of options do what they did for a version, say so on stderr, and mean nothing else anywhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pangea.compute.cli.main import app
from pangea.compute.cli.old_spellings import renewed
from tests.nodes import data_of

PANGEA = str(Path(sys.executable).with_name("pangea"))
NOW_JSON = "warning: --output json is now --json"


def pangea(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([PANGEA, *words], capture_output=True, text=True, timeout=50, check=True)


@pytest.mark.parametrize(
    "command",
    "peer list|peer show abc|peer trust|node status|job list|job status last|job explain last|job tree last|top|doctor|sim"
    "|config list|verify r.json".split("|"),
)
@pytest.mark.parametrize("spelling", ["--output json", "--output=json"])
def test_output_json_is_json_where_output_is_no_file(command: str, spelling: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert renewed(f"{command} {spelling}".split(), app) == [*command.split(), "--json"]
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert said.err.startswith(NOW_JSON)


def test_other_options_stay_where_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert renewed(["job", "list", "--output", "json", "--limit", "3"], app) == ["job", "list", "--json", "--limit", "3"]
    assert capsys.readouterr().err.startswith(NOW_JSON)


def test_output_table_overrides_the_environment(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PANGEA_OUTPUT", "json")
    assert renewed(["config", "list", "--output", "table"], app) == ["config", "list"]
    assert os.environ["PANGEA_OUTPUT"] == "table"
    assert capsys.readouterr().err.startswith("warning: --output table ")


@pytest.mark.parametrize(
    "line",
    [
        "run job.py --output json",
        "run job.py --output=table",
        "job result last --output json",
        "job receipt last --output json",
        "job list --output csv",
        "job list --output",
        "job list --limit json",
        "config list -- --output json",
        "--output json",
        "peer lsit --output json",
    ],
)
def test_all_else_is_as_it_was_written(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert renewed(line.split(), app) == line.split()
    assert capsys.readouterr().err == ""


def test_the_command_line_takes_it_and_help_is_silent_about_it() -> None:
    old, shown = (pangea("config", "list", *more) for more in (["--output", "json"], ["--help"]))
    assert data_of(old.stdout)["settings"]["workers"]["source"]
    assert old.stderr.startswith(NOW_JSON)
    assert "--json" in shown.stdout
    assert "--output" not in shown.stdout
