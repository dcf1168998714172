"""What chunks are when they aren't just bytes: arrays and tables in standard formats, in pure Python, on host and guest.

    from pangea.compute.data import Array, Table

An array is a .npy file, a table an Arrow IPC stream, so that any language can read a chunk and any library a result.
"""

from __future__ import annotations

from pangea.compute.data.array import Array
from pangea.compute.data.column import Column
from pangea.compute.data.errors import DataError
from pangea.compute.data.table import Table

__all__ = ["Array", "Column", "DataError", "Table"]
