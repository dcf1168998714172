"""What chunks are when they aren't just bytes: arrays and tables in standard formats, on host and guest.

    from pangea.compute.data import Table

An array is a .npy file, a table an Arrow IPC stream, so that any language can read a chunk and any library a result. Arrays are
NumPy's; tables, which NumPy has none of, are read here in pure Python, and their columns are NumPy's on demand.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from pangea.compute.data.column import Column
from pangea.compute.data.errors import DataError
from pangea.compute.data.table import Table

if TYPE_CHECKING:
    from pangea.compute.data.array import Array

__all__ = ["Array", "Column", "DataError", "Table"]


def __getattr__(name: str) -> Any:
    if name != "Array":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from pangea.compute.data import array

    warnings.warn(
        "pangea.compute.data.Array goes with the next version: arrays are numpy.ndarray now; make them with NumPy",
        DeprecationWarning,
        stacklevel=2,
    )
    return array.Array
