"""Categories that colours stand for: as many as there are colours, the rest together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import altair as alt

from pangea.compute.model.units import counted
from pangea.compute.pictures.values import theme

#: Categories with a colour of their own.
GROUPS_MAX: Final = len(theme.PALETTE) - 1
OTHERS: Final = "others"


def kept(sizes: Sequence[tuple[str, float]]) -> tuple[list[str], list[str]]:
    """The largest categories, by name, and a note about the others, which are to be called `OTHERS`.

    Args:
        sizes: each category and how much of it there is, or how often.
    """
    if len(sizes) <= len(theme.PALETTE):
        return sorted(name for name, _ in sizes), []
    largest = sorted(sizes, key=lambda each: (-each[1], each[0]))[:GROUPS_MAX]
    return sorted(name for name, _ in largest), [f"{counted(len(sizes) - GROUPS_MAX, 'smaller group')} together as {OTHERS!r}"]


def named(names: Sequence[str], notes: Sequence[str]) -> list[str]:
    """All names that are given out, with `OTHERS` at the end if `kept` said so."""
    return [*names, *([OTHERS] if notes else [])]


def scale(names: Sequence[str]) -> alt.Scale:
    """A colour for each category; grey for `OTHERS`."""
    colours = [theme.QUIET if name == OTHERS else theme.PALETTE[index] for index, name in enumerate(names)]
    return alt.Scale(domain=list(names), range=colours)


def color(names: Sequence[str], title: str) -> alt.Color:
    """The channel that colours by the field "group"."""
    return alt.Color(field="group", type="nominal", title=title, scale=scale(names), sort=list(names))


def marks(channel: Any, marks_of_theme: Sequence[Any], names: Sequence[str], title: str) -> Any:
    """The channel that tells categories apart without colour, too: dashes or shapes."""
    given = [marks_of_theme[index % len(marks_of_theme)] for index in range(len(names))]
    return channel(field="group", type="nominal", title=title, scale=alt.Scale(domain=list(names), range=given), sort=list(names))
