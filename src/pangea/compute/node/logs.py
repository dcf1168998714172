"""Structured logs on stderr: one event a line, as text for people or JSON for machines. Never payloads, never keys."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Any

import structlog

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_VALUE_CHARACTERS_MAX = 2_000
_TRACEBACK_LINES_MAX = 200


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
