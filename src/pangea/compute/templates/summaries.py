"""What a column's values are, counted: the figures that pandas calls value_counts, nunique, mode, quantile, median and describe.

Each is a job, or one for each column, that counts the rows of each value (`group_by` with `size`), and some arithmetic here. So
they are exact, wherever the data was cut, and cost what there are different values.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any, NamedTuple

from pangea.compute.client.submission.submit import submit_job
from pangea.compute.model.errors import InputError, ManifestError
from pangea.compute.model.libraries import need
from pangea.compute.templates.checks import again, all_columns, columns, flag, number
from pangea.compute.templates.groups import group_by

_NUMBERS = "iuf"
#: Instants and spans of time: figures of them are such, too, in the column's own unit, cut off there as in pandas.
_TIMES = "Mm"
_QUARTILES = (0.25, 0.5, 0.75)


def value_counts(data: Any, column: str, *, dropna: bool = True, **submit_options: Any) -> Any:
    """Count how often each value is in a column.

    Args:
        data: a table; anything `submit_job` takes for one.
        column: its name.
        dropna: whether missing values (null and NaN) are left out; else they are counted, under null.
        submit_options: keywords of `submit_job`.

    Returns:
        A pandas frame of the values and `count` (`rows`, if the column is called so), the most frequent first, equally frequent
        ones in their order, missing ones last of these. Categories that no row has are counted, too: 0 times.

    Raises:
        ManifestError: `column` is no name.
        JobFailedError: there is no such column.
    """
    name = _name(column)
    frame, size = _counted(data, [name], not flag("dropna", dropna), submit_options)
    frame = _with_all_categories(frame, name, size)
    return frame.sort_values(size, ascending=False, kind="stable", ignore_index=True)


def mode(data: Any, column: str, *, dropna: bool = True, **submit_options: Any) -> Any:
    """Find the most frequent value of a column; all of them, if several are.

    Args:
        data: a table.
        column: its name.
        dropna: whether missing values (null and NaN, which are one value) don't count.
        submit_options: keywords of `submit_job`.

    Returns:
        A pandas series of these, in their order, a missing one last; empty if there is no value.

    Raises:
        ManifestError: `column` is no name.
        JobFailedError: there is no such column.
    """
    name = _name(column)
    frame, size = _counted(data, [name], not flag("dropna", dropna), submit_options)
    return frame[name][frame[size] == frame[size].max()].reset_index(drop=True)


def _with_all_categories(frame: Any, column: str, size: str) -> Any:
    """The counts of categories with those that no row has, as pandas counts them; of other values as they are."""
    categories = getattr(frame[column].dtype, "categories", None)
    if categories is None:
        return frame
    pandas = need("pandas", "counts of categories")
    counts = frame.set_index(column)[size]
    wanted = pandas.CategoricalIndex(categories, dtype=frame[column].dtype, name=column)
    missing = counts[counts.index.isna()]
    return pandas.concat([counts[counts.index.notna()].reindex(wanted, fill_value=0), missing]).reset_index()


def nunique(data: Any, column: str, *, by: str | Sequence[str] | None = None, dropna: bool = True, **submit_options: Any) -> Any:
    """Count the different values of a column.

    Args:
        data: a table.
        column: its name.
        by: columns whose groups are counted apart; rows without a key are left out.
        dropna: whether missing values (null and NaN, which are one value) don't count.
        submit_options: keywords of `submit_job`.

    Returns:
        The number; with `by`, a pandas frame of the keys and `{column}_nunique`, sorted by key.

    Raises:
        ManifestError: a name isn't one.
        JobFailedError: there is no such column.
    """
    keys = [] if by is None else columns("by", by)
    frame, _ = _counted(data, [*keys, _name(column)], True, submit_options)
    kept = flag("dropna", dropna)
    if not keys:
        return int(frame[column].nunique(dropna=kept))
    found = frame.groupby(keys, sort=True, observed=True)[column].nunique(dropna=kept)
    return found.rename(f"{column}_nunique").reset_index()


def quantile(
    data: Any,
    column: str,
    q: float | Sequence[float] = 0.5,
    *,
    by: str | Sequence[str] | None = None,
    **submit_options: Any,
) -> Any:
    """Find quantiles of a column of numbers or times, exactly, interpolated linearly between the two nearest values.

    Args:
        data: a table.
        column: its name. Missing values are left out.
        q: from 0 to 1; or several.
        by: columns whose groups have quantiles of their own; rows without a key are left out.
        submit_options: keywords of `submit_job`.

    Returns:
        What pandas gives: a float, NaN if there is no value; a Timestamp or a Timedelta of times and spans, or NaT; of
        several, a list of them. With `by`, a pandas frame of the keys and `{column}_{q}`
        for each, sorted by key.
        Source: R. J. Hyndman, Y. Fan, Sample Quantiles in Statistical Packages, 1996, definition 7.

    Raises:
        ManifestError: a name isn't one, or `q` is out of range.
        InputError: the column holds neither numbers nor times.
        JobFailedError: there is no such column.
    """
    wanted = [number("q", each, 0.0, 1.0) for each in (q if isinstance(q, Sequence) else [q])]
    keys = [] if by is None else columns("by", by)
    frame, size = _counted(data, [*keys, _name(column)], True, submit_options)
    _check_numbers(frame, column)
    if not keys:
        found = _quantiles(frame, column, size, wanted)
        return found if isinstance(q, Sequence) else found[0]
    rows = [
        [*(key if isinstance(key, tuple) else (key,)), *_quantiles(group, column, size, wanted)]
        for key, group in frame.groupby(keys, sort=True, observed=True)
    ]
    return _by_group(frame, column, keys, rows, [f"{column}_{each:g}" for each in wanted])


def median(data: Any, column: str, *, by: str | Sequence[str] | None = None, **submit_options: Any) -> Any:
    """Find the median of a column of numbers or times, exactly: the middle value, or the mean of the two middle ones.

    Args:
        data: a table.
        column: its name. Missing values are left out.
        by: columns whose groups have medians of their own; rows without a key are left out.
        submit_options: keywords of `submit_job`.

    Returns:
        A float, NaN if there is no value (a Timestamp, a Timedelta, or NaT); with `by`, a pandas frame of the keys and
        `{column}_median`, sorted by key.

    Raises:
        ManifestError, InputError, JobFailedError: as of `quantile`.
    """
    keys = [] if by is None else columns("by", by)
    frame, size = _counted(data, [*keys, _name(column)], True, submit_options)
    _check_numbers(frame, column)
    if not keys:
        found = _middle(frame, column, size)
        return found + 0.0 if isinstance(found, float) else found  # pandas' has no -0.0; that of a group may
    rows = [
        [*(key if isinstance(key, tuple) else (key,)), _middle(group, column, size)]
        for key, group in frame.groupby(keys, sort=True, observed=True)
    ]
    return _by_group(frame, column, keys, rows, [f"{column}_median"])


def _by_group(frame: Any, column: str, keys: list[str], rows: list[list[Any]], names: list[str]) -> Any:
    """A frame of groups' keys and figures, of the types that they have."""
    pandas = need("pandas", "figures by group")
    made = pandas.DataFrame(rows, columns=[*keys, *names])
    for key in keys:
        made[key] = pandas.Series(made[key].tolist(), dtype=frame[key].dtype)
    if frame[column].dtype.kind in _TIMES:  # of which NaT alone would be a type of its own
        for name in names:
            made[name] = pandas.Series(made[name].tolist(), dtype=frame[column].dtype)
    return made


def describe(data: Any, names: str | Sequence[str] | None = None, **submit_options: Any) -> Any:
    """Describe columns as pandas does: numbers and times by count, mean, std, min, quartiles, max; others by unique, top, freq.

    Args:
        data: a table that can be read several times: there is a job for each column.
        names: of the columns; None for all of a frame or table in memory.
        submit_options: keywords of `submit_job`.

    Returns:
        A pandas frame with a row for each figure and a column for each of `names`; what a column doesn't have is missing. Of
        equally frequent values, `top` is the least.

    Raises:
        ManifestError: a name isn't one, or `data` isn't in memory and none is named.
        JobFailedError: there is no such column.
    """
    again(data)
    chosen = all_columns(data) if names is None else columns("names", names)
    if chosen is None:
        raise ManifestError("names is None, and data is no frame in memory: which columns?", field="names")
    pandas = need("pandas", "a description")
    described = {name: _described(*_counted(data, [name], True, submit_options), name) for name in chosen}
    order = ["count", "unique", "top", "freq", "mean", "std", "min", "25%", "50%", "75%", "max"]
    return pandas.DataFrame(described).reindex([each for each in order if any(each in found for found in described.values())])


def _name(column: Any) -> str:
    (name,) = columns("column", column if isinstance(column, str) else [column])
    return name


def _counted(data: Any, names: list[str], keep_missing: bool, submit_options: dict[str, Any]) -> tuple[Any, str]:
    """The different rows of some columns, sorted, and the name of the column that says how often each is there."""
    size = "count" if "count" not in names else "rows"
    frame = submit_job(group_by(names, {}, size=size, keep_missing=keep_missing), data, **submit_options).as_frame()
    return indexable(frame, names[:-1]), size


def indexable(frame: Any, names: Sequence[str]) -> Any:
    """The frame with columns that can be pandas' index, which has none of float16."""
    return frame.astype({name: "float32" for name in names if frame[name].dtype == "float16"})


def _check_numbers(frame: Any, column: str) -> None:
    if frame[column].dtype.kind not in _NUMBERS + _TIMES and len(frame[column].dropna()):
        raise InputError(
            f"column {column!r} is of type {frame[column].dtype}: quantiles are of numbers, instants and spans of time",
            hint="cast it, or take its value_counts",
            column=column,
        )


class _Counted(NamedTuple):
    """The different values of a column, sorted: numbers, or what times are stored as.

    Attributes:
        values: of which none is missing.
        ends: how many rows there are up to each.
        made: what a number of theirs is in the column's own type; None where that is a float.
    """

    values: list[Any]
    ends: list[int]
    made: Callable[[Fraction | None], Any] | None

    @classmethod
    def of(cls, frame: Any, column: str, size: str) -> _Counted:
        """Those of a frame that is sorted by them, and says in another column how often each is there."""
        known = frame[frame[column].notna()]
        values, ends = known[column], known[size].cumsum().tolist()
        if values.dtype.kind not in _TIMES:
            return cls(values.tolist(), ends, None)
        return cls([int(value) for value in values.astype("int64")], ends, _maker(values.dtype))


def _maker(dtype: Any) -> Callable[[Fraction | None], Any]:
    """From a number, counted in the unit of a type of times, to a value of that type, cut off as in pandas."""
    pandas, numpy = need("pandas", "figures of times"), need("numpy", "figures of times")
    unit, zone = dtype.unit if hasattr(dtype, "unit") else numpy.datetime_data(dtype)[0], getattr(dtype, "tz", None)

    def made(found: Fraction | None) -> Any:
        if found is None:
            return pandas.NaT
        if dtype.kind == "m":
            return pandas.Timedelta(numpy.timedelta64(math.trunc(found), unit))
        instant = pandas.Timestamp(numpy.datetime64(math.trunc(found), unit))
        return instant if zone is None else instant.tz_localize("UTC").tz_convert(zone)

    return made


def _quantiles(frame: Any, column: str, size: str, wanted: Sequence[float]) -> list[Any]:
    """Quantiles of values of which each is there so many times; the frame is sorted by them."""
    counted = _Counted.of(frame, column, size)
    return [_at(counted, each) for each in wanted]


def _middle(frame: Any, column: str, size: str) -> Any:
    values, ends, made = _Counted.of(frame, column, size)
    if not values:
        return math.nan if made is None else made(None)
    one, other = (values[_index(ends, place)] for place in ((ends[-1] - 1) // 2, ends[-1] // 2))
    if made is not None:
        return made(Fraction(one + other, 2))
    one, other = float(one), float(other)
    return one if one == other else (one + other) / 2


def _at(counted: _Counted, q: float) -> Any:
    values, ends, made = counted
    if not values:
        return math.nan if made is None else made(None)
    place = q * (ends[-1] - 1) if made is None else Fraction(repr(q)) * (ends[-1] - 1)  # 0.3 is three tenths of a span
    low, share = math.floor(place), place - math.floor(place)
    one, other = (values[_index(ends, min(at, ends[-1] - 1))] for at in (low, low + 1))
    if made is not None:
        return made(one + (other - one) * share)
    one, other = float(one), float(other)
    step = other - one  # from the nearer end, as NumPy does: its digits are the same, and its NaN beside infinities
    return one + step * share if share < 0.5 else other - step * (1 - share)


def _index(ends: list[int], place: int) -> int:
    from bisect import bisect_right

    return bisect_right(ends, place)


def _described(frame: Any, size: str, column: str) -> dict[str, Any]:
    known = frame[frame[column].notna()]
    total = int(known[size].sum())
    if known[column].dtype.kind in _TIMES:
        return _described_times(frame, size, column, total)
    if known[column].dtype.kind not in _NUMBERS:
        most = known.sort_values(size, ascending=False, kind="stable")
        top = {"top": most[column].iloc[0] if total else None, "freq": int(most[size].iloc[0]) if total else None}
        return {"count": total, "unique": len(known), **top}
    values, counts = [float(value) for value in known[column]], known[size].tolist()
    mean, squares = _moments(values, counts, total)
    quarters = _quantiles(frame, column, size, _QUARTILES)
    return {
        "count": total,
        "mean": mean,
        "std": math.sqrt(squares / (total - 1)) if total > 1 else math.nan,
        "min": values[0] if values else math.nan,
        **dict(zip(("25%", "50%", "75%"), quarters, strict=True)),
        "max": values[-1] if values else math.nan,
    }


def _described_times(frame: Any, size: str, column: str, total: int) -> dict[str, Any]:
    """As of numbers; instants have no deviation."""
    values, ends, made = _Counted.of(frame, column, size)
    assert made is not None
    counts = [end - start for start, end in pairwise([0, *ends])]
    mean = Fraction(sum(map(operator.mul, values, counts)), total) if total else None
    figures = {"mean": mean, "min": Fraction(values[0]) if values else None, "max": Fraction(values[-1]) if values else None}
    found = {"count": total, **{name: made(figure) for name, figure in figures.items()}}
    if frame[column].dtype.kind == "m":
        squares = sum(((value - (mean or 0)) ** 2 * count for value, count in zip(values, counts, strict=True)), Fraction())
        found["std"] = made(Fraction(math.sqrt(squares / (total - 1))) if total > 1 else None)
    return found | dict(zip(("25%", "50%", "75%"), _quantiles(frame, column, size, _QUARTILES), strict=True))


def _moments(values: list[float], counts: list[int], total: int) -> tuple[float, float]:
    """The mean, and the sum of the squared distances from it; NaN beside infinities, as in pandas."""
    if not all(map(math.isfinite, values)):
        return (values[0] + values[-1], math.nan)
    mean = math.fsum(value * count for value, count in zip(values, counts, strict=True)) / total if total else math.nan
    return mean, math.fsum(count * (value - mean) ** 2 for value, count in zip(values, counts, strict=True))
