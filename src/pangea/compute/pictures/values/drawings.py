"""What a picture is made of: a Vega-Lite specification, a matplotlib figure, or an SVG; each knows how to become PNG and SVG.

Neither ever asks the network for anything: data stand in the specification, and vl-convert is forbidden every address.
"""

from __future__ import annotations

import io
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Protocol
from xml.etree import ElementTree

from pangea.compute.model.errors import PictureError
from pangea.compute.model.libraries import need
from pangea.compute.pictures.values import theme
from pangea.compute.pictures.values.wording import shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: matplotlib reads its settings from one place for all threads.
_STYLE: Final = threading.Lock()
#: Where Vega's SVG gives names to parts, and where it uses them.
_NAMED: Final = re.compile(r'id="((gradient_|clip)\d+)"')
_USED: Final = re.compile(r'(id="|url\(#)([a-z_]+\d+)("|\))')


class Drawing(Protocol):
    """Something that can be drawn."""

    @property
    def spec(self) -> dict[str, Any] | None:
        """The Vega-Lite specification, if it is one."""

    def png(self, scale: float) -> bytes:
        """The PNG, at `scale` dots per pixel."""

    def svg(self) -> str:
        """The SVG document."""

    def markup(self) -> str | None:
        """HTML that says the same better than a picture could, everything in it escaped, or None."""


@dataclass(frozen=True, slots=True)
class Chart:
    """A Vega-Lite specification.

    Attributes:
        spec: with its data and the theme in it.
    """

    spec: dict[str, Any]

    def png(self, scale: float) -> bytes:
        """The PNG, at `scale` dots per pixel."""
        return svg_to_png(self.svg(), scale)

    def svg(self) -> str:
        """The SVG document."""
        try:
            svg: str = _converter().vegalite_to_svg(self.spec, allowed_base_urls=[])
        except ValueError as error:
            raise PictureError("the chart's specification can't be drawn", hint="it is in the picture's `spec`") from error
        return _without_addresses(_renumbered(svg))

    def markup(self) -> None:
        """Nothing beyond the picture."""


@dataclass(frozen=True, slots=True)
class Canvas:
    """A matplotlib figure.

    Attributes:
        paint: makes the figure, under the theme.
    """

    paint: Callable[[], Figure]

    @property
    def spec(self) -> None:
        """None: it isn't Vega-Lite."""

    def png(self, scale: float) -> bytes:
        """The PNG, at `scale` dots per pixel."""
        return self._saved("png", 72 * scale, {"Software": None})

    def svg(self) -> str:
        """The SVG document."""
        return self._saved("svg", 72, {"Date": None, "Creator": None}).decode()

    def markup(self) -> None:
        """Nothing beyond the picture."""

    def _saved(self, form: str, dots_per_inch: float, metadata: dict[str, Any]) -> bytes:
        matplotlib = need("matplotlib", "a picture")
        buffer = io.BytesIO()
        with _STYLE, matplotlib.rc_context(theme.matplotlib_style()):
            self.paint().savefig(buffer, format=form, dpi=dots_per_inch, metadata=metadata)
        return buffer.getvalue()


def _renumbered(svg: str) -> str:
    """The names of gradients and clips counted from zero: Vega counts them on, so that the same chart was another file."""
    order = {name: f"{kind}{index}" for index, (name, kind) in enumerate(dict.fromkeys(_NAMED.findall(svg)))}
    return _USED.sub(lambda found: f"{found[1]}{order.get(found[2], found[2])}{found[3]}", svg)


def svg_to_png(svg: str, scale: float) -> bytes:
    """An SVG document, drawn elsewhere, as a PNG file in the theme's letters, at `scale` dots per pixel."""
    png: bytes = _converter().svg_to_png(_without_addresses(svg), scale=scale)
    return png


def _without_addresses(svg: str) -> str:
    """The SVG itself: an image in it that isn't part of it would be fetched, here by vl-convert, or by whoever opens it.

    vl-convert's `allowed_base_urls` is about data alone.
    """
    if "<image" in svg:
        for element in ElementTree.fromstring(svg).iter():  # noqa: S314  # vl-convert wrote it, or we did
            for name, value in element.attrib.items():
                if name.endswith("href") and not value.startswith(("data:", "#")):
                    raise PictureError(f"the picture would load {shown(value)}", hint="pictures have everything in them")
    return svg


@dataclass(frozen=True, slots=True)
class Sheet:
    """An SVG of our own.

    Attributes:
        document: the SVG.
        rows: HTML that stands for it in pages, or None.
    """

    document: str
    rows: str | None = None

    @property
    def spec(self) -> None:
        """None: it isn't Vega-Lite."""

    def png(self, scale: float) -> bytes:
        """The PNG, at `scale` dots per pixel."""
        return svg_to_png(self.document, scale)

    def svg(self) -> str:
        """The SVG document."""
        return self.document

    def markup(self) -> str | None:
        """What stands for it in pages."""
        return self.rows


@cache
def _converter() -> Any:
    """vl-convert, with the letters of the theme."""
    converter = need("vl_convert", "a picture")
    letters = theme.font_directory()
    if letters is not None:
        converter.register_font_directory(str(letters))
    return converter
