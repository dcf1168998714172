"""Watch a Cap'n Proto byte stream before it is decoded: what is too large, absurd or too slow ends the connection.

Source: Cap'n Proto encoding, "Serialization Over a Stream": `u32` segments - 1, `u32` size of each segment in words, padding
to a word, the segments.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from typing import Any

from pangea.compute.model.units import KIB
from pangea.compute.network.limits import WireLimits

_WORD_BYTES = 8
_U32 = struct.Struct("<I")
#: Who is sent something has to take at least so much of it in the time that a message has.
_TAKEN_BYTES_MIN = 64 * KIB


class WireError(ValueError):
    """A message that isn't decoded: it is too large, or no message."""


class FrameGuard:
    """Follows the framing of one direction of a stream; knows whether a message is under way."""

    def __init__(self, limits: WireLimits) -> None:
        """Allow messages within `limits`."""
        self._limits = limits
        self._header = bytearray()
        self._left = 0

    @property
    def is_between_messages(self) -> bool:
        """Whether the last message is complete and no other has begun."""
        return not self._header and not self._left

    def feed(self, data: memoryview) -> None:
        """Look at the next bytes.

        Raises:
            WireError: they begin a message that is over a limit.
        """
        at, size = 0, len(data)
        while at < size:
            if self._left:
                step = min(self._left, size - at)
                self._left -= step
                at += step
                continue
            need = self._header_bytes() - len(self._header)
            self._header += data[at : at + need]
            at += min(need, size - at)
            if len(self._header) == self._header_bytes() and len(self._header) > _U32.size:
                self._left = self._body_bytes()
                self._header.clear()

    def _header_bytes(self) -> int:
        """How long the header is, as far as can be said: its first four bytes say."""
        if len(self._header) < _U32.size:
            return _U32.size
        segments = _U32.unpack_from(self._header)[0] + 1
        if segments > self._limits.segments_max:
            raise WireError(f"a message of {segments:,} segments; at most {self._limits.segments_max:,} are taken")
        return int((1 + segments) * _U32.size + _WORD_BYTES - 1) // _WORD_BYTES * _WORD_BYTES

    def _body_bytes(self) -> int:
        segments = _U32.unpack_from(self._header)[0] + 1
        words = sum(struct.unpack_from(f"<{segments}I", self._header, _U32.size))
        if words * _WORD_BYTES > self._limits.message_bytes_max:
            raise WireError(f"a message of {words * _WORD_BYTES:,} bytes; at most {self._limits.message_bytes_max:,} are taken")
        return int(words) * _WORD_BYTES


class GuardedProtocol(asyncio.BufferedProtocol):
    """Stands between a transport and the protocol that decodes, and keeps its time.

    Args of the constructor:
        inner: the protocol that decodes.
        limits: of messages and waits.
        on_made: told of the transport when the connection (with its handshake) is up; False refuses it.
        on_lost: told when it is down.
        is_busy: whether a call is under way, so that silence is no idleness.
    """

    def __init__(
        self,
        inner: Any,
        limits: WireLimits,
        *,
        on_made: Callable[[asyncio.Transport], bool],
        on_lost: Callable[[], None],
        is_busy: Callable[[], bool],
    ) -> None:
        self._inner = inner
        self._limits = limits
        self._guard = FrameGuard(limits)
        self._on_made = on_made
        self._on_lost = on_lost
        self._is_busy = is_busy
        self._transport: asyncio.Transport | None = None
        self._buffer: memoryview = memoryview(b"")
        self._timer: asyncio.TimerHandle | None = None
        self._is_refused = False
        self._unread: asyncio.TimerHandle | None = None
        self._unanswered_bytes = 0
        #: Set while the other end reads what it is sent.
        self.is_read = asyncio.Event()
        self.is_read.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport), "streams only"
        self._transport = transport
        if not self._on_made(transport):
            self._is_refused = True
            transport.abort()
            return
        self._inner.connection_made(transport)
        self._watch()

    def get_buffer(self, sizehint: int) -> Any:
        buffer = self._inner.get_buffer(sizehint) if not self._is_refused else bytearray(1024)
        self._buffer = memoryview(buffer)
        return buffer

    def buffer_updated(self, nbytes: int) -> None:
        if self._is_refused:
            return
        was_between = self._guard.is_between_messages
        try:
            self._guard.feed(self._buffer.cast("B")[:nbytes])
        except WireError:
            self._refuse()
            return
        self._unanswered_bytes += nbytes
        if self.is_read.is_set():
            self._unanswered_bytes = 0
        elif self._unanswered_bytes > 2 * self._limits.message_bytes_max:
            self._refuse()  # it asks on and reads nothing
            return
        if was_between or self._guard.is_between_messages:
            self._watch()  # otherwise the time of the message that is under way goes on
        self._inner.buffer_updated(nbytes)

    def eof_received(self) -> Any:
        return None if self._is_refused else self._inner.eof_received()

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
        if self._transport is not None and not self._is_unmade():
            self._inner.connection_lost(exc)
        self._on_lost()

    def _is_unmade(self) -> bool:
        return self._is_refused and self._timer is None

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
        if self._guard.is_between_messages and self._is_busy():
            self._watch()
        else:
            self._refuse()
