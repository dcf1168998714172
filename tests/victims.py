"""A real node in this process, to be attacked over the real wire: its parts can be looked at, and taken out."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from pangea.compute.engine.engine import Engine
from pangea.compute.engine.task import Task
from pangea.compute.model.ids import JobId, PeerId
from pangea.compute.model.manifest import Content, JobManifest
from pangea.compute.model.options import JobOptions
from pangea.compute.model.outcome import Outcome
from pangea.compute.network.identity import Identity
from pangea.compute.network.peers.address import NodeAddress
from pangea.compute.network.peers.dialling import dial
from pangea.compute.network.peers.hello import Hello
from pangea.compute.network.peers.peering import PeerLink
from pangea.compute.network.rpc import rpc
from pangea.compute.network.rpc.limits import WireLimits
from pangea.compute.network.rpc.service import Caller
from pangea.compute.network.serving.server import Server, serve_tcp
from pangea.compute.node.config import NodeConfig
from pangea.compute.node.jobs.calls import Calls
from pangea.compute.node.service.metrics import Metrics
from pangea.compute.node.service.monitor import Monitor
from pangea.compute.node.service.node import Node
from pangea.compute.node.service.service import Session
from pangea.compute.node.storage.blobs import BlobStore
from pangea.compute.node.storage.journal import Journal
from pangea.compute.node.tree.neighbours import Neighbour
from pangea.compute.orchestrator.core.events import Relation
from tests.guests import module

SECONDS = 100
ECHO = module()
#: So many operations that any node delegates.
HEAVY = 1e13
Scene = Callable[["Victim"], Awaitable[None]]


class GatedCalls(Calls):
    """The node's engine, which waits while its gate is shut: a job is for others then."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.gate = asyncio.Event()
        self.gate.set()

    async def execute(self, task: Task) -> Outcome:
        await self.gate.wait()
        return await super().execute(task)


class Victim:
    """The node, what a local user may ask of it, and where peers find it."""

    def __init__(self, node: Node, server: Server, monitor: Monitor) -> None:
        self.node, self.server = node, server
        self.me = Session(node, Caller("uid:1", is_local=True), monitor)
        self.own = GatedCalls(node.engine)
        node.driver.calls = self.own
        self.troubles: list[dict[str, Any]] = []
        "what its event loop was told of as never expected"

    @property
    def address(self) -> str:
        """Where peers dial it."""
        return f"/ip4/127.0.0.1/tcp/{self.server.port}/p2p/{self.node.peer}"

    @property
    def children(self) -> list[PeerId]:
        """Its children, as its orchestrator knows them."""
        return list(self.node.driver.core.core.children)

    def is_banned(self, peer: str) -> bool:
        """Whether it will have nothing to do with a peer."""
        return self.node.trust.is_banned(PeerId(peer), self.node.driver.now())

    def has_taken_in(self, worker: str) -> bool:
        """Whether a worker has answered a task, and what it says is fetched and weighed."""
        tasks = (task for job in self.node.driver.core.core.jobs.values() for task in job.tasks.values())
        return any(vote.worker == worker for task in tasks if task.case is not None for vote in task.case.votes)

    async def submit(self, data: bytes, **options: Any) -> JobId:
        """A job that gives its input back, in chunks of 16 bytes, and would rather be done by others."""
        given = {"split_strategy": "fixed_size", "min_chunk_size": 16, "max_chunk_size": 16, "estimated_flops": HEAVY, **options}
        made = JobOptions.of({"job_id": str(uuid.uuid4()), **given})
        return await self.me.submit(JobManifest(module=Content(ECHO), inputs=(Content(data),), options=made))

    async def result(self, job_id: JobId) -> bytes:
        """What a job comes to, now with the node's own engine; an assertion fails if it has failed."""
        self.own.gate.set()
        outcome = await self.me.outcome(job_id, SECONDS)
        assert outcome.data is not None, outcome.status.error
        return outcome.data

    async def join(self, where: str) -> Neighbour:
        """Have it dial a parent."""
        ends: list[Neighbour] = []

        def accept(link: PeerLink, hello: Hello) -> Neighbour:
            ends.append(self.node.driver.neighbours.add(link, Relation.PARENT, hello))
            return ends[0]

        await dial(NodeAddress.parse(where), self.node.identity, self.node.membership.hello(), accept)
        return ends[0]


@asynccontextmanager
async def victim(folder: Path, engine: Engine, **settings: Any) -> AsyncIterator[Victim]:
    """A node at work that admits anybody, unless its settings say otherwise."""
    config = NodeConfig(**{"data_dir": folder, "stop_seconds": 0.0, "admit": ("open",), **settings})
    journal = Journal(folder / "journal.sqlite")
    await asyncio.to_thread(journal.open)
    try:
        node = Node(config, Identity.create(), engine, journal, BlobStore(folder / "blobs"), Metrics())
        monitor = Monitor(node)
        await node.start()
        troubles: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: troubles.append(context))
        try:
            async with serve_tcp(
                "127.0.0.1",
                0,
                node.identity,
                node.membership.welcomes,
                lambda caller: Session(node, caller, monitor),
                WireLimits(connections_max=config.connections_max),
                lambda error: troubles.append({"exception": error}),
            ) as server:
                on = Victim(node, server, monitor)
                on.troubles = troubles
                yield on
        finally:
            await node.stop()
    finally:
        await asyncio.to_thread(journal.close)


def _was_cut_off(trouble: dict[str, Any]) -> bool:
    """Whether it is no more than that a refused call's link was gone before its caller could be told."""
    return str(trouble.get("message", "")).startswith("Cancelled server method")


def play(folder: Path, engine: Engine, scene: Scene, **settings: Any) -> None:
    """Play a scene at a node."""

    async def all_of_it() -> None:
        async with asyncio.timeout(SECONDS), rpc.event_loop(), victim(folder, engine, **settings) as on:
            await scene(on)
            ours = [each for each in on.troubles if not (isinstance(each.get("exception"), OSError) or _was_cut_off(each))]
            assert ours == [], "the node has met what it didn't expect"

    asyncio.run(all_of_it())
