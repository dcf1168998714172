"""Scales by powers of ten: offered where one amount dwarfs the others, drawn where they are asked for.

Zero and what is below it have no logarithm: among such, the scale is even up to the least size above zero, and logarithmic from
there on, on both sides; a note says so.
Source: J. B. W. Webber, A bi-symmetric log transformation for wide-range data, Meas. Sci. Technol. 24 (2013) 027001.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from pangea.compute.model.libraries import need
from pangea.compute.pictures.values.options import PictureOptions
from pangea.compute.pictures.values.shapes import Numbers
from pangea.compute.pictures.values.wording import figure

#: The greatest is so many times what nine tenths of the amounts are at most: on an even scale those are all alike.
_DWARFED: Final = 20.0
#: Amounts of which nine tenths say something.
_SEVERAL: Final = 5
_TICKS_MAX: Final = 9
#: Figures nearer to each other, as a share of the axis, would touch.
_APART: Final = 0.06


def offer(values: Numbers) -> list[str]:
    """A note that offers the scale, where one amount or a tail rules; none elsewhere."""
    sizes = np.abs(values)
    sizes = sizes[sizes > 0]
    if len(sizes) < _SEVERAL:
        return []
    usual, most = float(np.quantile(sizes, 0.9, method="lower")), float(sizes.max())
    if most < _DWARFED * usual:
        return []
    return [
        f"nine tenths are at most {figure(usual, 3)}, the greatest is {figure(most, 3)}: scale='log' tells the small ones apart"
    ]


def scale_of(
    values: Sequence[float | None], options: PictureOptions, *, from_zero: bool = False
) -> tuple[Logarithm | None, list[str]]:
    """The scale for amounts if it is asked for, and what is to be said: of it, or that there is one.

    Args:
        values: None where there is none.
        options: of the picture.
        from_zero: whether what is drawn begins at zero.
    """
    known = np.array([value for value in values if value is not None], dtype=np.float64)
    if options.is_log and len(known):
        log = Logarithm.of(known, from_zero=from_zero)
        return log, log.notes
    return None, [] if options.scale else offer(known)


@dataclass(frozen=True, slots=True)
class Logarithm:
    """A scale.

    Attributes:
        low: the least amount.
        high: the greatest.
        even: up to which size it is even; 0.0 if no amount is zero or below.
    """

    low: float
    high: float
    even: float

    @classmethod
    def of(cls, values: Numbers, *, from_zero: bool = False) -> Logarithm:
        """The scale for finite amounts; one that begins at zero, as bars do, is even at first in any case."""
        low, high = float(values.min()), float(values.max())
        sizes = np.abs(values)
        least = float(sizes[sizes > 0].min(initial=max(abs(low), abs(high)) or 1.0))
        return cls(low, high, least if low <= 0 or from_zero else 0.0)

    @property
    def notes(self) -> list[str]:
        """What is to be said of it."""
        if not self.even:
            return ["logarithmic scale: equal steps are equal factors"]
        return [f"logarithmic scale from {figure(self.even, 3)} on, even between that and zero"]

    def scale(self, **more: Any) -> Any:
        """It as altair's."""
        altair = need("altair", "a picture")
        if self.even:
            return altair.Scale(type="symlog", constant=self.even, **more)
        return altair.Scale(type="log", **more)

    def ticks(self) -> list[float]:
        """Powers of ten that lie among the amounts, and zero where the scale has it; the ends, if there are fewer than two."""
        positive = _powers(self.even or self.low, self.high) if self.high > 0 else []
        negative = [-tick for tick in reversed(_powers(self.even, -self.low))] if self.low < 0 else []
        found = [*negative, *([0.0] if self.even and self.low <= 0 <= self.high else []), *positive]
        return self._apart(found if len(found) > 1 else sorted({self.low, *found, self.high}))

    def _apart(self, ticks: list[float]) -> list[float]:
        """Those whose figures have room, zero and the greatest first."""
        kept: dict[float, float] = {}
        for tick in sorted(ticks, key=lambda each: (each != 0, -abs(each), each)):
            place = float(self.placed(tick)) if self.low < self.high else 0.0
            if all(abs(place - other) >= _APART for other in kept.values()):
                kept[tick] = place
        return sorted(kept)

    def placed(self, values: Any) -> Any:
        """Where amounts stand, as a share of the way from the least to the greatest."""
        ends = self._bent(np.array([self.low, self.high]))
        reach = float(ends[1] - ends[0]) or 1.0
        return (self._bent(np.asarray(values, dtype=np.float64)) - ends[0]) / reach

    def unplaced(self, shares: Any) -> Any:
        """The amounts that stand there."""
        ends = self._bent(np.array([self.low, self.high]))
        bent = np.asarray(shares, dtype=np.float64) * (float(ends[1] - ends[0]) or 1.0) + ends[0]
        return np.sign(bent) * self.even * np.expm1(np.abs(bent)) if self.even else np.exp(bent)

    def _bent(self, values: Any) -> Any:
        return (
            np.sign(values) * np.log1p(np.abs(values) / self.even)
            if self.even
            else np.log(np.maximum(values, np.finfo(float).tiny))
        )


def _powers(low: float, high: float) -> list[float]:
    """Powers of ten from `low` to `high`, every second or third one if there are many."""
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    step = max(1, -(-(last - first + 1) // _TICKS_MAX))
    return [float(f"1e{power}") for power in range(first, last + 1, step)]
