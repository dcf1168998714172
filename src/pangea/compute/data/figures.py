"""What a column comes to: sums and means, arithmetic with nulls, and what has to do with its values as a whole, as in pandas.

Null and NaN are missing: no figure counts them, and whatever is reckoned with null is null. Whole numbers that don't fit their
type, and whole numbers divided by zero, are errors, where NumPy would give others.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Context, Decimal, localcontext
from typing import Any

from pangea.compute.data import categories as listed
from pangea.compute.data.arithmetic import Arithmetic, Function
from pangea.compute.data.casting import cast
from pangea.compute.data.columntypes import BITS, FIXED, ColumnType, column_type
from pangea.compute.data.errors import DataError, shown
from pangea.compute.data.moments import EPOCH, EPOCH_UTC
from pangea.compute.data.numpy_here import numpy
from pangea.compute.data.selecting import is_mask, positions

_UNITS = ("s", "ms", "us", "ns")
_DIVIDING = (operator.floordiv, operator.mod)
_MICROSECOND = timedelta(microseconds=1)
#: What whole numbers of 64 bits are rounded by as floats, and their difference, is less.
_ROUNDED = 2.0**13


class Figures(Arithmetic):
    """Sums, means and arithmetic of a column."""

    __slots__ = ()

    def count(self: Any) -> int:
        """How many values aren't missing."""
        return len(_present(self))

    def sum(self: Any) -> Any:
        """The sum of the numbers (exactly, of whole numbers and decimals) or of the spans of time; 0 of none."""
        if self.type.startswith("decimal"):
            with localcontext(Context(prec=200)):  # exact: more than any decimals add up to
                return sum(_present(self), Decimal())
        values = _numbers(self, "sum", spans=True)
        if self.type.startswith("duration"):
            return sum(values, timedelta()) if self.kind.to_python else sum(values)
        return float(numpy("a sum").sum(values)) if self.type.startswith("float") else sum(map(int, values))

    def mean(self: Any) -> float:
        """The mean of the numbers; NaN of none."""
        values = _numbers(self, "mean")
        return self.sum() / len(values) if values else math.nan

    def var(self: Any, ddof: int = 1) -> float:
        """The variance of the numbers, divided by their count less `ddof`, as in pandas; NaN of too few."""
        values = _numbers(self, "var")
        return float(numpy("a variance").var([float(value) for value in values], ddof=ddof)) if len(values) > ddof else math.nan

    def std(self: Any, ddof: int = 1) -> float:
        """The standard deviation: the root of `var`."""
        return math.sqrt(self.var(ddof))

    def min(self: Any) -> Any:
        """The least value; None of none."""
        if self.known_categories is not None:
            return listed.extreme(self, is_least=True)
        return min(_ordered(self), default=None)

    def max(self: Any) -> Any:
        """The greatest value; None of none."""
        if self.known_categories is not None:
            return listed.extreme(self, is_least=False)
        return max(_ordered(self), default=None)

    def unique(self: Any) -> Any:
        """Each value once, null too, in the order of the first."""
        firsts: dict[Any, int] = {}
        self.comparable()
        for place, value in enumerate(self.tolist()):
            firsts.setdefault("NaN" if value != value else (value,), place)
        return self.take(list(firsts.values()))

    def nunique(self: Any) -> int:
        """How many different values there are, missing ones not counted."""
        return len({value for value in self.comparable() if value is not None})

    def isin(self: Any, values: Iterable[Any]) -> Any:
        """A mask of the values that are among these; missing ones aren't."""
        held = [value for value in values if value is not None and value == value]
        marks = self == held[0] if held else self._mask([False] * len(self))
        for value in held[1:]:
            marks = marks | (self == value)
        return marks

    def fill(self: Any, value: Any) -> Any:
        """The same column with `value` where it is missing (null or NaN).

        Raises:
            DataError: the value doesn't fit the column's type, or is none of its categories.
        """
        values = [value if held is None or held != held else held for held in self.tolist()]
        return listed.kept_by(self, self.made_of(values, self.type))

    def astype(self: Any, kind: Any) -> Any:
        """The values in another type, such as `float64`, as NumPy casts them, and without categories.

        Raises:
            DataError: a value has no form in it, or NumPy would give something else than the value; names the row.
        """
        wanted = column_type(kind, self.name)
        if wanted.name == self.type:
            return self.plain()
        heads = [name.partition("[")[0] for name in (self.type, wanted.name)]
        if heads[0] == heads[1] and heads[0] in ("timestamp", "duration"):
            return _in_unit(self, wanted)
        is_in_nanoseconds = self.type.endswith("[ns]") or self.type.startswith("timestamp[ns")
        if is_in_nanoseconds and wanted.name != "int64":  # they are whole numbers here, which would be taken for others
            raise DataError(f"column {self.name!r} of type {self.type} can't be cast to {wanted}; by way of [us], perhaps")
        return self.made_of(cast(self.name, self.tolist(), self.type, wanted.name), wanted)

    def sort(self: Any, *, descending: bool = False) -> Any:
        """The values in order, equal ones as they were, missing ones last. The column itself stays as it is."""
        return self.take(sorted_places(self, descending=descending))

    def where(self: Any, mask: Any, other: Any = None) -> Any:
        """The values where `mask` is true, and `other` (null, if nothing else is said) elsewhere, as in pandas.

        Args:
            mask: a truth value for each row; null is false.
            other: a value of the column's type, None, or a column of as many rows and of the same type.

        Raises:
            DataError: the value doesn't fit the column's type, or is none of its categories.
            IndexError: there are more or fewer truth values than rows.
        """
        chosen = set(positions(mask, len(self), "rows")) if is_mask(mask) else None
        if chosen is None:
            raise TypeError(f"column {self.name!r}: where() takes a mask, as in c.where(c > 0), not {shown(mask)}")
        others = other.tolist() if hasattr(other, "vectors") else [other] * len(self)
        if len(others) != len(self) or getattr(other, "type", self.type) != self.type:
            raise DataError(f"column {self.name!r} of type {self.type} and {len(self):,} rows: the others are not such")
        values = [value if place in chosen else others[place] for place, value in enumerate(self.tolist())]
        return listed.kept_by(self, self.made_of(values, self.type))

    def to_numpy(self: Any) -> Any:
        """NumPy's array: what `numpy.asarray` gives."""
        return self.__array__()

    def to_pylist(self: Any) -> list[Any]:
        """Python values, with None for nulls: what `tolist()` gives."""
        values: list[Any] = self.tolist()
        return values

    def __array__(self: Any, dtype: Any = None, copy: bool | None = None) -> Any:
        """What `numpy.asarray` gives: numbers, truth values, `datetime64` (of a zone: in UTC), `timedelta64`, or objects.

        A null is NaN or NaT; of whole numbers and truth values with nulls there is no array.

        Raises:
            DataError: there is none.
        """
        library = numpy("an array")
        if self.kind.layout not in (FIXED, BITS) or _is_clock(self):
            found = library.array([*self.tolist(), None], object)[:-1]  # the None keeps lists and texts items
        else:
            found, missing = raw_array(self)
            if missing is not None and found.dtype.kind not in "fMm":
                raise DataError(f"column {self.name!r} of type {self.type} has nulls, which no array of NumPy's has: fill() them")
            if missing is not None:
                found = found.copy()
                found[missing] = math.nan if found.dtype.kind == "f" else "NaT"
        return found if dtype is None else found.astype(dtype)

    def _reckoned(self: Any, function: Function, *operands: Any) -> Any:
        parts = [_operand(self, operand) for operand in operands]
        arrays, zone = _in_one_unit([array for array, _ in parts]), _zone_of(function, operands)
        missing = None
        for _, mask in parts:
            missing = mask if missing is None else missing if mask is None else missing | mask
        return self.made_of_array(_exactly(self, function, arrays), missing, zone)


def sorted_places(column: Any, *, descending: bool) -> list[int]:
    """The rows in the order of the column's values, equal ones as they were, missing ones last."""
    values = column.comparable()
    missing = [place for place, value in enumerate(values) if value is None]
    left = set(missing)
    there = [place for place in range(len(values)) if place not in left]
    return [*sorted(there, key=values.__getitem__, reverse=descending), *missing]


def _in_unit(column: Any, wanted: ColumnType) -> Any:
    """Instants or spans in another unit, or zone."""
    if bool(wanted.zone) != bool(column.kind.zone):
        raise DataError(f"column {column.name!r} of type {column.type} can't be cast to {wanted}: only one has a time zone")
    values, missing = raw_array(column)
    unit = wanted.name.partition("[")[2].partition("]")[0].partition(",")[0]
    cast = values.astype(f"{values.dtype.kind}8[{unit}]")
    wrong = cast.astype(values.dtype) != values
    if (wrong if missing is None else wrong & ~missing).any():
        raise DataError(f"column {column.name!r} of type {column.type} has times that {wanted} doesn't hold exactly")
    return column.made_of_array(cast, missing, wanted.zone)


def raw_array(column: Any) -> tuple[Any, Any]:
    """The values as an array of NumPy's, and a mask of the nulls, where anything may lie; None if there is none."""
    head, _, unit = column.type.partition(", tz=")[0].partition("[")
    values = values_array(column)
    if head in ("timestamp", "duration"):
        values = values.view(f"{'M' if head == 'timestamp' else 'm'}8[{unit.removesuffix(']')}]")
    if head in ("date32", "date64"):
        values = values.astype("i8").view("M8[D]" if head == "date32" else "M8[ms]")
    return values, null_mask(column)


def values_array(column: Any) -> Any:
    """The stored numbers as an array of NumPy's, without copying those of one run."""
    if column.kind.format == "e":  # of which memoryview knows nothing before Python 3.12
        parts = [vector.buffers()[1] for vector in column.vectors]
        return numpy("an array").frombuffer(parts[0] if len(parts) == 1 else b"".join(parts), "<f2")
    numbers = column.numbers()
    return numpy("an array").frombuffer(numbers.toreadonly(), numbers.format) if numbers else _no_numbers(numbers.format)


def _no_numbers(code: str) -> Any:
    return numpy("an array").zeros(0, code)


def null_mask(column: Any) -> Any:
    """Where the column is null; None if it is nowhere."""
    if not column.null_count:
        return None
    marks: list[bool] = []
    for vector in column.vectors:
        marks += vector.null_marks()
    return numpy("a mask").array(marks, bool)


def _is_clock(column: Any) -> bool:
    """Whether the values are times of day, with which there is no reckoning."""
    return column.type.startswith("time") and not column.type.startswith("timestamp")


def _present(column: Any) -> list[Any]:
    return [value for value in column.tolist() if value is not None and value == value]


def _ordered(column: Any) -> list[Any]:
    """The values that aren't missing, of a type that has an order."""
    column.comparable()
    return _present(column)


def _numbers(column: Any, what: str, *, spans: bool = False) -> list[Any]:
    is_number = column.kind.layout == BITS or column.type.startswith(("int", "uint", "float"))
    if not is_number and not (spans and column.type.startswith("duration")):
        raise TypeError(f"column {column.name!r} is of type {column.type}, which has no {what}()")
    return _present(column)


def _operand(column: Any, operand: Any) -> tuple[Any, Any]:
    """An operand as an array and a mask of nulls."""
    library = numpy("arithmetic")
    if hasattr(operand, "vectors"):
        if len(operand) != len(column):
            raise ValueError(f"columns of {len(column):,} and {len(operand):,} rows")
        if operand.kind.layout not in (FIXED, BITS) or _is_clock(operand):
            raise TypeError(f"column {operand.name!r} is of type {operand.type}: arithmetic is of numbers, instants and spans")
        values, missing = raw_array(operand)
        return (
            (values, None)
            if missing is None
            else (library.where(missing, library.ones(1, "i8").astype(values.dtype), values), missing)
        )
    if isinstance(operand, datetime):
        return library.array((operand - (EPOCH_UTC if operand.tzinfo else EPOCH)) // _MICROSECOND).view("M8[us]"), None
    if isinstance(operand, timedelta):
        return library.array(operand // _MICROSECOND).view("m8[us]"), None
    if type(operand) in (int, float):  # which fit any number's type
        return operand, None
    found = library.asarray(operand)
    if found.dtype.kind not in "biufMm" or found.ndim > 1 or (found.ndim == 1 and len(found) != len(column)):
        raise TypeError(f"column {column.name!r} of {len(column):,} rows can't be reckoned with {shown(operand)}")
    if found.dtype.kind not in "Mm":
        return found, None
    missing = library.isnat(found)
    return (
        (library.where(missing, library.zeros(1, "i8").astype(found.dtype), found), missing) if missing.any() else (found, None)
    )


def _in_one_unit(arrays: list[Any]) -> list[Any]:
    """The same arrays, times among them in the finest unit of those; an error if one doesn't fit there."""
    library = numpy("arithmetic")
    kinds = [getattr(getattr(array, "dtype", None), "kind", "") for array in arrays]
    units = [library.datetime_data(array.dtype)[0] for array, kind in zip(arrays, kinds, strict=True) if kind and kind in "Mm"]
    if len(set(units)) < 2:
        return arrays
    wanted = max((unit for unit in units if unit in _UNITS), key=_UNITS.index, default="s")
    found = []
    for array, kind in zip(arrays, kinds, strict=True):
        if kind and kind in "Mm":
            cast = array.astype(f"{kind}8[{wanted}]")
            if (cast.astype(array.dtype) != array).any():
                raise DataError(f"times that don't fit into the unit {wanted!r}, which the others are in")
            array = cast  # noqa: PLW2901
        found.append(array)
    return found


def _zone_of(function: Function, operands: tuple[Any, ...]) -> str:
    """The zone that the outcome has: that of an instant, unless two give a span."""
    instants = [each for each in operands if getattr(each, "type", "").startswith("timestamp") or isinstance(each, datetime)]
    zones = [each.kind.zone if hasattr(each, "kind") else "UTC" if each.tzinfo else "" for each in instants]
    if len(zones) == 2 and bool(zones[0]) != bool(zones[1]):
        raise TypeError("one side has a time zone, and the other has none")
    return zones[0] if len(zones) == 1 and function in (operator.add, operator.sub) else ""


def _exactly(column: Any, function: Function, arrays: list[Any]) -> Any:
    """What `function` gives, if it is what the numbers come to.

    Raises:
        DataError: whole numbers don't fit their type, or are divided by zero; or there is no such arithmetic.
    """
    library = numpy("arithmetic")
    kinds = [library.asarray(array).dtype.kind for array in arrays]
    if function in (operator.add, operator.sub) and len({kind in "Mm" for kind in kinds}) > 1:
        raise TypeError(f"column {column.name!r} of type {column.type}: times and numbers don't add up; give a timedelta")
    if function in _DIVIDING and not set(kinds) - set("biuMm") and not library.asarray(arrays[1]).astype("i8").all():
        raise DataError(f"column {column.name!r}: a whole number is divided by zero")
    try:
        with library.errstate(all="ignore"):
            found = library.asarray(function(*arrays))
    except (TypeError, OverflowError, ValueError) as exc:
        raise DataError(f"column {column.name!r} of type {column.type}: {exc}") from exc
    if found.dtype.kind in "iuMm" and (found.dtype.itemsize < 8 or _may_be_large(function, arrays)):
        right = function(*map(_as_objects, arrays))
        if (right != _as_objects(found)).any():
            raise DataError(f"column {column.name!r}: whole numbers don't fit into {found.dtype}; cast them with astype() first")
    return found


def _may_be_large(function: Function, arrays: list[Any]) -> bool:
    """Whether a result comes near the end of 64 bits, or might."""
    library = numpy("arithmetic")
    with library.errstate(all="ignore"):
        rough = function(*(_whole(array).astype("f8") for array in arrays))
    if function in (operator.sub, operator.neg) and not (rough > _ROUNDED).all() and _has_no_sign(arrays):
        return True  # it may be below zero, which isn't there
    return not (abs(rough) < 2.0**62).all()


def _has_no_sign(arrays: list[Any]) -> bool:
    return any(getattr(getattr(array, "dtype", None), "kind", "") == "u" for array in arrays)


def _as_objects(array: Any) -> Any:
    return _whole(array).astype(object)


def _whole(array: Any) -> Any:
    """The numbers, also those that times are stored as."""
    held = numpy("arithmetic").asarray(array)
    return held.view("i8") if held.dtype.kind in "Mm" else held
