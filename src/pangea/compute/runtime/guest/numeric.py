"""NumPy as at home, in four things that come out otherwise in 32 bits and with LAPACK in C, and that Python can mend."""

from __future__ import annotations

import io
import types
from collections.abc import Callable
from typing import Any

import numpy
from numpy._core import arrayprint
from numpy.fft import _pocketfft
from numpy.lib import _arraysetops_impl, _histograms_impl
from numpy.linalg import LinAlgError, _linalg

_SVD, _LEAST_SQUARES = "SVD did not converge", "SVD did not converge in Linear Least Squares"
#: The work of a transform of few points isn't worth telling which algorithm it goes by.
_FEW_POINTS = 1024
#: What a plan has besides its numbers.
_PLAN_BYTES = 4096


def mend(word: int) -> None:
    """Mend how arrays are shown, decompositions of what isn't finite, lack of memory in C++, and histograms of 32-bit integers.

    Args:
        word: the largest word, which `sys.maxsize` was while NumPy was imported. NumPy says by it that it shows arrays as this
            version does, and reads it in C as a word.
    """
    arrayprint.sys = types.SimpleNamespace(maxsize=word)  # type: ignore[attr-defined]
    routines = _linalg._umath_linalg  # type: ignore[attr-defined]
    for name in ("svd", "svd_f", "svd_s"):
        setattr(routines, name, _refusing(getattr(routines, name), numpy.isnan, _SVD))
    routines.lstsq = _refusing(routines.lstsq, _not_finite, _LEAST_SQUARES)
    transforms = _pocketfft.pfu  # type: ignore[attr-defined]
    for name, full in (("fft", True), ("ifft", True), ("irfft", True), ("rfft_n_even", False), ("rfft_n_odd", False)):
        setattr(transforms, name, _asking(getattr(transforms, name), full))
    _arraysetops_impl._unique_hash = _sorting_instead(_arraysetops_impl._unique_hash)  # type: ignore[attr-defined]
    _histograms_impl._unsigned_subtract = _apart(_histograms_impl._unsigned_subtract)  # type: ignore[attr-defined]


def _refusing(routine: Callable[..., Any], hopeless: Callable[[Any], Any], words: str) -> Callable[..., Any]:
    """`routine`, which says that it doesn't converge where today's LAPACK does, and NumPy's old one goes on, or raises in C."""

    def call(matrices: Any, *operands: Any, **options: Any) -> Any:
        if hopeless(matrices).any():
            raise LinAlgError(words)
        try:
            return routine(matrices, *operands, **options)
        except SystemError:  # LAPACK's own error, raised beside NumPy's
            raise LinAlgError(words) from None

    return call


def _not_finite(matrices: Any) -> Any:
    return ~numpy.isfinite(matrices)


def _asking(transform: Callable[..., Any], full: bool) -> Callable[..., Any]:
    """`transform`, which asks for its plan's memory beforehand: `full` where it has as many points as its result."""

    def call(values: Any, factor: Any, *, axes: Any, out: Any) -> Any:
        if shape := getattr(out, "shape", None):
            points = shape[axes[2][0]] if full else 2 * shape[axes[2][0]] - 1
            least = points >= _FEW_POINTS and _is_smooth(points)
            _ask(points * out.real.dtype.itemsize * (12 if least else 28) + _PLAN_BYTES)
        return transform(values, factor, axes=axes, out=out)

    return call


def _is_smooth(number: int) -> bool:
    """Whether its largest prime factor squared is not above it: else the transform goes by Bluestein's algorithm."""
    left, factor, largest = number, 2, 1
    while factor * factor <= left:
        while left % factor == 0:
            left, largest = left // factor, factor
        factor += 1
    return max(left, largest) ** 2 <= number


def _sorting_instead(table: Callable[..., Any]) -> Callable[..., Any]:
    """`table`, which leaves it to sorting where its memory can't be had."""

    def call(values: Any, **options: Any) -> Any:
        try:
            _ask(64 * values.size + (1 << 16))
        except MemoryError:
            return NotImplemented
        return table(values, **options)

    return call


def _apart(subtract: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """`subtract`, without overflow, which knows C's int and not C's long: here both have 32 bits, and int32 is the latter."""

    def call(left: Any, right: Any) -> Any:
        kind = numpy.result_type(left, right)
        if kind.type is not numpy.int32:
            return subtract(left, right)
        return numpy.subtract(numpy.asarray(left, kind), numpy.asarray(right, kind), casting="unsafe", dtype=numpy.uint32)

    return call


def _ask(size: int) -> None:
    """Raise MemoryError unless there are so many bytes in a row. They are taken without being written to, and given back."""
    io.BufferedReader(io.BytesIO(), size)
