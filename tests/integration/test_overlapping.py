"""Calls that overlap or are cut off: what they take is taken once, and given back on every way out."""

from __future__ import annotations

import asyncio
import functools
import os
from collections.abc import Awaitable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from pangea.compute.engine.engine import Engine
from pangea.compute.model.errors import ManifestError, PangeaError, QuotaError
from pangea.compute.model.ids import JobId
from pangea.compute.model.manifest import Content
from pangea.compute.network.rpc.service import BLOCK_BYTES
from pangea.compute.node.jobs.starting import prepare_job
from pangea.compute.node.service import node as node_module
from pangea.compute.node.storage import journal as journal_module
from tests.deadlines import comes_true
from tests.desk import SECONDS, Desk, Play, job, named, player, send


@pytest.fixture
def play(tmp_path: Path, engine: Engine) -> Play:
    return player(tmp_path, engine)


async def outcomes(work: list[Awaitable[Any]]) -> list[Any]:
    """What each came to, errors included."""
    return await asyncio.gather(*work, return_exceptions=True)


def unnamed_files() -> int:
    """Open files without a name: uploads under way, mostly."""
    links = [os.path.join("/proc/self/fd", each) for each in os.listdir("/proc/self/fd")]
    return sum("blobs" in os.readlink(each) for each in links if os.path.islink(each))


def test_forty_submits_at_once_get_no_more_places_than_their_owner_has(play: Play) -> None:
    async def scene(on: Desk) -> None:
        on.journal.gate.clear()  # none is on disk before all have asked
        asked = asyncio.gather(*(on.me.submit(job()) for _ in range(40)), return_exceptions=True)
        await comes_true(lambda: len(on.node.book.unfinished()) == 2)
        on.journal.gate.set()
        taken = [each for each in await asked if not isinstance(each, BaseException)]
        assert len(taken) == 2
        for each in taken:
            await on.done(each)
        assert len([await on.me.submit(job()), await on.me.submit(job())]) == 2

    play(scene, jobs_per_owner_max=2)


def test_submits_with_one_id_are_one_job_however_they_overlap(play: Play) -> None:
    async def scene(on: Desk) -> None:
        jobs = [job(os.urandom(200_000 if number % 2 else 100)) for number in range(20)]
        ids = await asyncio.gather(*(on.me.submit(each) for each in jobs for _ in range(4)))
        assert [str(each) for each in ids] == [each.job_id for each in jobs for _ in range(4)]
        for each in jobs:
            ended = await on.done(ids[4 * jobs.index(each)])
            got = ended.data if ended.data is not None else await on.me.read_result(ended.status.job_id, 0, BLOCK_BYTES)
            assert got == each.inputs[0].data
        await comes_true(lambda: on.node._active == 0)
        assert on.node.admission.quotas.bytes_of("uid:1") == 0

    play(scene)


def test_another_job_under_an_id_that_is_being_taken_is_refused(play: Play) -> None:
    async def scene(on: Desk) -> None:
        first = job(b"first")
        on.journal.gate.clear()
        asked = asyncio.ensure_future(on.me.submit(first))
        await comes_true(lambda: len(on.node.book) == 1)
        with pytest.raises(ManifestError, match="there is another job"):
            await on.me.submit(job(b"second", job_id=first.job_id))
        others = asyncio.ensure_future(on.other.submit(job(b"other", job_id=first.job_id)))  # is none of its business
        await comes_true(lambda: len(on.node.book) == 2)
        on.journal.gate.set()
        assert (await on.done(await asked)).data == b"first"
        assert await others == first.job_id
        assert (await on.other.outcome(JobId(first.job_id), SECONDS)).data == b"other"

    play(scene)


def test_a_job_that_the_disk_refuses_gives_back_all_that_was_taken_for_it(play: Play) -> None:
    async def scene(on: Desk) -> None:
        data = bytes(500)
        assert await send(on.me, data)
        on.journal.failure = QuotaError("the disk is full")
        refused = await outcomes([on.me.submit(each) for each in (named(data), job(bytes(400)))])
        assert [type(each) for each in refused] == [QuotaError, QuotaError]
        assert on.node.admission.quotas.bytes_of("uid:1") == 500  # what was sent waits for its job again
        on.journal.failure = None
        first = await on.me.submit(named(data))
        second = await on.me.submit(job(bytes(500)))
        assert (await on.done(first)).data == data
        await on.done(second)
        assert on.node.admission.quotas.bytes_of("uid:1") == 0

    play(scene, bytes_per_owner_max=1_000, jobs_per_owner_max=2)


def test_uploads_at_once_and_in_turn_hold_no_more_than_their_owner_may(play: Play) -> None:
    async def scene(on: Desk) -> None:
        at_once = await outcomes([send(on.me, os.urandom(400)) for _ in range(12)])
        assert at_once.count(True) == 2
        assert {type(each) for each in at_once if each is not True} == {QuotaError}
        in_turn = await outcomes([send(on.other, os.urandom(400))])
        for _ in range(4):
            in_turn += await outcomes([send(on.other, os.urandom(400))])
        assert in_turn.count(True) == 2

    play(scene, bytes_per_owner_max=1_000)


def test_content_counts_once_whether_it_waits_or_its_job_runs(play: Play) -> None:
    async def scene(on: Desk) -> None:
        data = os.urandom(600)
        assert await send(on.me, data)
        assert not await send(on.me, data)  # it is there, and its owner's
        assert on.node.admission.quotas.bytes_of("uid:1") == 600
        on.journal.gate.clear()
        asked = [asyncio.ensure_future(on.me.submit(named(data))) for _ in range(2)]
        await comes_true(lambda: len(on.node.book) == 1)
        on.journal.gate.set()
        taken = await outcomes(list(asked))
        assert sorted(isinstance(each, QuotaError) for each in taken) == [False, True]  # only one of them can claim it
        await on.done(next(each for each in taken if not isinstance(each, Exception)))
        await on.done(await on.me.submit(named(data)))  # an ended job's content is its owner's still

    play(scene, bytes_per_owner_max=1_000)


@pytest.mark.parametrize("steps", range(8))
def test_who_hangs_up_anywhere_in_an_upload_leaves_no_file_and_no_bytes(play: Play, steps: int) -> None:
    async def upload(on: Desk, data: bytes) -> None:
        upload = await on.me.upload(sha256(data).hexdigest(), len(data))
        assert upload is not None
        try:
            await upload.write(data)
            await upload.finish()
        except asyncio.CancelledError:
            await upload.abort()  # as the adapter does when a connection is gone
            raise

    async def scene(on: Desk) -> None:
        before = unnamed_files()
        for number in range(20):
            work = asyncio.ensure_future(upload(on, b"%d" % number * 100_000))
            for _ in range(steps):
                await asyncio.sleep(0)
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
        held = on.node.admission.quotas.bytes_of
        await comes_true(lambda: unnamed_files() <= before)
        kept = sum(on.node.blobs.size(name) for name in on.node.blobs.names())
        await comes_true(lambda: held("uid:1") == kept)

    play(scene)


def test_a_write_that_is_cut_off_is_over_before_its_file_is_closed(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(on: Desk) -> None:
        data = bytes(10)
        upload = await on.me.upload(sha256(data).hexdigest(), 10)
        assert upload is not None
        order: list[str] = []
        writer = upload._writer  # type: ignore[attr-defined]
        write, abort = writer.write, writer.abort

        def wrote(block: bytes) -> None:
            write(block)
            order.append("written")

        def closed() -> None:
            order.append("closed")
            abort()

        monkeypatch.setattr(writer, "write", wrote)
        monkeypatch.setattr(writer, "abort", closed)
        writing = asyncio.ensure_future(upload.write(data))
        await asyncio.sleep(0)
        writing.cancel()
        await upload.abort()
        assert order == ["written", "closed"]
        assert on.node.admission.quotas.bytes_of("uid:1") == 0

    play(scene)


def test_what_was_sent_ahead_is_its_owner_s_after_a_restart_too_and_counts(play: Play) -> None:
    data = os.urandom(70_000)

    async def before(on: Desk) -> None:
        assert await send(on.me, data)

    async def after(on: Desk) -> None:
        assert on.node.admission.quotas.bytes_of("uid:1") == len(data)
        with pytest.raises(ManifestError, match="the node has no content"):
            await on.other.submit(named(data))
        assert (await on.done(await on.me.submit(named(data)))).status.state.value == "complete"

    async def once_more(on: Desk) -> None:
        assert on.node.admission.quotas.bytes_of("uid:1") == 0  # its mark went with the job

    play(before)
    play(after)
    play(once_more)


def test_an_entry_that_comes_too_late_to_disk_is_taken_back(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk takes a job after its client was told that it doesn't."""
    late = job(b"late")

    async def before(on: Desk) -> None:
        passed, hold = on.journal._pass, asyncio.Event()
        loop = asyncio.get_running_loop()

        def slowly(point: str) -> None:
            if point == "journal before commit" and not hold.is_set():
                asyncio.run_coroutine_threadsafe(hold.wait(), loop).result(SECONDS)
            passed(point)

        monkeypatch.setattr(on.journal, "_pass", slowly)
        monkeypatch.setattr(journal_module, "_APPEND_SECONDS", 0.05)
        with pytest.raises(QuotaError, match="didn't take an entry"):
            await on.me.submit(late)
        hold.set()
        monkeypatch.setattr(journal_module, "_APPEND_SECONDS", 30.0)
        assert on.node.book.get(late.job_id) is None
        assert (await on.done(await on.me.submit(late))).data == b"late"  # and may be submitted again

    async def after(on: Desk) -> None:
        assert [each.job_id for each in (await on.me.job_page()).jobs] == [late.job_id]

    play(before)
    play(after)


def test_a_cancel_between_a_job_s_turn_and_its_beginning_gives_its_slot_back(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(on: Desk) -> None:
        node, begin_more = on.node, on.node._begin_more

        def turn_comes_and_client_cancels() -> None:
            begin_more()
            for each in node.book.unfinished():
                if each.live is None and not each.is_ending:
                    call = node.cancel(each)
                    with pytest.raises(StopIteration):  # as far as it goes without a wait
                        call.send(None)

        monkeypatch.setattr(node.admission, "is_taken", _at_once)
        monkeypatch.setattr(node_module, "_END_SECONDS", 0.0)
        monkeypatch.setattr(node, "_begin_more", turn_comes_and_client_cancels)
        ids = [await on.me.submit(job()) for _ in range(3)]
        assert [(await on.me.outcome(each, SECONDS)).status.state.value for each in ids] == ["cancelled"] * 3
        await comes_true(lambda: node._active == 0)
        assert [each.live for each in node.book] == [None] * 3

    play(scene)


def test_a_job_that_is_prepared_while_its_node_stops_goes_on_after_the_next_start(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = list[JobId]()

    async def stops(on: Desk) -> None:
        is_begun, may_go_on = asyncio.Event(), asyncio.Event()

        async def late(*args: Any, **options: Any) -> Any:
            is_begun.set()
            await may_go_on.wait()
            return await prepare_job(*args, **options)

        async def without_drivers(stop: Any, seconds: float) -> None:
            await stop(seconds)
            may_go_on.set()  # nothing has an engine any more, and the job is about to have one
            await comes_true(lambda: not begun or begun[0].done())

        monkeypatch.setattr(node_module, "prepare_job", late)
        monkeypatch.setattr(on.node.driver, "stop", functools.partial(without_drivers, on.node.driver.stop))
        ids.append(await on.me.submit(job(b"late")))
        await is_begun.wait()
        begun = [task for task in on.node._tasks if "_begin" in repr(task.get_coro())]
        await on.node.stop()
        assert not on.node.driver.has(ids[0])
        monkeypatch.undo()

    async def is_back(on: Desk) -> None:
        assert (await on.done(ids[0])).data == b"late"

    play(stops)
    play(is_back)


def test_two_clients_of_one_owner_race_for_its_places_and_another_owner_keeps_its_own(play: Play) -> None:
    async def scene(on: Desk) -> None:
        mine = [on.caller("uid:1"), on.caller("uid:1")]
        on.journal.gate.clear()
        asked = [asyncio.ensure_future(each.submit(job())) for _ in range(5) for each in (*mine, on.other)]
        await comes_true(lambda: len(on.node.book.unfinished()) == 4)
        on.journal.gate.set()
        came = await outcomes(list(asked))
        assert {type(each) for each in came if isinstance(each, BaseException)} == {QuotaError}
        assert [sum(not isinstance(each, BaseException) for each in came[of::3]) for of in range(3)] == [1, 1, 2]
        for number, each in enumerate(came):
            if not isinstance(each, BaseException):
                assert (await (*mine, on.other)[number % 3].outcome(each, SECONDS)).data == b"hello"

    play(scene, jobs_per_owner_max=2)


@pytest.mark.parametrize("steps", range(6))
def test_who_hangs_up_anywhere_in_a_submit_has_one_job_or_none_and_may_ask_again(play: Play, steps: int) -> None:
    async def scene(on: Desk) -> None:
        jobs = [job(os.urandom(200_000 if number % 2 else 100)) for number in range(8)]
        for each in jobs:
            work, who_stays = (asyncio.ensure_future(on.me.submit(each)) for _ in range(2))
            for _ in range(steps):
                await asyncio.sleep(0)
            work.cancel()
            assert str(await who_stays) == each.job_id
            await asyncio.gather(work, return_exceptions=True)
        again = [await on.me.submit(each) for each in jobs]
        assert [str(each) for each in again] == [each.job_id for each in jobs]
        for each in jobs:
            ended = await on.done(again[jobs.index(each)])
            assert await on.me.read_result(again[jobs.index(each)], 0, ended.size) == each.inputs[0].data
        assert len(on.node.book) == len(jobs)
        await comes_true(lambda: on.node._active == 0)
        assert on.node.book.unfinished() == []

    play(scene)


def test_a_cancel_at_any_moment_of_a_job_ends_it_once_and_gives_its_place_back(play: Play) -> None:
    async def scene(on: Desk) -> None:
        states: list[str] = []
        for steps in range(40):
            data = os.urandom(200_000 if steps % 2 else 100)
            taken = await on.me.submit(job(data))
            for _ in range(steps):
                await asyncio.sleep(0)
            came = await outcomes([on.me.cancel(taken) for _ in range(2)])
            ended = await on.done(taken)
            states.append(ended.status.state.value)
            assert came in ([True, True], [True, False], [False, False])
            assert states[-1] == ("cancelled" if came[0] else "complete")
            if not came[0]:
                assert await on.me.read_result(taken, 0, ended.size) == data
        assert "cancelled" in states
        await comes_true(lambda: on.node._active == 0)
        assert [each.live for each in on.node.book] == [None] * 40
        assert (await on.done(await on.me.submit(job()))).data == b"hello"

    play(scene, jobs_per_owner_max=1)


@pytest.mark.parametrize("steps", range(4))
def test_who_hangs_up_while_waiting_leaves_the_job_to_those_who_still_wait(play: Play, steps: int) -> None:
    async def watched(on: Desk, taken: JobId) -> list[str]:
        return [status.state.value async for status in on.me.watch(taken)]

    async def scene(on: Desk) -> None:
        on.journal.gate.clear()
        asked = asyncio.ensure_future(on.me.submit(manifest := job(b"waited for")))
        await comes_true(lambda: len(on.node.book.unfinished()) == 1)
        on.journal.gate.set()
        taken = await asked
        waits = [asyncio.ensure_future(each) for _ in range(3) for each in (on.done(taken), watched(on, taken))]
        for _ in range(steps):
            await asyncio.sleep(0)
        for each in waits[:4]:
            each.cancel()
        await asyncio.gather(*waits[:4], return_exceptions=True)
        assert (await waits[4]).data == b"waited for"
        assert (await waits[5])[-1] == "complete"
        assert str(taken) == manifest.job_id

    play(scene)


async def _at_once(_job_id: str) -> None:
    pass


def test_a_module_that_is_none_is_refused_wherever_its_bytes_are(play: Play) -> None:
    async def scene(on: Desk) -> None:
        junk = b"junk" * 1000
        assert await send(on.me, junk)
        manifest = job()
        content = Content(sha256=sha256(junk).hexdigest(), size=len(junk))
        with pytest.raises(PangeaError, match="neither a WebAssembly module nor a job archive"):
            await on.me.submit(type(manifest)(module=content, inputs=manifest.inputs, options=manifest.options))
        assert on.node.admission.quotas.bytes_of("uid:1") == len(junk)

    play(scene)
