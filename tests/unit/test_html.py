"""Tables in notebooks: what they say, and that nothing in them is markup of somebody else's."""

from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from pangea.compute import Job
from pangea.compute.jobs import Report
from pangea.compute.model.html import bar, figures
from pangea.compute.model.ids import JobId
from pangea.compute.model.progress import JobState
from pangea.compute.model.status import JobStatus

REPORT = Report(
    job_id="621bdd87-0000-4000-8000-000000000000",
    where="here",
    verification="<script>alert(1)</script>",
    seconds=1.5,
    startup_seconds=0.0,
    workers=2,
    split_strategy="custom",
    segments=1,
    chunks=12345,
    tasks=3,
    retries=0,
    fuel=1_000_000,
    bytes_in=10,
    bytes_out=20,
    split_seconds=0.1,
    execute_seconds=0.1,
    merge_seconds=0.1,
)


def text_of(html: str) -> str:
    return "".join(ElementTree.fromstring(f"<div>{html}</div>").itertext())


@given(
    st.text(st.characters(codec="utf-8", min_codepoint=32)), st.text(st.characters(codec="utf-8", min_codepoint=32), min_size=1)
)
def test_text_stays_text(title: str, value: str) -> None:
    shown = text_of(figures(title, [("name", value)]))

    assert shown == f"{title}name{value}"


def test_lines_without_a_value_are_left_out() -> None:
    assert text_of(figures("t", [("a", None), ("b", ""), ("c", 0)])) == "tc0"


def test_a_bar_stays_within_its_frame() -> None:
    assert "width:0.0%" in bar(-1)
    assert "width:25.0%" in bar(0.25)
    assert "width:100.0%" in bar(7)


def test_a_report_shows_its_figures_escaped() -> None:
    shown = REPORT._repr_html_()

    assert "<script>" not in shown
    assert "1.50 s" in text_of(shown)
    assert "12,345 in 3 tasks" in text_of(shown)
    assert "start" not in text_of(shown)


def test_a_status_shows_how_far_it_is_and_why_it_failed() -> None:
    running = JobStatus(job_id=JobId("1" * 36), name="<b>", progress=0.5, total_chunks=4, completed_chunks=2, seconds_left=3.2)
    failed = JobStatus(job_id=JobId("1" * 36), state=JobState.FAILED, error={"message": "execute raised"}, seconds_left=1.0)

    assert "<b><b>" not in running._repr_html_()
    assert "2 of 4 or more" in text_of(running._repr_html_())
    assert "about 3 s" in text_of(running._repr_html_())
    assert "width:50.0%" in running._repr_html_()
    assert "execute raised" in text_of(failed._repr_html_())
    assert "about" not in text_of(failed._repr_html_())


def test_a_job_shows_its_functions_and_options() -> None:
    @Job.define(split_strategy="row_based")
    def count() -> None:
        @Job.execute
        def execute(chunk: bytes) -> bytes:
            """Count <words>."""
            return chunk

    shown = count._repr_html_()

    assert "job count" in text_of(shown)
    assert "execute: Count <words>." in text_of(shown)
    assert "split_strategy='row_based'" in text_of(shown)
    assert "test_html.py:" in text_of(shown)


def test_notebooks_may_choose_text_or_html() -> None:
    for value in (REPORT, JobStatus(job_id=JobId("1" * 36))):
        bundle = value._repr_mimebundle_(include=None, exclude=None)
        assert bundle["text/html"] == value._repr_html_()
        assert bundle["text/plain"] in (str(REPORT), repr(value))
