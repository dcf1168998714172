"""Draw the Mandelbrot set with a kernel: the loops of `mandelbrot.py`, compiled.

    pip install 'pangea-compute[kernels]'
    pangea run examples/mandelbrot_kernel.py --width 1920 --height 1280 --verify --output mandelbrot.npy --plot mandelbrot.png

`steps_to_leave` is that example's plain function: what a kernel calls is compiled with it.
"""

import sys
from typing import Any

import numpy as np

from mandelbrot import LEFT, RIGHT, ROWS_PER_CHUNK, Sizes, check, coloured, size, steps_to_leave
from pangea.compute import Job, submit_job

__all__ = ["check", "mandelbrot_kernel", "size"]  # the options and the check of that example are this one's, too


@Job.define
def mandelbrot_kernel() -> None:
    """The input says how large the picture is; a chunk is the kernel's arguments; the result is an array of pixels."""

    @Job.split(input="json")
    def split(wanted: Sizes) -> list[tuple[int, int, int, int]]:
        width, height = wanted["width"], wanted["height"]
        return [(width, height, row, min(ROWS_PER_CHUNK, height - row)) for row in range(0, height, ROWS_PER_CHUNK)]

    @Job.execute(kernel="int64, int64, int64, int64 -> uint16[:,:]")
    def execute(width: int, height: int, first: int, rows: int) -> Any:
        step = (RIGHT - LEFT) / width
        found = np.empty((rows, width), np.uint16)
        for row in range(rows):
            y = (first + row - height / 2) * step
            for column in range(width):
                found[row, column] = steps_to_leave(LEFT + column * step, y)
        return found

    @Job.merge
    def merge(tiles: list[np.ndarray]) -> Any:
        return coloured(tiles)


if __name__ == "__main__":
    wanted = size()
    result = submit_job(mandelbrot_kernel, wanted)
    print(check(result, **wanted))
    print(result.report)
    sys.exit(0)
