"""The header of a .npy file: read with bounds and without `eval`, written as NumPy writes it.

Source: NEP 1 (versions 1 to 3 of the format); numpy/lib/_format_impl.py for how much room the header leaves.
"""

from __future__ import annotations

import re
import struct
from math import prod
from typing import Any

from pangea.compute.data.dtypes import DType, parse_dtype
from pangea.compute.data.errors import DataError, shown

Shape = tuple[int, ...]

MAGIC = b"\x93NUMPY"
HEADER_BYTES_MAX = 64 * 1024
#: As in NumPy 2.
NDIM_MAX = 64
#: How many items an array may have that has no bytes: nothing else bounds them.
EMPTY_ITEMS_MAX = 1 << 20
#: NumPy leaves room for a first side of this many digits, so that a file can be appended to.
_GROWTH_DIGITS = 21
_ALIGNMENT = 64
_DEPTH_MAX = 32

_TOKEN = re.compile(r"""\s*(?:([()\[\]{},:])|(\d{1,19})L?|(True|False|None)\b|('(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"))""")
_ESCAPE = re.compile(r"\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|U([0-9a-f]{8})|(.))")
_ESCAPES = {"\\": "\\", "'": "'", '"': '"', "n": "\n", "r": "\r", "t": "\t"}
_CONSTANTS = {"True": True, "False": False, "None": None}


class Header:
    """What the header of a .npy file says.

    Attributes:
        dtype: the type of an item.
        shape: the sides.
        is_fortran: whether the first axis lies together, rather than the last.
        start: where the data begins, in bytes.
        stop: where it ends.
    """

    __slots__ = ("dtype", "is_fortran", "shape", "start", "stop")
    dtype: DType
    is_fortran: bool
    shape: Shape
    start: int

    def __init__(self, dtype: DType, shape: Shape, is_fortran: bool, start: int) -> None:
        self.dtype, self.shape, self.is_fortran, self.start = dtype, shape, is_fortran, start
        self.stop: int = start + prod(shape) * dtype.itemsize


def read_header(view: memoryview, at: int = 0) -> Header:
    """Read the header that begins at byte `at`.

    Raises:
        DataError: it is none, is cut off, or describes what has no place here; or the data after it is cut off.
    """
    if bytes(view[at : at + 6]) != MAGIC:
        raise DataError(f"no .npy file at byte {at:,}: it begins with {shown(bytes(view[at : at + 6]))}")
    version = bytes(view[at + 6 : at + 8])
    if version not in (b"\1\0", b"\2\0", b"\3\0"):
        raise DataError(f"the .npy format has versions 1 to 3, this file says {shown(version)}")
    length = struct.Struct("<H" if version == b"\1\0" else "<I")
    text_at = at + 8 + length.size
    if text_at > len(view):
        raise DataError("the .npy header is cut off")
    start = text_at + int(length.unpack_from(view, at + 8)[0])
    if start > len(view) or start - text_at > HEADER_BYTES_MAX:
        raise DataError(f"the .npy header of {start - text_at:,} bytes is cut off or too long")
    try:
        text = str(view[text_at:start], "utf-8" if version == b"\3\0" else "latin-1")
    except UnicodeDecodeError as exc:
        raise DataError("the .npy header is not UTF-8") from exc
    header = _header(parse_literal(text), start)
    if header.stop > len(view):
        raise DataError(
            f"the .npy file is cut off: an array of shape {header.shape} and type {shown(header.dtype.descr)} has"
            f" {header.stop - start:,} bytes, {len(view) - start:,} are there"
        )
    return header


def header_bytes(dtype: DType, shape: Shape) -> bytes:
    """The header of a C-ordered array, byte for byte as `numpy.save` writes it."""
    text = f"{{'descr': {dtype.descr!r}, 'fortran_order': False, 'shape': {shape!r}, }}"
    if shape:
        text += " " * (_GROWTH_DIGITS - len(repr(shape[0])))
    try:
        version, body = b"\1\0", text.encode("latin-1")
    except UnicodeEncodeError:
        version, body = b"\3\0", text.encode("utf-8")
    if version == b"\1\0" and len(body) + _ALIGNMENT > 0xFFFF:
        version = b"\2\0"
    length = "<H" if version == b"\1\0" else "<I"
    fixed = 8 + struct.calcsize(length)
    body += b" " * (_ALIGNMENT - (fixed + len(body) + 1) % _ALIGNMENT) + b"\n"
    return MAGIC + version + struct.pack(length, len(body)) + body


def check_shape(shape: Any, dtype: DType) -> Shape:
    """The sides of an array of `dtype`, checked.

    Raises:
        DataError: they are no sides, too many, or claim a large array that has no bytes.
    """
    if not isinstance(shape, tuple) or not all(type(side) is int and side >= 0 for side in shape):
        raise DataError(f"a shape is a tuple of sizes, not {shown(shape)}")
    if len(shape) > NDIM_MAX:
        raise DataError(f"an array has at most {NDIM_MAX} axes, not {len(shape)}")
    if not prod(shape) * dtype.itemsize and prod(side or 1 for side in shape) * dtype.values > EMPTY_ITEMS_MAX:
        raise DataError(f"an array without bytes has at most {EMPTY_ITEMS_MAX:,} items and rows, not shape {shown(shape)}")
    return shape


def parse_literal(text: str) -> Any:
    """The value of a Python literal of dicts, lists, tuples, strings, whole numbers and constants.

    Raises:
        DataError: it is none, or is nested too deeply.
    """
    tokens: list[tuple[str, str, str, str]] = []
    at, end = 0, len(text.rstrip())
    while at < end:
        found = _TOKEN.match(text, at)
        if found is None:
            raise DataError(f"the .npy header is malformed at {shown(text[at : at + 20])}")
        tokens.append((found[1] or "", found[2] or "", found[3] or "", found[4] or ""))
        at = found.end()
    tokens.append(("", "", "", ""))
    try:
        value, index = _parse(tokens, 0, 0)
    except (LookupError, TypeError, ValueError, OverflowError) as exc:
        if isinstance(exc, DataError):
            raise
        raise DataError("the .npy header is malformed") from exc
    if index != len(tokens) - 1:
        raise DataError("the .npy header has something after its end")
    return value


def _parse(tokens: list[tuple[str, str, str, str]], index: int, depth: int) -> tuple[Any, int]:
    mark, number, constant, quoted = tokens[index]
    if number:
        return int(number), index + 1
    if constant:
        return _CONSTANTS[constant], index + 1
    if quoted:
        return _unquoted(quoted), index + 1
    if depth == _DEPTH_MAX:
        raise DataError("the .npy header is nested too deeply")
    if mark == "{":
        return _parse_dict(tokens, index + 1, depth + 1)
    if mark not in ("(", "["):
        raise DataError(f"the .npy header is malformed at {shown(mark)}")
    close, items, index = (")" if mark == "(" else "]"), [], index + 1
    has_comma = False
    while tokens[index][0] != close:
        item, index = _parse(tokens, index, depth + 1)
        items.append(item)
        if tokens[index][0] == ",":
            has_comma, index = True, index + 1
        elif tokens[index][0] != close:
            raise DataError("the .npy header lacks a comma")
    if mark == "[":
        return items, index + 1
    return (items[0] if len(items) == 1 and not has_comma else tuple(items)), index + 1


def _parse_dict(tokens: list[tuple[str, str, str, str]], index: int, depth: int) -> tuple[Any, int]:
    fields: dict[Any, Any] = {}
    while tokens[index][0] != "}":
        key, index = _parse(tokens, index, depth)
        if tokens[index][0] != ":":
            raise DataError("the .npy header lacks a colon")
        fields[key], index = _parse(tokens, index + 1, depth)
        if tokens[index][0] == ",":
            index += 1
        elif tokens[index][0] != "}":
            raise DataError("the .npy header lacks a comma")
    return fields, index + 1


def _unquoted(quoted: str) -> str:
    return quoted[1:-1] if "\\" not in quoted else _ESCAPE.sub(_escaped, quoted[1:-1])


def _escaped(found: re.Match[str]) -> str:
    digits = found[1] or found[2] or found[3]
    if digits:
        return chr(int(digits, 16))
    return _ESCAPES[found[4]]


def _header(fields: Any, start: int) -> Header:
    if not isinstance(fields, dict) or set(fields) != {"descr", "fortran_order", "shape"}:
        raise DataError("the .npy header must have descr, fortran_order and shape, and nothing else")
    if not isinstance(fields["fortran_order"], bool):
        raise DataError(f"fortran_order is True or False, not {shown(fields['fortran_order'])}")
    dtype = parse_dtype(fields["descr"])
    return Header(dtype, check_shape(fields["shape"], dtype), fields["fortran_order"], start)
