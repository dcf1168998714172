"""Multiply two random matrices of integers, a band of rows to a chunk, and compare with NumPy to the last digit.

    pangea run examples/matrix_multiply.py --size 512 --verify --plot tree.html --output product.npy
    python examples/matrix_multiply.py --size 256

`pangea.compute.templates.matrix_multiply` does it for any two matrices, in blocks both ways; this is how such a job is
written.
"""

import argparse
import sys
from typing import Any

import numpy as np

from pangea.compute import Job, Result, submit_job

ROWS_PER_CHUNK = 32


@Job.define(operation_type="matrix_multiply")
def matrix_multiply() -> None:
    """The input is an array of both matrices, (2, n, n); a chunk is some rows of the left one, and below them the right one."""

    @Job.split(input="array", output="array")
    def split(pair: np.ndarray) -> list[np.ndarray]:
        left, right = pair
        return [np.concatenate([left[row : row + ROWS_PER_CHUNK], right]) for row in range(0, len(left), ROWS_PER_CHUNK)]

    @Job.execute(input="array", output="array")
    def execute(chunk: np.ndarray) -> Any:
        size = chunk.shape[1]
        return chunk[:-size] @ chunk[-size:]

    @Job.merge(associative=True, output="array")
    def merge(bands: list[np.ndarray]) -> np.ndarray:
        return np.concatenate(bands)


@Job.inputs
def matrices(size: int = 256, seed: int = 0) -> np.ndarray:
    """Two matrices of `size` rows and columns, of integers between -999 and 999."""
    return np.random.default_rng(seed).integers(-999, 1000, (2, size, size))


@Job.check
def check(result: Result, size: int, seed: int) -> str:
    """Compare with NumPy."""
    left, right = matrices(size, seed)
    assert np.array_equal(result.as_array(), left @ right), "NumPy has another product"
    return f"equal to NumPy's product of the same {size} x {size} matrices, in all {size * size:,} places"


def main() -> int:
    """Multiply, check, say so."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=256, help="rows and columns [default: 256]")
    size = parser.parse_args().size
    result = submit_job(matrix_multiply, matrices(size))
    print(check(result, size, 0))
    print(result.report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
