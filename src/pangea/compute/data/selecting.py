"""Which rows a mask, a list or a number means, as in NumPy and pandas. What means none is refused, never taken for row 0."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress
from typing import Any

from pangea.compute.data.errors import shown


def positions(key: Any, size: int, what: str) -> Sequence[int]:
    """The positions that a mask or a list of whole numbers means, each 0 or more.

    Args:
        key: truth values, one for each of `size`, or whole numbers: a list, an Array of one axis, a Column (null is False).
        size: how many there are to choose from.
        what: "rows" or the like, for messages.

    Raises:
        IndexError: a mask of another length, or a number out of range.
        TypeError: `key` is neither; says what came.
    """
    if getattr(getattr(key, "dtype", None), "kind", "") == "b" and getattr(key, "shape", ()) == (size,):
        chosen: list[int] = key.nonzero()[0].tolist()  # NumPy's mask
        return chosen
    held = _listed(key, what)
    kinds = set(map(type, held))
    if kinds and kinds <= {bool, type(None)} and bool in kinds:
        if len(held) != size:
            raise IndexError(f"a mask of {len(held):,} truth values for {size:,} {what}")
        return list(compress(range(size), held))
    if not kinds <= {int}:
        wrong = next(value for value in held if type(value) is not int)
        raise TypeError(f"{what} are chosen by truth values or by whole numbers, not by {shown(wrong)}")
    for index in held:
        if not -size <= index < size:
            raise IndexError(f"index {index} is out of range for {size:,} {what}")
    return [index + size if index < 0 else index for index in held]


def whole_index(key: Any, size: int, what: str) -> int:
    """The position, 0 or more, that a whole number means.

    Raises:
        IndexError: it is out of range.
        TypeError: it is none: True and False are masks, of nothing.
    """
    index = None if isinstance(key, bool) or not hasattr(key, "__index__") else key.__index__()
    if index is None:
        remedy = ": compare a column, as in t[t['name'] == value]" if isinstance(key, bool) else ""
        raise TypeError(f"{what} are chosen by whole numbers, slices, masks and lists, not by {shown(key)}{remedy}")
    if not -size <= index < size:
        raise IndexError(f"index {index} is out of range for {size:,} {what}")
    return int(index) + size if index < 0 else int(index)


def is_several(key: Any) -> bool:
    """Whether `key` is a mask or a list, rather than one number."""
    return isinstance(key, list | range | memoryview) or (hasattr(key, "tolist") and getattr(key, "shape", None) != ())


def is_mask(key: Any) -> bool:
    """Whether `key` is several truth values, of which null is none."""
    if not is_several(key):
        return False
    kinds = set(map(type, key.tolist() if hasattr(key, "tolist") else key))
    return kinds <= {bool, type(None)}


def _listed(key: Any, what: str) -> list[Any]:
    held = key.tolist() if hasattr(key, "tolist") else list(key)
    if not isinstance(held, list) or any(isinstance(value, list | tuple) for value in held[:1]):
        raise TypeError(f"{what} are chosen by a mask or a list with one axis, not by {shown(key)}")
    return held
