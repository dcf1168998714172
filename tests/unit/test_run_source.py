"""Pages of runs without a node: what is told of them while they go on, how they ended, and how many are kept."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, cast

import pytest

from pangea.compute.client.results.result import Result
from pangea.compute.client.submission.accounts import KEPT_MAX, RESULT_BYTES_MAX, RESULTS_MAX, RunAccount, RunBook
from pangea.compute.client.submission.run import JobRun
from pangea.compute.dashboard.run_source import RunSource
from pangea.compute.engine.prepared import PreparedJob
from pangea.compute.engine.task import Guest
from pangea.compute.errors import JobFailedError, NotDoneError, UnknownJobError, UnknownTaskError, UnverifiedError
from pangea.compute.model.limits import Limits
from pangea.compute.model.options import JobOptions
from pangea.compute.model.progress import JobState
from pangea.compute.pictures.runs.facts import HERE, UNVERIFIED
from tests.fakes.engine import FakeEngine, FakeGuest
from tests.fakes.source import FakeSource, trace
from tests.pages import Tags, get
from tests.runs import run_of
from tests.unit.runs_drawn import report


def ask(answer: Any) -> Any:
    return asyncio.run(answer)


def texts(source: RunSource, *paths: str) -> list[str]:
    return [Tags(answer.text).text for answer in get(cast(FakeSource, source), *paths)]


def ended(book: RunBook, name: str, error: Exception | None = None, data: bytes = b"result") -> RunAccount:
    account = RunAccount(name, JobOptions())
    book.add(account)
    with suppress(Exception), account:
        if error is not None:
            raise error
        account.complete(Result(data, report(trace())))
    return account


class Watched:
    """A run of ten chunks that is looked at before each of its tasks ends."""

    def __init__(self) -> None:
        self.book = RunBook()
        self.now = 100.0
        self.source = RunSource(self.book, clock=lambda: self.now, monotonic=lambda: self.now)
        self.account = RunAccount("tens", JobOptions(retry_count=7))
        self.seen: list[tuple[int, Any]] = []
        self.book.add(self.account)
        guest = FakeGuest(lambda data: data.split(b","), bytes.upper, b"+".join)
        self.engine = FakeEngine(guest, 2, lambda _most: 0)

    def look(self) -> bool:
        self.now += 1.0
        self.engine.waiting[0][1].worker = 1  # its turn has come
        job_id = self.account.job_id
        answers = [ask(each) for each in (self.source.status(job_id), self.source.explain(job_id), self.source.info())]
        self.seen.append((len(self.engine.waiting), answers))
        if len(self.seen) == 4:
            self.pages = texts(self.source, "/", f"/jobs/{job_id}", f"/jobs/{job_id}/tasks?kind=unfinished")
        return self.engine.step()

    def run(self) -> bytes:
        job = PreparedJob("fake", Guest("", b"", Limits(fuel=1)), True, True, False, 1 << 30)
        run: JobRun = run_of(self.engine, job, [b"a,b,c,d,e,f,g,h,i,j"], is_cancelled=self.look)
        with self.account:
            self.account.begin(run)
            data = run.result()
            self.account.complete(Result(data, report(trace())))
        return data


def test_a_run_is_told_of_while_it_goes_on() -> None:
    watched = Watched()
    assert watched.run() == b"A+B+C+D+E+F+G+H+I+J"
    for waiting, (status, explained, info) in watched.seen:
        assert explained["total"] == waiting == status.running_tasks + status.waiting_tasks
        assert info.tasks == {"running": 1, "waiting": waiting - 1}
        assert 0 <= status.progress < 1
        assert explained["counts"]["computing"] == 1
        assert explained["tasks"][0]["lines"][0].startswith("worker 1 has had it for")
    assert watched.seen[-1][1][0].state is JobState.MERGING
    assert [seen[1][0].completed_chunks for seen in watched.seen] == sorted(seen[1][0].completed_chunks for seen in watched.seen)
    overview, job, tasks = watched.pages
    assert "in this process, without a node" in overview
    assert "nobody else to check" in job
    assert "retry_count 7" in job
    assert "waits for a worker" in tasks
    assert any(info.rates["chunks"] > 0 for _, (_, _, info) in watched.seen)


def test_what_a_run_held_is_let_go_of_at_its_end_and_its_account_stays() -> None:
    watched = Watched()
    watched.run()
    assert watched.account.run is None
    status = ask(watched.source.status(watched.account.job_id))
    assert (status.state, status.progress, status.completed_chunks, status.total_chunks) == (JobState.COMPLETE, 1.0, 10, 10)
    facts = ask(RunSource(watched.book).facts(watched.account.job_id))
    assert (facts.owner, facts.trace.tasks, facts.report is not None) == (HERE, watched.account.last.tasks, True)
    assert bytes(ask(watched.source.result(watched.account.job_id))) == b"A+B+C+D+E+F+G+H+I+J"
    assert ask(watched.source.explain(watched.account.job_id))["total"] == 0
    with pytest.raises(UnknownTaskError, match="is under way"):
        ask(watched.source.explain(watched.account.job_id, task="gone"))


def test_how_it_failed_is_on_its_page() -> None:
    book = RunBook()
    traceback = 'File "sums.py", line 10, in execute\nZeroDivisionError: division by zero'
    error = JobFailedError("execute failed: division by zero", traceback=traceback, function="execute", chunk_index=7)
    account = ended(book, "sums", error)
    page = texts(RunSource(book), f"/jobs/{account.job_id}")[0]
    assert 'File "sums.py", line 10' in page
    assert "in execute of chunk 7" in page
    assert "division by zero" in texts(RunSource(book), "/")[0]


def test_a_result_that_didn_t_stand_when_it_was_verified_is_no_complete_one() -> None:
    book = RunBook()
    error = UnverifiedError("the job doesn't give the same bytes twice")
    error.report = report(trace())
    account = ended(book, "odd", error)
    assert ask(RunSource(book).facts(account.job_id)).state == UNVERIFIED
    assert ask(RunSource(book).status(account.job_id)).state is JobState.FAILED


def test_what_ended_a_program_has_cancelled_its_run() -> None:
    book = RunBook()
    assert ended(book, "stopped", RuntimeError("of a listener")).state is JobState.CANCELLED


def test_as_many_runs_are_kept_as_are_said_to_be_and_failures_stay_longest() -> None:
    book = RunBook()
    bad = ended(book, "bad", JobFailedError("no"))
    for number in range(KEPT_MAX + 9):
        ended(book, f"good {number}")
    book.add(RunAccount("last", JobOptions()))
    source = RunSource(book)
    page = ask(source.jobs())
    assert (page.total, page.forgotten) == (KEPT_MAX + 1, 10)
    assert ask(source.info()).jobs == {"failed": 1, "complete": KEPT_MAX + 9, "pending": 1}
    assert "10 more have ended and aren't kept" in texts(source, "/jobs")[0]
    assert ask(source.status(bad.job_id)).state is JobState.FAILED
    with pytest.raises(UnknownJobError, match="is kept in this process"):
        ask(source.status("other"))


def test_few_results_are_held_and_no_large_ones() -> None:
    book = RunBook()
    accounts = [ended(book, f"{number}") for number in range(RESULTS_MAX + 3)]
    large = ended(book, "large", data=bytes(RESULT_BYTES_MAX + 1))
    assert large.result is None
    book.add(RunAccount("last", JobOptions()))
    assert sum(account.result is not None for account in accounts) == RESULTS_MAX - 1
    with pytest.raises(NotDoneError, match="isn't kept here"):
        ask(RunSource(book).result(large.job_id))
