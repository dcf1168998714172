"""What this machine finds for a receipt's records, and where that isn't what was signed."""

from __future__ import annotations

from dataclasses import dataclass

from pangea.compute.verification.receipts import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What this machine found for a record.

    Attributes:
        record: what the worker signed.
        count: how many of the record's items there are.
        input: SHA-256 of what the call is given.
        output: as in the record; empty if the call failed or wasn't made.
        fuel: fuel units used.
        failure: how the call failed, or "".
    """

    record: Record
    count: int
    input: bytes
    output: bytes = b""
    fuel: int = 0
    failure: str = ""

    def answer(self) -> tuple[bytes, bytes, int, str]:
        """What a record of the same call must say."""
        return self.input, self.output, self.fuel, self.failure


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Something a worker signed that isn't so.

    Attributes:
        task_id: the record's task; "" for the result.
        function: `split`, `execute`, `merge`, or `result`.
        start, count: the record's segments, chunks, or merge.
        what: `count`, `input`, `output`, `fuel` or `failure`.
        expected: as signed.
        found: as it is.
        worker: who signed.
    """

    task_id: str
    function: str
    start: int
    count: int
    what: str
    expected: str
    found: str
    worker: str

    def __str__(self) -> str:
        """One line."""
        span = f" of {self.start:,} to {self.start + self.count - 1:,}" if self.function in ("split", "execute") else ""
        who = f", signed by {self.worker}" if self.worker else ""
        return f"{self.task_id or 'the job'}: {self.what} of {self.function}{span} is {self.found}, not {self.expected}{who}"


def differences(found: Found, record: Record | None = None) -> list[Difference]:
    """Where `record` (by default the one that was followed) isn't what was found: only what comes first in a call.

    A call that was given something else gives something else, so then only that is told; likewise of a call that failed.
    """
    signed = record or found.record
    pairs = [
        [("count", f"{signed.count:,}", f"{found.count:,}")],
        [("input", signed.input.hex(), found.input.hex())],
        [("failure", signed.failure or "a result", found.failure or "a result")],
        [("output", signed.output.hex(), found.output.hex()), ("fuel", f"{signed.fuel:,}", f"{found.fuel:,}")],
    ]
    for group in pairs:
        if wrong := [pair for pair in group if pair[1] != pair[2]]:
            return [_difference(signed, *pair) for pair in wrong]
    return []


def _difference(record: Record, what: str, expected: str, found: str) -> Difference:
    return Difference(
        task_id=record.task_id,
        function=record.function,
        start=record.start,
        count=record.count,
        what=what,
        expected=expected,
        found=found,
        worker=record.worker,
    )


def of_job(what: str, expected: str, found: str) -> Difference:
    """A difference that is no single call's."""
    return Difference(task_id="", function="the job", start=0, count=0, what=what, expected=expected, found=found, worker="")
