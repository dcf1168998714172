"""`pangea verify` as a user starts it: receipts of real jobs, true and false, in real files."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from tests.examples import spread
from tests.guests import module, split_into
from tests.integration.test_dispute import NOTHING, OTHER_ID, lying
from tests.integration.test_reexecution import TEXT, node, owned
from tests.nodes import data_of, pangea_in
from tests.signing import SigningNode, identity, signed, with_spec

from pangea.compute.engine.engine import Engine
from pangea.compute.verification.receipt_file import dumps
from pangea.compute.verification.receipt_tree import Node, Receipt
from pangea.compute.verification.receipts import Record


def pangea(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    done = pangea_in(folder, *arguments)
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


@pytest.fixture
def folder(python: Engine, tmp_path: Path) -> Path:
    """A folder with a receipt, its input, and the result."""
    (tmp_path / "text").write_bytes(TEXT)
    worker = node(python, paths=["text"])
    write(tmp_path / "true.json", worker.receipt())
    (tmp_path / "result").write_bytes(worker.result)
    return tmp_path


def write(path: Path, receipt: Receipt) -> None:
    path.write_bytes(dumps(receipt))


def test_a_true_receipt_is_verified_offline(folder: Path) -> None:
    run = pangea(folder, "verify", "true.json", "--result", "result", "--owner", identity(0).peer_id)
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.splitlines()[0].endswith("verified")
    assert "signatures of 2 workers on 13 records, and of the owner" in run.stdout
    assert "executed again  0 records" in run.stdout
    assert "not checked     whether 13 records are true; the owner's own account" in run.stdout


def test_all_of_it_is_executed_again(folder: Path) -> None:
    run = pangea(folder, "verify", "true.json", "--reexecute", "all", "--json")
    assert run.returncode == 0, run.stderr
    said = data_of(run.stdout)
    assert (said["verified"], said["records"], said["workers"], said["findings"]) == (True, 13, 2, [])
    assert said["reexecuted"] == {
        "drawn": 13, "of": 13, "seed": None, "calls": {"split": 2, "execute": 7, "merge": 4}, "differences": [], "warning": "",
    }  # fmt: skip
    assert not any("records are true" in each for each in said["notChecked"])


@pytest.mark.long
def test_a_sample_can_be_drawn_again(folder: Path) -> None:
    first = pangea(folder, "verify", "true.json", "--reexecute", "2", "--json")
    said = data_of(first.stdout)["reexecuted"]
    again = pangea(folder, "verify", "true.json", "--reexecute", "2", "--seed", str(said["seed"]), "--json")
    assert data_of(again.stdout)["reexecuted"] == said
    assert said["drawn"] == 2


def test_what_is_wrong_is_said_and_the_exit_code_is_four(python: Engine, folder: Path) -> None:
    write(folder / "lie.json", node(python, lie=lying("7", output=NOTHING)).receipt())
    run = pangea(folder, "verify", "lie.json", "--reexecute", "all", "--input", "text")
    assert run.returncode == 4
    assert "FAILED" in run.stdout
    assert "output of execute of 7 to 13 is" in run.stdout
    assert "error UNVERIFIED: the receipt doesn't stand" in run.stderr
    assert "Traceback" not in run.stderr


def test_an_altered_file_fails_and_nothing_of_it_is_executed(folder: Path) -> None:
    content = json.loads((folder / "true.json").read_bytes())
    content["job"]["fuel"] += 1
    (folder / "altered.json").write_text(json.dumps(content))
    run = pangea(folder, "verify", "altered.json", "--reexecute", "all", "--json")
    assert run.returncode == 4
    said = data_of(run.stdout)
    assert (said["verified"], said["reexecuted"]) == (False, None)
    assert {each["where"] for each in said["findings"]} == {"signature", "fuel"}
    assert json.loads(run.stderr)["error"]["code"] == "UNVERIFIED"


def test_the_result_and_the_owner_can_be_wrong(folder: Path) -> None:
    assert "text has" in pangea(folder, "verify", "true.json", "--result", "text").stderr
    run = pangea(folder, "verify", "true.json", "--owner", identity(1).peer_id)
    assert run.returncode == 4
    assert f"not {identity(1).peer_id}'s" in run.stdout


@pytest.mark.long
def test_a_page_is_written_with_what_is_asked_for_and_there(python: Engine, folder: Path) -> None:
    run = pangea(folder, "verify", "true.json", "--page", "page.html", "--reexecute", "2", "--json")
    assert run.returncode == 0, run.stderr
    page = data_of(run.stdout)["page"]
    assert page["bytes"] == (folder / "page.html").stat().st_size > 10 << 20, "Python is in it"
    assert page["calls"] >= 2
    assert "left out when it was made (--reexecute)" in page["missing"]
    small = pangea(folder, "verify", "true.json", "--page", "small.html", "--reexecute", "none")
    assert (small.returncode, small.stderr) == (0, "")
    assert "0 calls can be run from it; it was made without" in small.stdout
    assert (folder / "small.html").stat().st_size < 100 << 10
    (folder / "text").unlink()
    without = pangea(folder, "verify", "true.json", "--page", "without.html")
    assert without.returncode == 0, without.stderr
    assert "0 calls can be run from it; the input text can't be read: no such file" in without.stdout
    content = json.loads((folder / "true.json").read_bytes())
    content["job"]["fuel"] += 1
    (folder / "altered.json").write_text(json.dumps(content))
    assert pangea(folder, "verify", "altered.json", "--page", "altered.html").returncode == 4
    assert (folder / "altered.html").exists(), "whoever opens it sees why"


@pytest.mark.long
def test_a_dispute_is_settled(python: Engine, folder: Path) -> None:
    write(folder / "lie.json", node(python, job_id=OTHER_ID, lie=lying("7", output=NOTHING)).receipt())
    write(folder / "same.json", node(python, job_id=OTHER_ID).receipt())
    right = pangea(folder, "verify", "true.json", "--against", "lie.json")
    assert right.returncode == 0, right.stderr
    assert "dispute         the first is right about execute of chunks 7 to 13" in right.stdout
    wrong = pangea(folder, "verify", "lie.json", "--against", "true.json", "--input", "text", "--json")
    assert wrong.returncode == 4
    assert data_of(wrong.stdout)["dispute"]["verdict"] == "other"
    same = pangea(folder, "verify", "true.json", "--against", "same.json")
    assert "dispute         the receipts say the same" in same.stdout
    forged = replace(node(python, job_id=OTHER_ID).receipt(), root=NOTHING)
    write(folder / "forged.json", forged)
    ignored = pangea(folder, "verify", "true.json", "--against", "forged.json")
    assert ignored.returncode == 0
    assert "forged.json doesn't stand: root:" in ignored.stdout


def test_a_large_module_is_named(engine: Engine, folder: Path) -> None:
    padding = '(data (i32.const 0x100000) "' + "x" * (1 << 20) + '")'
    parts = split_into(b"\0\0\0\0")
    wasm = module(split=parts["split"], extra=parts["extra"] + padding)
    write(folder / "large.json", SigningNode(engine, wasm, [b""]).receipt())
    (folder / "large.wasm").write_bytes(wasm)
    without = pangea(folder, "verify", "large.json", "--reexecute", "all")
    assert (without.returncode, "--module FILE" in without.stderr) == (2, True)
    run = pangea(folder, "verify", "large.json", "--reexecute", "all", "--module", "large.wasm")
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    spread(
        4,
        [
            (["none.json"], 2, "no such file"),
            (["text"], 4, "it isn't JSON"),
            (["."], 2, "is no file"),
            (["/dev/zero"], 2, "is no file"),
            (["true.json", "--reexecute", "0"], 2, "1 or more, or all, or none"),
            (["true.json", "--reexecute", "some"], 2, "1 or more, or all, or none"),
            (["true.json", "--reexecute", "all", "--input", "result"], 2, "bytes; the job's had"),
            (["true.json", "--reexecute", "all", "--input", "text", "text"], 2, "2 inputs are given"),
            (["true.json", "--result", "none"], 2, "no such file"),
            (["true.json", "--against", "none.json"], 2, "no such file"),
            (["true.json", "--against", "other.json"], 2, "of different jobs: their inputs differ"),
            (["runtime.json", "--reexecute", "1"], 3, "within one runtime only"),
        ],
    ),
)
def test_errors_have_names_and_codes(python: Engine, folder: Path, arguments: list[str], code: int, complaint: str) -> None:
    write(folder / "other.json", node(python, inputs=[b"other"]).receipt())
    write(folder / "runtime.json", of_another_runtime(node(python).receipt()))
    run = pangea(folder, "verify", *arguments)
    assert run.returncode == code, run.stderr
    assert complaint in run.stderr
    assert "Traceback" not in run.stderr


def of_another_runtime(receipt: Receipt) -> Receipt:
    """The same receipt as nodes of another runtime would have signed it."""
    keys = {identity(number).peer_id: identity(number) for number in range(3)}
    job = with_spec(replace(receipt.job, runtime="ab" * 32), identity(0))

    def moved(record: Record | None) -> Record:
        assert record is not None
        return signed(replace(record, runtime="ab" * 32, spec=job.spec().hash()), keys[record.worker])

    def tree(node: Node) -> Node:
        return Node(moved(node.record), tuple(map(tree, node.children)))

    return owned(receipt, job=job, splits=tuple(map(moved, receipt.splits)), tree=tree(receipt.tree))
