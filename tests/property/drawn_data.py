"""Arrays and tables for Hypothesis: any that a chunk can be."""

from __future__ import annotations

import datetime as dt
import io
import warnings
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

UNITS = ("Y", "M", "W", "D", "h", "m", "s", "ms", "us", "ns")
#: Years that Python's dates have, and nanoseconds since 1970 have, too.
FIRST, LAST = dt.datetime.fromisoformat("1700-01-01"), dt.datetime.fromisoformat("2200-01-01")

PLAIN_DTYPES = (
    npst.boolean_dtypes()
    | npst.integer_dtypes(endianness="?")
    | npst.unsigned_integer_dtypes(endianness="?")
    | npst.floating_dtypes(endianness="?", sizes=(16, 32, 64))
    | npst.complex_number_dtypes(endianness="?", sizes=(64, 128))
    | npst.unicode_string_dtypes(endianness="?", max_len=5)
    | npst.byte_string_dtypes(max_len=5)
    | st.builds(lambda order, unit: np.dtype(f"{order}M8[{unit}]"), st.sampled_from("<>"), st.sampled_from(UNITS))
    | st.builds(lambda order, unit: np.dtype(f"{order}m8[{unit}]"), st.sampled_from("<>"), st.sampled_from(UNITS))
)
RECORD_DTYPES = npst.array_dtypes(PLAIN_DTYPES, max_size=4, allow_subarrays=True)
DTYPES = PLAIN_DTYPES | RECORD_DTYPES
SHAPES = npst.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5)


def elements(dtype: np.dtype[Any]) -> st.SearchStrategy[Any]:
    """Items of `dtype`; dates and spans within what Python has."""
    if dtype.kind == "M":
        years = st.datetimes(FIRST, LAST)
        return st.just(np.datetime64("NaT")) | years.map(lambda moment: np.datetime64(moment, "us").astype(dtype))
    if dtype.kind == "m":
        return st.just(np.timedelta64("NaT")) | st.integers(-5000, 5000).map(lambda count: np.timedelta64(count).astype(dtype))
    return npst.from_dtype(dtype)


@st.composite
def arrays(draw: st.DrawFn, dtypes: st.SearchStrategy[Any] = DTYPES, shapes: st.SearchStrategy[Any] = SHAPES) -> Any:
    """Arrays of any type, shape and order; some are views with steps."""
    dtype, shape = draw(dtypes), draw(shapes)
    if dtype.kind == "V":
        array = np.frombuffer(draw(st.binary(min_size=1, max_size=200)), np.uint8)
        array = np.resize(array, (*shape, dtype.itemsize)) if dtype.itemsize else np.zeros((*shape, 0), np.uint8)
        array = _made_valid(np.ascontiguousarray(array).view(dtype).reshape(shape) if array.size else np.zeros(shape, dtype))
    else:
        array = draw(npst.arrays(dtype, shape, elements=elements(dtype)))
    way = draw(st.sampled_from(["C", "F", "reversed", "transposed"]))
    if way == "F":
        return np.asfortranarray(array)
    if way == "transposed":
        return array.T
    return array[::-1] if way == "reversed" and array.ndim else array


def _made_valid(array: Any) -> Any:
    """Records of random bytes, with text that is Unicode, truths that are 0 or 1, and dates that Python has."""
    array = array.copy()
    for name in array.dtype.names or ():
        part = array[name]
        if part.dtype.names:
            array[name] = _made_valid(part)
        elif part.dtype.kind == "U":
            array[name] = "añ€🐍"
        elif part.dtype.kind == "b":
            array[name] = part.view(np.uint8) % 2 == 1
        elif part.dtype.kind in "Mm":
            array[name] = part.astype("i8") % 1000
    return array


def npy(array: Any) -> bytes:
    """`array` as numpy.save writes it."""
    file = io.BytesIO()
    with warnings.catch_warnings():  # that names beyond Latin-1 need version 3 of the format
        warnings.simplefilter("ignore", UserWarning)
        np.save(file, array, allow_pickle=False)
    return file.getvalue()


def _ints(bits: int, *, signed: bool) -> st.SearchStrategy[int]:
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    return st.integers(low, high)


_MOMENTS = st.datetimes(FIRST, LAST).map(lambda moment: moment.replace(fold=0))  # Arrow has no fold
_TIMES = _MOMENTS.map(lambda moment: moment.time())
_TEXTS = st.text(st.characters(codec="utf-8"), max_size=8)
_COLUMNS: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (pa.bool_(), st.booleans()),
    *[(getattr(pa, f"int{bits}")(), _ints(bits, signed=True)) for bits in (8, 16, 32, 64)],
    *[(getattr(pa, f"uint{bits}")(), _ints(bits, signed=False)) for bits in (8, 16, 32, 64)],
    (pa.float16(), st.floats(width=16)),
    (pa.float32(), st.floats(width=32)),
    (pa.float64(), st.floats()),
    (pa.string(), _TEXTS),
    (pa.string(), st.text("abc ", max_size=8)),
    (pa.large_string(), _TEXTS),
    (pa.binary(), st.binary(max_size=8)),
    (pa.large_binary(), st.binary(max_size=8)),
    (pa.date32(), st.dates()),
    (pa.date64(), st.dates()),
    (pa.timestamp("s"), _MOMENTS.map(lambda moment: moment.replace(microsecond=0))),
    (pa.timestamp("ms"), _MOMENTS.map(lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000))),
    (pa.timestamp("us"), _MOMENTS),
    (pa.timestamp("ns"), _ints(64, signed=True)),
    (pa.timestamp("us", tz="UTC"), _MOMENTS),
    (pa.timestamp("s", tz="Europe/Berlin"), _MOMENTS.map(lambda moment: moment.replace(microsecond=0))),
    (pa.timestamp("ns", tz="+02:00"), _ints(64, signed=True)),
    (pa.time32("s"), _TIMES.map(lambda moment: moment.replace(microsecond=0))),
    (pa.time32("ms"), _TIMES.map(lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000))),
    (pa.time64("us"), _TIMES),
    (pa.time64("ns"), st.integers(0, 86_399_999_999_999)),
    (pa.duration("s"), st.integers(-(10**9), 10**9).map(lambda count: dt.timedelta(seconds=count))),
    (pa.duration("ms"), st.integers(-(10**9), 10**9).map(lambda count: dt.timedelta(milliseconds=count))),
    (pa.duration("us"), st.timedeltas(dt.timedelta(-(10**5)), dt.timedelta(10**5))),
    (pa.duration("ns"), _ints(64, signed=True)),
    (pa.null(), st.none()),
    (pa.decimal128(10, 2), st.decimals(-(10**7), 10**7, places=2)),
    (pa.decimal256(76, 5), st.integers(-(10**70), 10**70).map(Decimal)),
    (pa.list_(pa.int64()), st.lists(st.none() | _ints(64, signed=True), max_size=3)),
    (pa.list_(pa.list_(pa.string())), st.lists(st.none() | st.lists(_TEXTS, max_size=2), max_size=3)),
    (pa.list_(pa.null()), st.lists(st.none(), max_size=2)),
    (
        pa.struct([("a", pa.bool_()), ("b c", pa.list_(pa.date32()))]),
        st.fixed_dictionaries({"a": st.none() | st.booleans(), "b c": st.none() | st.lists(st.dates(), max_size=2)}),
    ),
    (
        pa.list_(pa.struct([("t", pa.timestamp("us")), ("d", pa.decimal128(3, 1))])),
        st.lists(st.none() | st.fixed_dictionaries({"t": _MOMENTS, "d": st.decimals(-9, 9, places=1)}), max_size=2),
    ),
]


def _with_garbage(column: Any) -> Any:
    """The same values, but where they are null there are bits and bytes in the buffers that mean nothing."""
    validity, *others = column.buffers()
    if not column.null_count or pa.types.is_null(column.type) or len(others) != 1:
        return column
    valid = np.unpackbits(np.frombuffer(validity, np.uint8), bitorder="little")[: len(column)].astype(bool)
    if pa.types.is_boolean(column.type):
        content = np.frombuffer(others[0], np.uint8) | np.packbits(~valid, bitorder="little")
    else:
        content = (
            np.frombuffer(others[0], np.uint8).copy().reshape(len(column), -1) if len(column) else np.zeros((0, 1), np.uint8)
        )
        content[~valid] = 0xA5
    return pa.Array.from_buffers(column.type, len(column), [validity, pa.py_buffer(content.tobytes())])


@st.composite
def tables(draw: st.DrawFn, max_rows: int = 20) -> Any:
    """Arrow tables with any of the column types, nulls, slices with offsets, metadata, and any number of batches."""
    rows = draw(st.integers(0, max_rows))
    columns, fields = [], []
    for index in range(draw(st.integers(0, 5))):
        kind, values = draw(st.sampled_from(_COLUMNS))
        held = draw(st.lists(draw(st.sampled_from([values, values | st.none()])), min_size=rows, max_size=rows))
        columns.append(_with_garbage(pa.array(held, kind)))
        metadata = draw(st.none() | st.just({"unit": "kg", "é": "\0"}))
        is_nullable = None in held or pa.types.is_null(kind) or draw(st.booleans())
        fields.append(pa.field(f"{draw(_TEXTS)}{index}", kind, nullable=is_nullable, metadata=metadata))
    schema = pa.schema(fields, metadata=draw(st.none() | st.just({"pandas": "{}"})))
    table = pa.Table.from_arrays(columns, schema=schema)
    start = draw(st.integers(0, rows))
    return table.slice(start, draw(st.integers(0, rows - start)))


def stream(table: Any, batch_rows: int = 1 << 20, *, has_empty_batch: bool = False, **options: Any) -> bytes:
    """`table` as an Arrow stream with batches of so many rows."""
    file = io.BytesIO()
    with pa.ipc.new_stream(file, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        if has_empty_batch:
            writer.write_batch(pa.RecordBatch.from_pylist([], schema=table.schema))
        writer.write_table(table, max_chunksize=batch_rows)
    return file.getvalue()


def as_python(column: Any) -> list[Any]:
    """The values of an Arrow column as our tables give them: nanoseconds are whole numbers."""
    kind = column.type
    unit = getattr(kind, "unit", None)
    if unit == "ns":
        return list(column.cast(pa.int64()).to_pylist())
    if pa.types.is_timestamp(kind) and kind.tz:
        return [None if moment is None else _by_its_clock(moment, kind.tz) for moment in column.to_pylist()]
    return list(column.to_pylist())


def _by_its_clock(moment: dt.datetime, name: str) -> dt.datetime:
    """The local time with the moment's offset, which is named after the zone."""
    if name == "UTC":
        return moment.replace(tzinfo=dt.UTC)
    offset = moment.utcoffset()
    assert offset is not None
    return moment.replace(tzinfo=dt.timezone(offset, name), fold=0)


#: Values that offsets, lengths and counts break at.
_EDGES = [
    0,
    1,
    2,
    3,
    7,
    8,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0x8000,
    0xFFFF,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFF,
    1 << 40,
    (1 << 63) - 1,
    1 << 63,
]


@st.composite
def damaged(draw: st.DrawFn, originals: st.SearchStrategy[bytes]) -> bytes:
    """What was valid, with some bytes changed, left out, put in or exchanged."""
    data = bytearray(draw(originals))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        way = draw(st.sampled_from(["byte", "number", "number", "cut", "drop", "repeat", "put"]))
        if way == "byte":
            data[at : at + 1] = bytes([draw(st.integers(0, 255))])
        elif way == "number":
            size = draw(st.sampled_from([1, 2, 4, 8]))
            start = at // size * size
            data[start : start + size] = (draw(st.sampled_from(_EDGES)) % (1 << 8 * size)).to_bytes(size, "little")
        elif way == "cut":
            del data[at:]
        elif way == "drop":
            del data[at : at + draw(st.integers(1, 16))]
        elif way == "repeat":
            data[at:at] = data[at : at + draw(st.integers(1, 16))]
        else:
            data[at:at] = draw(st.binary(max_size=16))
    return bytes(data)
