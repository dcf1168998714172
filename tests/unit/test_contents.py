"""Content by its hash: from memory, from who makes it, from neighbours; blocks at once, once for all who ask; what goes wrong."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from hashlib import sha256
from random import Random

import pytest

from pangea.compute.model.errors import InputError, PangeaError, UnavailableError
from pangea.compute.model.ids import PeerId
from pangea.compute.model.units import GIB, MIB
from pangea.compute.network.rpc.service import BLOCK_BYTES, BLOCKS_IN_FLIGHT
from pangea.compute.node.storage import contents as room
from pangea.compute.node.storage.contents import CACHE_BYTES_MAX, CONTENT_BYTES_MAX, Contents
from tests.deadlines import comes_true, status_of

A, B = PeerId("a"), PeerId("b")
LARGE = os.urandom(3 * BLOCK_BYTES + 17)
NAME = sha256(LARGE).digest()


def named(data: bytes) -> bytes:
    return sha256(data).digest()


class Holders:
    """Neighbours that have content, and what each was asked for."""

    def __init__(self, **has: bytes) -> None:
        self.has = {PeerId(name): data for name, data in has.items()}
        self.asked: Counter[tuple[PeerId, int]] = Counter()
        self.gate = asyncio.Event()
        self.gate.set()
        self.fails_after: dict[PeerId, int] = {}
        self.under_way = self.most = 0
        #: Blocks have so many bytes at most, as over a slow link; None: as many as were asked for.
        self.block_bytes: Callable[[], int] | None = None
        #: So often a holder says that it is on its way there.
        self.coming = 0
        self.contents = Contents(self.fetch)

    async def fetch(self, peer: PeerId, name: bytes, offset: int, count: int) -> bytes | None:
        if self.coming:
            self.coming -= 1
            return None
        if self.block_bytes is not None:
            count = min(count, self.block_bytes())
            turn = asyncio.get_running_loop().create_future()
            asyncio.get_running_loop().call_later(self.block_bytes() % 3 / 1000, turn.set_result, None)
            await turn  # they don't come in their order
        self.asked[peer, offset] += 1
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await self.gate.wait()
            if sum(times for (who, _), times in self.asked.items() if who == peer) > self.fails_after.get(peer, 1 << 30):
                raise UnavailableError(f"peer {peer} is gone", retry=True)
            return self.has[peer][offset : offset + count]
        finally:
            self.under_way -= 1


def play(scene: Callable[[], Awaitable[None]]) -> None:
    async def all_of_it() -> None:
        async with asyncio.timeout(50):
            await scene()

    asyncio.run(all_of_it())


def test_what_is_here_is_given_in_any_block() -> None:
    async def scene() -> None:
        on = Holders()
        on.contents.put("job", named(b"0123456789"), b"0123456789")
        assert await on.contents.block("job", named(b"0123456789"), 3, 4) == b"3456"
        assert await on.contents.block("job", named(b"0123456789"), 8, 100) == b"89"
        assert await on.contents.block("job", named(b"0123456789"), 10, 1) == b""
        assert await on.contents.block("job", named(b"0123456789"), 2**64 - 1, 1) == b""

    play(scene)


def test_what_nobody_has_named_is_refused() -> None:
    async def scene() -> None:
        with pytest.raises(InputError, match="never named here"):
            await Holders().contents.block("job", NAME, 0, 1)

    play(scene)


def test_what_can_be_made_is_made_once_and_kept_while_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "CACHE_BYTES_MAX", 1000)

    async def scene() -> None:
        on, made = Holders(), Counter[str]()
        datas = {name: name.encode() * 400 for name in "xyz"}

        def maker(name: str) -> Callable[[], bytes]:
            def make() -> bytes:
                made[name] += 1
                return datas[name]

            return make

        for name, data in datas.items():
            on.contents.offer("job", named(data), len(data), maker(name))
        for name in "xyxyx":
            assert await on.contents.whole("job", named(datas[name])) == datas[name]
        assert made == {"x": 1, "y": 1}
        await on.contents.whole("job", named(datas["z"]))  # y goes: it was used least recently
        await on.contents.whole("job", named(datas["x"]))
        assert made == {"x": 1, "y": 1, "z": 1}
        await on.contents.whole("job", named(datas["y"]))
        assert made == {"x": 1, "y": 2, "z": 1}

    play(scene)


def test_what_would_fill_half_of_the_room_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "CACHE_BYTES_MAX", 1000)

    async def scene() -> None:
        on, big = Holders(), bytes(501)
        on.contents.offer("job", named(big), len(big), lambda: big)
        await on.contents.whole("job", named(big))
        assert on.contents.at_hand("job", named(big)) is None

    play(scene)


def test_a_neighbour_s_content_comes_in_blocks_several_at_once() -> None:
    async def scene() -> None:
        on = Holders(a=LARGE)
        on.contents.hear("job", NAME, len(LARGE), A)
        on.gate.clear()
        fetching = asyncio.ensure_future(on.contents.whole("job", NAME))
        await comes_true(lambda: on.under_way == 4)
        on.gate.set()
        assert bytes(await fetching) == LARGE
        assert set(on.asked.values()) == {1}
        assert on.contents.fetched_bytes == {A: len(LARGE)}

    play(scene)


def test_no_more_blocks_are_asked_for_at_once_than_may_be_in_flight() -> None:
    async def scene() -> None:
        data = bytes((BLOCKS_IN_FLIGHT + 5) * BLOCK_BYTES)
        on = Holders(a=data)
        on.contents.hear("job", named(data), len(data), A)
        on.gate.clear()
        fetching = asyncio.ensure_future(on.contents.whole("job", named(data)))
        await comes_true(lambda: on.under_way == BLOCKS_IN_FLIGHT)
        on.gate.set()
        assert bytes(await fetching) == data
        assert on.most == BLOCKS_IN_FLIGHT

    play(scene)


def test_all_who_ask_at_once_share_one_fetch_and_the_first_to_give_up_stops_nobody() -> None:
    async def scene() -> None:
        on = Holders(a=LARGE)
        on.contents.hear("job", NAME, len(LARGE), A)
        on.gate.clear()
        impatient = asyncio.ensure_future(on.contents.whole("job", NAME))
        others = [asyncio.ensure_future(on.contents.block("job", NAME, at, 10)) for at in range(0, 100, 10)]
        await comes_true(lambda: on.under_way)
        impatient.cancel()
        on.gate.set()
        assert await asyncio.gather(*others) == [LARGE[at : at + 10] for at in range(0, 100, 10)]
        assert set(on.asked.values()) == {1}

    play(scene)


def test_content_of_no_bytes_needs_nobody() -> None:
    async def scene() -> None:
        on = Holders(a=b"")
        on.contents.hear("job", named(b""), 0, A)
        assert bytes(await on.contents.whole("job", named(b""))) == b""
        assert not on.asked

    play(scene)


def test_a_holder_lost_in_the_middle_is_followed_by_another_that_gives_the_rest() -> None:
    async def scene() -> None:
        on = Holders(a=LARGE, b=LARGE)
        on.fails_after[A] = 2
        on.contents.hear("job", NAME, len(LARGE), A)
        on.contents.hear("job", NAME, len(LARGE), B)
        assert bytes(await on.contents.whole("job", NAME)) == LARGE
        assert sum(times for (who, _), times in on.asked.items() if who == B) == 2
        assert on.contents.fetched_bytes == {B: len(LARGE)}

    play(scene)


def test_a_fetch_that_failed_goes_on_where_it_was_once_somebody_has_it_again() -> None:
    async def scene() -> None:
        on = Holders(a=LARGE, b=LARGE)
        on.fails_after[A] = 3
        on.contents.hear("job", NAME, len(LARGE), A)
        with pytest.raises(UnavailableError, match="is gone"):
            await on.contents.whole("job", NAME)
        on.contents.lose(A)
        with pytest.raises(UnavailableError, match="whoever had content"):
            await on.contents.whole("job", NAME)
        on.contents.hear("job", NAME, len(LARGE), B)
        assert bytes(await on.contents.whole("job", NAME)) == LARGE
        assert sum(times for (who, _), times in on.asked.items() if who == B) == 1

    play(scene)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (LARGE[:-1], "gave 0 bytes of"),
        (b"", "gave 0 bytes of"),
        (LARGE[:-1] + bytes([LARGE[-1] ^ 1]), "something else"),
        (LARGE + b"x", ""),
    ],
    ids=["too short", "nothing", "wrong", "more than was said"],
)
def test_wrong_bytes_are_never_content(given: bytes, says: str) -> None:
    async def scene() -> None:
        on = Holders(a=given)
        on.contents.hear("job", NAME, len(LARGE), A)
        if not says:  # only what was said is asked for
            assert bytes(await on.contents.whole("job", NAME)) == LARGE
            return
        with pytest.raises(InputError, match=says):
            await on.contents.whole("job", NAME)
        assert on.contents.at_hand("job", NAME) is None

    play(scene)


def test_after_a_liar_an_honest_holder_gives_all_of_it() -> None:
    async def scene() -> None:
        on = Holders(a=bytes(len(LARGE)), b=LARGE)
        on.contents.hear("job", NAME, len(LARGE), A)
        on.contents.hear("job", NAME, len(LARGE), B)
        assert bytes(await on.contents.whole("job", NAME)) == LARGE
        assert on.contents.fetched_bytes == {B: len(LARGE)}

    play(scene)


def test_a_holder_that_never_answers_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_FETCH_SECONDS", 0.05)
    monkeypatch.setattr(room, "_BYTES_PER_SECOND", GIB)

    async def scene() -> None:
        on = Holders(a=LARGE, b=LARGE)
        on.gate.clear()
        on.contents.hear("job", NAME, len(LARGE), A)
        with pytest.raises(UnavailableError, match="didn't come in time from a"):
            await on.contents.whole("job", NAME)
        await comes_true(lambda: on.under_way == 0)

    play(scene)


@pytest.mark.parametrize("size", [BLOCK_BYTES - 1, len(LARGE)])
def test_blocks_of_any_size_in_any_order_make_the_content(size: int) -> None:
    async def scene() -> None:
        data, random = LARGE[:size], Random(size)
        on = Holders(a=data)
        on.block_bytes = lambda: random.choice((1 << 13, 5_000, 1 << 17, 300_001))
        on.contents.hear("job", named(data), size, A)
        assert bytes(await on.contents.whole("job", named(data))) == data
        assert set(on.asked.values()) == {1}, "nothing is fetched twice"

    play(scene)


def test_what_comes_in_any_order_is_hashed_as_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        on, hashed = Holders(a=LARGE), list[int]()
        submit = on.contents._hashing.submit

        def noted(work: Callable[[memoryview], None], part: memoryview) -> Future[None]:
            hashed.append(len(part))
            return submit(work, part)

        monkeypatch.setattr(on.contents._hashing, "submit", noted)
        on.contents.hear("job", NAME, len(LARGE), A)
        await on.contents.whole("job", NAME)
        assert len(hashed) > 2, "its hash would have to wait for the last block"
        assert sum(hashed) == len(LARGE)

    play(scene)


def test_what_is_on_its_way_to_its_holder_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_AGAIN_SECONDS", 0.001)

    async def scene() -> None:
        on = Holders(a=LARGE)
        on.coming = 20
        on.contents.hear("job", NAME, len(LARGE), A)
        assert bytes(await on.contents.whole("job", NAME)) == LARGE

    play(scene)


@pytest.mark.parametrize(("fetch_seconds", "stall_seconds"), [(0.2, 60.0), (60.0, 0.2)])
def test_who_says_for_ever_that_it_is_on_its_way_or_nothing_at_all_is_given_up(
    monkeypatch: pytest.MonkeyPatch, fetch_seconds: float, stall_seconds: float
) -> None:
    monkeypatch.setattr(room, "_FETCH_SECONDS", fetch_seconds)
    monkeypatch.setattr(room, "_STALL_SECONDS", stall_seconds)
    monkeypatch.setattr(room, "_BYTES_PER_SECOND", GIB)
    monkeypatch.setattr(room, "_AGAIN_SECONDS", 0.01)

    async def scene() -> None:
        on = Holders(a=LARGE, b=LARGE)
        if stall_seconds > fetch_seconds:
            on.coming = 1 << 30
        else:
            on.gate.clear()
        on.contents.hear("job", NAME, len(LARGE), A)
        with pytest.raises(UnavailableError, match="didn't come in time from a"):
            await on.contents.whole("job", NAME)

    play(scene)


def test_what_is_too_large_for_any_guest_is_not_so_much_as_noted() -> None:
    on = Contents(Holders.fetch)  # type: ignore[arg-type]  # nobody is asked
    with pytest.raises(InputError, match="at most"):
        on.hear("job", NAME, CONTENT_BYTES_MAX + 1, A)
    assert on.at_hand("job", NAME) is None
    on.hear("job", NAME, CONTENT_BYTES_MAX, A)


def test_row_8_a_size_that_is_only_said_takes_no_memory() -> None:
    async def scene() -> None:
        on = Holders(a=b"")
        before = int(status_of(os.getpid())["VmRSS"].split()[0])
        for index in range(8):
            name = named(b"%d" % index)
            on.contents.hear("job", name, GIB, A)
            with pytest.raises(PangeaError):
                await on.contents.whole("job", name)
        assert int(status_of(os.getpid())["VmRSS"].split()[0]) < before + 64 * 1024

    play(scene)


def test_what_was_fetched_in_part_is_kept_for_a_few_only() -> None:
    async def scene() -> None:
        on = Holders(a=b"")
        for index in range(20):
            name = named(b"%d" % index)
            on.contents.hear("job", name, 10, A)
            with pytest.raises(InputError):
                await on.contents.whole("job", name)
        assert len(on.contents._partial) == room._PARTIAL_MAX

    play(scene)


def test_content_lives_as_long_as_anybody_uses_it() -> None:
    async def scene() -> None:
        on = Holders()
        data = b"shared"
        one, two = (A, "one"), (A, "two")
        on.contents.put(one, named(data), data)
        on.contents.put(two, named(data), data)
        on.contents.put(one, named(b"own"), b"own")
        on.contents.drop(one, named(data))
        assert on.contents.at_hand(A, named(data)) == data
        on.contents.drop(one, named(data))  # again: nothing
        on.contents.drop("nobody", NAME)
        on.contents.forget(two)
        assert on.contents.at_hand(A, named(data)) is None
        on.contents.forget(two)
        assert on.contents.at_hand(A, named(b"own")) == b"own"
        on.contents.forget(one)
        assert not on.contents._known
        assert not on.contents._of

    play(scene)


def test_the_room_for_what_can_be_had_again_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "CACHE_BYTES_MAX", 10_000)

    async def scene() -> None:
        on = Holders(a=LARGE)
        for index in range(30):
            data = b"%d" % index * 500
            on.contents.offer("job", named(data), len(data), lambda data=data: data)  # type: ignore[misc]
            await on.contents.whole("job", named(data))
            if index % 3 == 0:
                on.contents.put("other", named(data), data)  # for good, now
            assert on.contents._cached == sum(on.contents._cache.values()) <= 10_000
        on.contents.forget("job")
        assert (on.contents._cached, len(on.contents._cache)) == (0, 0)
        assert len(on.contents._known) == 10
        on.contents.forget("other")

    play(scene)


def test_what_is_dropped_while_it_comes_leaves_nothing_behind() -> None:
    async def scene() -> None:
        on = Holders(a=LARGE)
        on.gate.clear()
        on.contents.hear("job", NAME, len(LARGE), A)
        fetching = asyncio.ensure_future(on.contents.whole("job", NAME))
        await comes_true(lambda: on.under_way)
        on.contents.forget("job")
        on.gate.set()
        assert bytes(await fetching) == LARGE
        assert on.contents.at_hand("job", NAME) is None
        assert (on.contents._cached, len(on.contents._cache)) == (0, 0)

    play(scene)


@pytest.mark.parametrize("is_wanted_again", [False, True])
def test_a_fetch_that_everybody_has_given_up_stops_unless_somebody_asks_again(
    monkeypatch: pytest.MonkeyPatch, is_wanted_again: bool
) -> None:
    monkeypatch.setattr(room, "ABANDONED_SECONDS", 0.05)

    async def scene() -> None:
        on = Holders(a=LARGE)
        on.gate.clear()
        on.contents.hear("job", NAME, len(LARGE), A)
        waiting = [asyncio.ensure_future(on.contents.whole("job", NAME)) for _ in range(2)]
        await comes_true(lambda: on.under_way)
        for each in waiting:
            each.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert on.under_way  # not at once
        if is_wanted_again:
            again = asyncio.ensure_future(on.contents.whole("job", NAME))
            await asyncio.sleep(0)  # it has asked
            key = ("job", NAME)
            on.contents._abandon(key, on.contents._fetching[key])  # as it happens a while after the others have gone
            on.gate.set()
            assert bytes(await again) == LARGE
            assert set(on.asked.values()) == {1}
        else:
            await comes_true(lambda: not on.contents._fetching)
            assert (on.under_way, on.contents._waiting) == (0, Counter())

    play(scene)


def test_a_close_ends_what_is_being_fetched() -> None:
    async def scene() -> None:
        on = Holders(a=LARGE)
        on.gate.clear()
        on.contents.hear("job", NAME, len(LARGE), A)
        fetching = asyncio.ensure_future(on.contents.whole("job", NAME))
        await comes_true(lambda: on.under_way)
        on.contents.close()
        with pytest.raises(asyncio.CancelledError):
            await fetching
        await comes_true(lambda: on.under_way == 0)

    play(scene)


def test_the_bounds_are_what_they_are_said_to_be() -> None:
    assert CACHE_BYTES_MAX == 128 * MIB
    assert room.ENVELOPE_BYTES_MAX < BLOCK_BYTES
