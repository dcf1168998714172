"""Makes docs/pictures.md and its pictures from the examples (`make docs-pictures`): each is run, and has to check itself first.

What stands on the page is what the example says it is, what it printed, and what it drew.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).parent
EXAMPLES = DOCS.parent / "examples"
PICTURES = DOCS / "pictures"
PAGE = DOCS / "pictures.md"
_SECONDS_MAX = 600


@dataclass(frozen=True, slots=True)
class Shown:
    """An example on the page.

    Attributes:
        name: of its file.
        arguments: beside `--plot`.
    """

    name: str
    arguments: tuple[str, ...] = ()

    @property
    def picture(self) -> Path:
        """What it draws."""
        return PICTURES / f"{self.name}.png"

    @property
    def command(self) -> str:
        """How a user runs it."""
        return " ".join(["python", f"examples/{self.name}.py", *self.arguments, "--plot", f"{self.name}.png"])


SHOWN = (
    Shown("digits_kmeans"),
    Shown("pca"),
    Shown("weather_by_kind"),
    Shown("diabetes_regression"),
    Shown("cancer_diagnosis"),
    Shown("word_frequencies"),
    Shown("mandelbrot"),
)
#: Pictures of a run: what `--plot` of `pangea run` is told.
RUN = ("tree", "timeline", "throughput", "fuel")
RUN_COMMAND = ("run", "examples/matrix_multiply.py", "--size", "256", "--quiet", "--output", "product.npy")
_INTRODUCTION = """\
# Pictures

Made by `make docs-pictures` from the examples, which check themselves against scikit-learn, pandas or NumPy before anything is
drawn: so this page can't show what the code doesn't do. How pictures are chosen and which kinds there are:
[visualizer.md](visualizer.md).
"""


def main() -> None:
    """Run the examples, draw, write the page.

    Raises:
        SystemExit: an example failed, or found a difference.
    """
    PICTURES.mkdir(exist_ok=True)
    sections = [_section(shown, _printed(shown)) for shown in SHOWN]
    _draw_run()
    PAGE.write_text("\n".join([_INTRODUCTION, *sections, _run_section()]), encoding="utf-8")


def about(name: str) -> str:
    """The first sentence of an example's docstring."""
    text = ast.get_docstring(ast.parse((EXAMPLES / f"{name}.py").read_text(encoding="utf-8"))) or ""
    return text.partition("\n\n")[0].replace("\n", " ")


def _printed(shown: Shown) -> str:
    command = [sys.executable, str(EXAMPLES / f"{shown.name}.py"), *shown.arguments, "--plot", str(shown.picture)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS_MAX, check=False)
    if done.returncode:
        raise SystemExit(f"{shown.name} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def _section(shown: Shown, printed: str) -> str:
    lines = [line.rstrip() for line in printed.splitlines()]
    timed = next((index for index, line in enumerate(lines) if " chunks in " in line and " fuel" in line), len(lines))
    output = "\n".join(f"    {line}".rstrip() for line in lines[:timed])  # times differ from run to run
    return f"## {about(shown.name)}\n\n    {shown.command}\n\n{output}\n\n![{shown.name}](pictures/{shown.picture.name})\n"


def _draw_run() -> None:
    plots = [argument for what in RUN for argument in ("--plot", f"{what}:{PICTURES / f'run_{what}.png'}")]
    pangea = Path(sys.executable).with_name("pangea")
    command = [str(pangea), *RUN_COMMAND[:-1], "/dev/null", *plots]
    done = subprocess.run(command, cwd=DOCS.parent, capture_output=True, text=True, timeout=_SECONDS_MAX, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr}")


def _run_section() -> str:
    pictures = "\n\n".join(f"![{what} of a run](pictures/run_{what}.png)" for what in RUN)
    command = " ".join(["pangea", *RUN_COMMAND, *(f"--plot {what}.png" for what in RUN)])
    return f"## A run itself\n\n    {command}\n\nor all of it on one page: `--report report.html`.\n\n{pictures}\n"


if __name__ == "__main__":
    main()
