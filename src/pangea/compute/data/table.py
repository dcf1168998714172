"""`Table`: named columns of equal length, over the bytes of an Arrow IPC stream, without pyarrow.

Columns look at the bytes that the table was read from; slicing, selecting and reading copy nothing. `column.tolist()`,
`column.values` and `table.rows()` are where the speed is: they do whole columns at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, repeat
from typing import Any, ClassVar

from pangea.compute.data import arrow, building
from pangea.compute.data.column import BLOCK_ROWS, Column, Metadata, joined_columns
from pangea.compute.data.errors import DataError, NoColumnError, shown
from pangea.compute.data.figures import sorted_places
from pangea.compute.data.making import bytes_view
from pangea.compute.data.refusing import refused
from pangea.compute.data.selecting import is_several, positions, whole_index

#: What frames have under another name, or not here.
_REMEDIES = {
    "": "t['name'] for a column; ready jobs (joins, pivots, windows) are in pangea.compute.templates",
    "shape": "len(t) and t.names", "dtypes": "t.schema", "columns_": "t.columns", "head": "t[:5]", "tail": "t[-5:]",
    "iloc": "t[0], t[2:5], t[mask]", "loc": "t[mask]", "filter": "t[mask]", "query": "t[mask]", "sort_values": "t.sort(by)",
    "drop": "t.select(...)", "assign": "Table.of({**t.columns, 'name': values})", "iterrows": "t.dicts()",
    "itertuples": "t.rows()", "to_dict": "t.tolist()", "to_dicts": "t.tolist()", "merge": "templates.join",
    "join": "templates.join", "group_by": "t.groupby(by)", "describe": "templates.describe",
    "to_pandas": "result.as_frame(), outside", "values": "t['name'].to_numpy()", "where": "t[mask]",
    "dropna": "t[~t['name'].is_missing()]", "apply": "a loop over t.dicts()",
    "rename": "Table.of({names.get(name, name): column for name, column in t.columns.items()})",
}  # fmt: skip
_PAIRS = "{key: rows['x'].sum() for key, rows in t.groupby(by)}, or templates.group_by"
#: In the metadata of a table whose columns stand for others that nobody knows, as no row was left to show them.
ROWLESS = b"pangea.rowless"


class Table:
    """Named columns, each with values of one type or None. Not to be changed.

        table = Table.from_arrow(chunk)
        table["price"].values.sum()
        [name for name, price in table.select("name", "price").rows() if price is not None]
        Table.of({"name": ["a", "b"], "count": [1, None]}).to_arrow()

    Attributes:
        columns: by name, in order.
        metadata: what the schema says besides: pairs of bytes (pandas keeps its own there).
    """

    __slots__ = ("_lengths", "columns", "metadata")
    metadata: Metadata

    def __init__(self, columns: Iterable[Column], lengths: Sequence[int], metadata: Metadata = ()) -> None:
        """Put columns together; use `Table.of` or `Table.from_arrow` to make a table.

        Args:
            columns: each with a vector for each of `lengths`.
            lengths: rows of each record batch.
            metadata: of the schema.
        """
        self.columns: dict[str, Column] = {column.name: column for column in columns}
        self._lengths, self.metadata = tuple(lengths), metadata

    @classmethod
    def of(cls, columns: Mapping[str, Any], types: Mapping[str, Any] | Sequence[Any] | None = None) -> Table:
        """Make a table of Python values.

        Args:
            columns: by name: lists of values, None where there is none; or `array.array`, a buffer of numbers, a
                NumPy array of one axis, a Column.
            types: of columns, by name or for all in order: pyarrow's names (`int32`, `timestamp[us, tz=UTC]`) or Python
                types. The others' are found: bool, int64, float64, string, binary, date32, timestamp[us] (with UTC for
                times with a zone), time64[us], duration[us]; null if all values are None.

        Raises:
            DataError: columns differ in length, or a value doesn't fit; the message names the column and the row.
        """
        named = dict(columns)
        wanted = building.types_by_name(list(named), types)
        made = [building.column_of(name, values, wanted.get(name)) for name, values in named.items()]
        return cls._of_columns(made)

    @classmethod
    def of_rows(cls, rows: Iterable[Mapping[str, Any]], types: Mapping[str, Any] | Sequence[Any] | None = None) -> Table:
        """Make a table of dicts, one a row; what a dict lacks is null.

        Args:
            rows: the dicts.
            types: as for `of`; with types by name, those columns come first, and are there even without rows.

        Raises:
            DataError: a row is no dict, or a value doesn't fit.
        """
        held = list(rows)
        names = dict.fromkeys(types) if isinstance(types, Mapping) else {}
        for index, row in enumerate(held):
            if not isinstance(row, Mapping):
                raise DataError(f"row {index:,} is no dict: {shown(row)}")
            names.update(dict.fromkeys(row))
        return cls.of({name: [row.get(name) for row in held] for name in names}, types)

    @classmethod
    def from_arrow(cls, buffer: Any) -> Table:
        """Read a whole Arrow IPC stream, without copying.

        Args:
            buffer: bytes, bytearray or memoryview; the table keeps it.

        Raises:
            DataError: it is no stream, is damaged or cut off, compressed, dictionary-encoded, or has a column of a type that
                has no place here, which is named.
        """
        view = bytes_view(buffer)
        stream = arrow.read_stream(view)
        if stream.stop != len(view):
            raise DataError(f"{len(view) - stream.stop:,} bytes follow the end of the Arrow stream; Table.many reads several")
        return cls._of_stream(stream)

    @classmethod
    def many(cls, buffer: Any) -> list[Table]:
        """Read Arrow streams that follow one another, without copying.

        Raises:
            DataError: as for `from_arrow`.
        """
        view, found, at = bytes_view(buffer), [], 0
        while at < len(view):
            stream = arrow.read_stream(view, at)
            found.append(cls._of_stream(stream))
            at = stream.stop
        return found

    @classmethod
    def concat(cls, tables: Iterable[Table]) -> Table:
        """Put tables with the same columns one under the other, without copying: the record batches stay as they are.

        A column that is of type null in some tables takes the type that it has in the others.

        Raises:
            DataError: there are none, or their columns differ.
        """
        parts = list(tables)
        if not parts:
            raise DataError("no tables to put together: the columns would be unknown")
        first = parts[0]
        for part in parts:
            if part.names != first.names:
                raise DataError(f"tables to put together differ: columns {shown(first.names, 200)} and {shown(part.names, 200)}")
        columns = [joined_columns([part.columns[name] for part in parts]) for name in first.columns]
        return cls(columns, [length for part in parts for length in part._lengths], first.metadata)

    @classmethod
    def _of_stream(cls, stream: arrow.Stream) -> Table:
        columns = [
            Column(
                field.name,
                field.type,
                [vectors[index] for vectors in stream.batches],
                is_nullable=field.is_nullable,
                metadata=field.metadata,
            )
            for index, field in enumerate(stream.schema.fields)
        ]
        return cls(columns, stream.lengths, stream.schema.metadata)

    @classmethod
    def _of_columns(cls, columns: Sequence[Column], metadata: Metadata = ()) -> Table:
        sizes = {len(column) for column in columns}
        if len(sizes) > 1:
            found = ", ".join(f"{column.name!r} has {len(column):,}" for column in columns)
            raise DataError(f"columns differ in length, in rows: {found[:300]}")
        lengths = columns[0].lengths() if columns else ()
        if any(column.lengths() != lengths for column in columns):
            columns, lengths = [column.one_vector() for column in columns], tuple(sizes)
        return cls(columns, lengths, metadata)

    @property
    def names(self) -> list[str]:
        """The columns' names, in order."""
        return list(self.columns)

    @property
    def types(self) -> list[str]:
        """The columns' types, in order."""
        return [column.type for column in self.columns.values()]

    @property
    def schema(self) -> dict[str, str]:
        """The columns' types, by name."""
        return {name: column.type for name, column in self.columns.items()}

    def select(self, *names: str) -> Table:
        """The table with these columns only, in this order."""
        return Table([self[name] for name in names], self._lengths, self.metadata)

    def without_rows(self) -> Table:
        """The columns without a row, marked as those of a table that has none left: where others have rows, theirs count."""
        columns = [column.slice(0, 0) for column in self.columns.values()]
        return Table(columns, [], ((ROWLESS, b""),))

    def take(self, positions: Sequence[int]) -> Table:
        """The rows at these positions (0 or more), in this order."""
        return Table([column.take(positions) for column in self.columns.values()], [len(positions)], self.metadata)

    def groupby(self, by: str) -> Groups:
        """Go through the values of a column, in order, each with its rows; missing ones (null and NaN) are left out."""
        places: dict[Any, list[int]] = {}
        for place, value in enumerate(self[by].tolist()):
            if value is not None and value == value:
                places.setdefault(value, []).append(place)
        order = {value: place for place, value in enumerate(self[by].categories or sorted(places))}
        return Groups((value, self.take(places[value])) for value in sorted(places, key=order.__getitem__))

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """Go through the rows, as tuples."""
        if not self.columns:
            return iter([()] * len(self))
        size = len(self)
        blocks = (self[at : min(at + BLOCK_ROWS, size)] for at in range(0, size, BLOCK_ROWS))
        return chain.from_iterable(zip(*[column.tolist() for column in block.columns.values()], strict=True) for block in blocks)

    def dicts(self) -> Iterator[dict[str, Any]]:
        """Go through the rows, as dicts."""
        names = self.names
        return map(dict, map(zip, repeat(names), self.rows()))

    def tolist(self) -> list[dict[str, Any]]:
        """All rows, as dicts."""
        return list(self.dicts())

    def to_pylist(self) -> list[dict[str, Any]]:
        """All rows, as dicts: what `tolist()` gives."""
        return self.tolist()

    def to_arrow(self) -> bytes:
        """The table as an Arrow IPC stream, with as many record batches as it came from."""
        return arrow.write_stream(list(self.columns.values()), self._lengths, self.metadata)

    def __len__(self) -> int:
        return sum(self._lengths)

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return self.rows()

    def __getitem__(self, key: Any) -> Any:
        """A column by its name, a row (a tuple) by its number, or a table.

        A slice, a mask or a list of numbers chooses rows, a list of names columns.
        """
        if isinstance(key, str):
            if key not in self.columns:
                raise NoColumnError(f"the table has no column {key!r}; it has {', '.join(map(repr, self.columns)) or 'none'}")
            return self.columns[key]
        if isinstance(key, list) and key and all(isinstance(name, str) for name in key):
            return self.select(*key)
        if is_several(key):
            return self.take(positions(key, len(self), "rows"))
        if not isinstance(key, slice):
            place = whole_index(key, len(self), "rows")
            return tuple(column[place] for column in self.columns.values())
        span = range(len(self))[key]
        if span.step != 1:
            return self.take(span)
        start, stop = span.start, max(span.start, span.stop)
        columns = [column.slice(start, stop) for column in self.columns.values()]
        return Table(columns, columns[0].lengths() if columns else [stop - start], self.metadata)

    def sort(self, by: str, *, descending: bool = False) -> Table:
        """The rows in the order of a column, equal ones as they were, those without a value last."""
        return self.take(sorted_places(self[by], descending=descending))

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_") and name != "columns" and name in self.columns:
            raise AttributeError(f"columns are taken by t[{name!r}]", name=name)
        raise refused("a Table", name, _REMEDIES)

    def __contains__(self, name: object) -> bool:
        """Whether there is a column of that name, as with a dict or a frame."""
        return name in self.columns

    def __eq__(self, other: object) -> bool:
        """Whether the other is a table with the same columns of the same types and values, compared as lists are.

        Raises:
            TypeError: it is something else: a mask comes from a column.
        """
        if not isinstance(other, Table):
            raise TypeError(f"a table is compared with {shown(other)}: compare a column, as in t['name'] == value")
        return self.equals(other)

    def equals(self, other: object) -> bool:
        """Whether the other is a table with the same columns of the same types and values, compared as lists are."""
        return (
            isinstance(other, Table)
            and len(self) == len(other)
            and self.names == other.names
            and all(map(Column.equals, self.columns.values(), other.columns.values()))
        )

    __hash__: ClassVar[None] = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        columns = ", ".join(f"{name}: {kind}" for name, kind in self.schema.items())
        return f"Table({len(self):,} rows; {columns})"


class Groups:
    """Pairs of a value and its rows, as `Table.groupby` gives them, to be gone through once."""

    __slots__ = ("_pairs",)

    def __init__(self, pairs: Iterator[tuple[Any, Table]]) -> None:
        """Give these pairs."""
        self._pairs = pairs

    def __iter__(self) -> Iterator[tuple[Any, Table]]:
        return self._pairs

    def __next__(self) -> tuple[Any, Table]:
        return next(self._pairs)

    def __getitem__(self, name: Any) -> Any:
        raise TypeError(f"t.groupby(by) has no items: take {_PAIRS}")

    def __getattr__(self, name: str) -> Any:
        raise refused("t.groupby(by)", name, {"": _PAIRS})
