"""What cloudpickle tests of itself holds of a job: passes, is refused by name, or doesn't apply, each one accounted for."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from pangea.compute import Job, submit_job
from pangea.compute.errors import JobDefinitionError
from tests.capturing import cloudpickle
from tests.capturing.cloudpickle import CASES, NOT_APPLICABLE, REFUSED
from tests.examples import spread

#: Tests in cloudpickle's own suite at 007fc4b.
TESTS = 133


@pytest.mark.filterwarnings("ignore::pangea.compute.model.errors.JobDefinitionWarning")
@pytest.mark.parametrize("name", spread(24, CASES))
def test_a_job_keeps_what_cloudpickle_keeps(name: str) -> None:
    look = CASES[name]()

    def execute(_chunk: bytes) -> bytes:
        return repr(look()).encode()

    job = Job.from_functions(execute)
    if name in REFUSED:
        with pytest.raises(JobDefinitionError, match=REFUSED[name]):
            job.archive()
        return
    there, here = bytes(submit_job(job, b"x")), execute(b"x")
    assert _plain(there) == _plain(here)


def test_every_test_of_cloudpickle_is_accounted_for(record_property: Callable[[str, object], None]) -> None:
    said = f"{len(CASES)} apply to a job: {len(CASES) - len(REFUSED)} pass, {len(REFUSED)} are refused by name"
    record_property("summary", f"Of cloudpickle's own {TESTS} tests, {said}.")
    page = (Path(__file__).parents[2] / "docs/python_guest.md").read_text(encoding="utf-8")
    assert f"Of cloudpickle's own {TESTS} tests, {said}" in " ".join(page.split())
    assert REFUSED.keys() <= CASES.keys()
    assert not CASES.keys() & NOT_APPLICABLE.keys()
    assert len(CASES) + len(NOT_APPLICABLE) == TESTS
    assert cloudpickle.__doc__


def _plain(shown: bytes) -> bytes:
    return re.sub(rb" at 0x[0-9a-f]+", b"", shown)
