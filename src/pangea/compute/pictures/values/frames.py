"""Tables for pictures: whatever has named columns becomes an Arrow table, from which columns are taken as they are needed.

pandas, polars and Arrow come through narwhals. Counting and adding up is done by Arrow, on all cores, before anything is
turned into Python's objects: of ten million rows a picture gets the few figures that it shows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pangea.compute.model.errors import PictureError
from pangea.compute.model.units import counted
from pangea.compute.pictures.values.clocks import Clock
from pangea.compute.pictures.values.shapes import Grid, Numbers
from pangea.compute.pictures.values.wording import described, shown

Sort: TypeAlias = Literal["number", "text", "date", "other"]


@dataclass(frozen=True, slots=True)
class Table:
    """Named columns.

    Attributes:
        arrow: the columns, each with a name of its own.
    """

    arrow: Any

    @property
    def names(self) -> list[str]:
        """Names of the columns, in their order."""
        return list(self.arrow.column_names)

    def __len__(self) -> int:
        """How many rows."""
        return int(self.arrow.num_rows)

    def sort_of(self, name: str) -> Sort:
        """What a column holds."""
        return _sort(self.arrow.schema.field(name).type)

    def of(self, *sorts: Sort) -> list[str]:
        """Names of the columns that hold such."""
        return [name for name in self.names if self.sort_of(name) in sorts]

    def need(self, name: str, *sorts: Sort) -> str:
        """Check that there is such a column, and that it holds what is needed of it.

        Raises:
            PictureError: names the columns that there are.
        """
        if name not in self.names:
            raise PictureError(f"there is no column {shown(name)!r}", hint=f"there are {', '.join(map(shown, self.names))}")
        if sorts and self.sort_of(name) not in sorts:
            kind = shown(self.arrow.schema.field(name).type)
            raise PictureError(
                f"column {shown(name)!r} has {kind} where {' or '.join(sorts)}s are needed",
                hint=f"columns with such: {', '.join(map(shown, self.of(*sorts))) or 'none'}",
            )
        return name

    def numbers(self, name: str) -> Numbers:
        """A column as numbers, NaN where there is none; durations in seconds."""
        column = self.arrow[name]
        if pa.types.is_duration(column.type):
            column = pc.divide(column.cast(pa.duration("ns"), safe=False).cast(pa.int64()).cast(pa.float64(), safe=False), 1e9)
        return np.asarray(column.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)

    def texts(self, name: str) -> list[str | None]:
        """A column as text, made fit to be shown."""
        return [None if value is None else shown(value) for value in self.labels(name).to_pylist()]

    def labels(self, name: str) -> Any:
        """A column as an Arrow column of text."""
        column = self.arrow[name]
        if _sort(column.type) == "other":
            return pa.array([None if value is None else str(value) for value in column.to_pylist()], pa.large_string())
        return column.cast(pa.large_string())

    def moments(self, name: str) -> tuple[Clock, Numbers]:
        """The clock of a column of dates, and the place of each on an axis, NaN where there is none."""
        return Clock.of(self.arrow[name])

    def is_whole(self, name: str) -> bool:
        """Whether a column holds whole numbers, which may have more digits than a float."""
        return bool(pa.types.is_integer(self.arrow.schema.field(name).type))

    def grid(self) -> Grid:
        """The columns of numbers side by side; the first column of text names the rows.

        Raises:
            PictureError: there are none.
        """
        numbers = self.of("number")
        if not numbers:
            raise no_numbers(self)
        named = self.of("text", "date")
        rows = [text or "" for text in self.texts(named[0])] if named else None
        return Grid(np.column_stack([self.numbers(name) for name in numbers]), rows, [shown(name) for name in numbers])

    def checked(self) -> Table:
        """The table itself.

        Raises:
            PictureError: it has no columns, no rows, or nothing but empty columns.
        """
        if not self.names:
            raise PictureError("the table has no columns, so there is nothing to show", hint="give it at least one column")
        if not len(self):
            names = ", ".join(map(shown, self.names[:8]))
            raise PictureError(f"the table has no rows: only the columns {names}", hint="look at what filtered them all out")
        return self


def of_columns(columns: Mapping[str, Any]) -> Table:
    """A table of lists or arrays of one length.

    Raises:
        PictureError: lengths differ, or a column mixes what can't be mixed.
    """
    arrays = {_encodable(str(name)): _array(str(name), values) for name, values in columns.items()}
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        each = ", ".join(f"{shown(name)!r} has {length:,}" for name, length in list(lengths.items())[:8])
        raise PictureError(f"columns of different lengths: {each}", hint="make all columns of one length")
    return Table(pa.table(arrays)).checked()


def of_rows(rows: Sequence[Mapping[Any, Any]]) -> Table:
    """A table of one mapping a row; what a row doesn't have is missing in it.

    Raises:
        PictureError: a column mixes what can't be mixed.
    """
    names = dict.fromkeys(name for row in rows for name in row)
    return of_columns({str(name): [row.get(name) for row in rows] for name in names})


def of_stream(data: bytes) -> Table:
    """A table of the bytes of an Arrow IPC stream."""
    return Table(pa.ipc.open_stream(data).read_all()).checked()


def of_native(value: Any) -> Table | None:
    """A table of a frame or column of pandas, polars or Arrow, or None if `value` is none.

    Raises:
        PictureError: two columns have one name, or the table is empty.
    """
    import narwhals as nw

    arrow = _as_arrow(value)
    if arrow is None:
        native = _labelled(value)
        found = nw.from_native(native, allow_series=True, pass_through=True)
        if isinstance(found, nw.Series):
            found = found.alias(str(found.name or "value")).to_frame()
        if isinstance(found, nw.LazyFrame):
            found = found.collect()
        if not isinstance(found, nw.DataFrame):
            return None
        arrow = _frame_to_arrow(found)
    _check_names(arrow)
    return Table(arrow).checked()


def no_numbers(table: Table) -> PictureError:
    """The error for a table that has nothing to draw by itself."""
    columns = ", ".join(f"{shown(name)} ({shown(table.arrow.schema.field(name).type)})" for name in table.names[:8])
    named = table.of("text")
    hint = f"count rows: visualize(value, 'bar', x={named[0]!r}), or show" if named else "show"
    return PictureError(
        f"the table has no column of numbers: {columns}", hint=f"{hint} the rows themselves: visualize(value, 'table')"
    )


def _as_arrow(value: Any) -> Any:
    if isinstance(value, pa.Table):
        return value
    if isinstance(value, pa.RecordBatch):
        return pa.Table.from_batches([value])
    if isinstance(value, pa.RecordBatchReader):
        return value.read_all()
    if isinstance(value, pa.ChunkedArray | pa.Array):
        return pa.table({"value": value})
    return None


def _labelled(value: Any) -> Any:
    """Pandas names its rows apart from the columns: names that say something become a column."""
    index: Any = getattr(value, "index", None)
    if type(value).__module__.partition(".")[0] != "pandas" or not hasattr(value, "reset_index"):
        return value
    plain = type(index).__name__ == "RangeIndex" and index.name is None
    frame = value.to_frame(value.name if value.name is not None else "value") if hasattr(value, "to_frame") else value
    try:
        frame = frame if plain else frame.reset_index()
    except ValueError as error:
        raise PictureError("the index has the name of a column", hint="rename one: frame.rename_axis('label')") from error
    frame = frame.set_axis([_flat(name) for name in frame.columns], axis=1)
    _check_names(frame)
    return frame


def _flat(name: Any) -> str:
    return _encodable(" ".join(str(part) for part in name if str(part)) if isinstance(name, tuple) else str(name))


def _check_names(frame: Any) -> None:
    names = list(getattr(frame, "column_names", None) or getattr(frame, "columns", []))
    twice = sorted({str(name) for name in names if names.count(name) > 1})
    if twice:
        raise PictureError(f"several columns are called {', '.join(map(shown, twice))}", hint="give each column its own name")


def _frame_to_arrow(frame: Any) -> Any:
    try:
        return frame.to_arrow()
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, TypeError, ValueError):
        # A column mixes types or holds objects: then it is shown as text, and the others stay what they are.
        return pa.table({name: _lenient(frame.get_column(name)) for name in frame.columns})


def _lenient(series: Any) -> Any:
    try:
        return series.to_arrow()
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, TypeError, ValueError):
        return pa.array([None if value is None or value != value else str(value) for value in series.to_list()])


def _array(name: str, values: Any) -> Any:
    if isinstance(values, np.ndarray) and values.ndim != 1:
        raise PictureError(f"column {shown(name)!r} is {described(values)}; a column has one dimension")
    if not isinstance(values, np.ndarray) and (isinstance(values, str | bytes) or not isinstance(values, Sequence)):
        raise PictureError(f"column {shown(name)!r} is {described(values)}, where a list of values is needed")
    try:
        return pa.array(values)
    except UnicodeError:
        return pa.array([_encodable(value) if isinstance(value, str) else value for value in values])
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError) as error:
        raise PictureError(
            f"column {shown(name)!r} mixes types, or has one that a table can't hold",
            hint="make all its values numbers, or all text",
        ) from error


def _encodable(text: str) -> str:
    """Text that UTF-8 can hold: half of a surrogate pair, as broken JSON has it, becomes a question mark."""
    return text.encode("utf-8", "replace").decode()


def _sort(kind: Any) -> Sort:
    types = pa.types
    if types.is_dictionary(kind):
        return _sort(kind.value_type)
    if types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind) or types.is_duration(kind):
        return "number"
    if types.is_date(kind) or types.is_timestamp(kind):
        return "date"
    text = types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind) or types.is_boolean(kind)
    return "text" if text else "other"


def summary(table: Table) -> str:
    """What a table is, in a few words."""
    return f"{counted(len(table), 'row')} of {counted(len(table.names), 'column')}"
