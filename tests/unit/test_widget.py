"""The notebook's widget over anywidget's protocol: what the kernel sends, and what it does with what the browser says."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("anywidget", reason="no anywidget: pip install 'pangea-compute[notebook]' (`make test` does it)")

import comm
from comm.base_comm import BaseComm

from pangea.compute.client.results.result import Result
from pangea.compute.client.submission.accounts import RunAccount
from pangea.compute.client.submission.pages import open_page
from pangea.compute.dashboard.widget import PageWidget
from pangea.compute.errors import UnavailableError
from pangea.compute.model.kinds import ResultKind
from pangea.compute.model.options import JobOptions
from pangea.compute.model.progress import JobState
from tests.deadlines import until
from tests.fakes.source import JOB, FakeSource, status
from tests.unit.runs_drawn import report

JOB_PAGE = f"/jobs/{JOB}"


class Browser(BaseComm):
    """The other end of the channel: what it knows of the widget's state."""

    told: dict[str, Any]
    updates: list[set[str]]

    def __init__(self, target_name: str, data: Any = None, **more: Any) -> None:
        self.told, self.updates = dict((data or {}).get("state", {})), []
        super().__init__(target_name, data, **more)

    def publish_msg(self, msg_type: str, data: Any = None, metadata: Any = None, buffers: Any = None, **keys: Any) -> None:
        if msg_type == "comm_msg" and data["method"] == "update":
            self.told |= data["state"]
            self.updates.append(set(data["state"]))

    def say(self, **state: Any) -> None:
        """What a viewer does."""
        self.handle_msg({"content": {"data": {"method": "update", "state": state, "buffer_paths": []}}, "buffers": []})


@pytest.fixture(autouse=True)
def _channel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comm, "create_comm", Browser)


@pytest.fixture(name="source")
def _source() -> FakeSource:
    return FakeSource()


@pytest.fixture(name="widget")
def _widget(source: FakeSource) -> Iterator[PageWidget]:
    widget = PageWidget(source, JOB_PAGE, period=0.01)
    yield widget
    widget.close()


def browser_of(widget: PageWidget) -> Browser:
    return widget.comm  # type: ignore[no-any-return]


def told(widget: PageWidget, name: str, text: str) -> bool:
    return until(lambda: text in str(browser_of(widget).told.get(name)), what=f"{text!r} in {name}")


def test_a_job_is_shown_with_its_drawings_and_kept_current(source: FakeSource, widget: PageWidget) -> None:
    told(widget, "html", "How it was checked")
    assert "export default" in browser_of(widget).told["_esm"]
    assert "<svg" in browser_of(widget).told["parts"][f"{JOB_PAGE}/drawn/tree"]
    source.standing = status(name="renamed")
    told(widget, "html", "renamed")
    assert {"html"} <= set.union(*browser_of(widget).updates)
    assert not widget.is_over


def test_what_is_clicked_is_shown(widget: PageWidget) -> None:
    told(widget, "html", "How it was checked")
    browser_of(widget).say(path=f"{JOB_PAGE}/tasks?kind=unfinished")
    told(widget, "html", "waits for a peer with room")
    browser_of(widget).say(path="/jobs/other")
    told(widget, "html", "Not shown")
    browser_of(widget).say(path="/")
    assert told(widget, "figures", "'jobs.failed': 3")


def test_nobody_is_asked_when_nobody_looks_or_nothing_changes_any_more(source: FakeSource, widget: PageWidget) -> None:
    told(widget, "html", "How it was checked")
    browser_of(widget).say(is_seen=False)
    until(lambda: widget.is_resting, what="rest")
    source.result_answer = Result(b"abc", report(source.trace), ResultKind())
    source.standing = status(state=JobState.COMPLETE)
    browser_of(widget).say(is_seen=True)
    until(lambda: widget.is_over and widget.is_resting, what="the end, and rest")
    assert "Loading" not in browser_of(widget).told["parts"][f"{JOB_PAGE}/result"]
    browser_of(widget).say(path="/")
    until(lambda: not widget.is_resting, what="the overview, which goes on")


def test_a_lost_node_is_said_and_what_was_there_stays(source: FakeSource, widget: PageWidget) -> None:
    told(widget, "html", "How it was checked")
    source.error = UnavailableError("no node at unix:/x")
    told(widget, "lost", "no node at unix:/x")
    assert "How it was checked" in widget.html
    source.error = None
    until(lambda: widget.lost == "", what="its return")


def test_pictures_travel_inside_the_page(source: FakeSource) -> None:
    source.result_answer = Result(b'{"a": 3, "b": 5}', report(source.trace), ResultKind())
    source.standing = status(state=JobState.COMPLETE, bytes_out=20)
    widget = PageWidget(source, JOB_PAGE, period=0.01)
    try:
        until(lambda: widget.is_over, what="the end")
        parts = "".join(map(str, widget.parts.values()))
        assert 'src="data:image/png;base64,iVBOR' in parts
        assert 'src="/' not in parts
        assert "http" not in (widget.html + parts).replace("http://www.w3.org/2000/svg", "")
    finally:
        widget.close()


def test_a_run_in_a_notebook_shows_its_page_and_several_their_list(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[PageWidget] = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    page: Any = open_page("notebook")
    account = RunAccount("first", JobOptions())
    page.book.add(account)
    try:
        told(shown[0], "html", "first")
        assert shown[0].path == f"/jobs/{account.job_id}"
        page.book.add(RunAccount("second", JobOptions()))
        assert shown[0].path == "/"
    finally:
        page.close()


def test_without_what_it_needs_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "pangea.compute.dashboard.widget")
    monkeypatch.setattr("pangea.compute.dashboard.needs.find_spec", lambda name: None if name == "anywidget" else name)
    with pytest.raises(UnavailableError, match="needs anywidget") as refused:
        open_page("notebook")
    assert refused.value.hint == "pip install 'pangea-compute[notebook]'"
