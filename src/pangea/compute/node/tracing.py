"""The trace of a job on a node: what each accepted task did, as far as its owner knows."""

from __future__ import annotations

import json
import zlib
from typing import Any

from pangea.compute.model.ids import PeerId
from pangea.compute.model.outcome import Finished
from pangea.compute.model.packet import TaskPacket
from pangea.compute.model.trace import Check, Span, Standing, Trace
from pangea.compute.node.jobs import LiveJob, TaskDone
from pangea.compute.node.reports import worker_of

#: Traces of more tasks are made in a thread.
FEW_TASKS = 1_000


def trace_of(live: LiveJob, me: PeerId) -> Trace:
    """What is known of a job's tasks; `me` is this node."""
    return Trace.of(spans_of(live, me))


def packed(trace: Trace) -> bytes:
    """A trace as it is kept."""
    return zlib.compress(json.dumps(trace.to_json(), separators=(",", ":")).encode(), 6)


def unpacked(data: bytes) -> dict[str, Any]:
    """The JSON of a trace that was kept; empty if there is none."""
    return dict(json.loads(zlib.decompress(data))) if data else {}


def call_here(live: LiveJob, me: PeerId, function: str, start: int, count: int, size_bytes: int, outcome: Finished) -> Span:
    """A call of split or merge on this node that has just ended."""
    ended = live.elapsed()
    return Span(
        function=function,
        worker=me,
        start=start,
        count=count,
        size_bytes=size_bytes,
        began=max(0.0, ended - outcome.seconds),
        ended=ended,
        seconds=outcome.seconds,
        fuel=outcome.fuel,
    )


def spans_of(live: LiveJob, me: PeerId) -> list[Span]:
    """One entry for each task, however many there are."""
    spans = [*live.tracer]
    for task in live.kept.values():
        standing = task.standing or Standing(worker_of(live, task, me), Check.HERE, 1, 1)
        spans.append(_span(task.packet, live.done[task.digest], task.fuel, standing))
    steps = [step for step in live.records.accepted if step.packet.function == "merge"]
    return spans + [_span(step.packet, live.done[step.digest], step.fuel, step.standing) for step in steps]


def _span(packet: TaskPacket, done: TaskDone, fuel: int, standing: Standing) -> Span:
    return Span(
        function=packet.function,
        worker=standing.worker,
        start=packet.start,
        count=packet.count,
        size_bytes=packet.size_bytes,
        began=max(0.0, done.at - done.seconds),
        ended=done.at,
        seconds=done.seconds,
        fuel=fuel,
        attempts=standing.attempts,
        check=standing.check,
        votes=standing.votes,
    )
