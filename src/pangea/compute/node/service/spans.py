"""What a node does, as spans: made from what its orchestrator hears and decides, which it knows nothing of.

Of each job that it owns or works on a node has one span, of each attempt that it gives away or executes itself another. That of
a parent's task lies below the parent's attempt that it belongs to, so a job's trace goes down the tree as its tasks did.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from pangea.compute.model.errors import JobFailedError, PangeaError
from pangea.compute.model.ids import JobId, PeerId
from pangea.compute.model.outcome import MACHINE_FAULTS
from pangea.compute.model.packet import TaskPacket, TaskResult, TaskStatus
from pangea.compute.model.progress import JobState
from pangea.compute.model.trace import Tracer
from pangea.compute.model.trace_context import SpanKind, SpanRecord, TraceContext, about_call, span_of, trace_of
from pangea.compute.orchestrator.core.commands import Command, DropJob, FailJob, FinishJob, Send, StartTask, StopTask
from pangea.compute.orchestrator.core.events import Event, MessageReceived, PeerLost, TaskExecuted
from pangea.compute.orchestrator.core.messages import Answers, Cancel, Delegate
from pangea.compute.orchestrator.core.records import Attempt
from pangea.compute.orchestrator.machine import Orchestrator

#: Whose job, and which; None: a client's of this node.
_Key = tuple[PeerId | None, JobId]
#: What a job's giver says of its trace: a traceparent, or "".
Given = Callable[[PeerId | None, JobId], str]


class Sink(Protocol):
    """Where spans go."""

    def is_sampled(self, trace: bytes) -> bool:
        """Whether a trace that begins here is to be recorded."""

    def emit(self, record: SpanRecord) -> None:
        """Take a span that is over."""


@dataclass(slots=True)
class _Job:
    """A job under way: where its giver put it, this node's own span of it, and what it has seen of it."""

    parent: TraceContext
    own: TraceContext
    is_giver_traced: bool
    began: float
    last: float
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class _Open:
    """An attempt under way."""

    key: _Key
    parent: TraceContext
    packet: TaskPacket
    peer: PeerId
    began: float
    task_began: float


class NodeSpans:
    """Makes one node's spans."""

    def __init__(self, me: PeerId, core: Orchestrator, sink: Sink, given: Given) -> None:
        """Make spans of what `core`, the orchestrator of node `me`, hears and decides."""
        self._me = me
        self._core = core
        self._sink = sink
        self._given = given
        self._jobs: dict[_Key, _Job] = {}
        self._open: dict[int, _Open] = {}

    def passed_on(self, source: PeerId | None, job_id: JobId, given: str) -> str:
        """The traceparent that goes down with a job's tasks: this node's own span."""
        return str(self._job((source, job_id), given, 0.0).own)

    def saw(self, event: Event, commands: list[Command], now: float) -> None:
        """Take in an event that the orchestrator has heard at `now` (seconds since 1970), and what it decided."""
        self._heard(event, now)
        for command in commands:
            match command:
                case StartTask(attempt=number):
                    self._begin(number, now)
                case Send(message=Delegate(tasks=tasks)):
                    for number, _ in tasks:
                        self._begin(number, now)
                case StopTask(attempt=number):
                    self._end(number, now, "stopped")
                case Send(message=Cancel(attempts=numbers)):
                    for number in numbers:
                        self._end(number, now, "cancelled")
                case FinishJob(job_id=job_id) | FailJob(job_id=job_id):
                    self._end_all((None, job_id), now)
                case DropJob(parent=parent, job_id=job_id):
                    self._end_all((parent, job_id), now)
                    self._lent((parent, job_id))

    def _heard(self, event: Event, now: float) -> None:
        match event:
            case TaskExecuted(attempt=number, result=result):
                self._end(number, now, "", result)
            case MessageReceived(message=Answers(results=results)):
                for number, result in results:
                    if result.status is not TaskStatus.COMMITTED:
                        self._end(number, now, "", result)
            case PeerLost(peer=peer):
                for number in [number for number, each in self._open.items() if each.peer == peer]:
                    self._end(number, now, "its link was lost")

    def job_ended(
        self,
        job_id: JobId,
        given: str,
        *,
        state: JobState,
        began: float,
        ended: float,
        about: Mapping[str, str | int],
        error: str,
    ) -> TraceContext:
        """An own job has ended.

        Args:
            job_id: the job.
            given: its client's traceparent, or "".
            state: how.
            began: seconds since 1970, like
            ended: this.
            about: further attributes.
            error: why it failed; "": it didn't.

        Returns:
            The place of its span, for what belongs below it.
        """
        job = self._job((None, job_id), given, began)
        del self._jobs[None, job_id]
        attributes = {**_named(job_id), "pangea.job.state": state.value, **about}
        self._emit("pangea job", job.parent, job.own.span, SpanKind.SERVER, began, ended, attributes, error)
        return job.own

    def called(self, place: TraceContext, job_id: JobId, calls: Tracer, began: float) -> None:
        """Splits and merges of a job that has ended, which it made itself; `began` is when the job did, in seconds since 1970."""
        for each in calls:
            self._emit(
                f"pangea {each.function}",
                place,
                b"",
                SpanKind.INTERNAL,
                began + each.began,
                began + each.ended,
                {**_named(job_id), **about_call(each)},
            )

    def close(self, now: float) -> None:
        """End all that is under way: the node stops."""
        for number in list(self._open):
            self._end(number, now, "the node stopped")
        for key in [key for key in self._jobs if key[0] is not None]:
            self._lent(key)

    def _job(self, key: _Key, given: str, now: float) -> _Job:
        if (known := self._jobs.get(key)) is not None:
            return known
        source, job_id = key
        parent = TraceContext.parse(given)
        if parent is None:
            trace = trace_of(job_id)
            parent = TraceContext(trace, is_sampled=self._sink.is_sampled(trace))
        own = TraceContext(parent.trace, span_of(parent.trace, self._me, job_id), parent.is_sampled)
        is_traced = source is not None and parent.span == span_of(parent.trace, source, job_id)
        made = self._jobs[key] = _Job(parent, own, is_traced, now, now)
        return made

    def _begin(self, number: int, now: float) -> None:
        attempt = self._core.core.attempts.get(number)
        if attempt is None:
            return  # begun and given up by one decision
        task = attempt.task
        key = task.job.key
        job = self._job(key, self._given(*key), now)
        job.began, job.attempts = job.began or now, job.attempts + 1
        self._open[number] = _Open(key, self._above(job, key, attempt), task.packet, attempt.peer.id, now, task.since)

    def _above(self, job: _Job, key: _Key, attempt: Attempt) -> TraceContext:
        """What an attempt's span lies below: the giver's attempt, where the giver has spans; else this node's span of the job."""
        source, origin = key[0], attempt.task.origin
        if source is None or not job.is_giver_traced:
            return job.own
        trace = job.own.trace
        return TraceContext(trace, _span_of_attempt(trace, source, attempt.task.packet, origin), job.own.is_sampled)

    def _end(self, number: int, now: float, why: str, result: TaskResult | None = None) -> None:
        each = self._open.pop(number, None)
        if each is None:
            return
        if (job := self._jobs.get(each.key)) is not None:
            job.last = now
        is_here = each.peer == self._me
        attributes: dict[str, str | int | float] = {**_named(each.key[1]), **_of_packet(each.packet), "pangea.worker": each.peer}
        attributes |= {"pangea.node": self._me, "pangea.attempt.number": number}
        attributes["pangea.waited.seconds"] = max(0.0, round(each.began - each.task_began, 6))
        if result is not None:
            attributes |= {"pangea.attempt.status": result.status.value, "pangea.worker": result.worker or each.peer}
            attributes |= {"pangea.fuel": result.fuel, "pangea.sandbox.seconds": result.seconds}
            why = _why(result)
        else:
            attributes["pangea.attempt.status"] = why  # nobody's fault: no longer wanted, or the link
            why = why if why.startswith("its link") else ""
        name, kind = (f"pangea {each.packet.function}", SpanKind.INTERNAL) if is_here else ("pangea delegate", SpanKind.CLIENT)
        span = _span_of_attempt(each.parent.trace, self._me, each.packet, number)
        self._emit(name, each.parent, span, kind, each.began, now, attributes, why)

    def _end_all(self, key: _Key, now: float) -> None:
        for number in [number for number, each in self._open.items() if each.key == key]:
            self._end(number, now, "no longer wanted")

    def _lent(self, key: _Key) -> None:
        """A parent's job is over here."""
        job = self._jobs.pop(key, None)
        if job is None or not job.attempts:
            return
        attributes: dict[str, str | int | float] = {
            **_named(key[1]),
            "pangea.node": self._me,
            "pangea.parent": str(key[0]),
            "pangea.attempts": job.attempts,
        }
        self._emit("pangea lend", job.parent, job.own.span, SpanKind.SERVER, job.began, job.last, attributes, "")

    def _emit(
        self,
        name: str,
        parent: TraceContext,
        span: bytes,
        kind: SpanKind,
        began: float,
        ended: float,
        attributes: Mapping[str, str | int | float],
        error: str = "",
    ) -> None:
        if parent.is_sampled:
            record = SpanRecord(
                name=name, parent=parent, span=span, kind=kind, began=began, ended=ended, attributes=attributes, error=error
            )
            self._sink.emit(record)


def said_of(error: PangeaError | None) -> str:
    """Why a job failed, for a span: what its code raised is its client's to read, and may have its data in it."""
    if error is None:
        return ""
    if isinstance(error, JobFailedError):
        return f"{error.code}: {error.function or 'a function'} of the job's failed"
    return f"{error.code}: {error.message}"


def _why(result: TaskResult) -> str:
    """Why an attempt failed: by name alone, where the rest is what the job's code says."""
    if result.failure is None:
        return ""
    return result.failure.value if result.failure not in MACHINE_FAULTS else f"{result.failure.value}: {result.message}"


def _named(job_id: JobId) -> dict[str, str]:
    return {"pangea.job.id": job_id}


def _of_packet(packet: TaskPacket) -> dict[str, str | int]:
    return {
        "pangea.task.id": packet.task_id,
        "pangea.function": packet.function,
        "pangea.chunk.first": packet.start,
        "pangea.chunk.count": packet.count,
        "pangea.pack.count": packet.runs,
        "pangea.input.bytes": packet.size_bytes,
    }


def _span_of_attempt(trace: bytes, peer: PeerId, packet: TaskPacket, number: int) -> bytes:
    return span_of(trace, peer, packet.task_id, str(number))
