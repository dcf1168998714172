"""How much the default tests try: of Hypothesis's examples a part, of parameters some; `make test-all` tries all."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from _pytest.mark import ParameterSet
from hypothesis import settings

#: In the default tests, where a test doesn't say; they are the same each time, so more of them would be no search.
EXAMPLES = 15
_PART, _LEAST = 6, 10


def share_of(number: int) -> int:
    """How many of `number` examples this run draws."""
    return number if settings().max_examples > EXAMPLES else min(max(number // _PART, _LEAST), EXAMPLES)


def long(*values: Any) -> list[Any]:
    """Parameters for `make test-all` alone; a tuple is several."""
    return [_long(each) for each in values]


def _long(value: Any) -> Any:
    if isinstance(value, ParameterSet):
        return pytest.param(*value.values, marks=[*value.marks, pytest.mark.long], id=value.id)
    return pytest.param(*value if isinstance(value, tuple) else (value,), marks=pytest.mark.long)


def first(count: int, values: Iterable[Any]) -> list[Any]:
    """The first `count` parameters for the default tests, and the others for `make test-all` alone."""
    found = list(values)
    return [*found[:count], *long(*found[count:])]


def spread(count: int, values: Iterable[Any]) -> list[Any]:
    """About `count` parameters for the default tests, as far from each other as can be; the others for `make test-all` alone."""
    found = list(values)
    step = max(len(found) // count, 1)
    return [each if place % step == 0 else _long(each) for place, each in enumerate(found)]
