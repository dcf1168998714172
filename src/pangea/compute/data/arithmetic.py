"""Arithmetic of arrays and columns, which NumPy does: it is in every sandbox, and outside where it is installed.

Of an `Array` the outcome is NumPy's own array, with NumPy's types. Of a `Column` it is a column, null where a side is null;
whole numbers that don't fit, and divisions by zero of whole numbers, are errors, where NumPy would wrap or give 0.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from pangea.compute.data.errors import DataError

Function = Callable[..., Any]
#: What changes an array in place: on a view that can't be changed, or on a copy that nobody sees.
_IN_PLACE = frozenset({"fill", "itemset", "partition", "put", "resize", "setfield", "setflags", "sort"})


class Arithmetic:
    """`+ - * / // % ** abs` and their kin, item by item."""

    __slots__ = ()

    def _reckoned(self, function: Function, *operands: Any) -> Any:
        """What `function` gives of the operands, of which one is this."""
        raise NotImplementedError

    def __add__(self, other: Any) -> Any:
        return self._reckoned(operator.add, self, other)

    def __radd__(self, other: Any) -> Any:
        return self._reckoned(operator.add, other, self)

    def __sub__(self, other: Any) -> Any:
        return self._reckoned(operator.sub, self, other)

    def __rsub__(self, other: Any) -> Any:
        return self._reckoned(operator.sub, other, self)

    def __mul__(self, other: Any) -> Any:
        return self._reckoned(operator.mul, self, other)

    def __rmul__(self, other: Any) -> Any:
        return self._reckoned(operator.mul, other, self)

    def __truediv__(self, other: Any) -> Any:
        return self._reckoned(operator.truediv, self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return self._reckoned(operator.truediv, other, self)

    def __floordiv__(self, other: Any) -> Any:
        return self._reckoned(operator.floordiv, self, other)

    def __rfloordiv__(self, other: Any) -> Any:
        return self._reckoned(operator.floordiv, other, self)

    def __mod__(self, other: Any) -> Any:
        return self._reckoned(operator.mod, self, other)

    def __rmod__(self, other: Any) -> Any:
        return self._reckoned(operator.mod, other, self)

    def __pow__(self, other: Any) -> Any:
        return self._reckoned(operator.pow, self, other)

    def __rpow__(self, other: Any) -> Any:
        return self._reckoned(operator.pow, other, self)

    def __neg__(self) -> Any:
        return self._reckoned(operator.neg, self)

    def __abs__(self) -> Any:
        return self._reckoned(operator.abs, self)


def numpy(what: str) -> Any:
    """The library.

    Raises:
        DataError: it isn't installed, and `what` needs it.
    """
    try:
        import numpy as found
    except ImportError as exc:
        raise DataError(f"{what} needs NumPy, which isn't installed here; in a sandbox it is always there") from exc
    return found


def ndarray_attribute(array: Any, name: str) -> Any:
    """What NumPy's array of the same items has under `name`.

    Raises:
        AttributeError: nothing, or what would change the array.
    """
    if name in _IN_PLACE:
        raise AttributeError(f"an Array can't be changed, so it has no {name!r}: take numpy.array(array), or numpy.sort(array)")
    if name.startswith("_"):
        raise AttributeError(name)
    try:
        library = numpy(f"Array.{name}")
    except DataError as exc:
        raise AttributeError(str(exc)) from exc
    if not hasattr(library.ndarray, name):
        raise AttributeError(f"neither an Array nor NumPy's array has {name!r}")
    return getattr(library.asarray(array), name)
