"""Whom a node knows: the latest statement of each peer, bounded however many strangers tell however much. Pure: time is told.

Full, it parts first from what it has only heard of, then from who came by itself, then from whom it visited; never from the peers
it was told to start from. What one source tells takes at most `per_source_max` places.
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import dataclass
from enum import IntEnum
from random import Random

from pangea.compute.network.discovery.records import Statement


class Nearness(IntEnum):
    """How we come to know a peer: the higher, the harder to displace."""

    HEARSAY = 0
    CAME = 1
    VISITED = 2
    BOOTSTRAP = 3


@dataclass(frozen=True, slots=True)
class Entry:
    """A peer that is known.

    Attributes:
        statement: its latest.
        heard: when the peer itself was last spoken to, by us or whoever told us; seconds of this machine's clock.
        source: the peer that told us first; its own id if that was itself.
        nearness: how we come to know it.
    """

    statement: Statement
    heard: float
    source: str
    nearness: Nearness


class Book:
    """The peers that a node knows.

    Args:
        own: the node's own id, which is never kept.
        bootstrap: ids of the peers that are never displaced.
        entries_max: kept in all.
        per_source_max: kept of what one source tells.
        stale_seconds: after which a peer that nobody has spoken to is forgotten.
    """

    def __init__(self, own: str, bootstrap: Set[str], *, entries_max: int, per_source_max: int, stale_seconds: float) -> None:
        self._own = own
        self._bootstrap = bootstrap
        self._entries_max, self._per_source_max = entries_max, per_source_max
        self._stale_seconds = stale_seconds
        self._entries: dict[str, Entry] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, peer: str) -> Entry | None:
        """What is known of `peer`."""
        return self._entries.get(peer)

    def entries(self) -> list[Entry]:
        """All peers, latest heard first."""
        return sorted(self._entries.values(), key=lambda entry: entry.heard, reverse=True)

    def meet(self, statement: Statement, *, now: float, is_visit: bool) -> bool:
        """Keep what a peer says of itself, face to face: it counts even if it is dated before what we had.

        Args:
            statement: of that peer.
            now: seconds.
            is_visit: we went to it; else it came to us.

        Returns:
            whether there is news in it.
        """
        peer, known = statement.peer, self._entries.get(statement.peer)
        nearness = Nearness.BOOTSTRAP if peer in self._bootstrap else Nearness.VISITED if is_visit else Nearness.CAME
        nearness = max(nearness, known.nearness) if known else nearness
        return self._keep(Entry(statement, now, peer, nearness))

    def hear(self, statement: Statement, *, source: str, age: float, now: float) -> bool:
        """Keep what `source` says that another peer said `age` seconds ago.

        Returns:
            whether there is news in it.
        """
        peer, heard, known = statement.peer, now - age, self._entries.get(statement.peer)
        if peer in {self._own, source} or age >= self._stale_seconds:
            return False
        if known is None:
            self._make_room_for(source)
            return self._keep(Entry(statement, heard, source, Nearness.HEARSAY))
        is_newer = statement.at > known.statement.at
        if known.nearness > Nearness.HEARSAY:  # it told us itself: only what it said to others after that is newer
            is_newer = is_newer and heard > known.heard
        newest = statement if is_newer else known.statement
        return self._keep(Entry(newest, max(heard, known.heard), known.source, known.nearness))

    def forget_stale(self, now: float) -> None:
        """Forget whom nobody has spoken to for too long."""
        stale = [peer for peer, entry in self._entries.items() if now - entry.heard >= self._stale_seconds]
        for peer in stale:
            del self._entries[peer]

    def tell(self, listener: str, count: int, random: Random) -> Iterable[Entry]:
        """Whom to tell `listener` of: the latest heard and as many drawn from the others, at most `count`.

        Only peers that were met: so what isn't there is told by whoever invented it alone, and goes no further.
        """
        met = (entry for entry in self.entries() if entry.nearness > Nearness.HEARSAY)
        entries = [entry for entry in met if entry.statement.peer != listener]
        if len(entries) <= count:
            return entries
        latest, others = entries[: count - count // 2], entries[count - count // 2 :]
        return latest + random.sample(others, count // 2)

    def _keep(self, entry: Entry) -> bool:
        peer = entry.statement.peer
        if peer == self._own:
            return False
        known = self._entries.get(peer)
        self._entries[peer] = entry
        while len(self._entries) > self._entries_max:
            self._part_from(min(self._entries.values(), key=lambda each: (each.nearness, each.heard)))
        is_new = (
            known is None or known.statement.advertisement != entry.statement.advertisement or known.nearness != entry.nearness
        )
        return is_new and peer in self._entries

    def _make_room_for(self, source: str) -> None:
        told = [entry for entry in self._entries.values() if entry.source == source and entry.nearness == Nearness.HEARSAY]
        if len(told) >= self._per_source_max:
            self._part_from(min(told, key=lambda each: each.heard))

    def _part_from(self, entry: Entry) -> None:
        del self._entries[entry.statement.peer]
