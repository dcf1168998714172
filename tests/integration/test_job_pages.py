"""Lists of jobs and of tasks in pages: never cut without saying of how many."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from pangea.compute.engine.engine import Engine
from pangea.compute.model.errors import UnknownTaskError
from pangea.compute.model.manifest import Content
from pangea.compute.model.options import JobOptions
from tests.deadlines import comes_true
from tests.desk import Desk, Play, job, player
from tests.guests import LOOP, module


@pytest.fixture
def play(tmp_path: Path, engine: Engine) -> Play:
    return player(tmp_path, engine)


def test_jobs_come_in_pages_with_how_many_there_are(play: Play) -> None:
    async def scene(on: Desk) -> None:
        ids = [await on.me.submit(job()) for _ in range(5)]
        await asyncio.gather(*map(on.done, ids))
        latest = [*reversed(ids)]
        page = await on.me.job_page(limit=2, offset=1)
        assert ([status.job_id for status in page.jobs], page.total) == (latest[1:3], 5)
        assert (await on.me.job_page(offset=5)).jobs == ()
        assert (await on.me.job_page(state="complete", limit=1)).total == 5
        assert (await on.me.job_page(state="failed")).total == 0
        assert (await on.other.job_page()).total == 0

    play(scene)


def test_unfinished_tasks_come_in_pages_and_one_by_name(play: Play) -> None:
    async def scene(on: Desk) -> None:
        options = JobOptions.of({"limits": {"fuel": 10**14}})
        job_id = await on.me.submit(replace(job(), module=Content(module(execute=LOOP)), options=options))
        await comes_true(lambda: on.node.driver.running > 0)
        whole = await on.me.explain(job_id)
        assert whole["total"] == len(whole["tasks"]) == sum(whole["counts"].values()) > 0
        assert (await on.me.explain(job_id, offset=whole["total"]))["tasks"] == []
        name = whole["tasks"][0]["task_id"]
        assert [task["task_id"] for task in (await on.me.explain(job_id, task=name))["tasks"]] == [name]
        with pytest.raises(UnknownTaskError, match="no task 'other'"):
            await on.me.explain(job_id, task="other")
        await on.me.cancel(job_id)

    play(scene)
