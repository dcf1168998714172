"""Hashes that bind: a worker to an answer it hasn't shown yet, and a leaf of a task to its place, input and result.

Every hash begins with what it is for, and every field with its length: no two different statements hash alike.
"""

from __future__ import annotations

from hashlib import sha256

from pangea.compute.model.ids import PeerId, TaskId

_COMMITMENT = b"pangea commitment 1"
_LEAF = b"pangea leaf 1"


def commitment(worker: PeerId, task_id: TaskId, digest: bytes, fuel: int) -> bytes:
    """What a worker says before all votes on a task are in, so that none can be a copy of another. 32 bytes.

    It names the worker, so repeating another's commitment is of no use; and the fuel, so that an answer with few possible
    results (yes or no) can't be found by trying them all: the fuel is known only to who executed the task.
    """
    return _hash(_COMMITMENT, worker.encode(), task_id.encode(), digest, number(fuel))


def leaf_hash(index: int, chunk_hash: bytes, result_hash: bytes) -> bytes:
    """One leaf of a task's Merkle tree: chunk number `index` with this hash gave a result with that hash. 32 bytes."""
    return _hash(_LEAF, number(index), chunk_hash, result_hash)


def _hash(*fields: bytes) -> bytes:
    return sha256(joined(*fields)).digest()


def joined(*fields: bytes) -> bytes:
    """`fields`, each behind its length: no two lists of fields give the same bytes."""
    return b"".join(len(field).to_bytes(8, "little") + field for field in fields)


def number(value: int) -> bytes:
    """Any whole number, however large: figures of strangers must not raise."""
    return value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
