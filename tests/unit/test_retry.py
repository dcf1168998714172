"""What follows the end of a task: the whole table."""

from __future__ import annotations

import pytest

from pangea.compute.flow.retry import Next, decide
from pangea.compute.model.outcome import (
    FAULTS_OF_THIS_KIND_OF_MACHINE,
    LIMIT_KINDS,
    MACHINE_FAULTS,
    Failure,
    FailureKind,
    Finished,
)

OWN_FAULTS = sorted(
    set(FailureKind) - MACHINE_FAULTS - {FailureKind.BAD_MODULE, FailureKind.COMPILE_LIMIT, FailureKind.CANCELLED}
)


def after(kind: FailureKind, *, attempt: int = 1, retry_count: int = 3, index: int | None = None, failed_in: str = "") -> Next:
    failure = Failure(kind=kind, message="m", index=index, function=failed_in)
    return decide(failure, attempt=attempt, retry_count=retry_count)


def test_a_finished_task_is_accepted() -> None:
    done = Finished(results=b"", fuel=1, seconds=0.1)
    assert decide(done, attempt=9, retry_count=0) is Next.ACCEPT


@pytest.mark.parametrize("kind", OWN_FAULTS)
def test_a_failure_of_the_job_is_never_tried_again(kind: FailureKind) -> None:
    assert after(kind) is Next.FAIL
    assert after(kind, index=2) is Next.FAIL


@pytest.mark.parametrize("kind", sorted(MACHINE_FAULTS - FAULTS_OF_THIS_KIND_OF_MACHINE))
def test_a_fault_of_the_machine_is_tried_again_until_the_retries_are_used_up(kind: FailureKind) -> None:
    decisions = [after(kind, attempt=attempt, retry_count=3) for attempt in (1, 2, 3, 4)]
    assert decisions == [Next.RETRY, Next.RETRY, Next.RETRY, Next.FAIL]
    assert after(kind, retry_count=0) is Next.FAIL


@pytest.mark.parametrize("kind", sorted(FAULTS_OF_THIS_KIND_OF_MACHINE))
def test_what_this_kind_of_machine_cannot_do_is_not_tried_again_on_it(kind: FailureKind) -> None:
    assert after(kind) is Next.FAIL
    assert after(kind, failed_in="init") is Next.FAIL


@pytest.mark.parametrize("kind", [FailureKind.BAD_MODULE, FailureKind.COMPILE_LIMIT, FailureKind.CANCELLED])
def test_what_concerns_the_whole_job_ends_it(kind: FailureKind) -> None:
    assert after(kind) is Next.FAIL


def test_a_job_that_fails_at_its_top_level_fails() -> None:
    assert after(FailureKind.GUEST_ERROR, failed_in="init") is Next.FAIL
    assert after(FailureKind.TIMED_OUT, failed_in="init") is Next.RETRY
    assert after(FailureKind.TIMED_OUT, failed_in="init", attempt=4) is Next.FAIL


def test_time_outs_lost_workers_host_memory_adapters_and_the_depth_of_compiled_code_are_the_machine_s_fault() -> None:
    depends_on_the_machine = {"timed out", "worker lost", "no host memory", "no adapter", "stack overflow"}
    assert depends_on_the_machine == MACHINE_FAULTS
    assert all(Failure(kind=kind, message="").is_machine_fault is (kind in MACHINE_FAULTS) for kind in FailureKind)
    assert FailureKind.TIMED_OUT in LIMIT_KINDS
