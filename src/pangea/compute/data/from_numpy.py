"""What NumPy makes, as plain values and as columns: exactly, or refused by type.

Its objects are known by what they have, so that nothing is imported for those who have none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pangea.compute.data.bitmaps import validity_of
from pangea.compute.data.columntypes import ColumnType, column_type
from pangea.compute.data.errors import DataError
from pangea.compute.data.numpy_here import numpy
from pangea.compute.data.vector import Vector, of_raw

#: Column types by NumPy's letter and size.
NUMBERS = {
    "i1": "int8", "i2": "int16", "i4": "int32", "i8": "int64", "u1": "uint8", "u2": "uint16", "u4": "uint32", "u8": "uint64",
    "f2": "float16", "f4": "float32", "f8": "float64",
}  # fmt: skip
_LISTED = {"b": "bool", "U": "string", "S": "binary"}
_UNITS = ("s", "ms", "us", "ns")
#: Units of time that no column has, and how many seconds they are.
_COARSE = {"m": 60, "h": 3_600, "D": 86_400, "W": 604_800}


def is_numpy(value: Any) -> bool:
    """Whether `value` is an array or a scalar of NumPy's."""
    return hasattr(value, "__array_interface__") and hasattr(getattr(value, "dtype", None), "kind")


def is_masked(value: Any) -> bool:
    """Whether `value` is a masked array."""
    return is_numpy(value) and hasattr(value, "filled")


def plain(value: Any) -> Any:
    """What `value` is among JSON's values: a number, truth, text, or lists of those; null where it is masked.

    Raises:
        TypeError: it is nothing of NumPy's, or JSON has nothing that is the same.
    """
    if not is_numpy(value):
        raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")
    if value.dtype.kind in "bU" or value.dtype.str[1:] in NUMBERS:
        return value.tolist()
    remedy = "; write str(value), or output='array'" if value.dtype.kind in "Mm" else ""
    raise TypeError(f"NumPy's {value.dtype} is not JSON serializable{remedy}")


def with_plain_keys(value: Any) -> Any:
    """The same value, with plain values for NumPy's scalars wherever they are keys of dicts."""
    if isinstance(value, dict):
        return {(plain(key) if is_numpy(key) else key): with_plain_keys(each) for key, each in value.items()}
    return [with_plain_keys(each) for each in value] if isinstance(value, list | tuple) else value


def array_vector(name: str, values: Any) -> Vector | None:
    """A column's values of an array of NumPy's; NaT is null, and so is what is masked. None of objects and StringDType.

    Raises:
        DataError: the array hasn't one axis, or its items are of a type that no column has.
    """
    if values.ndim != 1:
        raise DataError(f"it is an array of shape {values.shape}, and a column has one axis")
    if values.dtype.char in "OT":
        return None
    library = numpy("an array")
    masked = library.ma.getmaskarray(values) if is_masked(values) else None
    held = library.ascontiguousarray(values.data if is_masked(values) else values)
    return _vector(name, held.astype(held.dtype.newbyteorder("="), copy=False), masked)


def scalars_vector(name: str, values: Sequence[Any]) -> Vector | Sequence[Any]:
    """A column's values of a list with scalars of NumPy's that are of one type, beside None; else a list with plain ones.

    Raises:
        DataError: they are of a type that no column has, or times beside something else.
    """
    library = numpy("a scalar of NumPy's")
    values = [None if value is library.ma.masked else value for value in values]
    scalars = [value for value in values if value is not None]
    kinds = {getattr(value, "dtype", type(value)) for value in scalars}
    if not scalars or len(kinds) > 1 or not all(is_numpy(value) and value.ndim == 0 for value in scalars):
        return plain_values(values)
    dtype, blank = scalars[0].dtype, scalars[0]
    filled = library.array([blank if value is None else value for value in values], dtype)
    found = _vector(name, filled, library.array([value is None for value in values], bool))
    return values if found is None else found


def plain_values(values: Sequence[Any]) -> list[Any]:
    """A list with plain values for NumPy's scalars.

    Raises:
        DataError: one has no plain value, or is an array.
    """
    try:
        return [plain(value) if is_numpy(value) and value.ndim == 0 else value for value in values]
    except TypeError as exc:
        kinds = ", ".join(sorted({str(getattr(value, "dtype", type(value).__name__)) for value in values}))
        raise DataError(f"there are values of type {kinds} together; give all one type") from exc


def stacked(leaves: Sequence[Any]) -> Any:
    """One array of NumPy's, of arrays or scalars of its own that are all of one type and shape; None if they aren't.

    Raises:
        DataError: one has masked items.
    """
    library = numpy("an array of NumPy's")
    parts = [unmasked(library.asanyarray(leaf)) for leaf in leaves if hasattr(leaf, "__array_interface__")]
    if len(parts) < len(leaves) or len({(part.dtype, part.shape) for part in parts}) > 1:
        return None
    return library.stack(parts)


def unmasked(array: Any) -> Any:
    """The same array, if nothing in it is masked.

    Raises:
        DataError: something is.
    """
    if not is_masked(array):
        return array
    if numpy("a masked array").ma.getmaskarray(array).any():
        raise DataError(
            "it has masked items, for which a .npy file has no place: give .filled(...), or a table, where they are null"
        )
    return array.data


def _vector(name: str, values: Any, masked: Any | None) -> Vector | None:
    kind, letters = values.dtype.kind, values.dtype.str[1:]
    if kind == "O":
        return None
    if kind in "Mm":
        return _times(name, values, masked)
    if kind in _LISTED:
        held = values.tolist() if masked is None else _without_masked(values, masked)
        return of_raw(column_type(_LISTED[kind], name), held)
    if letters not in NUMBERS:
        raise DataError(f"it holds NumPy's {values.dtype}, which no column does; give numbers, text, bytes or times")
    return _fixed(column_type(NUMBERS[letters], name), values, masked)


def _without_masked(values: Any, masked: Any) -> list[Any]:
    """Plain values, with None where they are masked."""
    return [None if is_missing else value for value, is_missing in zip(values.tolist(), masked.tolist(), strict=True)]


def _times(name: str, values: Any, masked: Any | None) -> Vector:
    """Spans and instants in a unit that columns have; days are dates."""
    library = numpy("an array of times")
    unit, count = library.datetime_data(values.dtype)
    missing = library.isnat(values) if masked is None else masked | library.isnat(values)
    numbers = library.where(missing, 0, values.view("i8"))
    if values.dtype.kind == "M" and (unit, count) == ("D", 1):
        days = numbers.astype("i4")
        if (days != numbers).any():
            raise DataError("it has days that don't fit into 32 bits")
        return _fixed(column_type("date32", name), days, missing)
    scale = count * _COARSE.get(unit, 1 if unit in _UNITS else 0)
    if not scale:
        raise DataError(f"it holds NumPy's {values.dtype}; columns have seconds, or thousandths of them: cast it first")
    if scale > 1 and len(numbers) and int(abs(numbers).max()) > (1 << 62) // scale:
        raise DataError(f"it holds NumPy's {values.dtype} of numbers so large that no column has them")
    head = "timestamp" if values.dtype.kind == "M" else "duration"
    return _fixed(column_type(f"{head}[{unit if unit in _UNITS else 's'}]", name), numbers * scale, missing)


def _fixed(kind: ColumnType, numbers: Any, masked: Any | None) -> Vector:
    view = memoryview(numbers.tobytes())
    if masked is None or not masked.any():
        return Vector(kind, len(numbers), view)
    bitmap, null_count = validity_of([None if is_missing else True for is_missing in masked.tolist()])
    return Vector(kind, len(numbers), view, validity=memoryview(bitmap), null_count=null_count)
