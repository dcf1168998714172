"""Values that the graph writes where they are used; `capture.atoms` is the other side."""

from __future__ import annotations

import binascii
from typing import Any

_CONSTANTS = {"Ellipsis": ..., "NotImplemented": NotImplemented}


class Unavailable:
    """An annotation that couldn't travel: nothing looks at it, as a rule."""

    def __init__(self, text: str) -> None:
        """Keep what it was."""
        self._text = text

    def __repr__(self) -> str:
        return f"<{self._text}: not taken along>"


def special(written: list[Any]) -> Any:
    """What a list that begins with a letter is."""
    kind, value = written[0], written[1]
    if kind == "b":
        return binascii.a2b_base64(value)
    if kind == "i":
        return int(value, 16)
    if kind == "f":
        return float(value)
    if kind == "s":
        return bytes.fromhex(value).decode("utf-8", "surrogatepass")
    if kind == "c":
        return complex(_real(value), _real(written[2]))
    if kind == "k":
        return _CONSTANTS[value]
    return Unavailable(value)


def _real(written: Any) -> float:
    return float(written[1]) if type(written) is list else written
