"""The course of one job: which call to make next, and what follows its end. Pure: whoever makes the calls drives it.

    result = merge([execute(c) for s in cut(data) for c in split(s)])

A call is one task for the engine. Calls are numbered as they begin; chunks are known, and executed, in the order of their
segments, whichever split ends first. A plan says how the job is cut into calls: by what calls were seen to cost (`sized`), or as
they were recorded (`recorded`). Of several failures the one that comes first in the job is its failure, in whatever order they
come: the same job fails the same way each time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from pangea.compute.flow.chunks import Run
from pangea.compute.flow.counts import Counts
from pangea.compute.flow.feed import Feed
from pangea.compute.flow.independence import Independence
from pangea.compute.flow.retry import Next, decide
from pangea.compute.model.ids import Function
from pangea.compute.model.outcome import Failure, Finished, Outcome
from pangea.compute.model.units import MIB
from pangea.compute.verification.receipts import Record

#: Chunks made by split and not yet executed: beyond this, split waits.
CHUNKS_WAITING_BYTES_MAX = 64 * MIB


@dataclass(frozen=True, slots=True)
class Step:
    """What a plan wants called next.

    Attributes:
        run: the input; of merge, `first` is its number.
        record: what this repeats, if it was recorded.
    """

    run: Run
    record: Record | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """A call to make.

    Attributes:
        number: names it among the calls of its course.
        function: what is called.
        run: its input.
        attempt: 1 for the first try.
        record: what it repeats, if that was recorded.
        told: of a check, who is told how it ends: nothing else hangs on it.
    """

    number: int
    function: Function
    run: Run
    attempt: int = 1
    record: Record | None = None
    told: Callable[[Outcome], None] | None = None

    @property
    def rank(self) -> tuple[bool, int, int]:
        """Order of failures: chunks are executed in order, and all of them come from segments before one that fails to split."""
        return self.function == "split", self.number, self.run.count


class Plan(Protocol):
    """How a job is cut into calls."""

    def next_split(self, feed: Feed) -> Step | None:
        """Segments to split next; None if none are left."""

    def next_execute(self, feed: Feed) -> Step | None:
        """Chunks to execute next; None if there are none, for now at least."""

    def next_merge(self) -> Step | None:
        """Results to merge next, once all else has ended; None if there are none, for now at least."""

    def keep(self, call: Call, outcome: Outcome) -> None:
        """How a call that was no check has ended."""


class Course:
    """One job on its way.

    Attributes:
        feed: its input.
        counts: what it has added up.
        independence: the check that its chunks don't influence each other.
        under_way: calls that have begun and not ended, the first begun first.
        failed: the call that the job fails by, and how.
        bytes_done: of chunks that have been executed.
    """

    def __init__(self, plan: Plan, feed: Feed, *, has_split: bool, retry_count: int, ends_at_failure: bool = True) -> None:
        """A job that hasn't begun.

        Args:
            plan: cuts it into calls.
            feed: its input.
            has_split: whether segments are split, or are chunks themselves.
            retry_count: how often a call is made again that this machine failed.
            ends_at_failure: whether a call that fails ends the job; if not, what it would have given is missing.
        """
        self.feed = feed
        self.counts: Counts = feed.counts
        self.independence: Independence = Independence()
        self.under_way: dict[int, Call] = {}
        self.failed: tuple[Call, Failure] | None = None
        self.bytes_done: int = 0
        self._plan = plan
        self._has_split = has_split
        self._retry_count = retry_count
        self._ends_at_failure = ends_at_failure
        self._begun = 0
        self._again: deque[Call] = deque()
        self._checks: deque[Call] = deque()
        #: Splits whose chunks aren't in the feed, in order, and what those that have ended made; None if they failed.
        self._splits: deque[int] = deque()
        self._made: dict[int, bytes | None] = {}
        self._is_idle = False

    def next(self, most: int) -> Call | None:
        """Begin a call; None if `most` are under way, or if there is none before another has ended."""
        if len(self.under_way) >= most:
            return None
        call = self._next(most)
        self._is_idle = call is None
        if call is not None:
            self.under_way[call.number] = call
        return call

    @property
    def is_over(self) -> bool:
        """Whether no call is left that could change how the job ends. To be asked when `next` has given none."""
        return self._is_idle and not any(self._matters(call) for call in self.under_way.values())

    @property
    def bytes_known(self) -> int:
        """Of the chunks that have been executed, are being, or wait for it."""
        calls = [*self.under_way.values()]  # in one step: another thread may ask
        running = sum(call.run.size_bytes for call in calls if call.function == "execute" and call.told is None)
        return self.bytes_done + running + self.feed.chunks.size_bytes

    def check(self, call: Call, told: Callable[[Outcome], None]) -> None:
        """Have a call made again, beside the job; `told` hears how it ends."""
        self._checks.append(replace(self._call(call.function, Step(call.run)), told=told))

    def ended(self, call: Call, outcome: Outcome) -> Next:
        """Take in how a call has ended, and say what follows: if it is to be tried again, `next` will give it."""
        del self.under_way[call.number]
        following = decide(outcome, attempt=call.attempt, retry_count=self._retry_count)
        if following is Next.RETRY:
            self.counts.retries += 1
            self._again.append(replace(call, attempt=call.attempt + 1))
        elif call.told is not None:
            call.told(outcome)
        elif isinstance(outcome, Finished):
            self._accept(call, outcome)
        elif not self._ends_at_failure:
            self._go_without(call, outcome)
        elif self._matters(call):
            self._fail(call, outcome)
        return following

    def _matters(self, call: Call) -> bool:
        """Whether `call` can still change how the job ends: after a failure, only what comes before it does."""
        return self.failed is None or (call.told is None and call.rank < self.failed[0].rank)

    def _accept(self, call: Call, outcome: Finished) -> None:
        run = call.run
        self.counts.ended(call.function, outcome)
        if call.function == "split":
            self._made[call.number] = outcome.results
        elif call.function == "execute":
            self.counts.chunks += run.count
            self.bytes_done += run.size_bytes
            self.independence.packed(run.first, run.count, outcome.results)
        self._plan.keep(call, outcome)

    def _fail(self, call: Call, failure: Failure) -> None:
        self.failed = call, failure
        if call.function == "split" and failure.index:  # how many segments make a task may not decide whose chunks are executed
            self._again.append(replace(call, run=call.run.head(failure.index), attempt=1))

    def _go_without(self, call: Call, failure: Failure) -> None:
        if call.function == "split":
            self._made[call.number] = None
        self._plan.keep(call, failure)

    # Which is next

    def _next(self, most: int) -> Call | None:
        while self._again:
            if self._matters(call := self._again.popleft()):
                return call
        if self.failed is None:  # until what is to be checked has been, its input and its results are held
            return self._checks.popleft() if self._checks else self._fresh(most)
        if self.failed[0].function != "split":
            return None
        self._collect()  # what waits, or still comes, is from segments before the failed one
        return self._execute()

    def _fresh(self, most: int) -> Call | None:
        self._collect()
        has_room = len(self._splits) < most and self.feed.chunks.size_bytes < CHUNKS_WAITING_BYTES_MAX
        call = (self._split() if has_room else None) or self._execute()
        if call is None and not self.under_way:
            call = self._split() or self._execute()  # one task needs more than there is room for
        return call or self._merge()

    def _split(self) -> Call | None:
        step = self._plan.next_split(self.feed) if self._has_split else None
        if step is None:
            self.feed.is_complete = not self._splits
            return None
        call = self._call("split", step)
        self._splits.append(call.number)
        return call

    def _collect(self) -> None:
        """Queue chunks in the order of their segments, whichever split ended first; none from behind a segment that failed."""
        last = self._begun if self.failed is None else self.failed[0].number
        while self._splits and self._splits[0] in self._made and self._splits[0] <= last:
            results = self._made.pop(self._splits.popleft())
            if results is not None:
                self.feed.add(results)

    def _execute(self) -> Call | None:
        step = self._plan.next_execute(self.feed)
        if step is None:
            return None
        call = self._call("execute", step)
        place = self.independence.choose(call.run.first, [pack.count for pack in call.run.packs])
        if place is not None:
            alone = self._call("execute", Step(call.run.alone(place)))
            self._checks.append(replace(alone, told=self.independence.ended))
        return call

    def _merge(self) -> Call | None:
        if any(call.function != "merge" for call in self.under_way.values()):
            return None
        step = self._plan.next_merge()
        return None if step is None else self._call("merge", step)

    def _call(self, function: Function, step: Step) -> Call:
        number = self._begun
        self._begun += 1
        return Call(number, function, step.run, record=step.record)
