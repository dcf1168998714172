"""`Client` and `AsyncClient`: a node's services, blocking or awaited."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Coroutine
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any, Self, TypeVar

from pangea.compute.client import link
from pangea.compute.client.handle import JobHandle
from pangea.compute.client.kinds import ResultKind
from pangea.compute.client.preprocessor import prepare_input
from pangea.compute.client.remote import RemoteNode
from pangea.compute.client.submit import AnyJob, options_for
from pangea.compute.engine.inputs import Inputs, open_inputs
from pangea.compute.model.errors import ConfigError, UnavailableError
from pangea.compute.model.ids import JobId, PeerId
from pangea.compute.model.manifest import Content, JobManifest
from pangea.compute.model.options import JobOptions
from pangea.compute.model.status import Capacity, JobStatus, NodeInfo
from pangea.compute.network.address import SOCKET_NAME, NodeAddress
from pangea.compute.network.identity import Identity

T = TypeVar("T")

_APP = "pangea-compute"
#: Inputs that travel inside the message, together.
_INLINE_BYTES_MAX = 6 << 20
_UNKNOWN = ResultKind()


class NodeClient:
    """What both clients are made of: a node, and the thread that speaks to it."""

    def __init__(
        self,
        node: str | None = None,
        *,
        identity: str | os.PathLike[str] | None = None,
        timeout: float = 30.0,
        reconnect_timeout: float = 30.0,
    ) -> None:
        """A client of a node; it is connected to when it is first asked.

        Args:
            node: its address: `unix:/path/rpc.sock`, a data directory, or `tcp://host:port/PEER_ID`. By default PANGEA_NODE, else
                the node in PANGEA_DATA_DIR, else the user's own.
            identity: file with the key that proves who you are to nodes over TCP; by default PANGEA_IDENTITY.
            timeout: seconds for one call.
            reconnect_timeout: seconds to look for a node that was lost, before `UnavailableError`.

        Raises:
            ConfigError: there is no node to speak to, or the address is none.
        """
        self.address = find_node(node)
        key = identity or os.environ.get("PANGEA_IDENTITY")
        who = Identity.load_or_create(Path(key)) if key else None
        self._link = link.thread()
        self.remote = RemoteNode(self.address, identity=who, timeout=timeout, reconnect_timeout=reconnect_timeout)

    @property
    def is_gone(self) -> bool:
        """Whether its thread has ended (with the process's links, or in a forked child): another client is needed."""
        return self._link is not link.thread()

    def start(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Begin `work` on the link thread."""
        return self._link.start(work)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do `work` on the link thread, and wait: every part of it has its deadline."""
        if self._link.is_current():
            work.close()
            raise UnavailableError("a callback of a job can't wait for its node", hint="do it in a thread of your own")
        future = self.start(work)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def attach(self, job_id: str, kind: ResultKind = _UNKNOWN) -> JobHandle:
        """A handle for a job of this node; `kind` says how its result is to be read."""
        return JobHandle(self, JobId(job_id), kind)

    async def submit(self, job: AnyJob, input_data: Any, keywords: dict[str, Any]) -> JobHandle:
        """Send a job with its input; on the link thread."""
        options = options_for(job, keywords)
        module = await asyncio.to_thread(job.archive)
        with await asyncio.to_thread(prepare_input, input_data, job.input_kind, options, spool=True) as inputs:
            return await self.submit_prepared(job, module, inputs, options)

    async def submit_prepared(self, job: AnyJob, module: bytes, inputs: Inputs, options: JobOptions) -> JobHandle:
        """Send a job whose module and inputs are at hand; on the link thread."""
        is_associative = options.associative_merge or job.associative
        manifest = JobManifest(
            module=await self.remote.send_bytes(module),
            inputs=tuple([await self.remote.send(item) for item in inputs]),
            options=replace(options, associative_merge=is_associative),
            name=job.name,
        )
        return await self.send_manifest(manifest, job.result_kind)

    async def send_manifest(self, manifest: JobManifest, kind: ResultKind = _UNKNOWN) -> JobHandle:
        """Submit a manifest whose content is inline or at the node; on the link thread."""
        manifest = manifest if manifest.job_id else manifest.with_job_id(str(uuid.uuid4()))  # ours, so that twice is once
        manifest = _small_enough(manifest)
        return self.attach(await self.remote.call(lambda node: node.submit(manifest)), kind)

    async def read_and_send(self, manifest: JobManifest, folder: Path) -> JobHandle:
        """Submit a manifest that may name files, relative to `folder`; on the link thread."""
        read = [await self._read(content, folder) for content in (manifest.module, *manifest.inputs)]
        return await self.send_manifest(replace(manifest, module=read[0], inputs=tuple(read[1:])))

    async def _read(self, content: Content, folder: Path) -> Content:
        given: Any = folder / content.path if content.path else content.data
        if given is None:
            return content
        with open_inputs(given) as inputs:
            (item,) = inputs
            return await self.remote.send(item)


class Client(NodeClient):
    """A node, for programs that block. A context manager.

    with Client("unix:/run/pangea/rpc.sock") as client:
        handle = client.submit_job(word_count, "big.txt", split_strategy="row_based")
        print(handle.result())
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up; jobs go on."""
        self.run(self.remote.close())

    def submit_job(self, job: AnyJob, input_data: Any = None, **options: Any) -> JobHandle:
        """Submit a job; it is on the node's disk when this returns. Arguments are those of `pangea.compute.submit_job`."""
        return self.run(self.submit(job, input_data, options))

    def submit_manifest(self, manifest: JobManifest, *, folder: Path | None = None) -> JobHandle:
        """Submit a manifest; paths in it are relative to `folder` (by default the working directory)."""
        return self.run(self.read_and_send(manifest, folder or Path()))

    def job(self, job_id: str) -> JobHandle:
        """A job that was submitted earlier, by this process or another."""
        return self.attach(job_id)

    def list_jobs(self, prefix: str = "", limit: int = 100) -> list[JobStatus]:
        """Your jobs whose id begins with `prefix`, latest first."""
        return self.run(self.remote.call(lambda node: node.list_jobs(prefix, limit)))

    def capacity(self) -> Capacity:
        """What the node can do."""
        return self.run(self.remote.call(lambda node: node.capacity()))

    def info(self) -> NodeInfo:
        """The node at this moment."""
        return self.run(self.remote.call(lambda node: node.info()))

    def peers(self) -> dict[str, Any]:
        """Neighbours of a node on this machine, what stands behind them, what is thought of workers, who is banned."""
        return self.run(self.remote.call(lambda node: node.peers()))

    def ban(self, peer: str, reason: str = "") -> None:
        """Have a node on this machine shut a peer out."""
        self.run(self.remote.call(lambda node: node.ban(PeerId(peer), reason)))

    def unban(self, peer: str) -> bool:
        """Have a node on this machine lift a ban; False if there is none."""
        return self.run(self.remote.call(lambda node: node.unban(PeerId(peer))))


class AsyncClient(NodeClient):
    """A node, for asyncio programs (on any event loop). An async context manager.

    async with AsyncClient() as client:
        handle = await client.submit_job(word_count, "big.txt")
        print(await handle)
    """

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        return await asyncio.wrap_future(self.start(work))

    async def close(self) -> None:
        """Hang up; jobs go on."""
        await self._wait(self.remote.close())

    async def submit_job(self, job: AnyJob, input_data: Any = None, **options: Any) -> JobHandle:
        """Submit a job; it is on the node's disk when this returns."""
        return await self._wait(self.submit(job, input_data, options))

    def job(self, job_id: str) -> JobHandle:
        """A job that was submitted earlier."""
        return self.attach(job_id)

    async def list_jobs(self, prefix: str = "", limit: int = 100) -> list[JobStatus]:
        """Your jobs whose id begins with `prefix`, latest first."""
        return await self._wait(self.remote.call(lambda node: node.list_jobs(prefix, limit)))

    async def capacity(self) -> Capacity:
        """What the node can do."""
        return await self._wait(self.remote.call(lambda node: node.capacity()))

    async def info(self) -> NodeInfo:
        """The node at this moment."""
        return await self._wait(self.remote.call(lambda node: node.info()))

    async def peers(self) -> dict[str, Any]:
        """Neighbours of a node on this machine, what stands behind them, what is thought of workers, who is banned."""
        return await self._wait(self.remote.call(lambda node: node.peers()))

    async def ban(self, peer: str, reason: str = "") -> None:
        """Have a node on this machine shut a peer out."""
        await self._wait(self.remote.call(lambda node: node.ban(PeerId(peer), reason)))

    async def unban(self, peer: str) -> bool:
        """Have a node on this machine lift a ban; False if there is none."""
        return await self._wait(self.remote.call(lambda node: node.unban(PeerId(peer))))


def find_node(node: str | None) -> NodeAddress:
    """The address of the node that is meant.

    Raises:
        ConfigError: none is given anywhere, or it is no address.
    """
    if given := node or os.environ.get("PANGEA_NODE"):
        return NodeAddress.parse(given)
    if folder := os.environ.get("PANGEA_DATA_DIR"):
        return NodeAddress(path=Path(folder).absolute() / SOCKET_NAME)
    from platformdirs import user_data_path

    socket = user_data_path(_APP) / SOCKET_NAME
    if socket.exists():
        return NodeAddress(path=socket)
    raise ConfigError(
        "no node is given",
        hint="name one with --node, --data-dir or PANGEA_NODE, or start one with `pangea node start`",
        field="node",
    )


def _small_enough(manifest: JobManifest) -> JobManifest:
    """Many small inputs may be too much for one message."""
    inline = sum(content.size for content in manifest.inputs if content.data is not None)
    if inline > _INLINE_BYTES_MAX:
        raise ConfigError(
            f"{len(manifest.inputs):,} inputs of {inline:,} bytes together don't fit into one message",
            hint="join small files first",
        )
    return manifest
