"""/healthz, /readyz and /metrics: for whoever watches the node. Reads only, few at a time, in threads of their own.

On loopback only requests that name this machine are answered: a site that a browser here visits may have its own name lead to
127.0.0.1 (DNS rebinding), and would read the figures as its own.
"""

from __future__ import annotations

import json
import re
import socket
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from pangea.compute.model.errors import ConfigError
from pangea.compute.node.service.metrics import CONTENT_TYPE, Metrics

_REQUEST_SECONDS = 5.0
_LOOPBACK = re.compile(r"(?i:localhost|127(?:\.[0-9]{1,3}){3}|\[::1\])(?::[0-9]{1,5})?")
#: Requests under way; who comes then takes the place of one that has had longer.
_CALLERS_MAX = 8
#: Of those, and of such as have lost their place and are about to end.
_THREADS_MAX = 32


class HealthServer:
    """Serves what is known of the node's health."""

    def __init__(
        self, address: str, *, health: Callable[[], dict[str, str]], ready: Callable[[], list[str]], metrics: Metrics
    ) -> None:
        """Listen on `address` (host:port).

        Args:
            address: where; port 0 takes any.
            health: what is wrong with the process itself; empty: nothing.
            ready: why no jobs should be sent; empty: they should.
            metrics: the figures.

        Raises:
            ConfigError: the address can't be had.
        """
        host, _, port = address.rpartition(":")
        host = host.strip("[]") or "127.0.0.1"

        class Handler(_Handler):
            is_for_this_machine = host == "localhost" or host.startswith("127.") or host == "::1"
            pages = {  # noqa: RUF012
                "/healthz": lambda: _verdict(list(health().values())),
                "/readyz": lambda: _verdict(ready()),
                "/metrics": lambda: (200, CONTENT_TYPE, metrics.exposition()),
            }

        try:
            self._server = (_Server6 if ":" in host else _Server)((host, int(port)), Handler)
        except OSError as error:
            message = f"http {address} can't be listened on: {(error.strerror or str(error)).lower()}"
            raise ConfigError(message, hint="choose another --http address") from error
        self.port: int = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, name="pangea-http", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(_REQUEST_SECONDS)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._turns = threading.BoundedSemaphore(_THREADS_MAX)
        self._lock = threading.Lock()
        #: Where requests under way come from, the oldest first.
        self._callers: dict[Any, str] = {}

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread; of too many the oldest gives way: an answer takes a moment, so that one dawdles."""
        self._enter(request, str(client_address[0]))
        if not self._turns.acquire(blocking=False):
            self._leave(request)
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """One request: it has its time, however slowly it trickles; its turn is given back at the end."""
        over = threading.Timer(_REQUEST_SECONDS, _hang_up, (request,))
        over.daemon = True
        over.start()
        try:
            super().process_request_thread(request, client_address)
        finally:
            over.cancel()
            self._leave(request)
            self._turns.release()

    def _enter(self, request: Any, host: str) -> None:
        """Note a request; of too many, the oldest from the address that has most is hung up on."""
        with self._lock:
            self._callers[request] = host
            if len(self._callers) > _CALLERS_MAX:
                busiest, _ = Counter(self._callers.values()).most_common(1)[0]
                oldest = next(each for each, where in self._callers.items() if where == busiest)
                del self._callers[oldest]
                _hang_up(oldest)

    def _leave(self, request: Any) -> None:
        with self._lock:
            self._callers.pop(request, None)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that hangs up, or is too slow, is its own trouble."""


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Handler(BaseHTTPRequestHandler):
    pages: dict[str, Callable[[], tuple[int, str, bytes]]]
    is_for_this_machine: bool
    server_version = "pangea"
    sys_version = ""

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def _answer(self, *, with_body: bool) -> None:
        page = self.pages.get(self.path.partition("?")[0])
        if self.is_for_this_machine and not _names_this_machine(self.headers.get("Host", "")):
            status, kind, body = 421, "text/plain", b"this address answers to localhost and 127.0.0.1 only\n"
        else:
            status, kind, body = page() if page is not None else (404, "text/plain", b"there is /healthz, /readyz, /metrics\n")
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Not worth a line each."""


def _names_this_machine(host: str) -> bool:
    """Whether a request's Host header is none, as of a bare probe, or a name of loopback's, with or without a port."""
    return not host or _LOOPBACK.fullmatch(host) is not None


def _hang_up(connection: socket.socket) -> None:
    with suppress(OSError):  # gone already
        connection.shutdown(socket.SHUT_RDWR)


def _verdict(reasons: list[str]) -> tuple[int, str, bytes]:
    if not reasons:
        return 200, "text/plain", b"ok\n"
    return 503, "application/json", json.dumps({"reasons": reasons}).encode() + b"\n"
