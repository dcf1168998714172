"""Trees of real nodes for tests: processes on loopback that dial each other."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from pangea.compute import Job
from pangea.compute.model.ids import JobId
from pangea.compute.network.peers.address import SOCKET_NAME, NodeAddress
from pangea.compute.network.peers.connection import Connection, connect
from pangea.compute.network.rpc import rpc
from pangea.compute.network.rpc.service import BLOCK_BYTES
from tests.deadlines import until
from tests.nodes import NodeProcess
from tests.ports import Port

T = TypeVar("T")
_JOIN_SECONDS = 30.0
#: So many operations that any node delegates.
HEAVY = 1e13


@Job.define(split_strategy="fixed_size", min_chunk_size=1 << 12, max_chunk_size=1 << 12, estimated_flops=HEAVY)
def digest() -> None:
    """Some tenths of a second of work on each chunk; the order shows in the result."""

    @Job.execute
    def execute(chunk: bytes) -> bytes:
        value = 7
        for _ in range(60):
            for byte in chunk:
                value = (value * 31 + byte) & 0xFFFFFFFF
        return b"%d;" % value


class TreeNode(NodeProcess):
    """A node that knows where it listens."""

    def events(self, name: str) -> list[dict[str, Any]]:
        """What it has logged of one kind, in order."""
        lines = (json.loads(line) for line in self.log().splitlines() if line.startswith("{"))
        return [line for line in lines if line.get("event") == name]

    @property
    def peer(self) -> str:
        """Its peer id."""
        return str(self.events("ready")[-1]["peer"])

    @property
    def multiaddr(self) -> str:
        """Where children dial it."""
        host, _, port = str(self.events("listening")[-1]["address"]).removeprefix("tcp://").partition("/")[0].rpartition(":")
        return f"/ip4/{host}/tcp/{port}/p2p/{self.peer}"

    def children(self) -> list[dict[str, Any]]:
        """Its children, as it sees them."""
        return [each for each in self.census()["peers"] if each["relation"] == "child"]

    def census(self) -> dict[str, Any]:
        """Whom it knows."""
        return self.ask(lambda node: node.peers())

    def ask(self, question: Callable[[Connection], Awaitable[T]]) -> T:
        """What it answers to a local user."""

        async def work() -> T:
            async with rpc.event_loop():
                connection = await connect(NodeAddress(path=self.data_dir / SOCKET_NAME))
                try:
                    return await question(connection)
                finally:
                    await connection.close()

        return asyncio.run(work())

    def receipt(self, job_id: str) -> bytes:
        """The receipt of a job of this user's."""

        async def work(node: Connection) -> bytes:
            receipt, size = await node.read_receipt(JobId(job_id), 0, BLOCK_BYTES)
            while len(receipt) < size:
                receipt += (await node.read_receipt(JobId(job_id), len(receipt), BLOCK_BYTES))[0]
            return receipt

        return self.ask(work)


class Tree:
    """A root and what hangs below it. Use it in a `with`."""

    def __init__(self, folder: Path) -> None:
        """An empty one, in `folder`."""
        self.folder = folder
        self.nodes: list[TreeNode] = []
        self._ports: list[Port] = []

    def add(self, parent: TreeNode | None, *options: str, listens: bool = True, workers: int = 1) -> TreeNode:
        """Start a node under `parent`; one that doesn't listen can only dial."""
        given = ["--workers", str(workers), *options]
        if listens:
            self._ports.append(Port())  # the same after a restart
            given += ["--listen", f"127.0.0.1:{self._ports[-1].number}", "--admit", "open"]
        if parent is not None:
            given += ["--join", parent.multiaddr]
        node = TreeNode(self.folder / f"n{len(self.nodes)}", *given)
        self.nodes.append(node)
        return node

    def wait(self, what: Callable[[], bool], seconds: float = _JOIN_SECONDS) -> None:
        """Until something about the tree has come true."""
        until(what, seconds=seconds, what="the tree's change")

    def grown(self, root: TreeNode, count: int) -> None:
        """Wait until so many nodes stand below `root`, and it knows of their cores."""
        self.wait(lambda: sum(int(each.get("nodes", 1)) for each in root.children()) >= count)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for node in reversed(self.nodes):
            node.__exit__(kind, error, trace)
        for port in self._ports:
            port.close()


def lines(count: int, width: int = 60) -> bytes:
    """Text to work on."""
    return b"".join(b"%0*d\n" % (width, index * 7919 % 10**9) for index in range(count))


def levels(shape: Sequence[int], tree: Tree) -> list[list[TreeNode]]:
    """Nodes level by level: `shape` says how many each node of a level has below it."""
    found = [[tree.add(None)]]
    for width in shape:
        found.append([tree.add(parent) for parent in found[-1] for _ in range(width)])
    tree.grown(found[0][0], sum(map(len, found)) - 1)
    return found
