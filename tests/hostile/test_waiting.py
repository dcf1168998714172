"""How long honest clients of a real node wait beside peers that send the worst messages known."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from time import perf_counter

import pytest

from pangea.compute.network.identity import Identity
from pangea.compute.network.peers.address import SOCKET_NAME, NodeAddress
from pangea.compute.network.peers.connection import Connection, connect
from pangea.compute.network.rpc import rpc
from tests.deadlines import comes_true
from tests.flooding import KINDS
from tests.leaks import open_descriptors, settled_descriptors
from tests.trees import Tree, TreeNode

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(600)]
_ASKED, _ROUNDS = 60, 5
#: Nobody is held up for longer, whatever else this machine does. `bench/flooding.py` measures what is the node's own part.
_SECONDS_MAX = 0.5


@contextmanager
def flooding(kind: str, where: str) -> Iterator[None]:
    command, root = [sys.executable, "-m", "tests.flooding", kind, where], Path(__file__).parents[2]
    pipe, null = subprocess.PIPE, subprocess.DEVNULL
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=null, cwd=root) as process:
        assert process.stdin is not None, "a pipe"
        assert process.stdout is not None, "another"
        try:
            assert process.stdout.readline()
            yield
        finally:
            process.stdin.close()
            try:
                process.wait(50)
            except subprocess.TimeoutExpired:
                process.kill()


async def waits(client: Connection) -> list[float]:
    """Seconds for each of some calls, one after the other, shortest first."""
    times = []
    for _ in range(_ASKED):
        begun = perf_counter()
        await client.capacity()
        times.append(perf_counter() - begun)
    return sorted(times)


async def slowest(root: TreeNode, friend: Identity) -> float:
    """Seconds that the slower of a local client and one over TLS waits: the median."""
    files = settled_descriptors()
    here = await connect(NodeAddress(path=root.data_dir / SOCKET_NAME))
    there = await connect(NodeAddress.parse(root.multiaddr), identity=friend)
    try:
        both = await asyncio.gather(waits(here), waits(there))
    finally:
        await here.close()
        await there.close()
        await comes_true(lambda: open_descriptors() <= files)
    return max(map(median, both))


def asked(root: TreeNode, friend: Identity) -> float:
    async def work() -> float:
        async with rpc.event_loop():
            return await slowest(root, friend)

    return asyncio.run(work())


def test_row_11_how_long_the_slowest_honest_client_waits_beside_eight_that_send_the_worst(tmp_path: Path) -> None:
    """By turns alone and beside each kind, so that what else the machine does is on both sides; the least of each counts."""
    friend = Identity.create()
    alone: list[float] = []
    beside: dict[str, list[float]] = {kind: [] for kind in KINDS}
    with Tree(tmp_path) as tree:
        root = tree.add(None, "--allow", friend.peer_id)
        for _ in range(_ROUNDS):
            alone.append(asked(root, friend))
            for kind, times in beside.items():
                with flooding(kind, root.multiaddr):
                    times.append(asked(root, friend))
    print(f"\nalone: {min(alone) * 1e3:.2f} ms ({', '.join(f'{each * 1e3:.1f}' for each in alone)})")
    for kind, times in beside.items():
        ratio = min(times) / min(alone)
        print(f"beside {kind}: {min(times) * 1e3:.2f} ms, {ratio:.1f} times ({', '.join(f'{each * 1e3:.1f}' for each in times)})")
        assert min(times) <= _SECONDS_MAX
