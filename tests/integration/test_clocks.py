"""A machine's clock that is set, or wrong: nothing is deleted for it, and nobody is kept out."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from pangea.compute.engine.engine import Engine
from pangea.compute.model.ids import JobId
from pangea.compute.network.identity import Identity, certificate_of
from pangea.compute.node.jobs.jobs import GAP_SECONDS_MAX, ages
from tests.desk import Desk, Play, job, player

DAY = 86_400.0
TIMES = st.floats(0.0, 4e9, allow_nan=False)


@pytest.fixture
def play(tmp_path: Path, engine: Engine) -> Play:
    return player(tmp_path, engine)


@pytest.mark.parametrize("jump", [400 * DAY, -400 * DAY])
def test_a_clock_that_jumps_deletes_no_result(play: Play, monkeypatch: pytest.MonkeyPatch, jump: float) -> None:
    real, ids = time.time, list[str]()

    async def jumps(on: Desk) -> None:
        ids.append(await on.me.submit(job(b"before")))
        await on.done(ids[-1])  # type: ignore[arg-type]
        monkeypatch.setattr(time, "time", lambda: real() + jump)
        await on.node._collect()
        ids.append(await on.me.submit(job(b"after")))
        await on.done(ids[-1])  # type: ignore[arg-type]
        await on.node._collect()

    async def is_back(on: Desk) -> None:
        await on.node._collect()
        found = [(await on.done(each)).data for each in ids]  # type: ignore[arg-type]
        assert found == [b"before", b"after"]

    play(jumps)
    play(is_back)  # started while the clock is wrong
    monkeypatch.setattr(time, "time", real)
    play(is_back)  # and once it is right again


def test_of_too_many_results_none_is_gone_before_its_client_had_time_to_come_though_the_clock_says_it_is_old(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, ids = time.time, list[JobId]()

    async def goes_down(on: Desk) -> None:
        ids.append(await on.me.submit(job(b"before")))
        await on.done(ids[-1])
        monkeypatch.setattr(time, "time", lambda: real() - 400 * DAY)
        ids.append(await on.me.submit(job(b"after")))
        await on.done(ids[-1])

    async def is_back(on: Desk) -> None:
        await on.node._collect()
        assert (await on.done(ids[-1])).data == b"after"

    play(goes_down, kept_jobs_max=1)
    monkeypatch.setattr(time, "time", real)
    play(is_back, kept_jobs_max=1)


def test_results_are_kept_for_as_long_as_is_said(play: Play) -> None:
    async def scene(on: Desk) -> None:
        old, young = [await on.me.submit(job()) for _ in range(2)]
        for each in (old, young):
            await on.done(each)
        known = on.node.book.get(old)
        assert known is not None
        known.kept_since -= 7 * DAY + 1
        await on.node._collect()
        assert (on.node.book.get(old), on.node.book.get(young) is None) == (None, False)

    play(scene)


@given(st.lists(TIMES, max_size=8), TIMES)
def test_ages_grow_with_each_earlier_end_and_by_no_more_than_a_day(ends: list[float], clock: float) -> None:
    found = ages(ends, clock)
    in_order = [found[end] for end in sorted(set(ends), reverse=True)]
    assert set(found) == set(ends)
    assert all(0 <= later - earlier <= GAP_SECONDS_MAX for earlier, later in zip([0.0, *in_order], in_order, strict=False))


def test_ages_are_what_the_clock_says_while_it_makes_sense() -> None:
    assert ages([100.0, 5_000.0], 8_600.0) == {5_000.0: 3_600.0, 100.0: 8_500.0}


def test_a_certificate_proves_its_key_whatever_the_clock_says() -> None:
    certificate = x509.load_pem_x509_certificate(certificate_of(Identity.create())[0])
    assert certificate.not_valid_before_utc <= datetime(1970, 1, 2, tzinfo=UTC)
    assert certificate.not_valid_after_utc >= datetime(9000, 1, 1, tzinfo=UTC)
