"""A ready job for Monte-Carlo estimates: the mean of many draws, with its error bar."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from math import isfinite, sqrt
from typing import Any

from pangea.compute.client.definition.job import Job, JobDefinition
from pangea.compute.data.exact import exact_sum, quotient, squares, variance
from pangea.compute.templates.checks import check_callable, whole

_DRAWS_MAX = 10**12
_CHUNKS_MAX = 1_000_000


def monte_carlo(
    sample: Callable[[random.Random], float], draws: int, *, seed: int = 0, draws_per_chunk: int = 20_000
) -> JobDefinition:
    """Estimate the mean of what `sample` returns, from independent draws.

    Each chunk holds the seed and a counter, from which its generator is seeded: so no two chunks draw the same numbers, and the
    estimate is the same on every machine, each time. It needs no input.

    Args:
        sample: takes a generator, draws from it, and returns a number.
        draws: how often it is called.
        seed: another seed gives another estimate.
        draws_per_chunk: how many draws a chunk has; the estimate depends on it.

    Returns:
        A job whose result is JSON: `estimate`, `error` (the standard error of the mean: in 95 of 100 cases the truth is within
        1.96 of it), `deviation` (of one draw), `draws`; and `sum` and `squares`, the exact sums behind them.
        Source: W. G. Cochran, Sampling Techniques, 1977: error = s / sqrt(n), with s of n - 1.

    Raises:
        JobDefinitionError: `sample` isn't callable.
        ManifestError: a number is out of range.
    """
    check_callable("sample", sample, "one generator, a random.Random")
    total_draws = whole("draws", draws, 2, _DRAWS_MAX)
    chunk_draws = whole("draws_per_chunk", draws_per_chunk, -(-total_draws // _CHUNKS_MAX), _DRAWS_MAX)
    first_seed, drawn_sample = whole("seed", seed, -(10**18), 10**18), sample

    def monte_carlo_split(_data: bytes) -> Iterator[dict[str, int]]:
        for counter, first in enumerate(range(0, total_draws, chunk_draws)):
            yield {"seed": first_seed, "counter": counter, "draws": min(chunk_draws, total_draws - first)}

    def monte_carlo_execute(chunk: dict[str, int]) -> dict[str, Any]:
        generator = random.Random(f"{chunk['seed']}:{chunk['counter']}")  # noqa: S311 (of a simulation)
        values = [float(drawn_sample(generator)) for _ in range(chunk["draws"])]
        if not all(map(isfinite, values)):
            wrong = next(value for value in values if not isfinite(value))
            raise ValueError(f"sample returned {wrong}: such draws have no mean")
        parts = exact_sum(values)
        return {"draws": len(values), "sum": parts, "squares": exact_sum(squares(values, parts))}

    @Job.define(name="monte_carlo", operation_type="monte_carlo")
    def job() -> None:
        Job.split(output="json")(monte_carlo_split)
        Job.execute(input="json", output="json")(monte_carlo_execute)
        Job.merge(associative=True, output="json")(monte_carlo_merge)

    return job


def monte_carlo_merge(results: list[dict[str, Any]]) -> dict[str, Any]:
    """What chunks add up to."""
    count = sum(result["draws"] for result in results)
    parts = exact_sum(part for result in results for part in result["sum"])
    squared = exact_sum(part for result in results for part in result["squares"])
    spread = variance(count, parts, squared) if count > 1 else 0.0
    return {
        "estimate": quotient(parts, count),
        "error": sqrt(spread / count),
        "deviation": sqrt(spread),
        "draws": count,
        "sum": parts,
        "squares": squared,
    }
