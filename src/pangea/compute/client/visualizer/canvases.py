"""Sheets of matplotlib's, laid out in pixels; without pyplot: nothing global is changed, no window can open."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from matplotlib.figure import Figure

from pangea.compute.client.visualizer import theme
from pangea.compute.client.visualizer.wording import sentence

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARGIN: Final = 14
_LINE: Final = 16


def head(title: str, notes: Sequence[str]) -> float:
    """Pixels that title and notes take, with the margin above."""
    return MARGIN + (theme.TITLE + 12 if title else 0) + _LINE * len(notes) + (6 if notes else 0)


def board(width: float, height: float, title: str, notes: Sequence[str]) -> tuple[Figure, Axes]:
    """A figure with its title and notes, and axes over all of it, which measure in pixels from the top left.

    Args:
        width: pixels at scale 1.
        height: likewise, with `head`.
        title: may be "".
        notes: one line each.
    """
    figure = Figure(figsize=(width / 72, height / 72))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    axes.set_autoscale_on(False)
    top = float(MARGIN)
    if title:
        axes.text(MARGIN, top, title, fontsize=theme.TITLE, fontweight="bold", va="top")
        top += theme.TITLE + 10
    for note in notes:
        axes.text(MARGIN, top, sentence(note), fontsize=theme.SMALL, color=theme.INK_QUIET, va="top")
        top += _LINE
    return figure, axes


def part(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Axes of their own in a part of a board."""
    wide, high = (72 * inches for inches in figure.get_size_inches())
    axes: Axes = figure.add_axes((left / wide, 1 - (top + height) / high, width / wide, height / high))
    return axes
