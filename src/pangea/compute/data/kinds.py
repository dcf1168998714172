"""The kinds of value that a job's functions declare, and how each is written in bytes.

bytes   as it is                          json    one JSON value, UTF-8; ends with a newline
text    UTF-8                             jsonl   a JSON value on each line
array   a .npy file                       table   an Arrow IPC stream
image   PNG (for results only)
"""

from __future__ import annotations

import json
from typing import Any

from pangea.compute.data.errors import DataError, shown
from pangea.compute.data.from_numpy import is_numpy, plain, with_plain_keys
from pangea.compute.data.ndarrays import array_of, from_npy, npy_of
from pangea.compute.data.png import PNG_MAGIC, png_of
from pangea.compute.data.table import Table

KINDS = ("bytes", "text", "json", "jsonl", "array", "table")
OUTPUT_KINDS = (*KINDS, "image")

_SCALARS = {str, int, float, bool, type(None)}
#: What a function may return for a kind, in words.
_WANTED = {
    "bytes": "bytes",
    "text": "text (str)",
    "json": "what JSON can write",
    "jsonl": "a list of what JSON can write",
    "array": "an array of NumPy's, or lists of numbers",
    "table": "a Table, a dict of columns, or a list of dicts",
    "image": "the bytes of a PNG file, or an array of uint8 with shape (height, width) or (height, width, 3 or 4)",
}


def check_kind(kind: str, kinds: tuple[str, ...] = OUTPUT_KINDS) -> None:
    """Refuse what is no kind.

    Raises:
        DataError: `kind` is none of `kinds`.
    """
    if kind not in kinds:
        raise DataError(f"there is no kind {kind!r}: it is one of {', '.join(kinds)}")


def decode(kind: str, data: bytes | memoryview) -> Any:
    """The value that `data` stands for.

    Args:
        kind: one of `KINDS`, or image, whose value is its bytes.
        data: the bytes; arrays and tables keep them.

    Raises:
        DataError: the bytes aren't of that kind.
    """
    check_kind(kind)
    if kind in ("bytes", "image"):
        return data if isinstance(data, bytes) else bytes(data)
    if kind == "array":
        return from_npy(data)
    if kind == "table":
        return Table.from_arrow(data)
    text = _text(kind, data)
    if kind == "text":
        return text
    if kind == "json":
        return _json(text, "")
    lines = text.split("\n")
    return [_json(line, f" in line {number:,}") for number, line in enumerate(lines, 1) if line.strip()]


def encode(kind: str, value: Any, what: str) -> bytes:
    """The bytes that stand for `value`.

    Args:
        kind: one of `OUTPUT_KINDS`.
        value: what a function returned.
        what: the function, for messages: `execute`.

    Raises:
        TypeError: the value isn't of that kind; says what came and what was declared.
        DataError: it is, but has no exact form.
    """
    check_kind(kind)
    try:
        data = _encoded(kind, value)
    except (DataError, RecursionError, UnicodeEncodeError) as exc:
        raise DataError(f"{_came(kind, value, what)}; {exc}") from exc
    if data is None:
        raise TypeError(f"{_came(kind, value, what)}; return {_WANTED[kind]}")
    return data


def _came(kind: str, value: Any, what: str) -> str:
    return f"{what} is declared output={kind!r}, but returned {type(value).__name__}: {shown(value)}"


def _encoded(kind: str, value: Any) -> bytes | None:
    """The bytes; None when the value isn't of that kind."""
    if kind == "bytes":
        return bytes(value) if isinstance(value, bytes | bytearray | memoryview) else None
    if kind == "text":
        return value.encode() if isinstance(value, str) else None
    if kind == "json":
        return _json_bytes(value)
    if kind == "jsonl":
        is_lines = hasattr(value, "__iter__") and not isinstance(value, str | bytes | dict)
        return b"".join(map(_json_bytes, value)) if is_lines else None
    if kind == "image":
        return _png(value)
    return _npy(value) if kind == "array" else _arrow(value)


def _npy(value: Any) -> bytes | None:
    if is_numpy(value):
        return npy_of(value)
    is_items = isinstance(value, list | tuple | range) or (hasattr(value, "itemsize") and hasattr(value, "tobytes"))
    return npy_of(array_of(value)) if is_items else None


def _arrow(value: Any) -> bytes | None:
    if isinstance(value, Table):
        return value.to_arrow()
    if isinstance(value, dict):
        return Table.of(value).to_arrow()
    is_rows = isinstance(value, list | tuple) and value and all(isinstance(row, dict) for row in value)
    return Table.of_rows(value).to_arrow() if is_rows else None


def _png(value: Any) -> bytes | None:
    if is_numpy(value):
        return png_of(value)
    if isinstance(value, bytes | bytearray | memoryview) and bytes(value[:8]) == PNG_MAGIC:
        return bytes(value)
    return None


def _json_bytes(value: Any) -> bytes:
    try:
        try:
            check_keys(value)
        except TypeError:  # NumPy's scalars as keys
            value = with_plain_keys(value)
            check_keys(value)
        try:
            return json.dumps(value, ensure_ascii=False, allow_nan=False, default=plain).encode() + b"\n"
        except UnicodeEncodeError:  # half of a surrogate pair, which UTF-8 lacks and an escape has
            return json.dumps(value, allow_nan=False, default=plain).encode() + b"\n"
    except (TypeError, ValueError) as exc:
        raise DataError(f"JSON can't write it: {exc}") from exc


def check_keys(value: Any) -> None:
    """Refuse a dict with keys that JSON, which writes all of them as text, wouldn't tell apart: 1 and "1".

    Raises:
        ValueError: names the two.
    """
    if isinstance(value, dict):
        if not set(map(type, value)) <= {str}:
            _check_apart(value)
        for each in value.values():
            check_keys(each)
    elif isinstance(value, list | tuple) and not set(map(type, value)) <= _SCALARS:
        for each in value:
            check_keys(each)


def _check_apart(value: dict[Any, Any]) -> None:
    seen: dict[str, Any] = {}
    for key in value:
        text = key if isinstance(key, str) else next(iter(json.loads(json.dumps({key: 0}))))
        if text in seen:
            raise ValueError(f"the keys {seen[text]!r} and {key!r} of a dict are both {text!r} in JSON: rename one")
        seen[text] = key


def _json(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise DataError(f"this is no JSON{where}: {exc}") from exc


def _text(kind: str, data: bytes | memoryview) -> str:
    try:
        return str(data, "utf-8")
    except UnicodeDecodeError as exc:
        raise DataError(f"{kind} is UTF-8, but byte {exc.start:,} is {exc.object[exc.start]:#04x}") from exc
