"""A node logs the receipts that it gives, over restarts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.nodes import NodeProcess, data_of, pangea

from pangea.compute.cli import log
from pangea.compute.node.storage.receipt_log import FOLDER, read_checkpoint

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

UPPER = """
from pangea.compute import Job

@Job.define
def upper():
    @Job.execute
    def execute(chunk: bytes) -> bytes:
        return chunk.upper()
"""


def receipt(folder: Path, node: NodeProcess, name: str) -> Path:
    (folder / "upper.py").write_text(UPPER)
    (folder / name).write_text(name)
    path = folder / f"{name}.json"
    where = ["--node", str(node.data_dir), "--receipt", str(path), "--quiet"]
    run = pangea("run", str(folder / "upper.py"), "--input", str(folder / name), *where)
    assert run.returncode == 0, run.stderr
    return path


def test_a_node_logs_each_receipt_that_it_gives_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with NodeProcess(tmp_path / "node") as node:
        one = receipt(tmp_path, node, "one")
    (tmp_path / "node" / FOLDER).rename(tmp_path / "away")  # as if it had crashed before the receipt was logged
    with NodeProcess(tmp_path / "node") as node:
        two = receipt(tmp_path, node, "two")
    assert read_checkpoint(tmp_path / "node" / FOLDER).size == 2
    for path in (one, two):
        proof = tmp_path / f"{path.stem}.tlog-proof"
        log.prove(path, data_dir=tmp_path / "node", output=proof)
        log.check(proof, path, owner=json.loads(path.read_bytes())["job"]["owner"], as_json=True)
        assert data_of(capsys.readouterr().out)["verified"]
