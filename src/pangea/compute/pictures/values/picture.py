"""A picture: in a notebook it shows itself, `save` makes it a file."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from pangea.compute.engine.files import write_file
from pangea.compute.model.errors import OutputError, PictureError
from pangea.compute.pictures.values import page, theme
from pangea.compute.pictures.values.drawings import Drawing

#: Endings of files that a picture can become.
ENDINGS: Final = (".png", ".svg", ".html")
#: A larger SVG is shown as PNG in pages: drawing it would take a browser longer than loading the dots.
_SVG_BYTES_MAX: Final = 2_000_000


class Picture:
    """Something drawn, as PNG, SVG and HTML.

    Attributes:
        kind: what sort of picture: "bar", "heatmap", ...
        title: its title, or "".
        alt: what it shows, in words, for who can't see it.
        notes: what was left out or put together so that it can be read, one sentence each.
    """

    def __init__(self, drawing: Drawing, *, kind: str, title: str = "", alt: str = "", notes: tuple[str, ...] = ()) -> None:
        """Make a picture of `drawing`."""
        self.kind = kind
        self.title = title
        self.alt: str = alt or title or kind
        self.notes = notes
        self._drawing = drawing

    @property
    def spec(self) -> dict[str, Any] | None:
        """The Vega-Lite specification with its data, where the picture is made from one; `altair.Chart.from_dict` takes it."""
        return self._drawing.spec

    def png(self, scale: float = theme.SCALE) -> bytes:
        """The picture as a PNG file, at `scale` dots per pixel.

        Raises:
            UnavailableError: a library is missing.
        """
        return self._drawing.png(scale)

    def svg(self) -> str:
        """The picture as an SVG document, with its letters as text.

        Raises:
            UnavailableError: a library is missing.
        """
        return self._drawing.svg()

    def html(self) -> str:
        """The picture as one HTML file that opens with no network; charts answer to the pointer.

        Raises:
            UnavailableError: a library is missing.
        """
        if self.spec is None:
            return page.document(self.title or self.kind, f"<figure>{self.fragment()}</figure>")
        return page.document(self.title or self.kind, page.figure("chart", self.fragment()), {"chart": self.spec})

    def fragment(self) -> str:
        """The picture as a piece of HTML for a page, without scripts: an `img` with its content in it, or a table."""
        return self._drawing.markup() or self._image()

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the picture to a file; the ending of its name says as what.

        Returns:
            The file's path.

        Raises:
            PictureError: the name ends in none of .png, .svg and .html.
            OutputError: it can't be written; an older file at `path` is as it was.
            UnavailableError: a library is missing.
        """
        place = Path(path)
        check_ending(place)
        ending = place.suffix.lower()
        data = self.png() if ending == ".png" else (self.svg() if ending == ".svg" else self.html()).encode()
        try:
            write_file(place, data)
        except OSError as error:
            raise OutputError(f"the picture can't be written to {place}: {error.strerror or error}") from error
        return place

    def _image(self) -> str:
        svg = self.svg().encode()
        if len(svg) <= _SVG_BYTES_MAX:
            return page.image(svg, "image/svg+xml", self.alt)
        return page.image(self.png(), "image/png", self.alt)

    def _repr_html_(self) -> str:
        return self.fragment()

    def _repr_png_(self) -> bytes:
        return self.png()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        makers: dict[str, Callable[[], Any]] = {"text/plain": self.__repr__, "text/html": self.fragment, "image/png": self.png}
        wanted = [name for name in makers if (not include or name in include) and name not in (exclude or ())]
        return {name: makers[name]() for name in wanted}

    def __repr__(self) -> str:
        return f"<Picture {self.kind}: {self.alt}>"


def check_ending(path: Path) -> None:
    """Find out before anything is drawn whether a picture can become a file of this name.

    Raises:
        PictureError: it ends in none of .png, .svg and .html.
    """
    if path.suffix.lower() not in ENDINGS:
        raise PictureError(
            f"a picture can't become {path.name!r}: its name must end in {', '.join(ENDINGS)}", hint=f"such as {path.stem}.png"
        )
