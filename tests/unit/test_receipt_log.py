"""A node's log of receipts: what it proves, what it refuses, and that a power cut at any point leaves one story."""

from __future__ import annotations

import base64
import random
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from pangea.compute.model.errors import UnavailableError, UnverifiedError
from pangea.compute.network.identity import is_signed_by
from pangea.compute.node.storage.receipt_log import CHECKPOINT, ENTRIES, WRITE_POINTS, ReceiptLog, read_checkpoint, read_entries
from pangea.compute.node.storage.witnessed import Witnessed
from pangea.compute.verification import merkle
from pangea.compute.verification.commitment import joined
from pangea.compute.verification.log_proof import (
    Growth,
    LogProof,
    checkpoint_in,
    entry_of,
    job_of,
    nothing_before,
    with_signatures,
)
from pangea.compute.verification.signed_note import LOG, WITNESS, Checkpoint
from pangea.compute.verification.tiles import tiles_of
from tests.signing import identity
from tests.unit.receipts_made import receipt_of_words, receipt_without_merge

OWNER = identity(0)
NOW = 1_790_000_000


def entry(number: int) -> bytes:
    return joined(b"pangea log entry 1", b"job-%d" % number, bytes(32), sha256(b"%d" % number).digest())


def log_in(folder: Path, on_write: Callable[[str], None] | None = None) -> ReceiptLog:
    log = ReceiptLog(folder / "log", OWNER.peer_id, OWNER.sign, on_write=on_write)
    log.open()
    return log


def checkpoint_of(count: int, *, peer: int = 0) -> Checkpoint:
    node = identity(peer)
    root = merkle.root([entry(number) for number in range(count)])
    return Checkpoint(peer=node.peer_id, size=count, root=root).signed(node.sign)


def growth(old: int, new: int) -> Growth:
    return Growth(old=old, proof=merkle.consistency([entry(each) for each in range(new)], old), checkpoint=checkpoint_of(new))


def found(growth: Growth, since: Checkpoint) -> str:
    return "; ".join(map(str, growth.findings(is_signed_by, since)))


# The tree


@pytest.mark.parametrize("count", [*range(20), 64, 65, 255, 256, 257])
def test_a_frontier_has_the_root_of_the_tree(count: int) -> None:
    frontier = merkle.Frontier()
    for number in range(count):
        frontier.add(entry(number))
    assert (frontier.size, frontier.root()) == (count, merkle.root([entry(number) for number in range(count)]))


def test_every_tree_begins_with_every_smaller_one_and_with_no_other() -> None:
    entries = [entry(number) for number in range(18)]
    roots = [merkle.root(entries[:size]) for size in range(19)]
    for new in range(19):
        for old in range(new + 1):
            proof = merkle.consistency(entries[:new], old)

            def stands(old: int = old, new: int = new, proof: tuple[bytes, ...] = proof, **changes: bytes) -> bool:
                given = {"old_root": roots[old], "new_root": roots[new], **changes}
                return merkle.is_consistent(old=old, new=new, proof=proof, **given)

            assert stands()
            assert not stands(old_root=bytes(32))
            assert not stands(new_root=bytes(32)) or old == 0, "what begins with nothing is anything"
            if proof:
                assert not stands(proof=proof[:-1])
                assert not stands(proof=(*proof, bytes(32)))
                assert not stands(proof=(bytes(32), *proof[1:]))


# RFC 9162 has no vectors; these are of certificate-transparency-go, testonly/reference_merkle_tree (RFC 6962).
LEAVES = [bytes.fromhex(each) for each in (
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
)]  # fmt: skip


def test_the_tree_is_that_of_published_vectors() -> None:
    assert merkle.root(LEAVES).hex() == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"
    assert [each.hex() for each in merkle.consistency(LEAVES, 6)] == [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]


# Notes and proofs


def test_a_checkpoint_survives_its_text_and_is_signed_as_notes_are() -> None:
    checkpoint = checkpoint_of(3).cosigned(identity(1).peer_id, NOW, identity(1).sign)
    lines = checkpoint.text().split("\n")
    assert lines[:3] == [f"{LOG}{OWNER.peer_id}", "3", base64.b64encode(checkpoint.root).decode()]
    key = OWNER.key.public_key().public_bytes_raw()
    signature = base64.b64decode(lines[4].split(" ")[2])
    assert signature[:4] == sha256(f"{LOG}{OWNER.peer_id}\n".encode() + b"\x01" + key).digest()[:4]
    OWNER.key.public_key().verify(signature[4:], "\n".join([*lines[:3], ""]).encode())
    witness = base64.b64decode(lines[5].split(" ")[2])
    name = f"{WITNESS}{identity(1).peer_id}\n".encode()
    assert witness[:4] == sha256(name + b"\x04" + identity(1).key.public_key().public_bytes_raw()).digest()[:4]
    said = f"cosignature/v1\ntime {NOW}\n".encode() + "\n".join([*lines[:3], ""]).encode()
    identity(1).key.public_key().verify(witness[12:], said)
    assert Checkpoint.parse(checkpoint.text()) == checkpoint
    assert checkpoint.is_signed(is_signed_by)
    assert checkpoint.witnesses(is_signed_by) == {identity(1).peer_id: NOW}


def test_signatures_of_others_and_of_something_else_are_none() -> None:
    true = checkpoint_of(3).cosigned(identity(1).peer_id, NOW, identity(1).sign)
    assert not replace(true, size=4).is_signed(is_signed_by)
    assert replace(true, size=4).witnesses(is_signed_by) == {}
    assert not replace(true, peer=identity(1).peer_id).is_signed(is_signed_by)
    own, cosigned = true.signatures
    later = replace(cosigned, data=cosigned.data[:4] + (NOW + 1).to_bytes(8, "big") + cosigned.data[12:])
    assert replace(true, signatures=(own, later)).witnesses(is_signed_by) == {}, "no time but the one that was signed"
    other = replace(cosigned, name=f"{WITNESS}{identity(2).peer_id}")
    assert replace(true, signatures=(own, other)).witnesses(is_signed_by) == {}
    assert not replace(true, signatures=(replace(own, data=b"1234" + own.data[4:]), cosigned)).is_signed(is_signed_by)


def test_a_proof_is_about_its_receipt_in_its_owners_log_alone() -> None:
    receipt = receipt_of_words()
    entries = [entry(0), entry(1), entry_of(receipt), entry(3), entry(4)]
    checkpoint = Checkpoint(peer=OWNER.peer_id, size=5, root=merkle.root(entries)).signed(OWNER.sign)
    proof = LogProof(entry=entries[2], index=2, path=merkle.path(entries, 2), checkpoint=checkpoint)
    assert LogProof.parse(proof.text()) == proof
    assert proof.text().startswith("c2sp.org/tlog-proof@v1\nextra ")
    assert proof.findings(is_signed_by, receipt) == []
    assert job_of(entries[2]) == receipt.job.job_id

    def wrong(about: LogProof = proof) -> str:
        return "; ".join(str(each) for each in about.findings(is_signed_by, receipt))

    assert "about another receipt" in "; ".join(map(str, proof.findings(is_signed_by, receipt_without_merge())))
    assert "doesn't lead from entry 1" in wrong(replace(proof, index=1))
    assert "doesn't lead" in wrong(replace(proof, path=proof.path[:-1]))
    assert "didn't sign it" in wrong(replace(proof, checkpoint=replace(checkpoint, size=6)))
    assert "didn't sign it" in wrong(replace(proof, checkpoint=replace(checkpoint, signatures=())))
    stranger = identity(1)
    theirs = Checkpoint(peer=stranger.peer_id, size=5, root=checkpoint.root).signed(stranger.sign)
    assert "the receipt is" in wrong(replace(proof, checkpoint=theirs))


def test_a_log_that_tells_two_stories_is_found_out() -> None:
    assert found(growth(3, 7), checkpoint_of(3)) == ""
    assert found(growth(0, 7), nothing_before(OWNER.peer_id)) == ""
    assert Growth.parse(growth(3, 7).text()) == growth(3, 7)
    other = Checkpoint(peer=OWNER.peer_id, size=3, root=merkle.root([entry(9)] * 3)).signed(OWNER.sign)
    assert "two stories" in found(growth(3, 7), other)
    assert "growth from 3 entries" in found(growth(3, 7), checkpoint_of(4))
    assert "didn't sign the earlier" in found(growth(3, 7), replace(checkpoint_of(3), signatures=()))
    assert "is of" in found(growth(3, 7), checkpoint_of(3, peer=1))
    assert "two stories" in found(replace(growth(3, 7), proof=()), checkpoint_of(3))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "old",
        "old 1",
        "old 01\n\n",
        "old -1\n\n",
        "c2sp.org/tlog-proof@v1\n",
        f"{LOG}x\n1\nAAAA\n\n— a b\n",
        "\n\n",
        "x\n" * 9,
    ],
)
def test_what_is_no_file_of_a_log_is_named(text: str) -> None:
    with pytest.raises(UnverifiedError, match="can't be read"):
        checkpoint_in(text)


def test_no_altered_proof_is_accepted() -> None:
    receipt, rng = receipt_of_words(), random.Random(22)
    entries = [entry_of(receipt), *map(entry, range(6))]
    checkpoint = Checkpoint(peer=OWNER.peer_id, size=7, root=merkle.root(entries)).signed(OWNER.sign)
    text = LogProof(entry=entries[0], index=0, path=merkle.path(entries, 0), checkpoint=checkpoint).text()
    for _ in range(600):
        at = rng.randrange(len(text))
        forged = text[:at] + rng.choice("0123456789ABCdef+/=\n ") + text[at + 1 :]
        try:
            wrong = LogProof.parse(forged).findings(is_signed_by, receipt)
        except UnverifiedError:
            continue
        assert wrong or forged == text, forged


def test_tiles_are_the_tree() -> None:
    entries = [entry(number) for number in range(256 * 256 + 300)]
    files = tiles_of(entries)
    assert set(files) >= {"tile/0/000", "tile/0/257.p/44", "tile/1/000", "tile/1/001.p/1", "tile/2/000.p/1"}
    assert files["tile/2/000.p/1"] == merkle.root(entries[: 256 * 256])
    assert files["tile/1/000"][32:64] == merkle.root(entries[256:512])
    assert files["tile/entries/257.p/44"].startswith(len(entries[257 * 256]).to_bytes(2, "big") + entries[257 * 256])


# The log on disk


def test_a_log_keeps_what_it_was_given_each_job_once(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    assert log.add([entry(0), entry(1)]) == 2
    assert log.add([entry(1)]) == 2, "a second receipt of one job would be a second story"
    again = log_in(tmp_path)
    assert "job-1" in again
    assert again.add([entry(2)]) == 3
    checkpoint = read_checkpoint(tmp_path / "log")
    assert (checkpoint.root, checkpoint.is_signed(is_signed_by)) == (checkpoint_of(3).root, True)
    assert read_entries(tmp_path / "log", 3) == [entry(0), entry(1), entry(2)]


def test_what_comes_before_the_log_was_read_is_added_to_it_too(tmp_path: Path) -> None:
    log_in(tmp_path).add([entry(0), entry(1)])
    assert ReceiptLog(tmp_path / "log", OWNER.peer_id, OWNER.sign).add([entry(2)]) == 3
    assert read_entries(tmp_path / "log", 3) == [entry(0), entry(1), entry(2)]


class PowerCutError(Exception):
    """The machine is gone."""


@pytest.mark.parametrize("point", WRITE_POINTS)
def test_a_power_cut_at_any_point_leaves_one_story(tmp_path: Path, point: str) -> None:
    log_in(tmp_path).add([entry(0)])
    before = read_checkpoint(tmp_path / "log")

    def cut(passed: str) -> None:
        if passed == point:
            raise PowerCutError

    with pytest.raises(PowerCutError):
        log_in(tmp_path, cut).add([entry(1)])
    after = log_in(tmp_path)
    assert after.problem == ""
    assert after.add([entry(1), entry(2)]) == 3
    entries = read_entries(tmp_path / "log", 3)
    assert entries == [entry(0), entry(1), entry(2)]
    now = read_checkpoint(tmp_path / "log")
    assert merkle.is_consistent(old=1, old_root=before.root, new=3, new_root=now.root, proof=merkle.consistency(entries, 1))


def test_a_torn_entry_is_cut_off_and_what_was_promised_is_missed(tmp_path: Path) -> None:
    log_in(tmp_path).add([entry(0), entry(1)])
    path = tmp_path / "log" / ENTRIES
    whole, size = path.read_bytes(), len(entry(1)) + 2
    third = whole[size : size + 2] + entry(2)
    for torn in (*(third[:count] for count in range(0, size + 1, 7)), bytes(size), third[:-32] + bytes(32)):
        path.write_bytes(whole + torn)  # as a power cut may leave it, zeros in place of what was written included
        log = log_in(tmp_path)
        assert log.problem == ""
    assert log.add([entry(3)]) == 3
    assert read_entries(tmp_path / "log", 3)[2] == entry(3)
    for damaged in (whole[:size], whole[:20] + b"\xff" + whole[21:], b""):
        path.write_bytes(damaged)
        log = log_in(tmp_path)
        assert "damaged" in log.problem
        with pytest.raises(UnavailableError, match="damaged"):
            log.add([entry(4)])
        assert path.read_bytes() == damaged, "it stays as it is"


def test_a_disk_that_fails_leaves_the_log_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = log_in(tmp_path)
    log.add([entry(0)])
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", lambda _descriptor: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(OSError, match="No space left"):
            log.add([entry(1)])
    assert "job-1" not in log
    assert log.add([entry(2)]) == 2
    assert read_entries(tmp_path / "log", 2) == [entry(0), entry(2)]
    (tmp_path / "log" / CHECKPOINT).write_text("?")
    assert "can't be read" in log_in(tmp_path).problem


# Witnesses


def test_a_witness_signs_growth_alone(tmp_path: Path) -> None:
    witness = identity(1)
    by = Witnessed(tmp_path, witness.peer_id, witness.sign, is_signed_by)
    first = by.cosign(growth(0, 3), NOW)
    assert first.witnesses(is_signed_by) == {witness.peer_id: NOW}
    assert first.is_signed(is_signed_by)
    second = Witnessed(tmp_path, witness.peer_id, witness.sign, is_signed_by).cosign(growth(3, 7), NOW + 1)
    assert second.size == 7
    for wrong, why in (
        (growth(0, 9), "last signed 7 entries"),
        (growth(3, 9), "last signed 7 entries"),
        (replace(growth(7, 9), proof=()), "two stories"),
        (replace(growth(7, 9), checkpoint=replace(checkpoint_of(9), signatures=())), "didn't sign it"),
    ):
        with pytest.raises(UnverifiedError, match=why):
            by.cosign(wrong, NOW + 2)
    assert by.last(OWNER.peer_id).size == 7
    both = with_signatures(checkpoint_of(7), second)
    assert both.witnesses(is_signed_by) == {witness.peer_id: NOW + 1}
    with pytest.raises(UnverifiedError, match="different ones"):
        with_signatures(checkpoint_of(7), first)
    with pytest.raises(UnverifiedError, match="no peer id"):
        by.last("../other")
