"""A TCP proxy that makes a link slow, jerky or dead: `python -m tests.proxy`, or `Proxy` in a test.

What it is: connections end here, and the bytes go on over another connection, later. So the order is kept and nothing is
lost, as TCP promises; what a lossy link does to TCP is what is made here: waits.

* `latency`, `jitter`: each read is passed on so many seconds later, each way; jitter is drawn evenly from 0 to `jitter`. Whoever
  connects hears at once from the proxy itself: the first byte is late, not the handshake of TCP.
* `bandwidth`: bytes per second, each way, for each connection. At most `_WINDOW_BYTES` are on their way; then the sender waits.
* `loss`: the chance that a packet of 1,460 bytes is lost. Then all that comes behind it waits until it would have been sent
  again: a round trip for bulk, where the next packets tell of the gap, and at least `_RETRANSMIT_SECONDS` for a read of few
  packets, where nothing does. Congestion control isn't there: real TCP would also send slower for a while. So throughput under
  loss is flattered; the delays aren't.
* `hold`: nothing passes, nothing is closed, nobody is told. What was on its way waits.

It is deterministic as far as it can be: what happens to a connection's nth read follows from the seed. How bytes fall into
reads is the kernel's business.

It is steered by lines of JSON on stdin, such as `{"latency": 0.1}`; each is answered, once in force, by a line with all of its
settings. It ends when stdin does: nobody's proxy outlives them.
"""

from __future__ import annotations

import asyncio
import json
import select
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from random import Random
from types import TracebackType
from typing import IO, Any, Self

_PACKET_BYTES = 1460
#: Fewer packets behind a lost one than this tell nobody of the gap (RFC 5681, section 3.2: three duplicate acknowledgements).
_PACKETS_THAT_TELL = 4
#: Linux's least (TCP_RTO_MIN).
_RETRANSMIT_SECONDS = 0.2
_READ_BYTES = 1 << 16
_WINDOW_BYTES = 4 << 20
_CONNECTIONS_MAX = 500
_CONNECT_SECONDS = 10.0
_ANSWER_SECONDS = 20.0
_ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Faults:
    """What a link does to whatever passes."""

    #: Seconds, each way.
    latency: float = 0.0
    #: Seconds at most, on top.
    jitter: float = 0.0
    #: Bytes per second, each way; 0: no limit.
    bandwidth: float = 0.0
    #: Chance that a packet is lost, 0 to 1.
    loss: float = 0.0
    #: Whether nothing passes.
    hold: bool = False

    def __post_init__(self) -> None:
        if min(self.latency, self.jitter, self.bandwidth) < 0 or not 0 <= self.loss <= 1:
            raise ValueError(f"no such link: {self}")


class Line:
    """One direction of one connection: when what is read may go on. Pure: the time is given."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._sent = self._due = 0.0

    def due(self, now: float, size: int, faults: Faults) -> float:
        """When `size` bytes that are read at `now` arrive; never before what was read earlier."""
        packets = -(-size // _PACKET_BYTES)
        is_lost = self._random.random() >= (1 - faults.loss) ** packets
        jitter = self._random.random() * faults.jitter
        self._sent = max(now, self._sent) + (size / faults.bandwidth if faults.bandwidth else 0.0)
        again = (2 * faults.latency + (_RETRANSMIT_SECONDS if packets < _PACKETS_THAT_TELL else 0.0)) if is_lost else 0.0
        self._due = max(self._due, self._sent + faults.latency + jitter + again)
        return self._due


class Proxy:
    """A proxy process, steered by a test."""

    def __init__(
        self,
        target: tuple[str, int],
        *,
        at: str = "127.0.0.1",
        port: int = 0,
        seed: int = 0,
        prefix: Sequence[str] = (),
        **faults: float,
    ) -> None:
        """Start it, listening `at` an address, and wait until it does.

        Args:
            target: address and port that it passes on to.
            at: the address that it listens at.
            port: and the port; 0: any.
            seed: what chance draws from.
            prefix: comes before the command; a `Host`'s, to run there.
            faults: those of `Faults`, to begin with.
        """
        words = [f"{at}:{port}", f"{target[0]}:{target[1]}", str(seed), json.dumps(faults)]
        self._process = subprocess.Popen(
            [*prefix, sys.executable, "-m", "tests.proxy", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=_ROOT,
        )
        self.pid = self._process.pid
        try:
            self.port = int(self._answer()["port"])
        except BaseException:
            self.close()
            raise

    def set(self, **faults: float) -> dict[str, Any]:
        """Change some of its `Faults`, for what is read from now on; its settings, once they are in force."""
        return self._tell(faults)

    def hold(self) -> None:
        """Let nothing pass until `heal`, and tell nobody."""
        self._tell({"hold": True})

    def heal(self) -> None:
        """Let everything pass again: at full speed, with no loss."""
        self._tell(asdict(Faults()))

    def reset_connections(self) -> int:
        """Break all connections with a reset, as a middlebox does that forgot them; how many those were."""
        return int(self._tell({"reset": True})["broken"])

    def _tell(self, order: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None, "a pipe"
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None, "a pipe"
        ready, _, _ = select.select([self._process.stdout], [], [], _ANSWER_SECONDS)
        assert ready, f"the proxy said nothing for {_ANSWER_SECONDS:g} s"
        line = self._process.stdout.readline()  # it writes lines whole
        assert line, f"the proxy has ended, with exit code {self._process.wait(_ANSWER_SECONDS)}"
        answer: dict[str, Any] = json.loads(line)
        assert "error" not in answer, answer["error"]
        return answer

    def close(self) -> None:
        """End it."""
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(BrokenPipeError):
                if pipe is not None:
                    pipe.close()
        try:
            self._process.wait(_ANSWER_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(_ANSWER_SECONDS)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class _Forwarder:
    """The process's own side: listens, connects on, and passes bytes both ways."""

    def __init__(self, target: tuple[str, int], seed: int, faults: Faults) -> None:
        self.faults = faults
        self._target = target
        self._seed = seed
        self._count = 0
        self._open: set[asyncio.StreamWriter] = set()
        self._flowing = asyncio.Event()
        self.change({})

    def change(self, order: dict[str, Any]) -> dict[str, Any]:
        """Follow an order; what is in force then."""
        broken = len(self._open) // 2
        if order.pop("reset", False):
            for each in self._open:
                _reset(each)
        self.faults = replace(self.faults, **order)
        if self.faults.hold:
            self._flowing.clear()
        else:
            self._flowing.set()
        return asdict(self.faults) | {"broken": broken}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass one connection on, until it has ended both ways or is broken."""
        number, self._count = self._count, self._count + 1
        ends = [writer]
        try:
            if len(self._open) >= 2 * _CONNECTIONS_MAX:
                raise ConnectionRefusedError(f"more than {_CONNECTIONS_MAX} connections")
            far_reader, far = await asyncio.wait_for(asyncio.open_connection(*self._target), _CONNECT_SECONDS)
            ends.append(far)
            self._open |= set(ends)
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pass_on(reader, far, Line(Random(f"{self._seed} {number} there"))))
                both.create_task(self._pass_on(far_reader, writer, Line(Random(f"{self._seed} {number} back"))))
        except* (OSError, TimeoutError):  # of either end: the other learns of it in the same way
            for each in ends:
                _reset(each)
        finally:
            self._open -= set(ends)
            for each in ends:
                each.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, line: Line) -> None:
        """Read ahead, within the window, and have each read written when it is due."""
        pending, now = _Window(), asyncio.get_running_loop().time

        async def read() -> None:
            data = b"-"
            while data:
                await pending.has_room.wait()
                data = await reader.read(_READ_BYTES)
                pending.put(line.due(now(), len(data), self.faults), data)

        async def write() -> None:
            data = b"-"
            while data:
                due, data = await pending.get()
                await _moment(due)
                await self._flowing.wait()
                writer.write(data)
                await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()

        async with asyncio.TaskGroup() as both:
            both.create_task(read())
            both.create_task(write())


class _Window:
    """What is on its way in one direction: not much more than `_WINDOW_BYTES`, where little reads count as whole packets."""

    def __init__(self) -> None:
        self.has_room = asyncio.Event()
        self.has_room.set()
        self._reads: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        self._bytes = 0

    def put(self, due: float, data: bytes) -> None:
        """Add a read."""
        self._reads.put_nowait((due, data))
        self._account(max(len(data), _PACKET_BYTES))

    async def get(self) -> tuple[float, bytes]:
        """The oldest read, and when it is due."""
        due, data = await self._reads.get()
        self._account(-max(len(data), _PACKET_BYTES))
        return due, data

    def _account(self, change: int) -> None:
        self._bytes += change
        if self._bytes < _WINDOW_BYTES:
            self.has_room.set()
        else:
            self.has_room.clear()


async def _moment(due: float) -> None:
    """Wait until the loop's clock says `due`."""
    loop = asyncio.get_running_loop()
    if due > loop.time():
        reached: asyncio.Future[None] = loop.create_future()
        timer = loop.call_at(due, reached.set_result, None)
        try:
            await reached
        finally:
            timer.cancel()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with a reset instead of a goodbye."""
    own = writer.get_extra_info("socket")
    with suppress(OSError):  # it is closed already
        own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    writer.transport.abort()


async def _obey(change: Callable[[dict[str, Any]], dict[str, Any]], orders: IO[bytes]) -> None:
    """Follow the orders on stdin until there are no more."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), orders)
    while line := await reader.readline():
        try:
            answer = change(json.loads(line))
        except (TypeError, ValueError) as error:
            answer = {"error": str(error)}
        print(json.dumps(answer), flush=True)


async def _main(at: str, target: str, seed: str, faults: str) -> None:
    forwarder = _Forwarder(_endpoint(target), int(seed), Faults(**json.loads(faults)))
    host, port = _endpoint(at)
    server = await asyncio.start_server(forwarder.serve, host, port)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await _obey(forwarder.change, sys.stdin.buffer)
    server.close()


def _endpoint(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host, int(port)


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
