"""NumPy's values."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import numpy

from pangea.compute.runtime.guest.graph.rebuilding import Need, Rebuilding

Build = Generator[Need, None, None]
_make: Any = numpy.dtype


def dtype(at: Rebuilding, number: int, node: list[Any]) -> Build:
    """A type."""
    at.objects[number] = _dtype(node[1])
    yield None


def _dtype(written: Any) -> Any:
    if isinstance(written, str):
        return _make(written)
    if "base" in written:
        return _make((_dtype(written["base"]), tuple(written["shape"])))
    names, formats = written["names"], [_dtype(each) for each in written["formats"]]
    about = {"names": names, "formats": formats, "offsets": written["offsets"], "itemsize": written["itemsize"]}
    if any(each is not None for each in written["titles"]):
        about["titles"] = written["titles"]
    made = _make(about, align=written["aligned"])
    return _make((numpy.record, made)) if written["record"] else made


def scalar(at: Rebuilding, number: int, node: list[Any]) -> Build:
    """A scalar, of its bits."""
    yield at.complete(node[1])
    kind = at.value(node[1])
    at.objects[number] = numpy.ndarray((1,), kind, at.value(node[2]) or bytes(1)).copy()[0]
    yield None


def array(at: Rebuilding, number: int, node: list[Any]) -> Build:
    """An array with memory of its own, in the order of axes that it had."""
    _, kind, of, shape, order, data, is_writable, state = node
    yield at.complete(kind, of)
    memory = numpy.ndarray([shape[axis] for axis in order], at.value(of), at.value(data) or bytes(1))
    back = sorted(range(len(order)), key=order.__getitem__)
    yield from _finish(at, number, memory.transpose(back).copy(order="K"), kind, is_writable, state)


def view(at: Rebuilding, number: int, node: list[Any]) -> Build:
    """A part of the memory of another object."""
    _, kind, of, shape, base, strides, offset, is_writable, state = node
    yield at.complete(kind, of, base)
    owner = at.value(base)
    memory = owner.ravel(order="K").view(numpy.uint8) if isinstance(owner, numpy.ndarray) else owner
    made = numpy.ndarray(tuple(shape), at.value(of), memory, offset, tuple(strides))
    yield from _finish(at, number, made, kind, is_writable, state)


def objects(at: Rebuilding, number: int, node: list[Any]) -> Build:
    """An array of objects, which may hold itself."""
    _, kind, _of, shape, items, is_writable, state = node
    yield at.complete(kind)
    made = numpy.empty(tuple(shape), object)
    flat = made.reshape(-1)
    yield from _finish(at, number, made, kind, True, state)
    yield at.complete(*items)
    for index, item in enumerate(at.values(items)):
        flat[index] = item
    at.objects[number].flags.writeable = is_writable


def _finish(at: Rebuilding, number: int, made: Any, kind: Any, is_writable: bool, state: list[Any]) -> Build:
    cls = at.value(kind)
    made = at.objects[number] = made if cls is numpy.ndarray else made.view(cls)
    yield None
    yield at.complete(*state)
    if state:
        pairs = at.values(state)
        made.__dict__.update(zip(pairs[::2], pairs[1::2], strict=True))
    if not is_writable:
        made.flags.writeable = False


ARRAYS: dict[str, Callable[[Rebuilding, int, list[Any]], Build]] = {
    "numpy dtype": dtype,
    "numpy scalar": scalar,
    "numpy array": array,
    "numpy view": view,
    "numpy objects": objects,
}
