"""A sheet to draw on: SVG that needs nothing else, with its text escaped, in light and dark.

What is drawn names a class, not a colour, so that one style sheet serves light, dark, and pages with many drawings.
"""

from __future__ import annotations

import html
import re
from typing import Final

from pangea.compute.pictures.values import theme

#: Class names of the three functions' bars.
FILLS: Final = {"split": "split", "execute": "execute", "merge": "merge"}
#: Class, and its colour in light and in dark. Bars and boxes are filled, wires are strokes, all else is letters.
_COLOURS: Final = (
    ("paper", "fill", theme.PAPER, "#16181c"),
    ("ink", "fill", theme.INK, "#e8e8e8"),
    ("quiet", "fill", theme.INK_QUIET, "#a4a8ae"),
    ("grid", "stroke", theme.GRID, "#34383e"),
    ("wire", "stroke", theme.QUIET, "#7c828a"),
    ("split", "fill", theme.PALETTE[4], "#E69F00"),
    ("execute", "fill", theme.PALETTE[0], "#56B4E9"),
    ("merge", "fill", theme.PALETTE[2], "#2DC59A"),
    ("mark", "fill", theme.PALETTE[1], "#FF8A3D"),
    ("markline", "stroke", theme.PALETTE[1], "#FF8A3D"),
    ("rest", "fill", "#B4BAC2", "#5C636B"),
    ("track", "fill", "#F1F2F4", "#24272c"),
    ("box", "fill", "#F4F7FA", "#20252b"),
    ("badbox", "fill", "#FCEBE2", "#3a2318"),
)
_STROKES: Final = {"grid": 1.0, "wire": 1.25, "markline": 1.5}
#: Letters that XML can't hold.
_UNFIT = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NARROW, _WIDE = frozenset("iljtfrI.,:;'|!()[] "), frozenset("mwMW@%—…")


def style(dark: bool = True) -> str:
    """The style sheet of all drawings; with `dark`, for readers who like it dark, too."""
    light = "".join(f".{name}{{{paint}:{colour}{_stroke(name)}}}" for name, paint, colour, _ in _COLOURS)
    night = "".join(f".{name}{{{paint}:{colour}}}" for name, paint, _, colour in _COLOURS)
    return light + (f"@media (prefers-color-scheme:dark){{{night}}}" if dark else "")


def _stroke(name: str) -> str:
    return f";fill:none;stroke-width:{_STROKES[name]:g}" if name in _STROKES else ""


def fit(text: str, pixels: float, size: float = theme.TEXT) -> str:
    """As much of `text` as fits into so many pixels, with an ellipsis if that isn't all."""
    if width(text, size) <= pixels:
        return text
    shown = ""
    for letter in text:
        if width(shown + letter + "…", size) > pixels:
            break
        shown += letter
    return shown + "…"


def width(text: str, size: float = theme.TEXT) -> float:
    """About how many pixels wide `text` is in the theme's letters; rather too many than too few."""
    return sum(size * (0.4 if letter in _NARROW else 0.98 if letter in _WIDE else 0.66) for letter in text)


def plain(text: str) -> str:
    """Text as XML and HTML may hold it: escaped, and without what has no sign."""
    return html.escape(_UNFIT.sub("\ufffd", text))


class Sheet:
    """A drawing under way; the origin is the upper left corner, units are pixels."""

    def __init__(self, wide: float, high: float, alt: str) -> None:
        """An empty sheet; `alt` says in words what it will show."""
        self.wide: float = wide
        self.high: float = high
        self.alt: str = alt
        self._parts: list[str] = []

    def bar(self, x: float, y: float, wide: float, high: float, kind: str, *, tip: str = "", round_by: float = 0.0) -> None:
        """A filled rectangle of a class; `tip` shows under the pointer."""
        corner = f' rx="{round_by:g}"' if round_by else ""
        place = f'x="{_number(x)}" y="{_number(y)}" width="{_number(wide)}" height="{_number(high)}"{corner}'
        self._add(f'<rect class="{kind}" {place}', tip)

    def bars(self, places: list[tuple[float, float, float, float]], kind: str) -> None:
        """Many filled rectangles of one class as a single shape: x, y, width and height of each."""
        steps = (f"M{_number(x)} {_number(y)}h{_number(w)}v{_number(h)}h-{_number(w)}z" for x, y, w, h in places)
        if places:
            self._parts.append(f'<path class="{kind}" d="{"".join(steps)}"/>')

    def line(self, points: list[tuple[float, float]], kind: str, *, is_dashed: bool = False) -> None:
        """A line through points."""
        dashes = ' stroke-dasharray="5 4"' if is_dashed else ""
        self._parts.append(f'<polyline class="{kind}" points="{_points(points)}"{dashes}/>')

    def area(self, points: list[tuple[float, float]], kind: str) -> None:
        """A filled shape."""
        self._parts.append(f'<polygon class="{kind}" points="{_points(points)}"/>')

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        kind: str = "ink",
        size: float = theme.TEXT,
        anchor: str = "start",
        bold: bool = False,
    ) -> None:
        """Letters whose base line is at `y`; `anchor` is start, middle or end."""
        weight = ' font-weight="bold"' if bold else ""
        place = f'x="{_number(x)}" y="{_number(y)}" font-size="{size:g}" text-anchor="{anchor}"{weight}'
        self._parts.append(f'<text class="{kind}" {place}>{plain(text)}</text>')

    def svg(self, *, is_alone: bool = True, dark: bool = True) -> str:
        """The drawing: a document if it stands alone, else a piece of a page that has the `style`."""
        size = f'width="{_number(self.wide)}" height="{_number(self.high)}"'
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_number(self.wide)} {_number(self.high)}" {size} role="img"'
        )
        family = theme.FONT.replace('"', "'")
        sheet = f"<style>{style(dark)}</style>" if is_alone else ""
        ground = f'<rect class="paper" width="{_number(self.wide)}" height="{_number(self.high)}"/>' if is_alone else ""
        label = f'aria-label="{plain(self.alt)}" font-family="{family}"'
        return f"{head} {label}>{sheet}{ground}{''.join(self._parts)}</svg>"

    def _add(self, start: str, tip: str) -> None:
        name = start[1 : start.index(" ")]
        self._parts.append(f"{start}><title>{plain(tip)}</title></{name}>" if tip else f"{start}/>")


def _points(points: list[tuple[float, float]]) -> str:
    return " ".join(f"{_number(x)},{_number(y)}" for x, y in points)


def _number(value: float) -> str:
    return f"{value:.1f}".rstrip("0").rstrip(".")
