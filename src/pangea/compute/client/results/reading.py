"""Read a result's bytes as an array, a frame, JSON, text or an image.

Without a merge the results of the chunks stand one behind the other: .npy files, Arrow streams, lines of JSON. They are joined
here, arrays with one copy and tables with none. Nothing is unpickled, and every length is checked: a result may be anybody's.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from typing import Any

from pangea.compute.client.results.unifying import check_exact_items, joined_dtype, joined_tables
from pangea.compute.data.errors import DataError
from pangea.compute.data.kinds import decode
from pangea.compute.data.npy import MAGIC, Header, read_header
from pangea.compute.model.errors import ResultError
from pangea.compute.model.libraries import need

_PNG, _PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"
_ARROW_STREAM = b"\xff\xff\xff\xff"
_LOOKED_AT = 4096
#: What files begin with, and what that is.
_BEGINNINGS = {
    MAGIC: "a .npy array",
    _ARROW_STREAM: "an Arrow stream",
    b"ARROW1": "an Arrow file",
    b"PAR1": "a Parquet file",
    _PNG: "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"PK\3\4": "a zip file",
    b"\x1f\x8b": "a gzip file",
    b"\0asm": "a WebAssembly module",
}
#: Types whose nulls pandas would turn into something else, and pandas' type that has nulls.
NULLABLE = {"bool": "boolean"} | {f"{u}int{n}": f"{u.upper()}Int{n}" for u in ("", "u") for n in (8, 16, 32, 64)}
_REMEDIES = {
    "a .npy array": "result.as_array() reads it",
    "an Arrow stream": "result.as_frame() or result.as_arrow() reads it",
    "a PNG image": "result.as_image() reads it",
    "JSON": "result.as_json() reads it",
    "text": "result.as_text() reads it",
}
_IMAGES = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "PPM")


def array_of(data: bytes, *, copy: bool) -> Any:
    """An `ndarray` of the .npy files in `data`, joined along their first axis; arrays without axes become one with one.

    Args:
        data: one .npy file, or several of the same type and row.
        copy: whether it gets memory of its own; else a single array is a read-only view of `data`.

    Raises:
        ResultError: `data` is something else, is cut off, or the arrays don't fit together.
    """
    numpy = need("numpy", "reading a result as an array")
    view = memoryview(data)
    try:
        headers = list(_headers(view))
    except DataError as error:
        raise _not_a("array", data, str(error)) from error
    if not headers:
        raise _not_a("array", data, "it is empty")
    first = headers[0]
    if len(headers) == 1:
        only = _part(numpy, view, first)
        return only.copy(order="K") if copy else only
    model = next((each for each in headers if math.prod(each.shape)), first)
    kept = [(index, each) for index, each in enumerate(headers) if math.prod(each.shape) or _is_alike(each, model)]
    dtype = _check_alike(numpy, kept)
    rows = [each.shape[0] if each.shape else 1 for _, each in kept]
    joined, at = numpy.empty((sum(rows), *kept[0][1].shape[1:]), dtype), 0
    for (index, each), count in zip(kept, rows, strict=True):
        part = _part(numpy, view, each)
        if part.dtype != dtype:
            check_exact_items(part, index)
        joined[at : at + count] = part
        at += count
    return joined


def _part(numpy: Any, view: memoryview, header: Header) -> Any:
    dtype = numpy.lib.format.descr_to_dtype(header.dtype.descr)
    return numpy.ndarray(header.shape, dtype, view, header.start, order="F" if header.is_fortran else "C")


def _headers(view: memoryview) -> Iterator[Header]:
    """Of each .npy file; equal ones are parsed once, as there may be a hundred thousand."""
    at, known, text = 0, None, b""
    while at < len(view):
        if known is not None and view[at : at + len(text)] == text:
            start = at + len(text)
            header = Header(known.dtype, known.shape, known.is_fortran, start)
            if header.stop > len(view):
                raise DataError(f"the .npy file at byte {at:,} is cut off")
        else:
            header = known = read_header(view, at)
            text = bytes(view[at : header.start])
        yield header
        at = header.stop


def _check_alike(numpy: Any, headers: list[tuple[int, Header]]) -> Any:
    """The type of all arrays; those that have no items aren't among them."""
    first_index, first = headers[0]
    kinds = {repr(each.dtype.descr): each.dtype.descr for _, each in headers}
    dtype = joined_dtype(numpy, list(map(numpy.lib.format.descr_to_dtype, kinds.values())))
    for index, each in headers:
        if (dtype is None and not _is_alike(each, first)) or not _has_rows_of(each, first):
            raise ResultError(
                f"the results of the chunks are arrays that don't fit together: number {index:,} is {_described(each)}, number"
                f" {first_index:,} is {_described(first)}",
                hint="return arrays of one type and with equal rows from execute, or join them in a merge",
                part=index,
            )
    return dtype


def _is_alike(one: Header, other: Header) -> bool:
    return bool(one.dtype.descr == other.dtype.descr) and _has_rows_of(one, other)


def _has_rows_of(one: Header, other: Header) -> bool:
    return len(one.shape) == len(other.shape) and one.shape[1:] == other.shape[1:]


def _described(header: Header) -> str:
    return f"of type {header.dtype.descr!r} and shape {header.shape}"


def arrow_of(data: bytes) -> Any:
    """A `pyarrow.Table` over the Arrow streams in `data`; its columns stay there, nothing is copied.

    Raises:
        ResultError: `data` is something else, is cut off or damaged, or the streams have different columns.
    """
    arrow, ipc = need("pyarrow", "reading a result as a table"), need("pyarrow.ipc", "reading a result as a table")
    if not data.startswith(_ARROW_STREAM):
        raise _not_a("table", data, "it doesn't begin like an Arrow stream" if data else "it is empty")
    source, tables = arrow.BufferReader(arrow.py_buffer(data)), []
    try:
        while source.tell() < len(data):
            table = ipc.open_stream(source).read_all()
            table.validate(full=True)
            tables.append(table)
    except (arrow.ArrowException, OSError, ValueError) as error:
        where = f"stream {len(tables):,} is damaged or cut off" if tables else "the stream is damaged or cut off"
        raise _not_a("table", data, f"{where}: {str(error).splitlines()[0] if str(error) else error!r}") from error
    return joined_tables(tables)


def frame_of(data: bytes) -> Any:
    """A pandas `DataFrame` of the Arrow streams in `data`.

    Integers and booleans with nulls become pandas' nullable types: as floats or objects they would not be what they were.
    Lists are Python's, structs dicts, decimals `decimal.Decimal`.

    Raises:
        ResultError: as of `arrow_of`.
    """
    return frame_of_table(arrow_of(data))


def frame_of_table(table: Any) -> Any:
    """A pandas `DataFrame` of a `pyarrow.Table`, with the types that `frame_of` says.

    Raises:
        ResultError: pandas can't hold one of its values.
    """
    purpose = "reading a result as a data frame"
    pandas, arrow = need("pandas", purpose), need("pyarrow", purpose)
    try:
        frame = table.to_pandas()
    except (arrow.ArrowException, ValueError, OverflowError) as error:
        raise ResultError(
            f"the result is a table with values that pandas can't hold: {error}", hint="result.as_arrow() reads it"
        ) from error
    for index, column in enumerate(table.columns):
        if arrow.types.is_dictionary(column.type):
            frame.isetitem(index, _categorical(pandas, column))
        elif column.type.num_fields:  # whole numbers beside nulls in a list would be floats
            frame.isetitem(index, pandas.Series(column.to_pylist(), dtype=object))
        elif column.null_count and (name := NULLABLE.get(str(column.type))):
            frame.isetitem(index, pandas.api.types.pandas_dtype(name).__from_arrow__(column))
    return frame


def _categorical(pandas: Any, column: Any) -> Any:
    """Pandas' categories: on its own way to pandas, pyarrow drops the zone of instants, and the categories of no rows."""
    whole = column.unify_dictionaries().combine_chunks()
    codes = whole.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return pandas.Categorical.from_codes(codes, whole.dictionary.to_pandas(), ordered=whole.type.ordered)


def json_of(data: bytes, kind: str, *, is_joined: bool | None) -> Any:
    """The JSON value in `data`; a list of values if there is one a line.

    Args:
        data: UTF-8.
        kind: "jsonl" has a value a line whatever the number of lines; so has "json" if
        is_joined: the results of the chunks stand one behind the other. Otherwise one value is itself, and several are a list.

    Raises:
        ResultError: `data` is something else.
    """
    is_list = kind == "jsonl" or (kind == "json" and is_joined)
    try:
        if is_list:
            return decode("jsonl", data)
        try:
            return decode("json", data)
        except DataError:
            if not data.rstrip().count(b"\n"):
                raise
            return decode("jsonl", data)
    except DataError as error:
        raise _not_a("JSON", data, str(error)) from error


def text_of(data: bytes) -> str:
    """The text in `data`.

    Raises:
        ResultError: it isn't UTF-8.
    """
    try:
        return str(data, "utf-8")
    except UnicodeDecodeError as error:
        raise _not_a("text", data, f"byte {error.start:,} is no UTF-8") from error


def image_of(data: bytes) -> Any:
    """A `PIL.Image.Image`, complete in memory; an array of bytes with two axes, or three, is taken as its pixels.

    Raises:
        ResultError: `data` is something else, is damaged or too large, or holds several images.
    """
    image = need("PIL.Image", "reading a result as an image")
    if data.startswith(MAGIC):
        return _image_of_pixels(image, data)
    end = data.find(_PNG_END)
    if data.startswith(_PNG) and end < 0:
        raise _not_a("image", data, "it is cut off")
    if data.startswith(_PNG) and data.startswith(_PNG, end + len(_PNG_END)):
        raise ResultError(
            f"the result is {data.count(_PNG_END):,} images, one of each chunk",
            hint="join them in a merge, or have execute return arrays of pixels: as_image() takes those as one",
        )
    try:
        found = image.open(io.BytesIO(data), formats=_IMAGES)
        found.load()
    except (OSError, ValueError, SyntaxError, image.DecompressionBombError) as error:
        raise _not_a("image", data, "it is damaged" if data.startswith(_PNG) else "") from error
    return found


def _image_of_pixels(image: Any, data: bytes) -> Any:
    pixels = array_of(data, copy=False)
    is_coloured = pixels.ndim == 3 and pixels.shape[2] in (3, 4)
    if pixels.dtype.str != "|u1" or not pixels.size or not (pixels.ndim == 2 or is_coloured):
        raise ResultError(
            f"the result is an array of type {pixels.dtype} and shape {pixels.shape}, not of pixels",
            hint="pixels are uint8 of shape (height, width) or (height, width, 3 or 4); visualize() shows any array",
        )
    return image.fromarray(pixels)


def seems(data: bytes) -> str:
    """What `data` is by its looks, in words."""
    if not data:
        return "nothing"
    for beginning, what in _BEGINNINGS.items():
        if data.startswith(beginning):
            return what
    try:
        text = str(data[:_LOOKED_AT], "utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(data[:_LOOKED_AT]) - 3 or len(data) <= _LOOKED_AT:  # the last letter may be cut in two
            return "bytes"
        text = ""
    return "JSON" if text.lstrip()[:1] in ("{", "[") else "text"


def _not_a(wanted: str, data: bytes, reason: str) -> ResultError:
    found = seems(data)
    begins = f", beginning with {bytes(data[:24])!r}" if data else ""
    why = f": {reason}" if reason else ""
    return ResultError(
        f"the result can't be read as {_article(wanted)}{why} (it seems to be {found}: {len(data):,} bytes{begins})",
        hint=_REMEDIES.get(found, "declare what the job returns: @Job.execute(output=...), @Job.merge(output=...)"),
        wanted=wanted,
        found=found,
    )


def _article(wanted: str) -> str:
    return wanted if wanted in ("JSON", "text") else f"an {wanted}" if wanted[0] in "aeiou" else f"a {wanted}"
