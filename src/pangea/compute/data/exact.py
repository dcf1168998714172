"""Sums of floats that are the same bytes in whatever order and grouping they are added up.

Adding floats rounds, so `(a + b) + c` isn't `a + (b + c)`, and a merge that adds them isn't associative. The sums here are
exact until they are asked for as a float, which is rounded once. What is passed on is a function of the exact sum alone.

A sum is kept as *levels*: the float nearest to it, the float nearest to what that leaves, and so on until nothing is left:
two floats nearly always, 40 at most. `exact_sums` does this for many lists at once, so that all loops run in C.

    levels = exact_sums([[0.1] * 10, [1e100, 1.0, -1e100]])     # [[1.0, 1.0], [5.55e-17, 0.0]]
    exact_sums(zip(*levels, strict=True)) == levels             # a sum of sums is the sum: merge them like this

Source: J. R. Shewchuk, Adaptive Precision Floating-Point Arithmetic and Fast Robust Geometric Predicates, 1997 (expansions);
`math.fsum` (a sum rounded once). For variances: T. F. Chan, G. H. Golub, R. J. LeVeque, Algorithms for Computing the Sample
Variance, 1983 (sums of squares about a pivot, joined).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from math import fsum, isfinite
from operator import mul, sub

from pangea.compute.data.errors import DataError

#: The smallest float is 1 / _UNIT: every finite float is a whole number of those.
_UNIT_BITS = 1074
_UNIT = 1 << _UNIT_BITS
_LARGEST = math.nextafter(math.inf, 0.0)
#: 40 levels hold any sum in the range of a float; the others are for sums beyond it, which may come back.
_LEVELS_MAX = 64
#: Differences this much smaller than the values are looked at twice.
_NEAR = 2.0**-40
_NAN, _INFINITE = b"n", b"i"


def exact_sums(lists: Iterable[Iterable[float]]) -> list[list[float]]:
    """Add up each list, exactly.

    Args:
        lists: floats; NaN and infinities follow IEEE 754, in any order: inf - inf is NaN.

    Returns:
        The levels: `levels[0][i]` is the sum of list i, rounded once, `levels[1][i]` what that leaves, rounded, and so on; as
        many as the list that needs most, none if all sums are zero. A sum beyond the range of a float starts with the largest.

    Raises:
        DataError: a sum is more than 24 times the largest float.
    """
    rests = [list(values) for values in lists]
    levels: list[list[float]] = []
    while any(level := _nearest(rests)):
        if len(levels) == _LEVELS_MAX:
            raise DataError("a sum is too large: more than 24 times the largest float (1.8e308); scale the values down")
        levels.append(level)
        if not all(map(isfinite, level)):
            rests = [rest if isfinite(part) else [] for rest, part in zip(rests, level, strict=True)]
        for rest, part in zip(rests, level, strict=True):
            rest.append(-part if isfinite(part) else 0.0)
    return levels


def exact_sum(values: Iterable[float]) -> list[float]:
    """The levels of one sum; none if it is zero."""
    return [level[0] for level in exact_sums([values])]


def exact_integers(numbers: Iterable[int]) -> list[list[float]]:
    """The levels of integers, each a sum by itself, so that they can be added up with sums of floats.

    Raises:
        DataError: one is beyond the range of a float.
    """
    rests = list(numbers)
    levels: list[list[float]] = []
    try:
        while any(rests):
            levels.append(list(map(float, rests)))
            rests = list(map(sub, rests, map(int, levels[-1])))
    except OverflowError:
        raise DataError("an integer is beyond the range of a float (1.8e308)") from None
    return levels


def quotient(parts: Iterable[float], count: int) -> float:
    """The sum of `parts` divided by `count`, rounded once.

    Args:
        parts: levels of one sum, or any floats.
        count: 1 or more; 1 gives the sum itself.
    """
    numbers = list(parts)
    if not isfinite(total := _special(numbers)):
        return total
    return _ratio(sum(map(_units, numbers)), count << _UNIT_BITS)


def _nearest(lists: Sequence[list[float]]) -> list[float]:
    """The float nearest to each sum."""
    try:
        return list(map(fsum, lists))
    except (OverflowError, ValueError):  # a partial sum is beyond the range, or inf - inf
        return list(map(_nearest_by_integers, lists))


def _nearest_by_integers(values: list[float]) -> float:
    if not isfinite(total := _special(values)):
        return total
    units = sum(map(_units, values))
    return max(-_LARGEST, min(_LARGEST, _ratio(units, _UNIT)))


def _special(values: list[float]) -> float:
    """What NaN and infinities among `values` add up to; zero if there are none."""
    special = {value if value == value else math.nan for value in values if not isfinite(value)}
    if not special:
        return 0.0
    return special.pop() if len(special) == 1 else math.nan


def _units(value: float) -> int:
    numerator, denominator = value.as_integer_ratio()
    return numerator << (_UNIT_BITS + 1 - denominator.bit_length())


def _ratio(numerator: int, denominator: int) -> float:
    try:
        return numerator / denominator  # of integers: rounded once
    except OverflowError:
        return math.inf if numerator > 0 else -math.inf


def squares(values: Sequence[float], parts: Sequence[float]) -> bytes:
    """The sum of the squares of `values`, for `variance`; add several up with `add_squares`.

    The squares are taken about a pivot near the mean, whose differences are rounded (a relative error of 1e-16 of the
    variance itself), and moved to zero exactly. So nothing cancels, and adding them up is exact.

    Args:
        values: at least one.
        parts: the levels of their sum.

    Returns:
        The exponent of two, 2 bytes, and an odd signed integer, both little-endian; nothing for zero; "n" for NaN, "i" for
        infinity.
    """
    count = len(values)
    pivot = parts[0] / count if parts else 0.0
    spread = _spread(values, pivot)
    near = pivot * _NEAR
    if spread <= count * near * near:
        pivot = min(max(pivot, min(values)), max(values))  # nearly constant, and if constant, then exactly so
        spread = _spread(values, pivot)
    return squares_about(count, parts, pivot, spread)


def squares_about(count: int, parts: Iterable[float], pivot: float, spread: float) -> bytes:
    """The sum of the squares of numbers that have been gone through already.

    Args:
        count: how many there were.
        parts: the levels of their sum.
        pivot: any number, best near their mean.
        spread: the sum of the squares of their differences from `pivot`.

    Returns:
        What `squares` returns.
    """
    if not isfinite(spread) or not isfinite(pivot):
        return _INFINITE if spread == math.inf and isfinite(pivot) else _NAN
    about, about_exponent = _dyadic((pivot,))
    total, total_exponent = _dyadic(parts)
    # sum(x^2) = sum((x - p)^2) + p (2 sum(x) - n p)
    moved, moved_exponent = _add((total << 1, total_exponent), (-count * about, about_exponent))
    return _pack(*_add((about * moved, about_exponent + moved_exponent), _dyadic((spread,))))


def integer_squares(values: Sequence[int]) -> bytes:
    """The sum of the squares of integers, exactly, in the form that `squares` returns."""
    return _pack(sum(map(mul, values, values)), 0)


def add_squares(sums: Iterable[bytes]) -> bytes:
    """Add up what `squares` gave, exactly."""
    known = list(sums)
    if _NAN in known:
        return _NAN
    if _INFINITE in known:
        return _INFINITE
    total = (0, 0)
    for each in known:
        total = _add(total, _unpack(each))
    return _pack(*total)


def variance(count: int, parts: Iterable[float], squared: bytes, *, ddof: int = 1) -> float:
    """The variance, rounded once.

    Args:
        count: of values.
        parts: the levels of their sum.
        squared: the sum of their squares, from `squares` or `add_squares`.
        ddof: what is taken from `count` in the divisor; 1 for a sample, 0 for everything there is.

    Returns:
        The variance; NaN if `count` isn't above `ddof`, or a value was NaN or infinite.
    """
    if count <= ddof or squared == _NAN:
        return math.nan
    if squared == _INFINITE:
        return math.inf
    square, square_exponent = _unpack(squared)
    total, total_exponent = _dyadic(list(parts))
    # sum((x - mean)^2) = sum(x^2) - sum(x)^2 / n
    scaled, exponent = _add((count * square, square_exponent), (-total * total, 2 * total_exponent))
    divisor = count * (count - ddof)
    return _ratio(max(scaled, 0) << max(exponent, 0), divisor << max(-exponent, 0))


def _spread(values: Sequence[float], pivot: float) -> float:
    try:
        return fsum([(difference := value - pivot) * difference for value in values])
    except OverflowError:
        return math.inf


def _dyadic(parts: Iterable[float]) -> tuple[int, int]:
    """The exact sum of finite floats as (integer, exponent of two)."""
    total, exponent = 0, 0
    for part in parts:
        numerator, denominator = part.as_integer_ratio()
        if (power := 1 - denominator.bit_length()) < exponent:
            total, exponent = (total << (exponent - power)) + numerator, power
        else:
            total += numerator << (power - exponent)
    return total, exponent


def _pack(total: int, exponent: int) -> bytes:
    """`total * 2**exponent` with an odd integer, so that equal sums are equal bytes."""
    if not total:
        return b""
    zeros = (total & -total).bit_length() - 1
    total >>= zeros
    return (exponent + zeros).to_bytes(2, "little", signed=True) + total.to_bytes(
        total.bit_length() // 8 + 1, "little", signed=True
    )


def _unpack(packed: bytes) -> tuple[int, int]:
    return int.from_bytes(packed[2:], "little", signed=True), int.from_bytes(packed[:2], "little", signed=True)


def _add(one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
    (number, power), (other_number, other_power) = one, other
    if power < other_power:
        return number + (other_number << (other_power - power)), power
    return (number << (power - other_power)) + other_number, other_power
