"""What a picture is made of: a Vega-Lite specification, a matplotlib figure, or an SVG; each knows how to become PNG and SVG.

Neither ever asks the network for anything: data stand in the specification, and vl-convert is forbidden every address.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from pangea.compute.client.visualizer import theme
from pangea.compute.client.visualizer.libraries import need
from pangea.compute.model.errors import PictureError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: matplotlib reads its settings from one place for all threads.
_STYLE: Final = threading.Lock()


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
        return cast("bytes", self._converted("vegalite_to_png", scale=scale))

    def svg(self) -> str:
        """The SVG document."""
        return cast("str", self._converted("vegalite_to_svg"))

    def markup(self) -> None:
        """Nothing beyond the picture."""

    def _converted(self, how: str, **more: Any) -> Any:
        try:
            return getattr(_converter(), how)(self.spec, allowed_base_urls=[], **more)
        except ValueError as error:
            raise PictureError("the chart's specification can't be drawn", hint="it is in the picture's `spec`") from error


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
        matplotlib = need("matplotlib")
        buffer = io.BytesIO()
        with _STYLE, matplotlib.rc_context(theme.matplotlib_style()):
            self.paint().savefig(buffer, format=form, dpi=dots_per_inch, metadata=metadata)
        return buffer.getvalue()


def svg_to_png(svg: str, scale: float) -> bytes:
    """An SVG document, drawn elsewhere, as a PNG file in the theme's letters, at `scale` dots per pixel."""
    png: bytes = _converter().svg_to_png(svg, scale=scale)
    return png


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
    converter = need("vl_convert")
    letters = theme.font_directory()
    if letters is not None:
        converter.register_font_directory(str(letters))
    return converter
