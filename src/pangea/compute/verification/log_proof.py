"""What a log gives away: that a receipt is in it, and that it has only grown. Each is a small text file, checked offline.

Sources: C2SP tlog-proof; the body of tlog-witness's add-checkpoint.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace
from enum import StrEnum
from hashlib import sha256
from typing import Self

from pangea.compute.model.errors import UnverifiedError
from pangea.compute.verification import merkle
from pangea.compute.verification.commitment import joined
from pangea.compute.verification.receipt_check import Finding
from pangea.compute.verification.receipt_tree import Receipt
from pangea.compute.verification.receipts import CheckSignature
from pangea.compute.verification.signed_note import Checkpoint, decimal, decoded, digest, unreadable

#: More than any proof has: 64 hashes, 100 signatures.
PROOF_BYTES_MAX = 64 * 1024
#: What a witness is sent over the network: 63 hashes, and the checkpoint with its log's own signature.
GROWTH_BYTES_MAX = 4 * 1024
_ENTRY = b"pangea log entry 1"
_PROOF = "c2sp.org/tlog-proof@v1"
_HASHES_MAX = 63


def entry_of(receipt: Receipt) -> bytes:
    """What a log has of a receipt: its job's id, the root over its records, and a hash of all that its owner signed."""
    statement = sha256(receipt.statement()).digest()
    return joined(_ENTRY, receipt.job.job_id.encode("utf-8", "surrogatepass"), receipt.root, statement)


def job_of(entry: bytes) -> str:
    """The job that an entry is about; "" if it is none of a receipt."""
    fields, at = [], 0
    while at < len(entry):
        size = int.from_bytes(entry[at : at + 8], "little")
        fields.append(entry[at + 8 : at + 8 + size])
        at += 8 + size
    is_one = len(fields) == 4 and fields[0] == _ENTRY and joined(*fields) == entry
    return fields[1].decode("utf-8", "replace") if is_one else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogProof:
    """That an entry is in a log.

    Attributes:
        entry: which, as whoever wrote the file says (`extra` of the format).
        index: its number.
        path: from the entry to the checkpoint's root.
        checkpoint: of the log.
    """

    entry: bytes
    index: int
    path: tuple[bytes, ...]
    checkpoint: Checkpoint

    def text(self) -> str:
        """The file."""
        lines = [_PROOF, f"extra {_base64(self.entry)}", f"index {self.index}", *map(_base64, self.path), ""]
        return "\n".join([*lines, self.checkpoint.text()])

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a file. What it says is still to be checked.

        Raises:
            UnverifiedError: it isn't one.
        """
        above, _, note = text.partition("\n\n")
        first, *lines = above.split("\n")
        if first != _PROOF or len(lines) < 2 or not lines[0].startswith("extra ") or not lines[1].startswith("index "):
            raise unreadable(f"it doesn't begin with {_PROOF}, extra and index")
        return cls(
            entry=decoded(lines[0].removeprefix("extra ")),
            index=decimal(lines[1].removeprefix("index ")),
            path=_hashes(lines[2:]),
            checkpoint=Checkpoint.parse(note),
        )

    def findings(self, check: CheckSignature, receipt: Receipt | None = None) -> list[Finding]:
        """What is wrong with it; and, if a receipt is given, whether it is about that one, and in its owner's log."""
        checkpoint, found = self.checkpoint, _of_checkpoint(self.checkpoint, check)
        entry = self.entry if receipt is None else entry_of(receipt)
        if entry != self.entry:
            found.append(Finding("entry", f"it is about another receipt, of job {job_of(self.entry) or 'none'}"))
        if receipt is not None and receipt.job.owner != checkpoint.peer:
            found.append(Finding("log", f"it is {checkpoint.peer}'s log; the receipt is {receipt.job.owner}'s"))
        if not merkle.verify(root=checkpoint.root, leaf=entry, index=self.index, size=checkpoint.size, path=self.path):
            found.append(Finding("path", f"it doesn't lead from entry {self.index:,} to the root of {checkpoint.size:,} entries"))
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """That a log has only grown.

    Attributes:
        old: its size before.
        proof: hashes (`log_tree.consistency`).
        checkpoint: of the log as it is now.
    """

    old: int
    proof: tuple[bytes, ...]
    checkpoint: Checkpoint

    def text(self) -> str:
        """The file, as it is sent to a witness."""
        return "\n".join([f"old {self.old}", *map(_base64, self.proof), "", self.checkpoint.text()])

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a file. What it says is still to be checked.

        Raises:
            UnverifiedError: it isn't one.
        """
        above, _, note = text.partition("\n\n")
        first, *lines = above.split("\n")
        if not first.startswith("old "):
            raise unreadable("it doesn't begin with old")
        return cls(old=decimal(first.removeprefix("old ")), proof=_hashes(lines), checkpoint=Checkpoint.parse(note))

    def findings(self, check: CheckSignature, since: Checkpoint) -> list[Finding]:
        """What is wrong with it, seen from an earlier checkpoint of the same log."""
        now, found = self.checkpoint, _of_checkpoint(self.checkpoint, check)
        if since.peer != now.peer:
            return [*found, Finding("log", f"the earlier checkpoint is of {since.peer}'s log, not of {now.peer}'s")]
        if since.size and not since.is_signed(check):
            found.append(Finding("since", f"{since.peer} didn't sign the earlier checkpoint"))
        if self.old != since.size:
            found.append(
                Finding("old", f"it is about growth from {self.old:,} entries; the earlier checkpoint has {since.size:,}")
            )
        elif not merkle.is_consistent(old=since.size, old_root=since.root, new=now.size, new_root=now.root, proof=self.proof):
            what = f"{now.peer} signed {since.size:,} entries, and {now.size:,} that don't begin with them: two stories"
            found.append(Finding("growth", what))
        return found


class Story(StrEnum):
    """What a log's later checkpoint is to an earlier one that a witness has signed, if it isn't shown to have grown from it."""

    #: As many entries, and other ones: the log's own two signatures prove it, to anybody.
    TWO = "two stories"
    #: Fewer entries.
    BACK = "went back"
    #: More entries, and no proof that they begin with those: asked again, the log may have one.
    OPEN = "not shown to have only grown"


def story(signed: Checkpoint, shown: Checkpoint) -> Story | None:
    """What `shown` is to `signed`, of the same log, as far as the two say by themselves; None if they are the same."""
    if shown.size != signed.size:
        return Story.BACK if shown.size < signed.size else Story.OPEN
    return None if shown.root == signed.root else Story.TWO


def nothing_before(peer: str) -> Checkpoint:
    """The empty log, which everybody knows without a signature."""
    return Checkpoint(peer=peer, size=0, root=merkle.root([]))


def checkpoint_in(text: str) -> Checkpoint:
    """The checkpoint of a proof, of a proof of growth, or that the text itself is.

    Raises:
        UnverifiedError: there is none.
    """
    if text.startswith(_PROOF):
        return LogProof.parse(text).checkpoint
    if text.startswith("old "):
        return Growth.parse(text).checkpoint
    return Checkpoint.parse(text)


def with_signatures(checkpoint: Checkpoint, other: Checkpoint) -> Checkpoint:
    """The same with the signatures that another copy of it has.

    Raises:
        UnverifiedError: the other is of something else.
    """
    if checkpoint.body() != other.body():
        raise UnverifiedError("the two checkpoints are different ones", hint="witnesses sign one checkpoint: prove it again")
    more = tuple(each for each in other.signatures if each not in checkpoint.signatures)
    return replace(checkpoint, signatures=(*checkpoint.signatures, *more))


def _of_checkpoint(checkpoint: Checkpoint, check: CheckSignature) -> list[Finding]:
    return [] if checkpoint.is_signed(check) else [Finding("checkpoint", f"{checkpoint.peer} didn't sign it")]


def _hashes(lines: list[str]) -> tuple[bytes, ...]:
    if len(lines) > _HASHES_MAX:
        raise unreadable(f"it has {len(lines):,} hashes; at most {_HASHES_MAX}")
    return tuple(map(digest, lines))


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
