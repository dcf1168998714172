"""What follows the end of a task: the whole table."""

from __future__ import annotations

import pytest

from pangea.compute.model.outcome import LIMIT_KINDS, MACHINE_FAULTS, Failure, FailureKind, Finished
from pangea.compute.orchestrator.retry import Next, decide

OWN_FAULTS = sorted(
    set(FailureKind) - MACHINE_FAULTS - {FailureKind.BAD_MODULE, FailureKind.COMPILE_LIMIT, FailureKind.CANCELLED}
)


def after(
    kind: FailureKind,
    *,
    function: str = "execute",
    count: int = 5,
    singly: bool = False,
    attempt: int = 1,
    retry_count: int = 3,
    index: int | None = None,
    failed_in: str = "",
) -> Next:
    failure = Failure(kind=kind, message="m", index=index, function=failed_in)
    return decide(failure, function=function, count=count, singly=singly, attempt=attempt, retry_count=retry_count)


def test_a_finished_task_is_accepted() -> None:
    done = Finished(results=b"", fuel=1, seconds=0.1)
    assert decide(done, function="execute", count=5, singly=False, attempt=9, retry_count=0) is Next.ACCEPT


@pytest.mark.parametrize("kind", OWN_FAULTS)
def test_a_failure_of_the_job_is_never_tried_again(kind: FailureKind) -> None:
    for function in ("split", "merge"):
        assert after(kind, function=function) is Next.FAIL
    assert after(kind, singly=True) is Next.FAIL
    assert after(kind, count=1) is Next.FAIL
    assert after(kind, index=2) is Next.FAIL


@pytest.mark.parametrize("kind", [*OWN_FAULTS, FailureKind.TIMED_OUT])
def test_a_failure_among_several_chunks_is_run_again_singly_to_name_its_chunk(kind: FailureKind) -> None:
    assert after(kind) is Next.RUN_SINGLY


@pytest.mark.parametrize("kind", sorted(MACHINE_FAULTS))
def test_a_fault_of_the_machine_is_tried_again_until_the_retries_are_used_up(kind: FailureKind) -> None:
    decisions = [after(kind, count=1, attempt=attempt, retry_count=3) for attempt in (1, 2, 3, 4)]
    assert decisions == [Next.RETRY, Next.RETRY, Next.RETRY, Next.FAIL]
    assert after(kind, count=1, retry_count=0) is Next.FAIL


def test_a_lost_worker_is_no_reason_to_run_singly() -> None:
    assert after(FailureKind.WORKER_LOST) is Next.RETRY


@pytest.mark.parametrize("kind", [FailureKind.BAD_MODULE, FailureKind.COMPILE_LIMIT, FailureKind.CANCELLED])
def test_what_concerns_the_whole_job_ends_it(kind: FailureKind) -> None:
    assert after(kind) is Next.FAIL


def test_a_job_that_fails_at_its_top_level_fails() -> None:
    assert after(FailureKind.GUEST_ERROR, failed_in="init") is Next.FAIL
    assert after(FailureKind.TIMED_OUT, failed_in="init") is Next.RETRY
    assert after(FailureKind.TIMED_OUT, failed_in="init", attempt=4) is Next.FAIL


def test_only_time_outs_and_lost_workers_are_the_machine_s_fault() -> None:
    assert {FailureKind.TIMED_OUT, FailureKind.WORKER_LOST} == MACHINE_FAULTS
    assert all(Failure(kind=kind, message="").is_machine_fault is (kind in MACHINE_FAULTS) for kind in FailureKind)
    assert FailureKind.TIMED_OUT in LIMIT_KINDS
