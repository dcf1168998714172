"""Where the items of an array lie in its bytes. Strides are in bytes, as in NumPy, and may be negative."""

from __future__ import annotations

from itertools import product
from math import prod
from typing import Any

#: Formats that move whole items of so many bytes.
_WORDS = {1: "B", 2: "H", 4: "I", 8: "Q"}
_BYTEWISE_MAX = 32

Shape = tuple[int, ...]


def c_strides(shape: Shape, itemsize: int) -> Shape:
    """The strides of an array in C order: the last axis lies together."""
    strides, step = [], itemsize
    for side in reversed(shape):
        strides.append(step)
        step *= side
    return tuple(reversed(strides))


def fortran_strides(shape: Shape, itemsize: int) -> Shape:
    """The strides of an array in Fortran order: the first axis lies together."""
    return tuple(reversed(c_strides(tuple(reversed(shape)), itemsize)))


def is_contiguous(shape: Shape, strides: Shape, itemsize: int) -> bool:
    """Whether the items lie one after the other, in C order."""
    step = itemsize
    for side, stride in zip(reversed(shape), reversed(strides), strict=True):
        if side > 1 and stride != step:
            return not prod(shape)
        step *= side
    return True


def gather(view: memoryview, offset: int, shape: Shape, strides: Shape, itemsize: int) -> bytearray:
    """Copy the items that lie `strides` apart into C order.

    The longest axis is moved by slices with a step, so that Python's work grows with the other axes only.

    Args:
        view: the bytes.
        offset: of the first item, in bytes.
        shape: the sides.
        strides: one for each side, in bytes.
        itemsize: bytes of an item.
    """
    out = bytearray(prod(shape) * itemsize)
    if not out:
        return out
    if not shape:
        out[:] = view[offset : offset + itemsize]
        return out
    targets = c_strides(shape, itemsize)
    axis = max(range(len(shape)), key=shape.__getitem__)
    others = [index for index in range(len(shape)) if index != axis]
    count, source, target = shape[axis], strides[axis], targets[axis]
    move = _mover(view, memoryview(out), itemsize, (offset, *strides))
    for places in product(*(range(shape[index]) for index in others)):
        start = offset + sum(place * strides[index] for place, index in zip(places, others, strict=True))
        end = sum(place * targets[index] for place, index in zip(places, others, strict=True))
        move(start, source, end, target, count)
    return out


def _mover(view: memoryview, out: memoryview, itemsize: int, steps: Shape) -> Any:
    """A function that copies `count` items from a start with a stride to a start with a stride, all in bytes."""
    word: Any = _WORDS.get(itemsize)
    if word is not None and not any(step % itemsize for step in steps):
        whole = len(view) // itemsize * itemsize
        items, slots = view[:whole].cast(word), out.cast(word)

        def move_words(start: int, source: int, end: int, target: int, count: int) -> None:
            slots[span_of(end // itemsize, target // itemsize, count)] = items[
                span_of(start // itemsize, source // itemsize, count)
            ]

        return move_words

    def move_bytes(start: int, source: int, end: int, target: int, count: int) -> None:
        for byte in range(itemsize):
            out[span_of(end + byte, target, count)] = view[span_of(start + byte, source, count)]

    def move_items(start: int, source: int, end: int, target: int, count: int) -> None:
        for index in range(count):
            at, to = start + index * source, end + index * target
            out[to : to + itemsize] = view[at : at + itemsize]

    return move_bytes if itemsize <= _BYTEWISE_MAX else move_items


def span_of(start: int, step: int, count: int) -> slice:
    """The slice that takes `count` items (1 or more) from `start` on, `step` apart."""
    if count == 1:
        return slice(start, start + 1)
    stop = start + step * (count - 1) + (1 if step > 0 else -1)
    return slice(start, stop if stop >= 0 else None, step)
