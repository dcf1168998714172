"""What an index finds in an array: another offset, other sides, other strides; nothing is copied."""

from __future__ import annotations

from typing import Any

from pangea.compute.data.selecting import is_several, whole_index
from pangea.compute.data.strides import Shape


def looked_at(keys: tuple[Any, ...], sides: Shape, steps: Shape) -> tuple[int, Shape, Shape]:
    """The offset in bytes, the sides and the strides of what `keys` find.

    Args:
        keys: whole numbers, slices, one ellipsis.
        sides: of the array.
        steps: its strides, in bytes.

    Raises:
        IndexError: a number is out of range, or there are too many keys.
        TypeError: a key is something else.
    """
    keys = _without_ellipsis(keys, len(sides))
    offset, shape, strides = 0, [], []
    for axis, (side, stride) in enumerate(zip(sides, steps, strict=True)):
        key = keys[axis] if axis < len(keys) else slice(None)
        if isinstance(key, slice):
            span = range(side)[key]
            if span:  # an empty slice may start behind the end
                offset += span.start * stride
            shape.append(len(span))
            strides.append(stride * span.step)
        else:
            offset += whole_index(_checked(key), side, "items") * stride
    return offset, tuple(shape), tuple(strides)


def _checked(key: Any) -> Any:
    if key is None:
        raise TypeError("None adds no axis here: a.reshape(...) does")
    if is_several(key):
        raise TypeError("a mask or a list stands alone in the brackets, not beside other axes: choose in two steps")
    return key


def _without_ellipsis(keys: tuple[Any, ...], ndim: int) -> tuple[Any, ...]:
    places = [place for place, key in enumerate(keys) if key is Ellipsis]
    if len(places) > 1:
        raise IndexError("an index has one ellipsis at most")
    if len(keys) - len(places) > ndim:
        raise IndexError(f"{len(keys) - len(places)} indices for an array of {ndim} axes")
    if not places:
        return keys
    place = places[0]
    return (*keys[:place], *[slice(None)] * (ndim - len(keys) + 1), *keys[place + 1 :])
