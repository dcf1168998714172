"""The schemas of tables: what a column may be, and that all inputs of a job agree."""

from __future__ import annotations

import functools
import importlib.resources
import re
import zoneinfo
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pangea.compute.data.categories import KEY as CATEGORIES_KEY
from pangea.compute.data.categories import parsed
from pangea.compute.data.columntypes import DEPTH_MAX
from pangea.compute.data.errors import DataError
from pangea.compute.data.zones import KEY as ZONE_KEY
from pangea.compute.data.zones import described
from pangea.compute.inputs.formats.files import one_line
from pangea.compute.model.errors import InputError
from pangea.compute.model.libraries import need

_PLAIN = "numbers, booleans, text, bytes, dates, times, decimals, and lists and structs of those"
#: What to do about a column of each other kind; the names are those of pyarrow.types' functions.
_REMEDIES = {
    "is_list_view": "cast it to a list",
    "is_large_list_view": "cast it to a list",
    "is_union": "one column for each type",
    "is_interval": "cast it to a duration, or to a number of months or days",
}


def plain_schema(schema: Any, name: str, listed: Mapping[str, bytes] = MappingProxyType({})) -> Any:
    """The schema that travels for a table of `schema`: plain columns only, and no remarks of libraries.

    Dictionaries (categories) and runs become what they stand for, beside a list of the categories; views and fixed-size bytes
    the same with offsets; lists of any kind, and maps (of structs of key and value), lists.

    Args:
        schema: a pyarrow.Schema.
        name: of the input, for messages.
        listed: what is said of columns' categories.

    Raises:
        InputError: no columns, two of one name, or one whose type no chunk can have.
    """
    pa = need("pyarrow", "a table as input")
    try:
        names = schema.names
    except UnicodeDecodeError as error:
        raise InputError(f"{name} has a column whose name isn't UTF-8", hint="rename it", name=name) from error
    if not names:
        raise InputError(f"{name} is a table without columns", hint="give it at least one", name=name)
    seen: set[str] = set()
    for column in names:
        if column in seen:
            raise InputError(f"{name} has two columns {column!r}", hint="rename one", name=name, column=column)
        seen.add(column)
    return pa.schema([_plain_field(pa, each, name, listed.get(each.name)) for each in schema])


def _plain_field(pa: Any, field: Any, name: str, listed: bytes | None) -> Any:
    """The field, with the rules of its time zone, if it has one: sandboxes know none; and with a list of its categories."""
    if pa.types.is_dictionary(field.type):
        if listed is not None or hasattr(field.type.value_type, "storage_type"):
            field = field.with_type(field.type.value_type)
    else:
        listed = _said_of_categories(field, name)
    kind = _plain_type(pa, field, name)
    rules = zone_rules(kind.tz) if pa.types.is_timestamp(kind) and kind.tz else None
    remarks = {ZONE_KEY: described(rules) if rules else None, CATEGORIES_KEY: listed}
    return pa.field(field.name, kind, metadata={key: value for key, value in remarks.items() if value is not None} or None)


def _said_of_categories(field: Any, name: str) -> bytes | None:
    """The list that the result of another job brings along."""
    listed: bytes | None = (field.metadata or {}).get(CATEGORIES_KEY)
    try:
        if listed is not None:
            parsed(listed)
    except DataError as error:
        raise InputError(
            f"column {field.name!r} of {name}: {error}", hint="write it anew", name=name, column=field.name
        ) from error
    return listed


@functools.cache
def zone_rules(name: str) -> bytes | None:
    """The file of a time zone (RFC 9636), from this machine's database or from the package tzdata; None if neither has it."""
    if not re.fullmatch(r"[A-Za-z0-9_+\-]+(?:/[A-Za-z0-9_+\-]+)*", name) or name in ("UTC", "Etc/UTC"):
        return None
    for folder in zoneinfo.TZPATH:
        path = Path(folder) / name
        if path.is_file():
            return path.read_bytes()
    try:
        return importlib.resources.files("tzdata.zoneinfo").joinpath(*name.split("/")).read_bytes()
    except (ImportError, OSError):
        return None


def agree(schema: Any, name: str, first: Any, first_name: str) -> None:
    """Check that a table's plain schema is that of the first input.

    A column without any value, and so without a type, agrees with every type; text agrees with text of larger offsets.

    Raises:
        InputError: names the column, and both types.
    """
    pa = need("pyarrow", "a table as input")
    hint = "give all tables of a job the same columns, in one order: select and cast them, or submit one job for each kind"
    for column in [*schema.names, *first.names]:
        here, there = (each.field(column).type if column in each.names else None for each in (schema, first))
        if here is None or there is None:
            missing, present = (name, first_name) if here is None else (first_name, name)
            message = f"{missing} has no column {column!r}, which {present} has ({here or there})"
            raise InputError(message, hint=hint, name=name, column=column)
        if not _agrees(pa.types, here, there):
            raise InputError(
                f"column {column!r} of {name} is {here}, but in {first_name} it is {there}", hint=hint, name=name, column=column
            )
    if schema.names != first.names:
        column = next(here for here, there in zip(schema.names, first.names, strict=True) if here != there)
        raise InputError(
            f"column {column!r} of {name} stands elsewhere than in {first_name}", hint=hint, name=name, column=column
        )


def _agrees(types: Any, here: Any, there: Any) -> bool:
    texts, bytes_ = (types.is_string, types.is_large_string), (types.is_binary, types.is_large_binary)
    return (
        here == there
        or types.is_null(here)
        or any(all(any(test(kind) for test in tests) for kind in (here, there)) for tests in (texts, bytes_))
    )


def plain_batch(batch: Any, schema: Any) -> Any:
    """The rows of a pyarrow.RecordBatch as `schema` says, which `plain_schema` made of its own.

    Raises:
        InputError: pyarrow can't make a column plain: categories of a kind of text that it can't pick from, inside of lists.
    """
    pa = need("pyarrow", "a table as input")
    if batch.schema.equals(schema, check_metadata=True):
        return batch
    columns = [_plain_column(pa, column, field) for column, field in zip(batch.columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _plain_column(pa: Any, column: Any, field: Any) -> Any:
    kind = field.type
    if column.type == kind:
        return column
    if pa.types.is_run_end_encoded(column.type):
        return _plain_column(pa, need("pyarrow.compute", "a table as input").run_end_decode(column), field)
    if pa.types.is_dictionary(column.type) and not pa.types.is_dictionary(kind):  # pyarrow takes no views from a dictionary
        return pa.DictionaryArray.from_arrays(column.indices, _plain_column(pa, column.dictionary, field)).dictionary_decode()
    try:
        return column.cast(kind)
    except pa.ArrowNotImplementedError as error:
        raise InputError(
            f"column {field.name!r} is of type {one_line(column.type, 120)}, of which pyarrow can't make {one_line(kind, 80)}",
            hint="cast it, or what is inside of it, to plain text first",
            column=field.name,
        ) from error


def longest_encoded(batch: Any) -> int:
    """Bytes of the longest text that the columns of a batch have as a category or a run; 1 at least."""
    pa, pc = need("pyarrow", "a table as input"), need("pyarrow.compute", "a table as input")
    longest = 1
    for each in batch.columns:
        column = each
        while (inner := getattr(column, "dictionary", None)) is not None or pa.types.is_run_end_encoded(column.type):
            column = column.values if inner is None else inner
            if any(test(column.type) for test in (pa.types.is_string, pa.types.is_binary, pa.types.is_string_view)):
                longest += pc.max(pc.binary_length(column.cast(pa.large_binary()))).as_py() or 0
    return longest


def _nested_type(pa: Any, field: Any, name: str, kind: Any) -> Any:
    """The type of lists or structs that travels."""
    if _depth_of(kind) > DEPTH_MAX:
        raise InputError(
            f"column {field.name!r} of {name} is nested more than {DEPTH_MAX} deep",
            hint="flatten it",
            name=name,
            column=field.name,
        )

    def inside(child: Any) -> Any:
        found = _plain_type(pa, child.with_name(field.name), name)
        if pa.types.is_timestamp(found) and zone_rules(found.tz or "") is not None:
            raise InputError(
                f"column {field.name!r} of {name} has times by the clock of {found.tz} in it; only whole columns bring the"
                " rules of a zone along",
                hint="convert them to UTC, or give them a column of their own",
                name=name,
                column=field.name,
            )
        return found

    types = pa.types
    if types.is_struct(kind):
        names = [kind.field(at).name for at in range(kind.num_fields)]
        if len({*names}) == len(names):
            return pa.struct([(each, inside(kind.field(at))) for at, each in enumerate(names)])
    elif types.is_map(kind):
        return pa.list_(pa.struct([("key", inside(kind.key_field)), ("value", inside(kind.item_field))]))
    elif types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return pa.list_(inside(kind.value_field))
    raise _no_place(field, name)


def _plain_type(pa: Any, field: Any, name: str) -> Any:
    kind, types = field.type, pa.types
    extension = getattr(kind, "extension_name", "") or ((field.metadata or {}).get(b"ARROW:extension:name") or b"").decode()
    if extension:  # whether or not some library has made the type known to this process
        raise InputError(
            f"column {field.name!r} of {name} is of the extension type {one_line(extension, 80)}; a chunk's columns are {_PLAIN}",
            hint="cast it: periods with x.dt.to_timestamp() or x.astype(str), others to text or numbers; or leave the column out",
            name=name,
            column=field.name,
        )
    while types.is_dictionary(kind) or types.is_run_end_encoded(kind):
        if types.is_dictionary(kind) and kind.ordered:
            raise InputError(
                f"column {field.name!r} of {name} has ordered categories inside, where no list of them has a place",
                hint="give them a column of their own, or pass what they stand for",
                name=name,
                column=field.name,
            )
        kind = kind.value_type
    if types.is_decimal(kind):
        return kind if kind.bit_width >= 128 else pa.decimal128(kind.precision, kind.scale)
    if kind.num_fields and not types.is_union(kind):
        return _nested_type(pa, field, name, kind)
    for is_encoded, plain in (
        (types.is_string_view, pa.string()),
        (types.is_binary_view, pa.binary()),
        (types.is_fixed_size_binary, pa.binary()),
    ):
        if is_encoded(kind):
            return plain
    if types.is_primitive(kind) and not types.is_interval(kind):
        return kind
    if types.is_null(kind) or types.is_string(kind) or types.is_large_string(kind):
        return kind
    if types.is_binary(kind) or types.is_large_binary(kind):
        return kind
    raise _no_place(field, name)


def _depth_of(kind: Any) -> int:
    return 1 + max((_depth_of(kind.field(at).type) for at in range(kind.num_fields)), default=-1)


def _no_place(field: Any, name: str) -> InputError:
    types = need("pyarrow", "a table as input").types
    remedy = next(
        (remedy for test, remedy in _REMEDIES.items() if getattr(types, test)(field.type)), f"cast it to one of these: {_PLAIN}"
    )
    return InputError(
        f"column {field.name!r} of {name} is {one_line(field.type, 80)}; a chunk's columns are {_PLAIN}",
        hint=f"{remedy}; or leave the column out",
        name=name,
        column=field.name,
    )
