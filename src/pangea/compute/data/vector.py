"""A run of values of one column that lie together in memory: what a record batch holds of a column.

Source: Arrow columnar format 1.5, "Physical Memory Layout".
"""

from __future__ import annotations

import struct
from array import array as flat_array
from collections.abc import Iterable, Iterator, Sequence
from decimal import Context, Decimal
from itertools import accumulate, chain, pairwise
from typing import Any

from pangea.compute.data import bitmaps, moments
from pangea.compute.data.columntypes import BITS, BYTES, DECIMAL, FIXED, LIST, NOTHING, STRUCT, ColumnType
from pangea.compute.data.dtypes import HAS_HALF_VIEWS
from pangea.compute.data.errors import DataError, shown

#: Room for all digits that a decimal has, and for those that it is shifted by.
_DECIMALS = Context(prec=200)
_REFUSED = (TypeError, ValueError, OverflowError, AttributeError, struct.error)


class Vector:
    """Values of one type, any of which may be null.

    Attributes:
        type: of the values.
        length: how many there are.
        null_count: how many of them are null.
    """

    __slots__ = ("_bit", "_children", "_offsets", "_validity", "_values", "length", "null_count", "type")
    length: int
    null_count: int
    type: ColumnType

    def __init__(
        self,
        kind: ColumnType,
        length: int,
        values: memoryview,
        *,
        offsets: memoryview | None = None,
        validity: memoryview | None = None,
        bit: int = 0,
        null_count: int = 0,
        children: Sequence[Vector] = (),
    ) -> None:
        """Look at buffers that are long enough, which the caller has checked.

        Args:
            kind: the type.
            length: how many values.
            values: the numbers' bytes, the bits, or the bytes that `offsets` cut.
            offsets: cast to their format, one more than there are values.
            validity: the bitmap, or None when nothing is null.
            bit: at which bit of the bitmaps the values begin.
            null_count: how many are null.
            children: the items of all lists, that `offsets` cut; or the fields of structs, each as long as this.
        """
        self.type, self.length, self.null_count = kind, length, null_count
        self._children = tuple(children)
        self._values, self._offsets, self._bit = values, offsets, bit
        self._validity = validity if null_count else None

    def slice(self, start: int, stop: int) -> Vector:
        """The values from `start` to `stop` (0 <= start <= stop <= length), without copying."""
        if (start, stop) == (0, self.length):
            return self
        length, bit = stop - start, self._bit + start
        null_count = self._nulls(start, length)
        values, offsets, children = self._values, self._offsets, self._children
        if self.type.layout in (FIXED, DECIMAL):
            values = values[start * self.type.width : stop * self.type.width]
        elif offsets is not None:
            offsets = offsets[start : stop + 1]
        elif children:
            children = tuple(child.slice(start, stop) for child in children)
        return Vector(
            self.type,
            length,
            values,
            offsets=offsets,
            validity=self._validity,
            bit=bit,
            null_count=null_count,
            children=children,
        )

    def retyped(self, kind: ColumnType) -> Vector:
        """The same stored numbers as values of another type of the same layout."""
        return Vector(kind, self.length, self._values, validity=self._validity, bit=self._bit, null_count=self.null_count)

    def numbers(self) -> memoryview:
        """The numbers of a FIXED vector, nulls being whatever lies there; float16 is copied as float32 before Python 3.12."""
        if self.type.format == "e" and not HAS_HALF_VIEWS:
            return memoryview(flat_array("f", struct.unpack(f"<{self.length}e", self._values)))
        numbers: memoryview = self._values.cast(self.type.format)
        return numbers

    def null_marks(self) -> list[bool]:
        """Which values are null."""
        if self.type.layout == NOTHING:
            return [True] * self.length
        if self._validity is None:
            return [False] * self.length
        return [not is_there for is_there in bitmaps.unpack(self._validity, self._bit, self.length)]

    def flags(self) -> list[bool]:
        """The truth of a BITS vector's values, nulls being whatever lies there."""
        return bitmaps.unpack(self._values, self._bit, self.length)

    def raw(self) -> list[Any]:
        """The values as they are stored (dates and times as whole numbers, lists and structs as tuples), with None for nulls.

        Raises:
            DataError: offsets point outside, or text is no UTF-8.
        """
        layout = self.type.layout
        if layout == NOTHING:
            return [None] * self.length
        if layout == BYTES:
            return self._texts()
        values: list[Any] = (
            self._tuples()
            if self._children
            else self._decimals()
            if layout == DECIMAL
            else self.numbers().tolist()
            if layout == FIXED
            else self.flags()
        )
        for position in self._null_positions():
            values[position] = None
        return values

    def tolist(self) -> list[Any]:
        """The values as Python values, with None for nulls.

        Raises:
            DataError: offsets point outside, text is no UTF-8, or a date has no place in Python's calendar.
        """
        values, convert = self.raw(), self.type.to_python
        return values if convert is None else moments.converted(values, convert)

    def ends(self) -> list[int]:
        """Where each value of a BYTES or LIST vector begins and, one later, ends.

        Raises:
            DataError: they go backwards or outside.
        """
        assert self._offsets is not None
        ends: list[int] = self._offsets.tolist()
        most = self._children[0].length if self._children else len(self._values)
        if ends[0] < 0 or ends[-1] > most or sorted(ends) != ends:
            raise DataError(f"corrupt Arrow data: offsets of {'lists' if self._children else 'texts'} go backwards or outside")
        return ends

    def flat(self) -> Iterator[Vector]:
        """This vector, then those of its items or fields, then theirs: what a record batch has, in order."""
        yield self
        for child in self._children:
            if self.type.layout == LIST:
                ends = self.ends()
                child = child.slice(ends[0], ends[-1])  # noqa: PLW2901
            yield from child.flat()

    def buffers(self) -> list[bytes | memoryview]:
        """The buffers that a record batch has of this vector, starting at its first value."""
        layout = self.type.layout
        if layout == NOTHING:
            return []
        validity = b"" if self._validity is None else bitmaps.cut(self._validity, self._bit, self.length)
        if layout in (FIXED, DECIMAL):
            return [validity, self._values]
        if layout == BITS:
            return [validity, bitmaps.cut(self._values, self._bit, self.length)]
        if layout == STRUCT:
            return [validity]
        assert self._offsets is not None
        ends = self.ends()
        first, offsets = ends[0], self._offsets
        if first:
            offsets = memoryview(flat_array(self.type.format, [end - first for end in ends]))
        content = [] if layout == LIST else [self._values[first : ends[-1]]]
        return [validity, offsets.cast("B"), *content]

    def take(self, positions: Sequence[int]) -> Vector:
        """The values at these positions, in this order."""
        if self.type.layout == FIXED and not self.null_count and self.type.format != "e":
            numbers = self.numbers()
            picked = flat_array(self.type.format, [numbers[position] for position in positions])
            return Vector(self.type, len(picked), memoryview(picked).cast("B"))
        raw = self.raw()
        return of_raw(self.type, [raw[position] for position in positions])

    def _nulls(self, start: int, length: int) -> int:
        if self.type.layout == NOTHING or self.null_count == self.length:
            return length
        if self._validity is None:
            return 0
        return length - bitmaps.count_set(self._validity, self._bit + start, length)

    def _null_positions(self) -> Iterable[int]:
        return () if self._validity is None else bitmaps.clear_positions(self._validity, self._bit, self.length)

    def _decimals(self) -> list[Any]:
        width, behind = self.type.width, self.type.digits[1]
        numbers = (
            int.from_bytes(self._values[at : at + width], "little", signed=True) for at in range(0, self.length * width, width)
        )
        return [_DECIMALS.scaleb(Decimal(number), -behind) for number in numbers]

    def _tuples(self) -> list[Any]:
        if self.type.layout == STRUCT:
            return list(zip(*(child.raw() for child in self._children), strict=True))
        ends = self.ends()
        first = ends[0]
        held = self._children[0].slice(first, ends[-1]).raw()
        return [tuple(held[start - first : stop - first]) for start, stop in pairwise(ends)]

    def _texts(self) -> list[Any]:
        ends = self.ends()
        first = ends[0]
        held = bytes(self._values[first : ends[-1]])
        if first:
            ends = [end - first for end in ends]
        if not self.type.is_text:
            values: list[Any] = [held[start:stop] for start, stop in pairwise(ends)]
        elif held.isascii():
            text = held.decode("ascii")
            values = [text[start:stop] for start, stop in pairwise(ends)]
        else:
            return self._decoded(held, ends)
        for position in self._null_positions():
            values[position] = None
        return values

    def _decoded(self, held: bytes, ends: list[int]) -> list[Any]:
        nulls = set(self._null_positions())
        spans = enumerate(pairwise(ends))
        try:
            if not nulls:
                return [held[start:stop].decode() for _, (start, stop) in spans]
            return [None if index in nulls else held[start:stop].decode() for index, (start, stop) in spans]
        except UnicodeDecodeError as exc:
            raise DataError(f"a text is not UTF-8: {exc.object[:40]!r}") from exc


def of_raw(kind: ColumnType, values: Sequence[Any]) -> Vector:
    """A vector of stored values (dates and times as whole numbers, lists and structs as tuples), None for nulls.

    Raises:
        TypeError, ValueError, OverflowError: a value isn't of the type; the caller finds out which.
    """
    length = len(values)
    if kind.layout == NOTHING:
        if any(value is not None for value in values):
            raise TypeError("a column of type null has nothing but None")
        return Vector(kind, length, memoryview(b""), null_count=length)
    validity, null_count = None, 0
    if None in values:
        bitmap, null_count = bitmaps.validity_of(values)
        validity = memoryview(bitmap)
        values = [_blank(kind) if value is None else value for value in values]
    offsets, content, children = None, b"", []
    if kind.layout == FIXED:
        content = _packed_numbers(kind, values)
    elif kind.layout == DECIMAL:
        content = b"".join([_packed_decimal(kind, value) for value in values])
    elif kind.layout == LIST:
        offsets = memoryview(flat_array(kind.format, accumulate(map(len, values), initial=0)))
        children = [of_raw(kind.children[0][1], list(chain.from_iterable(values)))]
    elif kind.layout == STRUCT:
        held = list(zip(*values, strict=True)) or [()] * len(kind.children)
        children = [of_raw(child, list(each)) for (_, child), each in zip(kind.children, held, strict=True)]
    elif kind.layout == BITS:
        if set(map(type, values)) - {bool}:
            raise TypeError("neither True nor False")
        content = bitmaps.pack(values)
    else:
        offsets, content = _packed_texts(kind, values)
    return Vector(kind, length, memoryview(content), offsets=offsets, validity=validity, null_count=null_count, children=children)


def _blank(kind: ColumnType) -> Any:
    """What is stored where nothing is."""
    if kind.layout == STRUCT:
        return (None,) * len(kind.children)
    return {BITS: False, BYTES: "" if kind.is_text else b"", LIST: ()}.get(kind.layout, 0)


def _packed_decimal(kind: ColumnType, value: Any) -> bytes:
    digits, behind = kind.digits
    if not value:
        return bytes(kind.width)
    if not isinstance(value, Decimal) or value.adjusted() + behind >= digits:
        raise ValueError(f"it has no place among {digits} digits, {behind} behind the point")
    scaled = _DECIMALS.scaleb(value, behind)
    if scaled != int(scaled):
        raise ValueError(f"it has more than {behind} digits behind the point")
    return int(scaled).to_bytes(kind.width, "little", signed=True)


def of_values(name: str, kind: ColumnType, values: list[Any]) -> Vector:
    """A vector of Python values; of what a column `name` has.

    Raises:
        DataError: a value doesn't fit; names the column and the row.
    """
    try:
        return of_raw(kind, _stored(kind, values))
    except _REFUSED as exc:
        for row, value in enumerate(values):
            try:
                of_raw(kind, _stored(kind, [value]))
            except _REFUSED as cause:
                raise DataError(f"column {name!r}, row {row:,}: {shown(value)} is no {kind.name} ({cause})") from exc
        raise DataError(f"column {name!r} doesn't fit into type {kind.name}: {exc}") from exc


def _stored(kind: ColumnType, values: list[Any]) -> list[Any]:
    convert = kind.from_python
    if convert is None:
        return values
    return [None if value is None else convert(value) for value in values]


def joined(vectors: Sequence[Vector], kind: ColumnType) -> Vector:
    """One vector with the values of all, which have type `kind`."""
    if len(vectors) == 1:
        return vectors[0]
    length, null_count = sum(vector.length for vector in vectors), sum(vector.null_count for vector in vectors)
    if kind.layout == FIXED and not null_count:
        return Vector(kind, length, memoryview(b"".join([vector.buffers()[1] for vector in vectors])))
    return of_raw(kind, [value for vector in vectors for value in vector.raw()])


def _packed_numbers(kind: ColumnType, values: Sequence[Any]) -> bytes:
    if kind.format == "e":
        return struct.pack(f"<{len(values)}e", *values)
    if kind.name != "bool" and bool in set(map(type, values)):
        raise TypeError("a truth value is no number")
    return flat_array(kind.format, values).tobytes()


def _packed_texts(kind: ColumnType, values: Sequence[Any]) -> tuple[memoryview, bytes]:
    if kind.is_text:
        text = "".join(values)
        if text.isascii():
            content, sizes = text.encode(), list(map(len, values))
        else:
            parts: Sequence[bytes] = [value.encode() for value in values]
            content, sizes = b"".join(parts), list(map(len, parts))
    else:
        parts = values if set(map(type, values)) <= {bytes} else [memoryview(value).tobytes() for value in values]
        content, sizes = b"".join(parts), list(map(len, parts))
    return memoryview(flat_array(kind.format, accumulate(sizes, initial=0))), content
