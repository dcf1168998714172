"""`pangea log`: what is proved, witnessed and checked, and what is found out; files and all, without a node."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pangea.compute.cli import log
from pangea.compute.cli.usage import UsageError
from pangea.compute.model.errors import InputError, UnavailableError, UnverifiedError
from pangea.compute.node.service.daemon import KEY_NAME
from pangea.compute.node.storage.cosigned import Cosigned
from pangea.compute.node.storage.receipt_log import FOLDER, ReceiptLog, read_checkpoint
from pangea.compute.verification.log_proof import entry_of
from pangea.compute.verification.receipt_file import dumps
from pangea.compute.verification.receipt_tree import Receipt
from tests.signing import identity
from tests.unit.receipts_made import receipt_of_words, receipt_without_merge
from tests.unit.test_receipt_log import entry


class Desk:
    """A node's folder, a witness's, and files."""

    def __init__(self, folder: Path, told: Callable[[], str]) -> None:
        self.folder = folder
        self.told = told
        self.node, self.witness = folder / "node", folder / "witness"
        for each in (self.node, self.witness):
            each.mkdir(mode=0o700)
        identity(2).save(self.witness / KEY_NAME)
        (self.receipt, self.other) = (self.write(f"{each.job.segments}.json", dumps(each)) for each in RECEIPTS)

    def write(self, name: str, data: bytes) -> Path:
        path = self.folder / name
        path.write_bytes(data)
        return path

    def log(self, *entries: bytes) -> None:
        owner = identity(0)
        kept = ReceiptLog(self.node / FOLDER, owner.peer_id, owner.sign)
        kept.open()
        kept.add(entries)

    def prove(self, name: str, receipt: Path | None = None, **options: object) -> Path:
        log.prove(receipt, data_dir=self.node, output=self.folder / name, **options)  # type: ignore[arg-type]
        return self.folder / name

    def cosign(self, growth: Path, name: str) -> Path:
        log.cosign(growth, data_dir=self.witness, output=self.folder / name)
        return self.folder / name

    def check(self, proof: Path, receipt: Path | None = None, **options: object) -> dict[str, object]:
        log.check(proof, receipt, as_json=True, **options)  # type: ignore[arg-type]
        said: dict[str, object] = json.loads(self.told())
        return said


RECEIPTS: tuple[Receipt, Receipt] = (receipt_of_words(), receipt_without_merge())


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Desk:
    return Desk(tmp_path, lambda: capsys.readouterr().out)


def test_a_receipt_is_proved_and_the_proof_is_about_no_other(desk: Desk) -> None:
    desk.log(entry(0), entry_of(RECEIPTS[0]), entry(2))
    proof = desk.prove("one.tlog-proof", desk.receipt)
    said = desk.check(proof, desk.receipt, owner=identity(0).peer_id)
    assert (said["verified"], said["index"], said["entries"], said["job"]) == (True, 1, 3, RECEIPTS[0].job.job_id)
    with pytest.raises(UnverifiedError, match="about another receipt"):
        desk.check(proof, desk.other)
    with pytest.raises(UnverifiedError, match="not 12D3"):
        desk.check(proof, owner=identity(1).peer_id)
    with pytest.raises(UnverifiedError, match="has not signed the checkpoint"):
        desk.check(proof, witness=[identity(2).peer_id])
    with pytest.raises(UnverifiedError, match="another receipt of its job is in the log"):
        desk.prove("x", desk.other)
    desk.told()
    log.check(proof, desk.receipt)
    assert "is entry 1: verified" in desk.told()


def test_witnesses_say_when_they_saw_it(desk: Desk) -> None:
    desk.log(entry(0))
    seen = desk.cosign(desk.prove("growth", since="none"), "seen")
    desk.log(entry_of(RECEIPTS[0]))
    later = desk.prove("later", since=str(seen))
    assert desk.check(later, since=seen)["since"] == 1
    seen = desk.cosign(later, "seen")
    desk.log(entry(3))  # the log goes on; the proof leads to what was witnessed
    proof = desk.prove("proof", desk.receipt, cosigned=seen)
    said = desk.check(proof, desk.receipt, witness=[identity(2).peer_id])
    assert said["entries"] == 2
    assert [*said["witnesses"]] == [identity(2).peer_id]  # type: ignore[misc]


def test_so_many_witnesses_can_be_demanded_of_those_one_knows(desk: Desk) -> None:
    desk.log(entry(0), entry_of(RECEIPTS[0]))
    kept, by = Cosigned(desk.node / FOLDER), [identity(number) for number in (0, 2, 3)]
    for each in by:
        kept.keep(read_checkpoint(desk.node / FOLDER).cosigned(each.peer_id, 1_790_000_000, each.sign))
    desk.log(entry(5))
    proof = desk.prove("proof", desk.receipt)
    said = desk.check(proof, desk.receipt, witnesses=2)
    assert (said["entries"], said["witness_count"]) == (2, 2), "a node is no witness of its own log"
    two, three, other = (identity(number).peer_id for number in (2, 3, 4))
    desk.check(proof, witness=[two, three, other], witnesses=2)
    with pytest.raises(UnverifiedError, match="1 of the 2 named have signed the checkpoint, and 2 must have"):
        desk.check(proof, witness=[two, other], witnesses=2)
    with pytest.raises(UnverifiedError, match="2 have signed the checkpoint, and 3 must have"):
        desk.check(proof, witnesses=3)
    for count in (0, 101):
        with pytest.raises(UsageError, match="must be 1 to 100"):
            desk.check(proof, witnesses=count)
    with pytest.raises(UsageError, match="must be 1 to 1, as so many are named"):
        desk.check(proof, witness=[two], witnesses=2)
    desk.told()
    log.check(proof, desk.receipt)
    assert "verified, seen by 2 witnesses" in desk.told()


def test_what_others_signed_of_another_story_is_not_led_to(desk: Desk) -> None:
    desk.log(entry(0), entry_of(RECEIPTS[0]))
    two = identity(2)
    Cosigned(desk.node / FOLDER).keep(read_checkpoint(desk.node / FOLDER).cosigned(two.peer_id, 1_790_000_000, two.sign))
    (desk.node / FOLDER / "entries").unlink()
    (desk.node / FOLDER / "checkpoint").unlink()
    desk.log(entry_of(RECEIPTS[0]), entry(0))
    said = desk.check(desk.prove("proof", desk.receipt), desk.receipt)
    assert (said["index"], said["witness_count"]) == (0, 0)


def test_the_two_checkpoints_of_a_log_that_forks_are_a_proof(desk: Desk) -> None:
    desk.log(entry(0))
    seen = desk.cosign(desk.prove("growth", since="none"), "seen")
    shutil.rmtree(desk.node / FOLDER)
    desk.log(entry(1))
    with pytest.raises(UnverifiedError, match="two stories"):
        desk.cosign(desk.prove("growth", since="none"), "x")
    desk.told()
    log.witnessed(data_dir=desk.witness, as_json=True)
    (row,) = json.loads(desk.told())["logs"]
    assert (row["log"], row["entries"], row["story"], row["shown_entries"]) == (identity(0).peer_id, 1, "two stories", 1)
    with pytest.raises(UnverifiedError, match="two stories"):
        desk.check(Path(row["shown"]), since=Path(row["signed"]))
    desk.told()
    assert desk.check(seen, since=seen)["verified"]
    forged = desk.write("forged", seen.read_bytes().replace(b"\n1\n", b"\n2\n", 1))
    with pytest.raises(UnverifiedError, match="didn't sign it"):
        desk.check(forged, since=seen)
    desk.told()
    log.witnessed(data_dir=desk.witness)
    assert "two stories" in desk.told()


def test_a_log_that_begins_again_is_found_out(desk: Desk) -> None:
    desk.log(entry(0), entry_of(RECEIPTS[0]))
    seen = desk.cosign(desk.prove("growth", since="none"), "seen")
    shutil.rmtree(desk.node / FOLDER)
    desk.log(*map(entry, range(5)))
    later = desk.prove("later", since=str(seen))
    with pytest.raises(UnverifiedError, match="two stories"):
        desk.check(later, since=seen)
    with pytest.raises(UnverifiedError, match="two stories"):
        desk.cosign(later, "x")
    with pytest.raises(UnverifiedError, match="it isn't in the log"):
        desk.prove("x", desk.receipt)
    with pytest.raises(UnverifiedError, match="is no checkpoint of the log"):
        desk.prove("x", desk.receipt, cosigned=seen)
    shutil.rmtree(desk.node / FOLDER)
    desk.log(entry(7))
    with pytest.raises(UnverifiedError, match="has 1 entries; the earlier checkpoint counts 2"):
        desk.prove("x", since=str(seen))
    desk.log(entry_of(RECEIPTS[0]))  # as many as were signed before, and others
    with pytest.raises(UnverifiedError, match="two stories"):
        desk.check(desk.prove("proof", desk.receipt), since=seen)


def test_the_log_can_be_served_as_files(desk: Desk) -> None:
    desk.log(*map(entry, range(300)))
    log.export(desk.folder / "site", data_dir=desk.node)
    assert "300 entries, 6 files" in desk.told()
    assert (desk.folder / "site" / "checkpoint").read_text() == (desk.node / FOLDER / "checkpoint").read_text()
    assert (desk.folder / "site" / "tile" / "entries" / "001.p" / "44").exists()


def test_what_cannot_be_done_is_said(desk: Desk) -> None:
    with pytest.raises(UnavailableError, match="there is no log of receipts"):
        desk.prove("x", desk.receipt)
    desk.log(entry_of(RECEIPTS[0]))
    for given in ({}, {"receipt": desk.receipt, "since": "none"}):
        with pytest.raises(UsageError, match="needs a receipt"):
            desk.prove("x", **given)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no such file"):
        desk.check(desk.folder / "nothing")
    with pytest.raises(UnverifiedError, match="which no proof has"):
        desk.check(desk.write("large", bytes(70_000)))
    with pytest.raises(UnverifiedError, match="is no text"):
        desk.check(desk.write("bytes", b"\xff"))
    growth = desk.prove("growth", since="none")
    with pytest.raises(UsageError, match="is about no receipt"):
        desk.check(growth, desk.receipt)
    proof = desk.prove("proof", desk.receipt)
    desk.log(entry(1))
    with pytest.raises(UsageError, match="proof of growth between"):
        desk.check(desk.prove("later", desk.receipt), since=proof)
    with pytest.raises(InputError, match="can't be written"):
        log.export(desk.receipt, data_dir=desk.node)
