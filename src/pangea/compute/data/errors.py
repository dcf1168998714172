"""The one error of this package."""

from __future__ import annotations


class DataError(ValueError):
    """Bytes or values are not what they should be: corrupt, cut off, or of a type that has no place here.

    The message says what is wrong and where (the column, the row, the position), and what to do about it.
    """


def shown(value: object, length_max: int = 60) -> str:
    """`value` as it is written in messages: its representation, cut off when it is long."""
    text = repr(value)
    return text if len(text) <= length_max else f"{text[: length_max - 3]}..."
