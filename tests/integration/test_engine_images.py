"""A worker keeps the memory of a job's initialised guest once it has more packs than forks are worth; no task reaches it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pangea.compute import runtime
from pangea.compute.engine.engines.local import LocalEngine
from pangea.compute.engine.worker import _FORKED_PACKS_MAX
from pangea.compute.model.limits import Limits
from tests.deadlines import children_of, until, workers_of
from tests.runs import outcome_of, python_guest, results_of

COUNTING = "seen = []\ndef execute(chunk):\n seen.append(chunk)\n return b'%s %d {}' % (chunk, len(seen))\n"
IMAGE = "pangea-image"


@pytest.fixture
def started(cache_folder: Path) -> Iterator[tuple[LocalEngine, int]]:
    """An engine of one worker, with the Python runtime prepared, and that worker's process."""
    others = workers_of(os.getpid())
    engine = LocalEngine(workers=1, cache_folder=cache_folder)
    engine.prepare(runtime.sha256(), Limits(), runtime.load, lambda: None)
    [worker] = workers_of(os.getpid()) - others
    yield engine, worker
    engine.close()


@pytest.fixture
def alone(started: tuple[LocalEngine, int]) -> LocalEngine:
    return started[0]


@pytest.fixture
def worker(started: tuple[LocalEngine, int]) -> int:
    return started[1]


def keeps_image(pid: int) -> bool:
    """Whether a guest's memory is mapped from the file that it is kept in."""
    return IMAGE in Path(f"/proc/{pid}/maps").read_text()


def has_file(pid: int) -> bool:
    """Whether that file is open."""
    return any(IMAGE in os.readlink(each) for each in Path(f"/proc/{pid}/fd").iterdir())


def is_out_of_reach(worker: int) -> bool:
    """Whether the process that waits for the next task, of which there is one, hasn't that file."""
    try:
        [task] = children_of(worker)
        return not has_file(task)
    except (ValueError, FileNotFoundError):  # the last one is about to end, or just has
        return False


def test_a_job_of_few_packs_runs_in_forks_and_one_of_many_keeps_its_guest(alone: LocalEngine, worker: int) -> None:
    guest = python_guest(COUNTING.format(1))
    ends = []
    for _ in range(_FORKED_PACKS_MAX):
        ends.append(outcome_of(alone, guest, b"y"))
        assert not keeps_image(worker)
    ends += [outcome_of(alone, guest, b"y") for _ in range(3)]
    assert keeps_image(worker)
    assert [results_of(each) for each in ends] == [[b"y 1 1"]] * len(ends)
    assert len({each.fuel for each in ends}) == 1
    assert results_of(outcome_of(alone, python_guest(COUNTING.format(2)), b"x")) == [b"x 1 2"]
    assert not keeps_image(worker), "the next job begins anew"


def test_a_first_task_of_many_packs_is_run_from_the_kept_guest(alone: LocalEngine, worker: int) -> None:
    chunks = [b"%d" % each for each in range(_FORKED_PACKS_MAX + 1)]
    outcome = outcome_of(alone, python_guest(COUNTING.format(1)), *chunks, packs=[1] * len(chunks))
    assert results_of(outcome) == [b"%s 1 1" % each for each in chunks]
    assert keeps_image(worker)


def test_no_task_has_the_file_of_the_guests_memory(alone: LocalEngine, worker: int) -> None:
    for count in (1, _FORKED_PACKS_MAX + 1):
        chunks = [b"x"] * count
        outcome_of(alone, python_guest(COUNTING.format(count)), *chunks, packs=[1] * count)
        assert has_file(worker)
        until(lambda: is_out_of_reach(worker), what="a task's process, which lets go of what isn't its own first of all,")


def test_a_job_that_may_have_more_memory_than_the_last_is_kept_as_well(alone: LocalEngine, worker: int) -> None:
    many = [b"x"] * (_FORKED_PACKS_MAX + 1)
    for number, memory in enumerate((256 << 20, 512 << 20, 128 << 20)):
        guest = python_guest(COUNTING.format(number), memory=memory)
        assert results_of(outcome_of(alone, guest, *many, packs=[1] * len(many))) == [b"x 1 %d" % number] * len(many)
        assert keeps_image(worker)
