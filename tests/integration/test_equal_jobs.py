"""Equal jobs give equal bytes for equal fuel, or fail alike, embedded and on a node, even if chunks influence each other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pangea.compute import Job, JobFailedError, submit_job
from tests.examples import long
from tests.nodes import NodeProcess

LINES = b"".join(b"line %d %s\n" % (number, b"x" * (number % 11)) for number in range(1500))


@Job.define
def touching() -> None:
    """The order of a set of objects depends on where they lie, and so on what ran before in the same instance."""

    @Job.split
    def split(data: bytes) -> list[bytes]:
        return data.splitlines()

    @Job.execute
    def execute(chunk: bytes) -> bytes:
        kept = [object() for _ in range(12 + len(chunk) % 3)]
        return b",".join(b"%d" % kept.index(each) for each in set(kept)) + b"\n"

    @Job.merge(associative=True)
    def merge(results: list[bytes]) -> bytes:
        return b"".join(results)


@Job.define(split_strategy="row_based", min_chunk_size=1, max_chunk_size=8)
def failing() -> None:
    @Job.split
    def split(data: bytes) -> list[bytes]:
        if data == b"nosplit\n":
            raise ValueError("no split")
        return [data]

    @Job.execute
    def execute(chunk: bytes) -> bytes:
        if chunk == b"execute\n":
            raise ValueError("no execute")
        return chunk


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("equal") / "node"
    with NodeProcess(folder):
        yield folder


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, *long({"split_strategy": "row_based", "max_chunk_size": 4096}, {"chunks_per_pack": 40})])
def test_equal_jobs_bill_equal_fuel_and_give_equal_bytes_wherever_they_run(node: Path, options: dict[str, Any]) -> None:
    runs = [submit_job(touching, LINES, **options) for _ in range(2)]
    runs += [submit_job(touching, LINES, node=str(node), **options) for _ in range(2)]
    assert len({bytes(run) for run in runs}) == 1
    assert len({run.report.fuel for run in runs}) == 1
    assert [run.report.warnings for run in runs] == [runs[0].report.warnings] * 4


@pytest.mark.long
def test_a_job_fails_at_the_same_chunk_wherever_it_runs_and_however_segments_became_tasks(node: Path) -> None:
    lines = [b"%07d\n" % number for number in range(70)]
    for place in (12, 22, 60):  # whatever the speed, one of them has its next segment, which can't be split, in the same task
        for where in (None, str(node)):
            with pytest.raises(JobFailedError, match="ValueError: no execute") as failed:
                submit_job(failing, b"".join([*lines[:place], b"execute\n", b"nosplit\n", *lines[place:]]), node=where)
            assert failed.value.chunk_index == place
