"""Multiply two random matrices of integers, a band of rows to a chunk, and compare with NumPy to the last digit.

    pangea run examples/matrix_multiply.py --size 512 --verify --plot tree.html --output product.npy
    python examples/matrix_multiply.py --size 256

`pangea.compute.templates.matrix_multiply` does it for any two matrices, in blocks both ways; this is how such a job is
written.
"""

import argparse
import math
import sys
from operator import mul

import numpy as np

from pangea.compute import Job, Result, submit_job
from pangea.compute.data import Array

ROWS_PER_CHUNK = 32


@Job.define(operation_type="matrix_multiply")
def matrix_multiply() -> None:
    """The input is an array of both matrices, (2, n, n); a chunk is some rows of the left one, and below them the right one."""

    @Job.split(input="array", output="array")
    def split(pair: Array) -> list[Array]:
        left, right = pair[0], pair[1]
        return [Array.concat([left[row : row + ROWS_PER_CHUNK], right]) for row in range(0, len(left), ROWS_PER_CHUNK)]

    @Job.execute(input="array", output="array")
    def execute(chunk: Array) -> Array:
        # The sandbox has Python 3.14; run_local may have one before 3.12.
        sumprod = getattr(math, "sumprod", None) or (lambda row, column: sum(map(mul, row, column)))
        rows = chunk.tolist()
        size = len(rows[0])
        columns = list(zip(*rows[-size:], strict=True))
        return Array.of([[sumprod(row, column) for column in columns] for row in rows[:-size]], dtype="<i8")

    @Job.merge(associative=True, output="array")
    def merge(bands: list[Array]) -> Array:
        return Array.concat(bands)


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
