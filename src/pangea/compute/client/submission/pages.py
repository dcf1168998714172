"""The live page of what this process runs, or has a node run. It is made by `pangea.compute.dashboard`, a room above this one."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from importlib import import_module
from typing import Any, Protocol, cast

from pangea.compute.client.submission.accounts import RunBook
from pangea.compute.client.submission.place import Place
from pangea.compute.model.errors import ManifestError

#: What `dashboard` says for a widget instead of a port.
NOTEBOOK = "notebook"


class Page(Protocol):
    """A page that is served by a thread of this process.

    Attributes:
        url: what to open.
        book: where runs are written down that it is to show; None: it shows a node.
    """

    url: str
    book: RunBook | None

    def close(self) -> None:
        """Serve it no more; streams are cut."""


def open_page(
    dashboard: bool | str, *, node: Any = None, identity: str | os.PathLike[str] | None = None, is_own: bool = False
) -> Page:
    """The page of runs of this process, or of a node; who opens it first says on stderr where it is.

    Args:
        dashboard: True, for a port that is free, or `host:port`; "notebook": a widget in the cell that runs.
        node: a client of a node, or its address; None: what runs in this process.
        identity: key file for nodes over TCP.
        is_own: whether it is the caller's alone, to close; else there is one of each, until this process ends.

    Raises:
        ManifestError: `dashboard` is neither.
        ConfigError: the address can't be listened on.
        UnavailableError: what it needs isn't installed.
    """
    is_word = isinstance(dashboard, str) and dashboard != NOTEBOOK and ":" not in dashboard  # a misspelt one, or no port
    if not isinstance(dashboard, bool | str) or not dashboard or is_word:
        hint = "True takes a free port of this machine's own, '127.0.0.1:8808' that one"
        raise ManifestError(
            f"dashboard is {dashboard!r:.80}; it must be True, False, an address or 'notebook'", hint=hint, field="dashboard"
        )
    if dashboard == NOTEBOOK:
        shown: Page = import_module("pangea.compute.dashboard.widget").show(_address(node), _key(node, identity))
        return shown
    pages: Any = import_module("pangea.compute.dashboard.inside")
    page, is_new = cast("tuple[Page, bool]", pages.page_for(dashboard, _address(node), _key(node, identity), is_own=is_own))
    if is_new:
        print(f"the live page: {page.url}", file=sys.stderr, flush=True)  # noqa: T201
    return page


def widget_of(client: Any, path: str) -> Any:
    """A page of a client's node as a widget for notebooks.

    Raises:
        UnavailableError: what it needs isn't installed.
    """
    return import_module("pangea.compute.dashboard.widget").widget_of_node(_address(client), _key(client, None), path)


def _address(node: Any) -> str | None:
    return None if node is None else str(getattr(node, "address", node))


def _key(node: Any, identity: str | os.PathLike[str] | None) -> str | os.PathLike[str] | None:
    return identity or getattr(node, "identity_file", None)


def watched(place: Place, dashboard: bool | str) -> tuple[Place, str]:
    """The place with a page, and where that is; as it is and "", if no page is asked for.

    Raises:
        ManifestError, ConfigError, UnavailableError: as `open_page`.
    """
    if dashboard is False or dashboard is None:
        return place, ""
    node = (place.node or os.environ["PANGEA_NODE"]) if place.is_node else None
    page = open_page(dashboard, node=node, identity=place.identity)
    return replace(place, book=page.book), page.url


def page_of_job(url: str, job_id: str) -> str:
    """Where the page of a job is, of pages at `url`; "" if there are none."""
    place, question, token = url.partition("?")
    return f"{place}jobs/{job_id}{question}{token}" if url else ""
