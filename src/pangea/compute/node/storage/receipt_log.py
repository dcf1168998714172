"""A node's log of the receipts that it has given: they can be added to, and nothing else, as anybody can check.

Two files. `entries` has each entry behind its length (2 bytes, big-endian, as in C2SP tlog-tiles), and only grows. `checkpoint`
is the newest signed one, replaced as a whole. An entry is on the disk itself before the checkpoint that counts it is signed; so
after a power cut at any point there are the entries of the checkpoint, and perhaps something behind them, whole, torn or other
bytes: it was promised to nobody, is cut off, and its receipts are added again. If entries that a checkpoint counts are missing or
changed, the log is damaged: it signs nothing any more, since that would be another story than the one it has told.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from pangea.compute.engine.files import new_file, sync_folder
from pangea.compute.model.errors import UnavailableError, UnverifiedError
from pangea.compute.verification.log_proof import job_of
from pangea.compute.verification.merkle import Frontier
from pangea.compute.verification.receipts import Sign
from pangea.compute.verification.signed_note import Checkpoint

#: In a node's data directory.
FOLDER = "log"
ENTRIES, CHECKPOINT = "entries", "checkpoint"
#: Where a crash is told apart by tests.
WRITE_POINTS = ("log before entry", "log after entry", "log after checkpoint")
_LENGTH_BYTES = 2
_MODE = 0o600


class ReceiptLog:
    """The log of one node. Its methods may be called from any thread.

    Attributes:
        problem: why nothing can be added, or "".
    """

    def __init__(self, folder: Path, peer: str, sign: Sign, *, on_write: Callable[[str], None] | None = None) -> None:
        """The log in `folder`, which is made when the first entry comes; `open` reads it, or the first `add`.

        Args:
            folder: in the node's data directory.
            peer: the node's peer id.
            sign: signs with its key.
            on_write: told of each of `WRITE_POINTS` passed.
        """
        self.problem: str = ""
        self._folder = folder
        self._peer = peer
        self._sign = sign
        self._pass = on_write or (lambda _point: None)
        self._frontier = Frontier()
        self._size_bytes = self._signed = 0
        self._jobs: set[str] = set()
        self._lock = threading.Lock()
        self._is_open = False

    def open(self) -> None:
        """Read what is there; what is wrong with it is `problem`, and stays as it is."""
        with self._lock:
            self._read()

    def _read(self) -> None:
        """Once: what is added before that would be written over what is there."""
        if self._is_open:
            return
        self._is_open = True
        try:
            checkpoint = read_checkpoint(self._folder, self._peer)
            entries = _whole(self._folder)[: checkpoint.size]
        except (OSError, UnverifiedError) as error:
            self.problem = f"the log of receipts can't be read: {error}"
            return
        self._signed = checkpoint.size
        self._size_bytes = sum(_LENGTH_BYTES + len(entry) for entry in entries)
        for entry in entries:
            self._take(entry)
        if (self._frontier.size, self._frontier.root()) != (checkpoint.size, checkpoint.root):
            self.problem = f"the log of receipts is damaged: its checkpoint counts {checkpoint.size:,} other entries"

    def __contains__(self, job_id: str) -> bool:
        """Whether a job's receipt is in it."""
        return job_id in self._jobs

    def add(self, entries: Iterable[bytes]) -> int:
        """Write down those entries whose jobs aren't in it, and sign what it is then; how many entries it has.

        Raises:
            UnavailableError: it is damaged.
            OSError: the disk doesn't take them; the log is as it was.
        """
        with self._lock:
            self._read()
            if self.problem:
                raise UnavailableError(self.problem, hint="put the folder's copy back, or move it away: that begins another log")
            fresh = {job: each for each in entries if (job := job_of(each)) not in self._jobs}
            if fresh:
                self._append([*fresh.values()])
            if self._signed != self._frontier.size:
                self._sign_now()
            return self._frontier.size

    def _append(self, entries: list[bytes]) -> None:
        self._pass("log before entry")
        is_new = self._size_bytes == 0
        self._folder.mkdir(mode=0o700, exist_ok=True)
        data = b"".join(len(each).to_bytes(_LENGTH_BYTES, "big") + each for each in entries)
        descriptor = os.open(self._folder / ENTRIES, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _MODE)
        try:
            os.ftruncate(descriptor, self._size_bytes)  # what another life has left behind the last checkpoint
            _write(descriptor, data, self._size_bytes)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if is_new:
            sync_folder(self._folder)
            sync_folder(self._folder.parent)
        self._size_bytes += len(data)
        for each in entries:
            self._take(each)

    def _sign_now(self) -> None:
        self._pass("log after entry")
        checkpoint = Checkpoint(peer=self._peer, size=self._frontier.size, root=self._frontier.root()).signed(self._sign)
        with new_file(self._folder / CHECKPOINT, _MODE) as file:
            file.write(checkpoint.text().encode())
        sync_folder(self._folder)
        self._signed = checkpoint.size
        self._pass("log after checkpoint")

    def _take(self, entry: bytes) -> None:
        self._frontier.add(entry)
        self._jobs.add(job_of(entry))


def read_entries(folder: Path, size: int) -> list[bytes]:
    """The first `size` entries of the log in `folder`.

    Raises:
        UnavailableError: there are fewer.
        OSError: it can't be read.
    """
    entries = _whole(folder)
    if len(entries) < size:
        raise UnavailableError(f"the log of receipts in {folder} is damaged: {len(entries):,} of {size:,} entries are there")
    return entries[:size]


def read_checkpoint(folder: Path, peer: str = "") -> Checkpoint:
    """The newest checkpoint of the log in `folder`; the empty one, if nothing was added yet.

    Raises:
        UnverifiedError: what is there is none.
        OSError: it can't be read.
    """
    try:
        return Checkpoint.parse((folder / CHECKPOINT).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Checkpoint(peer=peer, size=0, root=Frontier().root())
    except UnicodeDecodeError as error:
        raise UnverifiedError(f"{folder / CHECKPOINT} is damaged: {error}") from error


def _whole(folder: Path) -> list[bytes]:
    """The whole entries there are."""
    try:
        data = (folder / ENTRIES).read_bytes()
    except FileNotFoundError:
        return []
    entries, at = [], 0
    while at + _LENGTH_BYTES <= len(data):
        end = at + _LENGTH_BYTES + int.from_bytes(data[at : at + _LENGTH_BYTES], "big")
        if end > len(data):
            break
        entries.append(data[at + _LENGTH_BYTES : end])
        at = end
    return entries


def _write(descriptor: int, data: bytes, at: int) -> None:
    while data:
        written = os.pwrite(descriptor, data, at)
        data, at = data[written:], at + written
