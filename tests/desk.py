"""A node at work in this process: real journal, blobs and engine. Its callers are sessions, as the wire's adapter makes them."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from pangea.compute.engine.engine import Engine
from pangea.compute.model.errors import PangeaError
from pangea.compute.model.ids import JobId
from pangea.compute.model.manifest import Content, JobManifest
from pangea.compute.model.options import JobOptions
from pangea.compute.network.identity import Identity
from pangea.compute.network.rpc.service import BLOCK_BYTES, Caller
from pangea.compute.node.config import NodeConfig
from pangea.compute.node.service.metrics import Metrics
from pangea.compute.node.service.monitor import Monitor
from pangea.compute.node.service.node import Node
from pangea.compute.node.service.service import Session
from pangea.compute.node.storage.blobs import BlobStore
from pangea.compute.node.storage.journal import Journal
from pangea.compute.node.storage.records import Entry
from tests.guests import module

SECONDS = 50
ECHO = Content(module())
Scene = Callable[["Desk"], Awaitable[None]]
Play = Callable[..., None]


class GatedJournal(Journal):
    """A journal whose disk takes its time, or fails."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.gate = asyncio.Event()
        self.gate.set()
        self.failure: PangeaError | None = None

    async def append(self, entry: Entry, *, undo: Entry | None = None) -> None:
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        await super().append(entry, undo=undo)


class Desk:
    """A node at work and its callers."""

    def __init__(self, node: Node, journal: GatedJournal) -> None:
        self.node, self.journal = node, journal
        self._monitor = Monitor(node)
        self.me, self.other = self.caller("uid:1"), self.caller("uid:2")

    def caller(self, owner: str) -> Session:
        return Session(self.node, Caller(owner, is_local=True), self._monitor)

    async def done(self, job_id: JobId) -> Any:
        return await self.me.outcome(job_id, SECONDS)


@asynccontextmanager
async def desk(folder: Path, engine: Engine, config: NodeConfig) -> AsyncIterator[Desk]:
    journal = GatedJournal(folder / "journal.sqlite")
    await asyncio.to_thread(journal.open)
    try:
        node = Node(config, Identity.create(), engine, journal, BlobStore(folder / "blobs"), Metrics())
        await node.start()
        try:
            yield Desk(node, journal)
        finally:
            await node.stop()
    finally:
        await asyncio.to_thread(journal.close)


def player(folder: Path, engine: Engine) -> Play:
    """Plays a scene at a node in `folder`: twice is a restart."""

    def run(scene: Scene, **settings: Any) -> None:
        async def all_of_it() -> None:
            config = NodeConfig(data_dir=folder, stop_seconds=0.0, **settings)
            async with asyncio.timeout(SECONDS), desk(folder, engine, config) as on:
                await scene(on)

        asyncio.run(all_of_it())

    return run


def job(data: bytes = b"hello", *, job_id: str = "") -> JobManifest:
    options = JobOptions(job_id=job_id or str(uuid.uuid4()))
    return JobManifest(module=ECHO, inputs=(Content(data),), options=options)


def named(data: bytes) -> JobManifest:
    """A job whose input was sent ahead."""
    return replace(job(), inputs=(Content(sha256=sha256(data).hexdigest(), size=len(data)),))


async def send(session: Session, data: bytes) -> bool:
    """Send content; whether it had to be sent."""
    upload = await session.upload(sha256(data).hexdigest(), len(data))
    if upload is None:
        return False
    for at in range(0, len(data), BLOCK_BYTES):
        await upload.write(data[at : at + BLOCK_BYTES])
    await upload.finish()
    return True


def spoil(folder: Path, name: str) -> None:
    """Flip one bit of a blob."""
    path = folder / "blobs" / name[:2] / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
