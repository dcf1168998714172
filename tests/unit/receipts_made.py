"""A receipt of a small job, signed; what alters it, and what becomes of a file that was altered."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from enum import Enum, auto
from functools import cache, lru_cache
from hashlib import sha256
from typing import Any

from pangea.compute.model.errors import UnverifiedError
from pangea.compute.model.ids import JobId, PeerId, TaskId
from pangea.compute.model.limits import FUEL_MODULE, Limits
from pangea.compute.model.options import JobOptions
from pangea.compute.network.identity import is_signed_by
from pangea.compute.verification.receipt_check import check
from pangea.compute.verification.receipt_file import dumps, loads
from pangea.compute.verification.receipt_job import Checking, ReceiptInput, ReceiptJob
from pangea.compute.verification.receipt_options import governing
from pangea.compute.verification.receipt_tree import Receipt, build, root_of
from pangea.compute.verification.receipts import Record
from tests.signing import JOB_ID, identity, signed, with_spec

MODULE = b"\0asm"
OPTIONS = governing(JobOptions(), limits=Limits(fuel=FUEL_MODULE), associative=False)
#: Signatures are checked once each: most of a forged receipt is as it was.
is_signed = lru_cache(maxsize=None)(is_signed_by)

_JOB = ReceiptJob(
    job_id=JOB_ID,
    owner=PeerId(identity(0).peer_id),
    name="words",
    module=sha256(MODULE).hexdigest(),
    runtime="ab" * 32,
    meter="a meter",
    nonce="12" * 16,
    spec_signature=b"",
    inputs=(ReceiptInput(sha256="cd" * 32, size=100, path="data.txt"), ReceiptInput(sha256="ef" * 32, size=0)),
    options=OPTIONS,
    segments=3,
    chunks=6,
    fuel=0,
    result_sha256=sha256(b"merge").hexdigest(),
    result_size=5,
    checking=Checking(mode="adaptive", target=0.999, reached=None, executions=4, audits=1),
)
JOB = with_spec(_JOB, identity(0))
SPEC = JOB.spec().hash()


def record(name: str, function: str, start: int, count: int, *, by: int = 1, job_id: JobId = JOB_ID) -> Record:
    """A signed record; what it says of hashes is derived from its name."""
    return signed(
        Record(
            job_id=job_id,
            owner=JOB.owner,
            task_id=TaskId(f"{job_id}:{name}"),
            function=function,
            module=JOB.module,
            runtime=JOB.runtime,
            spec=SPEC,
            start=start,
            count=count,
            input=sha256(f"in {name}".encode()).digest(),
            output=sha256(name.encode()).digest(),
            fuel=10 * count,
            worker=JOB.owner,
        ),
        identity(by),
    )


SPLITS = [record("s0", "split", 0, 2), record("s2", "split", 2, 1, by=2)]
EXECUTES = [record("0", "execute", 0, 2), record("2", "execute", 2, 3, by=2), record("5", "execute", 5, 1)]
STEPS = [record("m1.0", "merge", 0, 1, by=2), record("m1.1", "merge", 1, 1)]
LAST = record("merge", "merge", 0, 1, by=0)
HASHES = [each.hash() for each in EXECUTES]
MERGES = [
    (STEPS[0], (HASHES[0], HASHES[1])),
    (STEPS[1], (HASHES[2],)),
    (LAST, (STEPS[0].hash(), STEPS[1].hash())),
]


def fuel_of(*records: Record) -> int:
    return sum(each.fuel for each in records)


def sign(receipt: Receipt, **changes: Any) -> Receipt:
    """`receipt` with changes, its root and the owner's signature made anew: what a lying owner can write."""
    changed = replace(receipt, **changes)
    rooted = replace(changed, root=root_of(changed.splits, changed.tree))
    return replace(rooted, signature=identity(0).sign(rooted.statement()))


@cache
def receipt_of_words() -> Receipt:
    job = replace(JOB, fuel=fuel_of(*SPLITS, *EXECUTES, *STEPS, LAST))
    return build(job, splits=SPLITS, executes=EXECUTES[::-1], merges=MERGES, sign=identity(0).sign, module=MODULE)


@cache
def receipt_without_merge() -> Receipt:
    job = replace(JOB, fuel=fuel_of(*EXECUTES), segments=6)
    return build(job, splits=[], executes=EXECUTES, merges=[], sign=identity(0).sign)


def found(receipt: Receipt) -> list[str]:
    return [str(each) for each in check(receipt, is_signed)]


def sign_as(number: int) -> Callable[[bytes], bytes]:
    return identity(number).sign


def altered(change: Callable[[dict[str, Any]], object]) -> bytes:
    content = json.loads(dumps(receipt_of_words()))
    change(content)
    return json.dumps(content).encode()


class Fate(Enum):
    UNREADABLE = auto()
    REFUSED = auto()
    #: Written another way, it says the same.
    SAME = auto()
    ACCEPTED = auto()


def fate_of(data: bytes) -> Fate:
    try:
        receipt = loads(data)
    except UnverifiedError:
        return Fate.UNREADABLE
    if check(receipt, is_signed):
        return Fate.REFUSED
    return Fate.SAME if unplaced(receipt) == unplaced(receipt_of_words()) else Fate.ACCEPTED


def unplaced(receipt: Receipt) -> Receipt:
    """The same without where the inputs are, which nobody signs."""
    inputs = tuple(replace(each, path="") for each in receipt.job.inputs)
    return replace(receipt, job=replace(receipt.job, inputs=inputs))


def is_accepted(data: bytes) -> bool:
    """Whether a file passes, and says something else than the true one."""
    return fate_of(data) is Fate.ACCEPTED
