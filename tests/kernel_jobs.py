"""Jobs with kernels, for tests: of several arguments, of numbers, with helpers, with a result as an array."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pangea.compute import Job

SHIFT = 0.5


def bent(x: float) -> float:
    return math.sin(x) * x + SHIFT


@Job.define
def scaled() -> None:
    """Several arguments, a helper and a module's variable; the result is an array."""

    @Job.split(input="array")
    def split(values: Any) -> list[tuple[Any, float, int]]:
        numbers = values.tolist()
        return [(numbers[at : at + 100], 2.5, at) for at in range(0, len(numbers), 100)]

    @Job.execute(kernel="float64[:], float64, int64 -> float64[:]")
    def execute(values: Any, factor: float, first: int) -> Any:
        out = np.empty(values.shape[0])
        for at in range(values.shape[0]):
            out[at] = bent(values[at]) * factor + first
        return out


@Job.define
def energy() -> None:
    """A number for each chunk; Python adds them."""

    @Job.execute(kernel="float64[:] -> float64")
    def execute(values: Any) -> float:
        return np.sum(values * values)  # type: ignore[no-any-return]

    @Job.merge(output="json")
    def merge(results: list[float]) -> dict[str, float]:
        return {"sum": math.fsum(results)}


@Job.define
def row_sums() -> None:
    """No function but the kernel."""

    @Job.execute(kernel="float64[:,:] -> float64[:]")
    def execute(values: Any) -> Any:
        return values.sum(axis=1)


@Job.define
def picky() -> None:
    """Raises, reads out of bounds, loops for ever: as the first number says."""

    @Job.execute(kernel="float64[:] -> int64", samples=[np.array([0.0, 1.0])])
    def execute(values: Any) -> int:
        if values.shape[0] == 0 or values[0] == 1.0:
            raise ValueError("nothing to do")
        if values[0] == 2.0:
            return int(values[values.shape[0]])
        count = 0
        while values[0] == 3.0:
            count += 1
        return count + int(values.shape[0])
