"""Pages and fragments of a node that is made up."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from hashlib import sha256
from importlib.resources import files
from typing import Any

import pytest

from pangea.compute.client.results.result import Result
from pangea.compute.dashboard import app, drawings
from pangea.compute.dashboard.assets import SUMS, asset
from pangea.compute.dashboard.listening import listen
from pangea.compute.dashboard.stream import Ticker
from pangea.compute.model.errors import ConfigError, UnavailableError
from pangea.compute.model.kinds import ResultKind
from pangea.compute.model.progress import JobState
from tests.fakes.source import ERROR, INFO, JOB, LIAR, ME, FakeSource, status, trace
from tests.pages import FRAGMENT, Tags, get
from tests.unit.runs_drawn import report

#: What a page may weigh, however much there is to show.
BYTES_MAX = 100_000
ALL = ["/", "/jobs", f"/jobs/{JOB}", f"/jobs/{JOB}/tasks", f"/jobs/{JOB}/tasks?kind=unfinished", "/peers", "/others"]


def test_the_first_failure_is_two_clicks_away_with_its_traceback() -> None:
    source = FakeSource(status(state=JobState.FAILED, error=ERROR))
    source.standing = status(1, JobState.FAILED, error=ERROR)
    (first,) = get(source, "/")
    assert ERROR["message"] in Tags(first.text).text
    link = next(each for each in Tags(first.text).links() if each.startswith("/jobs/"))
    (job,) = get(source, link)
    assert 'File "sums.py", line 10' in Tags(job.text).text
    assert "run it natively" in Tags(job.text).text


def test_every_page_stands_without_scripts_and_loads_nothing_from_elsewhere() -> None:
    for answer in get(FakeSource(), *ALL):
        assert answer.status_code == 200
        tags = Tags(answer.text)
        for tag, attributes in tags.elements:
            assert "style" not in attributes, "the policy forbids it"
            assert not [name for name in attributes if name.startswith("on")]
            for name in ("src", "href", "hx-get", "data-rates"):
                if (value := attributes.get(name)) is not None:
                    assert value.startswith(("/", "?", "#")), value
                    assert not value.startswith("//")
            assert tag != "style"
            assert tag != "script" or attributes.get("src")
        assert "showing" in tags.text or "no " in tags.text.lower()


def test_a_fragment_is_the_content_alone() -> None:
    whole, fragment = get(FakeSource(), "/peers")[0].text, get(FakeSource(), "/peers", headers=FRAGMENT)[0].text
    assert "<!doctype html>" in whole
    assert "<html" not in fragment
    assert "Who works for whom" in fragment


def test_regions_that_are_fetched_anew_are_in_the_page() -> None:
    for answer in get(FakeSource(), *ALL):
        elements = Tags(answer.text).elements
        names = {str(each["id"]) for _, each in elements if "id" in each}
        for _, attributes in elements:
            for region in (attributes.get("hx-select-oob") or "").split(","):
                assert not region or region.removeprefix("#") in names
        every = [str(each["id"]) for _, each in elements if "id" in each]
        assert len(every) == len(set(every)), "a name is one element's"


def test_a_node_with_an_adapter_says_which_and_how_much_memory_it_has() -> None:
    source = FakeSource()

    def told(**changes: Any) -> str:
        source.info_answer = replace(INFO, capacity=replace(INFO.capacity, **changes))
        return " ".join(Tags(get(source, "/")[0].text).text.split())

    assert "adapter for shadersllvmpipe, Mesa, 3.22 GB" in told()
    assert "adapter for shadersllvmpipe, Mesa content" in told(adapter_bytes=0)
    assert "adapter" not in told(adapter="")


@pytest.mark.long
def test_a_million_of_everything_is_pages_of_a_bounded_size(monkeypatch: pytest.MonkeyPatch) -> None:
    long = "x" * 4_000
    source = FakeSource(status(name=long, error={**ERROR, "message": long, "traceback": long * 20}), total=1_000_000)
    source.tasks = [f"{JOB}:{place}" for place in range(1_000_000)]
    source.lines = [long] * 20
    source.trace = trace(5_000, worker=ME)
    below = [{"peer": f"12D3KooW{number:044}", "parent": ME, "site": long} for number in range(1_000)]
    bans = [{"peer": f"12D3KooW{number:044}", "verdict": "lied", "cause": long, "proof": "/p"} for number in range(1_000)]
    workers = [{"worker": f"12D3KooW{number:044}", "function": "execute", "passes": 1} for number in range(1_000)]
    source.census = {"peer_id": ME, "below": below, "banned": bans, "workers": workers}
    pages = [
        *ALL,
        "/jobs?offset=999900",
        f"/jobs/{JOB}/task?id={JOB}:5",
        f"/jobs/{JOB}/drawn/timeline",
        f"/jobs/{JOB}/drawn/tree",
    ]
    for path, answer in zip(pages, get(source, *pages), strict=True):
        size = len(answer.content)  # unpacked: on the wire it is a small part of that
        assert (answer.status_code, size < BYTES_MAX) == (200, True), f"{path}: {size:,} bytes"
    texts = [Tags(answer.text).text for answer in get(source, *ALL)]
    assert "of 1,000,000 jobs" in texts[1]
    assert "showing 1 to 100 of 1,000,000 unfinished tasks" in texts[4]
    assert "showing 1 to 100 of 1,001 nodes" in texts[5]
    assert "showing 1 to 25 of 1,000 bans" in texts[5]


def test_pages_of_lists_lead_on() -> None:
    source = FakeSource(total=250)
    (answer,) = get(source, "/jobs?state=running&offset=100")
    links = Tags(answer.text).links()
    assert "?state=running&offset=0" in links
    assert "?state=running&offset=200" in links


def test_nothing_there_isn_t_an_empty_table() -> None:
    empty = FakeSource(total=0)
    empty.census = {"peer_id": ME}
    first, jobs, peers = (Tags(answer.text).text for answer in get(empty, "/", "/jobs?state=failed", "/peers"))
    assert "No job of yours has failed." in first
    assert "Nothing runs." in first
    assert "No failed jobs of yours on this node." in jobs
    assert "Nobody is banned." in peers
    assert "This node works alone" in peers


def test_what_is_not_there_says_so_and_how_to_go_on() -> None:
    other, nowhere, drawn = get(FakeSource(), "/jobs/other", "/nowhere", f"/jobs/{JOB}/drawn/nothing")
    assert (other.status_code, nowhere.status_code, drawn.status_code) == (404, 404, 400)
    assert "no job 'other' of yours" in Tags(other.text).text
    assert "there is no picture 'nothing' of a run" in Tags(drawn.text).text


def test_a_node_that_is_lost_is_named_with_the_remedy() -> None:
    error = UnavailableError("no node at unix:/x", hint="start one with `pangea node start`")
    for answer in get(FakeSource(error=error), *ALL):
        assert answer.status_code == 503
        assert "no node at unix:/x" in Tags(answer.text).text
        assert "start one with" in Tags(answer.text).text


def test_a_task_is_explained_by_its_name_or_by_its_trace() -> None:
    source = FakeSource()
    source.trace = trace(3, worker=LIAR)
    named, done, unknown = get(
        source, f"/jobs/{JOB}/task?id={JOB}:1", f"/jobs/{JOB}/task?function=execute&start=10", f"/jobs/{JOB}/task?function=no"
    )
    assert "waits for a peer with room" in Tags(named.text).text
    assert "equal answers of independent workers: 3 of them" in Tags(done.text).text
    assert "Nothing is known of such a task" in Tags(unknown.text).text


def test_each_row_of_tasks_leads_to_its_explanation() -> None:
    source = FakeSource()
    for kind in ("done", "unfinished"):
        (answer,) = get(source, f"/jobs/{JOB}/tasks?kind={kind}")
        links = [each for each in Tags(answer.text).links() if "/task?" in each]
        assert len(links) == 3
        assert all(found.status_code == 200 for found in get(source, *links))


def test_a_result_is_a_picture_or_says_why_not(monkeypatch: pytest.MonkeyPatch) -> None:
    source = FakeSource(status(state=JobState.COMPLETE, bytes_out=20))
    source.result_answer = Result(b'{"a": 3, "b": 5}', report(trace()), ResultKind())
    fragment, png = get(source, f"/jobs/{JOB}/result", f"/jobs/{JOB}/result.png")
    (image,) = [each for tag, each in Tags(fragment.text).elements if tag == "img"]
    assert image["src"] == f"/jobs/{JOB}/result.png"
    assert image["alt"]
    assert png.content.startswith(b"\x89PNG")
    monkeypatch.setattr(drawings, "RESULT_BYTES_MAX", 19)
    assert "more than 19 aren't drawn here" in Tags(get(source, f"/jobs/{JOB}/result")[0].text).text
    assert "There is no result of a job that is running." in Tags(get(FakeSource(), f"/jobs/{JOB}/result")[0].text).text


def test_curves_have_their_figures() -> None:
    (answer,) = get(FakeSource(), f"/jobs/{JOB}/rates")
    figures = answer.json()
    assert len(figures["seconds"]) == len(figures["chunks"]) > 0
    assert sum(figures["chunks"]) * 3.0 / len(figures["chunks"]) == pytest.approx(30, rel=0.01)


def test_what_others_wrote_is_what_they_published() -> None:
    place = files("pangea.compute.dashboard") / "assets"
    lines = (place / SUMS).read_text().splitlines()
    sums = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    assert sorted(sums) == ["htmx.min.js", "uPlot.iife.min.js", "uPlot.min.css"]
    for name, digest in sums.items():
        assert sha256((place / name).read_bytes()).hexdigest() == digest
    assert "Zero-Clause BSD" in (place / "LICENSE-htmx.txt").read_text()
    assert "MIT License" in (place / "LICENSE-uPlot.txt").read_text()


def test_assets_are_sent_once_and_nothing_else_is() -> None:
    (first,) = get(FakeSource(), "/assets/page.js")
    assert first.headers["content-type"] == "text/javascript; charset=utf-8"
    (again,) = get(FakeSource(), "/assets/page.js", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert ".execute{fill:" in get(FakeSource(), "/assets/drawings.css")[0].text
    for name in (SUMS, "nothing.js", "..", "../app.py", "LICENSE-htmx.txt", "a/../page.js"):
        assert asset(name) is None


def test_the_stream_is_told_as_events_and_ends_with_its_viewer() -> None:
    async def scene() -> None:
        source = FakeSource()
        ticker = Ticker(lambda: app._counters(source))
        stream = ticker.watch()
        assert '"jobs.failed":3' in await anext(stream)
        assert ticker.watchers == 1
        await stream.aclose()
        assert ticker.watchers == 0

    asyncio.run(scene())


def test_an_address_that_cant_be_had_is_said() -> None:
    with listen("127.0.0.1:0").socket as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"127.0.0.1:{port} can't be listened on: address already in use"):
            listen(f"127.0.0.1:{port}")
    for text in ("", "8808", "host:", "host:x", "127.0.0.1:99999"):
        with pytest.raises(ConfigError, match="is no address to listen on"):
            listen(text)


def test_the_address_to_open_has_the_token_where_one_is_needed() -> None:
    here, asked, anywhere, own = (
        listen("127.0.0.1:0"),
        listen("127.0.0.1:0", needs_token=True),
        listen("0.0.0.0:0"),
        listen("127.0.0.1:0", token="mine"),
    )
    for each in (here, asked, anywhere, own):
        each.socket.close()
    assert here.url == f"http://127.0.0.1:{here.port}/"
    assert len(asked.token) >= 24
    assert anywhere.url == f"http://127.0.0.1:{anywhere.port}/?token={anywhere.token}"
    assert own.url.endswith("/?token=mine")
