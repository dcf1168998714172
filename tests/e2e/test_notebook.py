"""examples/tour.ipynb, executed from start to end in a kernel of its own."""

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

EXAMPLES = Path(__file__).parents[2] / "examples"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180), pytest.mark.filterwarnings("ignore::DeprecationWarning")]


def tour() -> Any:
    read: Any = nbformat.read
    return read(EXAMPLES / "tour.ipynb", as_version=4)


def test_the_tour_runs_and_shows_tables_and_pictures(tmp_path: Path) -> None:
    notebook = tour()

    NotebookClient(notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()

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
