"""`pangea doctor --burn-in`: whether this machine computes the same thing twice, on every core, for a while.

About one machine in a thousand computes wrong now and then. A node that was found to be faulty is let back by whoever found it
once this has passed; nobody needs to be told by hand.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from pangea.compute.cli.doctor_finding import Finding
from pangea.compute.model.errors import PangeaError, UnverifiedError
from pangea.compute.node.storage.burn_in import note_burn_in

#: Chunks that are computed at once, and compared.
_CHUNKS = 64


def burn(chunk: bytes) -> bytes:
    """Whole numbers, hashes and floating point, all of it exact: whoever computes rightly gets these very bytes."""
    value, number, total = chunk, int(chunk), 0.0
    for step in range(1, 400):
        value = sha256(value + b"%d" % step).digest()
        number = (number * 6364136223846793005 + 1442695040888963407) % 2**64
        total = total * 0.75 + (number % 1000003) / step
    return b"%s %d %s" % (value.hex().encode(), number, total.hex().encode())


def expected(chunk: bytes) -> bytes:
    """The same, outside the sandbox."""
    return burn(chunk)


def burn_in(seconds: float, data_dir: Path | None) -> Iterator[Finding]:
    """Compute for so long on all cores; what was found. If all is well that is noted in a node's data directory."""
    from pangea.compute.client.definition.job import Job
    from pangea.compute.client.submission.submit import submit_job

    job = Job.from_functions(split=_lines, execute=burn, name="burn_in")
    began, rounds = time.monotonic(), 0
    try:
        while not rounds or time.monotonic() < began + seconds:
            chunks = [b"%d" % (rounds * _CHUNKS + number) for number in range(_CHUNKS)]
            found = bytes(submit_job(job, b"\n".join(chunks)))
            if found != b"".join(map(expected, chunks)):
                wrong = _first_wrong(found, chunks)
                raise UnverifiedError(f"this machine computes wrong: round {rounds + 1}, chunk {wrong}")
            rounds += 1
    except PangeaError as error:
        yield Finding("burn-in", error.message, False, "replace the processor or the memory: its results can't be relied on")
        return
    if data_dir is not None:
        note_burn_in(data_dir)
    noted = f"; noted in {data_dir}" if data_dir is not None else ""
    yield Finding("burn-in", f"{rounds * _CHUNKS:,} chunks in {time.monotonic() - began:.0f} s, all right{noted}", True)


def _lines(data: bytes) -> list[bytes]:
    return data.splitlines()


def _first_wrong(found: bytes, chunks: list[bytes]) -> int:
    at = 0
    for number, chunk in enumerate(chunks):
        right = expected(chunk)
        if found[at : at + len(right)] != right:
            return number
        at += len(right)
    return len(chunks)
