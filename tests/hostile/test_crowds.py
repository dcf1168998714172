"""Crowds at the door of a real node in a process of its own, and names that would speak to terminals."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from time import perf_counter

import pytest

from pangea.compute import Client, Job
from pangea.compute.model.errors import PangeaError
from pangea.compute.model.ids import PeerId
from pangea.compute.network.rpc import rpc
from tests.attackers import Attacker
from tests.deadlines import comes_true, status_of, until
from tests.nodes import pangea
from tests.trees import Tree, TreeNode, lines

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
WAIT = 60
HEAVY = 1e13
DATA = lines(800)
BELL = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202e<script>"


@Job.define(split_strategy="fixed_size", min_chunk_size=1 << 12, max_chunk_size=1 << 12, estimated_flops=HEAVY)
def tally() -> None:
    @Job.execute
    def execute(chunk: bytes) -> bytes:
        value = 7
        for _ in range(40):
            for byte in chunk:
                value = (value * 31 + byte) & 0xFFFFFFFF
        return b"%d;" % value


@pytest.fixture
def root(tmp_path: Path) -> Iterator[TreeNode]:
    """A node that admits anybody."""
    with Tree(tmp_path) as tree:
        node = tree.add(None)
        yield node


def beside(scene: Callable[[], Awaitable[None]]) -> None:
    async def all_of_it() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)  # refused handshakes are told there
        async with asyncio.timeout(2 * WAIT), rpc.event_loop():
            await scene()

    asyncio.run(all_of_it())


def work(node: TreeNode) -> bytes:
    """A job, by a local client."""
    with Client(str(node.data_dir)) as client:
        return bytes(client.submit_job(tally, DATA).result(WAIT))


def held(node: TreeNode) -> tuple[int, int]:
    """Descriptors and resident bytes of the node's process."""
    pid = node.process.pid
    return len(os.listdir(f"/proc/{pid}/fd")), int(status_of(pid)["VmRSS"].split()[0]) * 1024


async def knocks(where: str, is_over: asyncio.Event, counts: dict[str, int]) -> None:
    """Strangers, one key after the other: each dials, says nonsense, and is refused or leaves."""
    while not is_over.is_set():
        with suppress(PangeaError):
            stranger = await Attacker().join(where, cores=0)
            with suppress(PangeaError):
                await stranger.note("x" * 100_000)
            stranger.leave()
        counts["knocks"] = counts.get("knocks", 0) + 1


def test_row_11_a_job_is_exact_while_strangers_flood_the_door_and_all_comes_back(root: TreeNode) -> None:
    expected = work(root)
    before = held(root)

    async def scene() -> None:
        is_over, counts = asyncio.Event(), dict[str, int]()
        flood = [asyncio.create_task(knocks(root.multiaddr, is_over, counts)) for _ in range(8)]
        try:
            assert await asyncio.to_thread(work, root) == expected
        finally:
            is_over.set()
            await asyncio.gather(*flood)
        assert counts["knocks"] >= 8
        await comes_true(lambda: held(root)[0] <= before[0] + 2)
        assert held(root)[1] <= before[1] + (48 << 20)

    beside(scene)
    assert root.children() == []


@pytest.mark.long
@pytest.mark.timeout(600)
def test_row_11_throughput_beside_a_flood(root: TreeNode) -> None:
    """Five jobs alone and five beside a flood, in turn; the flood's own work is on the same machine, so the bound is wide."""
    work(root)
    alone: list[float] = []
    flooded: list[float] = []

    async def timed(times: list[float]) -> None:
        begun = perf_counter()
        await asyncio.to_thread(work, root)
        times.append(perf_counter() - begun)

    async def scene() -> None:
        for _ in range(5):
            await timed(alone)
            is_over = asyncio.Event()
            flood = asyncio.create_task(knocks(root.multiaddr, is_over, {}))
            await timed(flooded)
            is_over.set()
            await flood

    beside(scene)
    ratio = sorted(alone)[2] / sorted(flooded)[2]
    print(f"throughput beside a flood: {ratio:.0%} of that without")
    assert ratio > 0.4


def is_plain(text: str) -> bool:
    """Whether a terminal does nothing but show it."""
    return all(line.isprintable() for line in text.splitlines())


def test_row_25_names_of_peers_do_nothing_to_a_terminal(root: TreeNode) -> None:
    async def scene() -> None:
        for hello in ({"site": BELL}, {"site": "x" * 65}):
            with pytest.raises(PangeaError):
                await Attacker().join(root.multiaddr, **hello)
        liar = await Attacker().join(root.multiaddr, site="<script>alert(1)</script>../../x")
        for record in (
            {"kind": "below", "places": [[BELL, liar.peer, ""]]},
            {"kind": "below", "places": [["p", "q", BELL]]},
            {"kind": "path", "path": [BELL]},
            {"kind": BELL},
        ):
            with pytest.raises(PangeaError):
                await liar.note(record)
        await asyncio.to_thread(until, lambda: bool(root.children()))
        shown = await asyncio.to_thread(pangea, "peer", "list", "--data-dir", str(root.data_dir))
        assert shown.returncode == 0, shown.stderr
        assert is_plain(shown.stdout.decode())
        working = asyncio.create_task(asyncio.to_thread(work, root))
        asked = await liar.gets(seconds=WAIT)
        with suppress(PangeaError):  # banned for this, and the cause says whom it named
            await liar.says((asked[0].attempt, liar.result(asked[0], worker=PeerId(BELL))))
        await working

    beside(scene)
    for command in (("peer", "list"), ("peer", "trust"), ("job", "list"), ("peer", "list", "--json")):
        shown = pangea(*command, "--data-dir", str(root.data_dir))
        assert shown.returncode == 0, shown.stderr
        assert is_plain(shown.stdout.decode()), command
        assert is_plain(shown.stderr.decode()), command
    assert is_plain(root.log())
    assert any(ban["cause"] for ban in root.census()["banned"])
