"""What crosses between the node and a worker process: chunks and results in shared memory, small records through a socket.

The shared memory is an anonymous file (memfd): it has no name that could be left behind, and ends with the last process
that holds it. Bytes are copied once in and once out: the node writes chunks with one gathered write, the worker reads them
straight into the guest's memory, and the same way back. Only the node can change its size, since a worker may write no
file beyond `RLIMIT_FSIZE`.

Records are JSON objects, one per packet, at most `RECORD_BYTES_MAX`.
"""

from __future__ import annotations

import array  # noqa: F401 (`socket.recv_fds` imports it when it is called; a jailed process may not be able to)
import mmap
import os
import socket
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from pangea.compute.model.frames import Buffer
from pangea.compute.model.plain_json import dumps_as_is, loads
from pangea.compute.model.units import KIB, MIB

RECORD_BYTES_MAX = 192 * KIB
#: Kept in memory between tasks; what a large task needed beyond it is given back.
IDLE_BYTES = 16 * MIB
#: Pieces per system call; Linux's IOV_MAX is 1024.
_PIECES_MAX = 1024


class ChannelError(Exception):
    """The other side is gone or sent something that is no record."""


class Records:
    """Records over a packet socket."""

    def __init__(self, connection: socket.socket) -> None:
        """Own `connection`, a SOCK_SEQPACKET socket."""
        self.socket = connection

    def send(self, record: dict[str, Any], descriptors: Sequence[int] = ()) -> None:
        """Send `record`, with open files if any.

        Raises:
            ChannelError: the other side is gone.
        """
        data = dumps_as_is(record).encode("utf-8", "surrogatepass")
        assert len(data) <= RECORD_BYTES_MAX, f"record of {len(data)} bytes"
        try:
            socket.send_fds(self.socket, [data], list(descriptors))
        except OSError as error:
            raise ChannelError("the other side is gone") from error

    def receive(self, seconds: float | None = None) -> tuple[dict[str, Any], list[int]]:
        """Wait up to `seconds` for a record and the open files that come with it.

        Raises:
            TimeoutError: nothing came in time.
            ChannelError: the other side is gone, or sent something else.
        """
        self.socket.settimeout(seconds)
        try:
            data, descriptors, flags, _ = socket.recv_fds(self.socket, RECORD_BYTES_MAX, 4)
        except TimeoutError:
            raise
        except OSError as error:
            raise ChannelError("the other side is gone") from error
        if not data:
            raise ChannelError("the other side is gone")
        try:
            record = loads(data.decode("utf-8", "surrogatepass"))
        except (ValueError, RecursionError) as error:
            raise ChannelError("not a record") from error
        if flags & socket.MSG_TRUNC or not isinstance(record, dict):
            raise ChannelError("not a record")
        return record, descriptors

    def close(self) -> None:
        """Close the socket."""
        self.socket.close()


class SharedMemory:
    """The anonymous file that carries chunks one way and results the other."""

    def __init__(self, descriptor: int) -> None:
        """Use the open memfd `descriptor`."""
        self.descriptor: int = descriptor

    @classmethod
    def create(cls) -> SharedMemory:
        """Make an empty one."""
        return cls(os.memfd_create("pangea-task", os.MFD_CLOEXEC))

    @property
    def size(self) -> int:
        """Bytes it can hold now."""
        return os.fstat(self.descriptor).st_size

    def grow(self, size: int) -> None:
        """Make it hold at least `size` bytes; the node's side only."""
        if size > self.size:
            os.ftruncate(self.descriptor, -(-size // mmap.PAGESIZE) * mmap.PAGESIZE)

    def shrink(self) -> None:
        """Give back what a large task needed; the node's side only."""
        if self.size > IDLE_BYTES:
            os.ftruncate(self.descriptor, IDLE_BYTES)

    def write(self, parts: Iterable[Buffer]) -> int:
        """Write `parts` one after the other from the start, growing as needed; returns the bytes written."""
        position = 0
        batch: list[Buffer] = []
        for part in parts:
            batch.append(part)
            if len(batch) == _PIECES_MAX:
                position += self._write_all(batch, position)
                batch = []
        return position + self._write_all(batch, position)

    def _write_all(self, batch: list[Buffer], start: int) -> int:
        total = sum(map(len, batch))
        self.grow(start + total)
        written = os.pwritev(self.descriptor, batch, start) if batch else 0
        while written < total:  # a gathered write may stop early (2 GiB, a signal)
            rest = memoryview(b"".join(batch))[written:]
            written += os.pwrite(self.descriptor, rest, start + written)
        return total

    def read(self, start: int, size: int) -> bytes:
        """`size` bytes from `start` on.

        Raises:
            ChannelError: there are fewer.
        """
        if start < 0 or size < 0 or start + size > self.size:
            raise ChannelError(f"{size} bytes at {start} were announced, it holds {self.size}")
        parts: list[bytes] = []
        position = start
        while position < start + size:
            part = os.pread(self.descriptor, start + size - position, position)
            if not part:
                raise ChannelError("it was cut short")
            parts.append(part)
            position += len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def read_into(self, target: memoryview, start: int = 0) -> None:
        """Fill `target` from position `start`; the worker's side.

        Raises:
            ChannelError: there are too few bytes.
        """
        position = 0
        while position < len(target):
            count = os.preadv(self.descriptor, [target[position:]], start + position)
            if not count:
                raise ChannelError(f"{len(target)} bytes were announced, {position} are there")
            position += count

    def mapped(self, size: int) -> memoryview:
        """A view of the first `size` bytes, which cost no memory of this process's own; the worker's side."""
        return memoryview(mmap.mmap(self.descriptor, size, access=mmap.ACCESS_READ))

    def close(self) -> None:
        """Let go of it; once is enough."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


class Progress:
    """How many packs of its task a worker has done: a number in shared memory, so that telling costs nothing."""

    def __init__(self, descriptor: int) -> None:
        """Use the open memfd `descriptor`."""
        self.descriptor: int = descriptor
        self._page = mmap.mmap(descriptor, mmap.PAGESIZE)

    @classmethod
    def create(cls) -> Progress:
        """Make one; the node's side."""
        descriptor = os.memfd_create("pangea-progress", os.MFD_CLOEXEC)
        os.ftruncate(descriptor, mmap.PAGESIZE)
        return cls(descriptor)

    def passed_on(self) -> None:
        """Close the descriptor: whoever was to have it has it."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    @property
    def packs(self) -> int:
        """The number now. The node believes it no more than anything else that a worker says."""
        return int.from_bytes(self._page[:8], "little")

    @packs.setter
    def packs(self, number: int) -> None:
        self._page[:8] = number.to_bytes(8, "little")

    def close(self) -> None:
        """Let go of it; once is enough."""
        self.passed_on()
        self._page.close()


class SharedWriter:
    """Appends to shared memory through a mapping: the worker's side, which may not write files."""

    def __init__(self, memory: SharedMemory, start: int, make_room: Callable[[int], None]) -> None:
        """Write from `start` (bytes) on, at the next whole page; `make_room` asks the node for a total of so many bytes."""
        self.start: int = -(-start // mmap.PAGESIZE) * mmap.PAGESIZE
        self.size: int = 0
        self._memory = memory
        self._make_room = make_room
        self._target: mmap.mmap | None = None

    def append(self, part: Buffer) -> None:
        """Write `part` behind what is there."""
        if not len(part):
            return
        end = self.size + len(part)
        if self._target is None or end > len(self._target):
            self._extend(end)
        assert self._target is not None
        self._target[self.size : end] = part
        self.size = end

    def _extend(self, size: int) -> None:
        if self.start + size > self._memory.size:
            self._make_room(self.start + size)
        if self._target is not None:
            self._target.close()
        self._target = mmap.mmap(self._memory.descriptor, self._memory.size - self.start, offset=self.start)

    def close(self) -> None:
        """Let go of the memory; nothing is appended any more."""
        if self._target is not None:
            self._target.close()
        self._target = None
        del self._make_room  # it may lead back to whoever holds this
