"""What a column's values are, counted: the figures that pandas calls value_counts, nunique, quantile, median and describe.

Each is a job, or one for each column, that counts the rows of each value (`group_by` with `size`), and some arithmetic here. So
they are exact, wherever the data was cut, and cost what there are different values.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from pangea.compute.client.submission.submit import submit_job
from pangea.compute.model.errors import InputError, ManifestError
from pangea.compute.model.libraries import need
from pangea.compute.templates.checks import again, all_columns, columns, flag, number
from pangea.compute.templates.groups import group_by

_NUMBERS = "iuf"
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
        ones in their order, missing ones last of these.

    Raises:
        ManifestError: `column` is no name.
        JobFailedError: there is no such column.
    """
    frame, size = _counted(data, [_name(column)], not flag("dropna", dropna), submit_options)
    return frame.sort_values(size, ascending=False, kind="stable", ignore_index=True)


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
    found = frame.groupby(keys, sort=True)[column].nunique(dropna=kept)
    return found.rename(f"{column}_nunique").reset_index()


def quantile(
    data: Any,
    column: str,
    q: float | Sequence[float] = 0.5,
    *,
    by: str | Sequence[str] | None = None,
    **submit_options: Any,
) -> Any:
    """Find quantiles of a column of numbers, exactly, interpolated linearly between the two nearest values, as pandas does.

    Args:
        data: a table.
        column: its name. Missing values are left out.
        q: from 0 to 1; or several.
        by: columns whose groups have quantiles of their own; rows without a key are left out.
        submit_options: keywords of `submit_job`.

    Returns:
        A float, NaN if there is no value; of several, a list of them. With `by`, a pandas frame of the keys and `{column}_{q}`
        for each, sorted by key.
        Source: R. J. Hyndman, Y. Fan, Sample Quantiles in Statistical Packages, 1996, definition 7.

    Raises:
        ManifestError: a name isn't one, or `q` is out of range.
        InputError: the column holds no numbers.
        JobFailedError: there is no such column.
    """
    wanted = [number("q", each, 0.0, 1.0) for each in (q if isinstance(q, Sequence) else [q])]
    keys = [] if by is None else columns("by", by)
    frame, size = _counted(data, [*keys, _name(column)], True, submit_options)
    _check_numbers(frame, column)
    if not keys:
        found = _quantiles(frame, column, size, wanted)
        return found if isinstance(q, Sequence) else found[0]
    pandas = need("pandas", "quantiles by group")
    rows = [
        [*(key if isinstance(key, tuple) else (key,)), *_quantiles(group, column, size, wanted)]
        for key, group in frame.groupby(keys, sort=True)
    ]
    return pandas.DataFrame(rows, columns=[*keys, *(f"{column}_{each:g}" for each in wanted)])


def median(data: Any, column: str, *, by: str | Sequence[str] | None = None, **submit_options: Any) -> Any:
    """Find the median of a column of numbers, exactly: the middle value, or the mean of the two middle ones.

    Args:
        data: a table.
        column: its name. Missing values are left out.
        by: columns whose groups have medians of their own; rows without a key are left out.
        submit_options: keywords of `submit_job`.

    Returns:
        A float, NaN if there is no value; with `by`, a pandas frame of the keys and `{column}_median`, sorted by key.

    Raises:
        ManifestError, InputError, JobFailedError: as of `quantile`.
    """
    keys = [] if by is None else columns("by", by)
    frame, size = _counted(data, [*keys, _name(column)], True, submit_options)
    _check_numbers(frame, column)
    if not keys:
        return _middle(frame, column, size)
    pandas = need("pandas", "medians by group")
    rows = [
        [*(key if isinstance(key, tuple) else (key,)), _middle(group, column, size)]
        for key, group in frame.groupby(keys, sort=True)
    ]
    return pandas.DataFrame(rows, columns=[*keys, f"{column}_median"])


def describe(data: Any, names: str | Sequence[str] | None = None, **submit_options: Any) -> Any:
    """Describe columns as pandas does: numbers by count, mean, std, min, quartiles, max; others by count, unique, top, freq.

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
    return submit_job(group_by(names, {}, size=size, keep_missing=keep_missing), data, **submit_options).as_frame(), size


def _check_numbers(frame: Any, column: str) -> None:
    if frame[column].dtype.kind not in _NUMBERS and len(frame[column].dropna()):
        raise InputError(
            f"column {column!r} is of type {frame[column].dtype}: quantiles are of numbers",
            hint="cast it, or take its value_counts",
            column=column,
        )


def _quantiles(frame: Any, column: str, size: str, wanted: Sequence[float]) -> list[float]:
    """Quantiles of values of which each is there so many times; the frame is sorted by them."""
    known = frame[frame[column].notna()]
    values, counts = known[column].tolist(), known[size].cumsum().tolist()
    return [_at(values, counts, each) for each in wanted]


def _middle(frame: Any, column: str, size: str) -> float:
    known = frame[frame[column].notna()]
    values, ends = known[column].tolist(), known[size].cumsum().tolist()
    if not values:
        return math.nan
    one, other = (float(values[_index(ends, place)]) for place in ((ends[-1] - 1) // 2, ends[-1] // 2))
    return one if one == other else (one + other) / 2


def _at(values: list[float], ends: list[int], q: float) -> float:
    if not values:
        return math.nan
    place = q * (ends[-1] - 1)
    low, share = math.floor(place), place - math.floor(place)
    one, other = (float(values[_index(ends, min(at, ends[-1] - 1))]) for at in (low, low + 1))
    step = other - one  # from the nearer end, as NumPy does: its digits are the same, and its NaN beside infinities
    return one + step * share if share < 0.5 else other - step * (1 - share)


def _index(ends: list[int], place: int) -> int:
    from bisect import bisect_right

    return bisect_right(ends, place)


def _described(frame: Any, size: str, column: str) -> dict[str, Any]:
    known = frame[frame[column].notna()]
    total = int(known[size].sum())
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


def _moments(values: list[float], counts: list[int], total: int) -> tuple[float, float]:
    """The mean, and the sum of the squared distances from it; NaN beside infinities, as in pandas."""
    if not all(map(math.isfinite, values)):
        return (values[0] + values[-1], math.nan)
    mean = math.fsum(value * count for value, count in zip(values, counts, strict=True)) / total if total else math.nan
    return mean, math.fsum(count * (value - mean) ** 2 for value, count in zip(values, counts, strict=True))
