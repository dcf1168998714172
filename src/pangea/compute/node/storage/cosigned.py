"""What witnesses have signed of this node's own log: checkpoints with their signatures, beside the log.

A checkpoint isn't kept once a later one has all its witnesses: what the earlier counts, the later counts, too. A witness that was
found not to look is listed, and nothing of it is kept from then on.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

from pangea.compute.engine.files import new_file
from pangea.compute.model.errors import UnverifiedError
from pangea.compute.verification.log_proof import with_signatures
from pangea.compute.verification.signed_note import WITNESS, Checkpoint

#: In the log's folder.
FOLDER = "cosigned"
_BLIND = "don't look"
_BLIND_MAX = 4_096
#: Signatures of witnesses on one checkpoint: a note has a hundred at most.
WITNESSES_MAX = 64
#: Checkpoints kept, the latest.
_KEPT_MAX = 64
_MODE = 0o600


class Cosigned:
    """Signatures of witnesses. Its methods may be called from any thread."""

    def __init__(self, log_folder: Path) -> None:
        """Those kept in the folder of a log."""
        self._folder = log_folder / FOLDER
        self._lock = threading.Lock()

    def all(self) -> list[Checkpoint]:
        """The checkpoints, the latest last; what can't be read isn't there."""
        found = (_read(path) for path in self._folder.glob("*") if path.name.isdecimal()) if self._folder.is_dir() else ()
        return sorted((each for each in found if each is not None), key=lambda each: each.size)

    def best(self, size_min: int = 1) -> list[Checkpoint]:
        """The checkpoints with so many entries or more: those with the most witnesses first, among equals the latest."""
        fit = [each for each in self.all() if each.size >= size_min]
        return sorted(fit, key=lambda each: (-len(_names(each)), -each.size))

    def keep(self, checkpoint: Checkpoint) -> None:
        """Keep a checkpoint with what witnesses have signed; their signatures are the caller's to check.

        Raises:
            OSError: it can't be written.
        """
        with self._lock:
            self._keep(checkpoint)

    def _keep(self, checkpoint: Checkpoint) -> None:
        kept = self.all()
        same = next((each for each in kept if each.body() == checkpoint.body()), None)
        whole = checkpoint if same is None else with_signatures(same, checkpoint)
        if len(_names(whole)) > WITNESSES_MAX:
            return
        self._write(whole)
        later: list[frozenset[str]] = []
        for each in sorted((whole, *(each for each in kept if each.size != whole.size)), key=lambda each: -each.size):
            names = _names(each)
            if len(later) >= _KEPT_MAX or any(names <= others for others in later):
                self._path(each).unlink(missing_ok=True)
            else:
                later.append(names)

    def blind(self) -> list[str]:
        """Witnesses that don't look at what they sign."""
        try:
            return (self._folder / _BLIND).read_text(encoding="utf-8").split()
        except FileNotFoundError:
            return []

    def drop(self, peer: str) -> None:
        """Keep nothing of a witness that doesn't look.

        Raises:
            OSError: that can't be written.
        """
        with self._lock:
            self._drop(peer)

    def _drop(self, peer: str) -> None:
        self._folder.mkdir(mode=0o700, exist_ok=True)
        with new_file(self._folder / _BLIND, _MODE) as file:
            file.write("".join(f"{each}\n" for each in dict.fromkeys([peer, *self.blind()][:_BLIND_MAX])).encode())
        for each in self.all():
            rest = tuple(one for one in each.signatures if one.name != WITNESS + peer)
            if not _names(left := replace(each, signatures=rest)):
                self._path(each).unlink(missing_ok=True)
            elif left != each:
                self._write(left)

    def _write(self, checkpoint: Checkpoint) -> None:
        self._folder.mkdir(mode=0o700, exist_ok=True)
        with new_file(self._path(checkpoint), _MODE) as file:
            file.write(checkpoint.text().encode())

    def _path(self, checkpoint: Checkpoint) -> Path:
        return self._folder / str(checkpoint.size)


def _read(path: Path) -> Checkpoint | None:
    try:
        return Checkpoint.parse(path.read_text(encoding="utf-8"))
    except (UnverifiedError, UnicodeDecodeError, FileNotFoundError):
        return None


def _names(checkpoint: Checkpoint) -> frozenset[str]:
    return frozenset(each.name for each in checkpoint.signatures if each.name.startswith(WITNESS))
