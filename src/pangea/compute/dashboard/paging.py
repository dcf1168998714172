"""Long lists in pages: which rows are shown, and of how many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

#: Rows on one page: with the longest names and causes that are shown, some 90 KB of HTML.
ROWS_MAX = 100
#: Farther than this nobody looks.
_OFFSET_MAX = 1 << 31

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page:
    """Which rows of a list are shown.

    Attributes:
        offset: rows before the first that is shown.
        shown: rows that are shown.
        total: rows in all.
        noun: what the rows are, in the plural.
        most: rows that a page has at most.
    """

    offset: int
    shown: int
    total: int
    noun: str
    most: int = ROWS_MAX

    def __str__(self) -> str:
        """For people: never a part of a list without the whole's size."""
        if not self.total:
            return f"no {self.noun}"
        if not self.shown:
            return f"showing none of {self.total:,} {self.noun}: the list ends before"
        return f"showing {self.offset + 1:,} to {self.offset + self.shown:,} of {self.total:,} {self.noun}"

    @property
    def before(self) -> int | None:
        """Where the page before this one begins; None if this is the first."""
        return max(0, min(self.offset, self.total) - self.most) if self.offset else None

    @property
    def after(self) -> int | None:
        """Where the next page begins; None if this is the last."""
        end = self.offset + self.shown
        return end if self.shown and end < self.total else None


def page_of(rows: Sequence[T], offset: int, noun: str, most: int = ROWS_MAX) -> tuple[Sequence[T], Page]:
    """The rows of a list that is at hand from `offset` on, `most` at most, and which those are."""
    shown = rows[offset : offset + most]
    return shown, Page(offset, len(shown), len(rows), noun, most)


def offset_in(text: str) -> int:
    """The offset that an address asks for; 0 if it makes no sense."""
    return min(int(text), _OFFSET_MAX) if text.isascii() and text.isdigit() and len(text) < 12 else 0
