"""`Column`: the values of a table under one name, in as many runs as the table has record batches."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate, chain
from typing import Any

from pangea.compute.data import categories as listed
from pangea.compute.data.categories import Categories
from pangea.compute.data.columntypes import BITS, BYTES, DECIMAL, FIXED, NESTED, NOTHING, ColumnType, column_type
from pangea.compute.data.comparing import BYTES as BYTE_STRINGS
from pangea.compute.data.comparing import INSIDE, NUMBER, TEXT, TIME, Comparison, Side
from pangea.compute.data.comparing import NOTHING as NO_VALUES
from pangea.compute.data.errors import DataError
from pangea.compute.data.figures import Figures, null_mask, values_array
from pangea.compute.data.from_numpy import array_vector
from pangea.compute.data.masks import Compared
from pangea.compute.data.measures import NANOSECONDS, column_scale
from pangea.compute.data.numpy_here import numpy
from pangea.compute.data.refusing import refused
from pangea.compute.data.selecting import is_several, positions, whole_index
from pangea.compute.data.vector import Vector, joined, of_raw, of_values
from pangea.compute.data.zones import KEY as ZONE_KEY
from pangea.compute.data.zones import localized, rules_of

#: What arrays of NumPy's or columns of pandas' have under another name, or not here.
_REMEDIES = {
    "isna": "is_missing()", "isnull": "is_missing()", "fillna": "fill(value)", "dropna": "column[~column.is_missing()]",
    "cat": "categories, is_ordered, with_categories() and plain()",
    "sort_values": "sort()", "to_list": "tolist()", "as_py": "tolist()", "size": "len(column)", "dtype": "type",
    "value_counts": "templates.value_counts, or numpy.unique(..., return_counts=True)", "apply": "a loop over the column",
    "is_null": "is_missing()", "median": "numpy.nanmedian(numpy.asarray(column))",
    "quantile": "numpy.nanquantile(numpy.asarray(column), q)", "map": "a loop over the column",
    "str": "a loop over tolist()", "dt": "to_numpy(), whose datetime64 NumPy reckons with",
}  # fmt: skip
#: How many rows iteration turns into Python values at a time.
BLOCK_ROWS = 8192

Metadata = tuple[tuple[bytes, bytes], ...]


class Column(Figures, Compared):
    """Values of one type, with None where they are null. Not to be changed.

    `c[0]`, `c[2:5]`, `c[mask]` and `c[[0, 3]]` choose rows; `c == value` is a mask, `c.equals(d)` compares as a whole;
    `c * 2 + d` is a column, `c.sum()` and `c.mean()` leave nulls out; `c.values` and `np.asarray(c)` are NumPy's arrays.

    Attributes:
        name: in its table.
        is_nullable: whether the schema allows nulls.
        metadata: what a schema says of it besides: pairs of bytes; None of a column that was made here.
    """

    is_nullable: bool
    metadata: Metadata | None
    name: str

    #: Above that of NumPy's arrays, so that `array + column` and `array == column` are the column's, which knows its nulls.
    __array_priority__ = 1000
    __slots__ = ("_direct", "_starts", "_type", "is_nullable", "metadata", "name", "vectors")

    def __init__(
        self,
        name: str,
        kind: ColumnType,
        vectors: Sequence[Vector],
        *,
        is_nullable: bool = True,
        metadata: Metadata | None = None,
    ) -> None:
        """Put together `vectors` of type `kind`; `Table` makes columns."""
        self.name, self._type, self.is_nullable, self.metadata = name, kind, is_nullable, metadata
        self.vectors: tuple[Vector, ...] = tuple(vectors)
        self._direct: memoryview | None = None
        self._starts = list(accumulate((vector.length for vector in vectors), initial=0))

    @property
    def type(self) -> str:
        """The type's name, such as `int64` or `timestamp[us]`."""
        return self._type.name

    @property
    def kind(self) -> ColumnType:
        """The type itself."""
        return self._type

    @property
    def null_count(self) -> int:
        """How many values are null."""
        return sum(vector.null_count for vector in self.vectors)

    @property
    def values(self) -> Any:
        """NumPy's array of the numbers, nulls being whatever lies there: `mask` says where.

        It can't be written to. It looks at the table's own bytes if it has one record batch; booleans are copied. Dates and
        times are whole numbers: `to_numpy()` has them as `datetime64`.

        Raises:
            DataError: text and bytes have no fixed width.
        """
        return values_array(self)

    @property
    def mask(self) -> Any:
        """NumPy's array of truth values: where nothing is (null; NaN is a number here, and `is_missing()` has it, too)."""
        missing = null_mask(self)
        return numpy("a mask").zeros(len(self), bool) if missing is None else missing

    def numbers(self) -> memoryview:
        """What `values` has, as a flat memoryview, without NumPy.

        float16 is a copy as float32 before Python 3.12.

        Raises:
            DataError: text and bytes have no fixed width.
        """
        if self._type.layout == FIXED:
            return self._numbers()
        if self._type.layout == BITS:
            bits: Any = memoryview(bytes(chain.from_iterable(vector.flags() for vector in self.vectors))).cast("?")
            return bits  # type: ignore[no-any-return]
        raise DataError(f"column {self.name!r} of type {self.type} has no numbers to look at; take tolist()")

    @property
    def known_categories(self) -> Categories | None:
        """The categories that the values are of, as they are stored; None of any other column."""
        return listed.known_of(self.metadata)

    @property
    def categories(self) -> list[Any] | None:
        """The categories, as Python values in their order, those that no row has among them; None of any other column."""
        known = self.known_categories
        if known is None:
            return None
        return Column(self.name, self._type, [of_raw(self._type, list(known.values))]).tolist()

    @property
    def is_ordered(self) -> bool:
        """Whether there are categories of which one is less than another."""
        known = self.known_categories
        return known is not None and known.is_ordered

    def with_categories(self, values: Sequence[Any], *, ordered: bool = False) -> Column:
        """The same values as categories, which sort, group and compare in the order of a list.

        Args:
            values: all that there may be, in their order.
            ordered: whether one is less than another.

        Raises:
            DataError: a value of the column is none of them, one is there twice, or of a type that is no category.
        """
        held = self.made_of(list(values), self.type).stored()
        try:
            known = listed.parsed(Categories(tuple(held), ordered).described())
        except ValueError as exc:
            raise DataError(f"column {self.name!r} of type {self.type}: {exc}") from exc
        return listed.kept_by(self.described_by(known), self)  # type: ignore[no-any-return]

    def described_by(self, known: Categories | None) -> Column:
        """The same values, said to be of these categories, or of none."""
        rules = rules_of(self._type.zone) if self.metadata is None else None
        said = self.metadata if rules is None else ((ZONE_KEY, rules),)
        metadata = None if said is None and known is None else listed.metadata_with(said, known)
        return Column(self.name, self._type, self.vectors, is_nullable=self.is_nullable, metadata=metadata)

    def plain(self) -> Column:
        """The same values without categories: in the order that text or numbers have."""
        return self if self.known_categories is None else self.described_by(None)

    def tolist(self) -> list[Any]:
        """The values as Python values, with None for nulls.

        Raises:
            DataError: text is no UTF-8, offsets point outside, or a date has no place in Python's calendar.
        """
        try:
            lists = [vector.tolist() for vector in self.vectors]
            values = lists[0] if len(lists) == 1 else list(chain.from_iterable(lists))
            return localized(values, self._type.zone) if self._type.zone and self._type.to_python else values
        except DataError as exc:
            raise DataError(f"column {self.name!r}: {exc}") from exc

    def stored(self) -> list[Any]:
        """The values as they are stored (times as whole numbers, lists and structs as tuples), with None for nulls."""
        lists = [vector.raw() for vector in self.vectors]
        return lists[0] if len(lists) == 1 else list(chain.from_iterable(lists))

    def comparable(self) -> list[Any]:
        """What is stored, with None for NaN, too: it is equal and in order as the values are; of categories, their places.

        Raises:
            DataError: lists and structs are no keys, and have no order.
        """
        if self._type.layout in NESTED:
            raise DataError(f"column {self.name!r} is of type {self.type}: lists and structs are no keys, and have no order")
        if self.known_categories is not None:
            return listed.places(self)
        values = self.stored()
        return [value if value == value else None for value in values] if self.type.startswith("float") else values

    def slice(self, start: int, stop: int) -> Column:
        """The values from `start` to `stop` (0 <= start <= stop <= length), without copying."""
        vectors = []
        for vector, first in zip(self.vectors, self._starts, strict=False):
            low, high = max(start - first, 0), min(stop - first, vector.length)
            if low < high:
                vectors.append(vector.slice(low, high))
        return self._with(vectors)

    def take(self, positions: Sequence[int]) -> Column:
        """The values at these positions (0 or more), in this order."""
        whole = joined(self.vectors, self._type) if self.vectors else of_raw(self._type, [])
        return self._with([whole.take(positions)])

    def named(self, name: str) -> Column:
        """The same column under another name."""
        return Column(name, self._type, self.vectors, is_nullable=self.is_nullable, metadata=self.metadata)

    def one_vector(self) -> Column:
        """The same column in one run."""
        return self if len(self.vectors) == 1 else self._with([joined(self.vectors, self._type)])

    def lengths(self) -> tuple[int, ...]:
        """How many values each run has."""
        return tuple(vector.length for vector in self.vectors)

    def __len__(self) -> int:
        return self._starts[-1]

    def __iter__(self) -> Iterator[Any]:
        if self._is_plain():
            return chain.from_iterable(vector.numbers() for vector in self.vectors)
        size = len(self)
        blocks = (self.slice(at, min(at + BLOCK_ROWS, size)) for at in range(0, size, BLOCK_ROWS))
        return chain.from_iterable(block.tolist() for block in blocks)

    def __getitem__(self, key: Any) -> Any:
        if self._direct is not None and type(key) is int:
            return self._direct[key]
        size = len(self)
        if isinstance(key, slice):
            span = range(size)[key]
            return self.slice(span.start, max(span.start, span.stop)) if span.step == 1 else self.take(span)
        if is_several(key):
            return self.take(positions(key, size, "rows"))
        index = whole_index(key, size, "rows")
        if len(self.vectors) == 1 and self._is_plain():
            self._direct = self.numbers()
            return self._direct[index]
        place = bisect_right(self._starts, index) - 1
        within = index - self._starts[place]
        return Column(self.name, self._type, [self.vectors[place].slice(within, within + 1)]).tolist()[0]

    def equals(self, other: object) -> bool:
        """Whether the other column has the same type and values, compared as lists are."""
        return isinstance(other, Column) and self.type == other.type and self.tolist() == other.tolist()

    def __repr__(self) -> str:
        more = ", ..." if len(self) > 10 else ""
        return f"Column({self.name!r}, {self.type}, [{', '.join(map(repr, self[:10].tolist()))}{more}])"

    def made_of(self, values: list[Any], kind: Any) -> Column:
        """A column of Python values in type `kind`, under the same name.

        Raises:
            DataError: a value has no exact form in it; names the row.
        """
        wanted = column_type(kind, self.name)
        return Column(self.name, wanted, [of_values(self.name, wanted, values)])

    def made_of_array(self, values: Any, missing: Any, zone: str) -> Column:
        """A column of NumPy's array, null where `missing`, under the same name; instants are in `zone`."""
        library = numpy("arithmetic")
        held = values if missing is None else library.ma.array(values, mask=library.broadcast_to(missing, values.shape))
        vector = array_vector(self.name, held)
        if vector is None:
            raise DataError(f"column {self.name!r}: there are no numbers in what this gives")
        if zone and vector.type.name.startswith("timestamp"):
            vector = vector.retyped(column_type(f"{vector.type.name[:-1]}, tz={zone}]", self.name))
        return Column(self.name, vector.type, [vector])

    def __getattr__(self, name: str) -> Any:
        raise refused("a Column", name, _REMEDIES)

    def _compared(self, other: Any, compare: Comparison) -> Any:
        if compare in listed.ORDER:
            if self.known_categories is not None:
                return self._mask(listed.compared(self, other, compare))
            if getattr(other, "known_categories", None) is not None:
                raise TypeError(f"column {self.name!r} is compared with {other.name!r}, which has categories: take its plain()")
        return super()._compared(other, compare)

    def _side(self) -> Side:
        family, has_zone, scale = _family_of(self._type)
        values = self.stored()
        if scale != 1:
            values = [None if value is None else value * scale for value in values]
        return Side(values, family, f"column {self.name!r} of type {self.type}", has_zone)

    def _mask(self, marks: list[bool]) -> Any:
        return numpy("a mask").array(marks, bool)

    def _with(self, vectors: Sequence[Vector]) -> Column:
        return Column(self.name, self._type, vectors, is_nullable=self.is_nullable, metadata=self.metadata)

    def _is_plain(self) -> bool:
        """Whether all values are numbers as they are stored."""
        return self._type.layout == FIXED and self._type.to_python is None and not self.null_count

    def _numbers(self) -> memoryview:
        if len(self.vectors) == 1:
            return self.vectors[0].numbers()
        parts = [vector.buffers()[1] for vector in self.vectors]
        whole = Vector(self._type, len(self), memoryview(b"".join(parts)))
        return whole.numbers()


def _family_of(kind: ColumnType) -> tuple[str, bool, int]:
    """What values of a type compare as, whether they have a zone, and how many nanoseconds one is (1 of what is no time)."""
    if kind.layout in NESTED:
        return INSIDE, False, 1
    if kind.layout in (BITS, NOTHING, BYTES, DECIMAL):
        return (
            {BITS: NUMBER, DECIMAL: NUMBER, NOTHING: NO_VALUES, BYTES: TEXT if kind.is_text else BYTE_STRINGS}[kind.layout],
            False,
            1,
        )
    if kind.name.startswith("time") and not kind.name.startswith("timestamp"):
        return TIME, False, NANOSECONDS[kind.name.partition("[")[2].removesuffix("]")]
    scale = column_scale("", kind.name)
    return (NUMBER, False, 1) if scale.kind == "number" else (scale.kind, scale.has_zone, scale.nanoseconds)


def joined_columns(columns: Sequence[Column]) -> Column:
    """One column with the values of all, one after the other; those of type null take the type of the others.

    It has categories if all have the same ones, as in pandas.

    Raises:
        DataError: they differ in type.
    """
    model = next((column for column in columns if column.type != "null"), columns[0])
    vectors: list[Vector] = []
    for column in columns:
        if column.type == "null" != model.type:
            vectors += [of_raw(model.kind, [None] * vector.length) for vector in column.vectors]
        elif column.type == model.type:
            vectors += column.vectors
        else:
            raise DataError(f"column {model.name!r} has type {model.type} in one table and {column.type} in another")
    is_nullable = any(column.is_nullable for column in columns)
    whole = Column(model.name, model.kind, vectors, is_nullable=is_nullable, metadata=model.metadata)
    typed = [column for column in columns if column.type != "null"]
    return whole if all(column.known_categories == model.known_categories for column in typed) else whole.plain()
