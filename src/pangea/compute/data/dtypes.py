"""The types that items of an array have, written as NumPy writes them: `<f8`, `|b1`, `<U5`, `<M8[ns]`, or a list of fields.

Source: NumPy's array interface, version 3, "typestr"; NEP 1 for structured types.
"""

from __future__ import annotations

import re
import sys
from math import prod
from typing import Any

from pangea.compute.data import moments
from pangea.compute.data.errors import DataError, shown

#: `memoryview` knows float16 from 3.12 on.
HAS_HALF_VIEWS = sys.version_info >= (3, 12)
NATIVE = "<" if sys.byteorder == "little" else ">"
ITEM_BYTES_MAX = 1 << 30
#: How many values of a record may have no bytes: nothing else bounds them.
EMPTY_VALUES_MAX = 64
_DEPTH_MAX = 32

#: Formats of `struct`, `array` and `memoryview` for what they know. Dates are whole numbers.
_FORMATS = {
    "b1": "?", "i1": "b", "i2": "h", "i4": "i", "i8": "q", "u1": "B", "u2": "H", "u4": "I", "u8": "Q",
    "f2": "e", "f4": "f", "f8": "d", "M8": "q", "m8": "q",
}  # fmt: skip
_NAMES = {
    "bool": "|b1", "int": "<i8", "float": "<f8", "complex": "<c16",
    "int8": "|i1", "int16": "<i2", "int32": "<i4", "int64": "<i8",
    "uint8": "|u1", "uint16": "<u2", "uint32": "<u4", "uint64": "<u8",
    "float16": "<f2", "float32": "<f4", "float64": "<f8", "complex64": "<c8", "complex128": "<c16",
}  # fmt: skip
_TYPESTR = re.compile(r"([<>|=]?)([?a-zA-Z])(\d{0,10})(?:\[(\d{0,9})([a-zA-Z]+|)\])?")

Field = tuple[str, "DType", tuple[int, ...], int]  # name, type, shape, offset in bytes


class DType:
    """The type of an item.

    Attributes:
        descr: as NumPy writes it: text, or a list of fields.
        kind: NumPy's letter: b i u f c S U M m V.
        itemsize: bytes of an item.
        values: how many values an item has; a field of no bytes may have some, too.
        format: what `memoryview.cast` calls it, or "" when it has no such name.
        is_swapped: whether the bytes are in the other order than this machine's.
        fields: of a structured type; else None. A field without a name is padding.
        from_python: turns one of those, or None, into a whole number; else None.
    """

    __slots__ = (
        "descr",
        "fields",
        "format",
        "from_python",
        "is_swapped",
        "itemsize",
        "kind",
        "values",
    )
    descr: Any
    fields: list[Field] | None
    itemsize: int
    kind: str

    def __init__(self, descr: Any, kind: str, itemsize: int, fields: list[Field] | None = None) -> None:
        self.descr, self.kind, self.itemsize, self.fields = descr, kind, itemsize, fields
        self.values: int = sum(inner.values * prod(side or 1 for side in shape) for _, inner, shape, _ in fields) if fields else 1
        order = descr[0] if fields is None else "|"
        self.is_swapped: bool = order not in ("|", NATIVE)
        self.format: Any = _FORMATS.get(f"{kind}{itemsize}", "")
        self.from_python: moments.FromPython | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DType) and self.descr == other.descr

    def __hash__(self) -> int:
        return hash(repr(self.descr))


def parse_dtype(descr: Any) -> DType:
    """The type that `descr` describes.

    Args:
        descr: NumPy's way of writing it (`<f8`), a name (`float64`), a Python type (`float`), or a list of fields.

    Raises:
        DataError: it has no fixed size, holds Python objects, or isn't known here.
    """
    if isinstance(descr, DType):
        return descr
    if isinstance(descr, type):
        descr = descr.__name__
    if isinstance(descr, str):
        descr = descr.replace("datetime64", "<M8", 1).replace("timedelta64", "<m8", 1)
        known = _known.get(descr)
        if known is None:
            known = _parse_text(_NAMES.get(descr, descr))
            if len(_known) < 256:
                _known[descr] = known
        return known
    if isinstance(descr, list):
        return _parse_fields(descr, 0)
    raise DataError(f"an item's type is text or a list of fields, not {shown(descr)}")


_known: dict[str, DType] = {}


def _parse_text(text: str) -> DType:
    found = _TYPESTR.fullmatch(text)
    if found is None:
        raise DataError(f"unknown item type {shown(text)}")
    order, kind, digits, count, unit = found[1], found[2], found[3], found[4], found[5]
    if kind == "O":
        raise DataError("the array holds Python objects, which would need pickle; convert it to numbers or text first")
    kind, size = {"?": "b", "a": "S"}.get(kind, kind), int(digits or (1 if kind == "?" else 0))
    itemsize = size * 4 if kind == "U" else size
    is_plain = kind in "SUV" and bool(digits)
    if itemsize > ITEM_BYTES_MAX or not (is_plain or f"{kind}{size}" in _FORMATS or f"{kind}{size}" in ("c8", "c16")):
        remedy = "; convert it to float64 or complex128" if kind in "fc" else ""
        raise DataError(f"items of type {shown(text)} have no exact form here{remedy}")
    if (unit is not None) and kind not in "Mm":
        raise DataError(f"unknown item type {shown(text)}")
    if order in ("", "="):
        order = NATIVE
    if kind in "bSV" or itemsize == 1:
        order = "|"
    descr = f"{order}{kind}{size}" + (f"[{count or ''}{unit}]" if unit else "")
    dtype = DType(descr, kind, itemsize)
    if kind in "Mm":
        dtype.from_python = moments.numpy_converter(kind, int(count or 1), unit or "")
    return dtype


def _parse_fields(descr: list[Any], depth: int) -> DType:
    if depth == _DEPTH_MAX:
        raise DataError("the item type is nested too deeply")
    fields: list[Field] = []
    offset = 0
    for entry in descr:
        if not isinstance(entry, tuple) or len(entry) not in (2, 3):
            raise DataError(f"a field is a name and a type, and perhaps a shape, not {shown(entry)}")
        title, inner = entry[0], entry[1]
        name = title[1] if isinstance(title, tuple) and len(title) == 2 else title
        if not isinstance(name, str):
            raise DataError(f"a field's name is text, not {shown(name)}")
        dtype = _parse_fields(inner, depth + 1) if isinstance(inner, list) else parse_dtype(inner)
        shape = entry[2] if len(entry) == 3 else ()
        shape = (shape,) if isinstance(shape, int) else shape
        if not isinstance(shape, tuple) or len(shape) > 32 or not all(type(side) is int and side >= 0 for side in shape):
            raise DataError(f"field {name!r} has no shape {shown(shape)}")
        if name and any(name == other[0] for other in fields):
            raise DataError(f"two fields have the name {name!r}")
        fields.append((name, dtype, shape, offset))
        offset += dtype.itemsize * prod(shape)
        if offset > ITEM_BYTES_MAX:
            raise DataError(f"an item has at most {ITEM_BYTES_MAX:,} bytes")
    dtype = DType(_field_descr(descr, fields), "V", offset, fields)
    if dtype.values > EMPTY_VALUES_MAX + dtype.itemsize:
        raise DataError(f"a record of {dtype.itemsize:,} bytes claims to have {dtype.values:,} values")
    return dtype


def _field_descr(descr: list[Any], fields: list[Field]) -> list[Any]:
    titles = [entry[0] for entry in descr]
    return [
        (title, dtype.descr, shape) if shape else (title, dtype.descr)
        for title, (_name, dtype, shape, _offset) in zip(titles, fields, strict=True)
    ]
