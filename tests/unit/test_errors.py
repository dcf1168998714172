"""Errors: codes, exit codes, and the one place where a task's failure becomes one."""

from __future__ import annotations

import builtins
import json

import pytest

from pangea.compute.engine.failures import _HINTS, error_of, timeout_error
from pangea.compute.model import errors
from pangea.compute.model.errors import (
    BadModuleError,
    JobCancelledError,
    JobFailedError,
    LimitExceededError,
    NoAdapterError,
    PangeaError,
)
from pangea.compute.model.limits import RANGES
from pangea.compute.model.outcome import LIMIT_KINDS, Failure, FailureKind

ALL = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, PangeaError)]


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    assert errors.__doc__
    lines = [line.partition("── ")[2].split() for line in errors.__doc__.splitlines() if "── " in line]
    shown = {words[0]: int(words[-1]) for words in lines}
    assert shown == {each.__name__: each.exit_code for each in ALL if each is not PangeaError}


def test_each_error_has_a_code_of_its_own() -> None:
    codes = [each.code for each in ALL]
    assert len(set(codes)) == len(codes)
    assert all(code == code.upper() for code in codes)


@pytest.mark.parametrize("kind", ALL)
def test_each_error_is_the_builtin_that_a_caller_would_expect_too(kind: type[PangeaError]) -> None:
    known = tuple(each for each in vars(builtins).values() if isinstance(each, type) and issubclass(each, Exception))
    assert issubclass(kind, known)
    assert str(kind("a message", hint="a hint")) == "a message"


def test_an_error_as_json_has_code_message_hint_and_figures() -> None:
    error = PangeaError("too much", hint="less", limit=5)
    assert json.loads(json.dumps(error.to_json())) == {
        "code": "ERROR", "message": "too much", "hint": "less", "details": {"limit": 5}
    }  # fmt: skip


@pytest.mark.parametrize("kind", FailureKind)
def test_each_kind_of_failure_becomes_its_error(kind: FailureKind) -> None:
    error = error_of(Failure(kind=kind, message="it broke", limit="fuel"), function="split", chunk_index=None)
    if kind is FailureKind.CANCELLED:
        assert type(error) is JobCancelledError
    elif kind is FailureKind.BAD_MODULE:
        assert type(error) is BadModuleError
    elif kind is FailureKind.NO_ADAPTER:
        assert (type(error), "mesa-vulkan-drivers" in error.hint) == (NoAdapterError, True)
    else:
        assert type(error) is (LimitExceededError if kind in LIMIT_KINDS else JobFailedError)
        assert error.details["kind"] == str(kind)
        assert error.message == "it broke"
        assert json.dumps(error.to_json())


@pytest.mark.parametrize("limit", [*RANGES, "stack"])
def test_each_limit_has_a_hint(limit: str) -> None:
    error = error_of(Failure(kind=FailureKind.OUT_OF_FUEL, message="m", limit=limit), function="merge", chunk_index=None)
    assert error.hint == _HINTS[limit]
    assert error.details["limit"] == limit


def test_a_failure_in_execute_names_its_chunk() -> None:
    error = error_of(Failure(kind=FailureKind.TRAPPED, message="it broke"), function="execute", chunk_index=7)
    assert isinstance(error, JobFailedError)
    assert error.message.endswith("at chunk 7")
    assert (error.chunk_index, error.function, error.details["chunk_index"]) == (7, "execute", 7)


def test_a_failure_at_the_top_level_names_no_chunk_in_its_message() -> None:
    failure = Failure(kind=FailureKind.GUEST_ERROR, message="it broke", function="init", traceback="T")
    error = error_of(failure, function="execute", chunk_index=7)
    assert isinstance(error, JobFailedError)
    assert (error.message, error.function, error.traceback) == ("it broke", "init", "T")
    assert error.hint


def test_a_machine_that_failed_several_times_says_how_often() -> None:
    failure = Failure(kind=FailureKind.WORKER_LOST, message="gone")
    assert "in each of 4 attempts" in error_of(failure, function="execute", chunk_index=0, attempts=4).message
    assert "attempts" not in error_of(failure, function="execute", chunk_index=0, attempts=1).message


def test_the_job_s_own_timeout_says_how_far_it_came() -> None:
    error = timeout_error(1.5, 12_345)
    assert error.message == "the job ran into its timeout of 1.5 s, with 12,345 chunks done"
    assert error.details["limit"] == "timeout"
    assert error.exit_code == errors.EXIT_LIMIT
