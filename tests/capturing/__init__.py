"""Definitions of many kinds, each with a look at it that has to show the same in the sandbox as here.

A case is a function that defines something and returns another, without arguments, whose result is compared by its `repr`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Look = Callable[[], Any]
Case = Callable[[], Look]


class Cases(dict[str, Case]):
    """Cases by name, in the order of the text."""

    def __call__(self, function: Case) -> Case:
        """Add a case."""
        self[function.__name__] = function
        return function
