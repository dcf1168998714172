"""What a tree of nodes costs: against one node with as many worker processes, for tiny jobs, and on a single link.

Absolute figures are this machine's; the ratios are what counts, of runs that take turns. Prints a line for each figure.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from hashlib import sha256
from multiprocessing import get_context
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any

from pangea.compute import Client, Job
from pangea.compute.model.ids import PeerId
from pangea.compute.model.units import MIB
from pangea.compute.network import rpc
from pangea.compute.network.identity import Identity, server_context
from pangea.compute.network.limits import WireLimits
from pangea.compute.network.peering import ChildService, PeerLink
from pangea.compute.network.service import BLOCK_BYTES, BLOCKS_IN_FLIGHT
from pangea.compute.node.contents import Contents, all_of

PANGEA = [sys.executable, "-m", "pangea.compute.cli.main"]
_START_SECONDS = 120.0
_LINK_BYTES = 256 * MIB
_HEAVY = {"estimated_flops": 1e13, "locality": "any"}


@Job.define(split_strategy="row_based")
def words() -> None:
    """The README's word count."""

    @Job.split
    def split(data: bytes) -> list[bytes]:
        return data.split(b"\n")

    @Job.execute
    def execute(chunk: bytes) -> bytes:
        return b"%d" % len(chunk.split())

    @Job.merge(associative=True)
    def merge(results: list[bytes]) -> bytes:
        return b"%d" % sum(map(int, results))


@Job.define
def tiny() -> None:
    """As little as a job can be."""

    @Job.execute
    def execute(chunk: bytes) -> bytes:
        return chunk[::-1]


@contextlib.contextmanager
def devnet(folder: Path, *options: str) -> Iterator[str]:
    """A tree of nodes; its address."""
    with open(folder / "devnet.log", "ab") as log:
        process = subprocess.Popen([*PANGEA, "devnet", *options], stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        assert process.stdout is not None, "a pipe"
        line = process.stdout.readline()
        assert line.startswith("PANGEA_NODE="), (folder / "devnet.log").read_text()[-2000:]
        yield line.strip().removeprefix("PANGEA_NODE=")
    finally:
        process.terminate()
        process.wait(60)


@contextlib.contextmanager
def one_node(folder: Path, workers: int) -> Iterator[str]:
    """One node with as many worker processes; its address."""
    data = folder / "one"
    with open(folder / "one.log", "ab") as log:
        process = subprocess.Popen(
            [*PANGEA, "node", "start", "--data-dir", str(data), "--workers", str(workers)], stdout=log, stderr=log
        )
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not (data / "rpc.sock").exists():
            assert time.monotonic() < deadline, (folder / "one.log").read_text()[-2000:]
            assert process.poll() is None, (folder / "one.log").read_text()[-2000:]
            time.sleep(0.05)
        yield str(data)
    finally:
        process.terminate()
        process.wait(60)


def text(folder: Path, megabytes: int) -> Path:
    """A file of words."""
    path = folder / "words.txt"
    line = b" ".join(b"word%d" % (number * 7919 % 5000) for number in range(10)) + b"\n"
    with open(path, "wb") as file:
        for _ in range(megabytes * 1_000_000 // (len(line) * 1000)):
            file.write(line * 1000)
    return path


def overhead(folder: Path, *, rounds: int, megabytes: int, nodes: int, depth: int) -> None:
    """The same unchecked job on a tree, and on one node with as many worker processes, in turns."""
    path = text(folder, megabytes)
    expected = b"%d" % len(path.read_bytes().split())
    with devnet(folder, "--nodes", str(nodes), "--depth", str(depth)) as tree, one_node(folder, nodes) as one:
        seconds: dict[str, list[float]] = {tree: [], one: []}
        with Client(tree) as of_tree, Client(one) as of_one:
            for number in range(rounds + 1):
                for address, client in ((tree, of_tree), (one, of_one)):
                    result = client.submit_job(words, path, verification_mode="none", timeout=600.0).result(600)
                    assert bytes(result) == expected, f"{bytes(result)!r} words, not {expected!r}"
                    if number:  # the first of each learns what the module costs
                        seconds[address].append(result.report.seconds)
    ratios = [a / b for a, b in zip(seconds[tree], seconds[one], strict=True)]
    print(
        f"{nodes} nodes, depth {depth}, {megabytes} MB of words, unchecked: {statistics.median(seconds[tree]):.1f} s;"
        f" one node with {nodes} worker processes: {statistics.median(seconds[one]):.1f} s;"
        f" ratio {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}, {rounds} pairs)"
    )


def latency(folder: Path, *, jobs: int) -> None:
    """Submit to result of a tiny job: on two nodes as the score decides, and where it is delegated and checked."""
    with devnet(folder, "--nodes", "2", "--depth", "1") as tree, Client(tree) as client:
        ways: dict[str, dict[str, Any]] = {
            "two nodes, tiny job, as the score decides": {},
            "… told to be heavy, so delegated, unchecked": {**_HEAVY, "verification_mode": "none"},
            "… delegated, and executed here, too, to check": _HEAVY,
        }
        for name, options in ways.items():
            times = []
            for number in range(jobs + 5):
                began = time.perf_counter()
                assert bytes(client.submit_job(tiny, b"abc", **options).result(60)) == b"cba"
                if number >= 5:
                    times.append(1000 * (time.perf_counter() - began))
            times.sort()
            print(f"{name}: {statistics.median(times):.1f} ms median, {times[int(len(times) * 0.95)]:.1f} ms at 95 %")


class _Bare(rpc.SCHEMA.ComputeService.Server):  # type: ignore[misc]  # made at run time, from the schema
    """The library alone: a block that lies there."""

    async def fetchContent(self, sha256: bytes, offset: int, count: int, _context: Any, **_: Any) -> None:  # noqa: N802
        """Give the block."""
        _context.results.data = _BLOCK


_BLOCK = os.urandom(BLOCK_BYTES)


class _Giver:
    """A node's end that gives content."""

    def __init__(self, contents: Contents) -> None:
        self._contents = contents

    def told(self, _: Any) -> float:
        return 0.0

    async def answered(self, _: Any) -> None:
        """Nobody answers here."""

    def moved(self, _: Any) -> None:
        """Nobody moves here."""

    def told_below(self, _: Any) -> None:
        """Nobody is below."""

    async def fetch(self, name: bytes, offset: int, count: int) -> bytes:
        return await self._contents.block(name, offset, count)

    def lost(self) -> None:
        """The measurement is over."""


def _serve(pipe: Pipe) -> None:
    """The giving process: the bare library on one port, a link's methods on another."""

    async def work() -> None:
        async with rpc.event_loop():
            identity, loop, limits = Identity.create(), asyncio.get_running_loop(), WireLimits()
            data = _BLOCK * (_LINK_BYTES // BLOCK_BYTES)
            contents = Contents(_nobody)
            contents.put("bench", sha256(data).digest(), data)

            def protocol(make: Callable[[], Any]) -> Callable[[], Any]:
                async def serve(stream: Any) -> None:
                    await rpc.serve_stream(stream, make(), message_bytes_max=limits.message_bytes_max)

                return lambda: rpc.stream_protocol(serve)

            def linked() -> ChildService:
                service = ChildService()
                service.attach(_Giver(contents))
                return service

            ports = []
            for make in (_Bare, linked):
                context = server_context(identity, lambda _: True)
                server = await loop.create_server(protocol(make), "127.0.0.1", 0, ssl=context)
                ports.append(server.sockets[0].getsockname()[1])
            pipe.send((identity.peer_id, ports, sha256(data).digest()))
            await loop.run_in_executor(None, pipe.recv)

    asyncio.run(work())


async def _nobody(*_: Any) -> bytes:
    raise AssertionError("nothing is fetched here")


def link(*, rounds: int) -> None:
    """Blocks of 1 MiB over one mutual TLS connection: through a link's rooms, hashes checked, and by the library alone."""
    ours, theirs = get_context("spawn").Pipe()
    process = get_context("spawn").Process(target=_serve, args=(theirs,), daemon=True)
    process.start()
    assert ours.poll(_START_SECONDS), "the giving process didn't start"
    peer, (bare, linked), name = ours.recv()
    figures: dict[str, list[float]] = {"bare": [], "link": []}

    async def work() -> None:
        async with rpc.event_loop():
            identity = Identity.create()
            for _ in range(rounds):
                figures["bare"].append(await _rate(_fetch_bare(identity, peer, bare)))
                figures["link"].append(await _rate(_fetch_linked(identity, peer, linked, name)))

    asyncio.run(work())
    ours.send(None)
    process.join(10)
    ratios = [a / b for a, b in zip(figures["link"], figures["bare"], strict=True)]
    print(
        f"one link, 1 MiB blocks: {statistics.median(figures['link']):.0f} MB/s, hashes checked;"
        f" the RPC library alone over the same TLS: {statistics.median(figures['bare']):.0f} MB/s;"
        f" ratio {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}, {rounds} pairs)"
    )


async def _rate(work: Awaitable[float]) -> float:
    return _LINK_BYTES / 1e6 / await work


async def _connected(identity: Identity, peer: str, port: int) -> rpc.ClientStream:
    from pangea.compute.network.identity import client_context

    return await rpc.connect_tcp(
        "127.0.0.1", port, context=client_context(identity, want=peer), message_bytes_max=WireLimits().message_bytes_max
    )


async def _fetch_bare(identity: Identity, peer: str, port: int) -> float:
    stream = await _connected(identity, peer, port)
    left = list(range(0, _LINK_BYTES, BLOCK_BYTES))
    await stream.service.fetchContent(b"0" * 32, 0, BLOCK_BYTES)
    began = time.perf_counter()

    async def some() -> None:
        while left:
            answer = await stream.service.fetchContent(b"0" * 32, left.pop(), BLOCK_BYTES)
            assert len(answer.data) == BLOCK_BYTES

    await all_of([some() for _ in range(BLOCKS_IN_FLIGHT)])
    seconds = time.perf_counter() - began
    stream.close()
    return seconds


async def _fetch_linked(identity: Identity, peer: str, port: int, name: bytes) -> float:
    stream = await _connected(identity, peer, port)
    far = PeerLink(stream.service, PeerId(peer), "127.0.0.1", stream.close)
    contents = Contents(lambda _, *what: far.fetch(*what))
    contents.hear("bench", name, _LINK_BYTES, PeerId(peer))
    await far.fetch(name, 0, BLOCK_BYTES)
    began = time.perf_counter()
    await contents.whole(name)
    seconds = time.perf_counter() - began
    far.close()
    return seconds


def main() -> None:
    """Measure."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("what", nargs="*", default=["link", "latency", "overhead"], help="link, latency, overhead [all]")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--megabytes", type=int, default=170, help="of text for overhead: a job of ten seconds or so")
    options.add_argument("--nodes", type=int, default=7)
    options.add_argument("--depth", type=int, default=2)
    options.add_argument("--jobs", type=int, default=60, help="tiny jobs for latency")
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="pangea-bench-") as name:
        folder = Path(name)
        if "link" in given.what:
            link(rounds=given.rounds)
        if "latency" in given.what:
            latency(folder, jobs=given.jobs)
        if "overhead" in given.what:
            overhead(folder, rounds=given.rounds, megabytes=given.megabytes, nodes=given.nodes, depth=given.depth)


if __name__ == "__main__":
    main()
