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


def __getattr__(name: str) -> str:
    if name.startswith("spelled_"):
        return name.removeprefix("spelled_").upper()
    raise AttributeError(name)


def __dir__() -> list[str]:
    return ["VALUE", "twice"]


__version__ = "1.2"
__all__ = ["RUNS", "VALUE", "Kind", "nested", "twice"]
