"""What values are to a picture: numbers in a row or a grid, dots, a table, a network, a model.

Whatever comes in becomes one of these (`reading`, `frames`, `models`), and each kind of picture says which of them it draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Numbers: TypeAlias = npt.NDArray[np.float64]
Bytes: TypeAlias = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Series:
    """Numbers in a row.

    Attributes:
        values: NaN where there is none.
        name: of what they measure.
    """

    values: Numbers
    name: str = "value"


@dataclass(frozen=True, slots=True)
class Grid:
    """Numbers in rows and columns.

    Attributes:
        values: NaN where there is none.
        rows: what the rows are called, or None.
        columns: what the columns are called, or None.
    """

    values: Numbers
    rows: Sequence[str] | None = None
    columns: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class Pixels:
    """An image: height x width, or with 3 (RGB) or 4 (RGBA) bytes a dot."""

    values: Bytes


@dataclass(frozen=True, slots=True)
class Stack:
    """Images of one size.

    Attributes:
        values: images x height x width, or with 3 or 4 bytes a dot; numbers of any range if there are none.
        names: what each is called, or None.
    """

    values: Numbers | Bytes
    names: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class Network:
    """A networkx graph of any sort."""

    graph: Any


@dataclass(frozen=True, slots=True)
class Coefficients:
    """What a linear model gives each feature.

    Attributes:
        values: (features,), or (classes, features).
        names: of the features.
        errors: standard error of each, or None.
        intercept: the constant, if there is one and only one.
        classes: of what each row is, or None.
    """

    values: Numbers
    names: Sequence[str]
    errors: Numbers | None = None
    intercept: float | None = None
    classes: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class Clusters:
    """Centres, and perhaps the points around them.

    Attributes:
        centroids: (clusters, features).
        names: of the features.
        sizes: points in each cluster, or None.
        points: (points, features), or None.
        labels: the cluster of each point, or None.
    """

    centroids: Numbers
    names: Sequence[str]
    sizes: Sequence[int] | None = None
    points: Numbers | None = None
    labels: npt.NDArray[np.int64] | None = None


@dataclass(frozen=True, slots=True)
class Confusion:
    """How often what truly is (row) was taken for what (column).

    Attributes:
        counts: (classes, classes).
        classes: their names.
    """

    counts: Numbers
    classes: Sequence[str]


@dataclass(frozen=True, slots=True)
class Bins:
    """How many values fell into each range: a histogram that was counted elsewhere.

    Attributes:
        edges: rising; one more than there are ranges.
        counts: of each range.
        outside: values that fell into none.
    """

    edges: Numbers
    counts: Numbers
    outside: int = 0
