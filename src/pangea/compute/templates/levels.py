"""Exact sums of many rows at once, as columns of floats: what `exact` does row by row, by NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, isfinite, nan, nextafter
from typing import Any

from pangea.compute.data.exact import exact_sums, quotient, variance

#: Squares of larger numbers may be beyond the range of a float.
SQUARABLE = 1e140
#: Up to here a count's product with a float of 26 bits is exact.
COUNT_MAX = (1 << 27) - 1
_SPLITTER = float((1 << 27) + 1)
#: A variance of less than this share of the squares that it is left of is computed in integers.
_CANCELLED = 2.0**-10
_LARGEST = nextafter(inf, 0.0)


def halves_of(values: Any) -> tuple[Any, Any]:
    """Floats of 26 bits, the first of which are what `exact.pivot_of` gives: two for each value, which they are together."""
    upper = values * _SPLITTER - (values * _SPLITTER - values)
    return upper, values - upper


def distilled(columns: Sequence[Any]) -> list[Any] | None:
    """Fewer columns with the same sums in each row, exactly; None if numbers are infinite, or there is no NumPy.

    Source: T. Ogita, S. M. Rump, S. Oishi, Accurate Sum and Dot Product, 2005 (VecSum).
    """
    try:
        import numpy as np
    except ImportError:
        return None
    held: list[Any] = []
    with np.errstate(all="ignore"):
        for column in columns:
            rest = np.array(column, "f8")
            for place, one in enumerate(held):
                held[place], rest = _two_sum(one, rest)
                if not rest.any():
                    break
            else:
                held.append(rest)
        for _ in range(len(held)):  # now they are few, and put in order by size
            before = len(held)
            for at in range(len(held) - 1, 0, -1):
                held[at - 1], held[at] = _two_sum(held[at - 1], held[at])
            held = held[:1] + [column for column in held[1:] if column.any()]
            if len(held) <= 3 and before == len(held):
                break
    return held if all(np.isfinite(column).all() for column in held) else None


def _two_sum(one: Any, other: Any) -> tuple[Any, Any]:
    """Sums, and what is left of them by rounding, exactly (D. E. Knuth)."""
    total = one + other
    part = total - one
    return total, (one - (total - part)) + (other - part)


def exact_levels(columns: Sequence[Any]) -> list[Any] | None:
    """What `exact.exact_sums` makes of the columns' rows, as arrays; None if numbers are infinite, or there is no NumPy."""
    held = distilled(columns) if columns else None
    if held is None:
        return None
    import numpy as np

    nearest, *rests = held
    levels = [each + 0.0 for each in held]  # zero has no sign
    if not rests:
        return levels if nearest.any() else []
    # The first two are rounded and rest of one addition. With a third one, that may have been half way between two floats.
    is_sure = nearest + rests[0] == nearest
    for each in rests[1:]:
        is_sure &= each == 0
    wrong = np.flatnonzero(~is_sure)
    if len(wrong):
        right = exact_sums(zip(*(each[wrong].tolist() for each in held), strict=True))
        levels += [np.zeros(len(nearest)) for _ in range(len(right) - len(levels))]
        for number, level in enumerate(levels):
            level[wrong] = right[number] if number < len(right) else 0.0
    while levels and not levels[-1].any():
        levels.pop()
    return levels


def totals(columns: Sequence[Any]) -> Any:
    """The sums of counts, row by row; None if they aren't all arrays."""
    held = _arrays(columns, "q")
    return None if held is None else held.sum(axis=0)


def extremes(columns: Sequence[Any], *, is_least: bool) -> Any:
    """The least or greatest numbers of each row; None if they aren't all arrays, or one is a zero with a sign: there are two."""
    import numpy as np

    held = _arrays(columns, "bBhHiIqQd")
    if held is None or (held.dtype.kind == "f" and ((held == 0) & np.signbit(held)).any()):
        return None
    return np.minimum.reduce(held) if is_least else np.maximum.reduce(held)


def _arrays(columns: Sequence[Any], formats: str) -> Any:
    """Columns that look at numbers of one format, as one array; else None."""
    try:
        import numpy as np
    except ImportError:
        return None
    kinds = {each.format if isinstance(each, memoryview) and len(each) else "" for each in columns}
    return np.array([np.frombuffer(each, each.format) for each in columns]) if len(kinds) == 1 and kinds <= {*formats} else None


def variances(counts: Sequence[int], parts: Sequence[Any], squared: Sequence[Any], ddof: int) -> Any:
    """What `exact.variances` gives, digit for digit; None where that isn't certain, as beside infinities."""
    try:
        import numpy as np
    except ImportError:
        return None
    held, sums, others = np.asarray(counts, "f8"), [np.asarray(each) for each in parts], [np.asarray(each) for each in squared]
    if not sums or not len(held) or held.max() > COUNT_MAX or not all(np.isfinite(each).all() for each in (*sums, *others)):
        return None
    if any(abs(each).max() > SQUARABLE for each in sums):
        return None
    least = np.maximum(held, 1.0)
    pivots = halves_of(sums[0] / least)[0]
    moves = halves_of(least * pivots)
    halves = [half for part in sums for half in halves_of(part)]
    spreads = _rounded([*others, *(-2.0 * pivots * half for half in halves), *(pivots * move for move in moves)])
    aways = _rounded([*sums, *(-move for move in moves)])
    if spreads is None or aways is None:
        return None
    rests = spreads - aways / least * aways
    found = rests / np.maximum(held - ddof, 1.0)
    for place in np.flatnonzero(rests <= spreads * _CANCELLED).tolist():
        found[place] = variance(
            int(counts[place]), [float(part[place]) for part in parts], [float(each[place]) for each in squared], ddof=ddof
        )
    return np.where(held > ddof, found, nan)


def _rounded(columns: list[Any]) -> Any:
    """The sums of the rows, each rounded once; None beside infinities."""
    import numpy as np

    levels = exact_levels(columns)
    return None if levels is None else levels[0] if levels else np.zeros(len(columns[0]))


def rounded_once(levels: Sequence[Any]) -> Sequence[float]:
    """The sums that levels stand for, each as one float."""
    if (first := _as_array(levels[0])) is not None and (abs(first) < _LARGEST).all():
        return first  # type: ignore[no-any-return]
    return [each[0] if abs(each[0]) < _LARGEST else quotient(each, 1) for each in _rows(levels)]


def means_of(sums: Sequence[float], levels: Sequence[Any], counts: Sequence[int]) -> Any:
    """Means; null of nothing.

    Args:
        sums: rounded once.
        levels: of the same sums.
        counts: of what was added up.
    """
    held, each_count = _as_array(sums), _as_array(counts)
    if held is not None and each_count is not None and (abs(held) < _LARGEST).all():
        return where_known(held / each_count.clip(1), each_count, 0)
    parts = zip(listed(sums), _rows(levels), listed(counts), strict=True)  # NumPy's counts have no room for `quotient`
    return [
        None if not count else float(total) / count if isfinite(total) else quotient(each, count) for total, each, count in parts
    ]


def where_known(figures: Sequence[float], counts: Sequence[int], ddof: int) -> Any:
    """The figures, null of what has no more values than `ddof`."""
    held, each_count = _as_array(figures), _as_array(counts)
    if held is not None and each_count is not None and (each_count > ddof).all():
        return held
    # A list, however the figures were found: what lies below a null must be the same bytes, and isn't in a masked array.
    return [each if count > ddof else None for each, count in zip(listed(figures), listed(counts), strict=True)]


def of_all_keys(keys_of: Sequence[Any], held: Sequence[dict[str, Any]]) -> tuple[Any, list[dict[str, Any]]] | None:
    """The columns of states with a row for each key that one of them has; another has there what changes nothing.

    Args:
        keys_of: the keys of each state, in order.
        held: its columns.

    Returns:
        The keys, in order, and the columns of the states that had any; None if not all of these are views of whole numbers and of
        numbers, or the keys are the same already.
    """
    pairs = [(keys, columns) for keys, columns in zip(keys_of, held, strict=True) if len(keys)]
    views = [keys for keys, _ in pairs] + [column for _, columns in pairs for column in columns.values()]
    if not pairs or not all(isinstance(view, memoryview) for view in views) or all(keys == pairs[0][0] for keys, _ in pairs):
        return None
    if any(name.endswith((".first", ".last")) for name in pairs[0][1]):  # nothing stands for no value
        return None
    code = pairs[0][0].format
    if code not in "bBhHiIqQ" or any(keys.format != code for keys, _ in pairs):
        return None
    try:
        import numpy as np
    except ImportError:
        return None
    numbers = [np.frombuffer(keys, code) for keys, _ in pairs]
    distinct = np.unique(np.concatenate(numbers))
    found = []
    for (_, columns), own in zip(pairs, numbers, strict=True):
        places = np.searchsorted(distinct, own)
        found.append({name: _spread(name, column, places, len(distinct)) for name, column in columns.items()})
    return memoryview(distinct.tobytes()).cast(code), found


def _spread(name: str, column: memoryview, places: Any, size: int) -> memoryview:
    """A column's numbers at their places among `size`; elsewhere what no least, greatest or sum is changed by."""
    import numpy as np

    numbers: Any = np.frombuffer(column, column.format)
    blank: Any = 0
    if name.endswith((".min", ".max")):
        is_float = numbers.dtype.kind == "f"
        far = (inf, -inf) if is_float else (np.iinfo(numbers.dtype).max, np.iinfo(numbers.dtype).min)
        blank = far[name.endswith(".max")]
    whole = np.full(size, blank, numbers.dtype)
    whole[places] = numbers
    view: memoryview = memoryview(whole.tobytes()).cast(column.format)  # type: ignore[call-overload]
    return view


def _as_array(values: Any) -> Any:
    return values if hasattr(values, "dtype") else None


def _rows(levels: Sequence[Any]) -> list[tuple[float, ...]]:
    return list(zip(*map(listed, levels), strict=True))


def listed(values: Any) -> list[Any]:
    """Plain numbers, for what isn't NumPy's."""
    return values.tolist() if hasattr(values, "tolist") else list(values)
