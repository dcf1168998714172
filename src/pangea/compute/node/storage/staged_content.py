"""Content that was sent ahead of its job: whose it is, and for how long.

A hash is a name, not a right: only who has sent content (or has a job with it) may name it in a job. A mark on disk, a file of no
bytes, says so after a restart of the node, too.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pangea.compute.node.storage.blobs import BlobStore, is_name
from pangea.compute.node.storage.quotas import Quotas, Reservation

#: Content that was sent ahead waits so long for its job.
WAITING_SECONDS = 600.0


@dataclass(slots=True)
class _Entry:
    """One content of one owner."""

    until: float
    holding: Reservation
    is_claimed: bool = False


class StagedContent:
    """All content that waits for its job. Its blobs are pinned."""

    def __init__(self, folder: Path, blobs: BlobStore, quotas: Quotas) -> None:
        """Nothing yet; marks are files in `folder`, which is made when there are some."""
        self._folder = folder
        self._blobs = blobs
        self._quotas = quotas
        self._entries: dict[tuple[str, str], _Entry] = {}

    def restore(self, now: float) -> None:
        """Take up what the marks of an earlier process say, for as long as if it had just come."""
        for mark in self._folder.glob("*/*"):
            owner, name = mark.parent.name, mark.name
            if is_name(name) and self._blobs.has(name):
                self.put(self._quotas.hold(owner, size=self._blobs.size(name)), name, now)
            else:
                with suppress(OSError):
                    mark.unlink()

    def has(self, owner: str, name: str) -> bool:
        """Whether `owner` has sent content."""
        return (owner, name) in self._entries

    def put(self, holding: Reservation, name: str, now: float) -> None:
        """Keep content for its job. What its owner holds for it is the shelf's to give back from now on."""
        key = (holding.owner, name)
        if (known := self._entries.get(key)) is not None:
            holding.release()  # the same again: it is held once
            known.until = now + WAITING_SECONDS
            return
        if holding.size != (size := self._blobs.size(name)):  # what counted for it has gone to a job meanwhile
            holding.release()
            holding = self._quotas.hold(holding.owner, size=size)
        self._blobs.pin(name)
        self._entries[key] = _Entry(now + WAITING_SECONDS, holding)
        with suppress(OSError):  # a full disk: after a restart it has to be sent again
            mark = self._mark(key)
            mark.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            mark.touch(mode=0o600)

    def claimable(self, owner: str, names: Iterable[str]) -> tuple[list[str], int]:
        """Which of these contents no other job has claimed yet, and the bytes that their owner holds for them."""
        found = [name for name in dict.fromkeys(names) if (entry := self._entries.get((owner, name))) and not entry.is_claimed]
        return found, sum(self._entries[owner, name].holding.size for name in found)

    def claim(self, owner: str, names: Iterable[str]) -> None:
        """A job takes over what is held for its content."""
        for name in names:
            entry = self._entries[owner, name]
            entry.is_claimed = True
            entry.holding.release()

    def give_back(self, owner: str, names: Iterable[str]) -> None:
        """The job that had claimed content didn't come to be."""
        for name in names:
            if (entry := self._entries.get((owner, name))) is not None and entry.is_claimed:
                entry.is_claimed = False
                entry.holding = self._quotas.hold(owner, size=entry.holding.size)

    def hand_over(self, owner: str, names: Iterable[str]) -> None:
        """The job is on disk: its content is the job's from now on."""
        for name in names:
            self._remove((owner, name))

    def expire(self, now: float) -> None:
        """Let go of what has waited long enough."""
        for key, entry in list(self._entries.items()):
            if entry.until < now and not entry.is_claimed:
                self._remove(key)

    def _remove(self, key: tuple[str, str]) -> None:
        if (entry := self._entries.pop(key, None)) is None:
            return
        entry.holding.release()
        self._blobs.unpin(key[1])
        with suppress(OSError):  # found at the next start, and let go of once more
            self._mark(key).unlink(missing_ok=True)

    def _mark(self, key: tuple[str, str]) -> Path:
        return self._folder / key[0] / key[1]
