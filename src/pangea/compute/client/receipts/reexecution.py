"""Execute a receipt's calls again, on the engine inside this process: cut, split, execute and merge as the records say.

A record is of whole packs, which follow from the receipt's options and inputs: they are repeated as they were, in fresh
sandboxes, and so give the same bytes for the same fuel. What is found is data; `differences` says where it isn't what the worker
signed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import replace
from hashlib import sha256

from pangea.compute.client.receipts.differences import Difference, Found, of_job
from pangea.compute.engine.engine import Engine
from pangea.compute.engine.prepared import PreparedJob
from pangea.compute.engine.task import Task
from pangea.compute.engine.waiting import outcome_of
from pangea.compute.flow import merging
from pangea.compute.flow.counts import Counts
from pangea.compute.flow.course import Call, Course
from pangea.compute.flow.feed import Feed
from pangea.compute.flow.packs import PackRule
from pangea.compute.flow.recorded import Recorded
from pangea.compute.flow.retry import Next
from pangea.compute.model.errors import InputError, UnavailableError
from pangea.compute.model.frames import Buffer
from pangea.compute.model.ids import TaskId
from pangea.compute.model.outcome import Failure, FailureKind, Outcome
from pangea.compute.verification.closeness import packs_outside
from pangea.compute.verification.digests import digest_of, is_named
from pangea.compute.verification.receipt_tree import Receipt
from pangea.compute.verification.receipts import Record

#: Tries of a call after the first, when this machine fails.
_RETRIES = 3

OnFound = Callable[[Found], None]
#: Told of each call that was repeated, as it ended.
OnCall = Callable[[Call, Outcome], None]


class Reexecution:
    """Executes calls of one receipt again: its course, over what was recorded. Use once.

    Attributes:
        warning: that chunks of a pack influence each other, or "": who checks a receipt should know, too.
    """

    def __init__(
        self,
        engine: Engine,
        job: PreparedJob,
        receipt: Receipt,
        segments: Iterator[Buffer],
        *,
        on_found: OnFound,
        on_call: OnCall | None = None,
    ) -> None:
        """Repeat calls of `receipt`'s records.

        Args:
            engine: executes.
            job: the receipt's module, prepared under the receipt's limits.
            receipt: checked.
            segments: its inputs, cut by its options.
            on_found: told of each call that was repeated.
            on_call: the same, with what the call was given and gave.
        """
        self.warning: str = ""
        self._engine = engine
        self._job = job
        self._receipt = receipt
        self._segments = segments
        self._on_found = on_found
        self._on_call = on_call
        self._feed = Feed(segments, PackRule.of(receipt.job.options), Counts(), input_bytes=0)
        #: Results that no merge has taken in.
        self._results: dict[TaskId, bytes] = {}
        self._futures: dict[int, Future[Outcome]] = {}
        self._inputs: dict[int, bytes] = {}
        self._outputs = dict(zip([record.task_id for record in receipt.executes()], receipt.outputs, strict=False))

    def run(self, wanted: set[TaskId]) -> None:
        """Repeat the calls of `wanted` tasks, with all that they need: of execute the splits before it, of merge all below it.

        Raises:
            InputError: the inputs can't be cut as the receipt says.
            UnavailableError: this machine couldn't execute a call.
        """
        has_split = self._job.has_split
        plan = Recorded(self._receipt, wanted, has_split=has_split, on_missing=self._miss)
        course = Course(plan, self._feed, has_split=has_split, retry_count=_RETRIES, ends_at_failure=False)
        self._results = plan.results
        try:
            while True:
                while (call := course.next(2 * self._engine.workers)) is not None:
                    self._begin(call)
                if course.is_over:
                    break
                under_way = [*course.under_way.values()]
                first = under_way[0]
                what = first.function if first.record is None else first.record.task_id
                calls = sum(call.run.count + 1 for call in under_way)
                outcome = outcome_of(self._futures[first.number], self._job.guest.limits, calls, what)
                del self._futures[first.number]
                outcome = self._settled(first.record, outcome)
                if course.ended(first, outcome) is not Next.RETRY and first.record is not None:
                    self._on_found(self._found(first, first.record, outcome))
                    if self._on_call is not None:
                        self._on_call(first, outcome)
        finally:
            self._engine.cancel(self._futures.values())
        if self._job.tolerance is None:  # else what it compared may be of two adapters; and shaders have no memory that lasts
            self.warning = course.independence.warning

    def run_all(self) -> list[Difference]:
        """Repeat every call; the job as a whole must come out as the receipt says.

        Returns:
            What is wrong with the job as a whole; each call's own result went to `on_found`.
        """
        receipt, job = self._receipt, self._receipt.job
        self.run({record.task_id for record in receipt.records()})
        left = sum(1 for _ in self._segments)
        chunks = self._feed.known + (0 if self._job.has_split else left)
        found = []
        if self._job.has_split and left:
            found.append(of_job("segments", f"{job.segments:,}", f"{job.segments + left:,}"))
        if chunks != job.chunks:
            found.append(of_job("chunks", f"{job.chunks:,}", f"{chunks:,}"))
        if receipt.tree.record is None:
            digest, size = self._concatenation()
            if (digest, size) != (job.result_sha256, job.result_size):
                found.append(of_job("result", f"{job.result_sha256} ({job.result_size:,} bytes)", f"{digest} ({size:,} bytes)"))
        elif (given := self._result_size()) is not None and given != job.result_size:
            found.append(of_job("result", f"{job.result_size:,} bytes", f"{given:,} bytes"))
        return found

    def _settled(self, record: Record | None, outcome: Outcome) -> Outcome:
        """Under a tolerance, what a worker gave in place of what is near enough to it: that is what was merged.

        Raises:
            InputError: the receipt hasn't what it gave, and this machine found other bytes.
        """
        tolerance = self._job.tolerance
        if tolerance is None or record is None or record.function != "execute" or isinstance(outcome, Failure):
            return outcome
        if is_named(outcome.results, record):
            return outcome
        given = self._outputs.get(record.task_id)
        if given is None:
            raise InputError(
                f"the receipt hasn't the results of {record.task_id}: whether others are within {tolerance} can't be said"
            )
        return outcome if packs_outside(tolerance, given, outcome.results, record.packs) else replace(outcome, results=given)

    def _begin(self, call: Call) -> None:
        if call.record is not None and call.attempt == 1:
            digest = sha256()
            for part in call.run.parts:
                digest.update(part)
            self._inputs[call.number] = digest.digest()
        self._futures[call.number] = self._engine.submit(Task.of(self._job.guest_of(call.function), call.function, call.run))

    def _miss(self, record: Record, count: int) -> None:
        self._on_found(Found(record=record, count=count, input=b""))

    def _found(self, call: Call, record: Record, outcome: Outcome) -> Found:
        given = self._inputs.pop(call.number)
        if isinstance(outcome, Failure):
            is_early = (
                outcome.kind is FailureKind.OUT_OF_FUEL and self._job.guest.limits.fuel < self._receipt.job.options.limits.fuel
            )
            if outcome.is_machine_fault or outcome.kind is FailureKind.CANCELLED or is_early:
                raise UnavailableError(
                    f"{record.task_id} couldn't be executed again on this machine: {outcome.message}",
                    hint="try again when the machine has less to do: this says nothing about the receipt",
                )
            return Found(record=record, count=record.count, input=given, fuel=outcome.fuel, failure=str(outcome.kind))
        output = self._output(call, record, outcome.results)
        return Found(record=record, count=record.count, input=given, output=output, fuel=outcome.fuel)

    def _output(self, call: Call, record: Record, results: bytes) -> bytes:
        if record.function == "split":
            return sha256(results).digest()
        if record is self._receipt.tree.record:
            return sha256(merging.only_result(results)).digest()
        return digest_of(results, start=record.start, packs=[pack.count for pack in call.run.packs])

    def _result_size(self) -> int | None:
        last = self._receipt.tree.record
        body = self._results.get(last.task_id) if last is not None else None
        return None if body is None else len(merging.only_result(body))

    def _concatenation(self) -> tuple[str, int]:
        digest, size = sha256(), 0
        names = [record.task_id for record in self._receipt.executes()]
        for item in merging.items(self._results[name] for name in names if name in self._results):
            digest.update(item)
            size += len(item)
        return digest.hexdigest(), size
