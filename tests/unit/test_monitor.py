from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pangea.compute.model.status import NodeInfo
from pangea.compute.node.jobs.jobs import Job, JobBook
from pangea.compute.node.service.metrics import Metrics
from pangea.compute.node.service.monitor import Monitor
from pangea.compute.node.service.node import Node
from pangea.compute.node.storage.records import JobAccepted, JobEnded
from tests.fakes.clock import loop, run

Scene = Callable[[Monitor, Any], Awaitable[None]]


def resting() -> Any:
    """As much of a node as is watched."""
    return SimpleNamespace(
        metrics=Metrics(),
        book=JobBook(),
        peer="12D3",
        engine=SimpleNamespace(workers=4, adapter="", adapter_bytes=0),
        driver=SimpleNamespace(running=0, waiting=0, neighbours=SimpleNamespace(parent=None, children=[])),
        blobs=SimpleNamespace(total_bytes=77),
        lending=SimpleNamespace(words=""),
    )


def watching(scene: Scene) -> None:
    async def all_of_it() -> None:
        node = resting()
        monitor = Monitor(cast(Node, node))
        task = asyncio.create_task(monitor.run())
        await pass_by(0.01)
        await scene(monitor, node)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run(all_of_it())


async def pass_by(seconds: float) -> None:
    done = asyncio.Event()
    loop().call_later(seconds, done.set)
    await done.wait()


def test_a_loop_that_comes_round_is_not_late() -> None:
    async def scene(monitor: Monitor, _node: Any) -> None:
        await pass_by(5)
        assert monitor.stall_ms == pytest.approx(0, abs=1)
        assert monitor.silence <= 0.051

    watching(scene)


def test_the_longest_lateness_is_kept_for_a_minute_then_the_next_longest() -> None:
    async def scene(monitor: Monitor, node: Any) -> None:
        for late in (0.2, 0.7, 0.4, 0.1):
            loop().stall(late)
            await pass_by(10)
        assert monitor.stall_ms == pytest.approx(700, abs=51)
        assert b"pangea_loop_stall_seconds 0.6" in node.metrics.exposition()
        await pass_by(35)
        assert monitor.stall_ms == pytest.approx(400, abs=51)
        await pass_by(60)
        assert monitor.stall_ms == pytest.approx(0, abs=1)

    watching(scene)


def test_silence_is_how_long_the_loop_has_not_come_round() -> None:
    async def scene(monitor: Monitor, _node: Any) -> None:
        loop().stall(3.0)
        assert monitor.silence >= 3.0
        await pass_by(0.1)
        assert monitor.silence < 0.1

    watching(scene)


def test_rates_are_those_of_the_last_ten_seconds() -> None:
    async def scene(monitor: Monitor, node: Any) -> None:
        assert (await monitor.info("me")).rates == {}
        for _ in range(20):
            node.metrics.task_accepted(chunks=6, size_bytes=100, fuel=1_000)
            node.metrics.task_ended("done", 0.5)
            await pass_by(1)
        rates = (await monitor.info("me")).rates
        assert (rates["chunks"], rates["bytes"], rates["fuel"]) == pytest.approx((6, 100, 1_000), rel=0.2)
        assert (rates["tasks"], rates["jobs"]) == pytest.approx((1, 0), rel=0.2)
        await pass_by(12)
        assert set((await monitor.info("me")).rates.values()) == {0.0}

    watching(scene)


def test_load_is_the_share_of_workers_at_work_and_never_more_than_all() -> None:
    async def scene(monitor: Monitor, node: Any) -> None:
        for running, load in ((0, 0.0), (1, 0.25), (4, 1.0), (9, 1.0)):
            node.driver.running = running
            assert monitor.capacity().current_load == load
        capacity = monitor.capacity()
        assert capacity.cpu_cores == 4
        assert capacity.ram_mb == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20

    watching(scene)


def job(name: str, owner: str, state: str = "") -> Job:
    accepted = JobAccepted(job_id=name, owner=owner, name=name, manifest="{}", accepted_at=1.0, bytes_in=1)
    if not state:
        return Job(accepted)
    ended = JobEnded(job_id=name, state=state, ended_at=2.0, body=None, size=0, error="", report="", fuel=5, chunks=1)
    return Job(accepted, ended=ended)


def test_an_owner_sees_counts_of_its_own_jobs_and_its_own_account() -> None:
    async def scene(monitor: Monitor, node: Any) -> None:
        for each in (job("a", "me"), job("b", "me", "complete"), job("c", "me", "complete"), job("d", "other", "failed")):
            node.book.add(each)
        node.book.charge("me", 10)
        node.book.charge("other", 99)
        node.driver.running, node.driver.waiting = 1, 7
        await pass_by(2)
        info = await monitor.info("me")
        assert (info.jobs, info.owner_fuel) == ({"pending": 1, "complete": 2}, 10)
        assert ((await monitor.info("other")).jobs, (await monitor.info("stranger")).jobs) == ({"failed": 1}, {})
        assert (info.tasks, info.stored_bytes, info.peer_id) == ({"running": 1, "waiting": 7}, 77, "12D3")
        assert info.uptime == pytest.approx(2, abs=0.1)
        assert NodeInfo.from_json(json.loads(json.dumps(info.to_json()))) == info

    watching(scene)
