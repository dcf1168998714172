"""What the job's own check is given, and what it says: the frames that go into its sandbox, and how its verdicts are read.

A check is called with one chunk and one result. Before them goes a seed that nobody but the job's owner could have known before
the result was there: the guest draws its random numbers from all that a call is given, so no worker can make a wrong result that
passes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256

from pangea.compute.flow.merging import items
from pangea.compute.flow.packs import Pack
from pangea.compute.model import frames
from pangea.compute.model.frames import Buffer
from pangea.compute.verification.commitment import joined
from pangea.compute.verification.receipts import Sign

SEED_BYTES = 32
#: Of the chunk, in front of it, little-endian.
SIZE_BYTES = 4
PASSES = b"\x01"
_SEED = b"pangea check seed 1"


def seed_of(job_id: str, digest: bytes, sign: Sign) -> bytes:
    """Where the random numbers of a check come from: only the holder of a key can know it, and always finds it again."""
    return sha256(sign(joined(_SEED, job_id.encode(), digest))).digest()


def pairs(seed: bytes, chunks: Iterable[Buffer], results: Iterable[Buffer]) -> Iterator[bytes]:
    """What the check is called with, for each chunk and its result."""
    for chunk, result in zip(chunks, results, strict=True):
        yield b"".join((seed, len(chunk).to_bytes(SIZE_BYTES, "little"), chunk, result))


def frame_of(given: Sequence[bytes], counts: Sequence[int]) -> tuple[bytes, list[Pack]]:
    """The frame for the engine, and its packs, of `counts` calls each: the packs that are checked."""
    packs, start = [], 0
    for count in counts:
        packs.append(Pack(count, sum(map(len, given[start : start + count]))))
        start += count
    return frames.pack(given), packs


def first_refused(verdicts: Buffer) -> int | None:
    """Which of the results that were looked at is the first that doesn't pass, from 0; None: all pass."""
    return next((index for index, verdict in enumerate(items([verdicts])) if verdict != PASSES), None)
