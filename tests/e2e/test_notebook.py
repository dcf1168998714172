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
