"""Sheets of matplotlib's, laid out in pixels; without pyplot: nothing global is changed, no window can open."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from matplotlib.figure import Figure

from pangea.compute.pictures.values import theme
from pangea.compute.pictures.values.wording import NOTE_LINE, TITLE_LINE, sentence, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARGIN: Final = 14
_LINE, _TITLE_LINE = 16, theme.TITLE + 6


def head(title: str, notes: Sequence[str]) -> float:
    """Pixels that title and notes take, with the margin above."""
    titles, lines = _lines(title, notes)
    return MARGIN + _TITLE_LINE * len(titles) + (6 if titles else 0) + _LINE * len(lines) + (6 if lines else 0)


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
    titles, lines = _lines(title, notes)
    for line in titles:
        axes.text(MARGIN, top, line, fontsize=theme.TITLE, fontweight="bold", va="top")
        top += _TITLE_LINE
    top += 4 if titles else 0
    for line in lines:
        axes.text(MARGIN, top, line, fontsize=theme.SMALL, color=theme.INK_QUIET, va="top")
        top += _LINE
    return figure, axes


def _lines(title: str, notes: Sequence[str]) -> tuple[list[str], list[str]]:
    return wrapped(title, TITLE_LINE), [line for note in notes for line in wrapped(sentence(note), NOTE_LINE)]


def part(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Axes of their own in a part of a board."""
    wide, high = (72 * inches for inches in figure.get_size_inches())
    axes: Axes = figure.add_axes((left / wide, 1 - (top + height) / high, width / wide, height / high))
    return axes
