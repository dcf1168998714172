"""Ready jobs around a function of the user: for each row, for each item, or map and reduce.

The function travels as any function of a job does: with all that it uses, from a file, a module or a notebook cell. It may be a
lambda, a partial, or one that comes with Python (`str.upper`).

What a row is depends on `input`: a dict for a table, a number (or a list of a row's numbers) for an array, a JSON value for
jsonl, a line without its end for text.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

from pangea.compute.client.calls.functions import map as calls_of
from pangea.compute.client.definition.job import Job, JobDefinition
from pangea.compute.data import DataError, Table
from pangea.compute.data.ndarrays import array_of
from pangea.compute.model.errors import ManifestError
from pangea.compute.templates.checks import check_callable, choice, whole
from pangea.compute.templates.nanoseconds import dicts_of, has_times, nanoseconds_in, table_of, written

RowKind = Literal["table", "array", "jsonl", "text"]
_ROW_KINDS = ("table", "array", "jsonl", "text")
_MADE_KINDS = ("jsonl", "table", "array", "text")
_DEFAULT_STRATEGY = {"table": "arrow_batches", "array": "npy_rows", "jsonl": "row_based", "text": "row_based"}


def map_rows(
    function: Callable[[Any], Any],
    *,
    input: RowKind = "table",  # noqa: A002 (as in Job.execute)
    output: Literal["jsonl", "table", "array", "text"] = "jsonl",
    types: Mapping[str, str] | None = None,
    dtype: str | None = None,
) -> JobDefinition:
    """Call a function for each row; a row for which it returns None is left out.

    Args:
        function: from a row to what `output` is made of: a JSON value, a dict of a table's row, a number or list of numbers, a
            line of text.
        input: what the rows come from.
        output: what is made.
        types: the type of each column of a table that is made, by name; needed where a chunk may have no value that shows it.
        dtype: the type of an array that is made, as NumPy writes it.

    Returns:
        A job whose result is the rows in order: `as_json()`, `as_frame()`, `as_array()` or `as_text()`.

    Raises:
        JobDefinitionError: `function` isn't callable.
        ManifestError: a kind is unknown, or `types` or `dtype` is given for what has none.
    """
    check_callable("function", function, "one row")
    row_kind, made_kind = choice("input", input, _ROW_KINDS), choice("output", output, _MADE_KINDS)
    if types is not None and made_kind != "table":
        raise ManifestError(f"types are a table's, and output is {made_kind!r}", field="types")
    if dtype is not None and made_kind != "array":
        raise ManifestError(f"dtype is an array's, and output is {made_kind!r}", field="dtype")
    mapped_function, made_types, made_dtype = function, dict(types) if types is not None else None, dtype

    def map_rows_execute(chunk: Any) -> Any:
        if row_kind == "text":
            chunk = [line.removesuffix("\r") for line in chunk.removesuffix("\n").split("\n")] if chunk else []
        kinds = nanoseconds_in(chunk) if row_kind == "table" else {}
        rows = dicts_of(chunk, kinds) if row_kind == "table" else items_of(chunk) if row_kind == "array" else chunk
        made = [value for value in map(mapped_function, rows) if value is not None]
        if made_kind == "table":
            if not made and made_types is None and row_kind == "table":
                return chunk.without_rows()
            return table_of(made, made_types) if kinds else Table.of_rows(made, made_types)
        if made_kind == "jsonl" and row_kind == "table" and has_times(chunk):
            return [written(value) for value in made]
        if made_kind == "array":
            return array_of(made, made_dtype)
        return "".join([f"{line}\n" for line in made]) if made_kind == "text" else made

    @Job.define(name="map_rows", split_strategy=_DEFAULT_STRATEGY[row_kind])
    def job() -> None:
        Job.execute(input=row_kind, output=made_kind)(map_rows_execute)

    return job


def map_reduce(
    map_function: Callable[[Any], Any],
    reduce_function: Callable[[Any, Any], Any],
    *,
    input: RowKind = "jsonl",  # noqa: A002 (as in Job.execute)
    keyed: bool = False,
) -> JobDefinition:
    """Map each row to a value, and reduce the values to one; or the values of each key.

    Args:
        map_function: from a row to a JSON value, or None to leave it out; if `keyed`, to pairs of a key (text) and a value, or
            a dict of those.
        reduce_function: from two values to one, of the same kind. It must be associative: neighbours are reduced early, in
            chunks and between them, but their order is kept. It must not return None.
        input: what the rows come from.
        keyed: whether values are reduced by key.

    Returns:
        A job whose result is JSON: the value (null if there was none), or key to value, by key.

    Raises:
        JobDefinitionError: a function isn't callable.
        ManifestError: the input's kind is unknown.
    """
    check_callable("map_function", map_function, "one row")
    check_callable("reduce_function", reduce_function, "two values")
    row_kind = choice("input", input, _ROW_KINDS)
    mapped_function = map_function

    def map_reduce_execute(chunk: Any) -> Any:
        if row_kind == "text":
            chunk = [line.removesuffix("\r") for line in chunk.removesuffix("\n").split("\n")] if chunk else []
        rows = chunk.dicts() if row_kind == "table" else items_of(chunk) if row_kind == "array" else chunk
        return reduce_results(map(mapped_function, rows))

    reduce_results = _reducing(reduce_function, keyed)

    @Job.define(name="map_reduce", split_strategy=_DEFAULT_STRATEGY[row_kind])
    def job() -> None:
        Job.execute(input=row_kind, output="json")(map_reduce_execute)
        Job.merge(associative=True, output="json")(reduce_results)

    return job


def _reducing(reducing_function: Callable[[Any, Any], Any], is_keyed: bool) -> Callable[[Any], Any]:
    """What `map_reduce` merges with."""

    def map_reduce_merge(results: Any) -> Any:
        def reduced(one: Any, other: Any) -> Any:
            value = reducing_function(one, other)
            if value is None:
                raise TypeError("the reduce function returned None")
            return value

        if not is_keyed:
            values = [value for value in results if value is not None]
            return functools.reduce(reduced, values) if values else None
        total: dict[str, Any] = {}
        for pairs in results:
            for key, value in pairs.items() if hasattr(pairs, "items") else pairs or ():
                if not isinstance(key, str):
                    raise TypeError(f"keys are text, and the map function returned the key {key!r:.80}: use str(...)")
                total[key] = reduced(total[key], value) if key in total else value
        return dict(sorted(total.items()))

    return map_reduce_merge


def parallel_job(function: Callable[[Any], Any]) -> JobDefinition:
    """Call a function for each item of a list: the job behind `parallel`, for items and results that JSON has.

    The input is JSON lines, one item each. Each item is a chunk of its own, so a task holds as many as are worth its while. Equal
    items are equal chunks, which draw equal random numbers.

    Returns:
        A job whose result is JSON lines, in the items' order: `as_json()` is the list.

    Raises:
        JobDefinitionError: `function` isn't callable.
    """
    check_callable("function", function, "one item")
    mapped_function = function

    def parallel_split(items: Any) -> Any:
        return items

    def parallel_execute(item: Any) -> Any:
        return mapped_function(item)

    @Job.define(name="parallel", split_strategy="row_based")
    def job() -> None:
        Job.split(input="jsonl", output="json")(parallel_split)
        Job.execute(input="json", output="json")(parallel_execute)

    return job


def parallel(function: Callable[[Any], Any], items: Iterable[Any], *, seed: int = 0, **submit_options: Any) -> list[Any]:
    """Call `function` for each item, in sandboxes, on all workers; like `list(map(function, items))`.

    Items and results keep their types: besides what JSON has, tuples, sets, bytes, dates, times and spans, NaN and infinities,
    complex numbers, Decimal, Fraction, UUID, range, deque, Counter, OrderedDict, dicts with any of those as keys; NumPy's numbers
    become Python's; and the caller's own dataclasses, named tuples and enums. Objects of other classes are refused. It is
    `list(pangea.compute.map(function, items))`.

    Args:
        function: from an item to a value.
        items: the items.
        seed: where random numbers in `function` come from, together with an item's place: equal items draw different ones,
            another seed gives others, and the same seed the same, on any machine.
        submit_options: keywords of `submit_job`.

    Returns:
        The results, in the items' order.

    Raises:
        InputError: an item is of a class that can't travel as a value.
        ManifestError: `seed` is no integer.
        JobDefinitionError: `function` can't travel.
        JobFailedError: it raised, or returned an object of such a class; the message names the item's index.
    """
    check_callable("function", function, "one item")
    return list(calls_of(function, items, seed=whole("seed", seed, -(10**18), 10**18), **submit_options))


def items_of(array: Any) -> list[Any]:
    """The items of an array's first axis in plain Python values, in lists for each further axis.

    Raises:
        DataError: it has no axes.
    """
    if not array.ndim:
        raise DataError("an array without axes has no rows")
    items: list[Any] = array.tolist()
    return items
