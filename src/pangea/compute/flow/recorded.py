"""A plan that repeats what a receipt's records say was done: those that are wanted, and what these need.

A record is of whole packs, which follow from the receipt's options and inputs. One that isn't, or whose items aren't there, is of
no call: that is told, and the plan goes on without.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator

from pangea.compute.flow import merging
from pangea.compute.flow.chunks import ChunkQueue, Run, TaskSize
from pangea.compute.flow.course import Call, Step
from pangea.compute.flow.feed import Feed
from pangea.compute.model.ids import TaskId
from pangea.compute.model.outcome import Finished, Outcome
from pangea.compute.verification.receipt_tree import Receipt
from pangea.compute.verification.receipts import Record

_BYTES_MAX = 1 << 60


class Recorded:
    """Repeats records of one receipt.

    Attributes:
        results: what calls of execute and merge gave, framed lists, by task, until they are merged.
    """

    def __init__(
        self, receipt: Receipt, wanted: Collection[TaskId], *, has_split: bool, on_missing: Callable[[Record, int], None]
    ) -> None:
        """Repeat calls.

        Args:
            receipt: checked.
            wanted: tasks; of execute the splits before it are repeated as well, of merge all below it.
            has_split: whether segments are split, or are chunks themselves.
            on_missing: told of a record that has no call, and how many of its items there are.
        """
        self.results: dict[TaskId, bytes] = {}
        self._has_split = has_split
        self._on_missing = on_missing
        self._needed = {*wanted, *_below(receipt, wanted)}
        executes = receipt.executes()
        #: Chunks that are needed end here.
        self._until = max((each.start + each.count for each in executes if each.task_id in self._needed), default=0)
        self._splits = deque(receipt.splits)
        self._executes = deque(each for each in executes if each.start < self._until)
        self._merges = deque(
            (node, each) for node, each in receipt.nodes() if each.function == "merge" and each.task_id in self._needed
        )
        self._merging: set[TaskId] = set()

    def next_split(self, feed: Feed) -> Step | None:
        """The segments of the next record, as far as chunks are needed; after that, of those needed themselves."""
        while self._splits:
            record = self._splits.popleft()
            if feed.known >= self._until and record.task_id not in self._needed:
                feed.skip(record.count)
                continue
            run = feed.cut(TaskSize(chunks=record.count, size_bytes=_BYTES_MAX))
            if self._is_whole(record, run) and run is not None:
                return Step(run, record)
        return None

    def next_execute(self, feed: Feed) -> Step | None:
        """The chunks of the next record; those in between, and those after the last, are let go."""
        while self._executes:
            record, chunks = self._executes[0], feed.chunks
            if not self._has_split:
                while chunks.count < record.count and feed.pass_on():
                    pass
            elif chunks.count < record.count and not feed.is_complete:
                return None
            self._executes.popleft()
            run = _run_of(record, chunks)
            if record.task_id in self._needed and self._is_whole(record, run) and run is not None:
                return Step(run, record)
        feed.drop()
        return None

    def next_merge(self) -> Step | None:
        """The results of what is below the next record; without all of them there is nothing to merge."""
        while self._merges:
            node, record = self._merges[0]
            below = [child.record.task_id for child in node.children if child.record is not None]
            if not self._merging.isdisjoint(below):
                return None
            self._merges.popleft()
            bodies = [self.results.pop(name, None) for name in below]
            results = [each for body in bodies if body is not None for each in merging.results_in(body)]
            if len(results) == len(below):
                self._merging.add(record.task_id)
                count, parts = merging.merge_input(results)
                return Step(Run(record.start, count, sum(each.size_bytes for each in results), parts), record)
        return None

    def keep(self, call: Call, outcome: Outcome) -> None:
        """Keep what execute and merge gave, until it is merged."""
        assert call.record is not None, "all calls are of records"
        name = call.record.task_id
        self._merging.discard(name)
        if isinstance(outcome, Finished) and call.function != "split":
            self.results[name] = outcome.results

    def _is_whole(self, record: Record, run: Run | None) -> bool:
        """Whether `run` has just a record's items; if not, no such call can be made, and that is told."""
        count = run.count if run is not None else 0
        if count != record.count:
            self._on_missing(record, count)
        return count == record.count


def _run_of(record: Record, chunks: ChunkQueue) -> Run | None:
    """The packs that a record is of, or fewer chunks if it doesn't end with one; None if it doesn't begin with one."""
    run, end = None, record.start + record.count
    while chunks and chunks.first < end:
        is_first = chunks.first == record.start
        taken = chunks.take(TaskSize(chunks=end - chunks.first, size_bytes=_BYTES_MAX))
        run = taken if is_first else run
    return run


def _below(receipt: Receipt, wanted: Collection[TaskId]) -> Iterator[TaskId]:
    """All tasks that went into those wanted, but splits."""
    for node, record in receipt.nodes():
        if record.task_id in wanted:
            yield from (below.record.task_id for below in node.walk() if below.record is not None)
