"""What pages show, as functions of what a node says."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from pangea.compute.dashboard.jobs import bans, cut, failing, job_row, job_view, moment
from pangea.compute.dashboard.neighbourhood import neighbourhood
from pangea.compute.dashboard.overview import counters, overview
from pangea.compute.dashboard.paging import ROWS_MAX, Page, offset_in, page_of
from pangea.compute.dashboard.tasks import done_tasks, explained_span, lines_of, open_tasks, span_at
from pangea.compute.model.progress import JobState
from pangea.compute.model.status import JobPage
from pangea.compute.model.trace import SPANS_MAX
from pangea.compute.pictures.runs.facts import RunFacts
from tests.fakes.source import CENSUS, ERROR, INFO, JOB, LIAR, ME, FakeSource, status, trace

NOW = 1e9 + 60


def facts(source: FakeSource | None = None) -> RunFacts:
    return asyncio.run((source or FakeSource()).facts(JOB))


def test_a_part_of_a_list_says_of_how_many() -> None:
    assert str(Page(0, 200, 1_000_000, "tasks")) == "showing 1 to 200 of 1,000,000 tasks"
    assert str(Page(0, 0, 0, "tasks")) == "no tasks"
    assert str(Page(900, 0, 7, "tasks")) == "showing none of 7 tasks: the list ends before"


def test_pages_lead_to_each_other_and_end() -> None:
    first, last = Page(0, ROWS_MAX, ROWS_MAX + 5, "jobs"), Page(ROWS_MAX, 5, ROWS_MAX + 5, "jobs")
    assert (first.before, first.after) == (None, ROWS_MAX)
    assert (last.before, last.after) == (0, None)
    assert Page(10_000, 0, 7, "jobs").before == 0
    rows, page = page_of(range(250), 200, "rows")
    assert (list(rows), page.total) == ([*range(200, 250)], 250)


@pytest.mark.parametrize(
    ("text", "offset"), [("", 0), ("12", 12), ("-1", 0), ("1e9", 0), ("٣", 0), ("9" * 11, 1 << 31), ("9" * 99, 0)]
)
def test_an_offset_that_makes_no_sense_is_the_beginning(text: str, offset: int) -> None:
    assert offset_in(text) == offset


def test_the_first_page_tells_failures_first_and_states_without_jobs() -> None:
    failed = JobPage(jobs=(status(1, JobState.FAILED, error=ERROR),), total=3)
    view = overview(INFO, failed, JobPage(), NOW)
    assert [(count.state, count.number) for count in view.counts] == [
        *(("failed", 3), ("running", 0), ("merging", 0), ("pending", 0), ("complete", 1_000_000), ("cancelled", 0))
    ]
    assert view.failed[0].cause == ERROR["message"]
    assert str(view.failed_page) == "showing 1 to 1 of 3 failed jobs"
    assert ("fuel of yours, ever", "77") in view.figures


def test_equal_figures_are_equal_counters() -> None:
    assert counters(INFO) == counters(replace(INFO, uptime=99.0, loop_stall_ms=5.0))
    assert counters(INFO)["jobs.failed"] == 3
    assert counters(INFO)["rates.chunks"] == 12.5


def test_a_row_says_how_far_a_job_is_and_only_complete_is_all() -> None:
    row = job_row(status(progress=0.999, state=JobState.RUNNING), NOW)
    assert (row.percent, row.chunks, row.taken) == (99, "5 of 10 or more", "1 min")
    assert job_row(status(state=JobState.COMPLETE), NOW).percent == 100
    assert len(job_row(status(name="x" * 500), NOW).name) < 120


def test_a_failed_job_names_function_chunk_remedy_and_traceback() -> None:
    failed = failing(ERROR)
    assert failed is not None
    assert (failed.code, failed.where, failed.hint) == ("JOB_FAILED", "in execute of chunk 7", "run it natively")
    assert "line 10, in execute" in failed.traceback
    assert failing(None) is None
    assert failing({"message": "m", "chunk_index": 7}) is not None


def test_a_job_shows_its_tasks_its_checks_and_who_was_caught() -> None:
    view = job_view(facts(), status(), {"pending": 3, "complete": 4, "failed": 0}, CENSUS["banned"], NOW)
    assert view.tasks == (("complete", 4), ("pending", 3))
    assert "2 answers were checked by executing them again here, wholly or in part." in view.verification
    assert [(ban.peer, ban.cause, ban.proof) for ban in view.bans] == [(LIAR, "two answers for one input", "/data/bans/x")]
    assert ("executions per task", "1.50") in view.figures
    assert not view.is_over


def test_a_job_is_over_once_all_that_is_known_of_it_says_so() -> None:
    running, complete = FakeSource(), FakeSource(status(state=JobState.COMPLETE))
    ended = status(state=JobState.COMPLETE)
    assert not job_view(facts(running), ended, {}, [], NOW).is_over, "what it ended with is still to come, and is asked for"
    assert job_view(facts(complete), ended, {}, [], NOW).is_over


def test_a_ban_that_was_lifted_is_still_told() -> None:
    view = job_view(facts(), status(state=JobState.COMPLETE), {}, [], NOW)
    assert [(ban.peer, ban.verdict) for ban in view.bans] == [(LIAR, "no longer banned")]
    assert view.tasks == (("complete", 3),)


def test_moments_that_no_calendar_has_are_none() -> None:
    assert moment(0.0) == moment(1e300) == ""
    assert moment(1e9) == "2001-09-09 01:46:40 UTC"
    assert [ban.until for ban in bans([{"until": float("inf")}, {"until": 1e9}, {}])] == [
        "for good",
        "2001-09-09 01:46:40 UTC",
        "",
    ]


def test_what_is_cut_is_said() -> None:
    assert cut("a" * 10, 10) == "a" * 10
    assert cut("a" * 1_010, 10) == "aaaaaaaaaa… (1,000 more characters)"


def test_unfinished_tasks_say_why_and_of_how_many() -> None:
    explained = {"tasks": [{"task_id": f"{JOB}:3", "state": "pending", "lines": ["waits", "  else"]}, 7], "total": 1_000}
    rows, page = open_tasks(explained, 200)
    assert rows[0].lines == ("waits", "else")
    assert str(page) == "showing 201 to 201 of 1,000 unfinished tasks"
    assert lines_of(explained) == ("waits", "else")
    assert lines_of({}) == ()


def test_finished_tasks_come_latest_first_with_what_speaks_for_them() -> None:
    rows, page = done_tasks(trace(3), 0)
    assert [row.start for row in rows] == [20, 10, 0]
    assert (rows[0].what, rows[0].checked) == ("execute, chunks 20 to 29", "equal answers of independent workers")
    assert str(page) == "showing 1 to 3 of 3 finished tasks"


def test_a_million_tasks_are_pages_of_entries_that_say_how_many_they_are() -> None:
    many = trace(3 * SPANS_MAX)
    rows, page = done_tasks(many, 0)
    assert len(rows) == ROWS_MAX
    assert page.noun == "entries of the trace"
    assert page.total <= SPANS_MAX
    assert max(row.tasks for row in rows) > 1
    assert many.tasks == 3 * SPANS_MAX


def test_a_finished_task_is_explained_by_its_trace() -> None:
    span = span_at(trace(3), "execute", 15)
    assert span is not None
    lines = explained_span(span, ME)
    assert "that of the owner, after 1 attempt" in lines[1]
    assert lines[3].endswith("equal answers of independent workers: 3 of them")
    assert span_at(trace(3), "merge", 0) is None
    assert span_at(trace(3), "execute", 30) is None


def test_the_tree_is_told_from_above_to_below_with_who_is_banned() -> None:
    view = neighbourhood(CENSUS)
    assert [(place.peer, place.depth, place.role, place.is_banned) for place in view.places] == [
        ("12D3KooWAbove", 0, "works for nobody", False),
        (ME, 1, "this node", False),
        (LIAR, 2, "child", True),
        ("12D3KooWLeaf", 3, "below", False),
    ]
    assert "4 cores, 1 tasks, 2.5 ms away" in view.places[2].figures
    assert view.trusted[0].credibility == "0.500000"
    assert view.bans[0].until == "2033-05-18 03:33:20 UTC"


def test_a_tree_that_claims_a_loop_ends() -> None:
    below = [{"peer": "a", "parent": ME}, {"peer": "b", "parent": "a"}, {"peer": "a", "parent": "b"}]
    view = neighbourhood({"peer_id": ME, "below": below})
    assert [place.peer for place in view.places] == [ME, "a", "b", "a"]


def test_a_thousand_nodes_are_pages() -> None:
    below = [{"peer": f"p{number}", "parent": ME} for number in range(1_000)]
    view = neighbourhood({"peer_id": ME, "below": below}, offset=1_000)
    assert [place.peer for place in view.places] == ["p999"]
    assert str(view.places_page) == "showing 1,001 to 1,001 of 1,001 nodes"
