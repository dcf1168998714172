"""Tables: the rows themselves, in HTML as a table, in files as letters in columns."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from PIL import ImageFont

from pangea.compute.model.units import counted
from pangea.compute.pictures.values import frames, theme, turning
from pangea.compute.pictures.values.drawings import Sheet
from pangea.compute.pictures.values.frames import Table
from pangea.compute.pictures.values.options import PictureOptions
from pangea.compute.pictures.values.picture import Picture
from pangea.compute.pictures.values.turning import Shape
from pangea.compute.pictures.values.wording import NOTE_LINE, TITLE_LINE, figure, sentence, shown, wrapped

#: Rows and columns that are shown.
TOP, COLUMNS_MAX = 20, 10
_CELL_LETTERS_MAX: Final = 40
_ROW, _GAP, _MARGIN = 22, 24, 14
_WIDTH_MAX: Final = 1_200.0
_LONG: Final = 10**15
_MISSING: Final = "–"


@dataclass(frozen=True, slots=True)
class _Column:
    name: str
    texts: list[str]
    is_number: bool


def draw(shape: Shape, options: PictureOptions) -> Picture:
    """Draw a table.

    Raises:
        PictureError: there are no columns.
    """
    table = turning.as_table(shape, "table")
    top = options.top or TOP
    columns = _fitting([_column(table, name, top) for name in table.names[:COLUMNS_MAX]])
    notes = []
    if len(table) > top:
        notes.append(f"the first {counted(top, 'row')} of {len(table):,}")
    if len(table.names) > len(columns):
        notes.append(f"the first {counted(len(columns), 'column')} of {len(table.names):,}")
    title = options.heading
    words = f"{title or 'Table'}: {frames.summary(table)}"
    drawing = Sheet(_svg(columns, title, notes, words), _html(columns, title, notes))
    return Picture(drawing, kind="table", title=title, alt=words, notes=tuple(notes))


def _fitting(columns: list[_Column]) -> list[_Column]:
    """The first columns, as many as fit beside each other; one at least."""
    wide = 0.0
    for index, column in enumerate(columns):
        wide += _column_width(column) + _GAP
        if wide > _WIDTH_MAX and index:
            return columns[:index]
    return columns


def _column(table: Table, name: str, top: int) -> _Column:
    few = Table(table.arrow.slice(0, top))
    sort = table.sort_of(name)
    if sort == "number":
        return _Column(shown(name), _figures(few, name), True)
    if sort == "date":
        clock, values = few.moments(name)
        known = np.isfinite(values)
        texts = iter(clock.texts(values[known]))
        return _Column(shown(name), [next(texts) if is_known else _MISSING for is_known in known], False)
    return _Column(shown(name), [_MISSING if text is None else shown(text, _CELL_LETTERS_MAX) for text in few.texts(name)], False)


def _figures(table: Table, name: str) -> list[str]:
    """Numbers with as many places after the point as one of them needs, so that their points stand below each other."""
    if table.is_whole(name):
        whole = [number for number in table.arrow[name].to_pylist() if number is not None]
        if max(map(abs, whole), default=0) >= _LONG:  # ids: all their digits, and no commas
            return [_MISSING if number is None else str(number) for number in table.arrow[name].to_pylist()]
    numbers = table.numbers(name)
    plain = [_MISSING if np.isnan(number) else figure(number) for number in numbers]
    if any("e" in text or "inf" in text for text in plain):
        return plain
    places = max(len(text.partition(".")[2]) for text in plain)
    return [
        text if text == _MISSING else f"{number:,.{places}f}".replace("-", "\N{MINUS SIGN}")
        for text, number in zip(plain, numbers, strict=True)
    ]


def _html(columns: Sequence[_Column], title: str, notes: Sequence[str]) -> str:
    caption = f"<b>{html.escape(title)}</b> " if title else ""
    caption += html.escape(" ".join(map(sentence, notes)))
    kinds = [f" style='text-align:{'right' if column.is_number else 'left'}'" for column in columns]
    head = "".join(f"<th{kind}>{html.escape(column.name)}</th>" for kind, column in zip(kinds, columns, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td{kind}>{html.escape(text)}</td>" for kind, text in zip(kinds, row, strict=True)) + "</tr>"
        for row in zip(*(column.texts for column in columns), strict=True)
    )
    return f"<table><caption>{caption}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _svg(columns: Sequence[_Column], title: str, notes: Sequence[str], words: str) -> str:
    widths = [_column_width(column) for column in columns]
    parts, top, head_width = _head(title, notes)
    width = max(sum(widths) + _GAP * (len(columns) - 1), head_width, 100.0) + 2 * _MARGIN
    height = top + _ROW * (1 + len(columns[0].texts)) + _MARGIN
    left = float(_MARGIN)
    for column, column_width in zip(columns, widths, strict=True):
        at = left + column_width if column.is_number else left
        side = 'text-anchor="end"' if column.is_number else ""
        parts.append(_text(column.name, at, top + 16, f'font-weight="bold" {side}'))
        parts += [_text(text, at, top + 16 + _ROW * (index + 1), side) for index, text in enumerate(column.texts)]
        left += column_width + _GAP
    parts += [_rule(width, top + _ROW * (index + 1), bold=index == 0) for index in range(len(columns[0].texts) + 1)]
    about = f'role="img" aria-label="{html.escape(words)}"'
    size = f'width="{width:.0f}" height="{height}" viewBox="0 0 {width:.0f} {height}"'
    letters = f'font-family="{html.escape(theme.FONT)}" font-size="{theme.TEXT}" fill="{theme.INK}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {about} {size} {letters}>{"".join(parts)}</svg>'


def _head(title: str, notes: Sequence[str]) -> tuple[list[str], int, float]:
    """The paper, title and notes; where the table begins below them; how wide they are."""
    titles = wrapped(title, TITLE_LINE)
    lines = [line for note in notes for line in wrapped(sentence(note), NOTE_LINE)]
    parts = [f'<rect width="100%" height="100%" fill="{theme.PAPER}"/>']
    y = _MARGIN
    for line in titles:
        y += theme.TITLE + 4
        parts.append(_text(line, _MARGIN, y, f'font-size="{theme.TITLE}" font-weight="bold"'))
    for line in lines:
        y += theme.SMALL + 5
        parts.append(_text(line, _MARGIN, y, f'font-size="{theme.SMALL}" fill="{theme.INK_QUIET}"'))
    wide = [each * theme.TITLE / theme.TEXT for each in _widths(titles, bold=True)] + _widths(lines)
    return parts, y + (8 if titles or lines else 0), max(wide, default=0.0)


def _column_width(column: _Column) -> float:
    return max(_widths([column.name], bold=True) + _widths(column.texts))


def _text(text: str, x: float, y: float, more: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" {more}>{html.escape(text)}</text>'


def _rule(width: float, y: float, *, bold: bool) -> str:
    look = f'stroke="{theme.QUIET}" stroke-width="1.5"' if bold else f'stroke="{theme.GRID}"'
    return f'<line x1="{_MARGIN}" x2="{width - _MARGIN:.0f}" y1="{y + 0.5}" y2="{y + 0.5}" {look}/>'


def _widths(texts: Sequence[str], *, bold: bool = False) -> list[float]:
    """How wide text is, in pixels at the size of the theme."""
    folder = theme.font_directory()
    if folder is None:
        return [0.62 * theme.TEXT * len(text) for text in texts]
    letters: Any = ImageFont.truetype(str(folder / ("DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf")), theme.TEXT)
    return [float(letters.getlength(text)) for text in texts]
