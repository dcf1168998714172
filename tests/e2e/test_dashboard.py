"""The page of a real node, over HTTP: `pangea dashboard` as a user runs it."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest
from tests.dashboards import DashboardProcess
from tests.deadlines import until
from tests.devnets import DevnetProcess
from tests.nodes import NodeProcess, pangea
from tests.pages import Tags

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

FAILING = """
from pangea.compute import Job

@Job.define
def sums():
    @Job.split
    def split(data: bytes) -> list[bytes]:
        return data.split()

    @Job.execute
    def execute(chunk: bytes) -> bytes:
        return str(1 / (len(chunk) - 3)).encode()

    @Job.merge
    def merge(results: list[bytes]) -> bytes:
        return b",".join(results)
"""


def text_of(answer: httpx.Response) -> str:
    return Tags(answer.text).text


@pytest.mark.long
def test_the_page_of_a_node_outlives_the_node_s_restart(tmp_path: Path) -> None:
    (tmp_path / "sums.py").write_text(FAILING)
    (tmp_path / "words.txt").write_text("four one")
    data = tmp_path / "node"
    with NodeProcess(data, "--workers", "1") as node, DashboardProcess(tmp_path, str(data)) as page:
        job = ["run", str(tmp_path / "sums.py"), "--input", str(tmp_path / "words.txt"), "--node", str(data)]
        assert pangea(*job).returncode == 1
        first = httpx.get(page.url)
        assert "ZeroDivisionError: division by zero, at chunk 1" in text_of(first)
        link = next(each for each in Tags(first.text).links() if each.startswith("/jobs/"))
        assert "line 12, in execute" in text_of(httpx.get(page.url[:-1] + link))
        with httpx.stream("GET", page.url + "stream") as stream:
            lines = stream.iter_lines()
            assert [next(lines) for _ in range(2)] == ["id: 1", "event: counters"]
            node.kill()
            until(lambda: next(lines) == "event: lost", what="the page's notice")
            until(lambda: httpx.get(page.url).status_code == 503, what="the loss")
            node.start()
            until(lambda: next(lines) == "event: counters", what="the node's return")
        assert "line 12, in execute" in text_of(httpx.get(page.url[:-1] + link))
        assert page.end() == 130


@pytest.mark.long
def test_a_token_that_the_user_chose_opens_the_page(tmp_path: Path) -> None:
    data = tmp_path / "node"
    with (
        NodeProcess(data, "--workers", "1"),
        DashboardProcess(tmp_path, str(data), PANGEA_DASHBOARD_TOKEN="chosen") as page,
        httpx.Client(follow_redirects=True) as browser,
    ):
        assert page.url.endswith("/?token=chosen")
        bare = page.url.partition("?")[0]
        assert browser.get(bare).status_code == 401
        assert "Your jobs by state" in text_of(browser.get(page.url))
        assert browser.get(bare).status_code == 200


def test_a_page_needs_a_node(tmp_path: Path) -> None:
    said = pangea("dashboard", PANGEA_DATA_DIR="", HOME=str(tmp_path), XDG_DATA_HOME=str(tmp_path))
    assert said.returncode == 2
    assert b"no node is given" in said.stderr


def address_in(text: str) -> str:
    """The page's address, as it is said on stderr."""
    found = re.search(r"^http://127\.0\.0\.1:[0-9]+/$", text, re.MULTILINE)
    return found[0] if found else ""


def test_a_node_has_its_page_beside_it_for_as_long_as_it_runs(tmp_path: Path) -> None:
    with NodeProcess(tmp_path / "node", "--workers", "1", "--dashboard", "127.0.0.1:0") as node:
        url = until(lambda: address_in(node.log()), what="the page's address")
        until(lambda: httpx.get(url).status_code == 200, what="the page")
        node.stop()
        with pytest.raises(httpx.ConnectError):
            httpx.get(url)


@pytest.mark.long
def test_a_node_that_starts_again_has_its_page_again_and_takes_it_along_when_killed(tmp_path: Path) -> None:
    with NodeProcess(tmp_path / "node", "--workers", "1", "--dashboard", "127.0.0.1:0") as node:
        url = until(lambda: address_in(node.log()), what="the page's address")
        node.stop()
        node.start()
        last = until(lambda: address_in(node.log().rpartition(url)[2]), what="the next page's address")
        assert until(lambda: answers(last), what="the next page")
        node.kill()
        assert until(lambda: not answers(last), what="the end of the killed node's page")


def answers(url: str) -> bool:
    try:
        return httpx.get(url).status_code > 0
    except httpx.TransportError:
        return False


def test_a_page_that_can_t_be_is_said_before_the_node_starts(tmp_path: Path) -> None:
    said = pangea("node", "start", "--data-dir", str(tmp_path / "node"), "--dashboard", "127.0.0.1:x")
    assert said.returncode == 2
    assert b"'127.0.0.1:x' is no address to listen on" in said.stderr
    assert not (tmp_path / "node").exists()
    said = pangea("devnet", "--nodes", "1", "--depth", "0", "--dashboard", "nowhere", TMPDIR=str(tmp_path))
    assert b"'nowhere' is no address to listen on" in said.stderr


@pytest.mark.long
def test_a_devnet_has_the_page_of_its_root(tmp_path: Path) -> None:
    with DevnetProcess(tmp_path, "--nodes", "2", "--depth", "1", "--dashboard") as net:
        url = until(lambda: address_in(net.said), what="the page's address")
        until(lambda: "2 of 2 nodes" in httpx.get(f"{url}peers").text, what="its tree")
        assert net.node.startswith("unix:")
    assert not answers(url)
