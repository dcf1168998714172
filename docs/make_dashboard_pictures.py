"""Takes the pictures of docs/dashboard.md anew (`make docs-dashboard`): a devnet with a liar in it, its page in Chromium.

Nothing is made up: the jobs run, one fails, the liar lies and is banned, and what is on the page then is what is taken.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import Page, sync_playwright

PICTURES = Path(__file__).parent / "pictures"
PANGEA = str(Path(sys.executable).with_name("pangea"))
_WIDTH, _HEIGHT = 1180, 930
_SECONDS_MAX = 300
#: How far a job is when the overview is taken: its curve has a past.
_PERCENT = 40
#: Enough work that the tree is asked for help; at `FAULT` it fails.
_JOB = """
from pangea.compute import Job

@Job.define
def NAME():
    @Job.split
    def split(data: bytes) -> list[bytes]:
        return data.split()

    @Job.execute
    def execute(chunk: bytes) -> bytes:
        total = 0
        for step in range(200_000):
            total = (total * 31 + int(chunk) * step) % (1_000_003 FAULT)
        return str(total).encode()

    @Job.merge
    def merge(results: list[bytes]) -> bytes:
        return b",".join(results)
"""


@contextmanager
def devnet(folder: Path) -> Iterator[tuple[str, str]]:
    """Seven nodes, one of which answers at random: the address of node 0 and its page's."""
    command = [PANGEA, "devnet", "--nodes", "7", "--liar", "random:1", "--dashboard"]
    with open(folder / "said", "w+") as said:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=said, text=True, env=os.environ | {"TMPDIR": str(folder)}
        )
        try:
            assert process.stdout is not None
            node = process.stdout.readline().strip().partition("=")[2]
            yield node, _page_in(folder / "said")
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(_SECONDS_MAX)


def _page_in(said: Path) -> str:
    found = re.search(r"http://\S+", said.read_text())
    if found is None:
        raise SystemExit(f"the devnet doesn't say where its page is:\n{said.read_text()}")
    return found[0]


def begin(folder: Path, node: str, name: str, fault: str = "") -> subprocess.Popen[bytes]:
    """A job of that name on the devnet."""
    (folder / f"{name}.py").write_text(_JOB.replace("NAME", name).replace("FAULT", fault))
    (folder / "numbers.txt").write_text("\n".join(map(str, range(1, 401))))
    command = [PANGEA, "run", str(folder / f"{name}.py"), "--input", str(folder / "numbers.txt"), "--quiet", "--node", node]
    return subprocess.Popen([*command, "--estimated-flops", "1e13"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def take(page: Page, scheme: str) -> None:
    """The page as it is, in light or in dark."""
    page.screenshot(path=PICTURES / f"dashboard_{scheme}.png")


def main() -> None:
    """Take both pictures."""
    program = next((found for name in ("chromium", "google-chrome") if (found := shutil.which(name))), None)
    if program is None:
        raise SystemExit("no Chromium: apt-get install chromium")
    with TemporaryDirectory() as temporary, devnet(Path(temporary)) as (node, address), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        light, dark = (
            browser.new_context(color_scheme=scheme, viewport={"width": _WIDTH, "height": _HEIGHT}).new_page()
            for scheme in ("light", "dark")
        )
        light.set_default_timeout(1000 * _SECONDS_MAX)
        light.goto(address)
        begin(Path(temporary), node, "broken_sums", "* (100_000 - step)").wait(_SECONDS_MAX)
        running = begin(Path(temporary), node, "heavy_sums")
        light.wait_for_selector("#failures :text('broken_sums')")
        light.wait_for_selector("#running :text('heavy_sums')")
        while int(light.locator("#running progress").first.get_attribute("value") or 0) <= _PERCENT:
            light.wait_for_timeout(500)
        take(light, "light")
        running.wait(_SECONDS_MAX)
        dark.goto(f"{address.rstrip('/')}/jobs?state=complete")
        dark.click("a:has-text('heavy_sums')")
        dark.wait_for_selector("#bans .banned, :text('Who was banned')")
        take(dark, "dark")
        browser.close()


if __name__ == "__main__":
    main()
