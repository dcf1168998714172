"""Sizes and durations as people write them: `64 KiB`, `1_000_000`, `1h 30m`."""

from __future__ import annotations

import re
from fractions import Fraction

from pangea.compute.model.errors import ManifestError

_SIZE_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_SIZE_UNITS |= {"kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30}
_TEXT_MAX = 1_000
_TIME_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def parse_size(text: str, field: str) -> int:
    """Bytes: an integer with an optional unit (KiB, MiB, GiB; kB, MB, GB are powers of ten; K, M, G of two).

    Raises:
        ManifestError: not a size; names `field`.
    """
    match = re.fullmatch(r"\s*([0-9][0-9_,]*(?:\.[0-9]+)?)\s*([a-zA-Z]*)\s*", text)
    if match and len(text) <= _TEXT_MAX and (unit := _SIZE_UNITS.get(match[2].lower())):
        return int(Fraction(match[1].replace("_", "").replace(",", "")) * unit)
    raise ManifestError(f"{field} is {text!r}; it must be a size such as 65536, 64KiB or 1MiB", field=field)


def parse_duration(text: str, field: str) -> float:
    """Seconds: a number, or numbers with units (ms, s, m, h, d) such as `1h 30m`.

    Raises:
        ManifestError: not a duration; names `field`.
    """
    try:
        return float(text)
    except ValueError:
        pass
    if re.fullmatch(r"\s*(?:[0-9]+(?:\.[0-9]+)?\s*(?:ms|s|m|h|d)\s*)+", text):
        return sum(float(n) * _TIME_UNITS[unit] for n, unit in re.findall(r"([0-9.]+)\s*(ms|s|m|h|d)", text))
    raise ManifestError(f"{field} is {text!r}; it must be a duration such as 30, 500ms, 30s or 1h 30m", field=field)
