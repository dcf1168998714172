"""Figures of groups by NumPy: the rows of a chunk put in the order of their groups, each figure of all groups in one go.

Sums are exact, as everywhere in `group_by`: numbers are cut in two at a unit so large that sums of the upper parts fit into 53
bits, whatever their order, and so do those of the lower ones if the smallest number isn't too small. Where that isn't certain,
or numbers are infinite, there is no figure here, and `groups` goes through the rows.

Source: S. M. Rump, T. Ogita, S. Oishi, Accurate Floating-Point Summation, 2008, 3.1 (ExtractVector).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import frexp, fsum, isfinite, ldexp, nan, ulp
from typing import Any, NamedTuple

from pangea.compute.data import Column
from pangea.compute.data.exact import exact_integers, repeated_squares, variance

#: The upper parts are rounded, so their sum may be larger than the numbers', by less than this.
_ROUNDING = 1 + 2.0**-20
#: Exponents of two from which on the unit isn't a float any more.
_BEYOND = 900
#: Squares of larger numbers may be beyond the range of a float.
_SQUARABLE = 1e140
#: Keys that are whole numbers are told apart by their own size, if there are so many at most between them.
_SPAN_MAX = 1 << 22
#: Whole numbers whose squares fit into 62 bits.
_SQUARABLE_WHOLE = 1 << 31
_SPLITTER = float((1 << 27) + 1)
#: Up to here a count's product with a float of 26 bits is exact.
_COUNT_MAX = (1 << 27) - 1
#: A variance of less than this share of the squares that it is left of is computed in integers.
_CANCELLED = 2.0**-10
_WHOLE = ("int", "uint", "bool")


class Coded(NamedTuple):
    """The rows of a chunk, by group.

    Attributes:
        keys: of the groups, in order.
        codes: of each row: which of them it belongs to; NumPy's array.
    """

    keys: list[Any]
    codes: Any


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
        if high - low < _SPAN_MAX:
            places = (numbers - numbers.dtype.type(low)).astype("i8") if high - low < 1 << 7 else numbers.astype("i8") - low
            is_there = np.zeros(high - low + 1, bool)
            is_there[places] = True
            return Coded((np.flatnonzero(is_there) + low).tolist(), (np.cumsum(is_there) - 1)[places])
        distinct, codes = np.unique(numbers, return_inverse=True)
        return Coded(distinct.tolist(), codes)
    distinct = ordered(keys)
    place = {key: number for number, key in enumerate(distinct)}
    return Coded(distinct, np.fromiter(map(place.__getitem__, keys), "i8", len(keys)))


def sizes(rows: Coded) -> Any:
    """How many rows each group has."""
    import numpy as np

    return np.bincount(rows.codes, minlength=len(rows.keys))


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
    values = values.astype("f8" if values.dtype.kind == "f" else values.dtype, copy=False)
    is_missing = column.mask if column.null_count else None
    if values.dtype.kind == "f":
        is_missing = np.isnan(values) if is_missing is None else is_missing | np.isnan(values)
    if kept is not None:
        chosen = np.fromiter(kept, bool, len(kept))
        values, is_missing = values[chosen], None if is_missing is None else is_missing[chosen]
    codes = rows.codes
    if is_missing is not None and is_missing.any():
        codes, values = codes[~is_missing], values[~is_missing]
    return _figures(codes, values, len(rows.keys), whats, needs_sums)


def _figures(codes: Any, values: Any, groups: int, whats: Sequence[str], needs_sums: bool) -> dict[str, Any] | None:
    """Those of values of which none is missing."""
    import numpy as np

    counts = np.bincount(codes, minlength=groups)
    there = np.flatnonzero(counts)
    order = np.argsort(codes.astype("u2") if groups <= 1 << 16 else codes, kind="stable")
    values = values[order]
    starts = (np.cumsum(counts) - counts)[there]
    found: dict[str, Any] = {"count": counts}
    has_two_zeros = values.dtype.kind == "f" and bool(((values == 0) & np.signbit(values)).any())
    for what, best in (("min", np.minimum), ("max", np.maximum)):
        if what in whats:
            least = best.reduceat(values, starts) if len(starts) else values[:0]
            if has_two_zeros and (least == 0).any():
                return None  # of two zeros, the first is least and greatest
            found[what] = least if len(there) == groups else _spread(least.tolist(), there.tolist(), groups)
    if not needs_sums:
        return found
    held = _Held(values, starts, counts[there])
    sums = (_float_sums if values.dtype.kind == "f" else _whole_sums)(held, "var" in whats)
    if sums is None:
        return None
    for name, each in sums.items():
        found[name] = np.zeros(groups)
        found[name][there] = each
    return found


def _spread(values: list[Any], places: list[int], groups: int) -> list[Any]:
    found: list[Any] = [None] * groups
    for place, value in zip(places, values, strict=True):
        found[place] = value
    return found


class _Held(NamedTuple):
    """Values in the order of their groups, none of which is empty: where each begins, how many it has."""

    values: Any
    starts: Any
    counts: Any

    def added(self, values: Any) -> Any:
        import numpy as np

        return np.add.reduceat(values, self.starts) if len(self.starts) else values[:0]


def _float_sums(held: _Held, has_squares: bool) -> dict[str, Any] | None:
    import numpy as np

    values, _, counts = held
    if not len(values):
        return {"float0": values[:0]} | ({"squares0": values[:0]} if has_squares else {})
    sizes_ = np.abs(values)
    highest, largest = float(sizes_.max()), int(counts.max())
    if largest > _COUNT_MAX:
        return None
    total = max(largest, 4) * highest * _ROUNDING
    exponent = frexp(total)[1] if isfinite(total) else _BEYOND
    if abs(exponent) >= _BEYOND or (has_squares and highest > _SQUARABLE):
        return None
    if largest * ldexp(1.0, exponent - 106) > ulp(float(sizes_[sizes_ > 0].min(initial=highest or 1.0))):
        return None
    shift = ldexp(1.5, exponent - 1)
    upper = values + shift - shift
    high, low = held.added(upper), held.added(values - upper)
    found = {"float0": high, "float1": low}
    if has_squares:
        pivots = _pivots((high + low) / counts)
        away = values - np.repeat(pivots, counts)
        found |= _squares(held, [high, low], pivots, held.added(away * away))
    return found


def _squares(held: _Held, sums: list[Any], pivots: Any, spreads: Any) -> dict[str, Any]:
    """Parts of the sums of squares, which nothing cancels; exact, of the same number again and again."""
    import numpy as np

    # sum(x^2) = sum((x - p)^2) + 2 p sum(x) - n p^2, as in `exact.squares_about`: halves of floats have exact products
    columns = [spreads]
    for part in sums:
        upper = _pivots(part)
        columns += [2.0 * pivots * upper, 2.0 * pivots * (part - upper)]
    times = held.counts.astype("f8") * pivots
    upper = _pivots(times)
    columns += [-(pivots * upper), -(pivots * (times - upper))]
    least, most = np.minimum.reduceat(held.values, held.starts), np.maximum.reduceat(held.values, held.starts)
    for place in np.flatnonzero((least == most) & (held.counts > 1)).tolist():
        right = repeated_squares(int(held.counts[place]), float(least[place]))
        columns += [np.zeros(len(pivots)) for _ in range(len(right) - len(columns))]
        for number, column in enumerate(columns):
            column[place] = right[number] if number < len(right) else 0.0
    return {f"squares{number}": column for number, column in enumerate(distilled(columns) or columns)}


def _pivots(means: Any) -> Any:
    """What `exact.pivot_of` gives."""
    return means * _SPLITTER - (means * _SPLITTER - means)


def _whole_sums(held: _Held, has_squares: bool) -> dict[str, Any] | None:
    import numpy as np

    values = held.values
    if has_squares and len(values) and max(-int(values.min()), int(values.max())) >= _SQUARABLE_WHOLE:
        return None
    found = _levels("whole", _exact_totals(held, values))
    if has_squares:
        wide = values.astype(np.int64)
        found |= _levels("squares", _exact_totals(held, wide * wide))
    return found


def _exact_totals(held: _Held, values: Any) -> list[int]:
    """Sums of whole numbers of 64 bits at most, of which there are fewer than 2**31: of both halves, which can't overflow."""
    import numpy as np

    wide = values if values.dtype == np.uint64 else values.astype(np.int64)
    upper, lower = (
        held.added((wide >> wide.dtype.type(32)).astype("i8")),
        held.added((wide & wide.dtype.type(0xFFFFFFFF)).astype("i8")),
    )
    return [(high << 32) + low for high, low in zip(upper.tolist(), lower.tolist(), strict=True)]


def _levels(kind: str, totals: list[int]) -> dict[str, Any]:
    return {f"{kind}{number}": level for number, level in enumerate(exact_integers(totals) or [[0.0] * len(totals)])}


def distilled(columns: Sequence[Any]) -> list[Any] | None:
    """Fewer columns with the same sums in each row, exactly; None if numbers are infinite, or there is no NumPy.

    Source: T. Ogita, S. M. Rump, S. Oishi, Accurate Sum and Dot Product, 2005 (VecSum).
    """
    try:
        import numpy as np
    except ImportError:
        return None
    held = [np.array(column, "f8") for column in columns]
    with np.errstate(all="ignore"):
        for _ in range(len(held)):
            before = len(held)
            for at in range(1, len(held)):
                one, other = held[at - 1], held[at]
                total = one + other
                part = total - one
                held[at], held[at - 1] = total, (one - (total - part)) + (other - part)
            if not np.isfinite(held[-1]).all():
                return None
            held = [column for column in held[:-1] if column.any()] + held[-1:]
            if len(held) <= 3 and before == len(held):
                break
    return held[::-1] if all(np.isfinite(column).all() for column in held) else None


def totals(columns: Sequence[Any]) -> list[int] | None:
    """The sums of counts, row by row; None if they aren't all arrays."""
    held = _arrays(columns, "q")
    return None if held is None else held.sum(axis=0).tolist()


def extremes(columns: Sequence[Any], *, is_least: bool) -> list[Any] | None:
    """The least or greatest numbers of each row; None if they aren't all arrays, or one is zero: that may have two signs."""
    import numpy as np

    held = _arrays(columns, "bBhHiIqQd")
    found = None if held is None else np.minimum.reduce(held) if is_least else np.maximum.reduce(held)
    return None if found is None or (found.dtype.kind == "f" and (found == 0).any()) else found.tolist()


def _arrays(columns: Sequence[Any], formats: str) -> Any:
    """Columns that look at numbers of one format, as one array; else None."""
    try:
        import numpy as np
    except ImportError:
        return None
    kinds = {each.format if isinstance(each, memoryview) and len(each) else "" for each in columns}
    return np.array([np.frombuffer(each, each.format) for each in columns]) if len(kinds) == 1 and kinds <= {*formats} else None


def variances(counts: Sequence[int], parts: Sequence[Any], squared: Sequence[Any], ddof: int) -> list[float] | None:
    """What `exact.variances` gives, digit for digit; None where that isn't certain, as beside infinities."""
    try:
        import numpy as np
    except ImportError:
        return None
    held, sums, others = np.asarray(counts, "f8"), [np.asarray(each) for each in parts], [np.asarray(each) for each in squared]
    if not sums or not len(held) or held.max() > _COUNT_MAX or not all(np.isfinite(each).all() for each in (*sums, *others)):
        return None
    if any(abs(each).max() > _SQUARABLE for each in sums):
        return None
    least = np.maximum(held, 1.0)
    pivots = _pivots(sums[0] / least)
    upper = _pivots(least * pivots)
    moves = [upper, least * pivots - upper]
    halves = [half for part in sums for half in (_pivots(part), part - _pivots(part))]
    spreads = _rounded([*others, *(-2.0 * pivots * half for half in halves), *(pivots * move for move in moves)])
    aways = _rounded([*sums, *(-move for move in moves)])
    if spreads is None or aways is None:
        return None
    rests = spreads - aways / least * aways
    found = (rests / np.maximum(held - ddof, 1.0)).tolist()
    for place in np.flatnonzero(rests <= spreads * _CANCELLED).tolist():
        found[place] = variance(counts[place], [part[place] for part in parts], [each[place] for each in squared], ddof=ddof)
    return [each if count > ddof else nan for each, count in zip(found, counts, strict=True)]


def _rounded(columns: list[Any]) -> Any:
    """The sums of the rows, each rounded once; None beside infinities."""
    import numpy as np

    held = distilled(columns)
    return None if held is None else np.array(list(map(fsum, zip(*(each.tolist() for each in held), strict=True))))
