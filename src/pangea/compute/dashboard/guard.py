"""Who may look, and what a browser may do with what it gets.

A page is read-only: nothing but GET and HEAD is answered, and to other sites' pages nothing at all, unless somebody follows a
link there. On loopback, only requests that name this machine are answered, so that no site that a browser visits can read the
page under a name of its own (DNS rebinding). Elsewhere a token is needed.
"""

from __future__ import annotations

import hmac
from hashlib import sha256
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: Nothing from elsewhere, nothing inline, no frame around it.
POLICY = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'"
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
#: Source: W3C, Fetch Metadata Request Headers, section 2.2; what is no browser doesn't say.
_ELSEWHERE = ("cross-site", "same-site")
_TOKEN = "token"  # noqa: S105  # the parameter's name


class Guard:
    """Stands before the pages."""

    def __init__(self, app: ASGIApp, *, token: str = "") -> None:
        """Guard `app`. With a token everybody needs it; without one only requests to this machine's own names are answered."""
        self._app = app
        self._token = token
        self._cookie = f"pangea_{sha256(token.encode()).hexdigest()[:12]}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on."""
        if scope["type"] != "http":
            return  # no web sockets here, and nothing to do at start and end
        refusal = self._refusal(scope)
        await (refusal or self._app)(scope, receive, _with_headers(send))

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        if scope["method"] not in ("GET", "HEAD"):
            return PlainTextResponse("this page is read-only\n", 405, {"Allow": "GET, HEAD"})
        if headers.get("sec-fetch-site") in _ELSEWHERE and headers.get("sec-fetch-mode") != "navigate":
            # It couldn't read it, but have it drawn, or take streams.
            return PlainTextResponse("this is for pages of its own\n", 403)
        if self._token:
            return self._without_token(scope, headers)
        name = headers.get("host", "").lower()
        name = name.partition("]")[0] + "]" if name.startswith("[") else name.partition(":")[0]
        if name not in _LOOPBACK:
            return PlainTextResponse("this page answers to localhost and 127.0.0.1 only\n", 421)
        return None

    def _without_token(self, scope: Scope, headers: Headers) -> Response | None:
        given = dict(parse_qsl(scope["query_string"].decode("latin-1"))).get(_TOKEN)
        if given is not None and self._is_right(given):
            response = RedirectResponse(_without(scope), 303)
            response.set_cookie(self._cookie, given, httponly=True, samesite="strict", path="/")
            return response
        if self._is_right(_cookies(headers).get(self._cookie, "")) or self._is_right(_bearer(headers)):
            return None
        return PlainTextResponse("a token is needed: open the address that `pangea dashboard` printed\n", 401)

    def _is_right(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self._token.encode())


def _without(scope: Scope) -> str:
    """The address that was asked for, without the token: it shouldn't stay in the history."""
    rest = [(name, value) for name, value in parse_qsl(scope["query_string"].decode("latin-1")) if name != _TOKEN]
    path = "/" + str(scope["path"]).lstrip("/\\")  # never another host's
    return path + (f"?{urlencode(rest)}" if rest else "")


def _cookies(headers: Headers) -> dict[str, str]:
    try:
        return {name: morsel.value for name, morsel in SimpleCookie(headers.get("cookie", "")).items()}
    except CookieError:
        return {}


def _bearer(headers: Headers) -> str:
    scheme, _, given = headers.get("authorization", "").partition(" ")
    return given if scheme.lower() == "bearer" else ""


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
            headers.setdefault("Cache-Control", "no-store")
        await send(message)

    return sending
