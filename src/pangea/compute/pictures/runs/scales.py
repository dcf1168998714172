"""Axes: round numbers to mark, and figures as people read them."""

from __future__ import annotations

import math
from collections.abc import Sequence

_STEPS = (1, 2, 5, 10)
_PREFIXES = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_MINUTE, _HOUR = 60.0, 3600.0


def ticks(most: float, about: int = 6) -> list[float]:
    """Round numbers from 0 to at least `most`, about so many."""
    if most <= 0 or not math.isfinite(most):
        return [0.0, 1.0]
    rough = most / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * each for each in _STEPS if power * each >= rough * 0.999)
    return [step * number for number in range(math.ceil(most / step - 1e-9) + 1)]


def time_ticks(most: float, about: int = 8) -> list[float]:
    """Moments to mark from 0 on, none of them beyond `most`."""
    if most > _MINUTE:
        steps: Sequence[float] = (10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 43_200, 86_400)
        step = next((each for each in steps if most / each <= about), 86_400 * math.ceil(most / 86_400 / about))
        return [step * number for number in range(int(most / step) + 1)]
    return [tick for tick in ticks(most, about) if tick <= most * 1.0001]


def amount(value: float, unit: str = "") -> str:
    """A large number in short: 1,234 is "1.23 k"."""
    for factor, prefix in _PREFIXES:
        if abs(value) >= factor:
            return f"{value / factor:.3g} {prefix}{unit}"
    return f"{value:.3g}{f' {unit}' if unit else ''}"


def seconds(value: float) -> str:
    """A time span: "0.42 s", "3 min 20 s", "2 h 5 min"."""
    if value < _MINUTE:
        return f"{value:.3g} s"
    if value < _HOUR:
        minutes, rest = divmod(round(value), 60)
        return f"{minutes} min" + (f" {rest} s" if rest else "")
    hours, rest = divmod(round(value / 60), 60)
    return f"{hours:,} h" + (f" {rest} min" if rest else "")


def count(number: int, noun: str, plural: str = "") -> str:
    """A number with its noun: "1 task", "2,000 tasks"."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"
