"""What the user's functions return, checked: in the guest, and in a native run, with the same words."""

from __future__ import annotations

from collections.abc import Iterable


def as_bytes(value: object, what: str) -> bytes:
    """`value` as bytes.

    Raises:
        TypeError: it is no bytes-like object; calls it `what`.
    """
    if isinstance(value, bytes):
        return value
    if isinstance(value, bytearray | memoryview):
        return bytes(value)
    raise TypeError(f"{what} must be bytes, not {type(value).__name__}: {value!r:.200}")


def as_list(value: object) -> list[bytes]:
    """The result of split: a list, or anything that yields bytes.

    Raises:
        TypeError: it is bytes itself, or no iterable, or holds something else.
    """
    if isinstance(value, bytes | str | bytearray | memoryview) or not isinstance(value, Iterable):
        raise TypeError(f"the result of split must be a list of bytes, not {type(value).__name__}: {value!r:.200}")
    items = list(value)
    if set(map(type, items)) <= {bytes}:  # a loop in C: there may be a million
        return items
    return [as_bytes(item, f"item {index} of split's result") for index, item in enumerate(items)]
