"""The tasks of a job: those under way with the reason why they are where they are, and those that are done, with who did them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pangea.compute.dashboard.jobs import cut
from pangea.compute.dashboard.paging import Page, page_of
from pangea.compute.model.trace import Check, Span, Trace
from pangea.compute.pictures.runs.scales import amount, count, seconds

_LINE_MAX = 400
#: What each way of checking says of one task.
_CHECKED = {
    Check.HERE: "computed by the owner itself",
    Check.AGAIN: "executed again by the owner, whole",
    Check.PARTLY: "executed again by the owner, in parts",
    Check.OWN: "passed the job's own check",
    Check.VOTES: "equal answers of independent workers",
    Check.WORD: "one worker's word, for what its record is worth",
}


@dataclass(frozen=True, slots=True)
class OpenTask:
    """A task that isn't done: its name, its state, and the reason in lines, the first of which says what it waits for."""

    task_id: str
    state: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DoneTask:
    """A task whose answer counts, or some of one worker's that are told together.

    Attributes:
        function, start: which calls; the number of the first chunk, segment or group, and
        what: the same in words.
        tasks: how many this is.
        worker: who gave the answer first.
        checked: how it was checked.
    """

    function: str
    start: int
    what: str
    tasks: int
    worker: str
    seconds: str
    fuel: str
    attempts: int
    votes: int
    checked: str


def open_tasks(explained: Mapping[str, Any], offset: int) -> tuple[tuple[OpenTask, ...], Page]:
    """Tasks that aren't done, from what `explain` says of a job, asked for from `offset` on."""
    rows = tuple(_open(each) for each in _records(explained.get("tasks")))
    total = explained.get("total")
    return rows, Page(offset, len(rows), total if isinstance(total, int) else offset + len(rows), "unfinished tasks")


def done_tasks(trace: Trace, offset: int) -> tuple[tuple[DoneTask, ...], Page]:
    """Tasks that are done, the latest first; of a large job's trace an entry may stand for several."""
    latest = sorted(trace.spans, key=lambda span: (-span.ended, span.function, span.start))
    spans, page = page_of(latest, offset, "entries of the trace" if trace.is_thinned else "finished tasks")
    return tuple(map(_done, spans)), page


def span_at(trace: Trace, function: str, start: int) -> Span | None:
    """The entry of the trace that has the task which begins there."""
    same = [span for span in trace.spans if span.function == function and span.start <= start < span.start + max(1, span.count)]
    return max(same, key=lambda span: span.start, default=None)


def explained_span(span: Span, owner: str) -> tuple[str, ...]:
    """What is known of a task that is done, a sentence each."""
    together = f"{count(span.tasks, 'task')} of this worker, told together: " if span.tasks > 1 else ""
    who = "the owner" if span.worker == owner else span.worker or "nobody who is known any more"
    votes = f": {span.votes:,} of them" if span.check is Check.VOTES else ""
    return (
        f"{together}{_what(span)}, {amount(span.size_bytes, 'B')} of input",
        f"the answer that counts is that of {who}, after {count(span.attempts, 'attempt')}",
        f"it took {seconds(span.seconds)} in the sandbox and {span.fuel:,} fuel, from {seconds(span.began)} to"
        f" {seconds(span.ended)} of the job",
        f"what speaks for it: {_CHECKED[span.check]}{votes}",
    )


def lines_of(explained: Mapping[str, Any]) -> tuple[str, ...]:
    """The reasons of the first task that `explain` tells of."""
    records = _records(explained.get("tasks"))
    return _open(records[0]).lines if records else ()


def _records(value: object) -> list[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []


def _open(record: Mapping[str, Any]) -> OpenTask:
    lines: Iterable[Any] = record.get("lines") or ()
    return OpenTask(
        task_id=str(record.get("task_id", "")),
        state=str(record.get("state", "")),
        lines=tuple(cut(str(line).strip(), _LINE_MAX) for line in lines),
    )


def _done(span: Span) -> DoneTask:
    return DoneTask(
        function=span.function,
        start=span.start,
        what=_what(span),
        tasks=span.tasks,
        worker=span.worker,
        seconds=seconds(span.seconds),
        fuel=amount(span.fuel),
        attempts=span.attempts,
        votes=span.votes,
        checked=_CHECKED[span.check],
    )


def _what(span: Span) -> str:
    noun = {"split": "segment", "execute": "chunk", "merge": "group"}[span.function]
    if span.count > 1:
        return f"{span.function}, {noun}s {span.start:,} to {span.start + span.count - 1:,}"
    return f"{span.function}, {noun} {span.start:,}"
