"""Images as they are, and many small ones side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pangea.compute.model.errors import PictureError
from pangea.compute.model.units import counted
from pangea.compute.pictures.values import canvases, theme, turning
from pangea.compute.pictures.values.canvases import MARGIN
from pangea.compute.pictures.values.drawings import Canvas
from pangea.compute.pictures.values.options import PictureOptions
from pangea.compute.pictures.values.picture import Picture
from pangea.compute.pictures.values.shapes import Clusters, Grid, Pixels, Stack
from pangea.compute.pictures.values.turning import Shape
from pangea.compute.pictures.values.wording import figure, shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Images side by side that can be told apart.
TOP: Final = 100
_WIDTH: Final = 640.0
_HEIGHT_MAX: Final = 900.0
#: Dots of a side that a picture can show at all; of more, every second, third, … is taken.
_SIDE_MAX: Final = 2_000
_NAME_LETTERS_MAX: Final = 24
_GAP, _NAME, _BAR = 6.0, 16.0, 90.0

Limits = tuple[float, float]


def draw(shape: Shape, options: PictureOptions) -> Picture:
    """Draw one image.

    Raises:
        PictureError: it isn't one.
    """
    if isinstance(shape, Stack) and len(shape.values) == 1:
        values: Any = shape.values[0]
    elif isinstance(shape, Pixels | Grid):
        values = shape.values
    else:
        hint = "give bytes (uint8) of height x width, or with 3 or 4 colours a dot; or draw 'images'"
        raise turning.unsuited("image", shape, hint)
    if values.dtype != np.uint8:
        turning.finite(values, "the image")
    rows, columns = values.shape[:2]
    step = max(1, -(-max(rows, columns) // _SIDE_MAX))
    notes = [f"one dot of {step} x {step}, of {columns:,} x {rows:,}"] if step > 1 else []
    title = options.heading
    drawing = Canvas(lambda: _paint(values[::step, ::step], title, notes))
    words = f"{title or 'Image'}: {columns:,} x {rows:,} dots"
    return Picture(drawing, kind="image", title=title, alt=words, notes=tuple(notes))


def draw_many(shape: Shape, options: PictureOptions) -> Picture:
    """Draw images side by side, in one range of colours.

    Raises:
        PictureError: there are none.
    """
    stack = _stack(shape)
    names = options.labels if options.labels is not None else stack.names
    if names is not None and len(names) != len(stack.values):
        raise PictureError(f"there are {len(names):,} labels for {len(stack.values):,} images", hint="give one for each image")
    top = options.top or TOP
    more = len(stack.values) - top
    notes = [f"the first {top} are shown, and {more:,} more are not"] if more > 0 else []
    title = options.heading
    some: Any = stack.values[:top]
    some_names = [shown(name, _NAME_LETTERS_MAX) for name in names[:top]] if names is not None else None
    if some.dtype != np.uint8:
        turning.finite(some, "the stack of images")
    drawing = Canvas(lambda: _paint_many(some, some_names, title, notes))
    words = f"{title or 'Images'}: {counted(len(some), 'image')} of {some.shape[2]} x {some.shape[1]} dots"
    return Picture(drawing, kind="images", title=title, alt=words, notes=tuple(notes))


def _stack(shape: Shape) -> Stack:
    """Images; the rows of a grid, or centres of clusters, are images if they are as long as a square."""
    if isinstance(shape, Stack):
        return shape
    if isinstance(shape, Pixels):
        return Stack(shape.values[np.newaxis])
    if not isinstance(shape, Grid | Clusters):
        raise turning.unsuited("images", shape, "give images x height x width")
    values = shape.values if isinstance(shape, Grid) else shape.centroids
    side = math.isqrt(values.shape[1])
    if side * side != values.shape[1] or side < 2:
        raise PictureError(
            f"rows of {values.shape[1]} numbers aren't square images",
            hint="give images x height x width: array.reshape(-1, height, width)",
        )
    names = [f"cluster {index}" for index in range(len(values))] if isinstance(shape, Clusters) else shape.rows
    return Stack(values.reshape(-1, side, side), names)


def _paint(values: Any, title: str, notes: Sequence[str]) -> Figure:
    rows, columns = values.shape[:2]
    zoom = min((_WIDTH - 2 * MARGIN) / columns, (_HEIGHT_MAX - 2 * MARGIN) / rows)
    wide, high = max(1.0, columns * zoom), max(1.0, rows * zoom)
    top = canvases.head(title, notes)
    sheet, axes = canvases.board(_WIDTH if title or notes else wide + 2 * MARGIN, top + high + MARGIN, title, notes)
    _show(axes, values, _limits(values), (MARGIN, top, wide, high))
    return sheet


def _paint_many(values: Any, names: Sequence[str] | None, title: str, notes: Sequence[str]) -> Figure:
    across = _across(len(values))
    down = math.ceil(len(values) / across)
    is_amount = values.dtype != np.uint8
    cell = (_WIDTH - 2 * MARGIN - (_BAR if is_amount else 0)) / max(across, 3) - _GAP
    high = cell * values.shape[1] / values.shape[2]
    step = high + _GAP + (_NAME if names is not None else 0)
    top = canvases.head(title, notes)
    sheet, axes = canvases.board(_WIDTH, top + down * step + MARGIN, title, notes)
    limits = _limits(values)
    for index, image in enumerate(values):
        left, upper = MARGIN + index % across * (cell + _GAP), top + index // across * step
        if names is not None:
            axes.text(left + cell / 2, upper + _NAME - 4, names[index], fontsize=theme.SMALL, ha="center")
            upper += _NAME
        _show(axes, image, limits, (left, upper, cell, high))
    if is_amount and values.ndim == 3:
        place = (MARGIN + min(across, len(values)) * (cell + _GAP) + 12, top + (_NAME if names is not None else 0))
        _colour_bar(axes, limits, place, min(160.0, down * step - _GAP))
    return sheet


def _across(number: int) -> int:
    """How many images stand in a row: half of a few, at most ten."""
    return number if number <= 5 else min(10, math.ceil(number / 2))


def _limits(values: Any) -> Limits:
    if values.dtype == np.uint8:
        return 0.0, 255.0
    low, high = float(np.nanmin(values[np.isfinite(values)])), float(np.nanmax(values[np.isfinite(values)]))
    return low, high if high > low else low + max(1.0, abs(low))


def _show(axes: Axes, values: Any, limits: Limits, place: tuple[float, float, float, float]) -> None:
    """Grey for bytes, which are images; colours of amounts for other numbers."""
    left, top, wide, high = place
    is_small = max(values.shape[:2]) < wide
    axes.imshow(
        values,
        extent=(left, left + wide, top + high, top),
        aspect="auto",
        interpolation="nearest" if is_small else "antialiased",
        cmap="gray" if values.dtype == np.uint8 else theme.AMOUNTS,  # of no effect where the dots have colours
        vmin=limits[0],
        vmax=limits[1],
    )


def _colour_bar(axes: Axes, limits: Limits, place: tuple[float, float], high: float) -> None:
    left, top = place
    _show(axes, np.linspace(limits[1], limits[0], 128)[:, np.newaxis], limits, (left, top, 12, high))
    for value, at, side in ((limits[1], top, "top"), (limits[0], top + high, "bottom")):
        near_zero = abs(value) < 1e-9 * (limits[1] - limits[0])
        axes.text(left + 18, at, figure(0.0 if near_zero else value), fontsize=theme.SMALL, va=side)
