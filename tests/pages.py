"""Pages of a node that is made up, asked for as a browser would, without a socket."""

from __future__ import annotations

import asyncio
from html.parser import HTMLParser

import httpx

from pangea.compute.dashboard.app import application
from tests.fakes.source import FakeSource

#: What a fragment is asked for with.
FRAGMENT = {"hx-request": "true"}


def get(
    source: FakeSource, *paths: str, token: str = "", headers: dict[str, str] | None = None, host: str = "localhost:8808"
) -> list[httpx.Response]:
    """The answers to requests, one after the other."""

    async def ask() -> list[httpx.Response]:
        transport = httpx.ASGITransport(application(source, token=token))
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}", headers=headers) as client:
            return [await client.get(path) for path in paths]

    return asyncio.run(ask())


class Tags(HTMLParser):
    """The elements of a page, with their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def links(self) -> list[str]:
        """Where its links lead."""
        return [str(each["href"]) for tag, each in self.elements if tag == "a"]
