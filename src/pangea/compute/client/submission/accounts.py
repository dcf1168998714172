"""What runs of this process, without a node, tell whoever looks at them while they go on, from other threads."""

from __future__ import annotations

import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from pangea.compute.client.results.result import Result
from pangea.compute.client.submission.run import JobRun
from pangea.compute.model.errors import JobCancelledError, PangeaError, error_record
from pangea.compute.model.options import JobOptions
from pangea.compute.model.progress import JobState
from pangea.compute.model.report import Report
from pangea.compute.model.trace import Trace

#: Runs that have ended and are kept; the oldest go first, those that failed last.
KEPT_MAX = 32
#: Of those, results that are kept, and how large they may be.
RESULTS_MAX, RESULT_BYTES_MAX = 4, 4 << 20


class RunAccount:
    """One run, from before its input is opened to after its end. A context manager: what is raised inside is how it ended.

    The thread that runs it sets the attributes, each in one step; whoever looks only reads. What is large goes at the end.

    Attributes:
        job_id: the job's, or one made up.
        name: the job's.
        options: what was chosen that isn't the default, by name.
        run: it, as long as it goes on.
        state: as of a job on a node.
        accepted_at, ended_at: seconds since 1970; 0 while it hasn't ended.
        bytes_in: of input.
        workers: how many work on it; 0 before it has begun.
        result: of a complete run, for as long as it is kept.
        report: how a complete run, or one that didn't stand when it was verified, came about.
        error: of a failed run, as a job's on a node.
        trace: what each task did, of a run that has ended; before that, `run` has it.
        last: what it had done when it ended.
    """

    def __init__(self, name: str, options: JobOptions) -> None:
        """A run that hasn't begun."""
        self.job_id: str = options.job_id or str(uuid.uuid4())
        self.name: str = name
        self.options: dict[str, Any] = options.chosen()
        self.run: JobRun | None = None
        self.state: JobState = JobState.PENDING
        self.accepted_at: float = time.time()
        self.ended_at: float = 0.0
        self.bytes_in: int = 0
        self.workers: int = 0
        self.result: Result | None = None
        self.report: Report | None = None
        self.error: dict[str, Any] | None = None
        self.trace: Trace = Trace()
        self.last: Done = Done()

    def begin(self, run: JobRun) -> None:
        """Its tasks begin."""
        self.workers, self.bytes_in, self.run = run.workers, run.input_bytes, run
        self.state = JobState.RUNNING

    def complete(self, result: Result) -> Result:
        """It has ended well, with this."""
        self.report = result.report
        self.result = result if len(result) <= RESULT_BYTES_MAX else None
        self._end(JobState.COMPLETE)
        return result

    @property
    def done(self) -> Done:
        """What it has done so far."""
        run = self.run
        if run is None:
            return self.last
        counts, (known, is_all) = run.counts, run.known_chunks
        return Done(counts.tasks, counts.chunks, counts.fuel, run.bytes_done, counts.retries, known, is_all, counts.prints)

    def _end(self, state: JobState) -> None:
        run = self.run
        if run is not None:
            self.last, self.trace, self.bytes_in = self.done, run.trace, run.input_bytes
        self.run, self.ended_at, self.state = None, time.time(), state

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is None:
            return
        if isinstance(error, PangeaError) and not isinstance(error, JobCancelledError):
            self.error = error.details | error_record(error)
            self.report = error.report if isinstance(error.report, Report) else None
            self._end(JobState.FAILED)
        else:  # of the program: Ctrl-C, or what a listener raised
            self._end(JobState.CANCELLED)


@dataclass(frozen=True, slots=True)
class Done:
    """What a run has done.

    Attributes:
        tasks, chunks, fuel, bytes_done, retries: of tasks that have ended well, and count.
        known, is_all: chunks that are known, and whether those are all.
        prints: the first of what its functions printed.
    """

    tasks: int = 0
    chunks: int = 0
    fuel: int = 0
    bytes_done: int = 0
    retries: int = 0
    known: int = 0
    is_all: bool = False
    prints: str = ""


class RunBook:
    """Runs of this process that may be looked at: all that go on, and the latest that have ended. For any thread.

    Attributes:
        opened_at: seconds since 1970.
        on_add: told of each run that is added.
    """

    def __init__(self) -> None:
        """There are none yet."""
        self._lock = threading.Lock()
        self._accounts: dict[str, RunAccount] = {}
        self._forgotten: Counter[JobState] = Counter()
        self._forgotten_sums: Counter[str] = Counter()
        self.opened_at: float = time.time()
        self.on_add: Callable[[RunAccount], None] = lambda _account: None

    def add(self, account: RunAccount) -> None:
        """A run that is about to begin."""
        with self._lock:
            self._accounts.pop(account.job_id, None)
            self._accounts[account.job_id] = account
            self._forget()
        self.on_add(account)

    def accounts(self) -> list[RunAccount]:
        """Those that are kept, latest first."""
        with self._lock:
            return [*reversed(self._accounts.values())]

    def find(self, job_id: str) -> RunAccount | None:
        """The run of that job; None if there is none, or it isn't kept any more."""
        return self._accounts.get(job_id)

    def counts(self) -> dict[str, int]:
        """Runs by state, those included that aren't kept."""
        with self._lock:
            found = Counter(account.state for account in self._accounts.values()) + self._forgotten
        return {state.value: number for state, number in found.items()}

    def forgotten(self, state: str = "") -> int:
        """How many runs aren't kept any more that ended in `state`, or in any."""
        with self._lock:
            return sum(number for each, number in self._forgotten.items() if state in ("", each.value))

    def sums(self) -> dict[str, int]:
        """What all runs together have done: `jobs` that ended, `tasks`, `chunks`, `fuel`, `bytes` of input in finished tasks."""
        with self._lock:
            found = Counter(self._forgotten_sums)
            for account in self._accounts.values():
                found.update(_sums(account))
        return {name: found[name] for name in ("jobs", "tasks", "chunks", "bytes", "fuel")}

    def _forget(self) -> None:
        """Let go of what is too old to be kept."""
        ended = [account for account in self._accounts.values() if account.state.is_final]
        for account in ended[:-RESULTS_MAX]:
            account.result = None
        for account in sorted(ended, key=lambda each: each.state is JobState.FAILED)[: max(0, len(ended) - KEPT_MAX)]:
            self._forgotten[account.state] += 1
            self._forgotten_sums.update(_sums(account))
            del self._accounts[account.job_id]


def _sums(account: RunAccount) -> dict[str, int]:
    done, is_over = account.done, account.state.is_final
    return {"jobs": int(is_over), "tasks": done.tasks, "chunks": done.chunks, "bytes": done.bytes_done, "fuel": done.fuel}
