"""Which jobs a node takes: each once, however often it is submitted; within its owner's quotas; with what is its owner's."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from hashlib import sha256

from pangea.compute.model.errors import ManifestError, QuotaError
from pangea.compute.model.ids import JobId, PeerId
from pangea.compute.model.manifest import Content, JobManifest
from pangea.compute.model.trace_context import TRACEPARENT
from pangea.compute.node.config import NodeConfig
from pangea.compute.node.jobs.jobs import Job, JobBook
from pangea.compute.node.jobs.ordering import check_order
from pangea.compute.node.jobs.starting import check_module
from pangea.compute.node.storage.blobs import BlobStore
from pangea.compute.node.storage.journal import Journal
from pangea.compute.node.storage.quotas import Quotas, Reservation
from pangea.compute.node.storage.records import INLINE_BYTES_MAX, JobAccepted, JobForgotten
from pangea.compute.node.storage.staged_content import StagedContent
from pangea.compute.node.storage.to_end import to_end

#: How owners begin that are users of this machine.
_LOCAL = "uid:"


@dataclass(slots=True, eq=False)
class _Taking:
    """A job on its way to disk.

    Attributes:
        claimed: names of the content on the shelf that it takes over.
        pinned: names of blobs that are kept until the job's record names them.
        done: its id, once it is on disk.
    """

    owner: str
    manifest: JobManifest
    holding: Reservation
    claimed: list[str]
    pinned: list[str]
    done: asyncio.Future[JobId]


class Admission:
    """Takes jobs in for one node."""

    def __init__(
        self,
        config: NodeConfig,
        book: JobBook,
        journal: Journal,
        blobs: BlobStore,
        *,
        peer: PeerId,
        begin: Callable[[Job, JobManifest], None],
    ) -> None:
        """Take jobs into `book` and `journal` of node `peer`, content into `blobs`; `begin` gets each once it is on disk."""
        self._peer = peer
        self._config = config
        self._book = book
        self._journal = journal
        self._blobs = blobs
        self._begin = begin
        self.quotas: Quotas = Quotas(
            jobs_max=config.jobs_max,
            jobs_per_owner_max=config.jobs_per_owner_max,
            bytes_per_owner_max=config.bytes_per_owner_max,
        )
        self.shelf: StagedContent = StagedContent(config.data_dir / "sent", blobs, self.quotas)
        #: By owner and given id.
        self._taking: dict[tuple[str, JobId], _Taking] = {}

    def restore(self, now: float) -> None:
        """Hold what unfinished jobs and content sent ahead had before a restart."""
        for job in self._book.unfinished():
            job.holding = self.quotas.hold(job.owner, size=job.accepted.bytes_in, jobs=1)
        self.shelf.restore(now)

    def may_name(self, owner: str, name: str) -> bool:
        """Whether content is an owner's, by having been sent or by being part of a job: to others it doesn't exist."""
        return self.shelf.has(owner, name) or self._book.has_content(owner, name)

    async def is_taken(self, job: Job) -> None:
        """Wait until a job that is on its way to disk is there, or refused."""
        if (taking := self._taking.get((job.owner, job.given))) is not None:
            await asyncio.wait({taking.done})

    async def are_taken(self) -> None:
        """Likewise for all there are."""
        if self._taking:
            await asyncio.wait({each.done for each in self._taking.values()})

    async def accept(self, owner: str, manifest: JobManifest) -> JobId:
        """Put a job on disk; asked for again, also meanwhile, it is the same job. Other owners' ids are nobody's business.

        Raises:
            ManifestError: its id is another job's of its owner, or it names a file, or content that isn't its owner's, or its
                order isn't signed by the client that it names.
            BadModuleError: its module is none.
            InputError: content that it names is damaged.
            QuotaError: the owner or the node has as much as it may have, or the disk is full.
        """
        manifest = manifest if manifest.job_id else manifest.with_job_id(str(uuid.uuid4()))
        given = JobId(manifest.job_id)
        if (known := self._book.of(owner, given)) is not None and (owner, given) not in self._taking:
            return await self._once_more(known, manifest)
        taking = self._taking.get((owner, given))
        if taking is None:
            taking = self._taking[owner, given] = self._reserve(owner, manifest)  # all of it before the first wait
            return await to_end(self._take(given, taking))  # once it is on disk it runs, whoever has hung up
        if taking.manifest != manifest:
            raise _other(given)
        return await asyncio.shield(taking.done)

    async def _once_more(self, known: Job, manifest: JobManifest) -> JobId:
        kept = await self.manifest_text(known)
        text = await asyncio.to_thread(lambda: _text(_by_hash(manifest.with_job_id(known.id))))
        if kept != text and not await asyncio.to_thread(_is_same, kept, text):
            raise _other(known.given)
        return known.given

    def _called(self, owner: str, given: JobId) -> JobId:
        """What a new job is called here. Of a peer's nobody can tell whether that id is there already, as somebody else's."""
        is_free = owner.startswith(_LOCAL) and self._book.get(given) is None
        return given if is_free else JobId(str(uuid.uuid4()))

    async def manifest_text(self, job: Job) -> str:
        """What was submitted, as JSON."""
        return job.accepted.manifest or await asyncio.to_thread(self._journal.manifest_of, job.id)

    def _reserve(self, owner: str, manifest: JobManifest) -> _Taking:
        """Check what can be checked at once, and take what the job needs."""
        named = [content.sha256 for content in _contents(manifest) if content.sha256]
        for content in _contents(manifest):
            if content.path:
                raise ManifestError(f"the manifest names the file {content.path!r} of another machine", hint="send its bytes")
            if content.sha256 and not self._is_here(owner, content):
                what = "module" if content is manifest.module else "content"
                raise ManifestError(
                    f"the node has no {what} {content.sha256} of {content.size:,} bytes of yours", hint="upload it first"
                )
        if manifest.module.data is not None:
            check_module(manifest.module.data[:4], manifest.name)
        self._check_fuel(owner)
        claimed, held = self.shelf.claimable(owner, named)
        holding = self.quotas.take_job(owner, manifest.data_size, held=held)
        self.shelf.claim(owner, claimed)
        for name in named:
            self._blobs.pin(name)
        return _Taking(owner, manifest, holding, claimed, named, asyncio.get_running_loop().create_future())

    def _is_here(self, owner: str, content: Content) -> bool:
        name = content.sha256
        return self.may_name(owner, name) and self._blobs.has(name) and self._blobs.size(name) == content.size

    def _check_fuel(self, owner: str) -> None:
        used, most = self._book.fuel.get(owner, 0), self._config.fuel_per_owner_max
        if most and used >= most:
            raise QuotaError(
                f"{owner} has used {used:,} fuel of the {most:,} it may use on this node",
                hint="ask whoever runs the node for more",
            )

    async def _take(self, given: JobId, taking: _Taking) -> JobId:
        """Put the job on disk, or give back all that was taken for it."""
        owner, job = taking.owner, None
        try:
            manifest = (await self._on_disk(taking)).with_job_id(self._called(owner, given))
            if manifest.order is not None:
                await asyncio.to_thread(check_order, manifest, owner, self._peer, self._blobs)
            job = _job_of(owner, manifest, given)
            self._book.add(job)  # before the wait, so that the same id a moment later meets it
            await self._journal.append(job.accepted, undo=JobForgotten(job_id=job.id))
        except BaseException as error:
            if job is not None:
                self._book.remove(job)
            taking.holding.release()
            self.shelf.give_back(owner, taking.claimed)
            self._settle(given, taking, error)
            raise
        job.holding = taking.holding
        self.shelf.hand_over(owner, taking.claimed)
        self._settle(given, taking, None)
        self._begin(job, manifest)
        return given

    def _settle(self, given: JobId, taking: _Taking, error: BaseException | None) -> None:
        del self._taking[taking.owner, given]
        for name in taking.pinned:
            self._blobs.unpin(name)
        if error is None:
            taking.done.set_result(given)
        elif isinstance(error, Exception):
            taking.done.set_exception(error)
            taking.done.exception()  # whoever waits gets it; perhaps nobody does
        else:
            taking.done.cancel()

    async def _on_disk(self, taking: _Taking) -> JobManifest:
        """The same job with everything large in blobs, which are pinned and known to be whole."""
        manifest = taking.manifest
        for content in _contents(manifest):
            if content.sha256:
                await asyncio.to_thread(self._blobs.believe, content.sha256)
        if manifest.module.sha256:
            check_module(await asyncio.to_thread(self._blobs.read, manifest.module.sha256, 0, 4), manifest.name)
        module, *inputs = [await self._content_on_disk(each, taking.pinned) for each in _contents(manifest)]
        return replace(manifest, module=module, inputs=tuple(inputs))

    async def _content_on_disk(self, content: Content, pinned: list[str]) -> Content:
        if content.data is None or content.size <= INLINE_BYTES_MAX:
            return content
        data = content.data
        name = await asyncio.to_thread(lambda: self._blobs.put([data], durable=True, is_pinned=True))
        pinned.append(name)
        return Content(sha256=name, size=content.size)


def _job_of(owner: str, manifest: JobManifest, given: JobId) -> Job:
    return Job(
        JobAccepted(
            job_id=manifest.job_id,
            owner=owner,
            name=manifest.name,
            manifest=_text(manifest),
            accepted_at=time.time(),
            bytes_in=manifest.data_size,
            blobs=tuple(each.sha256 for each in _contents(manifest) if each.sha256),
            given="" if manifest.job_id == given else given,
        )
    )


def _contents(manifest: JobManifest) -> Iterable[Content]:
    return (manifest.module, *manifest.inputs)


def _other(job_id: JobId) -> ManifestError:
    return ManifestError(f"there is another job {job_id} of yours on this node", hint="leave job_id out", field="jobId")


def _text(manifest: JobManifest) -> str:
    return json.dumps(manifest.to_json(), sort_keys=True)


def _is_same(kept: str, text: str) -> bool:
    """Whether two manifests are of the same job; where it is in whose trace makes no difference."""
    one, other = json.loads(kept), json.loads(text)
    one.pop(TRACEPARENT, None), other.pop(TRACEPARENT, None)
    return bool(one == other)


def _by_hash(manifest: JobManifest) -> JobManifest:
    """The manifest as it is kept: what is large, by its hash."""

    def shorten(content: Content) -> Content:
        if content.data is None or content.size <= INLINE_BYTES_MAX:
            return content
        return Content(sha256=sha256(content.data).hexdigest(), size=content.size)

    return replace(manifest, module=shorten(manifest.module), inputs=tuple(map(shorten, manifest.inputs)))
