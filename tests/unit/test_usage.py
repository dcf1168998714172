"""Mistakes on the command line: what there is, and what may have been meant."""

from __future__ import annotations

from cyclopts import CycloptsError, MissingArgumentError

from pangea.compute.cli.job import submit
from pangea.compute.cli.run import run
from pangea.compute.cli.usage import flag_of, options_of, unknown_option, usage_error


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


def test_a_known_option_without_its_value_isn_t_unknown() -> None:
    text = 'Command "run" parameter --timeout requires an argument.'
    assert "requires an argument" in usage_error(_Said(text), ["timeout"]).message
    assert "unknown option --quite" in usage_error(_Said(text.replace("timeout", "quite")), ["quiet"]).message
    assert usage_error(CycloptsError(msg="Wrong order."), []).message == "wrong order."


def test_options_are_written_with_dashes() -> None:
    assert flag_of("min_chunk_size") == "--min-chunk-size"


class _Said(MissingArgumentError):
    def __init__(self, text: str) -> None:
        self._text = text

    def __str__(self) -> str:
        return self._text
