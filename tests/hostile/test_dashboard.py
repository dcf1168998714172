"""Who may look at a node's page, and what others' names can't do to it."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx
import pytest

from pangea.compute.dashboard import server as server_module
from pangea.compute.dashboard.app import application
from pangea.compute.dashboard.listening import listen
from pangea.compute.dashboard.server import server_of
from pangea.compute.model.progress import JobState
from pangea.compute.pictures.runs.facts import RunFacts, Worker
from tests.fakes.source import JOB, ME, FakeSource, status, trace
from tests.pages import Tags, get

EVIL = """"'><script>alert(1)</script><img src=x onerror=alert(2)>{{9**9}}</title></pre></textarea>\x1b[31m\u202e&lt;script&gt;"""
PAGES = [
    *("/", "/jobs", f"/jobs/{JOB}", f"/jobs/{JOB}/tasks", f"/jobs/{JOB}/tasks?kind=unfinished", "/peers", "/others"),
    *(f"/jobs/{JOB}/drawn/{what}" for what in ("tree", "timeline", "fuel")),
    *(f"/jobs/{JOB}/task?function=execute&start=0", f"/jobs/{JOB}/task?id=evil", f"/jobs/{JOB}/result"),
]
#: Elements that a page of ours has.
KNOWN = set(
    "html head meta title link script body a header p nav span main h1 h2 h3 section ul li strong table caption thead tbody tr th"
    " td div dl dt dd code abbr pre progress details summary figure figcaption noscript br svg rect path polyline polygon"
    " text".split()
)


class EvilSource(FakeSource):
    """Every text that others choose is an attack."""

    def __init__(self) -> None:
        error = {"code": EVIL, "message": EVIL, "hint": EVIL, "function": EVIL, "traceback": EVIL, "chunk_index": 1}
        super().__init__(status(state=JobState.FAILED, name=EVIL, owner=EVIL, error=error))
        record = {"peer": EVIL, "parent": ME, "site": EVIL, "relation": EVIL, "worker": EVIL, "function": EVIL}
        ban = {"peer": EVIL, "verdict": EVIL, "cause": EVIL, "proof": EVIL, "until": EVIL}
        self.census = {"peer_id": ME, "site": EVIL, "path": [EVIL, ME], "below": [record], "workers": [record], "banned": [ban]}
        donated = {"owner": EVIL, "through": EVIL, "job": EVIL, "tasks": EVIL, "seconds": float("nan"), "since": 1e99}
        self.census["contributions"] = {"worked_for": [donated, EVIL], "rest": EVIL, "others": 1, "total": EVIL}
        self.census["peers"] = [record | {"cores": EVIL, "reliability": EVIL, "round_trip_ms": EVIL, "sent_bytes": EVIL}]
        self.tasks = [EVIL, "evil"]
        self.lines = [EVIL]
        self.trace = trace(3, worker=EVIL)

    async def facts(self, job_id: str) -> RunFacts:
        return RunFacts(
            job_id=JOB,
            name=EVIL,
            state="failed",
            owner=ME,
            trace=self.trace,
            workers=(Worker(name=EVIL, branch=EVIL, tasks=3, checked=EVIL),),
            below=((EVIL, ME, EVIL),),
            checks={"bans": [EVIL], "notes": [EVIL]},
            options={EVIL: EVIL},
            error=self.standing.error,
            findings=(EVIL,),
        )


def test_names_of_others_are_text_on_every_page() -> None:
    for path, answer in zip(PAGES, get(EvilSource(), *PAGES), strict=True):
        assert answer.status_code == 200, path
        tags = Tags(answer.text)
        assert {tag for tag, _ in tags.elements} <= KNOWN, path
        for tag, attributes in tags.elements:
            assert not [name for name in attributes if name.startswith("on")], path
            assert tag != "script" or str(attributes.get("src")).startswith("/assets/"), path
        assert "\x1b" not in answer.text, "shown, never obeyed"
        assert "\u202e" not in answer.text
        assert "387420489" not in tags.text.replace(",", ""), "nobody's template"


def test_the_attack_is_shown_as_it_is() -> None:
    texts = [Tags(answer.text).text for answer in get(EvilSource(), "/", f"/jobs/{JOB}", "/peers")]
    assert all("<script>alert(1)</script>" in text for text in texts)


def test_every_answer_says_what_a_browser_may_do() -> None:
    for answer in get(EvilSource(), *PAGES, "/nowhere", "/assets/page.js", "/jobs/other"):
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "access-control-allow-origin" not in answer.headers
    assert get(EvilSource(), "/")[0].headers["cache-control"] == "no-store"


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8808", "localhost.evil.example", "127.0.0.1.evil.example", ""])
def test_a_site_of_another_name_can_t_read_the_page(host: str) -> None:
    (answer,) = get(FakeSource(), "/", headers={"host": host})
    assert answer.status_code == 421
    assert "Your jobs" not in answer.text


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8808", "[::1]:8808", "LOCALHOST:1"])
def test_this_machine_s_names_are_answered(host: str) -> None:
    assert get(FakeSource(), "/", headers={"host": host})[0].status_code == 200


def ask(method: str, path: str, token: str = "", **more: Any) -> httpx.Response:
    async def one() -> httpx.Response:
        transport = httpx.ASGITransport(application(FakeSource(), token=token))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.request(method, path, **more)

    return asyncio.run(one())


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_a_page_changes_nothing(method: str) -> None:
    answer = ask(method, f"/jobs/{JOB}")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_another_site_s_page_can_have_nothing_done_here(site: str) -> None:
    for path in ("/", f"/jobs/{JOB}/result.png", "/stream"):
        assert ask("GET", path, headers={"sec-fetch-site": site, "sec-fetch-mode": "no-cors"}).status_code == 403
    assert ask("GET", "/", headers={"sec-fetch-site": site, "sec-fetch-mode": "navigate"}).status_code == 200
    for own in ("same-origin", "none"):
        assert ask("GET", "/", headers={"sec-fetch-site": own, "sec-fetch-mode": "cors"}).status_code == 200


@contextmanager
def served() -> Iterator[tuple[str, tuple[str, int]]]:
    """The pages, on a thread: their URL, and the address."""
    on = listen("127.0.0.1:0")
    server = server_of(FakeSource(), on, log_level="critical")
    thread = threading.Thread(target=server.run, kwargs={"sockets": [on.socket]})
    thread.start()
    try:
        yield on.url, ("127.0.0.1", on.port)
    finally:
        server.should_exit = True
        thread.join(20)
        on.socket.close()
    assert not thread.is_alive()


def test_connections_that_ask_for_nothing_give_way() -> None:
    with served() as (url, address), ExitStack() as stack:
        ends = [stack.enter_context(socket.create_connection(address, 20)) for _ in range(300)]
        ends[-1].sendall(b"GET / HTTP/1.1\r\nHost: loc")  # half a request is none
        assert httpx.get(url, timeout=20, trust_env=False).status_code == 200
        assert ends[0].recv(1) == b""
        ends[-1].sendall(b"alhost\r\n\r\n")
        assert ends[-1].recv(12) == b"HTTP/1.1 200"


def test_streams_that_nobody_reads_give_way() -> None:
    with served() as (url, address), ExitStack() as stack:
        for _ in range(70):
            end = stack.enter_context(socket.create_connection(address, 20))
            end.sendall(b"GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert end.recv(12) == b"HTTP/1.1 200"
        with httpx.stream("GET", f"{url}stream", timeout=20, trust_env=False) as answer:
            assert answer.status_code == 200
            assert next(line for line in answer.iter_lines() if line.startswith("data: "))


def test_who_asks_and_never_reads_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "_STUCK_SECONDS", 0.5)
    with served() as (_, address), socket.create_connection(address, 20) as end:
        end.settimeout(50)
        with pytest.raises(ConnectionError):
            end.sendall(b"GET /assets/htmx.min.js HTTP/1.1\r\nHost: localhost\r\n\r\n" * 200_000)


def test_a_body_that_never_comes_keeps_nobody_out() -> None:
    with served() as (url, address), ExitStack() as stack:
        for _ in range(300):
            end = stack.enter_context(socket.create_connection(address, 20))
            end.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\nx")
        assert httpx.get(url, timeout=20, trust_env=False).status_code == 200


def test_without_the_token_nothing_is_seen() -> None:
    for path in (*PAGES, "/stream", "/assets/page.js", "/?token=wrong", "/?token="):
        answer = ask("GET", path, "right")
        assert answer.status_code == 401, path
        assert "set-cookie" not in answer.headers
    assert ask("GET", "/", "right", headers={"authorization": "Bearer wrong"}).status_code == 401
    assert ask("GET", "/", "right", headers={"cookie": "a=b; ;;=; pangea_x=right"}).status_code == 401


def test_the_token_is_taken_once_and_kept_out_of_addresses() -> None:
    answer = ask("GET", "/jobs?token=right&state=failed", "right")
    assert (answer.status_code, answer.headers["location"]) == (303, "/jobs?state=failed")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert ask("GET", "/", "right", headers={"cookie": cookie.partition(";")[0]}).status_code == 200
    assert ask("GET", "/", "right", headers={"authorization": "Bearer right"}).status_code == 200


@pytest.mark.parametrize("path", ["//evil.example/?token=right", "/\\evil.example/?token=right", "///evil.example?token=right"])
def test_the_token_leads_to_no_other_host(path: str) -> None:
    async def one() -> str:
        sent: list[dict[str, Any]] = []

        async def send(message: Any) -> None:
            sent.append(message)

        async def receive() -> Any:
            return {"type": "http.request"}

        bare, _, query = path.partition("?")
        scope = {"type": "http", "method": "GET", "path": bare, "query_string": query.encode(), "headers": []}
        await application(FakeSource(), token="right")(scope, receive, send)
        return str(dict(sent[0]["headers"])[b"location"].decode())

    assert asyncio.run(one()).startswith("/evil.example")
