"""Draw the Mandelbrot set, a few rows of pixels to a chunk, and compare every pixel with NumPy.

    python examples/mandelbrot.py --plot mandelbrot.png
    pangea run examples/mandelbrot.py --width 300 --height 200 --verify --output mandelbrot.npy --plot mandelbrot.png

The colours say after how many steps of z = z² + c a point has left the circle of radius 2; black ones have not left it.
`mandelbrot_kernel.py` is the same job, compiled.
"""

import argparse
import sys
from typing import Any

import numpy as np

from pangea.compute import Job, Result, submit_job

LEFT, RIGHT = -2.2, 0.8
STEPS = 100
ROWS_PER_CHUNK = 8

Sizes = dict[str, int]


@Job.define
def mandelbrot() -> None:
    """The input says how large the picture is; a chunk, which rows of it to draw; the result is an array of its pixels."""

    @Job.split(input="json", output="json")
    def split(wanted: Sizes) -> list[Sizes]:
        width, height = wanted["width"], wanted["height"]
        return [
            {"width": width, "height": height, "first": row, "rows": min(ROWS_PER_CHUNK, height - row)}
            for row in range(0, height, ROWS_PER_CHUNK)
        ]

    @Job.execute(input="json", output="array")
    def execute(tile: Sizes) -> np.ndarray:
        step = (RIGHT - LEFT) / tile["width"]
        rows = []
        for row in range(tile["first"], tile["first"] + tile["rows"]):
            y = (row - tile["height"] / 2) * step
            rows.append([steps_to_leave(LEFT + column * step, y) for column in range(tile["width"])])
        return np.array(rows, np.uint16)

    @Job.merge
    def merge(tiles: list[np.ndarray]) -> Any:
        return coloured(tiles)


def steps_to_leave(x: float, y: float) -> int:
    """How many steps of z = z² + c, from z = c = x + iy, lie within |z| <= 2: STEPS if all that are looked at do."""
    a, b = x, y
    for step in range(STEPS):
        aa, bb = a * a, b * b
        if aa + bb > 4.0:
            return step
        a, b = aa - bb + x, 2.0 * a * b + y
    return STEPS


def coloured(tiles: list[np.ndarray]) -> Any:
    """The pixels of a picture: uint8, (height, width, 3)."""
    colours = np.array([colour(steps) for steps in range(STEPS + 1)], np.uint8)
    return colours[np.concatenate(tiles)]


def colour(steps: int) -> list[int]:
    """Red, green and blue: from dark blue over light to black."""
    if steps == STEPS:
        return [0, 0, 0]
    share = (steps / STEPS) ** 0.4
    return [int(255 * share**1.5), int(60 + 180 * share), int(110 + 130 * share * (1 - share) + 30 * share)]


@Job.inputs
def size(width: int = 480, height: int = 320) -> Sizes:
    """How large the picture is, in pixels."""
    return {"width": width, "height": height}


@Job.check
def check(result: Result, width: int, height: int) -> str:
    """Draw it with NumPy, and compare."""
    step = (RIGHT - LEFT) / width
    x = LEFT + np.arange(width)[None, :] * step + np.zeros((height, 1))
    y = (np.arange(height)[:, None] - height / 2) * step + np.zeros((1, width))
    a, b, steps = x.copy(), y.copy(), np.full((height, width), STEPS)
    inside = np.ones((height, width), bool)
    for number in range(STEPS):
        aa, bb = a * a, b * b
        leaving = inside & (aa + bb > 4.0)
        steps[leaving] = number
        inside &= ~leaving
        a, b = np.where(inside, aa - bb + x, 0.0), np.where(inside, 2.0 * a * b + y, 0.0)
    expected = np.array([colour(number) for number in range(STEPS + 1)], np.uint8)[steps]
    assert np.array_equal(result.as_array(), expected), "NumPy draws another picture"
    return f"all {width * height:,} pixels are NumPy's"


def main() -> int:
    """Draw, check, say so."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=480, help="pixels [default: 480]")
    parser.add_argument("--height", type=int, default=320, help="pixels [default: 320]")
    parser.add_argument("--plot", metavar="FILE", help="write the picture to this .png, .svg or .html")
    given = parser.parse_args()
    result = submit_job(mandelbrot, size(given.width, given.height))
    if given.plot:
        from pangea.compute import visualize

        visualize(result).save(given.plot)
    print(check(result, given.width, given.height))
    print(result.report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
