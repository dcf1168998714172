"""The live page in a notebook: the same pages, over the notebook's own channel (anywidget) instead of HTTP.

The kernel renders a page and keeps it current; the browser's half (`assets/widget.js`) shows it and says what was clicked. It
asks nobody for anything: no port, no request to elsewhere.
"""

from __future__ import annotations

import asyncio
import os
import re
import threading
import time
from base64 import b64encode
from contextlib import closing, suppress
from functools import cache
from importlib import import_module
from importlib.resources import files
from typing import Any

from pangea.compute.client.submission.accounts import RunAccount, RunBook
from pangea.compute.dashboard.needs import check
from pangea.compute.model.errors import PangeaError

check("the notebook widget", ("anywidget", "traitlets", "starlette", "jinja2"), "notebook")  # before it is imported

import anywidget  # noqa: E402
import traitlets  # noqa: E402

from pangea.compute.dashboard.app import application  # noqa: E402
from pangea.compute.dashboard.assets import asset  # noqa: E402
from pangea.compute.dashboard.fetching import fetch  # noqa: E402
from pangea.compute.dashboard.overview import counters  # noqa: E402
from pangea.compute.dashboard.run_source import RunSource  # noqa: E402
from pangea.compute.dashboard.source import Source  # noqa: E402

PERIOD_SECONDS = 1.0
_END_SECONDS = 10.0
#: Drawings and pictures of a job that goes on are made anew so often.
_REDRAW_SECONDS = 10.0
_HEADERS = {"hx-request": "widget"}
#: What a page leaves for later, and its pictures, as our own templates write them.
_LATER = re.compile(r'<div class="loading" hx-get="([^"]+)"')
_PICTURE = re.compile(r'src="(/jobs/[^"]+\.png)"')
_GOES_ON = re.compile(r'id="renewing" hx-get=')
_DARK = re.compile(r"@media \(prefers-color-scheme:dark\)\{((?:[^{}]*\{[^{}]*\})*)\}")


class PageWidget(anywidget.AnyWidget):
    """A page, live. Closing it ends what keeps it current.

    Attributes:
        path: the page, as of an address; what is clicked in the browser sets it.
        html: it.
        parts: what belongs into it, by address: drawings.
        figures: counters by name.
        at: when that was, in seconds since 1970.
        lost: why it isn't current; "": it is.
        is_over: whether nothing will change on it.
        is_seen: whether somebody looks; the browser says so.
        styles: its style sheet, and
        dark: what is added to that where it is dark.
    """

    _esm = (files(__package__) / "assets" / "widget.js").read_text()
    path = traitlets.Unicode("/").tag(sync=True)
    html = traitlets.Unicode("").tag(sync=True)
    parts = traitlets.Dict().tag(sync=True)
    figures = traitlets.Dict().tag(sync=True)
    at = traitlets.Float(0.0).tag(sync=True)
    lost = traitlets.Unicode("").tag(sync=True)
    is_over = traitlets.Bool(False).tag(sync=True)
    is_seen = traitlets.Bool(True).tag(sync=True)
    styles = traitlets.Unicode("").tag(sync=True)
    dark = traitlets.Unicode("").tag(sync=True)

    def __init__(self, source: Source, path: str = "/", *, period: float = PERIOD_SECONDS) -> None:
        """Show the page at `path` of `source`, asked every `period` seconds while it goes on and somebody looks."""
        styles, dark = _styles()
        super().__init__(path=path, styles=styles, dark=dark)
        self._source = source
        self._app = application(source)
        self._period = period
        self._drawn: dict[str, tuple[float, str]] = {}
        self._loop = asyncio.new_event_loop()
        self._news = asyncio.Event()
        self._is_closed = False
        #: Whether it asks for nothing until something is clicked, or somebody looks.
        self.is_resting = False
        self.observe(self._wake, ["path", "is_seen"])
        self._thread = threading.Thread(target=self._run, name="pangea-widget", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Take it away, and ask no more."""
        if not getattr(self, "_is_closed", True):
            self._is_closed = True
            self._wake()
            self._thread.join(_END_SECONDS)
        super().close()

    def _wake(self, _change: object = None) -> None:
        with suppress(RuntimeError):  # it has ended
            self._loop.call_soon_threadsafe(self._news.set)

    def _run(self) -> None:
        with closing(self._loop):
            self._loop.run_until_complete(self._follow())

    async def _follow(self) -> None:
        """Keep it current, on a thread of its own."""
        while not self._is_closed:
            self._news.clear()
            if self.is_seen:
                await self._renew()
            self.is_resting = self.is_over or not self.is_seen
            try:
                await asyncio.wait_for(self._news.wait(), None if self.is_resting else self._period)
            except TimeoutError:
                continue

    async def _renew(self) -> None:
        path = self.path
        try:
            figures = counters(await self._source.info())
            page = (await fetch(self._app, path, _HEADERS)).text
            parts = {address: await self._part(address) for address in _LATER.findall(page)}
        except PangeaError as error:
            self.lost = error.message
            return
        with self.hold_sync():  # one message
            self.figures, self.parts, self.html, self.at, self.lost = figures, parts, page, time.time(), ""
            self.is_over = path.startswith("/jobs/") and "?" not in path and not _GOES_ON.search(page)

    async def _part(self, address: str) -> str:
        """What belongs into a page, from not long ago, pictures included."""
        until, text = self._drawn.get(address, (0.0, ""))
        if until <= (now := time.monotonic()):
            text = (await fetch(self._app, address, {"hx-request": "true"})).text
            for picture in _PICTURE.findall(text):
                data = b64encode((await fetch(self._app, picture, {})).body).decode()
                text = text.replace(f'"{picture}"', f'"data:image/png;base64,{data}"')
            self._drawn[address] = now + _REDRAW_SECONDS, text
        return text


class ShownPage:
    """The widget of `dashboard="notebook"`, as a page.

    Attributes:
        url: "": it has no address.
        book: where runs are written down that it shows; None: it shows a node.
    """

    url = ""

    def __init__(self, widget: PageWidget, book: RunBook | None) -> None:
        """Of a widget."""
        self.widget = widget
        self.book = book

    def close(self) -> None:
        """Take it away."""
        self.widget.close()


def widget_of_node(node: str, identity: str | os.PathLike[str] | None, path: str = "/") -> PageWidget:
    """A page of a node, asked of the node itself.

    Raises:
        ConfigError: `node` is no address.
    """
    from pangea.compute.dashboard.node_source import NodeSource

    return PageWidget(NodeSource(node, identity=identity), path)


def show(node: str | None, identity: str | os.PathLike[str] | None) -> ShownPage:
    """Show a widget in this cell: of runs without a node that are begun with it, or of a node's jobs."""
    screen: Any = import_module("IPython.display")
    page = _page_of_runs() if node is None else ShownPage(widget_of_node(node, identity), None)
    screen.display(page.widget)
    return page


def _page_of_runs() -> ShownPage:
    """The page of a run, as long as there is one; of all, once there are more."""
    book = RunBook()
    widget = PageWidget(RunSource(book))

    def turn(account: RunAccount) -> None:
        if len(book.accounts()) == 1:
            widget.path = f"/jobs/{account.job_id}"
        elif widget.path == f"/jobs/{book.accounts()[-1].job_id}":
            widget.path = "/"

    book.on_add = turn
    return ShownPage(widget, book)


@cache
def _styles() -> tuple[str, str]:
    """The pages' style sheets for a shadow root, and what is added to them where it is dark."""
    sheets = [asset("drawings.css"), asset("page.css")]
    text = "".join(sheet.data.decode() for sheet in sheets if sheet is not None)
    text = text.replace(":root", ":host").replace("\nbody{", "\n.page{").replace("\nmain", "\n.main")
    return _DARK.sub("", text), "".join(_DARK.findall(text))
