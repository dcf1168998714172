"""How much the default tests try: of Hypothesis's examples a part, of parameters some; `make test-all` tries all."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import settings

#: In the default tests, where a test doesn't say; they are the same each time, so more of them would be no search.
EXAMPLES = 30
_PART, _LEAST = 4, 10


def share_of(number: int) -> int:
    """How many of `number` examples this run draws."""
    return number if settings().max_examples > EXAMPLES else max(number // _PART, _LEAST)


def long(*values: Any) -> list[Any]:
    """Parameters for `make test-all` alone; a tuple is several."""
    return [pytest.param(*each if isinstance(each, tuple) else (each,), marks=pytest.mark.long) for each in values]


def first(count: int, values: Iterable[Any]) -> list[Any]:
    """The first `count` parameters for the default tests, and the others for `make test-all` alone."""
    found = list(values)
    return [*found[:count], *long(*found[count:])]
