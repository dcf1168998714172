"""Values on their way to a column of another type, as NumPy and pandas cast them; what these would make up is refused.

A float becomes the whole number towards zero, a truth value 0 or 1, a number is true unless it is 0, text is parsed and numbers
are spelt as Python does it. NaN and infinity are no whole numbers; text is no truth value.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from pangea.compute.data.errors import DataError, shown
from pangea.compute.data.numpy_here import numpy

_SHORT_FLOATS = ("float16", "float32")


def cast(name: str, values: list[Any], kind: str, wanted: str) -> list[Any]:
    """The values of column `name`, of type `kind`, as ones that a column of type `wanted` takes; None stays None.

    Raises:
        DataError: a value has no form in that type; names the row.
    """
    convert = _conversion(kind, wanted)
    if convert is None:
        return values
    found = []
    for row, value in enumerate(values):
        try:
            found.append(None if value is None else convert(value))
        except (ValueError, OverflowError) as error:
            remedy = "; fill() or leave it out first" if isinstance(value, float) else ""
            raise DataError(f"column {name!r}, row {row:,}: {shown(value)} is no {wanted}{remedy}") from error
    return found


def _conversion(kind: str, wanted: str) -> Callable[[Any], Any] | None:
    is_text, is_number = kind.endswith("string"), kind == "bool" or kind.startswith(("int", "uint", "float"))
    if wanted.startswith(("int", "uint")):
        return int if is_text else math.trunc if is_number else None
    if wanted.startswith("float"):
        return float if is_text or kind == "bool" else None
    if wanted == "bool":
        return bool if is_number else None
    if wanted.endswith("string") and is_number:
        return _spelt_short(kind) if kind in _SHORT_FLOATS else str
    return None


def _spelt_short(kind: str) -> Callable[[float], str]:
    """Of a short float as many digits as tell it from its neighbours, not those of the double that Python has of it."""
    make = getattr(numpy("spelling a short float"), kind)
    return lambda value: str(make(value))
