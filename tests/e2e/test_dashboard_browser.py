"""The live page in a real browser: what it shows by itself, who can use it, and what it does when it is cut off."""

from __future__ import annotations

import re
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.browsers import LocalPage, browser, complaints, page_of
from tests.dashboards import DashboardProcess
from tests.deadlines import until
from tests.devnets import DevnetProcess
from tests.fakes.source import ERROR, INFO, JOB, FakeSource, status, trace
from tests.hostile.test_dashboard import EvilSource
from tests.nodes import pangea
from tests.unit.runs_drawn import report

from pangea.compute.client.results.result import Result
from pangea.compute.model.errors import UnavailableError
from pangea.compute.model.kinds import ResultKind
from pangea.compute.model.progress import JobState

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

#: Enough work that the tree is asked for help; a liar among its workers answers at random.
HEAVY = """
from pangea.compute import Job

@Job.define
def heavy_sums():
    @Job.split
    def split(data: bytes) -> list[bytes]:
        return data.split()

    @Job.execute
    def execute(chunk: bytes) -> bytes:
        total = 0
        for step in range(60_000):
            total = (total * 31 + int(chunk) * step) % 1_000_003
        return str(total).encode()

    @Job.merge
    def merge(results: list[bytes]) -> bytes:
        return b",".join(results)
"""


@pytest.fixture(scope="module", name="chrome")
def _chrome() -> Iterator[Browser]:
    with browser() as started:
        yield started


def failed_source() -> FakeSource:
    source = FakeSource(status(1, JobState.FAILED, error=ERROR), total=250)
    source.info_answer = replace(INFO, jobs={"failed": 250})
    return source


def pages_of(source: FakeSource) -> list[str]:
    """Every page there is."""
    job = f"/jobs/{source.standing.job_id}"
    return ["/", "/jobs", job, f"{job}/tasks", f"{job}/tasks?kind=unfinished", "/peers", "/others", "/jobs/other"]


@pytest.mark.long
@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.long)])
def test_nothing_is_found_against_any_page(chrome: Browser, scheme: str) -> None:
    with (
        LocalPage(failed_source()) as local,
        page_of(chrome, color_scheme=scheme, viewport={"width": 1280, "height": 900}) as page,
    ):
        for path in pages_of(local.source):
            page.goto(local.url + path)
            page.wait_for_selector("#fresh:text-is('live')")
            page.wait_for_function("() => !document.querySelector('.loading:not([data-state])')")
            assert (path, complaints(page)) == (path, [])


@pytest.mark.long
def test_whoever_wants_no_motion_or_colours_of_their_own_gets_that(chrome: Browser) -> None:
    with LocalPage(failed_source()) as local, page_of(chrome, reduced_motion="reduce", forced_colors="active") as page:
        page.goto(local.url)
        page.wait_for_selector("#fresh:text-is('live')")
        assert page.evaluate("() => document.getAnimations().length") == 0
        assert page.evaluate("() => getComputedStyle(document.querySelector('.counts a')).transitionDuration") == "0s"
        assert complaints(page) == []


@pytest.mark.long
def test_a_page_that_is_renewed_again_and_again_holds_no_more(chrome: Browser) -> None:
    renew = """async (times) => {
      for (let each = 0; each < times; each++) {
        const done = new Promise((end) => document.body.addEventListener("htmx:afterSettle", end, { once: true }));
        htmx.trigger(document.body, "pangea:changed");
        await done;
      }
    }"""
    with LocalPage(failed_source()) as local, page_of(chrome) as page:
        page.goto(f"{local.url}/jobs")
        page.wait_for_selector("#fresh:text-is('live')")
        session = page.context.new_cdp_session(page)
        session.send("Performance.enable")

        def held() -> float:
            session.send("HeapProfiler.collectGarbage")
            return float(
                next(each["value"] for each in session.send("Performance.getMetrics")["metrics"] if each["name"] == "Nodes")
            )

        page.evaluate(renew, 3)
        before = held()
        page.evaluate(renew, 12)
        assert held() < 2 * before


@pytest.mark.long
@pytest.mark.parametrize("width", [pytest.param(1280, marks=pytest.mark.long), pytest.param(800, marks=pytest.mark.long), 360])
def test_no_page_is_wider_than_its_window(chrome: Browser, width: int) -> None:
    with LocalPage(failed_source()) as local, page_of(chrome, viewport={"width": width, "height": 800}) as page:
        for path in pages_of(local.source):
            page.goto(local.url + path)
            assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth"), path


@pytest.mark.long
def test_a_failure_is_reached_with_the_keyboard_alone(chrome: Browser) -> None:
    with LocalPage(failed_source()) as local, page_of(chrome) as page:
        page.goto(local.url)
        page.keyboard.press("Tab")
        assert page.evaluate("() => document.activeElement.textContent") == "Skip to the content"
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        assert page.evaluate("() => document.activeElement.textContent").split() == ["250", "✗", "failed"]
        page.locator("#failures a").first.focus()
        page.keyboard.press("Enter")
        page.wait_for_selector("pre:has-text('ZeroDivisionError')")


@pytest.mark.long
def test_the_page_says_how_fresh_it_is_and_comes_back(chrome: Browser) -> None:
    source = failed_source()
    with LocalPage(source) as local, page_of(chrome) as page:
        page.goto(local.url)
        fresh = page.locator("#fresh")
        page.wait_for_selector("#fresh:text-is('live')")
        source.error = UnavailableError("no node at unix:/x")
        page.wait_for_selector("#fresh:text-is('disconnected')")
        page.wait_for_selector("#fresh-why:has-text('no node at unix:/x')")
        assert page.locator("#failures tbody tr").count() > 0, "what was there stays"
        source.error = None
        page.wait_for_selector("#fresh:text-is('live')")
        local.close()
        page.wait_for_selector("#fresh:text-is('disconnected')")
        page.wait_for_function("() => /^[0-9]+ s old/.test(document.querySelector('#fresh-why').textContent)")
        with LocalPage(source, port=local.port):
            page.wait_for_selector("#fresh:text-is('live')")
            assert fresh.get_attribute("role") == "status"


@pytest.mark.long
def test_nobody_is_asked_for_a_page_that_is_hidden(chrome: Browser) -> None:
    hide = "(value) => { Object.defineProperty(document, 'hidden', {value, configurable: true});"
    hide += " document.dispatchEvent(new Event('visibilitychange')); }"
    with LocalPage(FakeSource()) as local, page_of(chrome) as page:
        page.goto(local.url)
        until(lambda: local.ticker.watchers == 1, what="the stream")
        page.evaluate(hide, True)
        until(lambda: local.ticker.watchers == 0, what="its end")
        page.evaluate(hide, False)
        assert until(lambda: local.ticker.watchers == 1, what="the next")


@pytest.mark.long
def test_counters_and_lists_change_by_themselves_and_focus_stays(chrome: Browser) -> None:
    source = FakeSource(total=3)
    with LocalPage(source) as local, page_of(chrome) as page:
        page.goto(local.url)
        page.wait_for_selector("[data-counter='jobs.failed']:text-is('3')")
        page.locator("#count-failed").focus()
        source.info_answer = replace(INFO, jobs={"failed": 4_321})
        source.standing = status(name="another name")
        page.wait_for_selector("[data-counter='jobs.failed']:text-is('4,321')")
        page.wait_for_selector("#running :text('another name')")
        assert page.evaluate("() => document.activeElement.id") == "count-failed"


@pytest.mark.long
def test_a_job_that_ends_shows_its_result_by_itself_and_is_asked_for_no_more(chrome: Browser) -> None:
    source = FakeSource(status(state=JobState.PENDING))
    source.trace = trace(0)
    with LocalPage(source) as local, page_of(chrome) as page:
        page.goto(f"{local.url}/jobs/{JOB}")
        page.wait_for_selector("#drawings :text('There is no drawing')")
        page.wait_for_selector("#result :text('There is no result of a job that is pending')")
        source.trace, source.standing = trace(3), status(state=JobState.COMPLETE)
        source.result_answer = Result(b"abc", report(source.trace), ResultKind())
        source.info_answer = replace(INFO, jobs={"complete": 1})
        page.wait_for_selector("#drawings svg")
        page.wait_for_selector("#job-curve canvas")
        page.wait_for_selector("#result .loading[data-state=shown]")
        assert page.locator("#renewing[hx-get]").count() == 0
        assert page.locator("#drawings").count() == 1


#: What a notebook does with a widget: a model whose state the kernel sets, and an element for the module to render into.
NOTEBOOK = """
async (state) => {
  const listeners = {};
  window.model = {
    get: (name) => state[name],
    set: (name, value) => { state[name] = value; },
    save_changes: () => {},
    on: (name, listener) => { (listeners[name] ??= []).push(listener); },
    off: (name, listener) => { listeners[name] = (listeners[name] || []).filter((each) => each !== listener); },
    tell: (told) => {
      Object.assign(state, told);
      for (const name in told) for (const each of listeners["change:" + name] || []) each();
    },
  };
  const element = document.getElementById("cell");
  const widget = (await import("data:text/javascript;base64," + state._esm)).default;
  window.end = widget.render({ model: window.model, el: element });
}
"""


@pytest.mark.long
@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.long)])  # the pages' own colours
def test_the_notebook_s_widget_shows_the_page_and_says_what_is_clicked(chrome: Browser, scheme: str) -> None:
    pytest.importorskip("anywidget", reason="no anywidget: pip install 'pangea-compute[notebook]' (`make test` does it)")
    from pangea.compute.dashboard.widget import PageWidget

    widget = PageWidget(FakeSource(), f"/jobs/{JOB}", period=60.0)
    try:
        until(lambda: widget.html, what="the page")
        state = {
            name: getattr(widget, name)
            for name in ("path", "html", "parts", "figures", "at", "lost", "is_over", "styles", "dark")
        }
        state["_esm"] = b64encode(str(widget._esm).encode()).decode()
        with page_of(chrome, own=("data:", "about:"), color_scheme=scheme) as page:
            page.set_content("<!doctype html><html lang=en><title>n</title><main><h1>notebook</h1><div id=cell></div></main>")
            page.evaluate(NOTEBOOK, state)
            page.wait_for_selector(".fresh:text-is('live')")
            assert page.locator("svg").count() == 3
            assert complaints(page) == []
            page.locator("#done-link").focus()
            page.keyboard.press("Enter")
            assert page.evaluate("() => model.get('path')") == f"/jobs/{JOB}/tasks?kind=done"
            page.evaluate(
                "([path, told]) => { model.set('path', path); model.tell(told); }", [state["path"], {"lost": "no node"}]
            )
            page.wait_for_selector(".why:has-text('no node')")
            changed = state["html"].replace("Nothing so far.", "printed")
            page.evaluate("(html) => model.tell({html, lost: ''})", changed)
            page.wait_for_selector("#prints:has-text('printed')")
            assert page.evaluate("() => document.getElementById('cell').shadowRoot.activeElement.id") == "done-link"
            page.evaluate("() => end()")
    finally:
        widget.close()


@pytest.mark.long
def test_curves_have_tables_with_the_same_figures(chrome: Browser) -> None:
    with LocalPage(FakeSource()) as local, page_of(chrome) as page:
        page.goto(local.url)
        page.wait_for_selector("#live-curve canvas")
        page.wait_for_selector("[data-counter='rates.chunks']:text-is('12.5')")
        page.goto(f"{local.url}/jobs/{JOB}")
        page.wait_for_selector("#job-curve canvas")
        page.locator("summary").click()
        assert page.locator("#job-curve-table tbody tr").count() == 8


def test_names_of_others_run_nothing_in_a_browser(chrome: Browser) -> None:
    with LocalPage(EvilSource()) as local, page_of(chrome) as page:
        for path in [each for each in pages_of(local.source) if each != "/jobs/other"]:
            page.goto(local.url + path)
            page.wait_for_selector("#fresh:text-is('live')")
            page.wait_for_function("() => !document.querySelector('.loading:not([data-state])')")
            assert page.locator("text=<script>alert(1)</script>").count() > 0 or path.endswith("/tasks"), path


@pytest.mark.long
def test_loading_that_fails_says_so(chrome: Browser) -> None:
    with LocalPage(FakeSource()) as local, page_of(chrome) as page:
        page.route(re.compile("/drawn/tree"), lambda route: route.abort())
        page.goto(f"{local.url}/jobs/{JOB}")
        told = page.wait_for_selector(".loading[data-state=failed]:has-text('There is no drawing')")
        assert told is not None
        assert told.is_visible()


@pytest.mark.long
def test_a_devnet_shows_its_jobs_a_failure_and_a_liar_that_is_banned(chrome: Browser, tmp_path: Path) -> None:
    (tmp_path / "heavy.py").write_text(HEAVY)
    (tmp_path / "failing.py").write_text(HEAVY.replace("% 1_000_003", "% (step - 5)"))
    (tmp_path / "numbers.txt").write_text("\n".join(map(str, range(1, 121))))
    asked = ["--input", str(tmp_path / "numbers.txt"), "--estimated-flops", "1e13", "--quiet"]
    with (
        DevnetProcess(tmp_path, "--nodes", "4", "--depth", "1", "--liar", "random:1") as net,
        DashboardProcess(tmp_path, net.node) as local,
        page_of(chrome) as page,
    ):
        page.goto(local.url)
        page.wait_for_selector("#fresh:text-is('live')")
        heavy = subprocess.Popen(
            [sys.executable, "-m", "pangea.compute.cli.main", "run", str(tmp_path / "heavy.py"), *asked, "--node", net.node],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        page.wait_for_selector("#running :text('heavy_sums')")  # by itself
        assert heavy.wait(120) == 0
        assert pangea("run", str(tmp_path / "failing.py"), *asked, "--node", net.node).returncode == 1
        page.locator("#failures a:has-text('heavy_sums')").click()  # by itself, too
        page.wait_for_selector("#failure pre:has-text('ZeroDivisionError')")
        page.click("text=Peers")
        page.wait_for_selector("#tree tbody tr >> nth=2")  # the liar, once banned, is gone
        page.wait_for_selector("#bans .banned")
        assert page.locator("#bans code").inner_text().startswith("pangea verify ")
        assert complaints(page) == []
