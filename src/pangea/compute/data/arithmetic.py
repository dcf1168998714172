"""Arithmetic of columns, which NumPy does: the outcome is a column, null where a side is null.

Whole numbers that don't fit, and divisions by zero of whole numbers, are errors, where NumPy would wrap or give 0.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

Function = Callable[..., Any]


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
