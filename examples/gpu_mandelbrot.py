"""Draw the Mandelbrot set on a GPU, in whole numbers, and compare every pixel with NumPy.

    python examples/gpu_mandelbrot.py --plot m.png
    pangea run examples/gpu_mandelbrot.py --plot m.png --verify

Floating point differs between adapters in the last bits; fixed point, 28 bits behind the point, doesn't. Without a GPU it runs on
Vulkan in software (docs/gpu.md).
"""

import argparse
import sys
from typing import Any

import numpy as np

from pangea.compute import Job, Result, submit_job

WIDTH, STEPS, ROWS_PER_CHUNK = 480, 200, 32
BITS = 28
#: The left edge, and a pixel, in fixed point.
LEFT, PIXEL = -int(2.2 * 2**BITS), int(3.0 / WIDTH * 2**BITS)

SHADER = f"""
const FOUR = 0x40000000u;

// |a b|, for |a| and |b| up to 2: of the 64 bits of a product of two numbers of 32, in halves of 16, what is left of {BITS}.
fn product(a: u32, b: u32) -> u32 {{
    let low = (a & 0xffffu) * (b & 0xffffu);
    let across = (a & 0xffffu) * (b >> 16u);
    let along = (a >> 16u) * (b & 0xffffu);
    let middle = (low >> 16u) + (across & 0xffffu) + (along & 0xffffu);
    let high = (a >> 16u) * (b >> 16u) + (across >> 16u) + (along >> 16u) + (middle >> 16u);
    return (high << {32 - BITS}u) | ((middle & 0xffffu) >> {BITS - 16}u);
}}

fn main(index: u32) -> u32 {{
    let x = {LEFT}i + i32(index % {WIDTH}u) * {PIXEL}i;
    let y = input(index / {WIDTH}u) * {PIXEL}i;
    var a = x;
    var b = y;
    for (var count = 0u; count < {STEPS}u; count++) {{
        let size_a = u32(abs(a));
        let size_b = u32(abs(b));
        if max(size_a, size_b) > FOUR >> 1u {{ return count; }}
        let aa = product(size_a, size_a);
        let bb = product(size_b, size_b);
        if aa + bb > FOUR {{ return count; }}
        let ab = i32(product(size_a, size_b)) * select(1i, -1i, (a < 0i) != (b < 0i));
        a = i32(aa) - i32(bb) + x;
        b = 2i * ab + y;
    }}
    return {STEPS}u;
}}
"""


@Job.define
def gpu_mandelbrot() -> None:
    """The input says how high the picture is; a chunk, which rows of it to draw; the result is an image."""

    @Job.split(input="json", output="array")
    def split(wanted: dict[str, int]) -> list[np.ndarray]:
        height = wanted["height"]
        rows = [row - height // 2 for row in range(height)]
        return [np.array(rows[at : at + ROWS_PER_CHUNK], "int32") for at in range(0, height, ROWS_PER_CHUNK)]

    @Job.execute(gpu=SHADER, input="int32[n]", output=f"uint32[{WIDTH}*n]")
    def execute(rows: np.ndarray) -> None:
        """Of each pixel of these rows, how many steps of z = z² + c lie within |z| <= 2."""

    @Job.merge(output="image")
    def merge(tiles: list[np.ndarray]) -> Any:
        colours = np.array([colour(steps) for steps in range(STEPS + 1)], np.uint8)
        return colours[np.concatenate(tiles).reshape(-1, WIDTH)]


def colour(steps: int) -> list[int]:
    """Red, green and blue: from dark blue over light to black."""
    if steps == STEPS:
        return [0, 0, 0]
    share = (steps / STEPS) ** 0.4
    return [int(255 * share**1.5), int(60 + 180 * share), int(110 + 130 * share * (1 - share) + 30 * share)]


@Job.inputs
def size(height: int = 320) -> dict[str, int]:
    """How high the picture is, in pixels."""
    return {"height": height}


@Job.check
def check(result: Result, height: int) -> str:
    """Draw it with NumPy, in the same fixed point, and compare."""
    x = LEFT + np.arange(WIDTH)[None, :] * PIXEL + np.zeros((height, 1), np.int64)
    y = (np.arange(height)[:, None] - height // 2) * PIXEL + np.zeros((1, WIDTH), np.int64)
    a, b, steps = x.copy(), y.copy(), np.full((height, WIDTH), STEPS)
    inside = np.ones((height, WIDTH), bool)
    for number in range(STEPS):
        leaving = inside & (np.maximum(abs(a), abs(b)) > 2 << BITS)
        aa, bb = a * a >> BITS, b * b >> BITS
        leaving |= inside & (aa + bb > 4 << BITS)
        steps[leaving] = number
        inside &= ~leaving
        ab = (abs(a) * abs(b) >> BITS) * np.where((a < 0) != (b < 0), -1, 1)
        a, b = np.where(inside, aa - bb + x, 0), np.where(inside, 2 * ab + y, 0)
    expected = np.array([colour(number) for number in range(STEPS + 1)], np.uint8)[steps]
    assert np.array_equal(np.asarray(result.as_image()), expected), "NumPy draws another picture"
    return f"all {WIDTH * height:,} pixels are NumPy's"


def main() -> int:
    """Draw, check, say so."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--height", type=int, default=320, help="pixels [default: 320]")
    parser.add_argument("--plot", metavar="FILE", help="write the picture to this .png, .svg or .html")
    given = parser.parse_args()
    result = submit_job(gpu_mandelbrot, size(given.height))
    if given.plot:
        from pangea.compute import visualize

        visualize(result).save(given.plot)
    print(check(result, given.height))
    print(result.report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
