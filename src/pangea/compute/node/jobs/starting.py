"""From a manifest on disk to a job that the driver can begin."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import replace
from hashlib import sha256

from pangea.compute import runtime
from pangea.compute.engine.engine import Engine
from pangea.compute.engine.prepared import PreparedJob, prepare
from pangea.compute.model.errors import BadModuleError, InputError
from pangea.compute.model.ids import JobId
from pangea.compute.model.limits import Limits
from pangea.compute.model.manifest import Content, JobManifest
from pangea.compute.model.packet import JobSpec
from pangea.compute.node.storage.blobs import BlobStore
from pangea.compute.orchestrator.core.state import PRIORITY_SECONDS

#: Modules that were prepared last: whoever submits the same job again needn't wait for a thread.
_PREPARED_MAX = 64
_prepared: OrderedDict[tuple[str, Limits, bool, bool], PreparedJob] = OrderedDict()
_MAGIC = (b"PK\x03\x04", b"\0asm")


def check_module(start: bytes, name: str) -> None:
    """Refuse at once what can't be a module.

    Raises:
        BadModuleError: it begins like neither a module nor a job archive.
    """
    if not start.startswith(_MAGIC):
        raise BadModuleError(
            f"{name}: the module is neither a WebAssembly module nor a job archive", hint="docs/modules.md says what a module is"
        )


def spec_of(manifest: JobManifest) -> JobSpec:
    """The job as the orchestrator sees it."""
    options = manifest.options
    module = manifest.module.sha256 or sha256(manifest.module.data or b"").hexdigest()
    return JobSpec(
        job_id=JobId(options.job_id),
        module=module,
        runtime=runtime.sha256(),
        operation_type=options.operation_type,
        estimated_flops=options.estimated_flops,
        verification=options.verification_mode,
        confidence=options.confidence,
        redundancy=options.redundancy,
        priority=options.priority,
        locality=options.locality,
        retry_count=options.retry_count,
        timeout=options.timeout,
        attempt_timeout=options.limits.time,
        associative=options.associative_merge,
        min_task_bytes=options.min_chunk_size,
        memory=options.limits.memory,
    )


def rank_of(manifest: JobManifest, accepted_at: float) -> float:
    """Where a job stands in line: lower goes first. `accepted_at` is in seconds."""
    return accepted_at + PRIORITY_SECONDS[manifest.options.priority]


async def prepare_job(manifest: JobManifest, engine: Engine, blobs: BlobStore, *, is_strangers: bool) -> PreparedJob:
    """Compile the job's module, if this node hasn't yet; `is_strangers`: for somebody else than this node's user.

    Raises:
        BadModuleError, LimitExceededError, ManifestError: it can't run here.
        InputError: the module's bytes are gone or damaged.
    """
    content = manifest.module
    module = content.data if content.data is not None else await asyncio.to_thread(read_content, content, blobs)
    digest = content.sha256 or sha256(module).hexdigest()
    options = manifest.options
    return await prepare_module(
        module,
        digest,
        options.limits,
        engine,
        name=manifest.name,
        associative=options.associative_merge,
        is_strangers=is_strangers,
    )


async def prepare_module(
    module: bytes, digest: str, limits: Limits, engine: Engine, *, name: str, associative: bool, is_strangers: bool
) -> PreparedJob:
    """Compile a module whose SHA-256 is `digest`, if this node hasn't yet.

    Raises:
        BadModuleError, LimitExceededError, ManifestError: it can't run here.
    """
    check_module(module[:4], name)
    key = (digest, limits, associative, is_strangers)
    if (known := _prepared.get(key)) is not None:
        _prepared.move_to_end(key)
        return replace(known, name=name)
    prepared = await asyncio.to_thread(
        lambda: prepare(module, limits, engine, lambda _what: None, name=name, associative=associative, is_strangers=is_strangers)
    )
    _prepared[key] = prepared
    if len(_prepared) > _PREPARED_MAX:
        _prepared.popitem(last=False)
    return prepared


def read_content(content: Content, blobs: BlobStore) -> bytes:
    """Bytes that are inline or in a blob.

    Raises:
        InputError: the blob is gone, or isn't what its name says.
    """
    if content.data is not None:
        return content.data
    if not blobs.has(content.sha256):
        raise InputError(f"the node has no content {content.sha256}", hint="submit the job again, with all its content")
    data = blobs.read(content.sha256, 0, content.size)
    if sha256(data).hexdigest() != content.sha256:
        raise InputError(f"content {content.sha256} is damaged on the node's disk", hint="submit the job again")
    return data
