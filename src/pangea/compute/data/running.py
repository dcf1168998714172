"""Figures of floats by key, gone through once: count, exact sum, extremes and squares of each key's numbers.

Lists of a million floats cost more than their sums, so nothing is kept; and the loop is the one place where a group-by spends its
time, so it does as little as it can.
"""

from __future__ import annotations

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


class Running:
    """A key's figures, brought up to date number by number: the exact sum in two parts, squares about the first number."""

    __slots__ = ("count", "high", "least", "low", "most", "pivot", "spread")

    def __init__(self, value: float, rounded: float) -> None:
        self.count, self.high, self.low = 1, rounded, value - rounded
        self.least = self.most = value
        self.pivot = pivot_of(value)
        self.spread = (value - self.pivot) * (value - self.pivot)

    @property
    def is_far(self) -> bool:
        """Whether most of the squares about the first number come from its distance from the mean: they say little then."""
        away = (self.high + self.low) / self.count - self.pivot
        return self.count * away * away > self.spread * _FAR and self.count > 1


def figures_by_key(keys: Sequence[Any], values: Sequence[float], likely: float) -> dict[Any, Running] | None:
    """Go through the numbers.

    Args:
        keys: of the numbers.
        values: the numbers.
        likely: what their absolute values are likely below; if they aren't, they are gone through again.

    Returns:
        The keys' figures; None if their sums aren't certain to be exact.

    A number is cut in two at a unit so large that sums of the upper parts fit into 53 bits, whatever their order; the sums of
    the lower ones do, too, if the smallest number isn't too small, which is looked at afterwards.
    Source: S. M. Rump, T. Ogita, S. Oishi, Accurate Floating-Point Summation, 2008, 3.1 (ExtractVector).
    """
    if not len(values):
        return {}
    count, highest = max(len(values), 4), likely
    for _ in range(2):
        total = count * highest * _ROUNDING
        exponent = frexp(total)[1] if isfinite(total) else _BEYOND
        if abs(exponent) >= _BEYOND:
            return None
        groups = _run(keys, values, ldexp(1.5, exponent - 1))
        found = groups.values()
        if not all(isfinite(group.low) for group in found):
            return None
        least, most = min([group.least for group in found]), max([group.most for group in found])
        if max(-least, most) <= highest:
            lowest = least if least > 0 else -most if most < 0 else min(filter(None, map(abs, values)), default=1.0)
            unit = ldexp(1.0, exponent - 53)
            return groups if max([group.count for group in found]) * unit <= ldexp(ulp(lowest), 53) else None
        highest = max(-least, most)
    return None


def _run(keys: Sequence[Any], values: Sequence[float], shift: float) -> dict[Any, Running]:
    groups: dict[Any, Running] = {}
    find = groups.get
    for key, value in zip(keys, values, strict=True):
        rounded = value + shift - shift
        if (group := find(key)) is None:
            groups[key] = Running(value, rounded)
            continue
        difference = value - group.pivot
        group.spread += difference * difference
        group.count += 1
        group.high += rounded
        group.low += value - rounded
        if value < group.least:
            group.least = value
        elif value > group.most:
            group.most = value
    return groups
