"""One sentence for each option out of range: its name, its value, what is allowed, and what to do."""

from __future__ import annotations

from collections.abc import Mapping

from pangea.compute.model.errors import ManifestError


def check_ranges(options: object, ranges: Mapping[str, tuple[float, float]]) -> None:
    """Check the fields of `options` named in `ranges`; a range of two ints is one of integers.

    Raises:
        ManifestError: names the field, its value and the range.
    """
    for name, (low, high) in ranges.items():
        value = getattr(options, name)
        is_whole = isinstance(low, int) and isinstance(high, int)
        allowed = (int,) if is_whole else (int, float)
        if isinstance(value, bool) or not isinstance(value, allowed) or not low <= value <= high:
            kind = "an integer" if is_whole else "a number"
            raise ManifestError(
                f"{name} is {value!r}; it must be {kind} between {low:,} and {high:,}",
                hint=f"set {name} inside that range, or leave it out",
                field=name,
            )
