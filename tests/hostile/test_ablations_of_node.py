"""One test for each safeguard of the node, that goes red when it is taken out: quotas, sizes, owners."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Awaitable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from pangea.compute.engine.engine import Engine
from pangea.compute.model.errors import (
    BadModuleError,
    InputError,
    ManifestError,
    NotDoneError,
    PangeaError,
    QuotaError,
    UnknownJobError,
)
from pangea.compute.model.ids import JobId
from pangea.compute.model.manifest import Content
from pangea.compute.model.progress import JobState
from pangea.compute.model.status import JobPage
from pangea.compute.network.rpc.service import BLOCK_BYTES
from pangea.compute.node.service import node as node_module
from tests.deadlines import comes_true
from tests.desk import SECONDS, Desk, Play, job, named, player, send

LARGE = bytes(range(256)) * 4_000  # of another size than anything else: a blob
LARGE_NAME = sha256(LARGE).hexdigest()


@pytest.fixture
def play(tmp_path: Path, engine: Engine) -> Play:
    """Play a scene at a node in the same folder each time: twice is a restart."""
    return player(tmp_path, engine)


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Accepted jobs wait, as they do behind five hundred others."""
    monkeypatch.setattr(node_module, "ACTIVE_JOBS_MAX", 0)


# Quotas.


@pytest.mark.usefixtures("waiting")
def test_an_owner_has_no_more_unfinished_jobs_than_it_may(play: Play) -> None:
    async def scene(on: Desk) -> None:
        first = await on.me.submit(job())
        await on.me.submit(job())
        with pytest.raises(QuotaError, match="uid:1 has 2 unfinished jobs on this node, the most it may have"):
            await on.me.submit(job())
        await on.other.submit(job())
        assert await on.me.cancel(first)
        await comes_true(lambda: len(on.node.book.unfinished("uid:1")) == 1)
        await on.me.submit(job())

    play(scene, jobs_per_owner_max=2)


@pytest.mark.usefixtures("waiting")
def test_a_restart_does_not_forget_what_an_owner_has(play: Play) -> None:
    async def before(on: Desk) -> None:
        await on.me.submit(job())
        await on.me.submit(job(b"12345"))

    async def after(on: Desk) -> None:
        with pytest.raises(QuotaError, match="2 unfinished jobs"):
            await on.me.submit(job())

    play(before, jobs_per_owner_max=2)
    play(after, jobs_per_owner_max=2)


@pytest.mark.usefixtures("waiting")
def test_all_owners_together_have_no_more_jobs_than_the_node_takes(play: Play) -> None:
    async def scene(on: Desk) -> None:
        for number in range(3):
            await on.caller(f"uid:{number}").submit(job())
        with pytest.raises(QuotaError, match="this node has 3 unfinished jobs, the most it takes"):
            await on.caller("uid:9").submit(job())

    play(scene, jobs_max=3)


@pytest.mark.usefixtures("waiting")
def test_an_owner_brings_no_more_bytes_than_it_may_in_jobs_and_uploads_together(play: Play) -> None:
    async def scene(on: Desk) -> None:
        await on.me.submit(job(bytes(600)))
        with pytest.raises(QuotaError, match=r"500 bytes more would be 1\.1 KiB of input for uid:1; this node holds 1,000 bytes"):
            await on.me.submit(job(bytes(500)))
        with pytest.raises(QuotaError, match="this node holds"):
            await on.me.upload(LARGE_NAME, 401)
        upload = await on.me.upload(LARGE_NAME, 300)
        assert upload is not None
        with pytest.raises(QuotaError, match="this node holds"):
            await on.me.submit(job(bytes(101)))
        await upload.abort()
        await on.me.submit(job(bytes(101)))
        await on.other.submit(job(bytes(1000)))

    play(scene, bytes_per_owner_max=1_000)


def zeros(buffer: memoryview) -> None:
    buffer[:] = bytes(len(buffer))


@pytest.mark.usefixtures("waiting")
def test_what_comes_in_a_stream_counts_while_it_comes(play: Play) -> None:
    async def scene(on: Desk) -> None:
        gate, begun = threading.Event(), threading.Event()

        def slowly(buffer: memoryview) -> None:
            begun.set()
            assert gate.wait(SECONDS)
            zeros(buffer)

        coming = asyncio.ensure_future(on.me.receive(600, slowly))
        await comes_true(begun.is_set)
        for ask in (on.me.receive(500, zeros), on.me.submit(job(bytes(500))), on.me.upload(LARGE_NAME, 500)):
            with pytest.raises(QuotaError, match="this node holds 1,000 bytes"):
                await ask
        await on.other.receive(500, zeros)
        gate.set()
        assert await coming == sha256(bytes(600)).hexdigest()
        with pytest.raises(QuotaError, match="this node holds 1,000 bytes"):
            await on.me.receive(500, zeros)  # it waits for its job, and counts
        await on.me.submit(named(bytes(600)))
        await on.me.receive(400, zeros)
        assert on.node.admission.quotas.bytes_of("uid:1") == 1_000

    play(scene, bytes_per_owner_max=1_000)


def test_what_came_in_a_stream_is_kept_for_a_job_that_comes_soon(play: Play) -> None:
    async def scene(on: Desk) -> None:
        name = await on.me.receive(100_000, zeros)
        on.node.blobs.collect(on.node.needed(), older_than=0.0, now=time.monotonic() + 100.0)
        assert on.node.blobs.has(name)
        job_id = await on.me.submit(named(bytes(100_000)))
        assert (await on.done(job_id)).data == bytes(100_000)

    play(scene)


def test_an_owner_uses_no_more_fuel_than_it_may_over_restarts(play: Play) -> None:
    async def before(on: Desk) -> None:
        await on.done(await on.me.submit(job()))
        assert on.node.book.fuel["uid:1"] > 0

    async def after(on: Desk) -> None:
        used = on.node.book.fuel["uid:1"]
        with pytest.raises(QuotaError, match=f"uid:1 has used {used:,} fuel of the 1 it may use"):
            await on.me.submit(job())
        with pytest.raises(QuotaError, match="fuel of the 1"):
            await on.me.rerun((await on.me.job_page()).jobs[0].job_id)
        await on.other.submit(job())

    play(before, fuel_per_owner_max=1)
    play(after, fuel_per_owner_max=1)


# Sizes and kinds.


def test_a_block_that_is_read_is_no_larger_than_a_block(play: Play) -> None:
    async def scene(on: Desk) -> None:
        job_id = await on.me.submit(job(LARGE))
        assert (await on.done(job_id)).size == len(LARGE)
        for offset, count in ((0, BLOCK_BYTES + 1), (-1, 10), (0, -1)):
            with pytest.raises(InputError, match="was asked for; it may have 1,048,576 at most"):
                await on.me.read_result(job_id, offset, count)
        assert await on.me.read_result(job_id, len(LARGE) - 5, BLOCK_BYTES) == LARGE[-5:]
        assert await on.me.read_result(job_id, len(LARGE), 10) == b""
        assert await on.me.read_result(job_id, 1 << 40, 10) == b""

    play(scene)


def test_a_block_that_is_sent_is_no_larger_than_a_block_and_all_no_more_than_was_announced(play: Play) -> None:
    async def scene(on: Desk) -> None:
        upload = await on.me.upload("a" * 64, 10 * BLOCK_BYTES)
        assert upload is not None
        with pytest.raises(QuotaError, match="it may have 1,048,576 at most"):
            await upload.write(bytes(BLOCK_BYTES + 1))
        await upload.abort()
        small = await on.me.upload("b" * 64, 5)
        assert small is not None
        await small.write(b"1234")
        with pytest.raises(InputError, match="6 bytes came; 5 were announced"):
            await small.write(b"56")
        with pytest.raises(InputError, match="this upload is over"):
            await small.write(b"5")
        assert on.node.admission.quotas.bytes_of("uid:1") == 0

    play(scene)


def test_content_is_what_its_hash_says_or_isnt_kept(play: Play) -> None:
    async def scene(on: Desk) -> None:
        upload = await on.me.upload("c" * 64, 4)
        assert upload is not None
        await upload.write(b"1234")
        with pytest.raises(InputError, match="announced were 4 with c"):
            await upload.finish()
        assert on.node.blobs.names() == []
        assert on.node.admission.quotas.bytes_of("uid:1") == 0

    play(scene)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"module": Content(b"junk")}, BadModuleError, "neither a WebAssembly module nor a job archive"),
        ({"module": Content(b"")}, BadModuleError, "neither a WebAssembly module nor a job archive"),
        ({"module": Content(sha256="d" * 64, size=4)}, ManifestError, "the node has no module"),
        ({"module": Content(path="/etc/shadow")}, ManifestError, "names the file '/etc/shadow' of another machine"),
        ({"inputs": (Content(path="/etc/shadow"),)}, ManifestError, "names the file '/etc/shadow' of another machine"),
        ({"inputs": (Content(sha256="d" * 64, size=4),)}, ManifestError, "the node has no content"),
        ({"inputs": (Content(sha256=LARGE_NAME, size=4),)}, ManifestError, "the node has no content"),
    ],
)
def test_what_can_t_be_run_is_refused_and_leaves_no_job(
    play: Play, change: dict[str, Any], error: type[PangeaError], message: str
) -> None:
    async def scene(on: Desk) -> None:
        await send(on.me, LARGE)
        with pytest.raises(error, match=message):
            await on.me.submit(replace(job(), **change))
        assert (len(on.node.book), on.node.journal.load()) == (0, [])

    play(scene)


# Owners.


def test_nobody_else_sees_touches_or_reads_a_job(play: Play) -> None:
    async def scene(on: Desk) -> None:
        job_id = await on.me.submit(job(b"secret"))
        assert (await on.done(job_id)).data == b"secret"
        asks: list[Awaitable[Any]] = [
            on.other.status(job_id),
            on.other.outcome(job_id, 1.0),
            on.other.read_result(job_id, 0, 10),
            on.other.cancel(job_id),
            on.other.explain(job_id),
            on.other.rerun(job_id),
            anext(on.other.watch(job_id)),
        ]
        for ask in asks:
            with pytest.raises(UnknownJobError, match=f"no job '{job_id}' of yours on this node"):
                await ask
        for ask in (on.other.status(JobId("none")), on.me.status(JobId("none"))):  # as if there were none
            with pytest.raises(UnknownJobError, match="no job 'none' of yours on this node"):
                await ask
        assert await on.other.job_page() == await on.other.job_page(job_id) == JobPage()
        assert [status.job_id for status in (await on.me.job_page()).jobs] == [job_id]
        assert ((await on.other.info()).jobs, (await on.other.info()).owner_fuel) == ({}, 0)

    play(scene)


@pytest.mark.usefixtures("waiting")
def test_nobody_else_cancels_a_job_that_waits(play: Play) -> None:
    async def scene(on: Desk) -> None:
        job_id = await on.me.submit(job())
        with pytest.raises(UnknownJobError):
            await on.other.cancel(job_id)
        assert (await on.me.status(job_id)).state is JobState.PENDING

    play(scene)


def test_a_restart_gives_nobody_another_s_result(play: Play) -> None:
    ids: list[JobId] = []

    async def before(on: Desk) -> None:
        ids.append(await on.me.submit(job(b"secret")))
        await on.done(ids[0])

    async def after(on: Desk) -> None:
        with pytest.raises(UnknownJobError):
            await on.other.outcome(ids[0], 1.0)
        assert (await on.me.outcome(ids[0], 1.0)).data == b"secret"

    play(before)
    play(after)


@pytest.mark.usefixtures("waiting")
def test_a_job_that_goes_on_has_no_result_to_read(play: Play) -> None:
    async def scene(on: Desk) -> None:
        job_id = await on.me.submit(job())
        with pytest.raises(NotDoneError, match="is pending: it has no result"):
            await on.me.read_result(job_id, 0, 1)
        await on.me.cancel(job_id)
        await comes_true(lambda: not on.node.book.unfinished())
        with pytest.raises(NotDoneError, match="is cancelled: it has no result"):
            await on.me.read_result(job_id, 0, 1)

    play(scene)


# Twice is once.


def test_the_same_job_twice_is_one_job(play: Play) -> None:
    async def scene(on: Desk) -> None:
        manifest = job()
        assert await on.me.submit(manifest) == await on.me.submit(manifest) == manifest.job_id
        await on.done(JobId(manifest.job_id))
        used = on.node.book.fuel["uid:1"]
        assert await on.me.submit(manifest) == manifest.job_id
        assert (len(on.node.book), on.node.book.fuel["uid:1"]) == (1, used)

    play(scene)


def test_an_id_is_one_job_s_and_one_owner_s(play: Play) -> None:
    async def scene(on: Desk) -> None:
        manifest = job()
        await on.me.submit(manifest)
        with pytest.raises(ManifestError, match="there is another job"):
            await on.me.submit(job(b"other", job_id=manifest.job_id))

    play(scene)


@pytest.mark.parametrize("is_there", [True, False])
def test_a_stranger_is_told_the_same_whether_an_id_is_another_s_or_nobody_s(play: Play, is_there: bool) -> None:
    mine, others = job(b"mine"), job(b"others")
    others = others.with_job_id(mine.job_id)
    given = JobId(mine.job_id)

    async def scene(on: Desk) -> None:
        stranger = on.caller("a peer")
        if is_there:
            await on.me.submit(mine)
        assert await stranger.submit(others) == given
        assert await stranger.submit(others) == given
        with pytest.raises(ManifestError, match="there is another job"):
            await stranger.submit(mine)
        ended = await stranger.outcome(given, SECONDS)
        assert (ended.data, ended.status.job_id) == (b"others", given)
        told = [await stranger.explain(given), await stranger.tree(given), ended.report]
        (inner,) = [each.id for each in on.node.book if each.owner == "a peer"]
        assert inner not in json.dumps(told)
        assert [status.job_id for status in (await stranger.job_page(given[:8])).jobs] == [given]
        assert not await stranger.cancel(given)
        if is_there:
            assert (await on.done(given)).data == b"mine"

    async def after(on: Desk) -> None:
        stranger = on.caller("a peer")
        assert (await stranger.outcome(given, SECONDS)).data == b"others"
        assert await stranger.submit(others) == given
        assert await stranger.rerun(given) != given
        with pytest.raises(ManifestError, match="there is another job"):
            await stranger.submit(mine)

    play(scene)
    play(after)


def test_the_same_job_after_a_restart_is_the_one_that_is_there(play: Play) -> None:
    manifest = replace(job(), inputs=(Content(LARGE),))

    async def before(on: Desk) -> None:
        await on.done(await on.me.submit(manifest))

    async def after(on: Desk) -> None:
        assert await on.me.submit(manifest) == manifest.job_id
        assert (await on.me.status(JobId(manifest.job_id))).state is JobState.COMPLETE
        assert len(on.node.book) == 1

    play(before)
    play(after)
