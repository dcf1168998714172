"""A plan whose tasks are as large as seems best, and whose merges are the ladder of `merging`."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import islice
from typing import Protocol

from pangea.compute.flow import merging
from pangea.compute.flow.chunks import Run, TaskSize
from pangea.compute.flow.course import Call, Step
from pangea.compute.flow.feed import Feed
from pangea.compute.model.outcome import Finished, Outcome


class Sizer(Protocol):
    """Says how large tasks should be."""

    def next_size(self, remaining_bytes: int) -> TaskSize:
        """The size of the next task, with `remaining_bytes` of input not yet in a task."""

    def observe(self, *, chunks: int, size_bytes: int, seconds: float) -> None:
        """Learn from a task that has ended well."""


class Sized:
    """Cuts a job into tasks of whole packs by what they cost. Results come in any order."""

    def __init__(self, *, splits: Sizer, executes: Sizer, has_split: bool, has_merge: bool, is_associative: bool) -> None:
        """Cut a job.

        Args:
            splits: sizes tasks of split.
            executes: sizes tasks of execute.
            has_split: whether segments are split, or are chunks themselves.
            has_merge: whether results are merged, or are the result one after the other.
            is_associative: whether results may be merged in groups.
        """
        self._splits = splits
        self._executes = executes
        self._has_split = has_split
        self._ladder = Ladder(is_associative=is_associative) if has_merge else None
        self._results: dict[int, tuple[tuple[int, ...], bytes]] = {}

    def next_split(self, feed: Feed) -> Step | None:
        """Segments to split next."""
        run = feed.cut(self._splits.next_size(feed.uncut_bytes))
        return None if run is None else Step(run)

    def next_execute(self, feed: Feed) -> Step | None:
        """Chunks to execute next; without split, segments are cut as far as the task may need."""
        most = self._executes.next_size(feed.chunks.size_bytes + feed.uncut_bytes)
        if not self._has_split:
            while feed.chunks.size_bytes < most.size_bytes and feed.pass_on():
                pass
        return Step(feed.chunks.take(most)) if feed.chunks else None

    def next_merge(self) -> Step | None:
        """Results to merge next."""
        if self._ladder is None:
            return None
        if not self._ladder.has_begun:
            results, self._results = self._in_order(), {}
            self._ladder.begin([each for packs, body in results for each in merging.results_in(body, packs)])
        return self._ladder.next()

    def keep(self, call: Call, outcome: Outcome) -> None:
        """Learn from a call, and keep what execute and merge gave."""
        assert isinstance(outcome, Finished), "a call that fails ends the job"
        run = call.run
        if call.function == "merge" and self._ladder is not None:
            self._ladder.keep(run.first, outcome.results)
            return
        sizer = self._splits if call.function == "split" else self._executes
        sizer.observe(chunks=run.count, size_bytes=run.size_bytes, seconds=outcome.seconds)
        if call.function == "execute":
            self._results[call.number] = tuple(pack.count for pack in run.packs), outcome.results

    def result(self) -> bytes:
        """The job's result, once it is over."""
        if self._ladder is None:
            return b"".join(merging.items(body for _, body in self._in_order()))
        return bytes(merging.only_result(self._ladder.last))

    def _in_order(self) -> list[tuple[tuple[int, ...], bytes]]:
        return [self._results[number] for number in sorted(self._results)]


class Ladder:
    """Merges results at once or, while they are many and merge is associative, in groups, step by step.

    Attributes:
        last: what the last merge gave, once it has.
    """

    def __init__(self, *, is_associative: bool) -> None:
        """Nothing to merge yet."""
        self.has_begun: bool = False
        self.last: bytes = b""
        self._is_associative = is_associative
        self._groups: deque[list[merging.Results]] = deque()
        self._made: dict[int, bytes] = {}
        self._count = 0
        "groups of this step"
        self._is_last = False
        self._before = 0
        "bytes that this step is given"

    def begin(self, results: list[merging.Results]) -> None:
        """Merge `results`, a pack's each."""
        self.has_begun = True
        size = sum(each.size_bytes for each in results)
        self._climb(results, size, merging.first_groups(len(results), size) if self._is_associative else [])

    def next(self) -> Step | None:
        """A group to merge; None if there is none before another is merged."""
        if not self._groups:
            return None
        number, group = self._count - len(self._groups), self._groups.popleft()
        count, parts = merging.merge_input(group)
        return Step(Run(number, count, sum(each.size_bytes for each in group), parts))

    def keep(self, number: int, body: bytes) -> None:
        """What group `number` of this step became."""
        self._made[number] = body
        if len(self._made) < self._count:
            return
        bodies, self._made = [self._made[each] for each in range(self._count)], {}
        if len(bodies) == 1 and self._is_last:
            self.last = bodies[0]
            return
        results = [each for body in bodies for each in merging.results_in(body)]
        sizes = [each.size_bytes for each in results]
        self._climb(results, sum(sizes), merging.next_groups(sizes, self._before))

    def _climb(self, results: Iterable[merging.Results], size: int, counts: list[int]) -> None:
        rest = iter(results)
        self._is_last = not counts
        self._groups.extend([[*islice(rest, count)] for count in counts] or [[*rest]])
        self._count, self._before = len(self._groups), size
