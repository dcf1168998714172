"""Arrays, tables and files through real jobs: the same result here, on a node and in a native run, and what memory it takes."""

from __future__ import annotations

import gc
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pangea.compute import Job, ModuleJob, submit_job
from pangea.compute.engine.engine import Engine
from pangea.compute.network.peers.address import CONTENT_NAME
from tests.examples import long, spread
from tests.guests import module
from tests.nodes import NodeProcess, data_of, pangea_in
from tests.runs import module_job, run_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
ROOT = Path(__file__).parents[2]
ROWS = 30_000
SMALL: dict[str, Any] = {"min_chunk_size": 1 << 10, "max_chunk_size": 1 << 16}


@Job.define(**SMALL)
def totals() -> None:
    """Rows, and the sum of a column, of each chunk: how it was cut shows."""

    @Job.execute(input="table", output="json")
    def execute(table: Any) -> Any:
        return [len(table), sum(table["number"]), table["word"][0]]


@Job.define(**SMALL)
def sums() -> None:
    @Job.execute(input="array", output="json")
    def execute(array: Any) -> Any:
        return [list(array.shape), array.dtype.str, array.sum().item()]


def frame() -> Any:
    return pd.DataFrame({"number": range(ROWS), "word": [f"word {number % 1000}" for number in range(ROWS)]})


def matrix() -> Any:
    return np.arange(ROWS * 4).reshape(-1, 4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    frame().to_csv(folder / "1.csv", index=False)
    frame().to_csv(folder / "2.csv", index=False)
    frame().to_parquet(folder / "t.parquet", row_group_size=7_000)
    np.save(folder / "m.npy", matrix())
    np.savez_compressed(folder / "m.npz", one=matrix(), two=matrix()[:10])
    return folder


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    with NodeProcess(tmp_path_factory.mktemp("node") / "data") as node:
        yield node


INPUTS: dict[str, Any] = {
    "frame": (totals, lambda _folder: frame()),
    "rows": (totals, lambda _folder: ({"number": number, "word": f"w{number}"} for number in range(ROWS))),
    "parquet": (totals, lambda folder: folder / "t.parquet"),
    "pattern": (totals, lambda folder: f"{folder}/?.csv"),
    "array": (sums, lambda _folder: matrix()),
    "columns first": (sums, lambda _folder: np.asfortranarray(matrix())),
    "npy": (sums, lambda folder: str(folder / "m.npy")),
    "npz": (sums, lambda folder: folder / "m.npz"),
}


@pytest.mark.parametrize("has_content_socket", [True, *long(False)])
@pytest.mark.parametrize("name", spread(3, INPUTS))
def test_results_are_the_same_wherever_they_are_made(
    name: str, has_content_socket: bool, folder: Path, node: NodeProcess
) -> None:
    job, make = INPUTS[name]
    here = submit_job(job, make(folder))
    content = node.data_dir / CONTENT_NAME
    try:
        if not has_content_socket:  # then it goes in blocks by its hash, as to nodes elsewhere
            content.rename(content.with_suffix(".away"))
        there = submit_job(job, make(folder), node=str(node.data_dir))
    finally:
        if not has_content_socket:
            content.with_suffix(".away").rename(content)
    assert here == there == job.run_local(make(folder))
    assert here.report.bytes_in == there.report.bytes_in > ROWS
    assert here.report.chunks == there.report.chunks > 5
    chunks = [json.loads(line) for line in here.splitlines()]
    if job is totals:
        times = 2 if name == "pattern" else 1
        assert sum(rows for rows, _, _ in chunks) == times * ROWS
        assert sum(total for _, total, _ in chunks) == times * ROWS * (ROWS - 1) // 2
    else:
        assert sum(shape[0] for shape, _, _ in chunks) == ROWS + 10 * (name == "npz")


def test_a_bad_file_ends_the_job_with_its_name(folder: Path, node: NodeProcess, tmp_path: Path) -> None:
    content = (folder / "1.csv").read_text()
    (tmp_path / "bad.csv").write_text(content + "1,2,3\n")
    for where in (None, str(node.data_dir)):
        with pytest.raises(Exception, match=f"row {ROWS + 2:,} of {tmp_path}/bad.csv .* has 3 values"):
            submit_job(totals, tmp_path / "bad.csv", node=where)
    assert submit_job(totals, folder / "1.csv").report.chunks > 5


class Piece(bytes):
    """A segment that counts those of its kind."""

    alive = 0

    def __del__(self) -> None:
        Piece.alive -= 1


def test_segments_are_let_go_of_when_their_tasks_end(engine: Engine) -> None:
    most = 0

    def segments() -> Iterator[Piece]:
        nonlocal most
        for number in range(1_000):
            piece = Piece(number.to_bytes(4, "little") * (64 << 8))
            Piece.alive += 1
            most = max(most, Piece.alive)
            yield piece

    run = run_of(engine, module_job(engine, module()), segments(), min_chunk_size=1)
    gc.collect()
    gc.disable()
    try:
        assert len(run.result()) == 1_000 * (64 << 10)
        # A few megabytes wait to be packed, and each task on its way has as much; the collector isn't needed for any of it.
        assert most < 800
        assert Piece.alive == 0
    finally:
        gc.enable()


def test_modules_take_tables_too(engine: Engine) -> None:
    job = ModuleJob(module(), name="echo", input_kind="table")
    result = submit_job(job, {"a": [1, 2, 3]}, split_strategy="arrow_batches")
    assert pa.ipc.open_stream(result).read_all().to_pydict() == {"a": [1, 2, 3]}


def test_the_example_of_the_docs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import fsspec

    page = (ROOT / "docs" / "data_in.md").read_text()
    code = page.partition("```python\n")[2].partition("```")[0].replace("s3://bucket", "memory://bucket")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "trips").mkdir()
    for number in range(2):
        pq.write_table(pa.table({"km": [number, 5]}), tmp_path / "trips" / f"{number}.parquet")
    fsspec.filesystem("memory").pipe("/bucket/trips.csv", b"km\n8\n")
    (tmp_path / "example.py").write_text(code)
    head, *calls = re.split(r"^(?=submit_job)", code, flags=re.MULTILINE)
    space: dict[str, Any] = {"frame": pd.DataFrame({"km": [3]}), "__name__": "example"}
    exec(compile(head, tmp_path / "example.py", "exec"), space)
    assert [eval(call.partition("  #")[0], space).value for call in calls] == [3, 5, 8, 9]


JOB_FILE = """
from pangea.compute import Job

@Job.define(min_chunk_size=1024, max_chunk_size=65536)
def count():
    @Job.execute(input="{kind}", output="json")
    def execute(chunk):
        return len(chunk)
"""


@pytest.mark.long
@pytest.mark.parametrize(
    ("kind", "name"),
    [("table", "t.parquet"), *long(("table", "1.csv"), ("array", "m.npz"), ("array", "m.npy"))],
)
def test_receipts_of_prepared_inputs_can_be_executed_again(
    kind: str, name: str, folder: Path, node: NodeProcess, tmp_path: Path
) -> None:
    def pangea(*arguments: str) -> subprocess.CompletedProcess[bytes]:
        return pangea_in(tmp_path, *arguments)

    (tmp_path / "job.py").write_text(JOB_FILE.format(kind=kind))
    (tmp_path / name).write_bytes((folder / name).read_bytes())
    run = pangea("run", "job.py", "--input", name, "--receipt", "r.json", "--node", str(node.data_dir))
    assert run.returncode == 0, run.stderr
    again = pangea("verify", "r.json", "--reexecute", "all", "--json")
    assert again.returncode == 0, again.stderr + again.stdout
    assert data_of(again.stdout)["reexecuted"]["differences"] == []
    (tmp_path / name).rename(tmp_path / f"moved-{name}")
    assert pangea("verify", "r.json", "--reexecute", "all").returncode != 0
    assert pangea("verify", "r.json", "--reexecute", "all", "--input", f"moved-{name}").returncode == 0
    if name == "t.parquet":
        pq.write_table(pa.table({"number": [1], "word": ["x"]}), tmp_path / name)
    else:
        (tmp_path / name).write_bytes((folder / name).read_bytes()[:-41])
    lie = pangea("verify", "r.json", "--reexecute", "all")
    assert lie.returncode != 0
    assert name.encode() in lie.stderr


def measured(kind: str, gib: float, folder: Path) -> dict[str, float]:
    path, script = folder / f"data.{kind}", str(ROOT / "bench" / "preparing.py")
    try:
        make = [sys.executable, script, "--make", str(path), "--bytes", str(int(gib * (1 << 30)))]
        subprocess.run(make, check=True, timeout=250)
        done = subprocess.run([sys.executable, script, "--run", str(path)], check=True, capture_output=True, timeout=250)
        return dict(json.loads(done.stdout)) | {"file": path.stat().st_size}
    finally:
        path.unlink(missing_ok=True)


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("kind", "gib"), [("npy", 2.0), ("parquet", 1.0), ("csv", 0.5)])
def test_large_files_go_through_in_half_a_gigabyte(kind: str, gib: float, tmp_path: Path) -> None:
    """The highest resident set of a process that only runs a job over the file's rows; its workers not counted."""
    found = measured(kind, gib, tmp_path)
    assert found["file"] >= gib * (1 << 30) * 0.99
    assert found["bytes"] > gib * (1 << 29) * 0.9
    assert found["peak"] <= 500 << 20
