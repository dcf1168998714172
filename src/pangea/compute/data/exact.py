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
from itertools import chain
from math import fsum, isfinite
from operator import mul, sub

from pangea.compute.data.errors import DataError

#: The smallest float is 1 / _UNIT: every finite float is a whole number of those.
_UNIT_BITS = 1074
_UNIT = 1 << _UNIT_BITS
_LARGEST = math.nextafter(math.inf, 0.0)
#: 40 levels hold any sum in the range of a float; the others are for sums beyond it, which may come back.
_LEVELS_MAX = 64
#: Squares of larger numbers, a billion of them, might be beyond the range of a float.
_SQUARABLE = 1e140
_SPLITTER = float((1 << 27) + 1)
_COUNT_LOW = (1 << 27) - 1
#: A variance of less than this share of the squares that it is left of is computed in integers.
_CANCELLED = 2.0**-10


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


def squares(values: Sequence[float], parts: Sequence[float]) -> list[float]:
    """The sum of the squares of `values`, for `variance`: parts of it, to be added up with those of other values.

    Args:
        values: at least one.
        parts: the levels of their sum.

    Raises:
        DataError: a value is beyond 1e140.
    """
    least, most = min(values), max(values)
    if least == most:
        return repeated_squares(len(values), least)
    pivot = pivot_of(parts[0] / len(values)) if parts else 0.0
    try:
        spread = fsum([(difference := value - pivot) * difference for value in values])
    except OverflowError:
        spread = math.inf
    columns = squares_about([len(values)], [[part] for part in parts], [pivot], [spread])
    return [column[0] for column in columns]


def pivot_of(value: float) -> float:
    """The nearest float of 26 bits: about such numbers squares are taken, as its products with halves of floats are exact."""
    return value * _SPLITTER - (value * _SPLITTER - value)


def squares_about(
    counts: Sequence[int], parts: Sequence[Sequence[float]], pivots: Sequence[float], spreads: Sequence[float]
) -> list[list[float]]:
    """Sums of squares of numbers that have been gone through already, many at once.

    Nothing cancels: what is rounded is their squares about a pivot, and zero is reached from there by exact products.

    Args:
        counts: for each sum, of how many numbers it is; below 2**54.
        parts: columns: parts of the numbers' sums.
        pivots: from `pivot_of`, best near the numbers' means.
        spreads: sums of the squares of the numbers' differences from the pivot.

    Returns:
        Columns: parts of the sums of squares. NaN where a number is NaN or infinite.

    Raises:
        DataError: a number is beyond 1e140.
    """
    is_usual = all(abs(pivot) <= _SQUARABLE for pivot in pivots) and all(spread <= _SQUARABLE**2 for spread in spreads)
    if not is_usual or not all(all(map(isfinite, column)) for column in parts):
        wrong = [not all(map(isfinite, sums)) for sums in zip(pivots, *parts, strict=True)]
        spreads = [math.nan if each else spread for each, spread in zip(wrong, spreads, strict=True)]
        if any(
            spread > _SQUARABLE**2 or abs(pivot) > _SQUARABLE
            for spread, pivot in zip(spreads, pivots, strict=True)
            if spread == spread
        ):
            raise _unsquarable()
        parts = [[0.0 if each else part for each, part in zip(wrong, column, strict=True)] for column in parts]
        pivots = [0.0 if each else pivot for each, pivot in zip(wrong, pivots, strict=True)]
    # sum(x^2) = sum((x - p)^2) + 2 p sum(x) - n p^2
    doubled = [2.0 * pivot for pivot in pivots]
    columns = [list(spreads)]
    columns += [list(map(mul, doubled, half)) for column in parts for half in _halves(column)]
    columns += [[-(pivot * time) for pivot, time in zip(pivots, times, strict=True)] for times in _times(counts, pivots)]
    return columns


def repeated_squares(count: int, value: float) -> list[float]:
    """The sum of the squares of `count` times the same number, as `squares` gives it, exactly.

    Raises:
        DataError: the number is beyond 1e140.
    """
    if not isfinite(value):
        return [math.nan]
    if abs(value) > _SQUARABLE:
        raise _unsquarable()
    high = pivot_of(value)
    low = value - high
    times = float(count & _COUNT_LOW), float(count - (count & _COUNT_LOW))
    halves = chain.from_iterable(_halves([high * high, 2.0 * high * low, low * low]))
    return [time * half for half in halves for time in times if time]


def variance(count: int, parts: Iterable[float], squared: Iterable[float], *, ddof: int = 1) -> float:
    """The variance of numbers, from parts of their sum and of the sum of their squares; see `variances`."""
    return variances([count], [[part] for part in parts], [[part] for part in squared], ddof=ddof)[0]


def variances(
    counts: Sequence[int], parts: Sequence[Sequence[float]], squared: Sequence[Sequence[float]], *, ddof: int = 1
) -> list[float]:
    """Variances from exact sums, many at once.

    Args:
        counts: of numbers.
        parts: columns: parts of their sums.
        squared: columns: parts of the sums of their squares.
        ddof: what is taken from the count in the divisor; 1 for a sample, 0 for everything there is.

    Returns:
        The variances; NaN where a count isn't above `ddof`, or a number was NaN or infinite.
    """
    sums = list(zip(*parts, strict=True)) if parts else [()] * len(counts)
    squares_ = list(zip(*squared, strict=True)) if squared else [()] * len(counts)
    is_good = [
        count > ddof and all(map(isfinite, some)) and all(map(isfinite, others))
        for count, some, others in zip(counts, sums, squares_, strict=True)
    ]
    if not all(is_good):
        parts = [[part if each else 0.0 for each, part in zip(is_good, column, strict=True)] for column in parts]
        squared = [[part if each else 0.0 for each, part in zip(is_good, column, strict=True)] for column in squared]
    held = [max(count, 1) for count in counts]
    pivots = [pivot_of(total / count) for total, count in zip(parts[0], held, strict=True)] if parts else [0.0] * len(held)
    moves = _times(held, pivots)
    doubled = [-2.0 * pivot for pivot in pivots]
    columns = [*squared, *(list(map(mul, doubled, half)) for column in parts for half in _halves(column))]
    columns += [list(map(mul, pivots, move)) for move in moves]
    spreads = list(map(fsum, zip(*columns, strict=True)))
    aways = map(fsum, zip(*parts, *([-move for move in column] for column in moves), strict=True))
    rests = [spread - away / count * away for spread, away, count in zip(spreads, aways, held, strict=True)]
    found = [rest / max(count - ddof, 1) for rest, count in zip(rests, counts, strict=True)]
    for index, (rest, spread) in enumerate(zip(rests, spreads, strict=True)):
        if not is_good[index]:
            found[index] = math.nan
        elif rest <= spread * _CANCELLED:
            found[index] = _variance_by_integers(counts[index], sums[index], squares_[index], ddof)
    return found


def _variance_by_integers(count: int, parts: Sequence[float], squared: Sequence[float], ddof: int) -> float:
    # sum((x - mean)^2) = sum(x^2) - sum(x)^2 / n
    (total, exponent), (square, square_exponent) = _dyadic(parts), _dyadic(squared)
    scaled, exponent = _add((count * square, square_exponent), (-total * total, 2 * exponent))
    return _ratio(max(scaled, 0) << max(exponent, 0), count * (count - ddof) << max(-exponent, 0))


def _halves(values: Iterable[float]) -> tuple[list[float], list[float]]:
    """Floats of 26 bits: two for each of `values`, which they are together.

    Source: T. J. Dekker, A Floating-Point Technique for Extending the Available Precision, 1971 (Veltkamp's split).
    """
    held = list(values)
    upper = list(map(pivot_of, held))
    return upper, list(map(sub, held, upper))


def _times(counts: Sequence[int], values: Sequence[float]) -> list[list[float]]:
    """Columns of floats of 26 bits that are `count * value` together, exactly, for values of 26 bits."""
    low = [float(count & _COUNT_LOW) for count in counts]
    columns = [*_halves(map(mul, low, values))]
    if max(counts, default=0) > _COUNT_LOW:
        high = [float(count - (count & _COUNT_LOW)) for count in counts]
        columns += _halves(map(mul, high, values))
    return columns


def _unsquarable() -> DataError:
    return DataError("a number is beyond 1e140, where squares are too large to add up; scale the numbers down for their variance")


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


def _add(one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
    (number, power), (other_number, other_power) = one, other
    if power < other_power:
        return number + (other_number << (other_power - power)), power
    return (number << (power - other_power)) + other_number, other_power
