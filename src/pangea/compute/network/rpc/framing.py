"""Watch a Cap'n Proto byte stream before it is decoded: what is too large, absurd or too slow ends the connection.

Messages are put together here and handed on whole, so that they can be looked at, and in turns, so that whoever sends many is
decoded no faster than whoever sends few.

Source: Cap'n Proto encoding, "Serialization Over a Stream": `u32` segments - 1, `u32` size of each segment in words, padding
to a word, the segments.
"""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from pangea.compute.model.frames import Buffer
from pangea.compute.model.units import KIB, MIB
from pangea.compute.network.rpc.fair_queue import FairQueue
from pangea.compute.network.rpc.limits import WireLimits

_WORD_BYTES = 8
_U32 = struct.Struct("<I")
#: Who is sent something has to take at least so much of it in the time that a message has.
_TAKEN_BYTES_MIN = 64 * KIB
#: Of one connection, so much may wait for its turn before it is read from no more.
_QUEUED_BYTES_MAX, _QUEUED_MAX = MIB, 64
#: So much is no backlog: a call or two, and word that their answers were read.
_LITTLE_BYTES, _LITTLE_MAX = 4 * KIB, 4
#: Messages as large as blocks of content leave their memory to the next of the same size: fresh memory is cleared first, a tenth
#: of what a link costs. So many are kept for all connections, and of no other sizes.
_SPARE_MAX, _SPARE_BYTES = 4, (512 * KIB, 2 * MIB)
_spare: list[bytearray] = []
#: Where what is read comes first: all connections are on one loop, and each takes what it was given at once.
_scratch = memoryview(bytearray(256 * KIB))


class WireError(ValueError):
    """A message that isn't decoded: it is too large, or no message."""


class LargeBudget:
    """Bytes of large messages that all connections together may have on their way."""

    def __init__(self, bytes_max: int) -> None:
        """Allow `bytes_max`."""
        self._left = bytes_max

    def take(self, size: int) -> None:
        """Make room for a message.

        Raises:
            WireError: there are too many.
        """
        if size > self._left:
            raise WireError(f"a message of {size:,} bytes while others as large are on their way; {self._left:,} are left for it")
        self._left -= size

    def give(self, size: int) -> None:
        """It is gone."""
        self._left += size


class FrameGuard:
    """Follows the framing of one direction of a stream, and puts its messages together."""

    def __init__(self, limits: WireLimits, budget: LargeBudget | None = None) -> None:
        """Allow messages within `limits`; what is larger than most, out of `budget`."""
        self._limits = limits
        self._budget = budget or LargeBudget(0)
        #: Of one message.
        self.bytes_max: int = limits.message_bytes_max
        self._header = bytearray()
        self._frame = bytearray()
        self._have = 0

    @property
    def is_between_messages(self) -> bool:
        """Whether the last message is complete and no other has begun."""
        return not self._header and not self._frame

    @property
    def missing(self) -> memoryview:
        """Where the rest of the message under way belongs; empty while its size isn't known."""
        return memoryview(self._frame)[self._have :]

    def filled(self, count: int) -> list[bytearray]:
        """So many bytes were written to `missing`; the message, if it is complete now."""
        self._have += count
        return self._completed()

    def feed(self, data: memoryview) -> list[bytearray]:
        """Take in the next bytes; the messages that are complete now, with their headers.

        Raises:
            WireError: they begin a message that is over a limit.
        """
        at, size, whole = 0, len(data), []
        while at < size:
            if self._frame:
                step = min(len(self._frame) - self._have, size - at)
                self._frame[self._have : self._have + step] = data[at : at + step]
                self._have += step
                at += step
                whole += self._completed()
                continue
            need = self._header_bytes() - len(self._header)
            self._header += data[at : at + need]
            at += min(need, size - at)
            if len(self._header) == self._header_bytes() and len(self._header) > _U32.size:
                self._frame = _room(len(self._header) + self._body_bytes())
                self._have = len(self._header)
                self._frame[: self._have] = self._header
                self._header.clear()
                whole += self._completed()
        return whole

    def _completed(self) -> list[bytearray]:
        if self._have < len(self._frame):
            return []
        frame, self._frame, self._have = self._frame, bytearray(), 0
        return [frame]

    def _header_bytes(self) -> int:
        """How long the header is, as far as can be said: its first four bytes say."""
        if len(self._header) < _U32.size:
            return _U32.size
        segments = _U32.unpack_from(self._header)[0] + 1
        if segments > self._limits.segments_max:
            raise WireError(f"a message of {segments:,} segments; at most {self._limits.segments_max:,} are taken")
        return _header_size(self._header)

    def _body_bytes(self) -> int:
        segments = _U32.unpack_from(self._header)[0] + 1
        words = sum(struct.unpack_from(f"<{segments}I", self._header, _U32.size))
        size = int(words) * _WORD_BYTES
        if size > self.bytes_max:
            raise WireError(f"a message of {size:,} bytes; at most {self.bytes_max:,} are taken")
        if size > self._limits.message_bytes_max:
            self._budget.take(size)
        return size

    def close(self) -> None:
        """Give back what was taken for a message that never was complete."""
        self.done_with(self._frame)
        self._frame = bytearray()

    def done_with(self, frame: bytearray) -> None:
        """A message was decoded, or won't be."""
        if (size := len(frame) - _header_size(frame)) > self._limits.message_bytes_max:
            self._budget.give(size)
        if _is_spared(len(frame)) and len(_spare) < _SPARE_MAX:
            _spare.append(frame)


Check = Callable[[Buffer], Iterator[None]]


def _room(size: int) -> bytearray:
    """Where a message is put together: all of it is written before anybody reads any."""
    if _is_spared(size):
        with suppress(IndexError):  # there is none; another thread may have taken the last
            if len(frame := _spare.pop()) == size:
                return frame
    return bytearray(size)


def _is_spared(size: int) -> bool:
    return _SPARE_BYTES[0] <= size <= _SPARE_BYTES[1]


def _header_size(frame: bytearray) -> int:
    if not frame:
        return 0
    segments = _U32.unpack_from(frame)[0] + 1
    return int((1 + segments) * _U32.size + _WORD_BYTES - 1) // _WORD_BYTES * _WORD_BYTES


class GuardedProtocol(asyncio.BufferedProtocol):
    """Stands between a transport and the protocol that decodes, and keeps its time.

    It holds what it was given for as long as the connection lives: hundreds of kilobytes hang on each, which are to be free when
    it ends and not when somebody looks for garbage. And it has the decoder made when there is something to decode: one of
    pycapnp's (2.2.4) that is never connected is never freed.

    Args of the constructor:
        decoder: makes the protocol that decodes.
        limits: of messages and waits.
        on_made: told of this and its transport when the connection (with its handshake) is up; False refuses it.
        on_lost: told when it is down.
        is_busy: whether a call is under way, so that silence is no idleness.
        check: looks at each message, in slices; raises WireError if it isn't to be decoded.
        queue: the turns of all connections, if there are several.
        budget: what their large messages may take.
    """

    def __init__(
        self,
        decoder: Callable[[], Any],
        limits: WireLimits,
        *,
        on_made: Callable[[GuardedProtocol, asyncio.Transport], bool],
        on_lost: Callable[[], None],
        is_busy: Callable[[], bool],
        check: Check = lambda _frame: iter(()),
        queue: FairQueue | None = None,
        budget: LargeBudget | None = None,
    ) -> None:
        self._decoder = decoder
        self._inner: Any = None
        self._check = check
        self._queue = queue or FairQueue()
        self._reading: _Reading
        self._frames: deque[bytearray] = deque()
        self._looking: Iterator[None] | None = None
        self._queued_bytes = 0
        #: Whose turn its messages take.
        self.owner = ""
        self._limits = limits
        self._guard = FrameGuard(limits, budget)
        self._on_made = on_made
        self._on_lost: Callable[[], object] = on_lost
        self._is_busy = is_busy
        self._transport: asyncio.Transport | None = None
        self._buffer: memoryview = memoryview(b"")
        self._is_direct = False
        self._timer: asyncio.TimerHandle | None = None
        self._is_refused = False
        self._unread: asyncio.TimerHandle | None = None
        self._unanswered_bytes = 0
        #: Set while the other end reads what it is sent.
        self.is_read: asyncio.Event = asyncio.Event()
        self.is_read.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport), "streams only"
        self._transport = transport
        if not self._on_made(self, transport):
            self._is_refused = True
            transport.abort()
            return
        self._reading = _Reading(self, transport)
        self._inner = self._decoder()
        self._inner.connection_made(self._reading)
        self._watch()

    def allow(self, bytes_max: int) -> None:
        """Take messages of so many bytes from the other end: it is known who is there."""
        self._guard.bytes_max = bytes_max

    def get_buffer(self, sizehint: int) -> Any:
        self._buffer = self._guard.missing
        self._is_direct = len(self._buffer) > 0 and not self._is_refused
        if not self._is_direct:
            self._buffer = _scratch
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        if self._is_refused:
            return
        was_between = self._guard.is_between_messages
        try:
            frames = self._guard.filled(nbytes) if self._is_direct else self._guard.feed(self._buffer[:nbytes])
        except WireError:
            self._refuse()
            return
        for frame in frames:
            self._enqueue(frame)
        self._unanswered_bytes += nbytes
        if self.is_read.is_set():
            self._unanswered_bytes = 0
        elif self._unanswered_bytes > 2 * self._guard.bytes_max:
            self._refuse()  # it asks on and reads nothing
            return
        if was_between or self._guard.is_between_messages:
            self._watch()  # otherwise the time of the message that is under way goes on

    def _enqueue(self, frame: bytearray) -> None:
        self._frames.append(frame)
        self._queued_bytes += len(frame)
        self._reading.is_full = self._queued_bytes > _QUEUED_BYTES_MAX or len(self._frames) > _QUEUED_MAX
        self._queue.put(self)

    def hand_on(self) -> bool:
        """Have the next message looked at and decoded, or a slice of that; False if there is none, or the decoder has enough."""
        if not self.has_more:
            return False
        self._looking = self._looking or self._check(self._frames[0])
        try:
            next(self._looking)
        except StopIteration:
            self._looking = None
            self._decode(self._frames.popleft())
        except WireError:
            self._refuse()
        return True

    def _decode(self, frame: bytearray) -> None:
        self._queued_bytes -= len(frame)
        self._reading.is_fed = True
        at, view = 0, memoryview(frame)
        while at < len(view) and not self._is_refused:
            buffer = memoryview(self._inner.get_buffer(len(view) - at)).cast("B")
            step = min(len(buffer), len(view) - at)
            buffer[:step] = view[at : at + step]
            self._inner.buffer_updated(step)
            at += step
        self._guard.done_with(frame)
        if self._reading.is_full and not self._frames:
            self._reading.is_full = False

    @property
    def has_more(self) -> bool:
        """Whether a message waits for its turn that the decoder would take."""
        return bool(self._frames) and not self._reading.is_sated and not self._is_refused

    @property
    def is_little(self) -> bool:
        """Whether what waits is what somebody sends who waits for the answer."""
        return self._queued_bytes <= _LITTLE_BYTES and len(self._frames) <= _LITTLE_MAX

    def woken(self) -> None:
        """The decoder wants more."""
        if self._frames:
            self._queue.put(self)

    def eof_received(self) -> None:
        """The other end says no more. The decoder hears of it by `connection_lost`, which follows, and by nothing else.

        pycapnp (2.2.4) writes through a null pointer when it begins to read after an end that came while it didn't: it relies on
        a transport that keeps the end back until then, and this one reads on.
        """

    def pause_writing(self) -> None:
        self.is_read.clear()
        self._watch_reader(None)
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self.is_read.set()
        self._forget_reader()
        self._inner.resume_writing()

    def _watch_reader(self, left_before: int | None) -> None:
        """Hang up on an other end that takes next to nothing of what it is sent."""
        assert self._transport is not None, "something was written"
        left = self._transport.get_write_buffer_size()
        if left_before is not None and left > left_before - _TAKEN_BYTES_MIN:
            self._refuse()
            return
        self._unread = asyncio.get_running_loop().call_later(self._limits.message_seconds, self._watch_reader, left)

    def _forget_reader(self) -> None:
        if self._unread is not None:
            self._unread.cancel()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._forget_reader()
        self.is_read.set()  # nobody need wait for it any more
        self._buffer = memoryview(b"")
        for frame in self._frames:
            self._guard.done_with(frame)
        self._frames.clear()
        self._guard.close()
        if self._inner is not None:
            self._inner.connection_lost(exc)
            self._reading.let_go()
        self._on_lost()
        self._let_go()

    def _let_go(self) -> None:
        """Hold nothing any more that may hold this."""
        self._inner = self._transport = self._looking = None
        self._decoder = self._on_lost = self._on_made = self._is_busy = _ended

    def _refuse(self) -> None:
        self._is_refused = True
        assert self._transport is not None, "bytes come from somewhere"
        self._transport.abort()

    def _watch(self) -> None:
        """Give the message under way, or else the silence, its time."""
        if self._timer is not None:
            self._timer.cancel()
        limits = self._limits
        seconds = limits.idle_seconds if self._guard.is_between_messages else limits.message_seconds
        self._timer = asyncio.get_running_loop().call_later(seconds, self._too_slow)

    def _too_slow(self) -> None:
        if self._frames or (self._guard.is_between_messages and self._is_busy()):
            self._watch()
        else:
            self._refuse()


def _ended(*_: object) -> bool:
    """In place of what a connection had that is gone."""
    return False


class _Reading(asyncio.Transport):
    """The transport, as the decoder has it: reading goes on while both of us want it."""

    def __init__(self, protocol: GuardedProtocol, transport: asyncio.Transport) -> None:
        super().__init__()
        self.transport = transport
        self._protocol: GuardedProtocol | None = protocol
        self._is_wanted = True
        self._is_full = False
        #: Whether the decoder was given a message since it last asked for more.
        self.is_fed = False

    @property
    def is_sated(self) -> bool:
        """Whether the decoder has a message still that it hasn't read."""
        return self.is_fed and not self._is_wanted

    @property
    def is_full(self) -> bool:
        """Whether enough messages wait for their turn."""
        return self._is_full

    @is_full.setter
    def is_full(self, value: bool) -> None:
        if value != self._is_full:
            self._is_full = value
            (self.transport.pause_reading if value else self.transport.resume_reading)()

    def pause_reading(self) -> None:
        self._is_wanted = False

    def resume_reading(self) -> None:
        self._is_wanted, self.is_fed = True, False
        if self._protocol is not None:
            self._protocol.woken()

    def let_go(self) -> None:
        """The connection is gone: the decoder, which has heard of that, asks for nothing more."""
        self._protocol = None
        del self.transport

    def write(self, data: Any) -> None:
        self.transport.write(data)

    def can_write_eof(self) -> bool:
        return self.transport.can_write_eof()

    def write_eof(self) -> None:
        self.transport.write_eof()

    def is_closing(self) -> bool:
        return self.transport.is_closing()

    def close(self) -> None:
        self.transport.close()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self.transport.get_extra_info(name, default)
