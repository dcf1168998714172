"""What `Client` and `AsyncClient` share: jobs go to a node, and handles for them come back."""

from __future__ import annotations

import asyncio
import os
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

from pangea.compute.client.definition.any_job import AnyJob, options_for
from pangea.compute.client.definition.definition import JobDefinition
from pangea.compute.client.submission.handle import JobHandle, raise_if_failed
from pangea.compute.client.submission.later_handle import LaterHandle
from pangea.compute.client.submission.node_link import NodeLink
from pangea.compute.client.submission.pages import Page, open_page
from pangea.compute.client.submission.tracing import span
from pangea.compute.inputs.inputs import Inputs, open_inputs
from pangea.compute.inputs.preprocessor import prepare_input
from pangea.compute.model.errors import ConfigError
from pangea.compute.model.ids import JobId
from pangea.compute.model.kinds import ResultKind
from pangea.compute.model.manifest import Content, JobManifest
from pangea.compute.model.options import JobOptions
from pangea.compute.model.trace_context import SpanKind

#: Inputs that travel inside the message, together.
_INLINE_BYTES_MAX = 6 << 20
_UNKNOWN = ResultKind()


class NodeClient(NodeLink):
    """What both clients can do: send jobs to a node, and give handles for them."""

    def __init__(
        self,
        node: str | None = None,
        *,
        identity: str | os.PathLike[str] | None = None,
        timeout: float = 30.0,
        reconnect_timeout: float = 30.0,
        dashboard: bool | str = False,
    ) -> None:
        """A client of a node; it is connected to when it is first asked.

        Args:
            node: its address, as `NodeLink` takes it.
            identity: file with the key that proves who you are to nodes over TCP; by default PANGEA_IDENTITY.
            timeout: seconds for one call.
            reconnect_timeout: seconds to look for a node that was lost, before `UnavailableError`.
            dashboard: serve the node's live page until the client is closed, on a free port of this machine's own, or at
                `host:port`; `dashboard_url` says where, and so does stderr.

        Raises:
            ConfigError: there is no node to speak to, or an address is none.
            UnavailableError: what the page needs isn't installed.
        """
        super().__init__(node, identity=identity, timeout=timeout, reconnect_timeout=reconnect_timeout)
        self._page: Page | None = None
        if dashboard is not False:
            self._page = open_page(dashboard, node=self, identity=identity, is_own=True)
            self.dashboard_url: str = self._page.url

    def __repr__(self) -> str:
        """The node, and where the page is that this process serves of it."""
        page = f", live page at {self.dashboard_url}" if self.dashboard_url else ""
        return f"<{type(self).__name__} of {self.address}{page}>"

    def _close_page(self) -> None:
        """Serve its page no more."""
        if self._page is not None:
            self._page.close()
            self._page, self.dashboard_url = None, ""

    def attach(self, job_id: str, kind: ResultKind = _UNKNOWN, *, follow: bool = False) -> JobHandle:
        """A handle for a job of this node; `kind` says how its result is to be read, `follow` is as `JobHandle`'s."""
        return JobHandle(self, JobId(job_id), kind, follow=follow)

    async def send_job(self, job: AnyJob, input_data: Any, keywords: dict[str, Any]) -> JobHandle:
        """Send a job with its input; on the link thread."""
        options = options_for(job, keywords)
        module = await asyncio.to_thread(job.archive)
        with await asyncio.to_thread(prepare_input, input_data, job.input_kind, options, spool=True) as inputs:
            handle = await self.submit_prepared(job, module, inputs, options)
        if isinstance(job, JobDefinition):
            handle.local = lambda index: job.run_local(input_data, index=index, **keywords)
        return handle

    async def send_job_after(self, source: JobHandle, job: AnyJob, keywords: dict[str, Any]) -> JobHandle:
        """A job whose input is the result of another, which stays where it is if that is this node; on the link thread."""
        options = options_for(job, keywords)
        module = await asyncio.to_thread(job.archive)

        async def send(job_id: JobId) -> None:
            await self.send_contents(job, module, (await self.content_of(source),), replace(options, job_id=job_id))

        handle = LaterHandle(self, JobId(options.job_id or str(uuid.uuid4())), job.result_kind, [source], send)
        if isinstance(job, JobDefinition):
            handle.local = lambda index: job.run_local(bytes(source.result()), index=index, **keywords)
        return handle

    async def content_of(self, source: JobHandle) -> Content:
        """The result of a job as another's input: by its name, if this node keeps it under one. On the link thread.

        Raises:
            PangeaError: the job has no result; says why.
        """
        outcome = await source.client.remote.outcome(source.job_id, None, is_named=True)
        raise_if_failed(outcome)
        if outcome.sha256 and source.client.address == self.address:
            return Content(sha256=outcome.sha256, size=outcome.size)
        return await self.remote.send_bytes(await source.client.remote.result(outcome))

    async def submit_prepared(self, job: AnyJob, module: bytes, inputs: Inputs, options: JobOptions) -> JobHandle:
        """Send a job whose module and inputs are at hand; on the link thread."""
        sent = tuple([await self.remote.send(item) for item in inputs])
        return self.attach(await self.send_contents(job, module, sent, options), job.result_kind, follow=True)

    async def send_contents(self, job: AnyJob, module: bytes, inputs: tuple[Content, ...], options: JobOptions) -> JobId:
        """Send a job whose inputs the node is told inline or has; on the link thread."""
        is_associative = options.associative_merge or job.associative
        manifest = JobManifest(
            module=await self.remote.send_bytes(module),
            inputs=inputs,
            options=replace(options, associative_merge=is_associative),
            name=job.name,
        )
        return await self._submitted(manifest, start=module[:2])

    async def send_manifest(self, manifest: JobManifest, *, start: bytes = b"") -> JobHandle:
        """Submit a manifest whose content is inline or at the node; on the link thread.

        Args:
            manifest: the job.
            start: the first two bytes of its module, if that is at the node: what an order says hangs on its kind.
        """
        start = start or (manifest.module.data or b"")[:2]
        return self.attach(await self._submitted(manifest, start=start), follow=True)

    async def _submitted(self, manifest: JobManifest, *, start: bytes = b"") -> JobId:
        """Submit a job, whose module begins with `start`, in this client's name if it has a key."""
        manifest = manifest if manifest.job_id else manifest.with_job_id(str(uuid.uuid4()))  # ours, so that twice is once
        with span("pangea submit", manifest.name, SpanKind.PRODUCER) as place:
            signed = await self.remote.ordered(_small_enough(manifest), start=start)
            placed = replace(signed, trace=place.traceparent or signed.trace)
            return await self.remote.call(lambda node: node.submit(placed))

    async def read_and_send(self, manifest: JobManifest, folder: Path) -> JobHandle:
        """Submit a manifest that may name files, relative to `folder`; on the link thread."""
        read = [await self._read(content, folder) for content in (manifest.module, *manifest.inputs)]
        start = await asyncio.to_thread(_start, folder / manifest.module.path) if manifest.module.path else b""
        return await self.send_manifest(replace(manifest, module=read[0], inputs=tuple(read[1:])), start=start)

    async def _read(self, content: Content, folder: Path) -> Content:
        given: Any = folder / content.path if content.path else content.data
        if given is None:
            return content
        with open_inputs(given) as inputs:
            (item,) = inputs
            return await self.remote.send(item)


def _start(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(2)


def _small_enough(manifest: JobManifest) -> JobManifest:
    """Many small inputs may be too much for one message."""
    inline = sum(content.size for content in manifest.inputs if content.data is not None)
    if inline > _INLINE_BYTES_MAX:
        raise ConfigError(
            f"{len(manifest.inputs):,} inputs of {inline:,} bytes together don't fit into one message",
            hint="join small files first",
        )
    return manifest
