"""The report of a run: everything about it, nothing from outside, and nothing that runs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest

from pangea.compute.client.results.result import Result
from pangea.compute.model.errors import JobFailedError, PictureError, UnavailableError, UnverifiedError
from pangea.compute.model.kinds import ResultKind
from pangea.compute.model.progress import JobState
from pangea.compute.model.status import JobOutcome, JobStatus
from pangea.compute.model.trace import Check, Trace
from pangea.compute.pictures.runs.facts import UNVERIFIED, RunFacts
from pangea.compute.pictures.runs.pictures import run_picture
from pangea.compute.pictures.runs.report import report_html, run_report
from pangea.compute.pictures.runs.results import known, picture_or_why
from pangea.compute.pictures.runs.words import verification
from tests.unit.runs_drawn import JOB_ID, OWNER, report, run_here, run_on_nodes, spans

EVIL = "</pre></script><script>alert(1)</script><img src=x onerror=alert(2)>"


class Page(HTMLParser):
    """What a browser would make of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def test_a_report_has_all_there_is_to_say() -> None:
    page = Page(report_html(run_here(workers=2, tasks=7), no_picture="no picture: it is a number"))
    for words in (
        *("demo", JOB_ID, "complete", "embedded engine, 2 worker processes"),
        *("10 bytes", "no picture: it is a number"),
        "Adaptive: computed by this machine alone, so there was nobody to check.",
        *("35 in 8 tasks", "size 512", "Printed by the job hello"),
        *("Who did what: demo", "When it was done: demo", "How fast it went: demo", "What it cost: demo"),
    ):
        assert words in page.text, words
    assert [tag for tag, _ in page.tags].count("svg") == 4


def evil() -> RunFacts:
    facts = run_on_nodes(workers=3)
    assert facts.report is not None
    error = {"code": EVIL, "message": EVIL, "hint": EVIL, "traceback": EVIL}
    said = replace(facts.report, verification=EVIL, where=EVIL, split_strategy=EVIL, prints=EVIL)
    return replace(facts, name=EVIL, state=EVIL, owner=EVIL, report=said, error=error, options={EVIL: EVIL}, findings=(EVIL,))


def test_text_of_strangers_stays_text() -> None:
    text = report_html(evil(), no_picture=EVIL)
    page = Page(text)
    assert {tag for tag, _ in page.tags} & {"script", "img", "iframe", "object", "embed", "link", "a", "form", "base"} == set()
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert page.text.count("<script>alert(1)</script>") > 8, "it is shown as it is written"


def test_a_report_asks_for_nothing_from_outside() -> None:
    text = report_html(run_here(), picture=picture_or_why([[1.0, 2.0], [3.0, 4.0]])[0])
    page = Page(text)
    policy = next(attributes["content"] for tag, attributes in page.tags if attributes.get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    assert "script-src" not in policy
    sources = [value for _, attributes in page.tags for name, value in attributes.items() if name in ("src", "href", "srcset")]
    assert sources
    assert all((value or "").startswith("data:") for value in sources)
    assert set(re.findall(r"https?://[\w.]+", re.sub(r"base64,[\w+/=]+", "", text))) <= {"http://www.w3.org"}


def test_it_is_made_for_light_and_dark() -> None:
    text = report_html(run_here())
    assert "color-scheme:light dark" in text
    assert text.count("@media (prefers-color-scheme:dark)") == 2, "the page's and the drawings'"


def test_a_report_is_bounded() -> None:
    facts = run_here(workers=40, tasks=5_000, prints="x" * 65_536)
    error = {"message": "m", "traceback": "t" * 1_000_000}
    text = report_html(replace(facts, error=error))
    assert len(text) < 800_000
    assert "… and 934,464 characters more" in text


def test_a_picture_that_is_too_large_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pangea.compute.pictures.runs.report._PICTURE_MAX", 100)
    picture, _ = picture_or_why([[1.0, 2.0], [3.0, 4.0]])
    assert "its picture is too large for a page" in report_html(run_here(), picture=picture)


# What went wrong


def test_a_job_that_failed_says_why_and_what_was_done() -> None:
    error = JobFailedError(
        "execute failed: KeyError", hint="run it natively", traceback="Traceback\n  line 7", function="execute"
    )
    error.report = report(Trace.of(spans(2, 5)), bytes_in=77)
    facts = RunFacts.of_error(error, name="demo")
    page = Page(report_html(facts))
    for words in (
        "failed",
        "JOB_FAILED execute failed: KeyError",
        "run it natively",
        "Traceback line 7",
        "tasks done 6",
        "77 bytes",
    ):
        assert words in page.text, words
    assert "Result" not in page.text


def test_an_error_of_which_nothing_is_known_has_a_report_all_the_same() -> None:
    page = Page(report_html(RunFacts.of_error(UnavailableError("no engine"), name="demo")))
    assert "UNAVAILABLE no engine" in page.text
    assert "there is no timeline" in page.text


def test_a_result_that_didn_t_stand_is_neither_complete_nor_failed() -> None:
    error = UnverifiedError("the job doesn't give the same bytes twice: chunk 3")
    error.report = report(Trace.of(spans(2, 5)), verification="adaptive: computed by this machine alone, and 1 differs")
    facts = RunFacts.of_error(error, name="demo")
    assert facts.state == UNVERIFIED
    sentences = verification(facts)
    assert sentences[-1] == "It did not stand: the job doesn't give the same bytes twice: chunk 3."
    assert "unverified" in Page(report_html(facts)).text


# In words


def test_how_it_was_checked_is_said_for_every_task() -> None:
    facts = run_on_nodes(workers=2, tasks=10)
    checks = [Check.HERE, Check.AGAIN, Check.AGAIN, Check.PARTLY, Check.VOTES, Check.WORD]
    told = tuple(replace(span, check=check) for span, check in zip(facts.trace.spans, checks, strict=False))
    account: Mapping[str, Any] = {
        "confidence": 0.99931,
        "audits": 13,
        "disputes": 1,
        "withdrawn": 0,
        "bans": ["liar"],
        "notes": ["two checks were made by this node itself"],
    }
    assert verification(replace(facts, trace=Trace(told), checks=account, findings=("equal to NumPy's",))) == [
        "Adaptive: 1.20 executions per task.",
        "1 task was computed by the owner itself: nobody else could have lied.",
        "2 tasks were executed again by the owner, whole, and were right.",
        "1 task was executed again by the owner in parts.",
        "1 task was given the same answer by independent workers.",
        "1 task was believed on one worker's word.",
        "Every task is right with a probability of 0.99931 at least.",
        "13 answers were checked by executing them again here, wholly or in part.",
        "1 task had answers that differed.",
        "1 worker was found to be wrong and shut out: liar.",
        "Two checks were made by this node itself.",
        "Equal to NumPy's.",
    ]


def test_of_a_run_here_there_is_one_sentence_unless_it_was_repeated() -> None:
    facts = run_here(tasks=3)
    assert len(verification(facts)) == 1
    again = replace(facts, trace=facts.trace.checked(Check.AGAIN))
    assert verification(again)[1] == "Of 4 tasks, each was executed again in fresh sandboxes, and compared byte for byte."


# Facts from a node


def answer(**changes: Any) -> dict[str, Any]:
    status = JobStatus(job_id=JOB_ID, name="demo", state=JobState.RUNNING)  # type: ignore[arg-type]
    good = {
        "status": status.to_json(),
        "owner": OWNER,
        "workers": [{"peer": "w1", "branch": "w1", "tasks": 1, "chunks": 5, "fuel": 7, "seconds": 0.5, "checked": "ok"}],
        "below": [["w1", OWNER, ""]],
        "checks": {},
        "options": {"receipt": True},
        "trace": Trace.of(spans(1, 3)).to_json(),
    }
    return {**good, **changes}


def test_a_job_under_way_is_known_as_far_as_it_is() -> None:
    facts = RunFacts.of_records(answer(), None)
    assert (facts.state, facts.report, facts.trace.tasks, facts.options) == ("running", None, 4, {"receipt": True})
    assert "running" in Page(report_html(facts)).text


def test_a_node_of_an_earlier_version_says_less() -> None:
    record = answer()
    for name in ("trace", "options", "checks"):
        del record[name]
    facts = RunFacts.of_records(record, JobOutcome(status=JobStatus.from_json(record["status"])))
    assert (facts.trace, facts.options) == (Trace(), {})


@pytest.mark.parametrize(
    "changes",
    [
        {"status": {}},
        {"owner": 7},
        {"workers": None},
        {"workers": ["w1"]},
        {"workers": [{"peer": "w1", "branch": ""}]},
        {"workers": [{"peer": "w1", "branch": "", "tasks": -1, "chunks": 0, "fuel": 0, "seconds": 0}]},
        {"workers": [{"peer": 1, "branch": "", "tasks": 1, "chunks": 0, "fuel": 0, "seconds": 0}]},
        {"below": [["a", "b"]]},
        {"below": [["a", "b", 3]]},
        {"below": [["a", "b", ""]] * 10_001},
        {"checks": ["x"]},
        {"trace": {"rows": 3}},
    ],
)
def test_a_node_s_answer_that_makes_no_sense_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(UnavailableError, match="the node's answer can't be read"):
        RunFacts.of_records(answer(**changes), None)


# Results


def test_a_result_that_nobody_declared_is_read_as_it_begins() -> None:
    import io

    import numpy as np
    import pyarrow as pa

    file = io.BytesIO()
    np.save(file, np.eye(3))
    stream = io.BytesIO()
    table = pa.table({"a": [1, 2]})
    with pa.ipc.new_stream(stream, table.schema) as writer:
        writer.write_table(table)

    def result(data: bytes, kind: str = "bytes") -> Result:
        return Result(data, report(Trace()), ResultKind(kind, None))

    assert np.array_equal(known(result(file.getvalue())), np.eye(3))
    assert known(result(stream.getvalue())) == table
    assert known(result(b' {"a": 1}')) == {"a": 1}
    for data in (b"{broken", b"\x93NUMPY broken", b"\xff\xff\xff\xff", b"text", b""):
        assert known(result(data)) == data
    declared = result(b'{"a": 1}', "text")
    assert known(declared) is declared
    assert known(7) == 7


def test_what_has_no_picture_says_why() -> None:
    picture, why = picture_or_why(Result(b"\0\1", report(Trace())))
    assert picture is None
    assert why.startswith("no picture: ")


# Whatever a program has of a run


def test_a_result_a_report_and_an_error_are_runs() -> None:
    trace = Trace.of(spans(2, 5))
    of_run = report(trace)
    error = JobFailedError("execute failed")
    error.report = of_run
    for run in (Result(b"text", of_run), of_run, RunFacts.of_report(of_run)):
        assert run_picture(run, "timeline").kind == "timeline"
        assert RunFacts.of(run).trace == trace
        assert "complete" in Page(run_report(run)).text
    assert "JOB_FAILED execute failed" in Page(run_report(error)).text
    assert "4 bytes has no picture" not in Page(run_report(of_run)).text


def test_the_report_of_a_job_on_a_node_doesn_t_know_its_tasks() -> None:
    with pytest.raises(PictureError, match="has no trace of its tasks: it ran on a node") as caught:
        run_picture(replace(report(Trace()), trace=None), "timeline")
    assert "Client(" in caught.value.hint
