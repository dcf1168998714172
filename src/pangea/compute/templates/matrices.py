"""Multiply matrices in blocks: each chunk is some rows of the left one and some columns of the right one, whole.

Integers are exact. A float is the sum of the rounded products, rounded once (`math.fsum`): the sum has no order, so neither the
size of the blocks nor the order in which they arrive shows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import product
from operator import mul
from typing import Any

from pangea.compute.client.definition.job import Job, JobDefinition
from pangea.compute.client.results.result import Result
from pangea.compute.client.submission.submit import submit_job
from pangea.compute.data.exact import exact_sum, quotient
from pangea.compute.data.ndarrays import array_of, many_npy, npy_of
from pangea.compute.model.errors import InputError
from pangea.compute.model.units import GIB, MIB, human_bytes
from pangea.compute.templates.checks import whole

#: Products of one chunk, about: a quarter of a second.
_CHUNK_PRODUCTS = 2_000_000
_CHUNK_BYTES = 8 * MIB
_BLOCK_MAX = 1 << 20
_BLOCKS_BYTES_MAX = GIB


@dataclass(frozen=True, slots=True)
class MatrixProduct:
    """A product, and how it came about. NumPy takes it for the array: `numpy.asarray(product)`.

    Attributes:
        value: the array, of shape (m, n).
        result: the job's result: its blocks, with `.report`.
    """

    value: Any = field(repr=False)
    result: Result

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        """The array."""
        import numpy as np

        return np.array(self.value, dtype=dtype, copy=copy)


def matrix_multiply_job(dtype: str) -> JobDefinition:
    """Multiply pairs of blocks: the job behind `matrix_multiply`.

    Args:
        dtype: the type of the product's items, as NumPy writes it: `<f8`, `<i8`.

    Returns:
        A job each of whose inputs is two .npy files: rows of the left matrix, (r, k), and columns of the right one as rows,
        (c, k). Its result is the products, .npy files of shape (r, c), one behind the other.
    """
    made_dtype = dtype

    @Job.define(name="matrix_multiply", operation_type="matrix_multiply", max_chunk_size=64 * MIB)
    def job() -> None:
        @Job.execute(output="array")
        def execute(chunk: bytes) -> Any:
            return multiplied(chunk, made_dtype)

    return job


def matrix_multiply(left: Any, right: Any, *, block: int | None = None, **submit_options: Any) -> MatrixProduct:
    """Multiply two matrices, `left @ right`.

    Args:
        left: of shape (m, k): booleans, integers or floats; an array, or lists.
        right: of shape (k, n).
        block: how many rows and columns a block of the product has; by default what takes about a quarter of a second.
        submit_options: keywords of `submit_job`.

    Returns:
        The product: of floats of the wider type, or of 64-bit integers.

    Raises:
        InputError: these are no matrices, or don't fit together; or the blocks would take more than 1 GiB.
        ManifestError: `block` is out of range.
        JobFailedError: an integer of the product doesn't fit into 64 bits.
    """
    import numpy as np

    first, second = (_matrix(np, name, value) for name, value in (("left", left), ("right", right)))
    if first.shape[1] != second.shape[0]:
        raise InputError(f"left has shape {first.shape} and right {second.shape}: {first.shape[1]} isn't {second.shape[0]}")
    kind = np.result_type(first, second)
    kind = np.dtype(np.int64) if kind.kind == "b" else kind if kind.kind == "f" else np.dtype(f"{kind.kind}8")
    (m, k), n = first.shape, second.shape[1]
    value = np.zeros((m, n), kind)
    side = _block(m, n, k) if block is None else whole("block", block, 1, _BLOCK_MAX)
    if not value.size or not k:
        side = max(side, m, n)
    starts = list(product(range(0, m, side), range(0, n, side))) or [(0, 0)]
    _check_size(starts, side, k, max(first.itemsize, second.itemsize))
    pairs = [npy_of(first[row : row + side]) + npy_of(second[:, column : column + side].T) for row, column in starts]
    result = submit_job(matrix_multiply_job(kind.newbyteorder("<").str), pairs, **submit_options)
    for (row, column), part in zip(starts, many_npy(result), strict=True):
        value[row : row + side, column : column + side] = part
    return MatrixProduct(value, result)


def _matrix(np: Any, name: str, value: Any) -> Any:
    array = np.asarray(value)
    if array.ndim != 2 or array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
        raise InputError(
            f"{name} is an array of {array.dtype} with shape {array.shape}; it must be a matrix of booleans, integers or floats",
            name=name,
        )
    return array


def _block(m: int, n: int, k: int) -> int:
    """A side whose block costs as much as a chunk should, in products and in bytes."""
    by_products, by_bytes = math.isqrt(_CHUNK_PRODUCTS // max(k, 1)), _CHUNK_BYTES // (16 * max(k, 1))
    return max(1, min(by_products, by_bytes, max(m, n)))


def _check_size(starts: list[tuple[int, int]], side: int, k: int, itemsize: int) -> None:
    size = 2 * len(starts) * side * k * itemsize
    if size > _BLOCKS_BYTES_MAX and len(starts) > 1:
        raise InputError(
            f"the blocks of {side} rows and columns take {human_bytes(size)} together, as each row goes with every column block;"
            f" {human_bytes(_BLOCKS_BYTES_MAX)} is the most",
            hint=f"use larger ones: block={side * -(-size // _BLOCKS_BYTES_MAX)}",
            bytes=size,
            bytes_max=_BLOCKS_BYTES_MAX,
        )


# What follows runs in the sandbox.


def multiplied(chunk: bytes, dtype: str) -> Any:
    """The products of each row of the first array with each row of the second."""
    left, right = many_npy(chunk)
    columns = right.tolist()
    dot = _float_dot if dtype[1] == "f" else getattr(math, "sumprod", _integer_dot)
    values = [dot(row, column) for row in left.tolist() for column in columns]
    return array_of(values, dtype).reshape(left.shape[0], right.shape[0])


def _float_dot(row: list[float], column: list[float]) -> float:
    try:
        return math.fsum(map(mul, row, column))
    except (OverflowError, ValueError):  # beyond the range on the way, or inf - inf
        return quotient(exact_sum(map(float, map(mul, row, column))), 1)


def _integer_dot(row: list[int], column: list[int]) -> int:
    return sum(map(mul, row, column))
