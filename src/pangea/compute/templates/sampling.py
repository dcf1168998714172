"""Some rows of a table, drawn without replacement: those that pandas draws with the same seed, wherever the table is cut.

And all of them in two parts, to train and to test with, as scikit-learn draws them.
"""

from __future__ import annotations

import hashlib
import math
import zlib
from array import array as flat_array
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from pangea.compute.client.definition.job import Job, JobDefinition
from pangea.compute.client.results.reading import frame_of_table
from pangea.compute.client.submission.submit import submit_job
from pangea.compute.data import Table
from pangea.compute.model.errors import InputError, ManifestError
from pangea.compute.model.libraries import need
from pangea.compute.templates.checks import again, number, whole

#: Their numbers travel with the job, which has 8 MiB.
_ROWS_MAX = 1_000_000


def sample(data: Any, n: int | None = None, *, frac: float | None = None, random_state: int = 0, **submit_options: Any) -> Any:
    """Draw rows, each at most once: those of pandas' `sample(n, random_state=…)`, in its order.

    There are two rounds: the rows are counted, then fetched.

    Args:
        data: a table that can be read several times; anything `submit_job` takes for one.
        n: how many rows.
        frac: or which part of all, from 0 to 1.
        random_state: another one draws other rows, the same one the same, on any machine.
        submit_options: keywords of `submit_job`.

    Returns:
        A pandas frame of those rows.

    Raises:
        ManifestError: an option is out of range, or neither or both of `n` and `frac` are given.
        InputError: there are fewer rows.
    """
    again(data)
    if (n is None) == (frac is None):
        raise ManifestError(f"n is {n!r} and frac is {frac!r}; give one of them", field="n")
    wanted = None if n is None else whole("n", n, 0, _ROWS_MAX)
    part = None if frac is None else number("frac", frac, 0.0, 1.0)
    seed = whole("random_state", random_state, 0, (1 << 32) - 1)
    counted = submit_job(chunk_sizes(), data, **submit_options).as_json()
    total = sum(count for count, _ in counted)
    count = round((part or 0.0) * total) if wanted is None else wanted
    if not count <= min(total, _ROWS_MAX):
        raise InputError(f"{count:,} rows are to be drawn of {total:,}; {_ROWS_MAX:,} at most", hint="draw fewer", rows=total)
    drawn = need("numpy", "drawing rows").random.RandomState(seed).choice(total, size=count, replace=False).tolist()
    return _fetched(data, counted, drawn, submit_options)


def _fetched(data: Any, counted: list[Any], drawn: list[int], submit_options: dict[str, Any]) -> Any:
    """The rows of these numbers, in this order; the chunks are those that were counted."""
    places = _by_chunk(sorted(drawn), list(accumulate(count for count, _ in counted)))
    result = submit_job(rows_at(_by_content(places, counted)), data, **submit_options)
    return _in_drawn_order(result.as_arrow(), places, [digest for _, digest in counted], drawn)


def train_test_split(data: Any, *, test_size: float = 0.25, random_state: int = 0, **submit_options: Any) -> tuple[Any, Any]:
    """Draw rows to test with, and keep the others to train with: those of scikit-learn's function of this name, in its order.

    There are two rounds: the rows are counted, then fetched.

    Args:
        data: a table that can be read several times; anything `submit_job` takes for one.
        test_size: which part of the rows, above 0 and below 1, rounded up.
        random_state: another one draws other rows, the same one the same, on any machine.
        submit_options: keywords of `submit_job`.

    Returns:
        Two pandas frames, to train with and to test with: each row is in one of them.

    Raises:
        ManifestError: an option is out of range.
        InputError: one of the two would have no row, or there are more than a million.
    """
    again(data)
    part, seed = number("test_size", test_size, 0.0, 1.0), whole("random_state", random_state, 0, (1 << 32) - 1)
    counted = submit_job(chunk_sizes(), data, **submit_options).as_json()
    total = sum(count for count, _ in counted)
    tested = math.ceil(part * total)
    if not 0 < tested < total <= _ROWS_MAX:
        text = f"{tested:,} rows of {total:,} would be to test with; one of each kind is needed, {_ROWS_MAX:,} rows at most"
        raise InputError(text, hint="give another test_size, or draw a sample first", rows=total)
    drawn = need("numpy", "drawing rows").random.RandomState(seed).permutation(total).tolist()
    found = _fetched(data, counted, drawn, submit_options)
    return found.iloc[tested:].reset_index(drop=True), found.iloc[:tested].reset_index(drop=True)


def chunk_sizes() -> JobDefinition:
    """How many rows each chunk has, and what it is: chunks of the same rows have the same digest."""

    @Job.define(name="chunk_sizes", split_strategy="arrow_batches")
    def job() -> None:
        @Job.execute(input="table", output="json")
        def execute(table: Table) -> list[Any]:
            return [len(table), digest_of(table)]

    return job


def rows_at(places: dict[str, bytes]) -> JobDefinition:
    """The rows at some places of each chunk, by its digest; those of all chunks that have it, one after the other."""
    by_content = places

    @Job.define(name="rows_at", split_strategy="arrow_batches")
    def job() -> None:
        @Job.execute(input="table", output="table")
        def execute(table: Table) -> Table:
            held = by_content.get(digest_of(table))
            return table.take(flat_array("I", zlib.decompress(held)).tolist() if held is not None else [])

    return job


def _by_chunk(rows: list[int], ends: Sequence[int]) -> list[list[int]]:
    """The rows of each chunk, counted from its first one."""
    places: list[list[int]] = [[] for _ in ends]
    chunk = 0
    for row in rows:
        while row >= ends[chunk]:
            chunk += 1
        places[chunk].append(row - (ends[chunk - 1] if chunk else 0))
    return places


def _by_content(places: list[list[int]], counted: list[Any]) -> dict[str, bytes]:
    """The rows of all chunks with the same digest together."""
    together: dict[str, list[int]] = {}
    for held, (_, digest) in zip(places, counted, strict=True):
        together.setdefault(digest, []).extend(held)
    return {digest: zlib.compress(flat_array("I", held).tobytes()) for digest, held in together.items() if held}


def _in_drawn_order(table: Any, places: list[list[int]], digests: list[str], drawn: list[int]) -> Any:
    """The rows that are meant of those that came, in the order in which they were drawn."""
    together: dict[str, int] = {}
    for held, digest in zip(places, digests, strict=True):
        together[digest] = together.get(digest, 0) + len(held)
    taken: list[int] = []
    at, before = 0, dict.fromkeys(digests, 0)
    for held, digest in zip(places, digests, strict=True):  # a chunk gives what all of its kind are asked for
        taken += range(at + before[digest], at + before[digest] + len(held))
        before[digest] += len(held)
        at += together[digest]
    rank = {row: place for place, row in enumerate(sorted(drawn))}
    arrow = need("pyarrow", "a sample")
    return frame_of_table(table.take(arrow.array([taken[rank[row]] for row in drawn], arrow.int64())))


# What follows runs in the sandbox.


def digest_of(table: Table) -> str:
    """What tells chunks of other rows apart."""
    return hashlib.sha256(table.to_arrow()).hexdigest()
