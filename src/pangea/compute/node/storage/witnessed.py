"""What this node has signed as a witness of other nodes' logs: of each the newest checkpoint, never one that contradicts it.

Beside it, of a log that has shown something else than growth from there, what it has shown: the two checkpoints, each with the
log's own signature, are what there is to say against it. `<peer>` is what was signed, `<peer>-shown` the other.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pangea.compute.engine.files import new_file, sync_folder
from pangea.compute.model.errors import QuotaError, UnverifiedError
from pangea.compute.verification.log_proof import Growth, Story, nothing_before, story
from pangea.compute.verification.receipts import CheckSignature, Sign
from pangea.compute.verification.signed_note import Checkpoint

FOLDER = "witnessed"
#: Logs that one node keeps an eye on. None is forgotten for another: that one could begin again.
LOGS_MAX = 4_096
_LOCK, _SHOWN = ".lock", "-shown"
_MODE = 0o600


@dataclass(frozen=True, slots=True)
class Account:
    """What a witness knows of one log.

    Attributes:
        signed: what it has signed last.
        shown: what it was shown since, and has not signed; None if all was growth.
    """

    signed: Checkpoint
    shown: Checkpoint | None

    @property
    def story(self) -> Story | None:
        """What is to be said against the log; None: nothing."""
        return None if self.shown is None else story(self.signed, self.shown)


class Witnessed:
    """The checkpoints that a node has signed for others."""

    def __init__(self, data_dir: Path, peer: str, sign: Sign, check: CheckSignature) -> None:
        """Keep them in `data_dir`, sign as `peer`, and check others' signatures."""
        self._folder = data_dir / FOLDER
        self._peer = peer
        self._sign = sign
        self._check = check

    def cosign(self, growth: Growth, now: int) -> Checkpoint:
        """Sign what a log has grown to, at `now`, seconds since 1970; it is on disk before it is given away.

        Raises:
            UnverifiedError: the log hasn't signed it, it isn't growth from what was signed last, or a story of its own.
            QuotaError: there are too many logs.
        """
        with self._alone():
            before = self._growing(growth.checkpoint)
            if growth.old != before.size:
                raise UnverifiedError(
                    f"this node has last signed {before.size:,} entries of that log, and the proof begins at {growth.old:,}",
                    hint="have it proved from there: pangea log prove --since that checkpoint (at first: none)",
                )
            if findings := growth.findings(self._check, before):
                self._note(before, growth.checkpoint)
                raise UnverifiedError(f"the log isn't signed: {findings[0]}", findings=[str(each) for each in findings])
            signed = growth.checkpoint.cosigned(self._peer, now, self._sign)
            self._write(self._path(signed.peer), signed)
            self._shown(signed.peer).unlink(missing_ok=True)
        return signed

    def _growing(self, checkpoint: Checkpoint) -> Checkpoint:
        """What was signed last of the log that `checkpoint` is of.

        Raises:
            UnverifiedError: the log hasn't signed it, contradicts what was signed, or has done so before.
            QuotaError: there are too many logs.
        """
        before = self.last(checkpoint.peer)
        if not checkpoint.is_signed(self._check):
            raise UnverifiedError(f"the log isn't signed: {checkpoint.peer} didn't sign its checkpoint")
        known = self._account(before)
        if known.story is Story.TWO:
            raise UnverifiedError(f"{checkpoint.peer} has told {Story.TWO}: this node signs nothing of it any more")
        if (told := story(before, checkpoint)) in (Story.TWO, Story.BACK):
            self._note(before, checkpoint)
            shown = f"has shown {checkpoint.size:,} entries where this node has signed {before.size:,}"
            raise UnverifiedError(f"the log isn't signed: {checkpoint.peer} {shown}: {told}")
        if not before.size and not self._path(checkpoint.peer).exists() and sum(1 for _ in self._logs()) >= LOGS_MAX:
            raise QuotaError(f"this node is a witness of {LOGS_MAX:,} logs already, and of no more")
        return before

    def last(self, peer: str) -> Checkpoint:
        """What was signed last of a peer's log; the empty one, if nothing was."""
        return _read(self._path(peer)) or nothing_before(peer)

    def accounts(self) -> list[Account]:
        """What is known of each log, by peer id."""
        return [self._account(self.last(peer)) for peer in sorted(self._logs())]

    def of(self, peer: str) -> Account:
        """What is known of a peer's log."""
        return self._account(self.last(peer))

    def paths(self, peer: str) -> tuple[Path, Path]:
        """The two files of a log: what was signed, what was shown."""
        return self._path(peer), self._shown(peer)

    def _account(self, signed: Checkpoint) -> Account:
        return Account(signed, _read(self._shown(signed.peer)))

    def _note(self, before: Checkpoint, shown: Checkpoint) -> None:
        """Keep what a log has shown, with its own signature: the latest, until it proves two stories."""
        if before.size and shown.is_signed(self._check):
            self._write(self._shown(shown.peer), shown.by_log())

    def _write(self, path: Path, checkpoint: Checkpoint) -> None:
        with new_file(path, _MODE) as file:
            file.write(checkpoint.text().encode())
        sync_folder(self._folder)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Two at once might sign two stories."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        with open(self._folder / _LOCK, "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _logs(self) -> Iterator[str]:
        return (each.name for each in self._folder.glob("*") if each.name.isalnum()) if self._folder.is_dir() else iter(())

    def _path(self, peer: str) -> Path:
        if not peer.isalnum() or not peer.isascii() or len(peer) > 64:
            raise UnverifiedError(f"{peer[:80]!r} is no peer id")
        return self._folder / peer

    def _shown(self, peer: str) -> Path:
        return self._folder / f"{self._path(peer).name}{_SHOWN}"


def _read(path: Path) -> Checkpoint | None:
    try:
        return Checkpoint.parse(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
