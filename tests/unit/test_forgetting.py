"""Which ended jobs a node forgets."""

from __future__ import annotations

import pytest

from pangea.compute.node.jobs.forgetting import ASKED_FOR_SECONDS, Keeping, to_forget
from pangea.compute.node.jobs.jobs import Job
from pangea.compute.node.storage.records import JobAccepted, JobEnded

DAY, NOW = 86_400.0, 1_000_000.0


def ended(name: str, owner: str, ago: float, *, blobs: tuple[str, ...] = (), bytes_in: int = 0, size: int = 0) -> Job:
    accepted = JobAccepted(job_id=name, owner=owner, name=name, manifest="", accepted_at=0.0, bytes_in=bytes_in, blobs=blobs)
    end = JobEnded(job_id=name, state="complete", ended_at=0.0, body=None, size=size, error="", report="", fuel=0, chunks=1)
    job = Job(accepted, ended=end)
    job.kept_since = NOW - ago
    return job


def size_of(blob: str) -> int:
    return int(blob.rpartition(" ")[2])


def gone(jobs: list[Job], *, jobs_max: int = 100, asked_for_max: int = 100, bytes_max: int = 10**9, up: float = DAY) -> set[str]:
    keeping = Keeping(seconds=7 * DAY, jobs_max=jobs_max, asked_for_max=asked_for_max, bytes_per_owner_max=bytes_max)
    found = to_forget(jobs, keeping, now=NOW, restored_at=NOW - up, bytes_of=size_of)
    assert len(found) == len(set(found))
    return {job.id for job in found}


def test_what_ended_long_ago_goes() -> None:
    assert gone([ended("old", "a", 7 * DAY + 1), ended("new", "a", 7 * DAY - 1)]) == {"old"}


def test_of_too_many_those_go_that_ended_first_but_none_that_somebody_may_still_come_for() -> None:
    jobs = [ended(f"{ago}", "a", ago) for ago in (10.0, 30.0, 100.0, 200.0, 300.0)]
    assert gone(jobs, jobs_max=3) == {"200.0", "300.0"}
    assert gone(jobs, jobs_max=1) == {"100.0", "200.0", "300.0"}
    assert gone(jobs, jobs_max=1, up=ASKED_FOR_SECONDS / 2) == set()


def test_who_ends_very_many_loses_its_own_and_nobody_else_s() -> None:
    flood = [ended(f"flood {number}", "flood", 100.0 + number) for number in range(50)]
    others = [ended(f"{owner} {number}", owner, 5_000.0 + number) for owner in "ab" for number in range(3)]
    found = gone(flood + others, jobs_max=10)
    assert found == {f"flood {number}" for number in range(4, 50)}


def test_a_minute_of_very_many_is_bounded_too() -> None:
    flood = [ended(f"flood {number}", "flood", number / 10) for number in range(50)]
    others = [ended(f"a {number}", "a", 5.0) for number in range(3)]
    assert gone(flood + others, jobs_max=10, asked_for_max=20) == {f"flood {number}" for number in range(27, 50)}


@pytest.mark.parametrize("kind", ["blobs", "input", "result"])
def test_an_owner_keeps_no_more_content_than_it_may_have_and_its_last_job_anyway(kind: str) -> None:
    def job(name: str, owner: str, ago: float) -> Job:
        return ended(
            name,
            owner,
            ago,
            blobs=(f"{name} 60",) if kind == "blobs" else (),
            bytes_in=60 if kind != "result" else 0,
            size=60 if kind == "result" else 0,
        )

    jobs = [job(f"{owner}{number}", owner, 100.0 + number) for owner in "ab" for number in range(3)]
    assert gone(jobs, bytes_max=130) == {"a2", "b2"}
    assert gone([*jobs, job("fresh", "a", 1.0)], bytes_max=130) == {"a1", "a2", "b2"}
    assert gone(jobs, bytes_max=1) == {"a1", "a2", "b1", "b2"}
    assert gone(jobs, bytes_max=1, up=ASKED_FOR_SECONDS / 2) == set()


def test_content_that_several_jobs_have_counts_once() -> None:
    jobs = [ended(f"{number}", "a", 100.0 + number, blobs=("module 5", "shared 90"), bytes_in=90) for number in range(50)]
    assert gone(jobs, bytes_max=100) == set()
