"""Structured logs on stderr: one event a line, as text for people or JSON for machines. Never payloads, never keys."""

from __future__ import annotations

import asyncio
import logging
import re
import sys
import time
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Any

import structlog

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_VALUE_CHARACTERS_MAX = 2_000
_TRACEBACK_LINES_MAX = 200
_KINDS_MAX = 100


def configure(*, level: str, format: str) -> None:  # noqa: A002
    """Set up logging for this process.

    Args:
        level: debug, info, warning or error.
        format: text, json, or auto: text on a terminal.
    """
    as_json = format == "json" or (format == "auto" and not sys.stderr.isatty())
    renderer: Any = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,  # by itself the console's renderer shows every local variable
            _harmless,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=lambda *_: _Lines(sys.stderr),
        cache_logger_on_first_use=False,
    )


class _Lines(structlog.PrintLogger):
    """Writes lines. A node outlives its log's disk, and its reader: what can't be written waits in a buffer, or is lost."""

    def msg(self, message: str) -> None:
        """Write a line."""
        with suppress(OSError, ValueError):  # full, gone, closed: there is nowhere to say so
            super().msg(message)

    log = debug = info = warn = warning = error = critical = exception = fatal = failure = err = msg


class RateLimitedLog:
    """Says what goes wrong, each kind of the machine's troubles once in a while: a machine in trouble has no room for a flood."""

    def __init__(self, room: str, *, every: float = 10.0) -> None:
        """Log to a room; errors of the machine that look the same, once in `every` seconds, with their number."""
        self._log = get(room)
        self._every = every
        self._seen: dict[str, tuple[float, int]] = {}

    def tell(self, error: BaseException) -> None:
        """Say it. What the machine lacks needs no traceback."""
        if not isinstance(error, OSError):
            self._log.error("call failed", error=repr(error), exc_info=error)
            return
        kind, now = repr(error)[:_VALUE_CHARACTERS_MAX], time.monotonic()
        last, count = self._seen.get(kind, (-self._every, 0))
        if now - last < self._every:
            self._seen[kind] = (last, count + 1)
            return
        if len(self._seen) >= _KINDS_MAX:
            self._seen.clear()
        self._seen[kind] = (now, 0)
        self._log.error("the machine is in trouble", error=kind, since_last=count)

    def of_the_loop(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """What an event loop hears of errors that nobody waits for."""
        error = context.get("exception")
        if isinstance(error, OSError):
            self.tell(error)
        else:
            loop.default_exception_handler(context)


def get(name: str) -> Any:
    """The logger of one room."""
    return structlog.get_logger().bind(room=name)


def _harmless(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Names and errors come from strangers: none may forge a line or steer a terminal."""
    for key, value in event.items():
        if key == "exception":
            event[key] = "\n".join(f"    {_plain(line)}" for line in str(value).split("\n")[-_TRACEBACK_LINES_MAX:])
        elif isinstance(value, str):
            event[key] = _plain(value)
    return event


def _plain(text: str) -> str:
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text[:_VALUE_CHARACTERS_MAX])
