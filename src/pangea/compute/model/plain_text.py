"""Text of others for a terminal: shown, never obeyed."""

from __future__ import annotations

import re

#: Control characters but newline and tab: what a job prints must not steer the user's terminal.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def plain(text: str) -> str:
    """`text` with its control characters shown as escapes."""
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text)
