"""A module of the user's own, which jobs import."""

from __future__ import annotations

import enum

from tests.capturing import helper_nested as nested

VALUE = 41
VALUE += 1
_HIDDEN = {"factor": 2}
RUNS = [0]
RUNS[0] += 1


class Kind(enum.Enum):
    """Two kinds."""

    A = 1
    B = 2


def twice(x: int) -> int:
    """Twice as much."""
    return x * _HIDDEN["factor"]


__all__ = ["RUNS", "VALUE", "Kind", "nested", "twice"]
