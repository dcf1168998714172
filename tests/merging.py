"""Merge a job's results in any grouping, as inner nodes do, bytes in and bytes out."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

from pangea.compute.client.definition.native_draws import native_run, seeded_call
from pangea.compute.data.kinds import decode, encode
from pangea.compute.jobs import JobDefinition


def executed(job: JobDefinition, chunks: Iterable[Any]) -> list[bytes]:
    """What `execute` makes of each chunk (a value of the kind that it takes)."""
    results = []
    for chunk in chunks:
        with native_run([job.execute]), seeded_call("execute", encode(job.kinds["execute"][0], chunk, "the test")):
            results.append(encode(job.kinds["execute"][1], job.execute(chunk), "execute"))
    return results


def merged(job: JobDefinition, results: Sequence[bytes]) -> bytes:
    """One call of merge."""
    given, made = job.kinds["merge"]
    assert job.merge is not None
    return encode(made, job.merge([decode(given, result) for result in results]), "merge")


def merged_in_groups(job: JobDefinition, results: Sequence[bytes], cuts: Iterable[int]) -> bytes:
    """Neighbours first, the groups cut at `cuts` (any numbers); then what that gives."""
    assert job.associative
    edges = [0, *sorted({cut % len(results) for cut in cuts} - {0}), len(results)]
    return merged(job, [merged(job, results[start:end]) for start, end in itertools.pairwise(edges)])


def cut_at(rows: Any, cuts: Iterable[int]) -> list[Any]:
    """A list, a table or an array in pieces, some of which may be empty."""
    edges = [0, *sorted(cut % (len(rows) + 1) for cut in cuts), len(rows)]
    return [rows[start:end] for start, end in itertools.pairwise(edges)]
