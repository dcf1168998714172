"""An engine whose sandboxes have so much memory together: what has no room waits, and what never has goes elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pangea.compute.engine.engines.local import LocalEngine
from pangea.compute.model.outcome import FailureKind
from tests import guests
from tests.deadlines import until
from tests.guests import module
from tests.runs import failed, module_guest, outcome_of, results_of, task_of

ENDLESS = {"fuel": 10**15, "time": 60}


@pytest.fixture
def capped(cache_folder: Path) -> Iterator[LocalEngine]:
    """Two workers, and memory for one task of 100 MiB."""
    engine = LocalEngine(workers=2, cache_folder=cache_folder, memory_max=150 << 20)
    yield engine
    engine.close()


def test_a_task_waits_until_the_others_leave_memory_for_it(capped: LocalEngine) -> None:
    guest = module_guest(capped, module(guests.BURN), memory=100 << 20, **ENDLESS)
    first = capped.submit(task_of(guest, b"x"))
    [process] = until(capped.pids)
    small = outcome_of(capped, module_guest(capped, module(), memory=50 << 20), b"x")
    assert results_of(small) == [b"x"], "there is room for it beside"
    second, third = (capped.submit(task_of(guest, b"x")) for _ in range(2))
    until(second.running)
    assert capped.pids() == [process]
    capped.cancel([second])
    assert failed(second.result(50)).kind is FailureKind.CANCELLED
    capped.cancel([first])
    until(lambda: capped.pids() not in ([], [process]))
    capped.cancel([third])


def test_what_alone_is_more_than_there_is_fails_as_the_machines_fault_and_says_the_figures(capped: LocalEngine) -> None:
    told = failed(outcome_of(capped, module_guest(capped, module(), memory=200 << 20), b"x"))
    assert (told.kind, told.is_machine_fault) == (FailureKind.HOST_MEMORY, True)
    assert "200 MiB (limits.memory), and sandboxes on this machine 150 MiB together (memory_max)" in told.message


def test_an_engine_ends_while_tasks_wait_for_memory(cache_folder: Path) -> None:
    engine = LocalEngine(workers=2, cache_folder=cache_folder, memory_max=150 << 20)
    guest = module_guest(engine, module(guests.BURN), memory=100 << 20, **ENDLESS)
    waiting = [engine.submit(task_of(guest, b"x")) for _ in range(2)]
    until(lambda: all(each.running() for each in waiting))
    engine.close()
    assert {failed(each.result(50)).kind for each in waiting} <= {FailureKind.CANCELLED, FailureKind.WORKER_LOST}
