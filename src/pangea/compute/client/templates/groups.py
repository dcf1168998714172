"""A ready job that groups a table's rows by key: count, sum, mean, min, max and variance of each group.

Its merge is associative to the last byte: sums are exact until they are written as a float (`pangea.compute.data.exact`), so
neither the order of merging nor its grouping shows. What a figure is made of travels in the schema's metadata, where tables
keep what isn't a column; the columns are the figures.

Nulls and NaN are missing values, as in pandas: they count in no figure.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain, compress, repeat
from typing import Any

from pangea.compute.client.job import Job, JobDefinition
from pangea.compute.client.templates.checks import choice, columns, whole
from pangea.compute.data import Column, DataError, Table
from pangea.compute.data.exact import (
    add_squares,
    exact_integers,
    exact_sums,
    integer_squares,
    quotient,
    squares,
    variance,
)
from pangea.compute.model.errors import ManifestError

AGGREGATES = ("count", "sum", "mean", "min", "max", "var")
#: Under which the state is in the metadata of a merged table.
STATE = b"pangea.group_by"
_NEED_SUMS = frozenset({"sum", "mean", "var"})
_INT64 = range(-(1 << 63), 1 << 63)


def group_by(
    by: str | Sequence[str],
    aggregates: Mapping[str, str | Sequence[str]],
    *,
    size: str | None = None,
    keep_missing: bool = False,
    ddof: int = 1,
) -> JobDefinition:
    """Group a table's rows by key and sum up each group.

    Args:
        by: the key's columns.
        aggregates: what to make of each column: any of count (of values that aren't missing), sum, mean, min, max, var. Sums,
            means and variances are of numbers (and booleans); the others of whatever has an order.
        size: name of a column with the number of rows of each group, missing values or not; None for none.
        keep_missing: keep rows whose key is missing, as groups of their own, last; otherwise they are left out.
        ddof: what is taken from the count in a variance's divisor: 1 for a sample, 0 for everything there is.

    Returns:
        A job from a table to a table of one row a group, sorted by key: the key's columns, then `{column}_{aggregate}` in the
        order given, then `size`. Sums of floats are rounded once, from the exact sum; sums of integers are int64, or float64 if
        one is beyond it. A variance depends on where the input was cut, by a relative error of about 1e-16; nothing else does.

    Raises:
        ManifestError: a column is named twice, an aggregate is unknown, or there is nothing to make.
    """
    key_names = columns("by", by)
    wanted = _wanted(aggregates)
    names = [*key_names, *(f"{name}_{what}" for name, each in wanted for what in each), *([size] if size is not None else [])]
    if len(names) == len(key_names) or len({*names}) < len(names):
        raise ManifestError(
            f"the result's columns would be {', '.join(names)}: {'no figures' if len(names) == len(key_names) else 'one twice'}",
            hint="name the aggregates of each column once, as in {'price': ['mean', 'var']}",
            field="aggregates",
        )
    plan = (tuple(key_names), wanted, size, bool(keep_missing), whole("ddof", ddof, 0, 10**9))

    @Job.define(name="group_by", split_strategy="arrow_batches", max_chunk_size=4 << 20)
    def job() -> None:
        @Job.execute(input="table", output="table")
        def execute(table: Table) -> Table:
            return grouped(table, plan)

        @Job.merge(associative=True, output="table")
        def merge(results: list[Table]) -> Table:
            return merged(results, plan)

    return job


Wanted = tuple[tuple[str, tuple[str, ...]], ...]
#: Key columns, wanted aggregates, name of the size column, whether missing keys are kept, ddof.
Plan = tuple[tuple[str, ...], Wanted, str | None, bool, int]


def _wanted(aggregates: Any) -> Wanted:
    if not isinstance(aggregates, Mapping):
        raise ManifestError(
            f"aggregates is a {type(aggregates).__name__}; it must be a dict such as {{'price': ['mean', 'var']}}",
            field="aggregates",
        )
    found = []
    for name, each in aggregates.items():
        columns("aggregates", name)
        whats = [each] if isinstance(each, str) else list(each)
        found.append((name, tuple(choice(f"the aggregate of {name!r}", what, AGGREGATES) for what in whats)))
    return tuple(found)


# What follows runs in the sandbox. A state has a row for each group and a column for each thing that can be added up; it is a
# table, or behind the metadata of one.


def grouped(table: Table, plan: Plan) -> Table:
    """The state of one chunk's groups, as they come."""
    key_names, wanted, size, keeps_missing, _ = plan
    keys, kept = _keys([table[name] for name in key_names], keeps_missing)
    present = [_present(keys, table[name], kept) for name, _ in wanted]
    found = [_lists(*each) if each[0] is keys else None for each in present]
    distinct = list(next((lists for lists in found if lists is not None), None) or dict.fromkeys(keys))
    state = _State(distinct, [table[name].type for name in key_names])
    if size is not None:
        counts = Counter(keys)
        state.add("size", "int64", [counts[key] for key in distinct])
    for index, (name, whats) in enumerate(wanted):
        lists = found[index] or _lists(*present[index])
        _sum_up(state, index, name, table[name].type, whats, [lists[key] for key in distinct])
        found[index] = None
    return state.table()


def merged(results: list[Table], plan: Plan) -> Table:
    """The figures of each group, with the state of all results together in the metadata."""
    key_names, wanted, size, _, _ = plan
    states = [_state_of(result) for result in results]
    types = _common_types(states)
    keys_of = [_state_keys(state, len(key_names)) for state in states]
    distinct = sorted(dict.fromkeys(chain.from_iterable(keys_of)), key=_missing_last)

    def gathered(*names: str) -> list[list[Any]]:
        """The values of each group, of these columns together."""
        pairs = [
            (keys, state[name]) for name in names for keys, state in zip(keys_of, states, strict=True) if name in state.columns
        ]
        values = chain.from_iterable(column.tolist() if column.type == "float64" else _stored(column) for _, column in pairs)
        lists = _lists(chain.from_iterable(keys for keys, _ in pairs), values)
        return [lists[key] for key in distinct]

    state = _State(distinct, [types[f"key{index}"] for index in range(len(key_names))])
    if size is not None:
        state.add("size", "int64", map(sum, gathered("size")))
    for index, (name, _whats) in enumerate(wanted):
        _merge_column(state, index, name, types, gathered)
    return _figures(state, plan, types)


class _State:
    """Columns of a state in the making."""

    def __init__(self, distinct: list[Any], key_types: list[str]) -> None:
        parts = [distinct] if len(key_types) == 1 else [*zip(*distinct, strict=True)] or [()] * len(key_types)
        self.types = {f"key{index}": kind for index, kind in enumerate(key_types)}
        self.columns = {name: list(part) for name, part in zip(self.types, parts, strict=True)}

    def add(self, name: str, kind: str, values: Iterable[Any]) -> None:
        self.columns[name], self.types[name] = list(values), kind

    def table(self) -> Table:
        return Table.of(self.columns, self.types)


def _keys(key_columns: list[Column], keeps_missing: bool) -> tuple[Sequence[Any], list[bool] | None]:
    """A key for each row, and which rows are kept; None for all of them."""
    stored = [_without_nan(column, _stored(column)) for column in key_columns]
    keys: Sequence[Any] = stored[0] if len(stored) == 1 else list(zip(*stored, strict=True))
    if keeps_missing or not any(isinstance(values, list) and None in values for values in stored):
        return keys, None
    kept = [key is not None for key in keys] if len(stored) == 1 else [None not in key for key in keys]
    return list(compress(keys, kept)), kept


def _stored(column: Column) -> Sequence[Any]:
    """The values as they are stored (dates as whole numbers), None for nulls: they group and compare as the values do."""
    if not column.null_count and column.kind.layout == "fixed":
        return column.values
    lists = [vector.raw() for vector in column.vectors]
    return lists[0] if len(lists) == 1 else list(chain.from_iterable(lists))


def _without_nan(column: Column, values: Sequence[Any]) -> Sequence[Any]:
    """`values` with None for NaN."""
    if not column.type.startswith("float"):
        return values
    return [value if value == value else None for value in values]


def _present(keys: Sequence[Any], column: Column, kept: list[bool] | None) -> tuple[Sequence[Any], Sequence[Any]]:
    """The keys and values of the rows that have a value, NaN included."""
    values = _stored(column) if kept is None else list(compress(_stored(column), kept))
    if not column.null_count:
        return keys, values
    there = [value is not None for value in values]
    return list(compress(keys, there)), list(compress(values, there))


def _lists(keys: Iterable[Any], values: Iterable[Any]) -> defaultdict[Any, list[Any]]:
    """The values of each key. The loop over the rows runs in C."""
    lists: defaultdict[Any, list[Any]] = defaultdict(list)
    deque(map(list.append, map(lists.__getitem__, keys), values), maxlen=0)
    return lists


def _sum_up(state: _State, index: int, name: str, kind: str, whats: tuple[str, ...], lists: list[list[Any]]) -> None:
    """Add to the state what the aggregates of one column need."""
    is_float = kind.startswith("float")
    if is_float and not all(total == total for total in map(sum, lists)):  # NaN, or inf - inf
        lists = [[value for value in values if value == value] for values in lists]
    state.add(f"{index}.count", "int64", map(len, lists))
    if "min" in whats:
        state.add(f"{index}.min", kind, [min(values, default=None) for values in lists])
    if "max" in whats:
        state.add(f"{index}.max", kind, [max(values, default=None) for values in lists])
    if not _NEED_SUMS.intersection(whats):
        return
    if not kind.startswith(("int", "uint", "float", "bool")):
        wrong = next(what for what in whats if what in _NEED_SUMS)
        raise DataError(f"column {name!r} of type {kind} has no {wrong}: numbers have; count, min and max are for all types")
    levels = exact_sums(lists) if is_float else exact_integers(map(sum, lists))
    _add_levels(state, index, "float" if is_float else "whole", levels)
    if "var" not in whats:
        return
    if is_float:
        parts = zip(*levels, strict=True) if levels else repeat((), len(lists))
        values = [squares(each, part) if each else b"" for each, part in zip(lists, parts, strict=True)]
    else:
        values = list(map(integer_squares, lists))
    state.add(f"{index}.squares", "binary", values)


def _add_levels(state: _State, index: int, kind: str, levels: list[list[float]]) -> None:
    for number, level in enumerate(levels or [[0.0] * len(state.columns["key0"])]):
        state.add(f"{index}.{kind}{number}", "float64", level)


def _missing_last(key: Any) -> Any:
    if isinstance(key, tuple):
        return [(part is None, 0 if part is None else part) for part in key]
    return key is None, 0 if key is None else key


def _state_of(result: Table) -> Table:
    held = dict(result.metadata).get(STATE)
    return result if held is None else Table.from_arrow(b64decode(held))


def _state_keys(state: Table, count: int) -> Sequence[Any]:
    stored = [_stored(state[f"key{index}"]) for index in range(count)]
    return stored[0] if count == 1 else list(zip(*stored, strict=True))


def _common_types(states: list[Table]) -> dict[str, str]:
    """The type of each column of the states.

    Raises:
        DataError: two differ.
    """
    types: dict[str, str] = {}
    for state in states:
        for name, kind in state.schema.items():
            if types.setdefault(name, kind) != kind:
                raise DataError(
                    f"a column that is {types[name]} in one part of the input is {kind} in another: cast it to one type"
                )
    return types


def _merge_column(state: _State, index: int, name: str, types: dict[str, str], gathered: Callable[..., list[list[Any]]]) -> None:
    """Add up one column's part of the states."""
    state.add(f"{index}.count", "int64", map(sum, gathered(f"{index}.count")))
    for what, best in (("min", min), ("max", max)):
        if (kind := types.get(f"{index}.{what}")) is not None:
            lists = gathered(f"{index}.{what}")
            state.add(f"{index}.{what}", kind, [best(filter(_is_there, values), default=None) for values in lists])
    kinds = {kind for kind in ("float", "whole") if f"{index}.{kind}0" in types}
    if len(kinds) > 1:
        raise DataError(f"column {name!r} is of floats in one part of the input, of integers in another: cast it to one type")
    for kind in kinds:
        _add_levels(state, index, kind, exact_sums(gathered(*(each for each in types if each.startswith(f"{index}.{kind}")))))
    if f"{index}.squares" in types:
        state.add(f"{index}.squares", "binary", map(add_squares, gathered(f"{index}.squares")))


def _is_there(value: Any) -> bool:
    return value is not None


def _figures(state: _State, plan: Plan, types: dict[str, str]) -> Table:
    """The table of figures, the state in its metadata."""
    key_names, wanted, size, _, ddof = plan
    columns = {name: state.columns[f"key{index}"] for index, name in enumerate(key_names)}
    kinds = {name: types[f"key{index}"] for index, name in enumerate(key_names)}
    for index, (name, whats) in enumerate(wanted):
        for what in whats:
            figure, kind = _figure(state, index, what, ddof)
            columns[f"{name}_{what}"], kinds[f"{name}_{what}"] = figure, kind or types[f"{index}.{what}"]
    if size is not None:
        columns[size], kinds[size] = state.columns["size"], "int64"
    table = Table.of(columns, kinds)
    return Table(table.columns.values(), [len(table)], ((STATE, b64encode(state.table().to_arrow())),))


def _figure(state: _State, index: int, what: str, ddof: int) -> tuple[list[Any], str]:
    """A figure of each group, and its type; "" if it is that of the state's column."""
    counts = state.columns[f"{index}.count"]
    if what in ("count", "min", "max"):
        return state.columns[f"{index}.{what}"], "int64" if what == "count" else ""
    is_whole = f"{index}.whole0" in state.columns
    prefix = f"{index}.{'whole' if is_whole else 'float'}"
    parts = list(zip(*(values for name, values in state.columns.items() if name.startswith(prefix)), strict=True))
    if what == "mean":
        return [quotient(each, count) if count else None for each, count in zip(parts, counts, strict=True)], "float64"
    if what == "var":
        packed = state.columns[f"{index}.squares"]
        found = [variance(*each, ddof=ddof) if each[0] > ddof else None for each in zip(counts, parts, packed, strict=True)]
        return found, "float64"
    if is_whole:
        sums = [sum(map(int, each)) for each in parts]
        if all(total in _INT64 for total in sums):
            return sums, "int64"
    return [quotient(each, 1) for each in parts], "float64"
