"""A real browser for tests: Debian's Chromium without a window, and a page's server in this process."""

from __future__ import annotations

import gzip
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import pytest
import uvicorn

from pangea.compute.dashboard.app import application
from pangea.compute.dashboard.overview import counters
from pangea.compute.dashboard.stream import Ticker
from tests.deadlines import until
from tests.fakes.source import FakeSource

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page, Request

_PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
_AXE = Path(__file__).parent / "data" / "axe-core-4.14.1.min.js.gz"
#: A browser on a busy machine may take so long for a step.
PATIENCE_MS = 30_000
_STOP_SECONDS = 20.0


def chromium() -> str:
    """The browser's program; without one, or without what drives it, the test is skipped."""
    program = next((found for name in _PROGRAMS if (found := shutil.which(name))), None)
    if program is None:
        pytest.skip("no Chromium: apt-get install chromium (`make test` does it where it can)")
    if find_spec("playwright") is None:
        pytest.skip("no playwright: pip install playwright (it drives the Chromium that is installed)")
    return program


@contextmanager
def browser() -> Iterator[Browser]:
    """The browser, at work."""
    program = chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-dev-shm-usage"])
        try:
            yield started
        finally:
            started.close()


@contextmanager
def page_of(started: Browser, *, own: tuple[str, ...] = ("http://127.0.0.1:",), **options: Any) -> Iterator[Page]:
    """A page of a viewer of its own; what went wrong in it, or came from elsewhere than `own`, fails the test at the end."""
    context = started.new_context(**options)
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    troubles: list[str] = []

    def refuse(dialog: Dialog) -> None:
        troubles.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def look(request: Request) -> None:
        if not request.url.startswith(own):
            troubles.append(f"asked {request.url}")

    def read(message: ConsoleMessage) -> None:
        if "Content Security Policy" in message.text:
            troubles.append(message.text)

    page.on("pageerror", lambda error: troubles.append(f"error: {error}"))
    page.on("dialog", refuse)
    page.on("console", read)
    page.on("request", look)
    try:
        yield page
    finally:
        context.close()
    assert troubles == []


def complaints(page: Page) -> list[str]:
    """What axe-core finds against a page: WCAG 2.2 AA and its makers' good practice."""
    page.evaluate(gzip.decompress(_AXE.read_bytes()).decode())  # as a test's tool: the page's policy lets no page load it
    found = page.evaluate("() => axe.run(document)")
    return [f"{each['id']}: {each['help']}: {[node['html'][:120] for node in each['nodes'][:3]]}" for each in found["violations"]]


class LocalPage:
    """The pages of a source that is made up, served by a thread of this process. Use it in a `with`."""

    def __init__(self, source: FakeSource, *, port: int = 0) -> None:
        """Serve them; port 0 takes any."""
        self.source = source
        self.ticker = Ticker(self._counters)
        self._socket = socket.create_server(("127.0.0.1", port))
        self.port = int(self._socket.getsockname()[1])
        config = uvicorn.Config(
            application(source, ticker=self.ticker), log_level="error", lifespan="off", ws="none", timeout_graceful_shutdown=1
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True)
        self._thread.start()
        until(lambda: self._server.started, what="the page's server")

    async def _counters(self) -> dict[str, Any]:
        return counters(await self.source.info())

    @property
    def url(self) -> str:
        """Where it is, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        """Stop; streams are cut."""
        self._server.should_exit = True
        self._thread.join(_STOP_SECONDS)
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
