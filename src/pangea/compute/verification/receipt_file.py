"""The file of a receipt: compact JSON, read strictly. `docs/receipts.md` describes it.

What all records share (job, owner, module, runtime) stands once, in the job; a record's function follows from its place. A
record of another job or function so doesn't fit in here: its signature is over something else.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

from pangea.compute.model.ids import PeerId, TaskId
from pangea.compute.verification.receipt_fields import TEXT_CHARACTERS_MAX, Fields, parsed, unreadable
from pangea.compute.verification.receipt_job import ReceiptJob
from pangea.compute.verification.receipt_tree import Node, Receipt
from pangea.compute.verification.receipts import Record

FORMAT = 2
#: Levels of the tree: 32 to the power of this is more chunks than any job has.
DEPTH_MAX = 32


def dumps(receipt: Receipt) -> bytes:
    """The file."""
    workers: dict[str, int] = {}
    record: dict[str, Any] = {
        "pangeaReceipt": FORMAT,
        "job": receipt.job.to_json(),
        "splits": [_record_to_json(split, receipt.job, workers) for split in receipt.splits],
        "tree": _node_to_json(receipt.tree, receipt.job, workers),
        "workers": [*workers],
        "root": receipt.root.hex(),
        "signature": _base64(receipt.signature),
    }
    if receipt.module is not None:
        record["module"] = _base64(receipt.module)
    if receipt.outputs:
        record["outputs"] = [_base64(each) for each in receipt.outputs]
    return json.dumps(record, separators=(",", ":"), allow_nan=False).encode()


def loads(data: bytes) -> Receipt:
    """Read a file. What it says is still to be checked.

    Raises:
        UnverifiedError: it isn't a receipt, or has parts that no receipt has.
    """
    try:
        record = parsed(data)
    except ValueError as error:
        raise unreadable(f"it isn't JSON: {str(error)[:200]}") from error
    fields = Fields(record, "it")
    if not fields.has("pangeaReceipt"):
        raise unreadable("it has no pangeaReceipt, the number of its format")
    if (version := fields.whole("pangeaReceipt")) != FORMAT:
        raise unreadable(f"it has format {version}, and this version of pangea-compute reads format {FORMAT}")
    job = ReceiptJob.from_json(fields.take("job"))
    reader = _Reader(job, fields.items("workers"))
    receipt = Receipt(
        job=job,
        splits=tuple(reader.record(each, f"splits[{at}]", "split") for at, each in enumerate(fields.items("splits"))),
        tree=reader.node(fields.take("tree"), "tree", 0),
        root=fields.digest("root"),
        signature=fields.data("signature"),
        module=fields.data("module") if fields.has("module") else None,
        outputs=tuple(_outputs(fields.items("outputs"))) if fields.has("outputs") else (),
    )
    fields.end()
    reader.end()
    return receipt


def _outputs(values: list[Any]) -> Iterator[bytes]:
    for at, value in enumerate(values):
        yield Fields({"bytes": value}, f"outputs[{at}]").data("bytes")


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _record_to_json(record: Record, job: ReceiptJob, workers: dict[str, int]) -> dict[str, Any]:
    return {
        "task": record.task_id.removeprefix(f"{job.job_id}:"),
        "start": record.start,
        "count": record.count,
        **({"packs": list(record.packs)} if record.packs else {}),
        "input": record.input.hex(),
        "output": record.output.hex(),
        "fuel": record.fuel,
        "worker": workers.setdefault(record.worker, len(workers)),
        "signature": _base64(record.signature),
    }


def _node_to_json(node: Node, job: ReceiptJob, workers: dict[str, int]) -> dict[str, Any]:
    own = {} if node.record is None else _record_to_json(node.record, job, workers)
    if node.record is not None and node.record.function == "execute":
        return own
    return {**own, "children": [_node_to_json(child, job, workers) for child in node.children]}


class _Reader:
    """Reads records of one job by one list of workers."""

    def __init__(self, job: ReceiptJob, workers: list[Any]) -> None:
        if not all(isinstance(each, str) and len(each) <= TEXT_CHARACTERS_MAX and each.isprintable() for each in workers):
            raise unreadable("workers must be peer ids")
        self._job = job
        self._workers = [PeerId(each) for each in workers]
        self._spec = job.spec().hash()
        self._used: set[int] = set()

    def node(self, value: object, where: str, depth: int) -> Node:
        if depth > DEPTH_MAX:
            raise unreadable(f"its tree has more than {DEPTH_MAX} levels")
        fields = Fields(value, where)
        if not fields.has("children"):
            return Node(self._record(fields, "execute"))
        children = tuple(
            self.node(each, f"{where}.children[{at}]", depth + 1) for at, each in enumerate(fields.items("children"))
        )
        if depth == 0 and not fields.has("task"):
            fields.end()
            return Node(None, children)
        return Node(self._record(fields, "merge"), children)

    def record(self, value: object, where: str, function: str) -> Record:
        return self._record(Fields(value, where), function)

    def _record(self, fields: Fields, function: str) -> Record:
        job, worker = self._job, fields.whole("worker")
        if worker >= len(self._workers):
            raise unreadable(f"a record is of worker {worker}, and there are {len(self._workers)}")
        self._used.add(worker)
        record = Record(
            job_id=job.job_id,
            owner=job.owner,
            task_id=TaskId(f"{job.job_id}:{fields.text('task')}"),
            function=function,
            module=job.module,
            runtime=job.runtime,
            spec=self._spec,
            start=fields.whole("start"),
            count=fields.whole("count"),
            packs=fields.counts("packs"),
            input=fields.digest("input"),
            output=fields.digest("output"),
            fuel=fields.whole("fuel"),
            worker=self._workers[worker],
            signature=fields.data("signature"),
        )
        fields.end()
        return record

    def end(self) -> None:
        if len(self._used) != len(self._workers) or len({*self._workers}) != len(self._workers):
            raise unreadable("its list of workers has one twice, or one without a record")
