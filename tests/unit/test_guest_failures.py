"""Which line of a guest's text an error's message is."""

from __future__ import annotations

import pytest

from pangea.compute.engine.guest_failures import guest_failure
from pangea.compute.model.limits import Limits
from pangea.compute.runtime.guest.failing import describe

SEVERAL = ExceptionGroup("several", [ValueError(1), ExceptionGroup("inner", [TypeError("t")])])


def noted(error: BaseException) -> BaseException:
    error.add_note("a note")
    return error


def caused(error: BaseException, cause: BaseException) -> BaseException:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "last"),
    [
        (KeyError("k"), "KeyError: 'k'"),
        (ValueError("one\ntwo"), "ValueError: one"),
        (noted(ValueError("v")), "ValueError: v"),
        (AssertionError(), "AssertionError"),
        (SEVERAL, "ExceptionGroup: several (2 sub-exceptions)"),
        (caused(KeyError("k"), SEVERAL), "KeyError: 'k'"),
        (caused(ExceptionGroup("last", [OSError(2, "no")]), SEVERAL), "ExceptionGroup: last (1 sub-exception)"),
        (SyntaxError("bad", ("f.py", 1, 1, "x", 1, 2)), "SyntaxError: bad"),
    ],
    ids=["plain", "lines", "note", "empty", "group", "of a group", "group of a group", "syntax"],
)
def test_the_message_is_the_exception_s_own_line(error: BaseException, last: str) -> None:
    try:
        raise error
    except BaseException as raised:
        text = describe(raised, "printed\nValueError: not this").decode()
    assert guest_failure("execute", text, Limits(), 0).message == f"execute failed: {last}"


def test_of_other_languages_it_is_the_last_line() -> None:
    assert guest_failure("execute", "panicked at main.rs:3:\nindex out of bounds\n", Limits(), 0).message.endswith(
        "index out of bounds"
    )
    assert guest_failure("execute", "", Limits(), 0).message.endswith("the guest gave no reason")
