"""The guard before the decoder: it follows any stream, however it is cut, and stops what is too much before anything is kept."""

from __future__ import annotations

import asyncio
import struct
import tracemalloc
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pangea.compute.network.rpc import framing
from pangea.compute.network.rpc.fair_queue import FairQueue
from pangea.compute.network.rpc.framing import FrameGuard, GuardedProtocol, WireError
from pangea.compute.network.rpc.limits import WireLimits
from tests.deadlines import comes_true

WORD_BYTES = 8
LIMITS = WireLimits(message_bytes_max=1 << 16, segments_max=16)
SEGMENTS = st.lists(st.integers(0, 30), min_size=1, max_size=16)
#: Segments whose sizes add up to more than fits.
TOO_MUCH = st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=16).filter(
    lambda words: sum(words) * WORD_BYTES > LIMITS.message_bytes_max
)


def header(words: list[int]) -> bytes:
    text = struct.pack(f"<{len(words) + 1}I", len(words) - 1, *words)
    return text + bytes(-len(text) % WORD_BYTES)


def message(words: list[int]) -> bytes:
    """A message of segments with so many words each; no byte of a body looks like a header."""
    return header(words) + b"\xff" * (WORD_BYTES * sum(words))


STREAMS = st.lists(SEGMENTS.map(message), max_size=8)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[a:b] for a, b in pairwise(ends)]


@given(STREAMS, st.lists(st.integers(0, 2**16)))
def test_any_cut_of_a_stream_of_messages_passes_and_ends_between_them(stream: list[bytes], places: list[int]) -> None:
    guard, ends, at = FrameGuard(LIMITS), {0}, 0
    for each in stream:
        at += len(each)
        ends.add(at)
    at = 0
    for piece in cut(b"".join(stream), places):
        guard.feed(memoryview(piece))
        at += len(piece)
        assert guard.is_between_messages == (at in ends)


@given(STREAMS, TOO_MUCH, st.lists(st.integers(0, 2**16)))
def test_a_message_that_is_too_large_is_refused_wherever_it_comes_and_is_cut(
    stream: list[bytes], words: list[int], places: list[int]
) -> None:
    guard = FrameGuard(LIMITS)
    for piece in cut(b"".join(stream), places):
        guard.feed(memoryview(piece))
    *most, last = (header(words)[at : at + 1] for at in range(len(header(words))))
    for byte in most:
        guard.feed(memoryview(byte))
    with pytest.raises(WireError, match=f"a message of {sum(words) * WORD_BYTES:,} bytes; at most 65,536 are taken"):
        guard.feed(memoryview(last))


@given(st.integers(16, 2**32 - 1))
def test_too_many_segments_are_refused_at_the_fourth_byte(segments_less_one: int) -> None:
    guard = FrameGuard(LIMITS)
    count = struct.pack("<I", segments_less_one)
    guard.feed(memoryview(count[:3]))
    with pytest.raises(WireError, match=f"a message of {segments_less_one + 1:,} segments; at most 16 are taken"):
        guard.feed(memoryview(count[3:]))


@given(st.binary(max_size=2_000), st.lists(st.integers(0, 2_000)))
def test_whatever_comes_is_followed_or_refused_the_same_however_it_is_cut(data: bytes, places: list[int]) -> None:
    def end(pieces: list[bytes]) -> object:
        guard = FrameGuard(LIMITS)
        try:
            for piece in pieces:
                guard.feed(memoryview(piece))
        except WireError as error:
            return str(error)
        return guard.is_between_messages

    assert end(cut(data, places)) == end([data])


def test_the_largest_message_passes_and_one_word_more_does_not() -> None:
    words = LIMITS.message_bytes_max // WORD_BYTES
    FrameGuard(LIMITS).feed(memoryview(header([words])))
    with pytest.raises(WireError):
        FrameGuard(LIMITS).feed(memoryview(header([words + 1])))


def test_memory_that_large_messages_leave_is_used_again_and_shows_nothing_of_them() -> None:
    guard = FrameGuard(WireLimits())
    size = 1 << 20
    seen = []
    for fill in (b"\xaa", b"\xbb"):
        stream = header([size // WORD_BYTES]) + fill * size
        begun = guard.feed(memoryview(stream[:-1]))
        (frame,) = guard.feed(memoryview(stream[-1:]))
        assert not begun
        assert frame == stream
        seen.append(id(frame))
        guard.done_with(frame)
    assert len(set(seen)) == 1
    shorter = header([size // WORD_BYTES - 1]) + b"\xcc" * (size - WORD_BYTES)
    assert guard.feed(memoryview(shorter)) == [shorter]


def test_few_messages_are_kept_for_their_memory_and_none_that_are_small() -> None:
    guard = FrameGuard(WireLimits())
    for size in (1 << 10, 1 << 20):
        stream = header([size // WORD_BYTES]) + bytes(size)
        frames = [frame for _ in range(20) for frame in guard.feed(memoryview(stream))]
        for frame in frames:
            guard.done_with(frame)
    assert len(framing._spare) <= 4
    assert all(len(each) >= 1 << 20 for each in framing._spare)


@pytest.mark.parametrize("claim", [struct.pack("<I", 2**32 - 1), header([2**32 - 1] * 512)])
def test_what_is_claimed_costs_nothing(claim: bytes) -> None:
    guard = FrameGuard(WireLimits())
    tracemalloc.start()
    try:
        with pytest.raises(WireError):
            guard.feed(memoryview(claim))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 100_000


# The protocol that the guard serves.


class Decoder:
    """Stands for the protocol that decodes: notes what reaches it."""

    def __init__(self) -> None:
        self.got = bytearray()
        self.calls: list[str] = []
        self._buffer = bytearray(4096)

    def connection_made(self, _transport: Any) -> None:
        self.calls.append("made")

    def get_buffer(self, _sizehint: int) -> bytearray:
        return self._buffer

    def buffer_updated(self, count: int) -> None:
        self.got += self._buffer[:count]

    def pause_writing(self) -> None:
        self.calls.append("paused")

    def resume_writing(self) -> None:
        self.calls.append("resumed")

    def eof_received(self) -> None:
        raise AssertionError("pycapnp can't bear it while it isn't reading")

    def connection_lost(self, _error: Exception | None) -> None:
        self.calls.append("lost")


class Wire(asyncio.Transport):
    """A transport that only notes its end."""

    def __init__(self) -> None:
        super().__init__()
        self.is_aborted = False
        self.left = self.taken = 0
        self.is_read = True

    def get_write_buffer_size(self) -> int:
        """What is left to send; `taken` of it goes at each look."""
        left, self.left = self.left, self.left - self.taken
        return left

    def abort(self) -> None:
        self.is_aborted = True

    def pause_reading(self) -> None:
        self.is_read = False

    def resume_reading(self) -> None:
        self.is_read = True


class Scene:
    """A guarded decoder on a wire."""

    def __init__(
        self, limits: WireLimits = LIMITS, *, is_welcome: bool = True, queue: FairQueue | None = None, owner: str = ""
    ) -> None:
        self.decoder, self.wire, self.is_busy, self.losses = Decoder(), Wire(), False, 0
        self.protocol = GuardedProtocol(
            lambda: self.decoder,
            limits,
            on_made=lambda *_: is_welcome,
            on_lost=self._lost,
            is_busy=lambda: self.is_busy,
            queue=queue,
        )
        self.protocol.owner = owner
        self.protocol.connection_made(self.wire)

    def _lost(self) -> None:
        self.losses += 1

    def receive(self, data: bytes) -> None:
        while data:
            buffer = self.protocol.get_buffer(-1)
            count = min(len(data), len(buffer), 4096)
            buffer[:count] = data[:count]
            self.protocol.buffer_updated(count)
            data = data[count:]

    def end(self) -> None:
        self.protocol.connection_lost(None)


def play(scene: Callable[[], Any]) -> None:
    async def all_of_it() -> None:
        async with asyncio.timeout(50):
            await scene()

    asyncio.run(all_of_it())


@given(STREAMS.map(b"".join), st.lists(st.integers(0, 2**16), max_size=10))
def test_the_decoder_gets_every_byte_unchanged(stream: bytes, places: list[int]) -> None:
    async def scene() -> None:
        on = Scene()
        for piece in cut(stream, places):
            on.receive(piece)
        on.protocol.eof_received()
        while on.protocol.has_more:  # a round hands on what its time allows
            await asyncio.sleep(0)
        on.end()
        assert on.decoder.got == stream
        assert (on.decoder.calls, on.wire.is_aborted, on.losses) == (["made", "lost"], False, 1)

    play(scene)


def test_nothing_of_a_refused_message_and_nothing_after_it_reaches_the_decoder() -> None:
    async def scene() -> None:
        on = Scene()
        on.receive(message([3]))
        on.receive(header([2**32 - 1]))
        on.receive(message([3]))
        on.protocol.eof_received()
        assert (bytes(on.decoder.got), on.wire.is_aborted) == (message([3]), True)
        on.end()
        assert (on.decoder.calls, on.losses) == (["made", "lost"], 1)

    play(scene)


def test_who_is_not_welcome_reaches_no_decoder() -> None:
    async def scene() -> None:
        on = Scene(is_welcome=False)
        on.receive(message([3]))
        on.end()
        assert (bytes(on.decoder.got), on.decoder.calls, on.wire.is_aborted, on.losses) == (b"", [], True, 1)

    play(scene)


@pytest.mark.parametrize("begun", [b"\0", message([5])[:-1], message([5]) + b"\0\0\0"])
def test_half_a_message_has_its_time_though_a_call_is_under_way(begun: bytes) -> None:
    async def scene() -> None:
        on = Scene(WireLimits(message_seconds=0.02, idle_seconds=60.0))
        on.is_busy = True
        on.receive(begun)
        await comes_true(lambda: on.wire.is_aborted)
        assert on.is_busy  # and that was no reason to wait on
        on.end()

    play(scene)


def test_silence_has_its_time_unless_a_call_is_under_way() -> None:
    async def scene() -> None:
        on, looked = Scene(WireLimits(idle_seconds=0.01)), 0

        def look() -> bool:
            nonlocal looked
            looked += 1
            return looked < 5

        on.protocol._is_busy = look
        await comes_true(lambda: on.wire.is_aborted)
        assert looked == 5
        on.end()

    play(scene)


def test_who_takes_next_to_nothing_of_what_it_is_sent_is_hung_up_on() -> None:
    async def scene() -> None:
        on = Scene(WireLimits(message_seconds=0.01))
        on.receive(message([5]))
        on.wire.left = 10 << 20
        on.protocol.pause_writing()
        assert not on.protocol.is_read.is_set()
        await comes_true(lambda: on.wire.is_aborted)
        on.end()
        assert on.protocol.is_read.is_set()  # nobody waits for it any more

    play(scene)


def test_who_reads_slowly_is_waited_for() -> None:
    async def scene() -> None:
        on = Scene(WireLimits(message_seconds=0.01))
        on.wire.left, on.wire.taken = 10 << 20, 64 << 10
        on.protocol.pause_writing()
        await comes_true(lambda: on.wire.left < 9 << 20)
        assert not on.wire.is_aborted
        on.protocol.resume_writing()
        assert on.protocol.is_read.is_set()
        assert on.protocol._unread is not None
        assert on.protocol._unread.cancelled()
        on.end()

    play(scene)


def test_who_asks_on_and_reads_nothing_is_hung_up_on() -> None:
    async def scene() -> None:
        on = Scene()
        asked = message([1_000]) * 16
        on.receive(asked)
        on.protocol.pause_writing()
        on.receive(asked)
        on.protocol.resume_writing()
        on.receive(asked)
        on.protocol.pause_writing()
        on.receive(asked)
        assert not on.wire.is_aborted
        on.receive(message([1_000]))
        assert on.wire.is_aborted
        assert len(on.decoder.got) < 4 * len(asked) + 4096
        on.end()

    play(scene)


def test_a_connection_that_is_gone_leaves_no_timer() -> None:
    async def scene() -> None:
        on = Scene(WireLimits(idle_seconds=0.01))
        timer = on.protocol._timer
        on.end()
        assert timer is not None
        assert timer.cancelled()

    play(scene)
