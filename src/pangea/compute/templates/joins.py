"""A ready job that joins a table with a small one on a key: the small one travels with the job, each chunk is looked up in it."""

from __future__ import annotations

import functools
import re
import zlib
from base64 import b85decode, b85encode
from collections.abc import Container, Sequence
from itertools import chain, compress
from typing import Any, Literal

from pangea.compute.client.definition.job import Job, JobDefinition
from pangea.compute.data import Column, DataError, Table
from pangea.compute.data.categories import Categories
from pangea.compute.data.measures import NANOSECONDS
from pangea.compute.inputs.cutting import cut
from pangea.compute.inputs.preprocessor import prepare_input
from pangea.compute.model.errors import InputError, ManifestError
from pangea.compute.model.options import JobOptions
from pangea.compute.model.units import CHUNK_BYTES_MAX, MIB, human_bytes
from pangea.compute.templates.categories import as_places, described
from pangea.compute.templates.checks import choice, columns

#: Of the small table, compressed and written as text: an archive has 8 MiB.
_SMALL_BYTES_MAX = 6 * MIB
_DECIMAL = re.compile(r"decimal\d+\((\d+), (-?\d+)\)")


def join(
    small: Any,
    on: str | Sequence[str],
    *,
    small_on: str | Sequence[str] | None = None,
    how: Literal["inner", "left", "right", "outer", "semi", "anti"] = "inner",
    suffix: str = "_right",
) -> JobDefinition:
    """Look up each row of a table in a small table.

    Args:
        small: the small table: a frame, a dict of columns, a list of dicts, a file's path.
        on: the key's columns.
        small_on: the key's columns in the small table, if they have other names there.
        how: "inner" keeps the rows that are found; "left" keeps all, with nulls where nothing is found; "right" keeps all of
            the small table, in its order, and "outer" all of both, in the order of the keys (missing ones last, but of
            instants, spans of time and categories first, as in pandas); "semi" and "anti" keep those that are found, or aren't,
            once each and without the small table's columns.
        suffix: put behind the name of a small table's column that the large one has, too.

    Returns:
        A job from a table to a table: the rows in order, each as often as its key is in the small table (in that one's order),
        with the small table's other columns behind. A null or NaN is a key that equals another, as to pandas (and not to SQL and
        polars: drop such rows first, where they shouldn't meet). Of "right" and "outer" the rows that are kept go through one
        sandbox in the end; where only the small table has a row, its key is in the key's column, of a type that holds both
        tables' numbers.

    Raises:
        ManifestError: an option is out of range, or the small table has no such column.
        InputError: the small table can't be read, or is larger than 6 MiB, compressed.
    """
    keys, small_keys = columns("on", on), columns("small_on", on if small_on is None else small_on)
    kind = choice("how", how, ("inner", "left", "right", "outer", "semi", "anti"))
    if len(keys) != len(small_keys):
        raise ManifestError(f"on has {len(keys)} columns and small_on has {len(small_keys)}", field="small_on")
    if not isinstance(suffix, str) or not suffix:
        raise ManifestError(f"suffix is {suffix!r:.80}; it must be some text", field="suffix")
    table = small_table(small)
    for name in small_keys:
        if name not in table.columns:
            hint = f"it has {', '.join(map(repr, table.names))}"
            raise ManifestError(f"the small table has no column {name!r}", hint=hint, field="small_on")
    small_text, small_names = packed(table), tuple(small_keys)
    plan = (tuple(keys), kind, suffix)

    @Job.define(name="join", split_strategy="arrow_batches")
    def job() -> None:
        @Job.execute(input="table", output="table")
        def execute(table: Table) -> Table:
            return joined(table, small_side(small_text, small_names), plan)

        if kind in ("right", "outer"):

            @Job.merge(output="table")
            def merge(results: list[Table]) -> Table:
                return joined_with_all(Table.concat(results), unpacked(small_text), small_names, plan)

    return job


def small_table(small: Any) -> Table:
    """The small table, read whole.

    Raises:
        InputError: it can't be, or has no columns.
    """
    if isinstance(small, Table):
        return small
    options = JobOptions.of({"split_strategy": "arrow_batches", "max_chunk_size": CHUNK_BYTES_MAX})
    with prepare_input(small, "table", options) as inputs:
        parts = [bytes(segment) for segment in cut(inputs, options, custom_max=CHUNK_BYTES_MAX)]
    if parts == [b""]:
        raise InputError("the small table is empty: it has no columns", hint="give at least the columns' names and types")
    return Table.concat(map(Table.from_arrow, parts))


def packed(table: Table) -> str:
    """The small table as text that travels with a job.

    Raises:
        InputError: it is too large.
    """
    text = b85encode(zlib.compress(table.to_arrow(), 9))
    if len(text) > _SMALL_BYTES_MAX:
        raise InputError(
            f"the small table has {human_bytes(len(text))} when compressed; {human_bytes(_SMALL_BYTES_MAX)} travel with a job",
            hint="swap the two tables, leave out columns, or sort both and join them natively",
            bytes=len(text),
            bytes_max=_SMALL_BYTES_MAX,
        )
    return text.decode()


# What follows runs in the sandbox.

#: The small table by key: positions of its rows; its other columns and their values, with a None behind the last; its keys.
Small = tuple[dict[Any, list[int]], dict[str, tuple[Column, list[Any]]], tuple[Column, ...]]


def unpacked(text: str) -> Table:
    """The small table."""
    return Table.from_arrow(zlib.decompress(b85decode(text)))


@functools.lru_cache(maxsize=1)
def small_side(text: str, key_names: tuple[str, ...]) -> Small:
    """The small table, unpacked: once for all chunks of a task."""
    table = unpacked(text)
    found: dict[Any, list[int]] = {}
    for position, key in enumerate(row_keys([table[name] for name in key_names])):
        found.setdefault(key, []).append(position)
    rest = {name: (column, [*column.stored(), None]) for name, column in table.columns.items() if name not in key_names}
    return found, rest, tuple(table[name] for name in key_names)


def joined(table: Table, small: Small, plan: tuple[tuple[str, ...], str, str]) -> Table:
    """The rows of `table` with those of the small one that have their key."""
    key_names, kind, suffix = plan
    found, rest, small_keys = small
    for name, small_key in zip(key_names, small_keys, strict=True):
        check_alike(name, table[name].type, small_key.type)
    if kind == "outer":
        return table
    hits: list[list[int] | None] = list(map(found.get, row_keys([table[name] for name in key_names])))
    if kind in ("semi", "anti", "right"):
        return table.take([place for place, hit in enumerate(hits) if (hit is not None) == (kind != "anti")])
    if kind == "left":
        hits = [hit or [-1] for hit in hits]
    large: Any = range(len(table))
    if not all(hits):
        large, hits = list(compress(large, hits)), list(filter(None, hits))
    right = list(chain.from_iterable(hits))  # type: ignore[arg-type]
    if len(right) != len(hits):
        large = [at for at, hit in zip(large, hits, strict=True) for _ in hit]  # type: ignore[union-attr]
    kept = table if large == range(len(table)) else table.take(large)
    columns: dict[str, Any] = dict(kept.columns)
    for name, small_key in zip(key_names, small_keys, strict=True):
        columns[name] = columns[name].described_by(common_categories(columns[name], small_key))
    types: dict[str, str] = {}
    known: dict[str, Categories | None] = {}
    for small_name, (column, values) in rest.items():
        name = free_name(small_name, columns, suffix)
        columns[name], types[name], known[name] = [values[at] for at in right], column.type, column.known_categories
    return described(columns, types, known)


def common_categories(one: Column, other: Column) -> Categories | None:
    """The categories of two keys, if they are the same; else a key is plain values, as in pandas."""
    return one.known_categories if one.known_categories == other.known_categories else None


def free_name(name: str, columns: Container[str], suffix: str) -> str:
    """What a small table's column is called beside the large one's.

    Raises:
        DataError: there is such a column, too.
    """
    name = f"{name}{suffix}" if name in columns else name
    if name in columns:
        raise DataError(f"both tables have a column {name!r}: choose another suffix")
    return name


def check_alike(name: str, kind: str, small_kind: str) -> None:
    """Refuse keys of which none could equal another.

    Raises:
        DataError: names the key and both types.
    """
    if "null" not in (kind, small_kind) and family(kind)[0] != family(small_kind)[0]:
        raise DataError(f"the key {name!r} is of type {kind} here and {small_kind} in the small table: cast one of them")


def joined_with_all(table: Table, small: Table, small_keys: tuple[str, ...], plan: tuple[tuple[str, ...], str, str]) -> Table:
    """The rows of both tables, those of the small one that none of the other has among them."""
    key_names, kind, suffix = plan
    sides = [(table[name], small[small_name]) for name, small_name in zip(key_names, small_keys, strict=True)]
    shared = {one.name: common_categories(one, other) for one, other in sides}
    placed = [(as_places(one), as_places(other)) if shared[one.name] else (one, other) for one, other in sides]
    order = None if kind == "right" else [_missing_first(one, shared[one.name]) for one, _ in sides]
    pairs = _pairs(row_keys([one for one, _ in placed]), row_keys([other for _, other in placed]), order)
    columns: dict[str, list[Any]] = {}
    types: dict[str, str] = {}
    known: dict[str, Categories | None] = {name: column.known_categories for name, column in table.columns.items()} | shared
    for name, column in table.columns.items():
        values = column.stored()
        columns[name], types[name] = [None if left < 0 else values[left] for left, _ in pairs], column.type
        if name in key_names:
            theirs = small[small_keys[key_names.index(name)]]
            keys = _in_unit_of(name, theirs, theirs.type if column.type == "null" else column.type)
            both = [keys[right] if left < 0 else values[left] for left, right in pairs]
            types[name], columns[name] = _exactly((column.type, theirs.type), both)
    for small_name, column in small.columns.items():
        if small_name not in small_keys:
            name, values = free_name(small_name, columns, suffix), column.stored()
            columns[name], types[name] = [None if right < 0 else values[right] for _, right in pairs], column.type
            known[name] = column.known_categories
    return described(columns, types, known)


def _missing_first(key: Column, shared: Categories | None) -> bool:
    """Whether missing keys are before the others: to pandas NaT is the least instant, and no category the least place."""
    return shared is not None or key.type.startswith(("timestamp", "duration"))


def _pairs(keys: list[Any], small_keys: list[Any], missing_first: list[bool] | None) -> list[tuple[int, int]]:
    """Positions of rows that belong together, -1 where one side has none.

    They are in the order of the keys, each with its missing values first or last; or, if that is None, in the small table's,
    without the rows that only the large one has.
    """
    places: dict[Any, list[int]] = {}
    for place, key in enumerate(keys):
        places.setdefault(key, []).append(place)
    pairs = [(left, right) for right, key in enumerate(small_keys) for left in places.get(key, [-1])]
    if missing_first is None:
        return pairs
    matched = {left for left, _ in pairs}
    pairs += [(left, -1) for left in range(len(keys)) if left not in matched]

    def order(pair: tuple[int, int]) -> tuple[list[tuple[bool, Any]], int, int]:
        left, right = pair
        key = keys[left] if left >= 0 else small_keys[right]
        parts = zip(key if type(key) is tuple else (key,), missing_first, strict=True)
        return [((part is None) != is_first, 0 if part is None else part) for part, is_first in parts], left, right

    return sorted(pairs, key=order)


def _type_of_both(kind: str, other: str) -> str:
    """The type that keys of both types have together; that of the large table where there is no such one, or none is needed."""
    if kind == "null" or other == "null":
        return other if kind == "null" else kind
    if kind == other or family(kind)[0] != "number":
        return kind
    one, two = _DECIMAL.fullmatch(kind), _DECIMAL.fullmatch(other)
    if one and two:
        scale = max(int(one[2]), int(two[2]))
        digits = scale + max(int(one[1]) - int(one[2]), int(two[1]) - int(two[2]))
        return f"decimal{128 if digits <= 38 else 256}({digits}, {scale})" if digits <= 76 else kind
    if one or two:
        return kind
    if "float" in kind + other:
        return max(kind, other, key=_bits) if "int" not in kind + other else "float64"
    wide = max(kind, other, key=_bits)
    if kind[0] == other[0]:
        return wide
    bits = max(_bits(kind if kind[0] == "i" else other), 2 * _bits(kind if kind[0] == "u" else other))
    return f"int{bits}" if bits <= 64 else kind


def _bits(kind: str) -> int:
    return int(re.sub(r"\D", "", kind))


def _exactly(kinds: tuple[str, str], keys: list[Any]) -> tuple[str, list[Any]]:
    """The type of both and the keys; whole numbers that would lose a digit as floats stay such, and so must the others be."""
    kind = _type_of_both(*kinds)
    whole = next((each for each in kinds if each.startswith(("int", "uint"))), None)
    if whole is None or not kind.startswith("float") or all(type(key) is not int or int(float(key)) == key for key in keys):
        return kind, keys
    return whole, [int(key) if type(key) is float and key.is_integer() else key for key in keys]


def _in_unit_of(name: str, column: Column, kind: str) -> list[Any]:
    """The small table's keys as they are stored in a column of the large one's type."""
    ours, theirs = family(kind)[1], family(column.type)[1]
    values = column.stored()
    if ours == theirs:
        return values
    if any(value is not None and value * theirs % ours for value in values):
        raise DataError(f"the key {name!r} has times in the small table that type {kind} doesn't hold exactly: cast one of them")
    return [None if value is None else value * theirs // ours for value in values]


def row_keys(key_columns: list[Column]) -> list[Any]:
    """A key for each row: a value, or a tuple of several; what is missing is None (NaN as well)."""
    scaled = [_scaled(column) for column in key_columns]
    return scaled[0] if len(scaled) == 1 else list(zip(*scaled, strict=True))


def _scaled(column: Column) -> list[Any]:
    """The stored values, with None for NaN; those of dates and times in nanoseconds, so that units don't part equal ones.

    Of categories they are the values, too, which those of another list equal.
    """
    values, (_, scale) = column.plain().comparable(), family(column.type)
    return values if scale == 1 else [None if value is None else value * scale for value in values]


def family(kind: str) -> tuple[str, int]:
    """What types have in common whose stored values compare once they are multiplied by a number; and that number."""
    if kind.removeprefix("large_") in ("string", "binary"):
        return kind.removeprefix("large_"), 1
    if kind.startswith(("int", "uint", "float", "decimal")):
        return "number", 1
    if kind in ("date32", "date64"):
        return "date", NANOSECONDS["D" if kind == "date32" else "ms"]
    head, bracket, inside = kind.partition("[")
    unit, _, zone = inside.removesuffix("]").partition(", tz=")
    if not bracket:
        return kind, 1
    name = head.rstrip("0123456789")  # time32, time64
    return f"{name} with a zone" if zone else name, NANOSECONDS[unit]
