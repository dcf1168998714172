"""Whoever runs a node may have it do nothing for others for a while: at once, over restarts, and by nobody else's word."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from pangea.compute.engine.engine import Engine
from pangea.compute.model.errors import InputError, PeerError, UnavailableError
from pangea.compute.network.rpc.service import Caller
from pangea.compute.node.service.lending import PAUSE_SECONDS_MAX, Lending
from pangea.compute.node.service.service import Session
from tests.deadlines import comes_true
from tests.desk import Desk, Play, job, player


@pytest.fixture
def play(tmp_path: Path, engine: Engine) -> Play:
    return player(tmp_path, engine)


class Told:
    """A node's pause whose clock is the test's."""

    def __init__(self, file: Path, now: float = 1_000.0) -> None:
        self.now = now
        self.told: list[bool] = []
        self.lending = Lending(file, tell=self.told.append, clock=lambda: self.now)


def test_a_pause_ends_by_itself(tmp_path: Path) -> None:
    async def scene() -> None:
        on = Told(tmp_path / "paused")
        assert on.lending.left() is None
        await on.lending.pause(0.05)
        assert on.lending.left() == pytest.approx(0.05)
        await comes_true(lambda: on.told == [True, False])
        assert on.lending.left() is None

    asyncio.run(scene())


def test_a_pause_outlives_the_process_for_as_long_as_it_was_meant(tmp_path: Path) -> None:
    async def scene() -> None:
        first = Told(tmp_path / "paused")
        await first.lending.pause(100.0)
        first.lending.close()
        soon, late = Told(tmp_path / "paused", 1_060.0), Told(tmp_path / "paused", 1_100.0)
        for on in (soon, late):
            await on.lending.restore()
        assert soon.told == [True]
        assert soon.lending.left() == pytest.approx(40.0)
        assert late.told == []
        await soon.lending.resume()
        after = Told(tmp_path / "paused", 1_061.0)
        await after.lending.restore()
        assert after.told == []

    asyncio.run(scene())


@pytest.mark.parametrize("text", ["", "never", "nan", "inf", "0"])
def test_a_file_that_says_no_time_is_a_pause_until_further_notice(tmp_path: Path, text: str) -> None:
    async def scene() -> None:
        (tmp_path / "paused").write_text(text)
        on = Told(tmp_path / "paused")
        await on.lending.restore()
        assert (on.told, on.lending.left()) == ([True], float("inf"))

    asyncio.run(scene())


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf"), PAUSE_SECONDS_MAX + 1])
def test_a_pause_of_no_time_is_refused(tmp_path: Path, seconds: float) -> None:
    async def scene() -> None:
        on = Told(tmp_path / "paused")
        with pytest.raises(InputError, match="a pause of"):
            await on.lending.pause(seconds)
        assert on.told == []

    asyncio.run(scene())


def test_a_pause_that_can_t_be_kept_is_none(tmp_path: Path) -> None:
    async def scene() -> None:
        on = Told(tmp_path / "nowhere" / "paused")
        with pytest.raises(UnavailableError, match="can't be written"):
            await on.lending.pause(0.0)
        assert on.told == []

    asyncio.run(scene())


def test_a_node_says_that_it_is_paused_and_goes_on_with_its_own_jobs(play: Play) -> None:
    async def scene(on: Desk) -> None:
        assert (await on.me.info()).lends == "yes"
        await on.me.pause(0.0)
        assert on.node.driver.core.core.is_paused
        assert (await on.me.info()).lends == "paused until it is resumed"
        assert (await on.done(await on.me.submit(job(b"own")))).data == b"own"

    async def again(on: Desk) -> None:
        assert on.node.driver.core.core.is_paused
        assert await on.me.resume()
        assert not await on.me.resume()
        assert not on.node.driver.core.core.is_paused
        await on.me.pause(500.0)
        assert (await on.me.info()).lends in ("paused for 500 s more", "paused for 499 s more")

    play(scene)
    play(again)


def test_only_users_of_the_machine_may_pause_it(play: Play) -> None:
    async def scene(on: Desk) -> None:
        stranger = Session(on.node, Caller("12D3KooWStranger", is_local=False), on._monitor)
        for work in (stranger.pause(0.0), stranger.resume()):
            with pytest.raises(PeerError, match="only users of the node's own machine may"):
                await work
        assert not on.node.driver.core.core.is_paused

    play(scene)
