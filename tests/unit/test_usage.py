"""Mistakes on the command line: what there is, and what may have been meant."""

from __future__ import annotations

import pytest
from cyclopts import CycloptsError

from pangea.compute.cli.job import submit
from pangea.compute.cli.main import app
from pangea.compute.cli.run import run
from pangea.compute.cli.usage import UsageError, flag_of, options_of, unknown_option, usage_error


def test_a_command_s_options_are_those_of_its_groups_too() -> None:
    names = options_of(run)
    assert {
        "input",
        "output",
        "json",
        "quiet",
        "verify",
        "plot",
        "report",
        "receipt",
        "node",
        "identity",
        "timeout",
        "memory",
    } <= names
    assert not {"own", "manifest", "leave", "json_report"} & names
    assert {"input", "manifest", "data_dir", "priority"} <= options_of(submit)


def test_an_unknown_option_is_told_with_the_nearest() -> None:
    error = unknown_option("--tiemout", options_of(run))
    assert (error.message, error.hint, error.exit_code) == ("unknown option --tiemout", "did you mean --timeout?", 2)
    assert unknown_option("--xyzzy", ["size"]).hint == "pangea run --help lists the options"


def mistake(line: str) -> UsageError:
    words = line.split()
    with pytest.raises(CycloptsError) as caught:
        app.parse_args(words, exit_on_error=False, print_error=False)
    return usage_error(caught.value, app, words)


OWN = " (or one of the job's own, without its value)"
BEFORE = " (one of the job's own stands behind the job)"


@pytest.mark.parametrize(
    ("line", "message", "hint"),
    [
        ("rnu job.py", "there is no command pangea rnu", "did you mean pangea run?"),
        ("job statsu last", "there is no command pangea job statsu", "did you mean pangea job status?"),
        ("--quiet run", "unknown option --quiet of pangea", "pangea COMMAND --quiet"),
        ("version", "there is no version of pangea", "pangea --version"),
        ("help", "there is no help of pangea", "pangea --help"),
        ("-v", "there is no -v of pangea", "pangea --version"),
        ("run job.py words", "pangea run: 'words' is one word too many", "FILE:words"),
        ("run", "pangea run needs TARGET", "pangea run TARGET; "),
        (
            "run --input a.txt job.py",
            "pangea run needs TARGET",
            "pangea run TARGET --input FILE; all words behind --input are input files",
        ),
        ("job status", "pangea job status needs SELECTOR: A job's id", "pangea job status SELECTOR"),
        ("job cancel", "pangea job cancel needs SELECTORS", "pangea job cancel SELECTORS"),
        ("config get", "pangea config get needs KEY", "pangea config get KEY"),
        ("verify", "pangea verify needs RECEIPT", "pangea verify --help"),
        ("verify r.json --input", "--input needs a value", "pangea verify --help"),
        ("run job.py --input", "--input needs a value", "pangea run --help"),
        ("run --input -o x job.py", "--input needs a value", "pangea run --help"),
        ("run job.py --timeout", "--timeout needs a value", "pangea run --help"),
        ("run --quite job.py --input in.txt", f"unknown option --quite{BEFORE}", "did you mean --quiet?"),
        ("run --quite=1 --input in.txt", f"unknown option --quite{BEFORE}", "did you mean --quiet?"),
        ("run job.py --quite", f"unknown option --quite{OWN}", "did you mean --quiet?"),
        ("run job.py -x", f"unknown option -x{OWN}", "pangea run --help lists the options"),
        ("run job.py in.txt", "pangea run: 'in.txt' is one word too many", "--input in.txt"),
        ("job list 3", "pangea job list: '3' is one word too many", "pangea job list --help"),
        ("job list --limt 3", "unknown option --limt", "did you mean --limit?"),
        ("job list --output csv", "unknown option --output", "did you mean --json?"),
        ("node start --joinn x", "unknown option --joinn", "did you mean --join?"),
        ("doctor --jsn", "unknown option --jsn", "did you mean --json?"),
        ("job list --limit x", "invalid value for --limit", "pangea job list --help"),
    ],
)
def test_a_mistake_names_what_is_wrong_and_the_nearest_there_is(line: str, message: str, hint: str) -> None:
    error = mistake(line)
    assert error.message.startswith(message)
    assert hint in (error.hint or "")


def test_options_are_written_with_dashes() -> None:
    assert flag_of("min_chunk_size") == "--min-chunk-size"
