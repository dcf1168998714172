"""What each task of a job did: where, when, for how much fuel, and how it was checked. Bounded, whatever the job's size.

When there are more tasks than a trace may have entries, neighbours of one worker are told together: first two by two, then
four by four, and so on. What is counted (tasks, chunks, bytes, fuel, seconds of work) stays exact; only the moments get coarser.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Self

from pangea.compute.model.answers import unreadable
from pangea.compute.model.ids import PeerId

#: Entries of one trace.
SPANS_MAX = 4_096
#: The functions of a job, in the order that they run.
FUNCTIONS = ("split", "execute", "merge")
#: Stands for workers that are told together, when even one entry for each would be too many.
OTHERS = "others"
_NAME_MAX = 200
_COUNT_MAX = 1 << 62
_SECONDS_MAX = 1e9


class Check(StrEnum):
    """How an answer was checked before it counted."""

    #: The job's owner computed it itself: nobody else could have lied.
    HERE = "here"
    #: The owner, or whoever asked, executed all of it again.
    AGAIN = "again"
    #: The owner executed parts of it again.
    PARTLY = "partly"
    #: Its results have passed the job's own check, on the owner's machine.
    OWN = "own check"
    #: Independent workers gave the same answer.
    VOTES = "votes"
    #: One worker's word, for what that worker's record is worth; or checking was off.
    WORD = "word"


@dataclass(frozen=True, slots=True)
class Provenance:
    """What speaks for an answer.

    Attributes:
        worker: who gave it first.
        check: how it was checked.
        votes: independent answers that are the same.
        attempts: tries at the task so far, those that machines lost included.
    """

    worker: PeerId
    check: Check
    votes: int
    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One task whose result counts, or some of one worker's that are told together.

    Attributes:
        function: split, execute or merge.
        worker: number of the worker process (embedded engine), or peer id; "" if nobody knows any more.
        start: first chunk (segment of split, group of merge).
        count: how many of those.
        size_bytes: of input.
        began, ended: seconds since the job's start. Of other nodes' tasks `ended` is when the answer came, and `began` is that
            less the time in the sandbox that the worker states.
        seconds: of work: less than `ended - began` where several tasks are told together.
        fuel: fuel units.
        tasks: how many tasks this is.
        attempts: how often they were begun, the tries included that machines lost.
        check: how they were checked.
        votes: independent answers that agreed, of the task with the fewest.
    """

    function: str
    worker: str
    start: int
    count: int
    size_bytes: int
    began: float
    ended: float
    seconds: float
    fuel: int
    tasks: int = 1
    attempts: int = 1
    check: Check = Check.HERE
    votes: int = 1


@dataclass(frozen=True, slots=True)
class Trace:
    """A job's tasks.

    Attributes:
        spans: in the order of their beginning; `SPANS_MAX` at most.
    """

    spans: tuple[Span, ...] = ()

    @classmethod
    def of(cls, spans: Iterable[Span]) -> Self:
        """The trace of any number of tasks."""
        return cls(tuple(sorted(thin(list(spans)), key=_by_time)))

    @property
    def is_thinned(self) -> bool:
        """Whether some entries stand for several tasks."""
        return any(span.tasks > 1 for span in self.spans)

    @property
    def tasks(self) -> int:
        """How many tasks there were."""
        return sum(span.tasks for span in self.spans)

    @property
    def seconds(self) -> float:
        """When the last task ended, in seconds since the job's start."""
        return max((span.ended for span in self.spans), default=0.0)

    def checked(self, check: Check) -> Self:
        """The same tasks, all of them checked this way."""
        return type(self)(tuple(replace(span, check=check) for span in self.spans))

    def to_json(self) -> dict[str, Any]:
        """Compact JSON: names once, and a row of figures for each entry; times in seconds to 0.1 ms."""
        workers = {name: place for place, name in enumerate(dict.fromkeys(span.worker for span in self.spans))}
        return {"columns": list(_COLUMNS), "workers": list(workers), "rows": [_row(span, workers) for span in self.spans]}

    @classmethod
    def from_json(cls, record: object) -> Self:
        """What `to_json` gave. It may be a stranger's: everything is looked at.

        Raises:
            UnavailableError: it makes no sense.
        """
        if not isinstance(record, dict) or record.get("columns") != list(_COLUMNS):
            raise unreadable("the trace is of another kind")
        workers, rows = record.get("workers"), record.get("rows")
        if not isinstance(workers, list) or not all(isinstance(name, str) and len(name) <= _NAME_MAX for name in workers):
            raise unreadable("a trace's workers aren't names")
        if not isinstance(rows, list) or len(rows) > SPANS_MAX:
            raise unreadable(f"a trace has at most {SPANS_MAX:,} entries")
        return cls(tuple(_span(row, workers) for row in rows))


class Tracer:
    """Notes tasks as they end, in bounded memory."""

    def __init__(self) -> None:
        """Note nothing yet."""
        self._spans: list[Span] = []

    def __iter__(self) -> Iterator[Span]:
        """What was noted, in no particular order."""
        return iter(self._spans)

    def add(self, span: Span) -> None:
        """Note a task."""
        self._spans.append(span)
        if len(self._spans) >= 2 * SPANS_MAX:
            self._spans = thin(self._spans)


def thin(spans: list[Span], limit: int = SPANS_MAX) -> list[Span]:
    """At most `limit` entries with the same totals: neighbours of one worker, one function and one way of checking join.

    Entries grow evenly: none joins for the fourth time while others could for the second.
    """
    size = 1
    while len(spans) > limit and size < 1 << 40:
        size *= 2 ** max(1, (len(spans) // limit).bit_length() - 1)  # as often as is needed at least
        spans = _joined(spans, size)
    if len(spans) <= limit:
        return spans
    return _joined(_with_others(spans, limit), 1 << 62)


def _with_others(spans: list[Span], limit: int) -> list[Span]:
    """The same with the workers of the fewest tasks under one name: there are more workers than entries."""
    tasks: dict[str, int] = {}
    for span in spans:
        tasks[span.worker] = tasks.get(span.worker, 0) + span.tasks
    most = sorted(tasks, key=lambda worker: (-tasks[worker], worker))
    named = {*most[: limit // (len(FUNCTIONS) * len(Check)) - 1]}
    return [span if span.worker in named else replace(span, worker=OTHERS) for span in spans]


def _joined(spans: list[Span], tasks_max: int) -> list[Span]:
    """Join each entry to the one before it of its kind, in the order of time, up to so many tasks."""
    found: list[list[Span]] = []
    last: dict[tuple[str, str, Check], tuple[int, list[Span]]] = {}
    for span in sorted(spans, key=_by_time):
        kind = (span.worker, span.function, span.check)
        tasks, group = last.get(kind, (tasks_max, []))
        if tasks + span.tasks <= tasks_max:
            group.append(span)
            last[kind] = (tasks + span.tasks, group)
        else:
            found.append(group := [span])
            last[kind] = (span.tasks, group)
    return [group[0] if len(group) == 1 else _sum(group) for group in found]


def _sum(spans: list[Span]) -> Span:
    return replace(
        spans[0],
        start=min(span.start for span in spans),
        count=sum(span.count for span in spans),
        size_bytes=sum(span.size_bytes for span in spans),
        began=min(span.began for span in spans),
        ended=max(span.ended for span in spans),
        seconds=sum(span.seconds for span in spans),
        fuel=sum(span.fuel for span in spans),
        tasks=sum(span.tasks for span in spans),
        attempts=sum(span.attempts for span in spans),
        votes=min(span.votes for span in spans),
    )


def _by_time(span: Span) -> tuple[float, float, str, str, int]:
    return span.began, span.ended, span.worker, span.function, span.start


_COLUMNS = (
    *("function", "worker", "start", "count", "size_bytes", "began", "ended"),
    *("seconds", "fuel", "tasks", "attempts", "check", "votes"),
)
_CHECKS = tuple(Check)


def _row(span: Span, workers: dict[str, int]) -> list[float]:
    return [
        *(FUNCTIONS.index(span.function), workers[span.worker], span.start, span.count, span.size_bytes),
        *(round(span.began, 4), round(span.ended, 4), round(span.seconds, 4)),
        *(span.fuel, span.tasks, span.attempts, _CHECKS.index(span.check), span.votes),
    ]


def _span(row: object, workers: Sequence[str]) -> Span:
    if not isinstance(row, list) or len(row) != len(_COLUMNS):
        raise unreadable("an entry of a trace has other columns")
    function, worker, start, count, size_bytes, began, ended, seconds, fuel, tasks, attempts, check, votes = row
    return Span(
        function=_one_of(FUNCTIONS, function),
        worker=_one_of(workers, worker),
        start=_whole(start),
        count=_whole(count),
        size_bytes=_whole(size_bytes),
        began=_time(began),
        ended=max(_time(began), _time(ended)),
        seconds=_time(seconds),
        fuel=_whole(fuel),
        tasks=_whole(tasks),
        attempts=_whole(attempts),
        check=_one_of(_CHECKS, check),
        votes=_whole(votes),
    )


def _one_of(known: Sequence[Any], place: object) -> Any:
    if not isinstance(place, int) or isinstance(place, bool) or not 0 <= place < len(known):
        raise unreadable(f"a trace names entry {str(place)[:20]} of {len(known)}")
    return known[place]


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < _COUNT_MAX:
        raise unreadable(f"a trace counts {str(value)[:20]!r}")
    return value


def _time(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < _SECONDS_MAX:
        raise unreadable(f"a trace has the time {str(value)[:20]!r}")
    return float(value)
