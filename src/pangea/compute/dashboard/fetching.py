"""Pages without a socket: asked of the application itself, as a server would."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from starlette.types import ASGIApp, Message


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer: its status, as of HTTP, and what it holds."""

    status: int
    body: bytes

    @property
    def text(self) -> str:
        """It as text."""
        return self.body.decode()


async def fetch(app: ASGIApp, address: str, headers: dict[str, str]) -> Fetched:
    """What `app` answers to GET `address`, a path with its query."""
    parts = urlsplit(address)
    given = [(name.encode(), value.encode("latin-1")) for name, value in {"host": "localhost", **headers}.items()]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": unquote(parts.path),
        "raw_path": parts.path.encode(),
        "query_string": parts.query.encode(),
        "root_path": "",
        "headers": given,
        "client": None,
        "server": ("localhost", 80),
    }
    status, body = 0, bytearray()

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = int(message["status"])
        else:
            body.extend(message.get("body", b""))

    await app(scope, receive, send)
    return Fetched(status, bytes(body))
