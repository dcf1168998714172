"""NumPy as at home, in two things that come out otherwise in 32 bits and with LAPACK in C, and that Python can mend."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

import numpy
from numpy._core import arrayprint
from numpy.linalg import LinAlgError, _linalg

_SVD, _LEAST_SQUARES = "SVD did not converge", "SVD did not converge in Linear Least Squares"


def mend(word: int) -> None:
    """Mend how arrays are shown, and decompositions of what isn't finite.

    Args:
        word: the largest word, which `sys.maxsize` was while NumPy was imported. NumPy says by it that it shows arrays as this
            version does, and reads it in C as a word.
    """
    arrayprint.sys = types.SimpleNamespace(maxsize=word)  # type: ignore[attr-defined]
    routines = _linalg._umath_linalg  # type: ignore[attr-defined]
    for name in ("svd", "svd_f", "svd_s"):
        setattr(routines, name, _refusing(getattr(routines, name), numpy.isnan, _SVD))
    routines.lstsq = _refusing(routines.lstsq, _not_finite, _LEAST_SQUARES)


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
