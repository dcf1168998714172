"""Have the engine execute a packet, whoever's it is, and make an answer of how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from pangea.compute.engine.prepared import PreparedJob
from pangea.compute.engine.task import Task
from pangea.compute.flow.packs import Pack
from pangea.compute.model import frames
from pangea.compute.model.frames import Buffer
from pangea.compute.model.ids import Function, PeerId
from pangea.compute.model.outcome import Failure, Finished
from pangea.compute.model.packet import TaskPacket, TaskResult, TaskStatus
from pangea.compute.node.jobs.calls import Calls
from pangea.compute.node.storage.records import Stored
from pangea.compute.node.storage.result_store import ResultStore
from pangea.compute.verification.digests import leaves_of
from pangea.compute.verification.merkle import root

#: Larger bodies are looked through in a thread.
SMALL_BYTES = 64 * 1024
_SMALL_COUNT = 1_000


@dataclass(frozen=True, slots=True)
class Execution:
    """How a packet ended here.

    Attributes:
        result: the answer, unsigned.
        outcome: what the engine said.
        stored: the framed list of results, kept; None if there are none.
    """

    result: TaskResult
    outcome: Finished | Failure
    stored: Stored | None = None


async def execute(
    prepared: PreparedJob,
    packet: TaskPacket,
    parts: Sequence[Buffer],
    *,
    calls: Calls,
    result_store: ResultStore,
    worker: PeerId,
    packs: Sequence[Pack] = (),
) -> Execution:
    """Execute a packet.

    Args:
        prepared: the job's module.
        packet: what to do.
        parts: the framed list of chunks (of results, for merge), in pieces.
        calls: the engine.
        result_store: keep the results; the caller lets go of them.
        worker: this node.
        packs: of execute: those that the packet names, with their sizes.
    """
    function: Function = "merge" if packet.function == "merge" else "execute"
    count = frames.count_of(parts[0]) if function == "merge" else packet.count
    outcome = await calls.execute(Task(prepared.guest_of(function), function, count, parts, packs))
    if isinstance(outcome, Failure):
        return Execution(failed(packet, outcome, worker), outcome)
    leaves = await leaves_in(outcome.results, packet)
    stored = await result_store.keep([outcome.results])
    result = TaskResult(
        task_id=packet.task_id,
        worker=worker,
        digest=root(leaves),
        leaves=leaves,
        fuel=outcome.fuel,
        seconds=outcome.seconds,
        message=outcome.prints,
        body_bytes=stored.size,
    )
    return Execution(result, outcome, stored)


def failed(packet: TaskPacket, failure: Failure, worker: PeerId) -> TaskResult:
    """The answer to a packet that has no result."""
    return TaskResult(
        task_id=packet.task_id,
        status=TaskStatus.FAILED,
        worker=worker,
        fuel=failure.fuel,
        failure=failure.kind,
        message=failure.message,
    )


async def leaves_in(results: Buffer, packet: TaskPacket) -> tuple[bytes, ...]:
    """The hashes of a packet's results.

    Raises:
        FrameError: the list is malformed.
    """
    if len(results) <= SMALL_BYTES and packet.count <= _SMALL_COUNT:
        return leaves_of(results, start=packet.start, packs=packet.packs)
    return await asyncio.to_thread(leaves_of, results, start=packet.start, packs=packet.packs)


def name_of(stored: Stored) -> bytes:
    """The SHA-256 of kept bytes."""
    return bytes.fromhex(stored.blob) if stored.data is None else sha256(stored.data).digest()


async def hash_of(parts: Sequence[Buffer]) -> bytes:
    """The SHA-256 of bytes in pieces."""
    if sum(map(len, parts)) <= SMALL_BYTES:
        return _hash_of(parts)
    return await asyncio.to_thread(_hash_of, parts)


def _hash_of(parts: Sequence[Buffer]) -> bytes:
    digest = sha256()
    for part in parts:
        digest.update(part)
    return digest.digest()
