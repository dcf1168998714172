"""Heavy libraries are loaded when there is something for them to read, and missed in words."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.examples import first, spread

HEAVY = ["numpy", "pandas", "pyarrow", "polars", "narwhals", "fsspec", "matplotlib", "altair"]


def loaded_by(program: str, *arguments: str) -> list[str]:
    """Which of the heavy libraries a program has loaded at its end."""
    ending = f"\nimport sys; print(*[name for name in {HEAVY} if name in sys.modules])"
    command = [sys.executable, "-c", program + ending, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.split()


STATUS = "pangea.compute.model.status"
LEAN = [
    *("cryptography", "importlib.metadata", "email", "prometheus_client", "rich", "ssl"),
    *("pangea.compute.cli.devnet", "pangea.compute.kernels.chunks", STATUS, "pangea.compute.pictures.values.kinds"),
]


@pytest.mark.parametrize(
    ("program", "needed"),
    first(
        2,
        [
            ("import pangea.compute.engine.worker", set()),
            ("import pangea.compute.cli.main, pangea.compute.cli.run, pangea.compute.client.submission.submit", set()),
            ("from pangea.compute import Job", set()),
            ("import pangea.compute.cli.main, pangea.compute.cli.job, pangea.compute.client.clients.client", {"ssl", STATUS}),
        ],
    ),
)
def test_a_start_loads_nothing_that_costs_time_and_is_for_others(program: str, needed: set[str]) -> None:
    ending = f"\nimport sys; print(*[name for name in {LEAN} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program + ending], capture_output=True, text=True, check=True, timeout=60)
    assert set(done.stdout.split()) <= needed


PREPARE = """
import sys
from pangea.compute.inputs.preprocessor import prepare_input
from pangea.compute.inputs.cutting import cut
from pangea.compute.model.options import JobOptions
def prepare(value, kind, strategy="custom"):
    options = JobOptions.of({"split_strategy": strategy})
    with prepare_input(value, kind, options) as inputs:
        return [bytes(segment) for segment in cut(inputs, options, custom_max=1 << 30)]
"""


def test_the_package_loads_none() -> None:
    names = "import pangea.compute\nfor name in pangea.compute.__all__: getattr(pangea.compute, name)"
    assert loaded_by("import pangea.compute") == []
    assert loaded_by(names.replace("import pangea.compute", "import pangea.compute, pangea.compute.inputs.preprocessor", 1)) == []


def test_bytes_text_and_json_need_none(tmp_path: Path) -> None:
    (tmp_path / "x.txt.gz").write_bytes(__import__("gzip").compress(b"text"))
    program = "prepare(b'x', 'bytes'); prepare(sys.argv[1], 'text'); prepare({'a': 1}, 'json'); prepare([1], 'jsonl')"
    assert loaded_by(PREPARE + program, str(tmp_path / "x.txt.gz")) == []


def test_npy_files_need_none(tmp_path: Path) -> None:
    import numpy as np

    np.savez(tmp_path / "x.npz", a=np.arange(3))
    np.save(tmp_path / "x.npy", np.arange(3))
    program = "prepare(sys.argv[1], 'array', 'npy_rows'); prepare(sys.argv[2], 'array', 'npy_rows')"
    assert loaded_by(PREPARE + program, str(tmp_path / "x.npy"), str(tmp_path / "x.npz")) == []


def test_an_array_needs_numpy_alone() -> None:
    program = "import numpy; prepare(numpy.zeros(3), 'array', 'npy_rows'); prepare([[1, 2]], 'array')"
    assert loaded_by(PREPARE + program) == ["numpy"]


def test_a_table_file_needs_pyarrow_and_no_frames(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a\n1\n")
    found = loaded_by(PREPARE + "prepare(sys.argv[1], 'table', 'arrow_batches')", str(tmp_path / "x.csv"))
    assert "pyarrow" in found
    assert set(found) <= {"pyarrow", "numpy"}


def test_a_frame_of_polars_needs_no_pandas() -> None:
    assert "pandas" not in loaded_by(PREPARE + "import polars; prepare(polars.DataFrame({'a': [1]}), 'table', 'arrow_batches')")


MISSING = """
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == sys.argv[1]:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Missing())
from pangea.compute.model.errors import UnavailableError
try:
    prepare(eval(sys.argv[2]), sys.argv[3])
except UnavailableError as error:
    print(error.message, "|", error.hint)
"""


@pytest.mark.parametrize(
    ("library", "value", "kind", "complaint"),
    spread(
        3,
        [
            ("pyarrow", "'x.parquet'", "table", "reading .parquet needs pyarrow"),
            ("pyarrow", "'x.csv'", "table", "reading .csv needs pyarrow"),
            ("pyarrow", "'x.txt.zst'", "text", "reading .zst needs pyarrow"),
            ("pyarrow", "[{'a': 1}]", "table", "rows as input needs pyarrow"),
            ("pyarrow", "__import__('polars').DataFrame({'a': [1]})", "table", "a frame as input needs pyarrow"),
            ("narwhals", "__import__('polars').DataFrame({'a': [1]})", "table", "a frame as input needs narwhals"),
            ("fsspec", "'s3://bucket/x'", "bytes", "reading s3:// needs fsspec"),
            ("numpy", "[1, 2]", "array", "a list of numbers as input needs numpy"),
        ],
    ),
)
def test_a_library_that_is_missing_is_named_with_what_installs_it(
    tmp_path: Path, library: str, value: str, kind: str, complaint: str
) -> None:
    for name in ("x.parquet", "x.csv", "x.txt.zst"):
        (tmp_path / name).write_bytes(b"some bytes")
    done = subprocess.run(
        [sys.executable, "-c", PREPARE + MISSING, library, value, kind],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
        check=True,
    )
    assert done.stdout == f"{complaint}, which isn't installed | pip install 'pangea-compute[data]'\n", done.stderr
