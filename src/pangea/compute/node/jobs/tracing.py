"""The trace of a job on a node: what each accepted task did, as far as its owner knows."""

from __future__ import annotations

import asyncio
import json
import zlib
from typing import Any

from pangea.compute.model.ids import PeerId
from pangea.compute.model.outcome import Finished
from pangea.compute.model.packet import TaskPacket
from pangea.compute.model.trace import Check, Provenance, Span, Trace
from pangea.compute.node.jobs.jobs import LiveJob, TaskDone
from pangea.compute.node.jobs.reports import worker_of

#: Traces of more tasks are made in a thread.
FEW_TASKS = 200


async def trace_so_far(live: LiveJob, me: PeerId) -> dict[str, Any]:
    """What is known by now of a job's tasks, as JSON types; `me` is this node."""
    spans = _spans_of(live, me)  # now, on the loop: a thread would see it change
    if len(spans) <= FEW_TASKS:
        return Trace.of(spans).to_json()
    return await asyncio.to_thread(lambda: Trace.of(spans).to_json())


async def packed_trace(live: LiveJob, me: PeerId) -> bytes:
    """The trace of a job that has ended, as it is kept: some 75 KB at most."""
    if len(live.kept) <= FEW_TASKS:
        return _pack(live, me)
    return await asyncio.to_thread(_pack, live, me)


def _pack(live: LiveJob, me: PeerId) -> bytes:
    trace = Trace.of(_spans_of(live, me)).to_json()
    return zlib.compress(json.dumps(trace, separators=(",", ":")).encode(), 6)


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


def _spans_of(live: LiveJob, me: PeerId) -> list[Span]:
    """One entry for each task, however many there are."""
    spans = [*live.tracer]
    for task in live.kept.values():
        provenance = task.provenance or Provenance(worker_of(live, task, me), Check.HERE, 1, 1)
        spans.append(_span(task.packet, live.done[task.digest], task.fuel, provenance))
    steps = [step for step in live.records.accepted if step.packet.function == "merge"]
    return spans + [_span(step.packet, live.done[step.digest], step.fuel, step.provenance) for step in steps]


def _span(packet: TaskPacket, done: TaskDone, fuel: int, provenance: Provenance) -> Span:
    return Span(
        function=packet.function,
        worker=provenance.worker,
        start=packet.start,
        count=packet.count,
        size_bytes=packet.size_bytes,
        began=max(0.0, done.at - done.seconds),
        ended=done.at,
        seconds=done.seconds,
        fuel=fuel,
        attempts=provenance.attempts,
        check=provenance.check,
        votes=provenance.votes,
    )
