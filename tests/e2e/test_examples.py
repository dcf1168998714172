"""Examples on real data: each ends by checking itself, and draws a picture."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from docs.make_pictures import EXAMPLES, PAGE, RUN, SHOWN, about

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
PNG = b"\x89PNG\r\n\x1a\n"
SMALL = {"mandelbrot": ["--width", "90", "--height", "60"]}


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *command], capture_output=True, text=True, timeout=150, check=False)


@pytest.mark.long  # each loads what draws it, and the library it is compared with
@pytest.mark.parametrize("name", [each.name for each in SHOWN])
def test_an_example_agrees_with_the_library_it_names_and_draws(name: str, tmp_path: Path) -> None:
    picture = tmp_path / "picture.png"

    done = run(str(EXAMPLES / f"{name}.py"), *SMALL.get(name, []), "--plot", str(picture))

    assert done.returncode == 0, done.stdout + done.stderr
    assert "equal to" in done.stdout or "pixels are NumPy's" in done.stdout
    assert "NOT" not in done.stdout
    assert picture.read_bytes().startswith(PNG)


def test_matrices_are_multiplied_as_numpy_does() -> None:
    done = run(str(EXAMPLES / "matrix_multiply.py"), "--size", "64")

    assert done.returncode == 0, done.stderr
    assert "equal to NumPy's product of the same 64 x 64 matrices" in done.stdout


def test_the_page_shows_every_example_and_its_pictures_are_there() -> None:
    page = PAGE.read_text(encoding="utf-8")

    for shown in SHOWN:
        assert about(shown.name) in page, "docs/pictures.md is out of date: run `make docs-pictures`"
        assert shown.command in page
        assert shown.picture.read_bytes().startswith(PNG)
    for what in RUN:
        assert (PAGE.with_name("pictures") / f"run_{what}.png").read_bytes().startswith(PNG)


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("mandelbrot_kernel", ["--width", "90", "--height", "60"], "pixels are NumPy's"),
        ("monte_carlo_kernel", ["--darts", "9000000"], "3.14"),
    ],
)
def test_kernels_are_built_and_check_themselves(name: str, options: list[str], said: str) -> None:
    pytest.importorskip("numba", reason="no numba: pip install 'pangea-compute[kernels]'")
    done = run(
        "-m", "pangea.compute.cli.main", "run", str(EXAMPLES / f"{name}.py"), *options, "--verify", "--output", "/dev/null"
    )
    assert done.returncode == 0, done.stderr
    assert "verified" in done.stderr
    assert said in done.stderr
