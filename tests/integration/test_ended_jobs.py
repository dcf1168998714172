"""Jobs that have ended: once, for everybody who asks; most of what they left is on disk alone."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from pangea.compute.engine.engine import Engine
from pangea.compute.model.errors import InputError, UnknownJobError
from pangea.compute.model.ids import JobId
from pangea.compute.model.manifest import Content, JobManifest
from pangea.compute.model.options import JobOptions
from pangea.compute.model.progress import JobState
from pangea.compute.model.status import JobOutcome
from pangea.compute.network.rpc.service import BLOCK_BYTES
from pangea.compute.node.jobs import forgetting
from pangea.compute.node.jobs import jobs as jobs_module
from pangea.compute.node.jobs.jobs import Job
from pangea.compute.node.service import node as node_module
from pangea.compute.node.storage import memory
from tests.deadlines import comes_true
from tests.desk import Desk, Play, job, player
from tests.guests import LOOP, module

#: Results of each kind: in memory for a while, in the journal's row, in a blob and inside an answer, in a blob and in blocks.
RESULTS = (b"", b"few", b"row" * 5_000, b"blob" * 50_000, bytes(range(250)) * 10_000)


@pytest.fixture
def play(tmp_path: Path, engine: Engine) -> Play:
    return player(tmp_path, engine)


@pytest.fixture
def slim(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that is on disk stays in memory."""
    monkeypatch.setattr(jobs_module, "RECENT_MAX", 0)


def hanging() -> JobManifest:
    return replace(job(), module=Content(module(execute=LOOP)), options=JobOptions.of({"limits": {"fuel": 10**14}}))


def known(on: Desk, job_id: JobId) -> Job:
    found = on.node.book.get(job_id)
    assert found is not None
    return found


async def result_of(on: Desk, job_id: JobId) -> bytes:
    outcome = await on.done(job_id)
    assert outcome.status.state is JobState.COMPLETE, outcome.status.error
    assert outcome.report is not None
    blocks = [await on.me.read_result(job_id, at, BLOCK_BYTES) for at in range(0, outcome.size, BLOCK_BYTES)]
    whole = b"".join(blocks)
    assert outcome.data in (None, whole)
    return whole


@pytest.mark.usefixtures("slim")
def test_a_result_that_has_left_memory_is_read_in_blocks_or_whole(play: Play) -> None:
    async def scene(on: Desk) -> None:
        for data in RESULTS:
            job_id = await on.me.submit(job(data))
            assert await result_of(on, job_id) == data
            ended = known(on, job_id).ended
            assert ended is not None
            assert known(on, job_id).is_slim
            assert (ended.report, ended.body and ended.body.data) == ("", None)
            assert await on.me.read_result(job_id, 1, 7) == data[1:8]

    play(scene)


def test_of_too_many_those_that_ended_first_are_forgotten_and_not_those_that_began_first(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forgetting, "ASKED_FOR_SECONDS", -1.0)

    async def scene(on: Desk) -> None:
        long = await on.me.submit(hanging())
        short = [await on.me.submit(job(data)) for data in RESULTS[:2]]
        for each in short:
            await result_of(on, each)
        await on.me.cancel(long)
        await on.done(long)
        on.node._forget_old()
        assert on.node.book.get(long) is not None
        assert [on.node.book.get(each) for each in short] == [None, None]

    play(scene, kept_jobs_max=1)


def test_what_ended_long_ago_leaves_memory_and_what_ended_just_now_stays(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs_module, "RECENT_MAX", 2)

    async def scene(on: Desk) -> None:
        ids = [await on.me.submit(job(b"%d" % number)) for number in range(4)]
        for number, job_id in enumerate(ids):
            assert await result_of(on, job_id) == b"%d" % number
        assert sorted(known(on, job_id).is_slim for job_id in ids) == [False, False, True, True]

    play(scene)


def test_ended_jobs_are_after_a_restart_what_they_were(play: Play) -> None:
    ids: list[JobId] = []
    outcomes: list[JobOutcome] = []

    async def before(on: Desk) -> None:
        ids.extend([await on.me.submit(job(data)) for data in RESULTS])
        ids.append(await on.me.submit(replace(job(), module=Content(module(execute="unreachable")))))
        outcomes.extend([await on.done(job_id) for job_id in ids])
        assert outcomes[-1].status.state is JobState.FAILED

    async def after(on: Desk) -> None:
        assert [await on.done(job_id) for job_id in ids] == outcomes
        for job_id, data in zip(ids, RESULTS, strict=False):
            assert await result_of(on, job_id) == data
            assert not await on.me.cancel(job_id)
        assert on.node.book.unfinished() == []

    play(before)
    play(after)
    play(after)


@pytest.mark.usefixtures("slim")
@pytest.mark.parametrize("column", ["report", "data", "size"])
def test_an_ended_job_whose_record_is_damaged_has_no_result_and_others_have(play: Play, tmp_path: Path, column: str) -> None:
    async def scene(on: Desk) -> None:
        damaged, whole = [await on.me.submit(job(data)) for data in (b"damaged", b"whole")]
        for job_id in (damaged, whole):
            await on.done(job_id)
        with closing(sqlite3.connect(tmp_path / "journal.sqlite", isolation_level=None)) as database:
            database.execute(f"UPDATE ends SET {column} = '9' WHERE job_id = ?", (damaged,))
        for ask in (on.me.outcome(damaged, 1.0), on.me.read_result(damaged, 0, 10)):
            with pytest.raises(UnknownJobError, match=f"no end of job {damaged}, or it is damaged there"):
                await ask
        assert await result_of(on, whole) == b"whole"

    play(scene)


def test_a_row_s_result_that_is_damaged_while_the_node_is_down_is_never_given_away(play: Play, tmp_path: Path) -> None:
    ids: list[JobId] = []

    async def before(on: Desk) -> None:
        ids.append(await on.me.submit(job(b"row" * 5_000)))
        await on.done(ids[0])

    async def after(on: Desk) -> None:
        for ask in (on.me.outcome(ids[0], 1.0), on.me.read_result(ids[0], 0, 10)):
            with pytest.raises(UnknownJobError, match="or it is damaged there"):
                await ask

    play(before)
    with closing(sqlite3.connect(tmp_path / "journal.sqlite", isolation_level=None)) as database:
        database.execute("UPDATE ends SET data = ? WHERE job_id = ?", (b"raw" * 5_000, ids[0]))
    play(after)


@pytest.mark.usefixtures("slim")
def test_a_blob_that_is_gone_is_an_error_that_says_so(play: Play) -> None:
    async def scene(on: Desk) -> None:
        job_id = await on.me.submit(job(b"blob" * 50_000))
        await on.done(job_id)
        ended = known(on, job_id).ended
        assert ended is not None
        assert ended.body is not None
        on.node.blobs.delete(ended.body.blob)
        with pytest.raises(InputError, match="isn't on the node's disk any more"):
            await on.me.outcome(job_id, 1.0)

    play(scene)


def test_a_node_gives_memory_back_when_it_has_nothing_to_do(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[int] = []
    monkeypatch.setattr(memory, "give_back", lambda: given.append(1))

    async def scene(on: Desk) -> None:
        await comes_true(lambda: given)  # as it starts
        given.clear()
        job_id = await on.me.submit(hanging())
        await comes_true(lambda: on.node.driver.running)
        await on.node._collect()
        assert given == []
        await on.me.cancel(job_id)
        await on.node._collect()
        assert given == [1]

    play(scene)


# Cancelled.


def ends(on: Desk) -> list[str]:
    return [stored.ended.state for stored in on.node.journal.load() if stored.ended is not None]


def test_whoever_has_cancelled_a_job_finds_it_cancelled(play: Play) -> None:
    async def scene(on: Desk) -> None:
        job_id = await on.me.submit(hanging())
        await comes_true(lambda: on.node.driver.running)
        assert await on.me.cancel(job_id)
        assert (await on.me.status(job_id)).state is JobState.CANCELLED
        assert ends(on) == ["cancelled"]
        assert not await on.me.cancel(job_id)

    play(scene)


def test_a_job_that_is_cancelled_by_several_at_once_ends_once(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_module, "ACTIVE_JOBS_MAX", 1)

    async def scene(on: Desk) -> None:
        first, second = [await on.me.submit(job(data)) for data in (b"one", b"two")]
        answers = await asyncio.gather(*(on.me.cancel(job_id) for job_id in (second, second, first, first)))
        assert sum(answers[:2]) == 1
        assert await result_of(on, await on.me.submit(job(b"three"))) == b"three"
        assert len(ends(on)) == 3
        assert on.node._active == 0

    play(scene)


def test_a_job_that_is_cancelled_on_its_way_to_disk_stays_cancelled(play: Play) -> None:
    manifest = job()
    job_id = JobId(manifest.job_id)

    async def scene(on: Desk) -> None:
        on.journal.gate.clear()
        accepting = asyncio.ensure_future(on.me.submit(manifest))
        await comes_true(lambda: on.node.book.get(job_id) is not None)
        cancelling = asyncio.ensure_future(on.me.cancel(job_id))
        await asyncio.wait([cancelling], timeout=0.05)
        on.journal.gate.set()
        assert (await accepting, await cancelling) == (job_id, True)
        assert (await on.me.status(job_id)).state is JobState.CANCELLED

    async def after(on: Desk) -> None:
        assert (await on.me.status(job_id)).state is JobState.CANCELLED

    play(scene)
    play(after)
