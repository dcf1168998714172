"""`Array`, which arrays were before they were NumPy's own: kept for one version, for code that makes them.

A function declared `input="array"` is given a `numpy.ndarray`; whatever made an `Array` is better made by NumPy.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from pangea.compute.data import ndarrays
from pangea.compute.data.errors import DataError


class Array(np.ndarray[Any, Any]):
    """NumPy's array with the names that `Array` had besides: `of`, `from_npy`, `many`, `concat`, `rows`, `to_npy`, `equals`."""

    @classmethod
    def of(cls, values: Any, dtype: Any = None, shape: Sequence[int] | int | None = None) -> Array:
        """`numpy.array(values, dtype)`, but exactly, or a DataError.

        Raises:
            DataError: the lists are ragged, a value has no exact form, or the shape doesn't fit.
        """
        made = ndarrays.array_of(values, dtype)
        try:
            return (made if shape is None else made.reshape(shape)).view(cls)
        except ValueError as exc:
            raise DataError(f"{made.size:,} items don't fit into shape {shape}: {exc}") from exc

    @classmethod
    def from_npy(cls, buffer: Any) -> Array:
        """Read a whole .npy file: `numpy.load(io.BytesIO(buffer))`, without copying.

        Raises:
            DataError: it is none.
        """
        return ndarrays.from_npy(buffer).view(cls)

    @classmethod
    def many(cls, buffer: Any) -> list[Array]:
        """Read .npy files that follow one another.

        Raises:
            DataError: one of them is none.
        """
        return [array.view(cls) for array in ndarrays.many_npy(buffer)]

    @classmethod
    def concat(cls, arrays: Iterable[Any]) -> Array:
        """`numpy.concatenate`, of arrays of one type only.

        Raises:
            DataError: there are none, or they differ in type or in the sides of a row.
        """
        parts = list(arrays)
        if not parts or len({(part.dtype, part.shape[1:]) for part in parts}) > 1 or not parts[0].shape:
            raise DataError("arrays to put together are one at least, and of one type and one shape of rows")
        return np.concatenate(parts).view(cls)

    def rows(self) -> Iterator[Any]:
        """Go through the first axis in plain Python values: `iter(array.tolist())`."""
        return iter(self.tolist())

    def to_npy(self) -> bytes:
        """The bytes that `numpy.save` writes."""
        return ndarrays.npy_of(self)

    def equals(self, other: object) -> bool:
        """Whether the other is an array of the same type and shape with the same bytes."""
        return (
            isinstance(other, np.ndarray)
            and self.dtype == other.dtype
            and self.shape == other.shape
            and self.tobytes() == other.tobytes()
        )
