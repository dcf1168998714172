"""A ready job that groups a table's rows by key: count, sum, mean, min, max, variance and deviation of each group.

Its merge is associative to the last byte: sums are exact until they are written as a float (`pangea.compute.data.exact`), so
neither the order of merging nor its grouping shows. What a figure is made of travels in the schema's metadata, where tables
keep what isn't a column; the columns are the figures.

Nulls and NaN are missing values, as in pandas: they count in no figure.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, compress, repeat
from math import fsum, inf, isfinite, nextafter
from operator import itemgetter, mul
from typing import Any, NamedTuple

from pangea.compute.client.definition.job import Job, JobDefinition
from pangea.compute.data import Column, DataError, Table
from pangea.compute.data.exact import (
    exact_integers,
    exact_sum,
    exact_sums,
    repeated_squares,
    squares,
    squares_about,
    variances,
)
from pangea.compute.data.running import Running, figures_by_key
from pangea.compute.model.errors import ManifestError
from pangea.compute.templates import categories
from pangea.compute.templates.aggregates import (
    NEED_SUMS,
    VALUES,
    Wanted,
    check_type,
    is_span,
    known_type,
    roots,
    spans,
    wanted_aggregates,
)
from pangea.compute.templates.checks import columns, flag, whole
from pangea.compute.templates.grouping import coded, figures
from pangea.compute.templates.levels import (
    distilled,
    exact_levels,
    extremes,
    listed,
    means_of,
    of_all_keys,
    rounded_once,
    totals,
    where_known,
)
from pangea.compute.templates.levels import variances as array_variances

#: Under which the state is in the metadata of a merged table.
STATE = b"pangea.group_by"
_VALUE_OF: dict[str, Callable[[Any], Any]] = {"min": min, "max": max, "first": itemgetter(0), "last": itemgetter(-1)}
#: What is known of runs of floats.
_IN_RUNS = NEED_SUMS | {"count", "min", "max"}
_INT64 = range(-(1 << 63), 1 << 63)
#: Rows that are gone through in one go: each takes up to a hundred bytes of the sandbox's memory.
_ROWS_MAX = 1 << 20
#: Rows of one run, at least.
_RUN_ROWS = 1 << 16
#: Sums of so many levels are left to `exact_sums`, which knows an end.
_LEVELS_USUAL = 40
_LARGEST = nextafter(inf, 0.0)


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
        aggregates: what to make of each column: any of count (of values that aren't missing), sum, mean, min, max, var, std,
            first, last (of those values, as the rows come), any, all (whether any or all of them are true, or no zero).
            Sums and means are of numbers, booleans and spans of time, variances and their roots, any and all of the first two;
            min and max of whatever has an order.
        size: name of a column with the number of rows of each group, missing values or not; None for none.
        keep_missing: keep rows whose key is missing, as groups of their own, last; otherwise they are left out.
        ddof: what is taken from the count in a variance's divisor: 1 for a sample, 0 for everything there is.

    Returns:
        A job from a table to a table of one row a group, sorted by key: the key's columns, then `{column}_{aggregate}` in the
        order given, then `size`. Sums of floats are rounded once, from the exact sum, and means are that by the count; sums of
        integers are int64, or float64 if one is beyond it. Means of spans of time are cut off at their unit. The last digits of a
        variance of floats depend on where the input was cut; nothing else does.

    Raises:
        ManifestError: a column is named twice, an aggregate is unknown, or there is nothing to make.
    """
    key_names = columns("by", by)
    wanted = wanted_aggregates(aggregates)
    names = [*key_names, *(f"{name}_{what}" for name, each in wanted for what in each), *([size] if size is not None else [])]
    if len(names) == len(key_names) or len({*names}) < len(names):
        raise ManifestError(
            f"the result's columns would be {', '.join(names)}: {'no figures' if len(names) == len(key_names) else 'one twice'}",
            hint="name the aggregates of each column once, as in {'price': ['mean', 'var']}",
            field="aggregates",
        )
    plan = (tuple(key_names), wanted, size, flag("keep_missing", keep_missing), whole("ddof", ddof, 0, 10**9))

    @Job.define(name="group_by", split_strategy="arrow_batches", max_chunk_size=16 << 20)
    def job() -> None:
        @Job.execute(input="table", output="table")
        def execute(table: Table) -> Table:
            return grouped(table, plan)

        @Job.merge(associative=True, output="table")
        def merge(results: list[Table]) -> Table:
            return merged(results, plan)

    return job


#: Key columns, wanted aggregates, name of the size column, whether missing keys are kept, ddof.
Plan = tuple[tuple[str, ...], Wanted, str | None, bool, int]


# What follows runs in the sandbox. A state has a row for each group and a column for each thing that can be added up: `0.count`,
# `0.float0` (of the sum's levels), ... for the first column that is wanted. It is a table, or in the metadata of one.


class _Rows(NamedTuple):
    """What is known of some keys, of one wanted column: values by what they are (`count`, `float0`, ...)."""

    keys: Sequence[Any]
    columns: dict[str, Sequence[Any]]


def grouped(table: Table, plan: Plan) -> Table:
    """The state of one chunk's groups; of more rows than memory may hold as arrays, in parts, which are merged."""
    if len(table) <= _ROWS_MAX:
        return _grouped(table, plan)
    starts = range(0, len(table), _ROWS_MAX)
    return merged([_grouped(table[start : start + _ROWS_MAX], plan) for start in starts], plan)


def _grouped(table: Table, plan: Plan) -> Table:
    """The state of rows' groups, as they come."""
    key_names, wanted, size, keeps_missing, _ = plan
    for name, whats in wanted:
        categories.check_figures(table[name], whats)
    table, coded_columns = categories.with_places(table, [*key_names, *(name for name, _ in wanted)])
    keys, kept = _keys([table[name] for name in key_names], keeps_missing)
    rows = coded(keys, _in_order)
    distinct = _in_order(keys) if rows is None else rows.keys
    found = []
    for name, asked in wanted:
        column = table[name]
        check_type(name, column.type, asked)
        whats = known_type(column.type, asked)
        known = None if rows is None else figures(rows, column, kept, whats, not NEED_SUMS.isdisjoint(whats))
        found.append([_Rows(distinct, known)] if known is not None else _row_by_row(keys, column, kept, whats))
    types = {f"key{index}": table[name].type for index, name in enumerate(key_names)}
    state = _key_columns(distinct, len(key_names)) if rows is None or len(key_names) > 1 else {"key0": rows.stored}
    if size is not None:
        state["size"] = _counted(keys, distinct) if rows is None else rows.counts.astype("i8")
    for index, ((name, _), known_rows) in enumerate(zip(wanted, found, strict=True)):
        is_whole = len(known_rows) == 1 and known_rows[0].keys == distinct
        columns = known_rows[0].columns if is_whole else _add_up(distinct, known_rows)
        _put(state, types, index, columns, table[name].type)
    return categories.noted(Table.of(state, _with_defaults(state, types)), categories.of_state(coded_columns, key_names, wanted))


def _row_by_row(keys: Sequence[Any], column: Column, kept: list[bool] | None, whats: tuple[str, ...]) -> list[_Rows]:
    present = _present(keys, column, kept)
    if column.type.startswith("float") and not NEED_SUMS.isdisjoint(whats) and _IN_RUNS.issuperset(whats):
        return list(_float_rows(*present, whats))
    return [_list_rows(*present, whats, column.type)]


def _counted(keys: Sequence[Any], distinct: Sequence[Any]) -> list[int]:
    counts = Counter(keys)
    return [counts[key] for key in distinct]


def merged(results: list[Table], plan: Plan) -> Table:
    """The figures of each group, with the state of all results together in the metadata."""
    key_names, wanted, size, _, _ = plan
    states = [_state_of(result) for result in results]
    types = _common_types(states)
    keys_of = [_state_keys(state, len(key_names)) for state in states]
    distinct = keys_of[0] if all(keys == keys_of[0] for keys in keys_of) else _in_order(chain.from_iterable(keys_of))
    held = [{name: _stored(column) for name, column in state.columns.items()} for state in states]
    if (spread := of_all_keys(keys_of, held)) is not None:
        distinct, held = spread
        keys_of = [distinct] * len(held)
    state = _key_columns(distinct, len(key_names))
    if size is not None:
        sizes = [_Rows(keys, {"count": columns["size"]}) for keys, columns in zip(keys_of, held, strict=True)]
        state["size"] = _add_up(distinct, sizes)["count"]
    for index, (name, _) in enumerate(wanted):
        if f"{index}.float0" in types and f"{index}.whole0" in types:
            raise DataError(f"column {name!r} is of floats in one part of the input, of integers in another: cast it to one type")
        rows = [_Rows(keys, _part(columns, index)) for keys, columns in zip(keys_of, held, strict=True)]
        kind = next((types[key] for what in VALUES if (key := f"{index}.{what}") in types), "")
        _put(state, types, index, _add_up(distinct, rows), kind)
    return _figures(state, plan, types, categories.noted_in(states))


def _keys(key_columns: list[Column], keeps_missing: bool) -> tuple[Sequence[Any], list[bool] | None]:
    """A key for each row, and which rows are kept; None for all of them."""
    stored = [_key_values(column) for column in key_columns]
    keys: Sequence[Any] = stored[0] if len(stored) == 1 else list(zip(*stored, strict=True))
    if keeps_missing or not any(isinstance(values, list) and None in values for values in stored):
        return keys, None
    kept = [key is not None for key in keys] if len(stored) == 1 else [None not in key for key in keys]
    return list(compress(keys, kept)), kept


def _stored(column: Column) -> Sequence[Any]:
    """The values as they are stored (dates as whole numbers), None for nulls: they group and compare as the values do."""
    if not column.null_count and column.kind.layout == "fixed":
        return column.numbers()
    return column.stored()


def _key_values(column: Column) -> Sequence[Any]:
    """The values as they are stored, with None for NaN, too."""
    is_plain = column.kind.layout == "fixed" and not column.null_count and not column.type.startswith("float")
    return column.numbers() if is_plain else column.comparable()


def _present(keys: Sequence[Any], column: Column, kept: list[bool] | None) -> tuple[Sequence[Any], Sequence[Any]]:
    """The keys and values of the rows that have a value, NaN included."""
    values = _stored(column) if kept is None else list(compress(_stored(column), kept))
    if not column.null_count:
        return keys, values
    there = [value is not None for value in values]
    return list(compress(keys, there)), list(compress(values, there))


def _key_columns(distinct: Sequence[Any], count: int) -> dict[str, Sequence[Any]]:
    parts = [distinct] if count == 1 else [*zip(*distinct, strict=True)] or [()] * count
    return {f"key{index}": part if isinstance(part, memoryview) else list(part) for index, part in enumerate(parts)}


def _put(
    state: dict[str, Sequence[Any]], types: dict[str, str], index: int, columns: dict[str, Sequence[Any]], kind: str
) -> None:
    for what, values in columns.items():
        state[f"{index}.{what}"] = values
        if what in VALUES:
            types[f"{index}.{what}"] = kind


def _with_defaults(state: Iterable[str], types: dict[str, str]) -> dict[str, str]:
    """The types of all columns: counts are integers, levels floats."""
    return {name: types.get(name) or ("int64" if name.endswith(("count", "size", "trues")) else "float64") for name in state}


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


def _part(columns: dict[str, Sequence[Any]], index: int) -> dict[str, Sequence[Any]]:
    """The columns of one wanted column, by what they are."""
    prefix = f"{index}."
    return {name.removeprefix(prefix): values for name, values in columns.items() if name.startswith(prefix)}


def _in_order(keys: Iterable[Any]) -> list[Any]:
    """Each key once, in order; missing ones last."""
    distinct = dict.fromkeys(keys)
    try:
        return sorted(distinct)
    except TypeError:  # a None among them
        return sorted(distinct, key=_missing_last)


def _missing_last(key: Any) -> Any:
    if isinstance(key, tuple):
        return [(part is None, 0 if part is None else part) for part in key]
    return key is None, 0 if key is None else key


def _lists(keys: Iterable[Any], values: Iterable[Any]) -> defaultdict[Any, list[Any]]:
    """The values of each key. The loop over the rows runs in C."""
    lists: defaultdict[Any, list[Any]] = defaultdict(list)
    deque(map(list.append, map(lists.__getitem__, keys), values), maxlen=0)
    return lists


def _add_up(distinct: Sequence[Any], rows: Sequence[_Rows]) -> dict[str, Sequence[Any]]:
    """What is known of each key in all rows together."""
    names = dict.fromkeys(name for each in rows for name in each.columns)
    is_aligned = all(each.keys == distinct for each in rows)

    def gathered(*wanted: str) -> list[Any]:
        pairs = [(each.keys, each.columns[name]) for name in wanted for each in rows if name in each.columns]
        if is_aligned:
            return list(zip(*(values for _, values in pairs), strict=True))
        lists = _lists(chain.from_iterable(keys for keys, _ in pairs), chain.from_iterable(values for _, values in pairs))
        return [lists[key] for key in distinct]

    def aligned(name: str) -> list[Sequence[Any]]:
        return [each.columns[name] for each in rows if name in each.columns] if is_aligned else []

    found: dict[str, Sequence[Any]] = {}
    for what in ("count", "trues"):
        if what in names:
            counts = totals(aligned(what))
            found[what] = list(map(sum, gathered(what))) if counts is None else counts
    for what in VALUES:
        if what in names:
            known = extremes(aligned(what), is_least=what == "min") if what in ("min", "max") else None
            found[what] = _chosen(what, rows, gathered(what)) if known is None else known
    for kind in ("float", "whole", "squares"):
        levels = [name for name in names if name.startswith(kind)]
        if levels and is_aligned:
            parts = [each.columns[name] for name in levels for each in rows if name in each.columns]
            found |= _levels(kind, _sums_of_columns(parts), len(distinct))
        elif levels:
            found |= _levels(kind, exact_sums(gathered(*levels)), len(distinct))
    return found


def _chosen(what: str, rows: Sequence[_Rows], held: list[Any]) -> list[Any]:
    """The least, the greatest, the first or the last of each key's values."""
    if any(None in each.columns[what] for each in rows if isinstance(each.columns.get(what), list)):
        held = [[value for value in values if value is not None] for values in held]
    return [_VALUE_OF[what](values) if values else None for values in held]


def _sums_of_columns(columns: Iterable[Sequence[float]]) -> Sequence[Sequence[float]]:
    """What `exact_sums` makes of the columns' rows, without making lists of them."""
    given, levels = list(columns), list[list[float]]()
    if (known := exact_levels(given)) is not None:
        return known
    held: list[Sequence[float]] = distilled(given) or given
    try:
        while any(level := list(map(fsum, zip(*held, strict=True)))):
            if not all(map(isfinite, level)) or len(levels) == _LEVELS_USUAL:
                return exact_sums(zip(*held[: len(held) - len(levels)], strict=True))
            levels.append(level)
            held.append([-part for part in level])
    except (OverflowError, ValueError):  # beyond the range on the way, or inf - inf
        return exact_sums(zip(*held[: len(held) - len(levels)], strict=True))
    return levels


def _levels(kind: str, levels: Sequence[Sequence[float]], count: int) -> dict[str, Sequence[Any]]:
    return {f"{kind}{number}": level for number, level in enumerate(levels or [[0.0] * count])}


def _list_rows(keys: Sequence[Any], values: Sequence[Any], whats: tuple[str, ...], kind: str) -> _Rows:
    """What is known of each key's values, of any type, from lists of them."""
    lists = _lists(keys, values)
    ordered = _in_order(lists)
    held = [lists[key] for key in ordered]
    is_float = kind.startswith("float")
    if is_float:
        held = [[value for value in each if value == value] for each in held]
    columns: dict[str, Sequence[Any]] = {"count": list(map(len, held))}
    if "trues" in whats:
        columns["trues"] = [sum(map(bool, each)) for each in held]
    for what in VALUES:
        if what in whats:
            columns[what] = [_VALUE_OF[what](each) if each else None for each in held]
    if not NEED_SUMS.isdisjoint(whats):
        sums = exact_sums(held) if is_float else exact_integers(map(sum, held))
        columns |= _levels("float" if is_float else "whole", sums, len(held))
    if "var" in whats:
        if is_float:
            levels = exact_sums([squares(each, exact_sum(each)) if each else [] for each in held])
        else:
            levels = exact_integers([sum(map(mul, each, each)) for each in held])
        columns |= _levels("squares", levels, len(held))
    return _Rows(ordered, columns)


def _float_rows(keys: Sequence[Any], values: Sequence[float], whats: tuple[str, ...]) -> Iterator[_Rows]:
    """What is known of each key's numbers, in runs of so many rows that a key's own work hardly counts."""
    likely = 8 * max(map(abs, values[:: len(values) // 4096 + 1]), default=0.0)
    kinds = len(set(keys[:1024]))
    rows = len(values) if kinds > 512 else max(_RUN_ROWS, 512 * kinds)
    for start in range(0, max(len(values), 1), max(rows, 1)):
        run = keys[start : start + rows], values[start : start + rows]
        groups = figures_by_key(*run, likely, max(kinds, 1))
        yield _list_rows(*run, whats, "float64") if groups is None else _run_rows(groups, *run, whats)


def _run_rows(groups: dict[Any, Running], keys: Sequence[Any], values: Sequence[float], whats: tuple[str, ...]) -> _Rows:
    ordered = _in_order(groups)
    found = [groups[key] for key in ordered]
    columns: dict[str, Sequence[Any]] = {"count": [group.count for group in found]}
    if "min" in whats:
        columns["min"] = [group.least for group in found]
    if "max" in whats:
        columns["max"] = [group.most for group in found]
    columns |= {"float0": [group.high for group in found], "float1": [group.low for group in found]}
    if "var" in whats:
        sums = [columns["float0"], columns["float1"]]
        parts = squares_about(columns["count"], sums, [group.pivot for group in found], [group.spread for group in found])
        _correct(parts, ordered, found, keys, values)
        columns |= _levels("squares", _sums_of_columns(parts), len(ordered))
    return _Rows(ordered, columns)


def _correct(
    parts: list[list[float]], ordered: Sequence[Any], found: list[Running], keys: Sequence[Any], values: Sequence[float]
) -> None:
    """Put right the squares of groups that are constant, and of those whose first number is far from the others."""
    constant = [index for index, group in enumerate(found) if group.least == group.most and group.count > 1]
    right = {index: repeated_squares(found[index].count, found[index].least) for index in constant}
    far = {ordered[index]: index for index, group in enumerate(found) if index not in right and group.is_far}
    if far:
        kept = [key in far for key in keys]
        for key, numbers in _lists(compress(keys, kept), compress(values, kept)).items():
            right[far[key]] = squares(numbers, exact_sum(numbers))
    for index, numbers in right.items():
        parts += [[0.0] * len(found) for _ in range(len(numbers) - len(parts))]
        for column, number in zip(parts, chain(numbers, repeat(0.0)), strict=False):
            column[index] = number


def _figures(state: dict[str, Sequence[Any]], plan: Plan, types: dict[str, str], coded_state: categories.Coded) -> Table:
    """The table of figures, the state in its metadata."""
    key_names, wanted, size, _, ddof = plan
    columns = {name: state[f"key{index}"] for index, name in enumerate(key_names)}
    kinds = {name: types[f"key{index}"] for index, name in enumerate(key_names)}
    held_in = {name: f"key{index}" for index, name in enumerate(key_names)}
    for index, (name, whats) in enumerate(wanted):
        held = _part(state, index)
        for what in whats:
            figure, kind = _figure(held, what, ddof, types.get(f"{index}.min", ""))
            columns[f"{name}_{what}"], kinds[f"{name}_{what}"] = figure, kind or types[f"{index}.{what}"]
            held_in[f"{name}_{what}"] = f"{index}.{what}"
    if size is not None:
        columns[size], kinds[size] = state["size"], "int64"
    coded_columns = {name: coded_state[held] for name, held in held_in.items() if held in coded_state}
    table = categories.with_values(Table.of(columns, kinds), coded_columns)
    packed = categories.noted(Table.of(state, _with_defaults(state, types)), coded_state).to_arrow()
    return Table(table.columns.values(), [len(table)], ((STATE, b64encode(packed)),))


def _figure(held: dict[str, Sequence[Any]], what: str, ddof: int, of: str) -> tuple[Sequence[Any], str]:
    """A figure of each group, and its type; "" if it is that of the state's column. `of` is the type of the least, if known."""
    counts = held["count"]
    if what == "count" or what in VALUES:
        return held[what], "int64" if what == "count" else ""
    if what in ("any", "all"):
        pairs = zip(listed(held["trues"]), listed(counts), strict=True)
        return [trues > 0 if what == "any" else trues == count for trues, count in pairs], "bool"
    kind = "whole" if "whole0" in held else "float"
    levels = [values for name, values in held.items() if name.startswith(kind)]
    if is_span(of):
        return spans(levels, counts if what == "mean" else None), of
    if what in ("var", "std"):
        squared = [values for name, values in held.items() if name.startswith("squares")]
        figure = array_variances(counts, levels, squared, ddof)
        if figure is None:
            figure = variances(listed(counts), list(map(listed, levels)), list(map(listed, squared)), ddof=ddof)
        known = where_known(figure, counts, ddof)
        return known if what == "var" else roots(known), "float64"
    if what == "sum" and kind == "whole":
        parts = zip(*map(listed, levels), strict=True)
        sums = [sum(map(int, each)) for each in parts]
        if all(total in _INT64 for total in sums):
            return sums, "int64"
    totals_ = rounded_once(levels)
    if what == "sum":
        return totals_, "float64"
    return means_of(totals_, levels, counts), "float64"
