"""Figures of groups by NumPy, each of all groups in one go, without putting the rows in order.

Sums are exact, as everywhere in `group_by`: numbers are cut in two at a unit so large that sums of the upper parts fit into 53
bits, whatever their order, and so do those of the lower ones if the smallest number isn't too small; else these are cut again.
Where three cuts aren't enough, or numbers are infinite, there is no figure here, and `groups` goes through the rows.

Source: S. M. Rump, T. Ogita, S. Oishi, Accurate Floating-Point Summation, 2008, 3.1 (ExtractVector).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import frexp, inf, isfinite, ldexp, ulp
from typing import Any, NamedTuple

from pangea.compute.data import Column
from pangea.compute.data.exact import exact_integers, repeated_squares
from pangea.compute.templates.levels import COUNT_MAX, SQUARABLE, distilled, halves_of

#: The upper parts are rounded, so their sum may be larger than the numbers', by less than this.
_ROUNDING = 1 + 2.0**-20
#: In how many parts numbers are cut, besides what is left of them.
_PARTS_MAX = 3
#: Exponents of two from which on the unit isn't a float any more.
_BEYOND = 900
#: Keys that are whole numbers are told apart by their own size, if so many at most lie between them, and 16 for each row.
_SPAN_MAX = 1 << 22
#: Whole numbers whose squares fit into 62 bits.
_SQUARABLE_WHOLE = 1 << 31
#: Up to here whole numbers are floats, and so are their sums.
_EXACT = 1 << 53
#: How much of the squares about one number for all groups may come from a group's distance from it.
_FAR = 1 - 2.0**-4
#: With fewer rows for each group, one of them is nearly always far from such a number.
_SEVERAL = 64
#: One row of so many is looked at to know what the least of each group is at most.
_SAMPLE = 8
#: Squares of a group's distances from its mean that are less than this share of the mean's: it may be one number again and again.
_CONSTANT = 2.0**-48
_WHOLE = ("int", "uint", "bool", "duration")


class Coded(NamedTuple):
    """The rows of a chunk, by group.

    Attributes:
        keys: of the groups, in order.
        codes: of each row: which of them it belongs to; NumPy's array.
        counts: how many rows each group has; NumPy's array.
        stored: the keys as an array, if they are numbers; else as they are.
    """

    keys: list[Any]
    codes: Any
    counts: Any
    stored: Any


def coded(keys: Sequence[Any], ordered: Any) -> Coded | None:
    """Number the groups; None without NumPy.

    Args:
        keys: of the rows; a memoryview, if they are numbers.
        ordered: puts keys in order, each once.
    """
    try:
        import numpy as np
    except ImportError:  # on a host
        return None
    if isinstance(keys, memoryview) and keys.format in "bBhHiIqQ" and len(keys):
        numbers = np.frombuffer(keys, keys.format)
        low, high = int(numbers.min()), int(numbers.max())
        if high - low < min(_SPAN_MAX, 16 * len(numbers)):
            return _coded_by_size(numbers, low, high)
        distinct, codes, counts = np.unique(numbers, return_inverse=True, return_counts=True)
        return Coded(distinct.tolist(), codes.astype(np.intp), counts, distinct)
    distinct = ordered(keys)
    place = {key: number for number, key in enumerate(distinct)}
    codes = np.fromiter(map(place.__getitem__, keys), np.intp, len(keys))
    return Coded(distinct, codes, np.bincount(codes, minlength=len(distinct)), distinct)


def _coded_by_size(numbers: Any, low: int, high: int) -> Coded:
    """Whole numbers near to each other are the groups' numbers themselves, but for those between that nobody has."""
    import numpy as np

    kind, least = numbers.dtype, 0 if 0 <= low <= high - low else low
    if kind.itemsize < 4:
        numbers = numbers.astype("i4")
    places = (numbers - numbers.dtype.type(least) if least else numbers).astype(np.intp)
    counts = np.bincount(places)
    there = np.flatnonzero(counts)
    keys = [place + least for place in there.tolist()]
    stored = np.array(keys, kind)
    if len(there) == len(counts):
        return Coded(keys, places, counts, stored)
    number = np.cumsum(counts > 0).astype(np.intp) - 1
    return Coded(keys, number[places], counts[there], stored)


def figures(rows: Coded, column: Column, kept: Any, whats: Sequence[str], needs_sums: bool) -> dict[str, Any] | None:
    """What is known of each group's values of a column, as `groups` keeps it; None if that has to be found row by row.

    Args:
        rows: by group; those of `kept` only.
        column: the values of all rows.
        kept: which rows have a key; None for all.
        whats: which figures are wanted.
        needs_sums: whether sums are among them.
    """
    import numpy as np

    is_whole = column.type.startswith(_WHOLE)
    if column.kind.layout not in ("fixed", "bits") or not (is_whole or column.type.startswith("float") or not needs_sums):
        return None
    values = column.values
    values = values.astype("f8") if values.dtype.kind == "f" and values.dtype.itemsize < 8 else values
    is_missing = column.mask if column.null_count else None
    if kept is not None:
        chosen = np.fromiter(kept, bool, len(kept))
        values, is_missing = values[chosen], None if is_missing is None else is_missing[chosen]
    if values.dtype.kind == "f" and len(values) and np.isnan(values.min()):  # one of which is NaN has no least
        is_missing = np.isnan(values) if is_missing is None else is_missing | np.isnan(values)
    if is_missing is not None and is_missing.any():
        codes, values = rows.codes[~is_missing], values[~is_missing]
        rows = rows._replace(codes=codes, counts=np.bincount(codes, minlength=len(rows.keys)))
    return _figures(_Values(values, rows.codes, rows.counts), whats, needs_sums)


class _Values(NamedTuple):
    """Values of which none is missing, the group of each, and how many each group has, which may be none."""

    values: Any
    codes: Any
    counts: Any

    def added(self, weights: Any) -> Any:
        """The sum of what belongs to each group, as floats."""
        import numpy as np

        return np.bincount(self.codes, weights, minlength=len(self.counts))


def _figures(held: _Values, whats: Sequence[str], needs_sums: bool) -> dict[str, Any] | None:
    import numpy as np

    values, _, counts = held
    found: dict[str, Any] = {"count": counts.astype("i8")}
    is_float = values.dtype.kind == "f"
    ends = (values.min(), values.max()) if len(values) else (0, 0)
    has_two_zeros = is_float and ends[0] <= 0 <= ends[1] and bool(((values == 0) & np.signbit(values)).any())
    for what, best in _extremes(held, [what for what in ("min", "max") if what in whats]).items():
        if has_two_zeros and (best[counts > 0] == 0).any():
            return None  # of two zeros, the first is least and greatest
        found[what] = best if counts.all() else _with_nulls(best, counts)
    for what in ("first", "last"):
        if what in whats:
            best = _end(held, is_first=what == "first")
            found[what] = best if counts.all() else _with_nulls(best, counts)
    if "trues" in whats:
        found["trues"] = held.added(values != 0).astype("i8")
    if not needs_sums:
        return found
    sums = (_float_sums if is_float else _whole_sums)(held, ends, "var" in whats)
    return None if sums is None else found | sums


def _with_nulls(best: Any, counts: Any) -> list[Any]:
    return [each if count else None for each, count in zip(best.tolist(), counts.tolist(), strict=True)]


def _end(held: _Values, *, is_first: bool) -> Any:
    """The first or last value of each group; of one without values anything."""
    import numpy as np

    found = np.zeros(len(held.counts), held.values.dtype)
    step = -1 if is_first else 1
    found[held.codes[::step]] = held.values[::step]  # of several for one place, NumPy keeps the last
    return found


def _extremes(held: _Values, whats: Sequence[str]) -> dict[str, Any]:
    """The least (`min`), the greatest (`max`), or both, of each group; of one without values anything."""
    if held.values.dtype.kind == "b":
        found = _extremes(held._replace(values=held.values.view("u1")), whats)
        return {what: best.view(bool) for what, best in found.items()}
    best = {what: _by_sample(held, is_least=what == "min") for what in whats}
    return _in_order(held, whats) if any(each is None for each in best.values()) else best


def _by_sample(held: _Values, *, is_least: bool) -> Any:
    """The least or the greatest of each group; None if groups have few rows, or differ much.

    A sample of the rows says what all groups' least are at most, so that few rows have to be looked at one by one.
    """
    import numpy as np

    values, codes, counts = held
    if len(values) < _SEVERAL * len(counts):
        return None
    better, below = (np.minimum, np.less) if is_least else (np.maximum, np.greater)
    ends = (-inf, inf) if values.dtype.kind == "f" else (np.iinfo(values.dtype).min, np.iinfo(values.dtype).max)
    found = np.full(len(counts), ends[is_least], values.dtype)
    better.at(found, codes[::_SAMPLE], values[::_SAMPLE])
    known = found[counts > 0]
    chosen = np.flatnonzero(below(values, (known.max() if is_least else known.min()) if len(known) else 0))
    if 3 * len(chosen) > len(values):
        return None
    better.at(found, codes[chosen], values[chosen])
    return found


def _in_order(held: _Values, whats: Sequence[str]) -> dict[str, Any]:
    """Likewise, of rows put in the order of their groups."""
    import numpy as np

    values, codes, counts = held
    there = np.flatnonzero(counts)
    starts = (np.cumsum(counts) - counts)[there]
    ordered = values[np.argsort(codes.astype("u2") if len(counts) <= 1 << 16 else codes, kind="stable")]
    found = {}
    for what in whats:
        found[what] = np.zeros(len(counts), values.dtype)
        if len(there):
            found[what][there] = (np.minimum if what == "min" else np.maximum).reduceat(ordered, starts)
    return found


def _float_sums(held: _Values, ends: tuple[Any, Any], has_squares: bool) -> dict[str, Any] | None:
    import numpy as np

    values, _, counts = held
    if not len(values):
        return {"float0": np.zeros(len(counts))} | ({"squares0": np.zeros(len(counts))} if has_squares else {})
    least, most = map(float, ends)
    highest, largest = max(-least, most), int(counts.max())
    total = max(largest, 4) * highest * _ROUNDING
    exponent = frexp(total)[1] if isfinite(total) else _BEYOND
    if largest > COUNT_MAX or abs(exponent) >= _BEYOND or (has_squares and highest > SQUARABLE):
        return None
    sums = _exact_parts(held, exponent, ulp(_smallest(values, least, most)))
    if sums is None:
        return None
    found = {f"float{number}": part for number, part in enumerate(sums)}
    if not has_squares:
        return found
    means = sum(sums[1:], start=sums[0]) / np.maximum(counts, 1)
    pivots = np.full(len(counts), halves_of(np.float64(means.mean()))[0])
    is_near = len(values) > _SEVERAL * len(counts)
    if is_near:
        spreads = [held.added((values - pivots[0]) ** 2)]
        is_near = not (counts * (means - pivots) ** 2 >= spreads[0] * _FAR).any()
    if not is_near:
        pivots = halves_of(means)[0]
        spreads = _spreads(held, pivots, means)
    return found | _squares(held, sums, pivots, spreads)


def _exact_parts(held: _Values, exponent: int, unit: float) -> list[Any] | None:
    """Parts of the sums, each exact; None if that takes too many.

    Args:
        held: the numbers.
        exponent: of a power of two that no sum of theirs exceeds.
        unit: they are all multiples of it.
    """
    largest, rest, parts = max(int(held.counts.max()), 4), held.values, list[Any]()
    while len(parts) < _PARTS_MAX and exponent > -_BEYOND:
        shift = ldexp(1.5, exponent - 1)
        upper = rest + shift - shift  # and nothing in place: that is a slower loop
        parts.append(held.added(upper))
        rest = rest - upper
        if largest * ldexp(1.0, exponent - 106) <= unit:
            return [*parts, held.added(rest)]
        exponent = frexp(largest * ldexp(1.0, exponent - 53) * _ROUNDING)[1]
    return None


def _spreads(held: _Values, pivots: Any, means: Any) -> list[Any]:
    """Parts of the sums of squared distances from a pivot for each group.

    A pivot of 26 bits may be far from a mean of more, and then the last digits of that sum are the first of the variance's: it
    is made of two parts, as sums are.
    """
    away = held.values - pivots[held.codes]
    squares = away * away
    spreads = held.added(squares)
    if not (held.counts * (means - pivots) ** 2 > spreads * _FAR).any():
        return [spreads]
    shift = ldexp(1.5, frexp(float(squares.max()) * int(held.counts.max()))[1])
    upper = squares + shift - shift
    return [held.added(upper), held.added(squares - upper)]


def _smallest(values: Any, least: float, most: float) -> float:
    """The smallest size of a number that isn't zero; 1.0 if there is none."""
    import numpy as np

    if least > 0 or most < 0:
        return min(abs(least), abs(most))
    sizes = np.abs(values)
    return float(sizes[sizes > 0].min(initial=max(-least, most) or 1.0))


def _squares(held: _Values, sums: list[Any], pivots: Any, spreads: list[Any]) -> dict[str, Any]:
    """Parts of the sums of squares, which nothing cancels; exact, of the same number again and again."""
    import numpy as np

    # sum(x^2) = sum((x - p)^2) + 2 p sum(x) - n p^2, as in `exact.squares_about`: halves of floats have exact products
    columns = list(spreads)
    for part in sums:
        columns += [2.0 * pivots * half for half in halves_of(part)]
    columns += [-(pivots * half) for half in halves_of(held.counts.astype("f8") * pivots)]
    for place, value in _constants(held, sums, pivots, spreads[0]):
        right = repeated_squares(int(held.counts[place]), value)
        columns += [np.zeros(len(pivots)) for _ in range(len(right) - len(columns))]
        for number, column in enumerate(columns):
            column[place] = right[number] if number < len(right) else 0.0
    return {f"squares{number}": column for number, column in enumerate(distilled(columns) or columns)}


def _constants(held: _Values, sums: list[Any], pivots: Any, spreads: Any) -> list[tuple[int, float]]:
    """Groups of several rows that have one number again and again, and that number."""
    import numpy as np

    values, codes, counts = held
    about = sum(sums[1:], start=sums[0]) ** 2 / np.maximum(counts, 1)
    may_be = (counts > 1) & (spreads <= np.maximum(about, counts * pivots**2) * _CONSTANT)
    if not may_be.any():
        return []
    chosen = may_be[codes]
    some = _Values(values[chosen], codes[chosen], np.where(may_be, counts, 0))
    least, most = _extremes(some, ["min", "max"]).values()
    places = np.flatnonzero(may_be & (least == most))
    return list(zip(places.tolist(), least[places].tolist(), strict=True))


def _whole_sums(held: _Values, ends: tuple[Any, Any], has_squares: bool) -> dict[str, Any] | None:
    import numpy as np

    values = held.values
    if has_squares and max(-int(ends[0]), int(ends[1])) >= _SQUARABLE_WHOLE:
        return None
    found = _levels("whole", _exact_totals(held, values))
    if has_squares:
        wide = values.astype(np.int64)
        found |= _levels("squares", _exact_totals(held, wide * wide))
    return found


def _exact_totals(held: _Values, values: Any) -> list[int]:
    """Sums of whole numbers of 64 bits at most, as floats where these are exact; else of both halves."""
    import numpy as np

    if not len(values) or max(-int(values.min()), int(values.max())) * len(values) <= _EXACT:
        totals: list[int] = held.added(values).astype("i8").tolist()
        return totals
    if len(values) > 1 << 20:  # fewer halves of 32 bits have exact sums
        middle = len(values) // 2
        parts = [_Values(values[span], held.codes[span], held.counts) for span in (slice(middle), slice(middle, None))]
        one, other = (_exact_totals(part, part.values) for part in parts)
        return [left + right for left, right in zip(one, other, strict=True)]
    wide = values if values.dtype == np.uint64 else values.astype(np.int64)
    upper, lower = (held.added(half) for half in (wide >> wide.dtype.type(32), wide & wide.dtype.type(0xFFFFFFFF)))
    return [(int(high) << 32) + int(low) for high, low in zip(upper.tolist(), lower.tolist(), strict=True)]


def _levels(kind: str, totals: list[int]) -> dict[str, Any]:
    return {f"{kind}{number}": level for number, level in enumerate(exact_integers(totals) or [[0.0] * len(totals)])}
