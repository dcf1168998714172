"""A job's receipt: the tree of its records, and the owner's signature over the job and the root of the tree."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from pangea.compute.model.units import MIB
from pangea.compute.verification import merkle
from pangea.compute.verification.commitment import joined
from pangea.compute.verification.receipt_job import ReceiptJob
from pangea.compute.verification.receipts import Record, Sign

_NODE = b"pangea node 1"
_TREE = b"pangea tree 1"
_RECEIPT = b"pangea receipt 1"
#: Larger results, all together, aren't in a receipt under a tolerance.
OUTPUTS_BYTES_MAX = 64 * MIB
#: Larger modules aren't in the receipt: whoever executes again brings them.
MODULE_BYTES_MAX = MIB


@dataclass(frozen=True, slots=True)
class Node:
    """A record and what its call was given: a merge and its children, or an execution, which has none.

    Attributes:
        record: None for the root of a job without merge: its results, one after the other, are the result.
        children: in order.
    """

    record: Record | None
    children: tuple[Node, ...] = ()

    def hash(self) -> bytes:
        """Names the node with all that is below it, 32 bytes."""
        record = b"" if self.record is None else self.record.hash()
        below = merkle.root([child.hash() for child in self.children])
        return sha256(joined(_NODE, record, below)).digest()

    def walk(self) -> Iterator[Node]:
        """All nodes, children before their parents, in the order of the chunks."""
        for child in self.children:
            yield from child.walk()
        yield self


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The account of one job.

    Attributes:
        job: what was computed, and the result.
        splits: records of split, in the order of the segments; none if the job has no split.
        tree: the last merge, or a concatenation; above merge steps; above executions.
        root: the hash over splits and tree, as the receipt says.
        signature: the owner's, over `statement()`.
        module: the module's bytes, if they are small.
        outputs: under a tolerance, the framed list that each execution gave, in the order of `executes`: its hash doesn't say
            whether another is near enough. None if they are large.
    """

    job: ReceiptJob
    splits: tuple[Record, ...]
    tree: Node
    root: bytes
    signature: bytes
    module: bytes | None = field(default=None, repr=False)
    outputs: tuple[bytes, ...] = field(default=(), repr=False)

    def statement(self) -> bytes:
        """What the owner signs."""
        return joined(_RECEIPT, self.job.canonical(), self.root)

    def nodes(self) -> Iterator[tuple[Node, Record]]:
        """Every node of the tree that has a record, children before their parents."""
        for node in self.tree.walk():
            if node.record is not None:
                yield node, node.record

    def executes(self) -> list[Record]:
        """Records of execute, in the order of the chunks."""
        return [record for _, record in self.nodes() if record.function == "execute"]

    def records(self) -> list[Record]:
        """All records: splits, then the tree's."""
        return [*self.splits, *(record for _, record in self.nodes())]


def root_of(splits: Sequence[Record], tree: Node) -> bytes:
    """The hash over all records of a receipt, 32 bytes."""
    return sha256(joined(_TREE, merkle.root([record.hash() for record in splits]), tree.hash())).digest()


def build(
    job: ReceiptJob,
    *,
    splits: Sequence[Record],
    executes: Sequence[Record],
    merges: Sequence[tuple[Record, tuple[bytes, ...]]],
    sign: Sign,
    module: bytes | None = None,
) -> Receipt:
    """Make and sign the receipt of a finished job. Linear in the number of records.

    Args:
        job: what was computed, and the result.
        splits: signed records of split, in any order.
        executes: signed records of the accepted executions, in any order.
        merges: signed records of merge, the last merge last, and the others before what they go into, each with the hashes
            (`Record.hash`) of the records whose results it merged, in order. None if the job has no merge.
        sign: signs with the owner's key.
        module: the module's bytes; left out if they are more than 1 MiB.

    Raises:
        ValueError: the records make no tree, or the job is none that a receipt can describe. Whether they are right is
            `receipt_check.check`'s to say.
    """
    if ReceiptJob.from_json(json.loads(json.dumps(job.to_json()))) != job or not job.options.limits.fuel:
        raise ValueError(f"no receipt can describe {job}: are its options more than the cut's, or its fuel limit 0?")
    tree = _tree(job, sorted(executes, key=lambda record: record.start), merges)
    ordered = tuple(sorted(splits, key=lambda record: record.start))
    for record in (*splits, *executes, *(record for record, _ in merges)):
        if record.failure or not record.task_id.startswith(f"{job.job_id}:"):
            raise ValueError(f"task {record.task_id} of job {record.job_id} has no place here: {record.failure or 'another job'}")
    draft = Receipt(job=job, splits=ordered, tree=tree, root=root_of(ordered, tree), signature=b"", module=_inline(module))
    return Receipt(job=job, splits=ordered, tree=tree, root=draft.root, signature=sign(draft.statement()), module=draft.module)


def _tree(job: ReceiptJob, executes: Sequence[Record], merges: Sequence[tuple[Record, tuple[bytes, ...]]]) -> Node:
    leaves = [Node(record) for record in executes]
    if not merges:
        return Node(None, tuple(leaves))
    loose = {record.hash(): leaf for record, leaf in zip(executes, leaves, strict=True)}
    for record, merged in merges:
        if missing := [name for name in merged if name not in loose]:
            raise ValueError(f"{record.task_id} merged {missing[0].hex()}, which is no record or was merged already")
        loose[record.hash()] = Node(record, tuple(loose.pop(name) for name in merged))
    last = loose.pop(merges[-1][0].hash())
    if loose:
        raise ValueError(f"{len(loose)} records of job {job.job_id} were never merged")
    return last


def _inline(module: bytes | None) -> bytes | None:
    return module if module is not None and len(module) <= MODULE_BYTES_MAX else None
