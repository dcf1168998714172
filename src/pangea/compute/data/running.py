"""Figures of floats by key, gone through once: count, exact sum, extremes and squares of each key's numbers.

Lists of a million floats cost more than their sums, so nothing is kept; and the loop is the one place where a group-by spends its
time, so it does as little as it can.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from math import frexp, isfinite, ldexp, ulp
from typing import Any

from pangea.compute.data.exact import pivot_of

#: The upper parts are rounded, so their sum may be larger than the numbers', by less than this.
_ROUNDING = 1 + 2.0**-20
#: Exponents of two from which on the unit isn't a float any more.
_BEYOND = 900
#: How much of the squares about a key's first number may come from its distance from the mean.
_FAR = 1 - 2.0**-8
_WITHOUT_SIGN = bytes(range(128)) * 2


class Running:
    """A key's figures, brought up to date number by number: the exact sum in two parts, squares about the first number."""

    __slots__ = ("count", "high", "least", "low", "most", "pivot", "spread")
    count: int
    high: float
    least: float
    low: float
    most: float

    def __init__(self, value: float, rounded: float) -> None:
        self.count, self.high, self.low = 1, rounded, value - rounded
        self.least = self.most = value
        self.pivot: float = pivot_of(value)
        self.spread: float = (value - self.pivot) * (value - self.pivot)

    @property
    def is_far(self) -> bool:
        """Whether most of the squares about the first number come from its distance from the mean: they say little then."""
        away = (self.high + self.low) / self.count - self.pivot
        return self.count * away * away > self.spread * _FAR and self.count > 1


def figures_by_key(keys: Sequence[Any], values: Sequence[float], likely: float, kinds: int = 1) -> dict[Any, Running] | None:
    """Go through the numbers.

    A number is cut in two at a unit so large that sums of the upper parts fit into 53 bits, whatever their order; the sums of
    the lower ones do, too, if the smallest number isn't too small, which is looked at afterwards.
    Source: S. M. Rump, T. Ogita, S. Oishi, Accurate Floating-Point Summation, 2008, 3.1 (ExtractVector).

    Args:
        keys: of the numbers.
        values: the numbers.
        likely: what their absolute values are likely below, and
        kinds: how many keys there are, about. If it isn't so, they are gone through again.

    Returns:
        The keys' figures; None if their sums aren't certain to be exact.
    """
    if not len(values):
        return {}
    highest, count = likely, min(len(values), 4 * len(values) // kinds + 256)
    for _ in range(2):
        total = max(count, 4) * highest * _ROUNDING
        exponent = frexp(total)[1] if isfinite(total) else _BEYOND
        if abs(exponent) >= _BEYOND:
            return None
        groups = _run(keys, values, ldexp(1.5, exponent - 1))
        found = groups.values()
        if not all(isfinite(group.low) for group in found):
            return None
        least, most = min([group.least for group in found]), max([group.most for group in found])
        largest = max([group.count for group in found])
        if max(-least, most) <= highest and largest <= count:
            lowest = least if least > 0 else -most if most < 0 else 0.0
            return groups if _is_exact(values, largest * ldexp(1.0, exponent - 106), lowest) else None
        highest, count = max(-least, most), largest
    return None


def _is_exact(values: Sequence[float], step: float, lowest: float) -> bool:
    """Whether all numbers are multiples of `step` or more, by the smallest one: `lowest`, or 0.0 if it isn't known."""
    if lowest:
        return step <= ulp(lowest)
    about = _power_below(values)
    return (about > 0.0 and step <= ulp(about)) or step <= ulp(min(filter(None, map(abs, values)), default=1.0))


def _power_below(values: Sequence[float]) -> float:
    """A power of two that no absolute value is below, from the upper bytes; 0.0 if there is a zero, or these aren't at hand."""
    if not isinstance(values, memoryview) or values.format != "d" or sys.byteorder != "little":
        return 0.0
    exponents = bytes(values.cast("B")[7::8]).translate(_WITHOUT_SIGN)
    lowest = min(set(exponents))  # the upper 7 of 11 bits
    return ldexp(1.0, 16 * lowest - 1023) if lowest else 0.0


def _run(keys: Sequence[Any], values: Sequence[float], shift: float) -> dict[Any, Running]:
    groups: dict[Any, Running] = {}
    for key, value in zip(keys, values, strict=True):
        try:
            group = groups[key]
        except KeyError:
            groups[key] = Running(value, value + shift - shift)
            continue
        part = value + shift - shift
        group.high += part
        group.low += value - part
        part = value - group.pivot
        group.spread += part * part
        group.count += 1
        if value < group.least:
            group.least = value
        elif value > group.most:
            group.most = value
    return groups
