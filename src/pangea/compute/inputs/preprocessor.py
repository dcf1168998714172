"""What a job is given becomes inputs that can be cut: bytes, files, arrays, tables, plain values, or a list of those.

What a file means depends on what the job takes: to one that takes tables a .parquet file is a table, to one that takes bytes it
is bytes. Libraries are found by the names of types, and imported only when there is something for them to read.

Arrays and tables are encoded while they are cut, so that they needn't be there twice. What goes to a node must have a size first:
tables are encoded into a temporary file then. The segments are the same.
"""

from __future__ import annotations

import array as memory
import io
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

from pangea.compute.inputs.formats import arrays, files, frames, hive, npz, values
from pangea.compute.inputs.formats.addresses import files_at, is_address
from pangea.compute.inputs.formats.categories import one_of_several
from pangea.compute.inputs.formats.files import File
from pangea.compute.inputs.formats.pandas_index import is_pandas
from pangea.compute.inputs.formats.schemas import agree
from pangea.compute.inputs.formats.table_files import SHEETS, read_table, sheet_error
from pangea.compute.inputs.formats.tables import Table, TableSource
from pangea.compute.inputs.inputs import Input, Inputs, blocks_of, open_one, spooled
from pangea.compute.model.errors import InputError
from pangea.compute.model.limits import shown
from pangea.compute.model.options import JobOptions, SplitStrategy
from pangea.compute.model.units import MIB

#: Libraries whose types are frames to narwhals. Others' with `__arrow_c_stream__` need no name.
_FRAME_LIBRARIES = frozenset({"cudf", "dask", "duckdb", "ibis", "modin", "pandas", "polars", "pyspark", "sqlframe"})
_TEXT_KINDS = frozenset({"text", "json", "jsonl"})
_LISTS = (list, tuple, range, memory.array)
#: Endings of files that are no text.
_BINARY = frozenset({".arrow", ".npy", ".npz", ".parquet"})
_STDIN = "/dev/stdin"
_GIVEN = {
    "bytes": "bytes, paths, open files, arrays or frames",
    "text": "bytes, paths or open files",
    "json": "bytes, paths, open files, dicts, lists or numbers",
    "jsonl": "bytes, paths, open files, or values to write one a line",
    "array": "arrays, lists of numbers, or paths of .npy and .npz files",
    "table": "frames, dicts of columns, lists of dicts, or paths of .parquet, .arrow, .csv and .jsonl files",
}


def prepare_input(input_data: object, kind: str, options: JobOptions, *, spool: bool = False) -> Inputs:
    """Open a job's input and make it ready to be cut. The result is a context manager.

    Args:
        input_data: None (one empty input); bytes; a path, a pattern of paths or an address (a `str` is always one of these); a
            binary file; an array of NumPy, or what it makes one of; a frame of pandas, polars or pyarrow; a list or tuple of
            those, one input each. For jobs that take arrays also (nested) lists of numbers; tables: a dict of columns, an
            iterable of dicts; JSON: a dict, a list, a number; lines of JSON: any iterable of those.
        kind: what the job takes: "bytes", "text", "json", "jsonl", "array" or "table".
        options: how the job is cut.
        spool: whether every input has to have a size at once, for a node.

    Raises:
        InputError: names the input, the column or the row, and says what to pass instead. Of what is read while the job runs,
            when it is read.
    """
    with ExitStack() as resources:
        preparing = _Preparing(kind, options, spool, resources)
        items: list[Input] = []
        given = list(_each(input_data, kind))
        preparing.is_alone = len(given) == 1
        for value, place in given:
            items += preparing.inputs_of(value, place)
        return Inputs(items, resources.pop_all())


def _each(input_data: Any, kind: str) -> Iterator[tuple[Any, str]]:
    """The inputs, each with what it is called."""
    if not isinstance(input_data, list | tuple) or _is_one_value(input_data, kind):
        yield (b"" if input_data is None else input_data), "the input"
        return
    if not input_data:
        raise InputError("the list of inputs is empty", hint="pass None to run a job without input")
    for position, value in enumerate(input_data, 1):
        yield value, "the input" if len(input_data) == 1 else f"input {position} of {len(input_data)}"


def _is_one_value(given: list[Any] | tuple[Any, ...], kind: str) -> bool:
    """Whether a list is one input rather than several: a matrix, rows, a document."""
    if kind == "array":
        return values.is_matrix(given)
    if kind == "table":
        if given and isinstance(given[0], Mapping) and _is_columns(given[0]):
            _refuse_ambiguous(given[0])
            return False
        return bool(given) and isinstance(given[0], Mapping)
    return kind in ("json", "jsonl") and not (given and all(map(_is_input, given)))


def _is_columns(value: Any) -> bool:
    columns = value.values() if isinstance(value, Mapping) else ()
    return bool(columns) and all(isinstance(each, _LISTS) or (_library_of(each) and hasattr(each, "__len__")) for each in columns)


def _refuse_ambiguous(first: Mapping[str, Any]) -> None:
    """A list of dicts of lists: rows with a list in each cell, or a table of columns each?"""
    if all(isinstance(each, list | tuple) for each in first.values()):
        raise InputError(
            f"the input is a list of dicts of lists, such as {shown(first)}: rows whose cells are lists, or several tables?",
            hint="of rows, pass pandas.DataFrame(rows) or pyarrow.Table.from_pylist(rows); of several tables, each as a frame",
        )


def _is_input(value: Any) -> bool:
    """Whether it is an input to every job: data in memory, a name, a file."""
    return isinstance(value, str | bytes | bytearray | memoryview | os.PathLike) or _is_open(value) or bool(_library_of(value))


def _is_open(value: Any) -> bool:
    return isinstance(value, io.TextIOBase) or callable(getattr(value, "read", None))


def _library_of(value: object) -> str:
    """The library whose array or frame it is, by the modules of its type and those that this inherits from; "" if none."""
    libraries = (base.__module__.partition(".")[0] for base in type(value).__mro__)
    return next((library for library in libraries if library in ("numpy", "pyarrow") or library in _FRAME_LIBRARIES), "")


@dataclass(slots=True)
class _Preparing:
    """One submission's inputs, on their way.

    Attributes:
        first: the first table: all others have its columns.
        is_alone: whether there is no other input.
        partition: what the folders say of the file that is read now.
    """

    kind: str
    options: JobOptions
    spool: bool
    resources: ExitStack
    first: Table | None = None
    is_alone: bool = True
    partition: hive.Partition = field(default_factory=dict)

    def inputs_of(self, value: Any, place: str) -> Iterator[Input]:
        """What a value stands for: one input, or as many as a pattern or a .npz file has."""
        if self.kind in ("array", "table") and getattr(value, "kind", "") == self.kind and isinstance(value, bytes):
            # A result of another job, whose chunks found their types for themselves: reading it joins them.
            found = value.as_arrow() if self.kind == "table" else value.as_array(copy=False)  # type: ignore[attr-defined]
            yield self._object(found, place)
        elif isinstance(value, bytes | bytearray | memoryview):
            yield from self._data(value, place)
        elif isinstance(value, str) and is_address(value):
            yield from self._dataset(hive.fixed_part(value), files_at(value))
        elif isinstance(value, str) and files.is_pattern(value):
            yield from self._dataset(hive.fixed_part(value), files.matching(value))
        elif self.kind == "table" and isinstance(value, str | os.PathLike) and Path(os.fsdecode(value)).is_dir():
            folder = Path(os.fsdecode(value))
            yield from self._dataset(str(folder), hive.files_below(folder))
        elif isinstance(value, str | os.PathLike):
            yield from self._path(value)
        elif _is_open(value):
            yield from self._open_file(value, place)
        else:
            yield self._object(value, place)

    # Bytes and files

    def _dataset(self, root: str, found: Sequence[File | Path]) -> Iterator[Input]:
        """Files whose folders may say more of what is in them."""
        names = [str(each) if isinstance(each, Path) else each.name for each in found]
        self.is_alone = self.is_alone and len(names) == 1
        for each, partition in zip(found, hive.partitions(root, names), strict=True):
            self.partition = partition
            yield from self._path(each) if isinstance(each, Path) else self._file(each)
        self.partition = {}

    def _data(self, data: bytes | bytearray | memoryview, place: str) -> Iterator[Input]:
        if not len(data):
            self._refuse_empty(place)
        if len(data) and (self.kind == "table" or (self.kind == "array" and bytes(data[:4]) == b"PK\3\4")):
            yield from self._file(files.from_buffer(data, place).sniffed())
        else:
            yield open_one(data, place, self.resources)

    def _path(self, given: str | os.PathLike[Any]) -> Iterator[Input]:
        name = os.fsdecode(os.fspath(given))
        file = files.local(Path(name)) if name != _STDIN else None
        if file is None:  # a pipe, an empty file, or none
            item = open_one(given, name, self.resources)
            if not self._is_as_it_lies:
                file = files.copy_of(item.blocks(MIB), name, self.resources)
        if file is not None:
            yield from self._file(file)
        else:
            yield item

    def _open_file(self, file: IO[bytes], place: str) -> Iterator[Input]:
        if self._is_as_it_lies or isinstance(file, io.TextIOBase):
            yield open_one(file, place, self.resources)
            return
        name = getattr(file, "name", None)
        yield from self._file(files.from_object(file, name if isinstance(name, str) else place, self.resources))

    @property
    def _is_as_it_lies(self) -> bool:
        """Whether the bytes of a file are the input, whatever it is."""
        return self.kind == "bytes"

    @property
    def _is_cut(self) -> bool:
        return self.options.split_strategy is not SplitStrategy.CUSTOM

    def _refuse_empty(self, name: str) -> None:
        if self.kind in ("array", "table", "json"):
            raise InputError(f"{name} is empty; the job takes {self.kind}", hint=f"pass {_GIVEN[self.kind]}", name=name)

    def _file(self, file: File) -> Iterator[Input]:
        if self.kind == "table":
            table = read_table(file, self.first.schema if self.first else None)
            yield self._table(hive.with_partition(table, self.partition))
        elif self.kind != "bytes" and file.ending in SHEETS:
            raise sheet_error(file)
        elif self.kind == "array" and file.kind == ".npz":
            yield from npz.arrays_in(file)
        elif self.kind == "array" and file.kind not in ("", ".npy"):
            raise _no_such(file, "arrays", "give a .npy or .npz file, or read it yourself and pass the array")
        elif self.kind == "array" and not file.size:
            self._refuse_empty(file.name)
        elif self.kind == "array" and self._is_cut and (turned := arrays.array_in_columns(file)) is not None:
            yield turned
        elif self.kind in _TEXT_KINDS and file.kind in _BINARY:
            raise _no_such(file, "text", "declare the job's input 'table' or 'array'")
        elif file.path is not None and (self._is_as_it_lies or not file.packing):
            yield open_one(Path(file.name), file.name, self.resources)
        else:
            with file.open_packed() if self._is_as_it_lies else file.open() as raw:
                yield spooled(blocks_of(raw, file.name), file.name, self.resources)

    # Objects

    def _object(self, value: Any, place: str) -> Input:
        library = _library_of(value)
        if type(value).__module__.startswith("pangea.compute.data") and library != "numpy":
            return self._own(value, place)
        if self.kind == "array" and (isinstance(value, memory.array) or (library and not _is_frame(value))):
            return self._array(value, place)
        if library in _FRAME_LIBRARIES:
            return self._table_object(frames.from_frame, value, place)
        if library == "pyarrow" or hasattr(value, "__arrow_c_stream__"):
            return self._table_object(frames.from_arrow, value, place)
        if library == "numpy" or hasattr(value, "__array__") or hasattr(value, "__array_interface__"):
            return self._array(value, place)
        return self._plain(value, place)

    def _plain(self, value: Any, place: str) -> Input:
        """Plain Python values."""
        if self.kind == "array" and isinstance(value, list | tuple):
            return self._array(values.array_of(value, place), place)
        if self.kind == "table" and _is_columns(value) and any(is_pandas(each, "Series", "Index") for each in value.values()):
            return self._table(frames.from_columns(value, place))
        if self.kind == "table" and _is_columns(value):
            return self._table(frames.from_arrow(values.columns_of(value, place), place))
        if self.kind == "table" and isinstance(value, Iterable) and not isinstance(value, Mapping):
            return self._table(values.rows_of(value, place))
        if self.kind == "json" and not isinstance(value, Iterator):
            return open_one(values.document_of(value, place), place, self.resources)
        if self.kind == "jsonl":
            rows = value if isinstance(value, Iterable) and not isinstance(value, Mapping) else [value]
            return spooled(values.lines_of(rows, place), place, self.resources)
        raise self._not_taken(value, place)

    def _own(self, value: Any, place: str) -> Input:
        """Our own tables."""
        if type(value).__name__ != "Table" or self.kind not in ("bytes", "table"):
            raise self._not_taken(value, place)
        (item,) = self._data(value.to_arrow(), place)
        return item

    def _array(self, value: Any, place: str) -> Input:
        if self.kind not in ("array", "bytes"):
            raise self._not_taken(value, place)
        return arrays.array_input(value, place, is_for_python=self.kind == "array")

    def _table_object(self, read: Any, value: Any, place: str) -> Input:
        if self.kind not in ("table", "bytes"):
            raise self._not_taken(value, place)
        return self._table(read(value, place))

    def _table(self, table: Table) -> Input:
        """An input of a table with the columns of the first one."""
        table = table if self.is_alone else one_of_several(table, self.first)
        if self.first is None:
            self.first = table
        else:
            agree(table.schema, table.name, self.first.schema, self.first.name)
            table = replace(table, schema=self.first.schema)
        source = TableSource(table, self.options.max_chunk_size)
        if self.spool or self.options.split_strategy is not SplitStrategy.ARROW_BATCHES:
            return spooled(source.blocks(), table.name, self.resources)
        return Input(name=table.name, size=table.size, made=source)

    def _not_taken(self, value: Any, place: str) -> InputError:
        kind = f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
        hint = "pass x.tobytes()" if isinstance(value, memory.array) else f"pass {_GIVEN.get(self.kind, 'bytes')}"
        if self.kind == "array" and hasattr(value, "to_numpy"):
            hint = "pass x.to_numpy(), or declare the job's input 'table'"
        elif self.kind == "table" and _library_of(value) == "numpy":
            hint = "pass pandas.DataFrame(x, columns=[...]), or declare the job's input 'array'"
        example = f": {shown(value)}" if not _library_of(value) else ""
        return InputError(f"{place} is a {kind}{example}; the job takes {self.kind}", hint=hint, name=place)


def _is_frame(value: object) -> bool:
    """Whether what a library has is a frame, rather than one of its columns."""
    return hasattr(value, "columns") or hasattr(value, "schema")


def _no_such(file: File, kind: str, hint: str) -> InputError:
    return InputError(f"{file.name} is a {file.kind} file; the job takes {kind}", hint=hint, name=file.name)
