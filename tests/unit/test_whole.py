"""Whole numbers on the command line."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from cyclopts import CoercionError

from pangea.compute.cli.main import app
from tests.commands import leaves
from tests.examples import spread


@cache
def options() -> list[tuple[str, str]]:
    """Each command's options that take a whole number."""
    return [(leaf, each.name) for leaf in leaves() for each in arguments(leaf) if "int" in str(each.hint)]


@cache
def arguments(leaf: str) -> Any:
    """Those of a command, which take 10 ms to find out."""
    found: Any = app
    for word in leaf.split():
        found = found[word]
    return found.assemble_argument_collection()


def test_there_are_some() -> None:
    assert ("node start", "--workers") in options()
    assert ("run", "--redundancy") in options()


@pytest.mark.parametrize(("leaf", "name"), spread(12, options()))
def test_a_fraction_is_refused_and_not_rounded(leaf: str, name: str) -> None:
    required = ["a file" for each in arguments(leaf) if each.required]
    with pytest.raises(CoercionError, match=r"'0\.5' is no whole number"):
        app.parse_args([*leaf.split(), *required, name, "0.5"], exit_on_error=False, print_error=False)


@pytest.mark.parametrize(("text", "number"), [("3", 3), ("0x14", 20), ("-1", -1)])
def test_what_is_one_is_taken_as_python_writes_it(text: str, number: int) -> None:
    _, bound, _ = app.parse_args(["job", "list", f"--limit={text}"], exit_on_error=False, print_error=False)
    assert bound.arguments["limit"] == number
