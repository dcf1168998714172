"""How all pictures look: colours, letters and sizes, once for Vega-Lite and once for matplotlib.

The colours tell apart what they colour for eyes of every kind; where it matters they aren't alone: lines have dashes and
points have shapes, too. The letters are DejaVu Sans, which comes with matplotlib, so a picture is laid out alike on every
machine; where an SVG is opened without it, Verdana has nearly the same widths.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

#: Categories, in the order in which they are given out. Yellow is left out: on white it can't be seen.
#: Source: M. Okabe, K. Ito, Color Universal Design (2008), https://jfly.uni-koeln.de/color/.
PALETTE: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MAIN: Final = PALETTE[0]
#: What is singled out from the rest: a fault, the largest, a centre.
ACCENT: Final = PALETTE[1]
#: What is set back: the rest, links between nodes.
QUIET: Final = "#999999"

#: Amounts: each step lighter, so that it reads in grey and for every eye.
AMOUNTS: Final = "viridis"
#: A place where an amount is missing: a grey that is none of the colours for amounts.
MISSING: Final = "#B4B4B4"
#: Shares of a whole, from none to all.
SHARES: Final = ("#FFFFFF", "#0072B2")
#: Amounts on both sides of zero, by Vega's name and by matplotlib's: the same colours, violet below and orange above.
SIGNED: Final = "purpleorange"
SIGNED_MATPLOTLIB: Final = "PuOr_r"

INK, INK_QUIET, GRID, PAPER = "#222222", "#5F5F5F", "#E3E3E3", "#FFFFFF"
FONTS: Final = ("DejaVu Sans", "Verdana")
FONT: Final = ", ".join((*FONTS, "sans-serif"))

#: Pixels at scale 1.
TEXT, TITLE, SMALL = 12, 16, 11
WIDTH, HEIGHT = 640, 360
LABEL_WIDTH: Final = 240
#: Dots per pixel of a PNG, so that it is sharp on paper and on dense screens.
SCALE: Final = 2.0

#: Dashes and shapes that go with the colours, in the same order.
DASHES: Final = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [1, 3], [12, 4], [4, 1])
SHAPES: Final = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-right")


def vega_config() -> dict[str, Any]:
    """The look as the `config` of a Vega-Lite specification."""
    return {
        "background": PAPER,
        "padding": 12,
        "font": FONT,
        "view": {"stroke": None, "continuousWidth": WIDTH, "continuousHeight": HEIGHT},
        "title": {
            "anchor": "start", "frame": "group", "offset": 10, "color": INK, "fontSize": TITLE, "fontWeight": "bold",
            "subtitleColor": INK_QUIET, "subtitleFontSize": SMALL, "subtitlePadding": 6,
        },
        "axis": {
            "labelColor": INK, "titleColor": INK, "labelFontSize": TEXT, "titleFontSize": TEXT, "titleFontWeight": "normal",
            "titlePadding": 10, "labelLimit": LABEL_WIDTH, "maxExtent": LABEL_WIDTH + 60, "labelOverlap": "greedy",
            "gridColor": GRID, "domainColor": QUIET, "tickColor": QUIET, "tickCount": 6,
        },
        "legend": {
            "labelColor": INK, "titleColor": INK, "labelFontSize": TEXT, "titleFontSize": TEXT, "titleFontWeight": "normal",
            "labelLimit": LABEL_WIDTH, "symbolSize": 90, "symbolStrokeWidth": 2,
        },
        "range": {
            "category": list(PALETTE), "symbol": list(SHAPES), "heatmap": {"scheme": AMOUNTS}, "ramp": {"scheme": AMOUNTS},
        },
        "bar": {"color": MAIN},
        "line": {"color": MAIN, "strokeWidth": 2},
        "area": {"color": MAIN},
        "point": {"color": MAIN, "size": 36, "filled": True, "opacity": 0.75},
        "rule": {"color": INK_QUIET},
        "text": {"color": INK, "fontSize": SMALL},
    }  # fmt: skip


def matplotlib_style() -> dict[str, Any]:
    """The look as matplotlib's settings, for `matplotlib.rc_context`; its points are our pixels."""
    return {
        "font.family": "sans-serif",
        "font.sans-serif": list(FONTS),
        "font.size": TEXT,
        "text.color": INK,
        "text.parse_math": False,  # a stranger's "$" is a dollar
        "axes.titlesize": TEXT,
        "axes.labelcolor": INK,
        "axes.edgecolor": QUIET,
        "axes.facecolor": PAPER,
        "figure.facecolor": PAPER,
        "figure.dpi": 72,
        "savefig.facecolor": PAPER,
        "xtick.color": QUIET,
        "xtick.labelcolor": INK,
        "ytick.color": QUIET,
        "ytick.labelcolor": INK,
        "image.cmap": AMOUNTS,
        "svg.fonttype": "none",  # letters stay letters: to read, to search, to copy
        "svg.hashsalt": "pangea-compute",  # the same picture is the same file
    }


@cache
def font_directory() -> Path | None:
    """Where matplotlib keeps the letters it comes with; found without loading it."""
    found = find_spec("matplotlib")
    if found is None or found.origin is None:
        return None
    place = Path(found.origin).parent / "mpl-data" / "fonts" / "ttf"
    return place if place.is_dir() else None
