"""Pages that a thread of the user's own process serves: of the runs in it, or of a node that it is a client of."""

from __future__ import annotations

import atexit
import os
import threading
import uuid
from collections.abc import Callable
from contextlib import suppress

from pangea.compute.client.submission.accounts import RunBook
from pangea.compute.dashboard.needs import TOKEN_VARIABLE, check
from pangea.compute.model.errors import PangeaError

check()  # before what isn't there is imported

from pangea.compute.dashboard.listening import Listening, listen  # noqa: E402
from pangea.compute.dashboard.run_source import RunSource  # noqa: E402
from pangea.compute.dashboard.server import server_of  # noqa: E402
from pangea.compute.dashboard.source import Source  # noqa: E402

_ANY = "127.0.0.1:0"
_END_SECONDS = 10.0
_lock = threading.Lock()
#: Pages by what they show ("" is this process) and the address that was asked for.
_pages: dict[tuple[str, str], InsidePage] = {}
#: What runs in this process, whichever page shows it.
_book = RunBook()


class InsidePage:
    """A page that is served by a thread.

    Attributes:
        url: what to open.
        book: where runs are written down that it shows; None: it shows a node.
    """

    def __init__(
        self, source: Source, on: Listening, *, book: RunBook | None = None, hang_up: Callable[[], None] = lambda: None
    ) -> None:
        """Serve the pages of `source` from now on; `hang_up` is called when they aren't any more."""
        self.url: str = on.url
        self.book = book
        self._on = on
        self._hang_up = hang_up
        self._server = server_of(source, on, log_level="critical")
        self._thread = threading.Thread(target=self._serve, name="pangea-dashboard", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with self._on.socket:
            self._server.run(sockets=[self._on.socket])

    def close(self) -> None:
        """Serve it no more; streams are cut."""
        with _lock:
            for key in [key for key, page in _pages.items() if page is self]:
                del _pages[key]
        self._server.should_exit = True
        if self._thread is not threading.current_thread():
            self._thread.join(_END_SECONDS)
        self._hang_up()

    def forget(self) -> None:
        """In a forked child: its thread isn't there, its socket is the parent's to close."""
        with suppress(OSError):
            os.close(self._on.socket.detach())


def page_for(
    dashboard: bool | str, node: str | None, identity: str | os.PathLike[str] | None, *, is_own: bool = False
) -> tuple[InsidePage, bool]:
    """The page that is asked for, and whether it is new.

    Args:
        dashboard: True: at any address; else `host:port`.
        node: address of a node; None: what runs in this process.
        identity: key file for nodes over TCP.
        is_own: whether nobody else is given it.

    Raises:
        ConfigError: the address can't be listened on, or there is no node at `node`.
    """
    target = "" if node is None else f"{node} {identity or ''}"
    target += f" {uuid.uuid4()}" if is_own else ""
    where = _ANY if dashboard is True else str(dashboard)
    with _lock:
        for (shown, address), page in _pages.items():
            if shown == target and (dashboard is True or address == where):
                return page, False
        on = listen(where, token=os.environ.get(TOKEN_VARIABLE, ""))
        made = InsidePage(RunSource(_book), on, book=_book) if node is None else _of_node(node, identity, on)
        _pages[target, where] = made
        return made, True


def _of_node(node: str, identity: str | os.PathLike[str] | None, on: Listening) -> InsidePage:
    from pangea.compute.dashboard.node_source import NodeSource

    try:
        source = NodeSource(node, identity=identity)
    except PangeaError:
        on.socket.close()
        raise
    return InsidePage(source, on, hang_up=source.close)


def close_all() -> None:
    """Serve no page of this process any more."""
    for page in [*_pages.values()]:
        page.close()


def _begin_anew() -> None:
    global _lock, _book
    for page in _pages.values():
        page.forget()
    _pages.clear()
    _lock, _book = threading.Lock(), RunBook()


atexit.register(close_all)
os.register_at_fork(after_in_child=_begin_anew)
