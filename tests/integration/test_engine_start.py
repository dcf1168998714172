"""An engine may start one process at first: the others come when a task waits for them, and the end finds all."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from pangea.compute.engine.engines import embedded
from pangea.compute.engine.engines.local import LocalEngine
from tests import guests
from tests.deadlines import until, workers_of
from tests.guests import module
from tests.runs import module_guest, outcome_of, results_of, task_of


@pytest.fixture
def lazy() -> Iterator[LocalEngine]:
    engine = LocalEngine(workers=3, at_once=1)
    yield engine
    engine.close()


class Patience(threading.Event):
    """An engine's wait for its end that lasts until a test lets it go on, so no machine is too busy to be in time."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.over = threading.Semaphore(0), threading.Semaphore(0)

    def wait(self, timeout: float | None = None) -> bool:
        self.begun.release()
        self.over.acquire()
        return self.is_set()

    def set(self) -> None:
        super().set()
        self.over.release()


def test_a_task_that_is_taken_in_time_starts_no_process(engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    assert engine.workers >= 1
    before = workers_of(os.getpid())
    with closing(LocalEngine(workers=2, at_once=1)) as lazy:
        patience = Patience()
        monkeypatch.setattr(lazy, "_closing", patience)
        guest = module_guest(lazy, module())
        assert results_of(outcome_of(lazy, guest, b"0")) == [b"0"]
        assert patience.begun.acquire(timeout=60)  # the task has made the second process's thread look after it
        patience.over.release()  # its time is over, and nothing waits
        lazy._crowd.set()
        assert patience.begun.acquire(timeout=60)  # it looks again: so it has started nothing after its first look
        assert lazy.workers == 2
        assert len(workers_of(os.getpid()) - before) == 1


def test_tasks_that_wait_get_all_the_processes_there_may_be(lazy: LocalEngine) -> None:
    guest = module_guest(lazy, module(guests.BURN), fuel=10**15, time=60)
    futures = [lazy.submit(task_of(guest, b"x")) for _ in range(3)]
    until(lambda: len(lazy.pids()) == 3, seconds=60, what="the third process")
    assert not any(each.done() for each in futures)
    lazy.cancel(futures)


def test_one_that_nobody_has_needed_ends_at_once() -> None:
    before = workers_of(os.getpid())
    LocalEngine(workers=3, at_once=1).close()
    until(lambda: workers_of(os.getpid()) == before)
    assert workers_of(os.getpid()) == before


def test_an_engine_that_was_begun_is_the_one_that_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "_engine", None)
    monkeypatch.setattr(embedded, "_is_new", False)
    embedded.begin()
    until(lambda: embedded._engine is not None, seconds=60)
    first, was_new = embedded.engine(1)
    try:
        assert was_new  # whoever asks first is told that it was started for them
        assert embedded.engine() == (first, False)
    finally:
        first.close()
