"""`@Job.check`: in a job it looks at a chunk and its result, beside the jobs of a file at the whole result."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import pytest

from pangea.compute import Job
from pangea.compute.errors import JobDefinitionError


def same(chunk: bytes, result: bytes) -> bool:
    return chunk == result


def job(check: Any = same) -> Any:
    return Job.from_functions(lambda chunk: chunk, name="same", check=check)


def test_in_a_job_the_function_stays_and_travels_in_an_archive_of_its_own_that_the_job_s_names() -> None:
    @Job.define
    def defined() -> None:
        @Job.execute
        def execute(chunk: bytes) -> bytes:
            return chunk

        Job.check(same)

    assert defined.check is same
    archive = defined.archive()
    assert archive == defined.archive()
    with zipfile.ZipFile(io.BytesIO(archive)) as files:
        named = json.loads(files.read("job.json"))["check"]
        assert len(named) == 64
        with zipfile.ZipFile(io.BytesIO(files.read("check.zip"))) as inner:
            assert set(json.loads(inner.read("job.json"))["entry"]) == {"execute"}
            assert b"return chunk == result" in inner.read("job.py")


def test_without_one_the_archive_is_what_it_was() -> None:
    with zipfile.ZipFile(io.BytesIO(job(None).archive())) as files:
        assert "check.zip" not in files.namelist()
        assert "check" not in json.loads(files.read("job.json"))


def test_a_job_has_one() -> None:
    with pytest.raises(JobDefinitionError, match="the job has two check functions: same"):

        @Job.define
        def twice() -> None:
            @Job.execute
            def execute(chunk: bytes) -> bytes:
                return chunk

            Job.check(same)
            Job.check(lambda chunk, made: True)


def test_it_takes_two_arguments() -> None:
    with pytest.raises(JobDefinitionError, match="must take two arguments, a chunk and its result") as refused:
        job(lambda chunk: True)
    assert "(chunk, result)" in refused.value.hint


def test_the_check_of_a_whole_result_in_a_job_is_told_where_it_belongs() -> None:
    def whole(result: Any, size: int) -> None: ...

    with pytest.raises(JobDefinitionError, match="is in a job and takes the result first"):

        @Job.define
        def wrong() -> None:
            Job.check(whole)

    assert Job.check(whole) is whole


def test_the_check_of_a_chunk_outside_of_a_job_is_told_where_it_belongs() -> None:
    with pytest.raises(JobDefinitionError, match="must take the result first") as refused:
        Job.check(lambda chunk, result: True)
    assert "stands in the job" in refused.value.hint
