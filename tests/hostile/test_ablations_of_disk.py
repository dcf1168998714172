"""One test for each safeguard of what a node keeps on disk, that goes red when it is taken out."""

from __future__ import annotations

import asyncio
from hashlib import sha256
from pathlib import Path

import pytest

from pangea.compute.engine.engine import Engine
from pangea.compute.model.errors import InputError, QuotaError, UnknownJobError
from pangea.compute.model.ids import JobId
from pangea.compute.model.progress import JobState
from pangea.compute.node.service import node as node_module
from tests.deadlines import comes_true
from tests.desk import Desk, Play, job, named, player, send, spoil

LARGE = bytes(range(256)) * 4_000  # of another size than anything else: a blob
LARGE_NAME = sha256(LARGE).hexdigest()


@pytest.fixture
def play(tmp_path: Path, engine: Engine) -> Play:
    """Play a scene at a node in the same folder each time: twice is a restart."""
    return player(tmp_path, engine)


# On disk before it is accepted.


def test_nobody_hears_of_a_job_and_nothing_of_it_runs_before_it_is_on_disk(play: Play) -> None:
    async def scene(on: Desk) -> None:
        on.journal.gate.clear()
        manifest = job()
        accepting = asyncio.ensure_future(on.me.submit(manifest))
        await comes_true(lambda: on.node.book.get(manifest.job_id) is not None)
        assert on.node.journal.load() == []
        assert not accepting.done()
        known = on.node.book.get(manifest.job_id)
        assert known is not None
        assert known.live is None
        on.journal.gate.set()
        job_id = await accepting
        assert [stored.accepted.job_id for stored in on.node.journal.load()] == [job_id]
        assert (await on.done(job_id)).data == b"hello"

    play(scene)


def test_a_job_that_the_disk_does_not_take_is_none(play: Play) -> None:
    async def scene(on: Desk) -> None:
        manifest = job()
        on.journal.failure = QuotaError("the node's disk is full")
        with pytest.raises(QuotaError, match="disk is full"):
            await on.me.submit(manifest)
        with pytest.raises(UnknownJobError):
            await on.me.status(JobId(manifest.job_id))
        assert on.node.book.unfinished() == []
        on.journal.failure = None
        assert (await on.done(await on.me.submit(manifest))).data == b"hello"

    play(scene)


# What lay on the disk while the node was down.


def test_a_damaged_result_is_never_given_away(play: Play, tmp_path: Path) -> None:
    ids: list[JobId] = []

    async def before(on: Desk) -> None:
        ids.append(await on.me.submit(job(LARGE)))
        await on.done(ids[0])

    async def after(on: Desk) -> None:
        with pytest.raises(InputError, match=f"{LARGE_NAME} is damaged on the node's disk"):
            await on.me.read_result(ids[0], 0, 10)
        with pytest.raises(InputError, match=f"{LARGE_NAME} isn't on the node's disk any more"):
            await on.me.outcome(ids[0], 1.0)

    play(before)
    spoil(tmp_path, LARGE_NAME)
    play(after)


def test_a_result_that_is_cut_off_while_the_node_runs_is_noticed(play: Play, tmp_path: Path) -> None:
    async def scene(on: Desk) -> None:
        job_id = await on.me.submit(job(LARGE))
        await on.done(job_id)
        path = on.node.blobs.path(LARGE_NAME)
        path.write_bytes(path.read_bytes()[:1_000])
        assert await on.me.read_result(job_id, 0, 1_000) == LARGE[:1_000]
        with pytest.raises(InputError, match="is damaged"):
            await on.me.read_result(job_id, 0, 1_001)

    play(scene)


def test_damaged_content_is_not_taken_for_what_a_client_would_send(play: Play, tmp_path: Path) -> None:
    async def before(on: Desk) -> None:
        assert await send(on.me, LARGE)
        assert not await send(on.me, LARGE)

    async def after(on: Desk) -> None:
        assert await send(on.me, LARGE)
        job_id = await on.me.submit(named(LARGE))
        assert (await on.done(job_id)).data == LARGE

    play(before)
    spoil(tmp_path, LARGE_NAME)
    play(after)


def test_no_job_is_computed_from_damaged_content(play: Play, tmp_path: Path) -> None:
    ids: list[JobId] = []

    async def before(on: Desk) -> None:
        ids.append(await on.me.submit(job(LARGE)))
        await on.done(ids[0])

    async def submit(on: Desk) -> None:
        with pytest.raises(InputError, match="is damaged on the node's disk"):
            await on.me.submit(named(LARGE))

    async def rerun(on: Desk) -> None:
        with pytest.raises(InputError, match="is damaged on the node's disk"):
            await on.me.rerun(ids[0])

    for after in (submit, rerun):
        play(before)
        spoil(tmp_path, LARGE_NAME)
        play(after)
        ids.clear()


def test_a_job_that_waited_through_a_restart_is_not_computed_from_damaged_content(
    play: Play, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids: list[JobId] = []

    async def before(on: Desk) -> None:
        ids.append(await on.me.submit(job(LARGE)))

    async def after(on: Desk) -> None:
        outcome = await on.done(ids[0])
        assert outcome.status.state is JobState.FAILED
        assert "is damaged on the node's disk" in outcome.status.error["message"]

    with monkeypatch.context() as patch:
        patch.setattr(node_module, "ACTIVE_JOBS_MAX", 0)
        play(before)
    spoil(tmp_path, LARGE_NAME)
    play(after)
