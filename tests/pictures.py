"""Looking at pictures: what a chart's specification says, and what a file shows."""

from __future__ import annotations

import io
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import numpy as np
from PIL import Image

from pangea.compute.pictures import Picture

#: What a stranger may call a column, a word or a title.
EVIL = "<script>alert('x')</script>\"&\x00\x1b\u202e]]>$x^$"


def spec_of(picture: Picture) -> dict[str, Any]:
    """The specification of a chart."""
    assert picture.spec is not None
    return picture.spec


def rows_of(picture: Picture, table: str = "rows") -> list[dict[str, Any]]:
    """The rows of a chart's table."""
    rows: list[dict[str, Any]] = spec_of(picture)["datasets"][table]
    return rows


def units_of(spec: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The marks of a chart, layered or not, each with its encoding."""
    if "layer" not in spec:
        yield spec
    for layer in spec.get("layer", []):
        yield from units_of(layer)


def unit_of(picture: Picture, mark: str) -> dict[str, Any]:
    """The first mark of that type."""
    return next(unit for unit in units_of(spec_of(picture)) if unit["mark"]["type"] == mark)


def marks_of(picture: Picture) -> list[str]:
    """The types of all marks."""
    return [unit["mark"]["type"] for unit in units_of(spec_of(picture))]


def dots_of(png: bytes) -> Any:
    """A PNG as an array of height x width x 3."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def colours_of(png: bytes) -> int:
    """How many colours a PNG has."""
    return len(np.unique(dots_of(png) @ [65536, 256, 1]))


def text_of_svg(svg: str) -> str:
    """The letters of an SVG, which must be well-formed."""
    return " ".join(
        " ".join(element.itertext()) for element in ElementTree.fromstring(svg).iter() if element.tag.endswith("text")
    )


class Page(HTMLParser):
    """What an HTML page loads, and the scripts that are in it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.scripts: list[str] = []
        self.handlers: list[str] = []
        self.policy = ""
        self.tags: list[str] = []
        self._in_script = False
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        given = dict(attrs)
        self.loads += [value for name, value in attrs if name in ("src", "href", "data", "srcset", "action") and value]
        self.handlers += [name for name, _ in attrs if name.startswith("on")]
        if given.get("http-equiv") == "Content-Security-Policy":
            self.policy = given["content"] or ""
        self._in_script = tag == "script"
        if self._in_script:
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self._in_script = False

    def handle_data(self, data: str) -> None:
        if self._in_script:
            self.scripts[-1] += data
