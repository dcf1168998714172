"""Ready jobs that make pictures: a filter over an image, tile by tile, and the Mandelbrot set."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from pangea.compute.client.definition.job import Job, JobDefinition
from pangea.compute.client.submission.submit import submit_job
from pangea.compute.data import DataError
from pangea.compute.data.ndarrays import npy_of
from pangea.compute.model.errors import InputError, ManifestError
from pangea.compute.templates.checks import choice, number, whole

#: scipy.ndimage's names of what lies beyond the edges, and numpy.pad's.
_EDGES = {"reflect": "symmetric", "mirror": "reflect", "nearest": "edge", "constant": "constant", "wrap": "wrap"}
_KERNEL_SIDE_MAX = 255
_SIDE_MAX = 1 << 20
_ITERATIONS_MAX = 1_000_000
#: From dark to bright, readable with any kind of colour blindness.
#: Source: J. R. Nunez et al., Optimizing colormaps with consideration for color vision deficiency (cividis), 2018; every eighth.
_CIVIDIS = (
    (0, 34, 78), (18, 53, 112), (59, 73, 108), (87, 93, 109), (112, 113, 115),
    (138, 134, 120), (165, 156, 116), (195, 179, 105), (225, 204, 85), (254, 232, 56),
)  # fmt: skip

Kernel = tuple[tuple[float, ...], ...]


def image_filter_job(kernel: Any) -> JobDefinition:
    """Convolve tiles: the job behind `image_filter`.

    Args:
        kernel: rows of numbers, of odd sides.

    Returns:
        A job each of whose inputs is an array, (height + rows - 1, width + columns - 1) or with channels behind: a tile with what
        lies around it. Its result is the filtered tiles, one behind the other, in the type that they had.

    Raises:
        ManifestError: the kernel isn't such.
    """
    taps = _taps(kernel)

    @Job.define(name="image_filter", operation_type="image_filter", split_strategy="custom")
    def job() -> None:
        @Job.execute(input="array", output="array")
        def execute(tile: Any) -> Any:
            return convolved(tile, taps)

    return job


def image_filter(
    image: Any,
    kernel: Any,
    *,
    edge: Literal["reflect", "mirror", "nearest", "constant", "wrap"] = "reflect",
    rows_per_tile: int | None = None,
    **submit_options: Any,
) -> Any:
    """Convolve an image with a kernel, as `scipy.ndimage.convolve` does, each channel by itself.

    Args:
        image: an array, (height, width) or (height, width, channels), of integers or floats; or a PIL image.
        kernel: rows of numbers, of odd sides; its middle is where the result goes.
        edge: what lies beyond the edges: "reflect" (d c b a | a b c d), "mirror" (d c b | a b c d), "nearest", "constant" (0),
            "wrap".
        rows_per_tile: rows of the image in one chunk; by default what has about 64 Ki values.
        submit_options: keywords of `submit_job`.

    Returns:
        An array of the image's shape and type; integers are rounded (halves to even) and cut off at the type's ends.

    Raises:
        ManifestError: an option is out of range.
        InputError: it is no image, or smaller than half the kernel.
    """
    import numpy as np

    job, taps = image_filter_job(kernel), _taps(kernel)
    pixels = np.asarray(image)
    if pixels.ndim not in (2, 3) or pixels.dtype.kind not in "iuf" or not pixels.size or pixels.dtype.itemsize > 8:
        raise InputError(
            f"the image is an array of {pixels.dtype} with shape {pixels.shape}; it must be numbers, (height, width) or (height,"
            " width, channels)"
        )
    halo = (len(taps) // 2, len(taps[0]) // 2)
    beyond = choice("edge", edge, tuple(_EDGES))
    if beyond == "mirror" and any(side <= reach for side, reach in zip(pixels.shape, halo, strict=False)):
        raise InputError(f"an image of {pixels.shape[:2]} has no {halo} rows and columns to mirror", hint="use edge='reflect'")
    margins = [(halo[0], halo[0]), (halo[1], halo[1]), *([(0, 0)] * (pixels.ndim - 2))]
    mode: Any = _EDGES[beyond]
    padded = np.ascontiguousarray(np.pad(pixels, margins, mode=mode))
    height = pixels.shape[0]
    step = whole("rows_per_tile", rows_per_tile or max(1, (64 << 10) // pixels[0].size), 1, _SIDE_MAX)
    tiles = [npy_of(padded[top : min(top + step, height) + 2 * halo[0]]) for top in range(0, height, step)]
    return submit_job(job, tiles, **submit_options).as_array()


def mandelbrot(
    width: int = 640,
    height: int = 480,
    *,
    center: complex = -0.6 + 0j,
    across: float = 3.2,
    iterations: int = 200,
    rows_per_tile: int = 8,
    output: Literal["image", "array"] = "image",
) -> JobDefinition:
    """Draw the Mandelbrot set: how soon z := z * z + c leaves the circle of radius 2, from z = 0, for each pixel c.

    It needs no input: its split makes the tiles, some rows each.

    Args:
        width: pixels.
        height: pixels.
        center: of the picture, in the complex plane.
        across: the width, in the complex plane; a pixel is as high as it is wide.
        iterations: after how many it is taken to stay.
        rows_per_tile: rows of pixels in one chunk.
        output: "image" for a picture, "array" for the counts: uint32, (height, width).

    Returns:
        A job whose result is a PNG picture (`as_image()`), brighter the later a point leaves, black where it stays; or the counts
        (`as_array()`).

    Raises:
        ManifestError: an option is out of range.
    """
    sides = (whole("width", width, 1, _SIDE_MAX), whole("height", height, 1, _SIDE_MAX))
    limit, step = whole("iterations", iterations, 1, _ITERATIONS_MAX), whole("rows_per_tile", rows_per_tile, 1, _SIDE_MAX)
    made_kind = choice("output", output, ("image", "array"))
    if not isinstance(center, complex | float | int) or not abs(center) < 1e6:
        raise ManifestError(f"center is {center!r:.80}; it must be a complex number", field="center")
    corner, pixel = _view(sides, complex(center), number("across", across, 1e-300, 1e6))

    @Job.define(name="mandelbrot", operation_type="mandelbrot")
    def job() -> None:
        @Job.split(output="json")
        def split(_data: bytes) -> Iterator[list[int]]:
            for top in range(0, sides[1], step):
                yield [top, min(top + step, sides[1])]

        @Job.execute(input="json", output="array")
        def execute(tile: list[int]) -> Any:
            return escape_counts(range(*tile), sides[0], corner, pixel, limit)

        if made_kind == "image":

            @Job.merge(output="image")
            def merge(tiles: list[Any]) -> Any:
                import numpy as np

                return coloured(np.concatenate(tiles), limit)

    return job


def _view(sides: tuple[int, int], center: complex, across: float) -> tuple[tuple[float, float], float]:
    """The middle of the pixel at the upper left, and the width of a pixel."""
    pixel = across / sides[0]
    return (center.real - pixel * (sides[0] - 1) / 2, center.imag + pixel * (sides[1] - 1) / 2), pixel


def _taps(kernel: Any) -> Kernel:
    rows = kernel.tolist() if hasattr(kernel, "tolist") else kernel
    if not isinstance(rows, list | tuple) or not rows or not all(isinstance(row, list | tuple) for row in rows):
        raise ManifestError(f"kernel is a {type(kernel).__name__}; it must be rows of numbers", field="kernel")
    sides = (len(rows), len(rows[0]))
    if len({len(row) for row in rows}) > 1 or any(side % 2 == 0 or side > _KERNEL_SIDE_MAX for side in sides):
        raise ManifestError(f"kernel has sides {sides}; they must be odd, and {_KERNEL_SIDE_MAX} at most", field="kernel")
    return tuple(tuple(number("kernel", value, -1e300, 1e300) for value in row) for row in rows)


# What follows runs in the sandbox.


def convolved(tile: Any, taps: Kernel) -> Any:
    """The tile's inner part, each value the sum of those around it by the kernel's, turned by half a turn.

    The products are added in the order of the kernel's rows, so that a pixel doesn't depend on its tile.
    """
    import numpy as np

    height, width = tile.shape[0] - len(taps) + 1, tile.shape[1] - len(taps[0]) + 1
    if tile.ndim not in (2, 3) or height < 1 or width < 1:
        raise DataError(f"a tile of shape {tile.shape} is smaller than the kernel")
    numbers, total = tile.astype("f8"), np.zeros((height, width, *tile.shape[2:]))
    with np.errstate(all="ignore"):
        for top, weights in enumerate(taps[::-1]):
            for left, weight in enumerate(weights[::-1]):
                if weight:
                    total += weight * numbers[top : top + height, left : left + width]
        return _rounded(total, tile.dtype) if tile.dtype.kind in "iu" else total.astype(tile.dtype)


def _rounded(values: Any, kind: Any) -> Any:
    """Whole numbers, halves to even, cut off at the type's ends.

    Raises:
        DataError: there is no number to round.
    """
    import numpy as np

    if np.isnan(values).any():
        raise DataError("the kernel's products and the image's values add up to what is no number")
    ends = np.iinfo(kind)
    is_above, is_below = values >= float(ends.max), values <= float(ends.min)
    found = np.where(is_above | is_below, 0.0, np.rint(values)).astype(kind)
    found[is_above], found[is_below] = ends.max, ends.min
    return found


def escape_counts(rows: range, width: int, corner: tuple[float, float], pixel: float, limit: int) -> Any:
    """For each pixel of these rows: after how many steps |z| > 2; `limit` if it stays that long."""
    import numpy as np

    left, top = corner
    counts = []
    for row in rows:
        y = top - pixel * row
        for column in range(width):
            x = left + pixel * column
            counts.append(limit if _surely_stays(x, y) else _escape(x, y, limit))
    return np.array(counts, "<u4").reshape(len(rows), width)


def _escape(x: float, y: float, limit: int) -> int:
    real = imaginary = 0.0
    for count in range(limit):
        real_square, imaginary_square = real * real, imaginary * imaginary
        if real_square + imaginary_square > 4.0:
            return count
        imaginary = 2.0 * real * imaginary + y
        real = real_square - imaginary_square + x
    return limit


def _surely_stays(x: float, y: float) -> bool:
    """Whether the point lies well within the cardioid or the circle beside it, where nothing ever leaves."""
    square = y * y
    q = (x - 0.25) * (x - 0.25) + square
    return q * (q + x - 0.25) < 0.2499 * square or (x + 1.0) * (x + 1.0) + square < 0.0624


def coloured(counts: Any, limit: int) -> Any:
    """A picture of uint8, (height, width, 3): the brighter the later, on a scale of square roots; black where nothing leaves."""
    import numpy as np

    palette = [_colour((count / limit) ** 0.5) for count in range(limit)] + [(0, 0, 0)]
    return np.array(palette, "u1")[counts]


def _colour(share: float) -> tuple[int, ...]:
    place = share * (len(_CIVIDIS) - 1)
    index = min(int(place), len(_CIVIDIS) - 2)
    low, high = _CIVIDIS[index], _CIVIDIS[index + 1]
    return tuple(round(a + (b - a) * (place - index)) for a, b in zip(low, high, strict=True))
