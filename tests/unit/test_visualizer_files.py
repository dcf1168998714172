"""Pictures as files: PNG, SVG and pages; that they show something, open without a network, and run nothing of a stranger's."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache, cached_property
from pathlib import Path

import networkx
import numpy as np
import pytest
from PIL import Image

from pangea.compute import visualize
from pangea.compute.engine.files import new_file
from pangea.compute.errors import OutputError, PictureError
from pangea.compute.pictures import Picture
from pangea.compute.pictures.values import page, scripts, theme
from pangea.compute.pictures.values.drawings import Chart
from tests.examples import first, long
from tests.pictures import EVIL, Page, colours_of, dots_of, text_of_svg

STRIPES = np.tile(np.array([[0, 255]], np.uint8), (40, 20))

EACH: dict[str, Callable[[], Picture]] = {
    "bar": lambda: visualize({EVIL: 3, "b": 1}, title=EVIL, unit=EVIL, x_label=EVIL),
    "line": lambda: visualize({EVIL: [1, 2, 3], "b": [2.0, 5.0, 1.0]}, "line", title=EVIL),
    "scatter": lambda: visualize({EVIL: [1, 2], "b": [2.0, 5.0], "c": [EVIL, "d"]}, "scatter", color="c", title=EVIL),
    "histogram": lambda: visualize(np.arange(300), title=EVIL, x_label=EVIL, unit=EVIL),
    "heatmap": lambda: visualize({"row": [EVIL, "b"], EVIL: [1, 2]}, "heatmap", title=EVIL),
    "a large heatmap": lambda: visualize(np.arange(10_000.0).reshape(100, 100), title=EVIL, x_label=EVIL, unit=EVIL),
    "image": lambda: visualize(STRIPES, title=EVIL),
    "images": lambda: visualize(np.arange(72.0).reshape(2, 6, 6), labels=[EVIL, "b"], title=EVIL),
    "table": lambda: visualize({EVIL: [EVIL, "b"], "n": [1.5, 2]}, "table", title=EVIL),
    "graph": lambda: visualize(networkx.DiGraph([(EVIL, "b")]), title=EVIL),
    "coefficients": lambda: visualize({"coefficients": {EVIL: 1, "b": -2}}, title=EVIL, x_label=EVIL),
    "clusters": lambda: visualize({"centroids": [[1, 2]], "points": [[1, 2], [2, 3]], "names": [EVIL, "b"]}, title=EVIL),
    "confusion": lambda: visualize({"confusion": [[3, 1], [0, 4]], "labels": [EVIL, "b"]}, title=EVIL),
}


class Drawn:
    """One of the pictures, drawn once for all tests."""

    def __init__(self, name: str) -> None:
        self.again, self._picture = EACH[name], EACH[name]()
        self.spec = self._picture.spec

    @cached_property
    def png(self) -> bytes:
        return self._picture.png(1)

    @cached_property
    def svg(self) -> str:
        return self._picture.svg()

    @cached_property
    def html(self) -> str:
        return self._picture.html()

    @cached_property
    def fragment(self) -> str:
        return self._picture.fragment()


#: Charts of marks that others have, too.
ALIKE = ("line", "scatter", "histogram", "heatmap", "images", "coefficients", "clusters", "confusion")


#: One of each kind of drawing, of which the PNG comes in its own way.
DRAWINGS = ("bar", "a large heatmap", "image")


@cache
def drawn(name: str) -> Drawn:
    return Drawn(name)


@pytest.fixture(params=[*(name for name in EACH if name not in ALIKE), *long(*ALIKE)])
def picture(request: pytest.FixtureRequest) -> Drawn:
    return drawn(request.param)


def test_a_png_is_one_and_shows_something(picture: Drawn) -> None:
    dots = dots_of(picture.png)

    assert dots.shape[0] > 100
    assert dots.shape[1] > 100
    assert dots.std() > 5
    assert colours_of(picture.png) > 8
    assert (dots[0] == 255).all(), "the paper is white, also where the page is dark"


@pytest.mark.parametrize("name", first(1, DRAWINGS))
def test_the_scale_is_dots_per_pixel(name: str) -> None:
    small, large = (dots_of(png).shape[:2] for png in (drawn(name).png, EACH[name]().png(3)))
    assert np.allclose(np.array(large), 3 * np.array(small), atol=4)


def test_an_svg_is_well_formed_and_its_letters_are_letters(picture: Drawn) -> None:
    svg = picture.svg

    letters = text_of_svg(svg)
    assert "<script>alert('x')</script>" in letters
    assert "<script" not in svg
    assert not {"\x00", "\x1b", "\u202e"} & set(svg)


def test_what_was_left_out_is_said_in_the_picture_with_a_title_and_without() -> None:
    few = {f"word {index}": index for index in range(40)}

    for title in (None, "Words"):
        letters = text_of_svg(visualize(few, title=title).svg())
        assert "The largest 20 are shown, and 20 more are not." in letters
        assert ("Words" in letters) is bool(title)
    assert "One dot of 3 x 3, of 5,000 x 30." in text_of_svg(visualize(np.zeros((30, 5000), np.uint8)).svg())
    assert "The first 20 rows of 40." in text_of_svg(visualize(few, "table").svg())


def test_a_legend_shows_the_dashes_that_tell_lines_apart() -> None:
    picture = visualize({"x": [1, 2], "a": [1.0, 2.0], "b": [3.0, 4.0]}, "line", x="x", y=["a", "b"])
    legend = picture.svg().partition('role-legend"')[2]

    assert legend.count("role-legend-symbol") == 2
    for colour, dash in zip(theme.PALETTE[:2], ("1,0", "6,3"), strict=True):
        assert f'stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}"' in legend


def test_a_page_asks_the_network_for_nothing_and_runs_nothing_but_its_own_script(picture: Drawn) -> None:
    shown = Page(picture.html)

    assert all(load.startswith("data:image/") for load in shown.loads), shown.loads
    assert shown.handlers == []
    assert not {"link", "iframe", "object", "embed", "base", "form"} & set(shown.tags)
    assert shown.policy.startswith("default-src 'none'; script-src ")
    assert "unsafe-eval" not in shown.policy
    assert shown.policy.count("unsafe-inline") == 1, "of style alone"
    assert not any("alert(" in script for script in shown.scripts[1:])
    if picture.spec is None:
        assert shown.scripts == []
        assert "script-src 'none'" in shown.policy
    else:
        assert len(shown.scripts) == 2
        assert json.loads(shown.scripts[0]) == picture.spec
        assert shown.scripts[1] == page._script()
        assert page._digest(shown.scripts[1]) in shown.policy


def test_a_fragment_runs_nothing(picture: Drawn) -> None:
    shown = Page(picture.fragment)

    assert shown.scripts == []
    assert shown.handlers == []
    assert set(shown.tags) <= {"img", "table", "caption", "b", "thead", "tbody", "tr", "th", "td"}


def test_a_table_is_a_table_in_pages() -> None:
    html = visualize({"a": ["x", None], "n": [1.5, -20000.0]}, "table", title="T").html()

    assert "<th style='text-align:right'>n</th>" in html
    assert "<td style='text-align:right'>\N{MINUS SIGN}20,000.0</td>" in html
    assert "<td style='text-align:left'>–</td>" in html


def test_save_writes_what_the_name_says(tmp_path: Path) -> None:
    picture = visualize({"a": 1, "b": 2})

    for name, start in (("x.png", b"\x89PNG"), ("x.SVG", b"<svg"), ("x.html", b"<!DOCTYPE html>")):
        assert picture.save(tmp_path / name) == tmp_path / name
        assert (tmp_path / name).read_bytes().startswith(start)
    with pytest.raises(PictureError, match=r"can't become 'x.gif': its name must end in .png, .svg, .html"):
        picture.save(tmp_path / "x.gif")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.SVG", "x.html", "x.png"]


def test_a_picture_that_cannot_be_written_says_where(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"can't be written to .*no-folder"):
        visualize({"a": 1}).save(tmp_path / "no-folder" / "x.png")


def test_notebooks_are_given_html_and_png() -> None:
    picture = visualize({"a": 1, "b": 2}, title="T")

    bundle = picture._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html", "image/png"}
    assert bundle["text/html"].startswith('<img alt="T: value by name; largest is b with 2" src="data:image/svg+xml;base64,')
    assert bundle["text/plain"] == "<Picture bar: T: value by name; largest is b with 2>"
    assert set(picture._repr_mimebundle_(include=["image/png"])) == {"image/png"}
    assert picture._repr_png_().startswith(b"\x89PNG")


def test_the_same_value_is_the_same_file(picture: Drawn) -> None:
    assert picture.svg == picture.again().svg()


@pytest.mark.parametrize("name", first(1, DRAWINGS))
def test_the_same_value_is_the_same_png(name: str) -> None:
    assert drawn(name).png == EACH[name]().png(1)


def test_an_image_s_dots_are_the_value_s() -> None:
    dots = dots_of(visualize(STRIPES).png(1))
    middle = dots[dots.shape[0] // 2, 14:-14, 0]

    assert set(np.unique(middle)) == {0, 255}
    assert abs(np.count_nonzero(np.diff(middle)) - 39) <= 1


def test_a_large_heat_map_shows_where_the_amounts_are() -> None:
    values = np.zeros((400, 2000))
    values[:200, :1000] = 1.0
    dots = dots_of(visualize(values).png(1))
    top_left, bottom_right = dots[60, 200], dots[100, 500]

    assert top_left[1] > 200, "the lightest of viridis"
    assert bottom_right[1] < 60, "the darkest"


def test_the_script_is_made_once_and_again_if_its_file_is_not_whole(tmp_path: Path) -> None:
    class Converter:
        made = 0

        def javascript_bundle(self, _: str) -> str:
            self.made += 1
            return "let ä = 1;\n"

    converter, path = Converter(), tmp_path / "vega.js"
    assert [scripts.kept(path, converter) for _ in range(3)] == ["let ä = 1;\n"] * 3
    assert converter.made == 1

    whole = path.read_bytes()
    for broken in (whole[:-1], whole.replace(b"1", b"2"), b""):
        with new_file(path, 0o600) as file:
            file.write(broken)
        assert scripts.kept(path, converter) == "let ä = 1;\n"
    assert converter.made == 4
    assert scripts.kept(tmp_path / "no-folder" / "vega.js", converter) == "let ä = 1;\n"


_SERVER = """
class Server(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        print(self.path, flush=True)
        self.send_response(404)
        self.end_headers()
    def log_message(self, *_): pass
server = http.server.HTTPServer(("127.0.0.1", 0), Server)
print(server.server_port, flush=True)
server.serve_forever()
"""


class Server:
    """A web server in a process of its own: vl-convert holds the interpreter while it draws."""

    def __init__(self) -> None:
        self._process = subprocess.Popen([sys.executable, "-c", _SERVER], stdout=subprocess.PIPE, text=True)
        assert self._process.stdout
        self.address = f"http://127.0.0.1:{self._process.stdout.readline().strip()}/values.json"

    def asked(self) -> list[str]:
        """End it, and say what it was asked for."""
        self._process.kill()
        return self._process.communicate(timeout=50)[0].split()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.asked()


def test_not_even_a_chart_with_an_address_in_it_asks_for_it(server: Server) -> None:
    encoding = {"x": {"field": "a", "type": "quantitative"}}
    data = Chart({"data": {"url": server.address}, "mark": "bar", "encoding": encoding})
    image = Chart({"data": {"values": [{"a": 1}]}, "mark": {"type": "image", "url": server.address}, "encoding": encoding})

    for draw in (data.svg, lambda: data.png(1)):
        with pytest.raises(PictureError, match="can't be drawn"):
            draw()
    for draw in (image.svg, lambda: image.png(1)):
        with pytest.raises(PictureError, match="would load http"):
            draw()
    assert server.asked() == []


def test_a_large_image_is_thinned_not_refused() -> None:
    image = np.zeros((30, 5000), np.uint8)
    picture = visualize(image)

    assert picture.notes == ("one dot of 3 x 3, of 5,000 x 30",)
    assert Image.open(io.BytesIO(picture.png(1))).width == 640
