"""One shape as another, where a kind of picture needs it: columns as numbers in a row, a grid as a table, ..."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import numpy as np

from pangea.compute.model.errors import PictureError
from pangea.compute.model.units import counted
from pangea.compute.pictures.values import frames
from pangea.compute.pictures.values.frames import Table
from pangea.compute.pictures.values.shapes import (
    Bins,
    Clusters,
    Coefficients,
    Confusion,
    Grid,
    Network,
    Numbers,
    Pixels,
    Series,
    Stack,
)

#: What a value is to a picture; whatever comes in becomes one of these.
Shape: TypeAlias = Series | Grid | Pixels | Stack | Table | Network | Coefficients | Clusters | Confusion | Bins

#: Twice this is still a number, whatever is subtracted.
LARGEST: Final = 1e300
_CALLED: Final = {
    Series: "numbers in a row", Grid: "numbers in rows and columns", Pixels: "an image", Stack: "images", Table: "a table",
    Network: "a network", Coefficients: "coefficients", Clusters: "clusters", Confusion: "a confusion matrix",
    Bins: "a histogram",
}  # fmt: skip


def unsuited(kind: str, shape: Shape, hint: str) -> PictureError:
    """The error for a picture of a kind that isn't drawn of this."""
    return PictureError(f"no {kind} picture can be drawn of {_CALLED[type(shape)]}", hint=hint)


def as_table(shape: Shape, kind: str) -> Table:
    """Columns.

    Raises:
        PictureError: it has none.
    """
    if isinstance(shape, Table):
        return shape
    if isinstance(shape, Series):
        return frames.of_columns({"index": np.arange(len(shape.values)), shape.name: shape.values})
    if isinstance(shape, Coefficients) and shape.values.ndim == 1:
        errors = {} if shape.errors is None else {"standard error": shape.errors}
        return frames.of_columns({"feature": list(shape.names), "coefficient": shape.values, **errors})
    if isinstance(shape, Bins):
        return frames.of_columns({"from": shape.edges[:-1], "to": shape.edges[1:], "count": shape.counts})
    if isinstance(shape, Grid | Clusters | Confusion | Coefficients):
        return _rows_named(as_grid(shape, kind))
    raise unsuited(kind, shape, "give columns: a data frame, or a dict of lists")


def as_series(shape: Shape, column: str | None, kind: str) -> Series:
    """Numbers in a row.

    Args:
        shape: of a table, one column is taken; of a grid or an image, all numbers.
        column: which one; the first column of numbers if None.
        kind: of picture, for the error.

    Raises:
        PictureError: it has none.
    """
    if isinstance(shape, Series):
        return shape
    if isinstance(shape, Grid | Pixels | Stack):
        return Series(np.asarray(shape.values, dtype=np.float64).ravel())
    table = as_table(shape, kind)
    if column is None and not table.of("number"):
        raise frames.no_numbers(table)
    name = table.need(column if column is not None else table.of("number")[0], "number")
    return Series(table.numbers(name), name)


def as_grid(shape: Shape, kind: str) -> Grid:
    """Numbers in rows and columns.

    Raises:
        PictureError: it has none.
    """
    if isinstance(shape, Grid):
        return shape
    if isinstance(shape, Table):
        return shape.grid()
    if isinstance(shape, Series):
        return Grid(shape.values[np.newaxis, :])
    if isinstance(shape, Pixels) and shape.values.ndim == 2:
        return Grid(shape.values.astype(np.float64))
    if isinstance(shape, Confusion):
        return Grid(shape.counts, shape.classes, shape.classes)
    if isinstance(shape, Clusters):
        return Grid(shape.centroids, [f"cluster {index}" for index in range(len(shape.centroids))], shape.names)
    if isinstance(shape, Coefficients):
        return Grid(np.atleast_2d(shape.values), shape.classes, shape.names)
    raise unsuited(kind, shape, "give numbers in rows and columns: a two-dimensional array")


def drawable(values: Any) -> Any:
    """Which of these numbers can be drawn: neither missing nor infinite, nor so large that their differences are."""
    return np.abs(values) <= LARGEST


def finite(values: Numbers, what: str) -> tuple[Numbers, list[str]]:
    """The values that can be drawn, and a note about those that can't.

    Raises:
        PictureError: there are none.
    """
    usable = drawable(values)
    missing = int(values.size - np.count_nonzero(usable))
    if missing == 0:
        return values, []
    if missing == values.size:
        raise PictureError(
            f"{what} has {counted(missing, 'value')}, and none is a finite number", hint="look for what made them NaN or infinite"
        )
    return values[usable], [f"{counted(missing, 'value')} of {values.size:,} left out: missing, or not finite"]


def _rows_named(grid: Grid) -> Table:
    names = grid.columns or [f"column {index}" for index in range(grid.values.shape[1])]
    columns: dict[str, Any] = {} if grid.rows is None else {"row": list(grid.rows)}
    return frames.of_columns(columns | {name: np.ascontiguousarray(grid.values[:, index]) for index, name in enumerate(names)})
