"""Warnings point at the line of the user's that called, not at one of the package's."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from inspect import currentframe

import pytest

from pangea.compute import Job
from pangea.compute.model.errors import JobDefinitionWarning


def execute(chunk: bytes) -> bytes:
    return os.environ.get("A", "").encode() + chunk


def line_here() -> int:
    frame = currentframe()
    assert frame is not None
    assert frame.f_back is not None
    return frame.f_back.f_lineno


def test_a_warning_names_the_line_that_called() -> None:
    job = Job.from_functions(execute)
    with pytest.warns(JobDefinitionWarning, match=r"uses os\.environ") as told:
        line, _ = line_here(), job.archive()
    assert [(each.filename, each.lineno) for each in told] == [(__file__, line)]


def test_a_warning_in_a_thread_without_a_line_of_the_users_is_given_all_the_same() -> None:
    job = Job.from_functions(execute)
    with pytest.warns(JobDefinitionWarning, match=r"uses os\.environ") as told, ThreadPoolExecutor(1) as pool:
        pool.submit(job.archive).result()
    assert len(told) == 1
