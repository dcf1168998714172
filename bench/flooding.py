"""How long honest clients of a node wait beside eight peers that send the worst messages known, on two cores.

    python -m bench.flooding [--rounds N] [KIND ...]

What is asked for is what the node's own work costs others, so the machine's is kept out of it: the node has a core of its own,
the clients and the flood share the other, where clients come first, and what is compared with is the wait beside a process that
burns as much of that core and sends nothing. Where the user may, all three run in the real-time class, so that nothing else on
the machine counts: the flood then is as strong as it can be. For each kind of flood (see `tests/flooding.py`): the median and the
95th percentile of a local client's calls and of one's over TLS, in milliseconds, least of the rounds, and how many times the
wait without it a median is, at most. The exit code is 1 if that is more than twice.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from tests.flooding import KINDS
from tests.trees import Tree, TreeNode

from pangea.compute.network.identity import Identity
from pangea.compute.network.peers.address import SOCKET_NAME, NodeAddress
from pangea.compute.network.peers.connection import Connection, connect
from pangea.compute.network.rpc import rpc

_CALLS = 150
_SETTLING_SECONDS = 1.0
_TIMES_MAX = 2.0
#: Real-time priorities: of the flood, of the node, of the clients.
_FLOOD, _NODE, _CLIENTS = 1, 2, 3
_BURNING = """
import os, sys, threading
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
print(flush=True)
while True:
    sum(range(10_000))
"""
Waits = tuple[float, float]
"""Seconds: the median and the 95th percentile."""


def _place(process: int, core: int, priority: int) -> None:
    """Put all threads of a process on a core, and before others if that is allowed."""
    for thread in [int(each.name) for each in Path(f"/proc/{process}/task").iterdir()]:
        os.sched_setaffinity(thread, {core})
        if os.geteuid() == 0:
            os.sched_setscheduler(thread, os.SCHED_FIFO, os.sched_param(priority))


@contextmanager
def _beside(command: list[str], core: int) -> Iterator[None]:
    """Another process on the clients' core, which has said that it has begun; it ends with its input."""
    root = Path(__file__).parents[1]
    pipe, null = subprocess.PIPE, subprocess.DEVNULL
    with subprocess.Popen([sys.executable, *command], stdin=pipe, stdout=pipe, stderr=null, cwd=root) as process:
        assert process.stdin is not None, "a pipe"
        assert process.stdout is not None, "another"
        _place(process.pid, core, _FLOOD)
        try:
            process.stdout.readline()
            time.sleep(_SETTLING_SECONDS)
            yield
        finally:
            process.stdin.close()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


async def _waits(client: Connection) -> Waits:
    times = []
    for _ in range(_CALLS):
        begun = time.perf_counter()
        await client.capacity()
        times.append(time.perf_counter() - begun)
    return median(times), sorted(times)[int(0.95 * _CALLS)]


def asked(root: TreeNode, friend: Identity) -> tuple[Waits, Waits]:
    """How long a local client waits, and one over TLS."""

    async def work() -> tuple[Waits, Waits]:
        async with rpc.event_loop():
            here = await connect(NodeAddress(path=root.data_dir / SOCKET_NAME))
            there = await connect(NodeAddress.parse(root.multiaddr), identity=friend)
            try:
                return await _waits(here), await _waits(there)
            finally:
                await here.close()
                await there.close()

    return asyncio.run(work())


def _least(rounds: list[tuple[Waits, Waits]]) -> tuple[Waits, Waits]:
    """Of each client, the round with the least median."""
    return min(here for here, _ in rounds), min(there for _, there in rounds)


def main() -> int:
    """Print a line for each kind."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"{', '.join(KINDS)} [default: all]")
    parser.add_argument("--rounds", type=int, default=3, help="of all kinds by turns [default: 3]")
    given = parser.parse_args()
    node_core, other_core = sorted(os.sched_getaffinity(0))[:2]
    friend = Identity.create()
    commands = {"burning": ["-c", _BURNING]} | {kind: ["-m", "tests.flooding", kind] for kind in given.kinds or KINDS}
    found: dict[str, list[tuple[Waits, Waits]]] = {name: [] for name in commands}
    with tempfile.TemporaryDirectory() as folder, Tree(Path(folder)) as tree:
        root = tree.add(None, "--allow", friend.peer_id)
        _place(root.process.pid, node_core, _NODE)
        _place(os.getpid(), other_core, _CLIENTS)
        for _ in range(given.rounds):
            for name, command in commands.items():
                with _beside([*command, root.multiaddr], other_core):
                    found[name].append(asked(root, friend))
    return _told({name: _least(rounds) for name, rounds in found.items()})


def _told(found: dict[str, tuple[Waits, Waits]]) -> int:
    """Write it down; whether somebody waits too long."""
    is_far, plain = False, found["burning"]
    print(f"{'ms':<10}{'here':>8}{'95 %':>8}{'TLS':>8}{'95 %':>8}{'times':>8}")
    for name, clients in found.items():
        times = max(each[0] / alone[0] for each, alone in zip(clients, plain, strict=True))
        is_far |= times > _TIMES_MAX
        print(f"{name:<10}" + "".join(f"{1e3 * each:8.2f}" for client in clients for each in client) + f"{times:8.1f}")
    return int(is_far)


if __name__ == "__main__":
    sys.exit(main())
