"""Comparisons of a column, which give masks: NumPy's arrays of truth values. And what there is to ask of a column of those."""

from __future__ import annotations

import operator
from typing import Any, ClassVar

from pangea.compute.data.comparing import Comparison, Side, flags


class Compared:
    """Items that compare one by one. `==` gives a mask, as in NumPy; `equals` says whether two are the same as a whole."""

    __slots__ = ()

    def _side(self) -> Side:
        raise NotImplementedError

    def _mask(self, marks: list[bool]) -> Any:
        raise NotImplementedError

    def _compared(self, other: Any, compare: Comparison) -> Any:
        return self._mask(flags(self._side(), other._side() if isinstance(other, Compared) else other, compare))

    def __eq__(self, other: object) -> Any:
        return self._compared(other, operator.eq)

    def __ne__(self, other: object) -> Any:
        return self._compared(other, operator.ne)

    def __lt__(self, other: Any) -> Any:
        return self._compared(other, operator.lt)

    def __le__(self, other: Any) -> Any:
        return self._compared(other, operator.le)

    def __gt__(self, other: Any) -> Any:
        return self._compared(other, operator.gt)

    def __ge__(self, other: Any) -> Any:
        return self._compared(other, operator.ge)

    __hash__: ClassVar[None] = None  # type: ignore[assignment]

    def __and__(self, other: Any) -> Any:
        return self._joined(other, operator.and_)

    def __or__(self, other: Any) -> Any:
        return self._joined(other, operator.or_)

    def __xor__(self, other: Any) -> Any:
        return self._joined(other, operator.xor)

    def __rand__(self, other: Any) -> Any:
        return self & other

    def __ror__(self, other: Any) -> Any:
        return self | other

    def __rxor__(self, other: Any) -> Any:
        return self ^ other

    def __invert__(self) -> Any:
        return self._mask([not mark for mark in self._marks()])

    def __contains__(self, value: object) -> bool:
        """Whether a value is among the items. NaN and None are in nothing."""
        return value is not None and any(flags(self._side(), value, operator.eq))

    def any(self) -> bool:
        """Whether one of the truth values is true.

        Raises:
            TypeError: the items are no truth values.
        """
        return any(self._marks())

    def all(self) -> bool:
        """Whether all of the truth values are true; null isn't.

        Raises:
            TypeError: the items are no truth values.
        """
        return all(self._marks())

    def is_missing(self) -> Any:
        """A mask of what is null, NaN or NaT."""
        return self._mask([value is None or value != value for value in self._side().values])

    def __bool__(self) -> bool:
        """The truth of a single item.

        Raises:
            ValueError: there are several, or none: which of them is meant?
        """
        values = self._side().values
        if len(values) != 1:
            raise ValueError(f"{len(values):,} items are neither true nor false as a whole: use any(), all() or len()")
        return bool(values[0])

    def _marks(self) -> list[bool]:
        side = self._side()
        if not all(value is None or isinstance(value, bool) for value in side.values):
            raise TypeError(f"{side.what} holds {side.family}, no truth values: compare it first, as in (a > 0) & (a < 9)")
        return [value is True for value in side.values]

    def _joined(self, other: Any, join: Any) -> Any:
        mine = self._marks()
        theirs = other._marks() if isinstance(other, Compared) else _plain_marks(other, len(mine))
        if len(theirs) != len(mine):
            raise ValueError(f"a mask of {len(mine):,} truth values and one of {len(theirs):,}")
        return self._mask(list(map(join, mine, theirs)))


def _plain_marks(other: Any, size: int) -> list[bool]:
    held = [other] * size if isinstance(other, bool) else other
    if not isinstance(held, list) or not all(isinstance(value, bool) for value in held):
        raise TypeError(f"truth values are needed on both sides, not {type(other).__name__}: put comparisons into brackets")
    return held
