"""Manifests and statuses as Cap'n Proto structs, and back. Works on builders and readers; their library enters elsewhere."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from pangea.compute.model.answers import unreadable
from pangea.compute.model.errors import ManifestError, PangeaError, from_json
from pangea.compute.model.ids import JobId, PeerId
from pangea.compute.model.limits import Limits
from pangea.compute.model.manifest import Content, JobManifest
from pangea.compute.model.options import TIMEOUT_SECONDS_LEFT_OUT, JobOptions
from pangea.compute.model.order import Order
from pangea.compute.model.progress import JobState
from pangea.compute.model.status import JobStatus
from pangea.compute.model.trace_context import well_formed

_TEXTS = {
    "splitStrategy": "split_strategy",
    "verificationMode": "verification_mode",
    "priority": "priority",
    "locality": "locality",
    "operationType": "operation_type",
    "jobId": "job_id",
}
_NUMBERS = {
    "minChunkSize": "min_chunk_size",
    "maxChunkSize": "max_chunk_size",
    "chunksPerPack": "chunks_per_pack",
    "redundancy": "redundancy",
    "confidence": "confidence",
    "estimatedFlops": "estimated_flops",
}
_INPUTS_MAX = 100_000
#: So many elements of a list are decoded before others have a turn on the loop: about a millisecond's.
SLICE = 128


def manifest_to_wire(manifest: JobManifest, wire: Any) -> None:
    """Write `manifest` into the builder of a `ComputeJobManifest`."""
    options = manifest.options
    for field, option in {**_TEXTS, **_NUMBERS}.items():
        setattr(wire, field, getattr(options, option))
    wire.timeoutSecs = min(int(options.timeout + 0.999), 2**32 - 1)
    wire.timeoutMs = max(1, round(options.timeout * 1000))
    wire.retryCount, wire.retryCountIsSet = options.retry_count, True
    wire.delimiter = options.delimiter
    wire.associativeMerge, wire.receipt = options.associative_merge, options.receipt
    wire.limits = json.dumps(options.limits.to_json())
    wire.name, wire.traceParent = manifest.name, manifest.trace
    if manifest.order is not None:
        wire.clientId, wire.orderSignature = manifest.order.client, manifest.order.signature
    _content_to_wire(manifest.module, wire.init("wasmModuleContent"))
    contents = wire.init("inputContents", len(manifest.inputs))
    for index, content in enumerate(manifest.inputs):
        _content_to_wire(content, contents[index])


async def manifest_from_wire(wire: Any) -> JobManifest:
    """Read a `ComputeJobManifest`, of this package or of the original schema alone; others have turns on the loop meanwhile.

    Raises:
        ManifestError: a field is out of range, or a text isn't UTF-8.
    """
    try:
        return _manifest_from_wire(wire, await _inputs_from_wire(wire))
    except UnicodeDecodeError as error:
        raise ManifestError("a text of the manifest isn't UTF-8") from error


async def _inputs_from_wire(wire: Any) -> tuple[Content, ...]:
    contents, inputs = wire.inputContents, list[Content]()
    count = len(contents)
    if count > _INPUTS_MAX:
        raise ManifestError(f"{count:,} inputs; at most {_INPUTS_MAX:,}", field="inputContents")
    for at in range(0, count, SLICE):
        if at:
            await asyncio.sleep(0)
        inputs += [_content_from_wire(contents[index]) for index in range(at, min(at + SLICE, count))]
    return tuple(inputs)


def _manifest_from_wire(wire: Any, inputs: tuple[Content, ...]) -> JobManifest:
    values: dict[str, Any] = {option: str(getattr(wire, field)) or None for field, option in _TEXTS.items()}
    values |= {option: getattr(wire, field) or None for field, option in _NUMBERS.items()}
    values["timeout"] = wire.timeoutMs / 1000 or wire.timeoutSecs or TIMEOUT_SECONDS_LEFT_OUT
    values["retry_count"] = wire.retryCount if wire.retryCountIsSet else wire.retryCount or None
    values["delimiter"] = bytes(wire.delimiter) or None
    values["associative_merge"], values["receipt"] = wire.associativeMerge, wire.receipt
    values["limits"] = _limits(str(wire.limits))
    inputs = inputs or (Content(bytes(wire.inputData)),)
    module = _content_from_wire(wire.wasmModuleContent)
    if module.data == b"":
        module = Content(bytes(wire.wasmModule))
    options = JobOptions.of(values)
    return JobManifest(
        module=module,
        inputs=inputs,
        options=options,
        name=str(wire.name) or "job",
        order=_order_from_wire(wire, options),
        trace=well_formed(str(wire.traceParent)),
    )


def _order_from_wire(wire: Any, options: JobOptions) -> Order | None:
    client, signature = PeerId(str(wire.clientId)), bytes(wire.orderSignature)
    if not client and not signature:
        return None
    return Order(client=client, job_id=JobId(options.job_id), associative=options.associative_merge, signature=signature)


def _limits(text: str) -> Limits | None:
    if not text:
        return None
    try:
        return Limits.of(json.loads(text))
    except ManifestError:
        raise
    except (ValueError, RecursionError) as error:
        raise ManifestError("limits isn't a JSON object", field="limits") from error


def _content_to_wire(content: Content, wire: Any) -> None:
    if content.path:
        raise ManifestError(f"the file {content.path!r} has to be read before it travels")
    if content.data is not None:
        wire.data = content.data
    else:
        wire.sha256 = content.sha256
    wire.size = content.size


def _content_from_wire(wire: Any) -> Content:
    sha256 = str(wire.sha256)
    return Content(sha256=sha256, size=wire.size) if sha256 else Content(bytes(wire.data))


def status_to_wire(status: JobStatus, wire: Any) -> None:
    """Write `status` into the builder of a `ComputeJobStatus`."""
    wire.jobId = status.job_id
    wire.status = status.state.value
    wire.progress = status.progress
    wire.completedChunks = min(status.completed_chunks, 2**32 - 1)
    wire.totalChunks = min(status.total_chunks, 2**32 - 1)
    if status.seconds_left is not None:
        wire.timeRemainingIsKnown = True
        wire.estimatedTimeRemaining = min(int(status.seconds_left + 0.5), 2**32 - 1)
    wire.detail = json.dumps(status.to_json())


def status_from_wire(wire: Any) -> JobStatus:
    """Read a `ComputeJobStatus`; from a node of the original schema, what that says.

    Raises:
        UnavailableError: it makes no sense.
    """
    try:
        detail, job_id, state = str(wire.detail), str(wire.jobId), JobState(str(wire.status))
    except ValueError as error:
        raise unreadable("a status that is none") from error
    if detail:
        return JobStatus.from_json(loads(detail))
    return JobStatus(
        job_id=JobId(job_id),
        state=state,
        progress=wire.progress,
        completed_chunks=wire.completedChunks,
        total_chunks=wire.totalChunks,
        seconds_left=float(wire.estimatedTimeRemaining) or None,
    )


def failure_to_text(error: PangeaError) -> str:
    """An error as it crosses: code, text, figures, and of a job's failure the guest's own traceback."""
    record = error.to_json()
    if traceback := getattr(error, "traceback", ""):
        record["traceback"] = traceback
    return json.dumps(record, default=str)


def raise_failure(text: str) -> None:
    """Raise the error that `text` describes, if it does.

    Raises:
        PangeaError: it does.
    """
    if not text:
        return
    record = loads(text)
    raise from_json(record) if isinstance(record, dict) else unreadable("a failure that is no object")


def loads(text: str) -> Any:
    """What JSON from a node says.

    Raises:
        UnavailableError: it isn't JSON.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise unreadable("it isn't JSON") from error


def summary(error: PangeaError) -> str:
    """An error in one line, for clients that know the original schema only."""
    return f"{error.code}: {error.message}" + (f" ({error.hint})" if error.hint else "")
