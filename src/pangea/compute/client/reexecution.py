"""Execute a receipt's calls again, on the engine inside this process: cut, split, execute and merge as the records say.

Packing decides which calls there are, and so their fuel: a record's call is repeated as it was, with the same items. What is
found is data; `differences` says where it isn't what the worker signed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, replace
from hashlib import sha256

from pangea.compute.client.differences import Difference, Found, of_job
from pangea.compute.engine import merging
from pangea.compute.engine.chunks import ChunkQueue
from pangea.compute.engine.engine import Engine
from pangea.compute.engine.prepared import PreparedJob
from pangea.compute.engine.task import Function, Task
from pangea.compute.model import frames
from pangea.compute.model.errors import UnavailableError
from pangea.compute.model.frames import Buffer
from pangea.compute.model.ids import TaskId
from pangea.compute.model.outcome import Failure, FailureKind, Finished, Outcome
from pangea.compute.model.packet import leaf_runs
from pangea.compute.orchestrator.packing import TaskSize
from pangea.compute.orchestrator.retry import Next, decide
from pangea.compute.verification.digests import digest_of
from pangea.compute.verification.receipt_tree import Node, Receipt
from pangea.compute.verification.receipts import Record

_BYTES_MAX = 1 << 60
#: Tries of a call after the first, when this machine fails.
_RETRIES = 3
#: Beside the time limit of a call: starting a worker, queueing, copying.
_SPARE_SECONDS = 60.0

OnFound = Callable[[Found], None]


@dataclass(slots=True)
class _Call:
    """A call under way."""

    record: Record
    input: bytes
    task: Task
    future: Future[Outcome]


class Reexecution:
    """Executes calls of one receipt again. Use once."""

    def __init__(
        self, engine: Engine, job: PreparedJob, receipt: Receipt, segments: Iterator[Buffer], *, on_found: OnFound
    ) -> None:
        """Repeat calls of `receipt`'s records.

        Args:
            engine: executes.
            job: the receipt's module, prepared under the receipt's limits.
            receipt: checked.
            segments: its inputs, cut by its options.
            on_found: told of each call that was repeated.
        """
        self._engine = engine
        self._job = job
        self._receipt = receipt
        self._segments = segments
        self._on_found = on_found
        self._chunks = ChunkQueue()
        #: Chunks in the queue, and cut or split so far.
        self._waiting = 0
        self._known = 0
        self._open: dict[TaskId, list[Buffer]] = {}
        self._needed: set[TaskId] = set()
        self._until = 0
        #: Items in calls under way: each may take as long as the job's time limit.
        self._under_way = 0
        self.calls = 0

    def run(self, wanted: set[TaskId]) -> None:
        """Repeat the calls of `wanted` tasks, with all that they need: of execute the splits before it, of merge all below it.

        Raises:
            InputError: the inputs can't be cut as the receipt says.
            UnavailableError: this machine couldn't execute a call.
        """
        for node, record in self._receipt.nodes():
            if record.task_id in wanted:
                self._needed.update(below.record.task_id for below in node.walk() if below.record is not None)
        executes = [record for record in self._receipt.executes() if record.task_id in self._needed]
        self._until = max((record.start + record.count for record in executes), default=0)
        self._needed |= wanted
        for call, outcome in self._in_order(self._executes()):
            self._keep(call.record, self._settle(call, outcome))
        for node, record in self._receipt.nodes():
            if record.function == "merge" and record.task_id in self._needed:
                self._merge(node, record)

    def run_all(self) -> list[Difference]:
        """Repeat every call; the job as a whole must come out as the receipt says.

        Returns:
            What is wrong with the job as a whole; each call's own result went to `on_found`.
        """
        receipt, job = self._receipt, self._receipt.job
        self.run({record.task_id for record in receipt.records()})
        left = sum(1 for _ in self._segments)
        chunks = self._known + (0 if self._job.has_split else left)
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

    # The calls, in order

    def _splits(self) -> Iterator[_Call]:
        """Calls of split: of all records as far as chunks are needed, then of those that are needed themselves."""
        for record in self._receipt.splits:
            if self._known >= self._until and record.task_id not in self._needed:
                self._skip(record.count)
                continue
            queue = ChunkQueue()
            count = 0
            while count < record.count and (segment := next(self._segments, None)) is not None:
                queue.add(segment)
                count += 1
            if self._is_whole(record, count):
                yield self._call(record, "split", queue)

    def _skip(self, count: int) -> None:
        for _ in range(count):
            next(self._segments, None)

    def _feed(self) -> Iterator[None]:
        """Put chunks into the queue, step by step."""
        if self._job.has_split:
            for call, outcome in self._in_order(self._splits()):
                body = self._settle(call, outcome)
                for part in merging.items([body] if body is not None else []):
                    self._chunks.add_frame(part)
                    self._waiting += frames.count_of(part)
                    self._known += frames.count_of(part)
                yield
            return
        for segment in self._segments:
            self._chunks.add(segment)
            self._waiting += 1
            self._known += 1
            yield

    def _executes(self) -> Iterator[_Call]:
        feed = self._feed()
        for record in self._receipt.executes():
            if record.start >= self._until:
                break
            while self._waiting < record.count and self._step(feed):
                pass
            count = min(record.count, self._waiting)
            self._waiting -= count
            if record.task_id in self._needed and self._is_whole(record, count):
                yield self._call(record, "execute", self._chunks)
            elif count:
                self._chunks.take(TaskSize(chunks=count, size_bytes=_BYTES_MAX))
        if self._job.has_split:
            for _ in feed:  # splits that are wanted for themselves: nobody needs their chunks
                self._chunks = ChunkQueue()

    @staticmethod
    def _step(feed: Iterator[None]) -> bool:
        return next(feed, feed) is None

    def _is_whole(self, record: Record, count: int) -> bool:
        """Whether the input has all of a record's items; what it hasn't is told, and no such call can be made."""
        if count < record.count:
            self._on_found(Found(record=record, count=count, input=b""))
        return count == record.count

    def _call(self, record: Record, function: Function, queue: ChunkQueue) -> _Call:
        run = queue.take(TaskSize(chunks=record.count, size_bytes=_BYTES_MAX))
        return self._begin(record, function, run.count, run.parts)

    def _begin(self, record: Record, function: Function, count: int, parts: Sequence[Buffer]) -> _Call:
        digest = sha256()
        for part in parts:
            digest.update(part)
        task = Task(self._job.guest, function, count, parts)
        self.calls += 1
        self._under_way += count + 1
        return _Call(record, digest.digest(), task, self._engine.submit(task))

    def _in_order(self, calls: Iterator[_Call]) -> Iterator[tuple[_Call, Outcome]]:
        """The calls with their outcomes, while the engine is busy with the next ones."""
        ahead: deque[_Call] = deque()
        try:
            for call in calls:
                ahead.append(call)
                if len(ahead) > 2 * self._engine.workers:
                    yield ahead[0], self._wait(ahead[0])
                    ahead.popleft()
            while ahead:
                yield ahead[0], self._wait(ahead[0])
                ahead.popleft()
        finally:
            self._engine.cancel([call.future for call in ahead])

    def _wait(self, call: _Call) -> Outcome:
        """How a call ends. As everywhere, a packed one that fails is run singly, and one that this machine failed, again."""
        attempt = 1
        while True:
            outcome, task = self._outcome(call), call.task
            match decide(
                outcome, function=task.function, count=task.count, singly=task.singly, attempt=attempt, retry_count=_RETRIES
            ):
                case Next.RUN_SINGLY:
                    call.task = replace(task, singly=True)
                case Next.RETRY:
                    attempt += 1
                case _:
                    self._under_way -= task.count + 1
                    return outcome
            call.future = self._engine.submit(call.task)

    def _outcome(self, call: _Call) -> Outcome:
        seconds = (self._job.guest.limits.time + _SPARE_SECONDS) * self._under_way
        try:
            return call.future.result(seconds)
        except CancelledError as error:
            raise UnavailableError("the engine was closed") from error
        except TimeoutError as error:
            raise UnavailableError(f"the engine didn't answer on {call.record.task_id} within {seconds:,.0f} s") from error

    def _settle(self, call: _Call, outcome: Outcome) -> bytes | None:
        """Tell what was found; the results, if there are any."""
        found = self._found(call, outcome)
        if found.output == call.record.output and found.fuel != call.record.fuel and self._may_run_singly(call):
            singly = self._again_singly(call)
            found = singly if singly.answer() == _answer_of(call.record) else found
        self._on_found(found)
        return outcome.results if isinstance(outcome, Finished) else None

    @staticmethod
    def _may_run_singly(call: _Call) -> bool:
        return call.task.function == "execute" and call.task.count > 1 and not call.task.singly

    def _again_singly(self, call: _Call) -> Found:
        """What the call's chunks use one by one: so a worker runs them that was too slow for all of them in the time limit."""
        self._under_way += call.task.count + 1
        call.task = replace(call.task, singly=True)
        call.future = self._engine.submit(call.task)
        return self._found(call, self._wait(call))

    def _found(self, call: _Call, outcome: Outcome) -> Found:
        record = call.record
        if isinstance(outcome, Failure):
            if outcome.is_machine_fault or outcome.kind is FailureKind.CANCELLED:
                raise UnavailableError(
                    f"{record.task_id} couldn't be executed again on this machine: {outcome.message}",
                    hint="try again when the machine has less to do: this says nothing about the receipt",
                )
            return Found(record=record, count=record.count, input=call.input, fuel=outcome.fuel, failure=str(outcome.kind))
        output = self._output(record, outcome.results)
        return Found(record=record, count=record.count, input=call.input, output=output, fuel=outcome.fuel)

    def _output(self, record: Record, results: bytes) -> bytes:
        if record.function == "split":
            return sha256(results).digest()
        if record is self._receipt.tree.record:
            return sha256(merging.only_result(results)).digest()
        runs = leaf_runs(frames.count_of(results)) if record.function == "execute" else 1
        return digest_of(results, start=record.start, runs=runs)

    # Merging

    def _merge(self, node: Node, record: Record) -> None:
        """Repeat a merge of what its children gave; without all of that there is nothing to merge."""
        below = [self._open.pop(child.record.task_id, []) for child in node.children if child.record is not None]
        if not all(below):
            return
        call = self._begin(record, "merge", *merging.merge_input([body for bodies in below for body in bodies]))
        self._keep(record, self._settle(call, self._wait(call)))

    def _keep(self, record: Record, body: bytes | None) -> None:
        self._open[record.task_id] = [body] if body is not None else []

    def _result_size(self) -> int | None:
        last = self._receipt.tree.record
        bodies = self._open.get(last.task_id, []) if last is not None else []
        return len(merging.only_result(bodies[0])) if bodies else None

    def _concatenation(self) -> tuple[str, int]:
        digest, size = sha256(), 0
        bodies = [body for record in self._receipt.executes() for body in self._open.get(record.task_id, [])]
        for item in merging.items(bodies):
            digest.update(item)
            size += len(item)
        return digest.hexdigest(), size


def _answer_of(record: Record) -> tuple[bytes, bytes, int, str]:
    return record.input, record.output, record.fuel, record.failure
