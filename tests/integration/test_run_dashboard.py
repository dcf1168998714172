"""`dashboard=`: the live page of a run without a node, and of a client's node, served by the program's own process."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import pytest

from pangea.compute import Client, Job, JobFailedError, PangeaExecutor, asubmit_job, submit_job
from pangea.compute import map as sandboxed_map
from pangea.compute.client.submission import pages
from pangea.compute.dashboard import inside
from pangea.compute.errors import ConfigError, ManifestError, UnavailableError
from pangea.compute.model.progress import Progress
from tests.deadlines import until
from tests.nodes import NodeProcess
from tests.pages import Tags

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


@Job.define
def tens() -> None:
    @Job.split
    def split(data: bytes) -> list[bytes]:
        return data.split()

    @Job.execute
    def execute(chunk: bytes) -> bytes:
        print("seen", chunk.decode())
        return b"%d" % (10 // int(chunk))

    @Job.merge
    def merge(results: list[bytes]) -> bytes:
        return b",".join(results)


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    inside.close_all()


def address_in(said: str) -> str:
    return next(line.partition(": ")[2] for line in said.splitlines() if line.startswith("the live page: "))


def text_at(url: str) -> str:
    answer = httpx.get(url)
    assert answer.status_code == 200, answer.text
    return Tags(answer.text).text


def test_a_run_has_a_page_while_it_goes_on_and_afterwards(capfd: pytest.CaptureFixture[str]) -> None:
    seen: list[str] = []
    where: list[str] = []

    def look(progress: Progress) -> None:
        where[:] = where or [address_in(capfd.readouterr().err)]
        if progress.phase == "running" and not seen:
            seen.append(text_at(f"{where[0]}jobs?state=running"))

    result = submit_job(tens, b"1 2 5", dashboard=True, on_progress=look)
    assert result == b"10,5,2"
    assert "tens" in seen[0]
    job = text_at(f"{where[0]}jobs/{result.report.job_id}")
    assert "seen 5" in job
    assert "100 %" in job
    assert "pangea job result" not in job
    with pytest.raises(JobFailedError):
        submit_job(tens, b"1 0", dashboard=True)
    assert capfd.readouterr().err == "", "where it is has been said"
    assert "ZeroDivisionError" in text_at(where[0])


def test_calls_and_coroutines_are_on_the_same_page() -> None:
    with PangeaExecutor(dashboard=True) as executor:
        assert executor.submit(pow, 2, 10).result() == 1024
        assert "pow" in text_at(f"{executor.dashboard_url}jobs")
        assert [*sandboxed_map(abs, [-3, 2], dashboard=True)] == [3, 2]
        assert asyncio.run(asubmit_job(tens, b"5", dashboard=True)) == b"2"
        listed = text_at(f"{executor.dashboard_url}jobs")
    assert "abs" in listed
    assert "tens" in listed


def test_it_is_told_before_the_run_what_can_t_be(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ManifestError, match="must be True, False, an address or"):
        submit_job(tens, b"1", dashboard="")
    with pytest.raises(ManifestError, match="dashboard is 'notebok'; it must be True, False, an address or 'notebook'"):
        submit_job(tens, b"1", dashboard="notebok")
    with pytest.raises(ConfigError, match="is no address to listen on"):
        submit_job(tens, b"1", dashboard="nowhere:x")
    monkeypatch.delitem(sys.modules, "pangea.compute.dashboard.inside")
    monkeypatch.setattr("pangea.compute.dashboard.needs.find_spec", lambda name: None if name == "uvicorn" else name)
    with pytest.raises(UnavailableError, match="the live page needs uvicorn") as told:
        submit_job(tens, b"1", dashboard=True)
    assert told.value.hint == "pip install 'pangea-compute[dashboard]'"


@pytest.mark.long
def test_a_client_serves_its_node_s_page_until_it_is_closed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with NodeProcess(tmp_path / "node", "--workers", "1") as node:
        with Client(str(node.data_dir), dashboard=True) as client:
            handle: Any = client.submit_job(tens, b"1 2 5")
            assert handle.result() == b"10,5,2"
            assert handle.dashboard_url == pages.page_of_job(client.dashboard_url, handle.job_id)
            url = client.dashboard_url
            assert repr(client) == f"<Client of {client.address}, live page at {url}>"
            assert address_in(capfd.readouterr().err) == url
            assert "seen 5" in text_at(handle.dashboard_url)
            if find_spec("anywidget") is not None:
                widget = handle.widget()
                until(lambda: "seen 5" in widget.html, what="the widget's page")
                widget.close()
        assert handle.dashboard_url == ""
        with pytest.raises(httpx.ConnectError):
            httpx.get(url)
        assert submit_job(tens, b"5", node=str(node.data_dir), dashboard=True) == b"2"
        assert "tens" in text_at(f"{address_in(capfd.readouterr().err)}jobs")


def test_where_a_job_is_of_pages_that_need_a_token() -> None:
    assert pages.page_of_job("http://h:1/?token=t", "x") == "http://h:1/jobs/x?token=t"
    assert pages.page_of_job("", "x") == ""
