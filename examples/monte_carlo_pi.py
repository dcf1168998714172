"""Estimate pi by throwing darts at a square; the input is how many, as text.

    echo 5000000 | pangea run examples/monte_carlo_pi.py --input -
    python examples/monte_carlo_pi.py

In a job, `random` is seeded from the chunk: each chunk holds a counter, so that no two throw the same darts, and the
estimate is the same on every machine, each time.
"""

import math
import random

from pangea.compute import Job, submit_job

DARTS_DEFAULT = 1_000_000
DARTS_PER_CHUNK = 50_000


@Job.define
def monte_carlo_pi() -> None:
    """A dart hits the quarter circle with a probability of pi / 4."""

    @Job.split
    def split(data: bytes) -> list[bytes]:
        darts = int(data) if data.strip() else DARTS_DEFAULT
        if darts < 1:
            raise ValueError(f"the number of darts is {darts}; it must be at least 1")
        return [
            b"%d %d" % (counter, min(DARTS_PER_CHUNK, darts - first))
            for counter, first in enumerate(range(0, darts, DARTS_PER_CHUNK))
        ]

    @Job.execute
    def execute(chunk: bytes) -> bytes:
        _counter, darts = map(int, chunk.split())
        draw = random.random
        hits = sum(draw() ** 2 + draw() ** 2 < 1.0 for _ in range(darts))
        return b"%d %d" % (hits, darts)

    @Job.merge
    def merge(results: list[bytes]) -> bytes:
        hits, darts = (sum(column) for column in zip(*(map(int, result.split()) for result in results), strict=True))
        share = hits / darts
        error = 4 * math.sqrt(share * (1 - share) / darts)
        return f"{4 * share:.6f} ± {error:.6f} ({darts:,} darts)\n".encode()


if __name__ == "__main__":
    result = submit_job(monte_carlo_pi, input_data=b"2000000")
    print(result.decode(), end="")
    print(result.report)
