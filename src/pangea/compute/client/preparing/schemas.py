"""The schemas of tables: what a column may be, and that all inputs of a job agree."""

from __future__ import annotations

from typing import Any

from pangea.compute.client.libraries import need
from pangea.compute.client.preparing.files import one_line
from pangea.compute.model.errors import InputError

_PLAIN = "numbers, booleans, text, bytes, dates and times"
#: What to do about a column of each other kind; the names are those of pyarrow.types' functions.
_REMEDIES = {
    "is_decimal": "cast it to float64, or to text if every digit counts",
    "is_list": "one row for each item (explode), or JSON in a text column",
    "is_large_list": "one row for each item (explode), or JSON in a text column",
    "is_fixed_size_list": "one column for each item, or an array job with x.to_numpy()",
    "is_struct": "one column for each field (unnest, json_normalize)",
    "is_map": "one column for each key, or JSON in a text column",
    "is_union": "one column for each type",
    "is_interval": "cast it to a duration, or to a number of months or days",
}


def plain_schema(schema: Any, name: str) -> Any:
    """The schema that travels for a table of `schema`: plain columns only, and no remarks of libraries.

    Dictionaries (categories) and runs become what they stand for, views and fixed-size bytes the same with offsets.

    Args:
        schema: a pyarrow.Schema.
        name: of the input, for messages.

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
    return pa.schema([pa.field(each.name, _plain_type(pa, each, name)) for each in schema])


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
    """The rows of a pyarrow.RecordBatch as `schema` says, which `plain_schema` made of its own."""
    pa = need("pyarrow", "a table as input")
    if batch.schema.equals(schema, check_metadata=True):
        return batch
    columns = [_plain_column(pa, column, field.type) for column, field in zip(batch.columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _plain_column(pa: Any, column: Any, kind: Any) -> Any:
    if column.type == kind:
        return column
    if pa.types.is_run_end_encoded(column.type):
        return _plain_column(pa, need("pyarrow.compute", "a table as input").run_end_decode(column), kind)
    return column.cast(kind)


def _plain_type(pa: Any, field: Any, name: str) -> Any:
    kind, types = field.type, pa.types
    while types.is_dictionary(kind) or types.is_run_end_encoded(kind):
        kind = kind.value_type
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
    remedy = next(
        (remedy for test, remedy in _REMEDIES.items() if getattr(types, test)(kind)), f"cast it to one of these: {_PLAIN}"
    )
    raise InputError(
        f"column {field.name!r} of {name} is {one_line(field.type, 80)}; a chunk's columns are {_PLAIN}",
        hint=f"{remedy}; or leave the column out",
        name=name,
        column=field.name,
    )
