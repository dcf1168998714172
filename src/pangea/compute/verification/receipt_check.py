"""What of a receipt can be checked without executing anything: who signed what, that it fits together, and the bill.

It proves who said so, not that it is so: for that, calls are executed again (`client/receipts/reexecution.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import sha256

from pangea.compute.verification.digests import is_named
from pangea.compute.verification.receipt_tree import Receipt, root_of
from pangea.compute.verification.receipts import CheckSignature, Record

_HASH_BYTES = 32


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong with a receipt.

    Attributes:
        where: the task, or the part of the receipt.
        what: what is wrong, in words.
    """

    where: str
    what: str

    def __str__(self) -> str:
        """Both."""
        return f"{self.where}: {self.what}"


def check(receipt: Receipt, check_signature: CheckSignature) -> list[Finding]:
    """Check every signature, every hash, that the records cover the job exactly once, and the sum of the fuel.

    Returns:
        What is wrong; nothing if the receipt is as its owner and workers signed it.
    """
    return [
        *_owner(receipt, check_signature),
        *_records(receipt, check_signature),
        *_coverage(receipt),
        *_merges(receipt),
        *_result(receipt),
        *_bill(receipt),
        *_outputs(receipt),
    ]


def equivocations(records: list[Record]) -> list[Finding]:
    """Where one worker signed two different answers to one question: proof of a lie, whichever is the right one.

    The question is all of a record but what was found, and not the task's id alone: that the owner may give twice.
    """
    said: dict[bytes, Record] = {}
    found = []
    for record in records:
        first = said.setdefault(replace(record, output=b"", fuel=0, failure="").statement(), record)
        if first.statement() != record.statement():
            found.append(Finding(record.task_id, f"worker {record.worker} signed two different records of it"))
    return found


def _owner(receipt: Receipt, check_signature: CheckSignature) -> Iterator[Finding]:
    if root_of(receipt.splits, receipt.tree) != receipt.root:
        yield Finding("root", "the records are not those that the root names")
    if not check_signature(receipt.job.owner, receipt.statement(), receipt.signature):
        yield Finding("signature", f"the owner {receipt.job.owner} didn't sign this")
    spec = receipt.job.spec()
    if not check_signature(spec.owner, spec.statement(), spec.signature):
        yield Finding("spec", f"the owner {receipt.job.owner} didn't sign such a job spec")
    if spec.order is not None and not spec.is_ordered(check_signature):
        yield Finding("order", f"the client {spec.order.client} didn't order such a job")
    if receipt.module is not None and sha256(receipt.module).hexdigest() != receipt.job.module:
        yield Finding("module", f"the bytes in the receipt don't have the hash {receipt.job.module}")


def _records(receipt: Receipt, check_signature: CheckSignature) -> Iterator[Finding]:
    job, records = receipt.job, receipt.records()
    same = (job.job_id, job.owner, job.module, job.runtime, job.spec().hash())
    for record in records:
        if (record.job_id, record.owner, record.module, record.runtime, record.spec) != same:
            yield Finding(record.task_id, f"it is a record of another job: {record.job_id} of {record.owner}")
        if not check_signature(record.worker, record.statement(), record.signature):
            yield Finding(record.task_id, f"worker {record.worker} didn't sign this")
        if record.failure or len(record.input) != _HASH_BYTES or len(record.output) != _HASH_BYTES:
            yield Finding(record.task_id, f"it has no result: {record.failure or 'its hashes are none'}")
    seen: set[str] = set()
    for record in records:
        if record.task_id in seen:
            yield Finding(record.task_id, "it stands twice in the receipt")
        seen.add(record.task_id)
    yield from equivocations(records)


def _coverage(receipt: Receipt) -> Iterator[Finding]:
    """Segments and chunks, each exactly once and in order, in tasks named after their first one."""
    job, executes = receipt.job, receipt.executes()
    if receipt.splits:
        yield from _covered(receipt.splits, f"{job.job_id}:s", job.segments, "segment", "split")
    elif job.segments != job.chunks:
        yield Finding(
            "splits", f"without split each segment is a chunk, but {job.segments:,} segments gave {job.chunks:,} chunks"
        )
    yield from _covered(executes, f"{job.job_id}:", job.chunks, "chunk", "execute")


def _covered(records: list[Record] | tuple[Record, ...], prefix: str, total: int, noun: str, function: str) -> Iterator[Finding]:
    at = 0
    for record in records:
        if record.function != function or record.count < 1 or record.task_id != f"{prefix}{record.start}":
            yield Finding(record.task_id, f"a task of {record.count:,} {noun}s from {record.start:,} is none of {function}")
        if record.start != at:
            yield Finding(record.task_id, f"it begins at {noun} {record.start:,}; the one before it ends at {at:,}")
        at = record.start + record.count
    if at != total:
        yield Finding(f"{function} records", f"they end at {noun} {at:,}; the job has {total:,}")


def _merges(receipt: Receipt) -> Iterator[Finding]:
    job = receipt.job
    for node, record in receipt.nodes():
        if record.function == "execute":
            if node.children or node is receipt.tree:
                yield Finding(record.task_id, "an execution has nothing below it, and a merge or a concatenation above")
            continue
        name = "merge" if node is receipt.tree else rf"m\d{{1,9}}\.{record.start}"
        is_named = re.fullmatch(name, record.task_id.removeprefix(f"{job.job_id}:"), re.ASCII) is not None
        if record.function != "merge" or record.count != 1 or not is_named or (node is receipt.tree and record.start != 0):
            yield Finding(record.task_id, f"number {record.start:,} of {record.count:,} is none of a merge at this place")
        if not node.children and not (node is receipt.tree and job.chunks == 0):
            yield Finding(record.task_id, "it merged nothing")
    if any(child.record is None for node in receipt.tree.walk() for child in node.children):
        yield Finding("tree", "a concatenation is below another node")


def _result(receipt: Receipt) -> Iterator[Finding]:
    job, last = receipt.job, receipt.tree.record
    if last is not None and last.output.hex() != job.result_sha256:
        yield Finding(last.task_id, f"the last merge gave {last.output.hex()}; the result is {job.result_sha256}")
    if last is None and not receipt.tree.children and (job.result_size or job.result_sha256 != sha256().hexdigest()):
        yield Finding("result", "a job without chunks and merge has an empty result")


def _outputs(receipt: Receipt) -> Iterator[Finding]:
    """Results that are in the receipt, under a tolerance: those of all executions, as their records name them."""
    executes = receipt.executes()
    if receipt.outputs and len(receipt.outputs) != len(executes):
        yield Finding("outputs", f"there are results of {len(receipt.outputs):,} tasks, and records of {len(executes):,}")
        return
    for record, body in zip(executes, receipt.outputs, strict=False):
        if not is_named(body, record):
            yield Finding(record.task_id, "the results in the receipt aren't those that its record names")


def _bill(receipt: Receipt) -> Iterator[Finding]:
    job, limit, records = receipt.job, receipt.job.options.limits.fuel, receipt.records()
    if (total := sum(record.fuel for record in records)) != job.fuel:
        yield Finding("fuel", f"the records come to {total:,}; the job says {job.fuel:,}")
    if not limit:
        yield Finding("options", "limits.fuel is 0: it must be what the workers had")
    for record in records:
        if not 0 <= record.fuel <= limit * record.count:
            yield Finding(
                record.task_id, f"{record.fuel:,} units of fuel for {record.count:,} calls; a call has {limit:,} at most"
            )
