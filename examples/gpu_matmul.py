"""A product of matrices on a GPU, in floating point: answers are compared under a tolerance.

    python examples/gpu_matmul.py
    pangea run examples/gpu_matmul.py --verify

A chunk is some rows of the one and all of the other. In which order a sum is taken, and whether a product is rounded before it is
added, is the adapter's affair: `tolerance=1e-3` says that results which differ by no more are the same. Without a GPU it runs on
Vulkan in software (docs/gpu.md).
"""

import argparse
import sys
from typing import Any

import numpy as np

from pangea.compute import Job, Result, submit_job

#: Of both matrices; rows of a chunk.
SIZE, ROWS = 192, 32

SHADER = f"""
fn main(index: u32) -> f32 {{
    let row = index / {SIZE}u;
    let column = index % {SIZE}u;
    var sum = 0.0;
    for (var k = 0u; k < {SIZE}u; k++) {{
        sum += input(row * {SIZE}u + k) * input(({ROWS}u + k) * {SIZE}u + column);
    }}
    return sum;
}}
"""


@Job.define
def gpu_matmul() -> None:
    """The input is two square matrices, one below the other; the result their product."""

    @Job.split(input="array", output="array")
    def split(both: np.ndarray) -> list[np.ndarray]:
        flat = both.reshape(-1)
        right, width = flat[SIZE * SIZE :], ROWS * SIZE
        return [np.concatenate([flat[at : at + width], right]).astype("float32") for at in range(0, SIZE * SIZE, width)]

    @Job.execute(gpu=SHADER, input="float32[n]", output=f"float32[{ROWS * SIZE}]", tolerance=1e-3)
    def execute(chunk: np.ndarray) -> None:
        """These rows of the product."""

    @Job.merge(output="array")
    def merge(results: list[np.ndarray]) -> np.ndarray:
        return np.concatenate(results).reshape(SIZE, SIZE)


@Job.inputs
def matrices(seed: int = 1) -> Any:
    """Two matrices of numbers around 0, the same for the same seed; one below the other."""
    return np.random.default_rng(seed).normal(size=(2 * SIZE, SIZE)).astype(np.float32)


@Job.check
def check(result: Result, seed: int = 1) -> str:
    """Multiply them with NumPy, in float64, and compare."""
    both = matrices(seed).astype(np.float64)
    far = float(np.abs(np.asarray(result.value) - both[:SIZE] @ both[SIZE:]).max())
    assert far < 1e-3, f"NumPy finds others: {far:g} apart"
    return f"all {SIZE * SIZE:,} numbers are within {far:.1e} of NumPy's in float64"


def main() -> int:
    """Multiply, check, say so."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1, help="of the matrices [default: 1]")
    parser.add_argument("--plot", metavar="FILE", help="write the product, as a heat map, to this .svg, .png or .html")
    given = parser.parse_args()
    result = submit_job(gpu_matmul, matrices(given.seed))
    if given.plot:
        from pangea.compute import visualize

        visualize(np.asarray(result.value), "heatmap").save(given.plot)
    print(check(result, given.seed))
    print(result.report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
