"""What runs in this process, without a node, as pages ask it: the same answers that a node gives, from the runs' own accounts."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from pangea.compute.client.results.result import Result
from pangea.compute.client.submission.accounts import RunAccount, RunBook
from pangea.compute.dashboard.source import KEPT_SECONDS, Shared
from pangea.compute.engine.engine import TaskFuture
from pangea.compute.flow.course import Call
from pangea.compute.model.errors import NotDoneError, UnknownJobError, UnknownTaskError, UnverifiedError
from pangea.compute.model.ids import JobId
from pangea.compute.model.progress import JobState
from pangea.compute.model.status import TASKS_TOLD_MAX, Capacity, JobPage, JobStatus, NodeInfo
from pangea.compute.pictures.runs.facts import HERE, UNVERIFIED, RunFacts, workers_in
from pangea.compute.pictures.runs.scales import amount, count, seconds

#: Over how long rates are told.
_RATE_SECONDS = 10.0


class RunSource:
    """The runs of a book."""

    def __init__(self, book: RunBook, *, clock: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic):
        """Tell of what is in `book`."""
        self._book = book
        self._version = version("pangea-compute")  # asking takes a millisecond
        self._answers = Shared(KEPT_SECONDS)
        self._clock = clock
        self._monotonic = monotonic
        #: When it was asked, and what all runs together had done by then.
        self._sums: deque[tuple[float, dict[str, int]]] = deque()

    async def info(self) -> NodeInfo:
        """How this process is."""
        under_way = [pair for account in self._book.accounts() for pair in _under_way(account)]
        running = sum(_is_running(future) for _, future in under_way)
        workers = max((account.workers for account in self._book.accounts()), default=0)
        return NodeInfo(
            peer_id=HERE,
            version=self._version,
            capacity=Capacity(cpu_cores=workers, ram_mb=0, current_load=min(1.0, running / max(1, workers))),
            uptime=self._clock() - self._book.opened_at,
            jobs=self._book.counts(),
            tasks={"running": running, "waiting": len(under_way) - running},
            rates=self._rates(),
            loop_stall_ms=0.0,
            stored_bytes=0,
            owner_fuel=self._book.sums()["fuel"],
        )

    async def jobs(self, *, state: str = "", offset: int = 0, limit: int = 100) -> JobPage:
        """Some of the runs that are kept, latest first."""
        found = [account for account in self._book.accounts() if state in ("", account.state.value)]
        shown = tuple(self._status(each) for each in found[offset : offset + limit])
        return JobPage(jobs=shown, total=len(found), forgotten=self._book.forgotten(state))

    async def status(self, job_id: str) -> JobStatus:
        """How a run stands."""
        return self._status(self._find(job_id))

    async def facts(self, job_id: str) -> RunFacts:
        """All that is known of a run."""
        return await self._answers.get(("facts", job_id), lambda: self._facts(self._find(job_id)))

    async def _facts(self, account: RunAccount) -> RunFacts:
        run = account.run
        trace = run.trace if run is not None else account.trace
        rechecks = run.rechecks if run is not None else None
        is_unverified = (account.error or {}).get("code") == UnverifiedError.code
        return RunFacts(
            job_id=account.job_id,
            name=account.name,
            state=UNVERIFIED if is_unverified else account.state.value,
            owner=HERE,
            trace=trace,
            report=account.report if account.state is JobState.COMPLETE or is_unverified else None,
            workers=workers_in(trace),
            options=account.options,
            error=account.error,
            seconds=(account.ended_at or self._clock()) - account.accepted_at,
            bytes_in=account.bytes_in,
            findings=(rechecks.in_words() if rechecks is not None else _ALONE,) if run is not None else (),
        )

    async def explain(self, job_id: str, *, offset: int = 0, limit: int = TASKS_TOLD_MAX, task: str = "") -> dict[str, Any]:
        """Why unfinished tasks are where they are, or one that is named."""
        account = self._find(job_id)
        calls = _under_way(account)
        named = [(call, future) for call, future in calls if task in ("", _name(account, call))]
        if task and not named:
            raise UnknownTaskError(f"no task {task[:120]!r} is under way", hint="it may have ended: finished tasks are in a list")
        running = sum(_is_running(future) for _, future in calls)
        return {
            "tasks": [self._explained(account, call, future) for call, future in named[offset : offset + limit]],
            "total": len(calls),
            "counts": {"computing": running, "pending": len(calls) - running, "complete": account.done.tasks},
        }

    async def peers(self) -> dict[str, Any]:
        """Nobody but this process."""
        return {"peer_id": HERE, "site": "", "path": [HERE], "peers": [], "below": [], "workers": [], "banned": []}

    async def prints(self, job_id: str) -> str:
        """What a run's functions have printed so far, the first 64 KiB."""
        return self._find(job_id).done.prints

    async def result(self, job_id: str) -> Result:
        """What a complete run gave."""
        account = self._find(job_id)
        if account.result is None:
            raise NotDoneError(f"the result of job {account.job_id} isn't kept here", hint="the program that ran it has it")
        return account.result

    def _find(self, job_id: str) -> RunAccount:
        account = self._book.find(job_id)
        if account is None:
            raise UnknownJobError(f"no job {job_id[:64]!r} is kept in this process", hint="the list of jobs shows those that are")
        return account

    def _status(self, account: RunAccount) -> JobStatus:
        done, state, run = account.done, account.state, account.run
        calls = _under_way(account)
        running = sum(_is_running(future) for _, future in calls)
        progress = run.progress("running") if run is not None else None
        share = progress.bytes_done / progress.bytes_total if progress is not None and progress.bytes_total else 0.0
        if state is JobState.RUNNING and any(call.function == "merge" for call, _ in calls):
            state = JobState.MERGING
        lasted = progress.seconds if progress is not None else 0.0
        return JobStatus(
            job_id=JobId(account.job_id),
            name=account.name,
            owner=HERE,
            state=state,
            progress=1.0 if state is JobState.COMPLETE else min(0.99, share),
            completed_chunks=done.chunks,
            total_chunks=done.known,
            is_total_known=done.is_all,
            seconds_left=lasted * (1 - share) / share if share > 0 and lasted > 1 else None,
            accepted_at=account.accepted_at,
            ended_at=account.ended_at,
            bytes_in=account.bytes_in,
            bytes_out=account.report.bytes_out if account.report is not None else 0,
            fuel=done.fuel,
            running_tasks=running,
            waiting_tasks=len(calls) - running,
            error=account.error,
        )

    def _explained(self, account: RunAccount, call: Call, future: TaskFuture | None) -> dict[str, Any]:
        is_running = _is_running(future)
        if is_running and future is not None:
            why = f"worker {future.worker} has had it for {seconds(max(0.0, self._monotonic() - future.began))}"
        else:
            why = "waits for a worker: each has a task, and another is kept ready for it"
        run, function = call.run, call.function
        what = "merges results" if function == "merge" else f"{function} of {count(run.count, _NOUNS[function])}"
        lines = [why, f"{what}, from {run.first:,} on, {amount(run.size_bytes, 'B')} of input", f"attempt {call.attempt:,}"]
        if call.told is not None:
            lines.append("it is a check: a call that was made before is made again, and compared")
        return {"task_id": _name(account, call), "state": "computing" if is_running else "pending", "lines": lines}

    def _rates(self) -> dict[str, float]:
        """Per second over the last ten, or over as long as it has been asked."""
        now, sums = self._monotonic(), self._book.sums()
        self._sums.append((now, sums))
        while len(self._sums) > 2 and self._sums[1][0] <= now - _RATE_SECONDS:
            self._sums.popleft()
        since, before = self._sums[0]
        took = max(now - since, 1e-3)
        return {name: max(0, number - before[name]) / took for name, number in sums.items()}


_ALONE = "computed by this program's own workers, so there is nobody else to check"
_NOUNS = {"split": "segment", "execute": "chunk"}


def _under_way(account: RunAccount) -> list[tuple[Call, TaskFuture | None]]:
    run = account.run
    return run.under_way() if run is not None else []


def _is_running(future: TaskFuture | None) -> bool:
    return future is not None and future.worker > 0


def _name(account: RunAccount, call: Call) -> str:
    return f"{account.job_id}:{call.function} {call.run.first} (call {call.number})"
