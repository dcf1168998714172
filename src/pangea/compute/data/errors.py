"""The one error of this package."""

from __future__ import annotations

import reprlib

_SHORT = reprlib.Repr()
_SHORT.maxlevel, _SHORT.maxdict = 3, 4


class DataError(ValueError):
    """Bytes or values are not what they should be: corrupt, cut off, or of a type that has no place here.

    The message says what is wrong and where (the column, the row, the position), and what to do about it.
    """


def shown(value: object, length_max: int = 60) -> str:
    """`value` as it is written in messages: its representation, cut off when it is long, never made whole when it is large."""
    _SHORT.maxstring = _SHORT.maxother = length_max
    if isinstance(value, bytes | bytearray) and len(value) > length_max:
        return f"{bytes(value[: length_max // 4])!r}... ({len(value):,} bytes)"
    text = _SHORT.repr(value)
    return text if len(text) <= length_max else f"{text[: length_max - 3]}..."
