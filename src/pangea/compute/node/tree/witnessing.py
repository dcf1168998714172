"""What a node does as a witness: it signs what neighbours' logs of receipts are, as long as they only grow.

A neighbour is answered about its own log alone, in a few calls a second, each of a few kilobytes and two waits for the disk on a
thread, one at a time for all. A log that tells another story is named in this node's log, its two checkpoints are kept.

Source: C2SP tlog-witness (add-checkpoint), with a link between neighbours in place of HTTP.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from pangea.compute.model.errors import PeerError, QuotaError, UnverifiedError
from pangea.compute.model.ids import PeerId
from pangea.compute.node import logs
from pangea.compute.node.storage.witnessed import Account, Witnessed
from pangea.compute.verification.log_proof import GROWTH_BYTES_MAX, Growth, Story

#: A neighbour may ask so many times at once, and once in so many seconds from then on.
BURST, PACE_SECONDS = 8, 1.0
#: Neighbours whose pace is remembered; the least recent ones are strangers again.
_PACED_MAX = 4_096


class Witnessing:
    """Answers neighbours that want their logs witnessed."""

    def __init__(self, witnessed: Witnessed, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Sign and keep by `witnessed`; seconds of `monotonic` pass between questions."""
        self._witnessed = witnessed
        self._monotonic = monotonic
        self._alone = asyncio.Lock()
        #: When each has used up what it may ask, by `monotonic`.
        self._paid: dict[PeerId, float] = {}
        #: What was last said of each log, so that it is said once.
        self._named: dict[PeerId, Story] = {}

    async def cosign(self, peer: PeerId, text: str) -> tuple[str, int]:
        """The line with this node's signature; or "" and the entries that it has signed last, if the proof begins elsewhere.

        Raises:
            QuotaError: it asks too often.
            PeerError: it asks about another's log.
            UnverifiedError: that isn't signed.
        """
        self._pay(peer)
        if len(text) > GROWTH_BYTES_MAX:
            raise UnverifiedError(f"a proof of {len(text):,} characters; a witness reads {GROWTH_BYTES_MAX:,} at most")
        growth = Growth.parse(text)
        if growth.checkpoint.peer != peer:
            raise PeerError(f"{peer} asks about {growth.checkpoint.peer}'s log: a node has its own log witnessed, no other")
        async with self._alone:
            try:
                return await asyncio.to_thread(self._signed, growth)
            except UnverifiedError:
                self._name(peer, await asyncio.to_thread(self._witnessed.of, peer))
                raise

    def _signed(self, growth: Growth) -> tuple[str, int]:
        before = self._witnessed.last(growth.checkpoint.peer)
        if growth.old != before.size and growth.checkpoint.size > before.size:
            return "", before.size
        signed = self._witnessed.cosign(growth, int(time.time()))
        return signed.signatures[-1].line(), signed.size

    def _pay(self, peer: PeerId) -> None:
        now = self._monotonic()
        until = max(now, self._paid.pop(peer, now)) + PACE_SECONDS
        if is_over := until > now + BURST * PACE_SECONDS:
            until -= PACE_SECONDS
        self._paid[peer] = until
        if len(self._paid) > _PACED_MAX:
            del self._paid[next(iter(self._paid))]
        if is_over:
            raise QuotaError(f"{peer} asks for signatures more often than once in {PACE_SECONDS:g} s", retry=True)

    def _name(self, peer: PeerId, account: Account) -> None:
        """Say once what a log has done. A bad proof alone says little: the next may be right."""
        story = account.story
        if story is None or account.shown is None or self._named.get(peer) is story:
            return
        if len(self._named) < _PACED_MAX:
            self._named[peer] = story
        signed, shown = self._witnessed.paths(peer)
        tell = logs.get("peers").info if story is Story.OPEN else logs.get("peers").error
        tell(
            "a log is not signed",
            peer=peer,
            story=str(story),
            signed_entries=account.signed.size,
            shown_entries=account.shown.size,
            signed=str(signed),
            shown=str(shown),
        )
