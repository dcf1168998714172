"""The errors of this package."""

from __future__ import annotations

import reprlib

_SHORT = reprlib.Repr()
_SHORT.maxlevel, _SHORT.maxdict = 3, 4


class DataError(ValueError):
    """Bytes or values are not what they should be: corrupt, cut off, or of a type that has no place here.

    The message says what is wrong and where (the column, the row, the position), and what to do about it.
    """


class NoColumnError(DataError, KeyError):
    """A table has no such column; a KeyError, too, as with a dict or a frame."""

    def __str__(self) -> str:
        """The message, which a KeyError would put into quotes."""
        return str(self.args[0])


class NoPlaceError(DataError):
    """A value of a type that has no place among values.

    Attributes:
        reason: what it is.
        place: where it is in what was to be written, as Python says it (`[1]['a'].field`); empty: it is the whole.
    """

    def __init__(self, reason: str, place: str = "") -> None:
        """That `reason` holds, of what is at `place`."""
        where = f", at {place}" if place else ""
        super().__init__(f"{reason}{where}; make it of numbers, text, dates, tuples, lists and dicts")
        self.reason = reason
        self.place = place


def shown(value: object, length_max: int = 60) -> str:
    """`value` as it is written in messages: its representation, cut off when it is long, never made whole when it is large."""
    _SHORT.maxstring = _SHORT.maxother = length_max
    if isinstance(value, bytes | bytearray) and len(value) > length_max:
        return f"{bytes(value[: length_max // 4])!r}... ({len(value):,} bytes)"
    text = _SHORT.repr(value)
    return text if len(text) <= length_max else f"{text[: length_max - 3]}..."
