"""Pages of pictures in a browser: they draw themselves with no network, and what a stranger wrote stays text."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.examples import first
from tests.pictures import EVIL
from tests.unit.test_visualizer_files import EACH

from pangea.compute.pictures import Picture

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(120),
    pytest.mark.skipif(BROWSER is None, reason="pages are opened with chromium (apt-get install chromium)"),
]
#: Those that a script draws; the others are images in their pages.
CHARTS = sorted(EACH.keys() - {"a large heatmap", "image", "images", "table"})


@pytest.fixture(scope="module", autouse=True)
def converter() -> None:
    """Charts are drawn by a library that keeps its own runtime for the life of the process: no test's leak."""
    EACH["bar"]().html()


def opened(html: str, folder: Path) -> tuple[str, str]:
    """What has become of a page once its scripts ran, and what the browser had to say; names lead nowhere."""
    assert BROWSER
    (folder / "page.html").write_text(html, encoding="utf-8")
    command = [
        BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
        f"--user-data-dir={folder / 'browser'}",
        "--host-resolver-rules=MAP * ~NOTFOUND", "--virtual-time-budget=5000", "--dump-dom", f"file://{folder / 'page.html'}",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=100)
    return done.stdout, "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)


@pytest.mark.long
@pytest.mark.parametrize("name", first(1, CHARTS))
def test_a_chart_draws_itself_with_no_network(name: str, tmp_path: Path) -> None:
    dom, said = opened(EACH[name]().html(), tmp_path)

    assert 'data-live="yes"' in dom
    assert 'class="marks"' in dom
    assert said == ""
    assert "<script>alert" not in dom


def attacks() -> dict[str, Callable[[str], str]]:
    """Ways in which a stranger's script might get into a page, were it not for the rule that each stands for."""
    return {
        "a script of its own": lambda html: html.replace("<body>", "<body><script>document.title = 'taken'</script>", 1),
        "a handler": lambda html: html.replace("<body>", "<body><img src='data:,' onerror=\"document.title = 'taken'\">", 1),
    }


@pytest.mark.parametrize("attack", first(1, attacks()))
def test_a_script_that_got_into_a_page_does_not_run(attack: str, tmp_path: Path) -> None:
    html = attacks()[attack](EACH["bar"]().html())

    dom, said = opened(html, tmp_path)

    assert "<title>taken</title>" not in dom
    assert "violates the following Content Security Policy" in said
    assert 'data-live="yes"' in dom
    assert "<title>taken</title>" in opened(html.replace("Content-Security-Policy", "x-none"), tmp_path)[0]


@pytest.mark.long
def test_where_the_chart_cannot_be_drawn_its_picture_stays(tmp_path: Path) -> None:
    picture: Picture = EACH["bar"]()
    broken = picture.html().replace('"mark"', '"no-mark"')

    dom, _ = opened(broken, tmp_path)

    assert 'data-live="yes"' not in dom
    assert dom.partition("<figure")[2].partition("</figure>")[0].count('<img alt="') == 1
    assert EVIL not in dom
