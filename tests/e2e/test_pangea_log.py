"""A node logs the receipts that it gives, over restarts, and its neighbours are its witnesses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.deadlines import until
from tests.nodes import NodeProcess, data_of, pangea
from tests.trees import Tree, TreeNode

from pangea.compute.cli import log
from pangea.compute.model.errors import UnverifiedError
from pangea.compute.network.identity import Identity
from pangea.compute.node.service.daemon import KEY_NAME
from pangea.compute.node.storage.cosigned import Cosigned
from pangea.compute.node.storage.receipt_log import FOLDER, ReceiptLog, read_checkpoint
from pangea.compute.node.storage.witnessed import Witnessed
from pangea.compute.verification.commitment import joined

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


@pytest.mark.long
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


def witness_record(root: TreeNode, peer: str) -> dict[str, object]:
    """What the root knows of a neighbour as a witness."""
    return next((each.get("witness", {}) for each in root.census()["peers"] if each["peer"] == peer), {})


def rows(node: TreeNode) -> list[dict[str, object]]:
    """What a node says of the logs that it is a witness of."""
    run = pangea("log", "witnessed", "--data-dir", str(node.data_dir), "--json")
    assert run.returncode == 0, run.stderr
    found: list[dict[str, object]] = data_of(run.stdout)["logs"]
    return found


@pytest.mark.long
def test_neighbours_are_witnesses_and_name_who_tells_two_stories(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Tree(tmp_path) as tree:
        root = tree.add(None)
        witnesses = [tree.add(root), tree.add(root, listens=False)]
        tree.grown(root, 2)
        path = receipt(tmp_path, root, "one")
        kept = Cosigned(root.data_dir / FOLDER)
        until(lambda: any(len(each.signatures) == 3 for each in kept.all()), what="the signatures of both")
        proof = tmp_path / "one.tlog-proof"
        log.prove(path, data_dir=root.data_dir, output=proof)
        names = [each.peer for each in witnesses]
        log.check(proof, path, owner=root.peer, witness=names, witnesses=2, as_json=True)
        said = data_of(capsys.readouterr().out)
        assert (said["verified"], said["witness_count"], sorted(said["witnesses"])) == (True, 2, sorted(names))
        with pytest.raises(UnverifiedError, match="2 have signed the checkpoint, and 3 must have"):
            log.check(proof, path, witnesses=3)
        assert [(each["log"], each["entries"], each["story"]) for each in rows(witnesses[0])] == [(root.peer, 1, "")]

        # The same node with another story of the same job.
        root.stop()
        (root.data_dir / FOLDER).rename(tmp_path / "first")
        key = Identity.load_or_create(root.data_dir / KEY_NAME)
        other = joined(b"pangea log entry 1", said["job"].encode(), bytes(32), bytes(32))
        ReceiptLog(root.data_dir / FOLDER, key.peer_id, key.sign).add([other])
        root.start()
        tree.grown(root, 2)
        for each in witnesses:
            until(lambda each=each: each.events("a log is not signed"), what="its name")  # type: ignore[misc]
            (event,) = each.events("a log is not signed")
            assert (event["peer"], event["story"], event["level"]) == (root.peer, "two stories", "error")
            (row,) = rows(each)
            assert (row["story"], row["shown_entries"]) == ("two stories", 1)
            check = pangea("log", "check", str(row["shown"]), "--since", str(row["signed"]))
            assert check.returncode == 4
            assert b"two stories" in check.stdout
        assert root.events("a witness doesn't sign")
        assert not Cosigned(root.data_dir / FOLDER).all()


def test_a_witness_that_signs_without_looking_is_found_out(tmp_path: Path) -> None:
    with Tree(tmp_path) as tree:
        root = tree.add(None)
        stamp = tree.add(root, "--sabotage", "rubberstamp", listens=False)
        looks = tree.add(root, listens=False)
        tree.grown(root, 2)
        key = Identity.load_or_create(root.data_dir / KEY_NAME)
        grown = ReceiptLog(root.data_dir / FOLDER, key.peer_id, key.sign)  # it grows faster than by jobs
        for number in range(60):
            grown.add([joined(b"pangea log entry 1", b"%d" % number, bytes(32), bytes(32))])
            until(lambda number=number: _is_asked(root, stamp.peer, number + 1), what="its answer")  # type: ignore[misc]
            if witness_record(root, stamp.peer)["looks"] is False:
                break
        (event,) = root.events("a witness doesn't look")
        assert event["witness"] == stamp.peer
        assert stamp.peer not in str([each.signatures for each in Cosigned(root.data_dir / FOLDER).all()])
        assert witness_record(root, looks.peer)["looks"] is True
        witnessed = Witnessed(looks.data_dir, "", lambda _: b"", lambda *_: True)  # it may have had a wrong proof just now
        until(lambda: witnessed.of(root.peer).story is None, what="the right proof after the wrong one")


def _is_asked(root: TreeNode, peer: str, entries: int) -> bool:
    found = witness_record(root, peer)
    return bool(found) and (found["signed_entries"] == entries or found["looks"] is False)
