"""The driver between events and decisions."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pangea.compute.model.ids import JobId
from pangea.compute.network.identity import Identity
from pangea.compute.node.tree.driver import Driver
from pangea.compute.orchestrator.core.events import Event, JobCancelled, TimerFired
from pangea.compute.orchestrator.machine import Orchestrator
from pangea.compute.orchestrator.rules.trust import TrustBook
from tests.deadlines import comes_true


class Broken:
    """An orchestrator that can't bear its first event."""

    def __init__(self) -> None:
        self.heard: list[Event] = []

    def handle(self, event: Event, *, now: float) -> list[Any]:
        self.heard.append(event)
        if len(self.heard) == 1:
            raise AssertionError("a bug")
        return []

    def next_timer(self) -> float | None:
        """Once, and long ago."""
        return 0.0 if not any(isinstance(event, TimerFired) for event in self.heard) else None


def driver(core: Broken) -> Driver:
    nothing: Any = SimpleNamespace()
    made = Driver(
        Identity.create(),
        cast(Any, SimpleNamespace(workers=1, adapter="")),
        *(nothing, nothing, nothing),
        trust=TrustBook(),
        proofs=nothing,
        on_end=nothing,
        on_change=nothing,
        on_task=nothing,
        on_kept=nothing,
    )
    made.core = cast(Orchestrator, core)
    return made


def test_a_decision_that_raises_does_not_end_all_decisions() -> None:
    core, first, second = Broken(), JobCancelled(job_id=JobId("1")), JobCancelled(job_id=JobId("2"))

    async def work() -> None:
        node = driver(core)
        with pytest.raises(AssertionError, match="a bug"):
            node.tell(first)
        node.tell(second)

    asyncio.run(work())
    assert core.heard[:2] == [first, second]


def test_after_a_decision_that_raises_the_timer_still_fires() -> None:
    core = Broken()

    async def work() -> None:
        node = driver(core)
        with pytest.raises(AssertionError, match="a bug"):
            node.tell(JobCancelled(job_id=JobId("1")))
        await comes_true(lambda: len(core.heard) > 1)

    asyncio.run(work())
    assert isinstance(core.heard[1], TimerFired)
