"""examples/tour.ipynb, executed from start to end in a kernel of its own."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180), pytest.mark.filterwarnings("ignore::DeprecationWarning")]


_EXECUTE = """
import sys, nbformat
from nbclient import NotebookClient
notebook = nbformat.read(sys.argv[1], as_version=4)
NotebookClient(notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": "."}}).execute()
nbformat.write(notebook, sys.argv[2])
"""


def tour() -> Any:
    read: Any = nbformat.read
    return read(EXAMPLES / "tour.ipynb", as_version=4)


@pytest.mark.long
def test_the_tour_runs_and_shows_tables_and_pictures(tmp_path: Path) -> None:
    executed = tmp_path / "executed.ipynb"
    arguments = [sys.executable, "-c", _EXECUTE, str(EXAMPLES / "tour.ipynb"), str(executed)]
    subprocess.run(arguments, cwd=tmp_path, check=True, timeout=150)  # a kernel's client keeps its sockets
    read: Any = nbformat.read
    notebook = read(executed, as_version=4)

    shown = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    tables = [output.data["text/html"] for output in shown if "data" in output and "text/html" in output.data]
    assert any("job row_norms" in table for table in tables)
    assert any("ran on" in table for table in tables)
    assert any("Oslo" in table for table in tables)
    assert sum("image/png" in output.data or "image/svg+xml" in output.data for output in shown if "data" in output) == 2
    assert not [output for output in shown if output.output_type == "error"]


def test_the_tour_is_kept_without_outputs() -> None:
    notebook = tour()

    assert not [cell for cell in notebook.cells if cell.get("outputs") or cell.get("execution_count")]


CELLS = [
    "from pangea.compute import Job, submit_job\nclass Mode: level = b'1'",
    "def run(function): print(submit_job(Job.from_functions(function), b'x').decode())",
    "def execute(chunk): return chunk + Mode.level\nclass Mode: level = b'2'",
    "run(execute)",
    "class Mode: level = b'3'",
    "run(execute)",
    "%%writefile part.py\nFACTOR = 7\ndef helper(x): return x * FACTOR\ndef from_a_script(chunk): return b'%d' % helper(3)",
    "%run part.py\nrun(from_a_script)",
    "%%time\ndef timed(chunk): return b'timed'",
    "run(timed)",
    "async def five(): return b'5'\nfound = await five()\ndef awaited(chunk): return found\nrun(awaited)",
    "f, g = lambda chunk: b'f', lambda chunk: b'g'\nrun(g)",
]


@pytest.mark.long
def test_cells_are_what_they_were_last(tmp_path: Path) -> None:
    """In a kernel: a cell run again, `%run`, `%%time`, a cell that awaits, lambdas on a line."""
    write: Any = nbformat.write
    notebook: Any = nbformat.v4.new_notebook()  # type: ignore[no-untyped-call]
    notebook.cells = [nbformat.v4.new_code_cell(text) for text in CELLS]  # type: ignore[no-untyped-call]
    write(notebook, tmp_path / "cells.ipynb")
    executed = tmp_path / "executed.ipynb"
    arguments = [sys.executable, "-c", _EXECUTE, str(tmp_path / "cells.ipynb"), str(executed)]
    subprocess.run(arguments, cwd=tmp_path, check=True, timeout=150)
    read: Any = nbformat.read
    said = [
        output
        for cell in read(executed, as_version=4).cells
        for output in cell.get("outputs", [])
        if output.get("name") == "stdout"
    ]
    lines = "".join(output.text for output in said).splitlines()
    assert [line for line in lines if line[:1] not in "CWO"] == ["x2", "x3", "21", "timed", "5", "g"]
