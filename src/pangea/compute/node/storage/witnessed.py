"""What this node has signed as a witness of other nodes' logs: of each the newest checkpoint, never one that contradicts it."""

from __future__ import annotations

import fcntl
from pathlib import Path

from pangea.compute.engine.files import new_file, sync_folder
from pangea.compute.model.errors import UnverifiedError
from pangea.compute.verification.log_proof import Growth, nothing_before
from pangea.compute.verification.receipts import CheckSignature, Sign
from pangea.compute.verification.signed_note import Checkpoint

_FOLDER, _LOCK = "witnessed", ".lock"
_MODE = 0o600


class Witnessed:
    """The checkpoints that a node has signed for others."""

    def __init__(self, data_dir: Path, peer: str, sign: Sign, check: CheckSignature) -> None:
        """Keep them in `data_dir`, sign as `peer`, and check others' signatures."""
        self._folder = data_dir / _FOLDER
        self._peer = peer
        self._sign = sign
        self._check = check

    def cosign(self, growth: Growth, now: int) -> Checkpoint:
        """Sign what a log has grown to, at `now`, seconds since 1970; it is on disk before it is given away.

        Raises:
            UnverifiedError: the log hasn't signed it, it isn't growth from what was signed last, or a story of its own.
        """
        self._folder.mkdir(mode=0o700, exist_ok=True)
        with open(self._folder / _LOCK, "w") as lock:  # two at once might sign two stories
            fcntl.flock(lock, fcntl.LOCK_EX)
            before = self.last(growth.checkpoint.peer)
            if growth.old != before.size:
                raise UnverifiedError(
                    f"this node has last signed {before.size:,} entries of that log, and the proof begins at {growth.old:,}",
                    hint="have it proved from there: pangea log prove --since that checkpoint (at first: none)",
                )
            if findings := growth.findings(self._check, before):
                raise UnverifiedError(f"the log isn't signed: {findings[0]}", findings=[str(each) for each in findings])
            signed = growth.checkpoint.cosigned(self._peer, now, self._sign)
            with new_file(self._path(signed.peer), _MODE) as file:
                file.write(signed.text().encode())
            sync_folder(self._folder)
        return signed

    def last(self, peer: str) -> Checkpoint:
        """What was signed last of a peer's log; the empty one, if nothing was."""
        try:
            return Checkpoint.parse(self._path(peer).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return nothing_before(peer)

    def _path(self, peer: str) -> Path:
        if not peer.isalnum() or not peer.isascii() or len(peer) > 64:
            raise UnverifiedError(f"{peer[:80]!r} is no peer id")
        return self._folder / peer
