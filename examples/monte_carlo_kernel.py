"""Estimate pi by throwing darts at a square, with a kernel that draws its own random numbers.

    pip install 'pangea-compute[kernels]'
    pangea run examples/monte_carlo_kernel.py --darts 400000000 --verify

Each chunk holds a counter, from which the stream of its darts starts: so the estimate is the same on every machine, each time.
"""

import math
from typing import Any

import numpy as np

from pangea.compute import Job, Result, submit_job

DARTS_PER_CHUNK = 5_000_000


def mixed(counter: Any) -> Any:
    """A start far from that of the next counter. Source: SplitMix64, Steele, Lea and Flood, 2014."""
    z = (counter + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def drawn(state: Any) -> Any:
    """The next state. Source: xorshift64, Marsaglia, 2003, shifts 13, 7 and 17."""
    state ^= state << np.uint64(13)
    state ^= state >> np.uint64(7)
    return state ^ (state << np.uint64(17))


def unit(state: Any) -> Any:
    """A number from 0 to 1, without 1, of the upper 53 bits."""
    return (state >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@Job.define
def monte_carlo_kernel() -> None:
    """A dart hits the quarter circle with a probability of pi / 4."""

    @Job.split(input="json")
    def split(darts: int) -> list[tuple[int, int]]:
        starts = range(0, darts, DARTS_PER_CHUNK)
        return [(counter, min(DARTS_PER_CHUNK, darts - first)) for counter, first in enumerate(starts)]

    @Job.execute(kernel="uint64, int64 -> int64")
    def execute(counter: Any, darts: int) -> int:
        state, hits = mixed(counter), 0
        for _ in range(darts):
            state = drawn(state)
            x = unit(state)
            state = drawn(state)
            y = unit(state)
            if x * x + y * y < 1.0:
                hits += 1
        return hits

    @Job.merge(output="json")
    def merge(hits: list[int]) -> int:
        return sum(hits)


@Job.inputs
def darts(darts: int = 100_000_000) -> int:
    """How many darts are thrown."""
    return darts


@Job.check
def check(result: Result, darts: int) -> str:
    """Say the estimate, and hold it to five standard errors."""
    share = result.as_json() / darts
    error = 4 * math.sqrt(share * (1 - share) / darts)
    assert abs(4 * share - math.pi) < 5 * error, f"{4 * share} is more than five errors of {error:.2g} away from pi"
    return f"{4 * share:.6f} ± {error:.6f} ({darts:,} darts)"


if __name__ == "__main__":
    thrown = darts()
    result = submit_job(monte_carlo_kernel, thrown)
    print(check(result, thrown))
    print(result.report)
