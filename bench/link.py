"""One link between two nodes: blocks of 1 MiB over mutual TLS, by the RPC library alone and through a link's rooms.

Each way has a giving and a taking process of its own, started before anything is measured; all but one pair are idle at a time,
and the ways take turns. Both ends share this machine's cores, so beside the rate stands what both ends together burn of the
processor: `os.times` of the two processes, for each gigabyte. Rates swing with whatever else the machine does; that hardly does.

| way | what it does |
|---|---|
| library | asks for the same block again and again, eight at once, and drops it |
| library, hashing | the same, with the SHA-256 of what comes: what a user of the library alone would have to do |
| library, memory kept | the same where the C library is told to keep freed memory, as a node tells it |
| transport | a link's rooms without the hash: blocks go where the content is put together |
| link | all of it: each content's SHA-256 is checked, too; 64 contents of 4 MiB, as tasks have, eight at once |
| link, one content | the same with a single content of 256 MiB: its memory is the kernel's to give anew each time |
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from multiprocessing import get_context
from multiprocessing.connection import Connection as Pipe
from typing import Any

from pangea.compute.model.ids import PeerId
from pangea.compute.model.units import MIB
from pangea.compute.network.identity import Identity, client_context, server_context
from pangea.compute.network.peers.peering import ChildService, PeerLink
from pangea.compute.network.rpc import rpc
from pangea.compute.network.rpc.framing import GuardedProtocol
from pangea.compute.network.rpc.limits import WireLimits
from pangea.compute.network.rpc.service import BLOCK_BYTES, BLOCKS_IN_FLIGHT
from pangea.compute.node.storage import memory
from pangea.compute.node.storage.contents import Contents, all_of, room_for

_START_SECONDS = 120.0
_TURN_SECONDS = 300.0
_LINK_BYTES = 256 * MIB
_BLOCK = os.urandom(BLOCK_BYTES)
_LIMITS = WireLimits()
Use = Callable[[bytes], object]
Take = Callable[[rpc.ClientStream, PeerLink, list[bytes]], Awaitable[None]]
LIBRARY, HASHING, KEPT = "library", "library, hashing", "library, memory kept"
TRANSPORT, LINK, ONE = "transport", "link", "link, one content"
_ALONE = (LIBRARY, HASHING, KEPT)
#: Bytes of one content, and how many are fetched at once.
_CONTENT_BYTES = {LINK: 4 * MIB, TRANSPORT: 4 * MIB}
_CONTENTS_AT_ONCE = 8


class _Library(rpc.SCHEMA.ComputeService.Server):  # type: ignore[misc]  # made at run time, from the schema
    """The library alone: a block that lies there."""

    async def fetchContent(self, sha256: bytes, offset: int, count: int, _context: Any, **_: Any) -> None:  # noqa: N802
        """Give the block."""
        _context.results.data = _BLOCK


class _Giver:
    """A node's end that gives content, and hears nothing else."""

    def __init__(self, contents: Contents) -> None:
        self._contents = contents

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"nobody says anything here that needs {name}")

    async def fetch(self, name: bytes, offset: int, count: int) -> Any:
        return await self._contents.block("bench", name, offset, count)

    def lost(self) -> None:
        """The measurement is over."""


def _protocol(way: str, on_connected: Callable[[Any], Awaitable[None]]) -> Any:
    """The library's protocol; for a link, looked at on its way in, as every link is."""
    if way in _ALONE:
        return rpc.stream_protocol(on_connected)
    decoder = partial(rpc.stream_protocol, on_connected)
    return GuardedProtocol(decoder, _LIMITS, on_made=lambda *_: True, on_lost=lambda: None, is_busy=lambda: True)


def _give(way: str, pipe: Pipe) -> None:
    """The giving process."""
    if way not in (LIBRARY, HASHING):
        memory.use_few_pools()

    async def work() -> None:
        contents = Contents(_nobody)
        data = b"".join(index.to_bytes(8, "little") + _BLOCK[8:] for index in range(_LINK_BYTES // BLOCK_BYTES))
        size = _CONTENT_BYTES.get(way, _LINK_BYTES)
        parts = {sha256(part).digest(): part for at in range(0, _LINK_BYTES, size) if (part := data[at : at + size])}
        for name, part in parts.items():
            contents.put("bench", name, part)
        service = ChildService()
        service.attach(_Giver(contents))

        async def serve(stream: Any) -> None:
            bootstrap = _Library() if way in _ALONE else service
            await rpc.serve_stream(stream, bootstrap, message_bytes_max=_LIMITS.message_bytes_max)

        async with rpc.event_loop():
            identity, loop = Identity.create(), asyncio.get_running_loop()
            context = server_context(identity, lambda _: True)
            server = await loop.create_server(lambda: _protocol(way, serve), "127.0.0.1", 0, ssl=context)
            pipe.send((identity.peer_id, server.sockets[0].getsockname()[1], list(parts)))
            while await loop.run_in_executor(None, pipe.recv):
                pipe.send(_burnt())

    asyncio.run(work())


def _take(way: str, pipe: Pipe, peer: str, port: int, names: list[bytes]) -> None:
    """The taking process."""
    if way not in (LIBRARY, HASHING):
        memory.use_few_pools()
    takes: dict[str, Take] = {HASHING: _by_library_hashed, TRANSPORT: _unhashed, LINK: _hashed, ONE: _hashed}
    take = takes.get(way, _by_library)

    async def work() -> None:
        async with rpc.event_loop():
            loop = asyncio.get_running_loop()
            connected: asyncio.Future[Any] = loop.create_future()
            over = asyncio.Event()

            async def on_connected(stream: Any) -> None:
                connected.set_result(stream)
                await over.wait()

            context = client_context(Identity.create(), want=peer)
            await loop.create_connection(lambda: _protocol(way, on_connected), "127.0.0.1", port, ssl=context, server_hostname="")
            stream = rpc.ClientStream(await connected, message_bytes_max=_LIMITS.message_bytes_max)
            far = PeerLink(stream.service, PeerId(peer), "127.0.0.1", stream.close)
            pipe.send(None)
            while await loop.run_in_executor(None, pipe.recv):
                burnt, began = _burnt(), time.perf_counter()
                await take(stream, far, names)
                pipe.send((time.perf_counter() - began, _burnt() - burnt))
            over.set()
            stream.close()

    asyncio.run(work())


async def _by_library(stream: rpc.ClientStream, _far: PeerLink, names: list[bytes], use: Use = len) -> None:
    left = list(range(0, _LINK_BYTES, BLOCK_BYTES))

    async def some() -> None:
        while left:
            answer = await stream.service.fetchContent(names[0], left.pop(), BLOCK_BYTES)
            block = answer.data
            assert len(block) == BLOCK_BYTES
            use(block)

    await all_of([some() for _ in range(BLOCKS_IN_FLIGHT)])


async def _by_library_hashed(stream: rpc.ClientStream, far: PeerLink, names: list[bytes]) -> None:
    await _by_library(stream, far, names, sha256().update)


async def _unhashed(_stream: rpc.ClientStream, far: PeerLink, names: list[bytes]) -> None:
    size = _LINK_BYTES // len(names)

    async def fetch(name: bytes) -> None:
        whole = room_for(size)

        async def some(at: int) -> None:
            end = at + BLOCK_BYTES
            while at < end:
                block = await far.fetch(name, at, end - at)
                assert block, "it is there"
                whole[at : at + len(block)] = block
                at += len(block)

        await all_of([some(at) for at in range(0, size, BLOCK_BYTES)])

    await _all_contents(names, fetch)


async def _hashed(_stream: rpc.ClientStream, far: PeerLink, names: list[bytes]) -> None:
    contents = Contents(lambda _, *what: far.fetch(*what))

    async def fetch(name: bytes) -> None:
        contents.hear(name, name, _LINK_BYTES // len(names), far.peer)
        await contents.whole(name, name)
        contents.forget(name)

    await _all_contents(names, fetch)
    contents.close()


async def _all_contents(names: list[bytes], fetch: Callable[[bytes], Awaitable[None]]) -> None:
    left = list(names)

    async def some() -> None:
        while left:
            await fetch(left.pop())

    await all_of([some() for _ in range(_CONTENTS_AT_ONCE)])


async def _nobody(*_: Any) -> bytes:
    raise AssertionError("nothing is fetched here")


def _burnt() -> float:
    """Seconds of the processor that this process has burnt."""
    spent = os.times()
    return spent.user + spent.system


@dataclass(frozen=True)
class Turn:
    """One measurement.

    Attributes:
        rate: MB/s.
        giver: seconds of the processor for each GB, at the giving end.
        taker: at the taking end.
    """

    rate: float
    giver: float
    taker: float

    @property
    def both(self) -> float:
        """Of both ends."""
        return self.giver + self.taker


class Pair:
    """The two ends of one way."""

    def __init__(self, way: str) -> None:
        """Start and connect them."""
        self._processes: list[Any] = []
        self._giver, _ = self._start(_give, way)
        self._taker, _ = self._start(_take, way, *_heard(self._giver, _START_SECONDS))
        _heard(self._taker, _START_SECONDS)
        self.turn()  # the first finds out how fast the link is

    def _start(self, work: Callable[..., None], way: str, *what: Any) -> tuple[Pipe, Pipe]:
        context = get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=work, args=(way, theirs, *what), daemon=True)
        process.start()
        self._processes.append(process)
        return ours, theirs

    def turn(self) -> Turn:
        """Measure once."""
        before = self._giver_burnt()
        self._taker.send(True)
        seconds, taker = _heard(self._taker, _TURN_SECONDS)
        size = _LINK_BYTES / 1e9
        return Turn(rate=1000 * size / seconds, giver=(self._giver_burnt() - before) / size, taker=taker / size)

    def _giver_burnt(self) -> float:
        self._giver.send(True)
        return float(_heard(self._giver, _TURN_SECONDS))

    def close(self) -> None:
        """End both."""
        for pipe in (self._taker, self._giver):
            pipe.send(None)
        for process in self._processes:
            process.join(10)
            process.terminate()


def _heard(pipe: Pipe, seconds: float) -> Any:
    assert pipe.poll(seconds), f"the other process said nothing for {seconds:g} s"
    return pipe.recv()


@contextmanager
def _pairs(ways: list[str]) -> Iterator[dict[str, Pair]]:
    pairs: dict[str, Pair] = {}
    try:
        for way in ways:
            pairs[way] = Pair(way)
        yield pairs
    finally:
        for pair in pairs.values():
            pair.close()


def main() -> None:
    """Measure."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=15)
    link(rounds=options.parse_args().rounds)


def link(*, rounds: int) -> None:
    """Print what each way reaches and costs, and how it stands to the library alone."""
    ways = [*_ALONE, TRANSPORT, LINK, ONE]
    turns: dict[str, list[Turn]] = {way: [] for way in ways}
    with _pairs(ways) as pairs:
        for _ in range(rounds):
            for way in ways:
                turns[way].append(pairs[way].turn())
    print(f"{'one link, 1 MiB blocks':24}{'MB/s':>6}{'best':>6}  {'of it hashing':20}{'CPU s/GB':>10}{'least':>6}  of it hashing")
    for way in ways:
        print(f"{way:24}{_row(turns[way], turns[HASHING])}")


def _row(turns: list[Turn], library: list[Turn]) -> str:
    """Rate and cost, and both as shares of the library's with hashing in the same round: the median and the middle half."""
    pairs = list(zip(turns, library, strict=True))
    rates, costs = [each.rate for each in turns], [each.both for each in turns]
    giver, taker = statistics.median(each.giver for each in turns), statistics.median(each.taker for each in turns)
    return (
        f"{statistics.median(rates):6.0f}{max(rates):6.0f}  {_spread([one.rate / other.rate for one, other in pairs]):20}"
        f"{f'{giver:.2f}+{taker:.2f}':>10}{min(costs):6.2f}  {_spread([one.both / other.both for one, other in pairs])}"
    )


def _spread(values: list[float]) -> str:
    values.sort()
    quarter = len(values) // 4
    return f"{statistics.median(values):.2f} ({values[quarter]:.2f} to {values[-1 - quarter]:.2f})"


if __name__ == "__main__":
    main()
