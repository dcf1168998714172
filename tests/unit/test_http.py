from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest

from pangea.compute.model.errors import ConfigError
from pangea.compute.node.service import http
from pangea.compute.node.service.http import HealthServer
from pangea.compute.node.service.metrics import Metrics
from tests.deadlines import until

SECONDS = 10.0


class Health:
    """A health server and what it is told."""

    def __init__(self, address: str = "127.0.0.1:0") -> None:
        self.troubles: dict[str, str] = {}
        self.reasons: list[str] = []
        self.metrics = Metrics()
        self.host = address.rpartition(":")[0].strip("[]") or "127.0.0.1"
        self.server = HealthServer(address, health=lambda: self.troubles, ready=lambda: self.reasons, metrics=self.metrics)
        self.server.start()

    def connect(self) -> socket.socket:
        return socket.create_connection((self.host, self.server.port), SECONDS)

    def ask(self, request: bytes) -> tuple[int, dict[str, str], bytes]:
        """Status, headers, body."""
        with self.connect() as connection:
            connection.sendall(request)
            head, _, body = received(connection).partition(b"\r\n\r\n")
        first, *rest = head.decode().split("\r\n")
        return int(first.split()[1]), dict(line.split(": ", 1) for line in rest), body

    def get(self, path: str) -> tuple[int, dict[str, str], bytes]:
        return self.ask(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())


def received(connection: socket.socket) -> bytes:
    """All until the other end hangs up, politely or not."""
    blocks = []
    try:
        while block := connection.recv(65_536):
            blocks.append(block)
    except ConnectionResetError:
        pass
    return b"".join(blocks)


@pytest.fixture(scope="module")
def running() -> Iterator[Health]:
    one = Health()
    yield one
    one.server.close()


@pytest.fixture
def health(running: Health) -> Health:
    """The server, and nothing wrong."""
    running.troubles.clear()
    running.reasons.clear()
    return running


def test_a_node_that_is_well_says_ok(health: Health) -> None:
    for path in ("/healthz", "/readyz", "/healthz?verbose"):
        status, headers, body = health.get(path)
        assert (status, body, headers["Connection"], headers["Content-Type"]) == (200, b"ok\n", "close", "text/plain")


def test_what_is_wrong_is_said_where_it_belongs(health: Health) -> None:
    health.reasons.append("stopping")
    assert health.get("/healthz")[0] == 200
    status, headers, body = health.get("/readyz")
    assert (status, headers["Content-Type"], json.loads(body)) == (503, "application/json", {"reasons": ["stopping"]})
    health.troubles["loop"] = "the event loop hasn't come round for 2.0 s"
    status, _, body = health.get("/healthz")
    assert (status, json.loads(body)) == (503, {"reasons": ["the event loop hasn't come round for 2.0 s"]})


def test_the_metrics_are_those_of_now(health: Health) -> None:
    assert b"pangea_jobs_accepted_total 0.0" in health.get("/metrics")[2]
    health.metrics.job_accepted()
    status, headers, body = health.get("/metrics")
    assert status == 200
    assert b"pangea_jobs_accepted_total 1.0" in body
    assert headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert int(headers["Content-Length"]) == len(body)


def test_head_is_get_without_the_body(health: Health) -> None:
    status, headers, body = health.ask(b"HEAD /metrics HTTP/1.1\r\n\r\n")
    assert (status, body) == (200, b"")
    assert int(headers["Content-Length"]) > 1_000


@pytest.mark.parametrize("path", ["/", "/healthz/", "/HEALTHZ", "/../healthz", "/healthz%00", "*", "http://x/healthz"])
def test_an_unknown_path_is_told_what_there_is(health: Health, path: str) -> None:
    status, _, body = health.get(path)
    assert (status, body) == (404, b"there is /healthz, /readyz, /metrics\n")


@pytest.mark.parametrize("host", ["localhost", "localhost:9464", "LOCALHOST", "127.0.0.1:9464", "127.0.0.53", "[::1]:9464"])
def test_this_machine_s_names_are_answered(health: Health, host: str) -> None:
    assert health.ask(f"GET /metrics HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())[0] == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:9464", "127.0.0.1.evil.example", "localhost.evil.example", "[::1].x", "x[::1]"]
)
@pytest.mark.parametrize("path", ["/metrics", "/readyz", "/healthz"])
def test_a_site_of_another_name_can_t_read_the_figures(health: Health, path: str, host: str) -> None:
    """A browser's page may have its own name lead here: what it asks then names that."""
    status, _, body = health.ask(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    assert (status, b"pangea" in body) == (421, False)


def test_who_listens_to_others_answers_to_any_name() -> None:
    one = Health("0.0.0.0:0")
    try:
        assert one.ask(b"GET /healthz HTTP/1.1\r\nHost: node7.example\r\n\r\n")[0] == 200
    finally:
        one.server.close()


def test_nothing_can_be_written(health: Health) -> None:
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "CONNECT", "<script>"):
        status, _, body = health.ask(f"{method} /healthz HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello".encode())
        assert status == 501
        assert b"<script>" not in body


MALFORMED = {
    "no request": b"\r\n",
    "junk": b"\x16\x03\x01\x00\xa5junk\r\n\r\n",
    "no path": b"GET\r\n\r\n",
    "no version": b"GET /healthz HTTP/x\r\n\r\n",
    "a version to come": b"GET /healthz HTTP/9.9\r\n\r\n",
    "a path of 70,000 letters": b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n",
    "a header of 70,000 letters": b"GET /healthz HTTP/1.1\r\nx: " + b"a" * 70_000 + b"\r\n\r\n",
    "a thousand headers": b"GET /healthz HTTP/1.1\r\n" + b"a: b\r\n" * 1_000 + b"\r\n",
    "nothing but letters": b"a" * 1_000_000,
}


@pytest.mark.parametrize("request_", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_request_is_answered_shortly_or_not_at_all_and_others_are_served(health: Health, request_: bytes) -> None:
    with health.connect() as connection:
        with suppress(OSError):  # it had seen enough
            connection.sendall(request_)
            connection.shutdown(socket.SHUT_WR)
        answer = received(connection)
    assert len(answer) < 1_000
    assert b"200" not in answer
    assert health.get("/healthz")[0] == 200


@pytest.mark.parametrize("begun", [b"", b"GET", b"GET /healthz HTTP/1.1\r\n", b"GET /healthz HTTP/1.1\r\nHost: x\r\n"])
def test_silence_has_its_time(health: Health, monkeypatch: pytest.MonkeyPatch, begun: bytes) -> None:
    monkeypatch.setattr(http, "_REQUEST_SECONDS", 0.1)
    with health.connect() as connection:
        connection.sendall(begun)
        assert b"200" not in received(connection)


def test_a_trickle_does_not_buy_more_time(health: Health, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "_REQUEST_SECONDS", 0.2)
    with health.connect() as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\n")
        connection.settimeout(0.01)

        def is_over() -> bool:
            try:
                connection.sendall(b"a")
                return connection.recv(1) == b""
            except TimeoutError:
                return False
            except (ConnectionResetError, BrokenPipeError):
                return True

        until(is_over, what="the end of patience")
        assert is_over()


def test_who_never_reads_its_answer_is_let_go(health: Health, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "_REQUEST_SECONDS", 0.1)
    with health.connect() as connection:
        connection.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        turns = health.server._server._turns
        until(lambda: turns._value == http._THREADS_MAX, what="its turn given back")
        assert turns._value == http._THREADS_MAX


def test_row_11_callers_that_dawdle_keep_nobody_s_probe_out(health: Health) -> None:
    """Else eight of them, again and again, have whoever watches the node take it for dead."""
    before, server = threading.active_count(), health.server._server
    with ExitStack() as stack:
        slow = [stack.enter_context(health.connect()) for _ in range(http._CALLERS_MAX)]
        until(lambda: len(server._callers) == http._CALLERS_MAX, what="all places taken")
        for _ in range(20):
            assert health.get("/healthz")[0] == 200
        assert received(slow[0]) == b"", "the oldest was hung up on"
        assert threading.active_count() <= before + 2 * http._THREADS_MAX
        for each in slow:
            each.close()
        until(lambda: server._turns._value == http._THREADS_MAX, what="the turns given back")
    assert not server._callers
    until(lambda: threading.active_count() <= before, what="the threads' end")


def test_of_callers_those_go_whose_address_has_most(health: Health) -> None:
    server = health.server._server
    pairs = [socket.socketpair() for _ in range(http._CALLERS_MAX + 1)]
    requests = [one for one, _ in pairs]
    try:
        for number, request in enumerate(requests):
            server._enter(request, "192.0.2.1" if number else "192.0.2.2")
        hung_up = [each for each in requests if each not in server._callers]
        assert hung_up == [requests[1]], "not the oldest of all"
        assert pairs[1][1].recv(1) == b""
    finally:
        for one, other in pairs:
            server._leave(one)
            one.close()
            other.close()


def test_more_threads_than_there_may_be_are_not_started(health: Health) -> None:
    server = health.server._server
    until(lambda: server._turns._value == http._THREADS_MAX, what="the turns of earlier callers")
    for _ in range(http._THREADS_MAX):
        assert server._turns.acquire(blocking=False)
    with health.connect() as connection:
        assert received(connection) == b""
    assert not server._callers
    server._turns.release(http._THREADS_MAX)
    assert health.get("/healthz")[0] == 200


def test_an_ipv6_address_is_one(health: Health) -> None:
    if not socket.has_ipv6:
        pytest.skip("this Python knows no IPv6: one built with it is needed")
    other = Health("[::1]:0")
    try:
        assert other.get("/readyz")[0] == 200
    finally:
        other.server.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "no.such.host.invalid", "192.0.2.1"])
def test_an_address_that_can_t_be_had_is_named(health: Health, host: str) -> None:
    with pytest.raises(ConfigError, match=f"http {host}:{health.server.port} can't be listened on") as refused:
        Health(f"{host}:{health.server.port}")
    assert "--http" in refused.value.hint


def test_a_closed_server_answers_nobody(health: Health) -> None:
    port = health.server.port
    other = Health("127.0.0.1:0")
    other.server.close()
    assert port != other.server.port
    with pytest.raises(ConnectionRefusedError):
        other.connect()
