"""Describe arrays and views of memory: items by their value, views by the object that they look into, and from where."""

from __future__ import annotations

import array
import ctypes
import sys
from typing import Any

from pangea.compute.capture.walk import Record, Walk

_LONG_MAX = 1 << 31
_INTEGER_CODES = "bBhHiIlLqQ"
#: Formats whose items have another size in the guest.
_NATIVE = frozenset("lLnNP")
_HINT_VIEW = "take a copy of it: bytes(view)"


def numbers(walk: Walk, value: array.array[Any]) -> Record:
    """An array: integers as such, since C's types have other sizes in the guest."""
    if value.typecode not in _INTEGER_CODES:
        data = value if sys.byteorder == "little" else array.array(value.typecode, value)
        return ["array of bytes", value.typecode, walk.ref(array.array.tobytes(data))]
    items = array.array.tolist(value)
    low = -_LONG_MAX if value.typecode == "l" else 0
    high = _LONG_MAX if value.typecode == "l" else 2 * _LONG_MAX
    if value.typecode in "lL" and items and not (low <= min(items) and max(items) < high):
        walk.refuse(
            f"is an array of type {value.typecode!r} with numbers of more than 32 bits, which a C long has in the sandbox",
            f"use the type {'q' if value.typecode == 'l' else 'Q'!r}",
        )
    return ["array", value.typecode, items]


def view(walk: Walk, value: memoryview) -> Record:
    """A view: of the object that it looks into, so that each sees what is written to the other."""
    try:
        base = value.obj
    except ValueError:
        walk.refuse("is a memoryview that has been released", _HINT_VIEW)
    if not isinstance(base, bytes | bytearray | array.array):
        data = bytes(value.tobytes()) if value.readonly else bytearray(value.tobytes())
        return _window(walk, value, data, 0, list(value.strides or ()), is_copy=True)
    whole = memoryview(base)
    if (value.format, value.shape, value.strides, value.readonly) == (
        *(whole.format, whole.shape, whole.strides),
        whole.readonly,
    ):
        return ["call", walk.ref(memoryview), [walk.ref(base, "attribute", "obj")]]
    return _window(walk, value, base, address(value) - address(whole), list(value.strides or ()), is_copy=False)


def _window(walk: Walk, value: memoryview, base: Any, offset: int, strides: list[int], *, is_copy: bool) -> Record:
    """A part of `base`: where its first item is, in bytes, and how far apart they are."""
    code = value.format
    if (code[-1:] in _NATIVE and code[:1] not in "<>=!") or (isinstance(base, array.array) and base.typecode in "lL"):
        walk.refuse(f"is a memoryview of items of type {code!r}, which have another size in the sandbox", _HINT_VIEW)
    if not (value.c_contiguous or value.ndim == 1):
        walk.refuse("is a memoryview of several dimensions with gaps", _HINT_VIEW)
    step = 1 if is_copy or value.ndim != 1 else strides[0] // value.itemsize
    return ["view", walk.ref(base, "attribute", "obj"), code, list(value.shape or ()), offset, step, value.readonly]


class _Buffer(ctypes.Structure):
    """`Py_buffer` of CPython's stable interface (since 3.11)."""

    _fields_ = (
        ("buf", ctypes.c_void_p),
        ("obj", ctypes.py_object),
        ("len", ctypes.c_ssize_t),
        ("itemsize", ctypes.c_ssize_t),
        ("readonly", ctypes.c_int),
        ("ndim", ctypes.c_int),
        ("format", ctypes.c_char_p),
        ("shape", ctypes.c_void_p),
        ("strides", ctypes.c_void_p),
        ("suboffsets", ctypes.c_void_p),
        ("internal", ctypes.c_void_p),
    )


_STRIDED_AND_FORMAT = 0x0018 | 0x0004


def address(value: memoryview) -> int:
    """Where the first item lies in this process."""
    about = _Buffer()
    ctypes.pythonapi.PyObject_GetBuffer(ctypes.py_object(value), ctypes.byref(about), _STRIDED_AND_FORMAT)
    try:
        return int(about.buf or 0)
    finally:
        ctypes.pythonapi.PyBuffer_Release(ctypes.byref(about))
