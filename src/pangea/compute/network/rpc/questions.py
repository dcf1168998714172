"""Questions that the other end of a connection may ask: what a server keeps of each until its caller says that it is done.

Cap'n Proto keeps an answer that holds a capability, or that is to be fetched later, until the caller finishes the question. A
caller that never does so has the server keep ever more: 190 bytes of each Bootstrap, 1,200 of which a second were taken. Ours
bootstrap once and have answers sent to themselves, as all do that know of no third party.

Source: rpc.capnp of Cap'n Proto 1.x: the union of `Message` is in the first 16 bits of its data, that of `Call.sendResultsTo` in
bits 48 to 63 of its.
"""

from __future__ import annotations

from collections.abc import Iterator

from pangea.compute.model.frames import Buffer
from pangea.compute.network.rpc.framing import WireError
from pangea.compute.network.rpc.unfolding import head, unfold

#: On one connection.
BOOTSTRAPS_MAX = 16
_CALL, _BOOTSTRAP = 2, 8
_TO_CALLER = 0


class Questions:
    """Those of one connection."""

    def __init__(self) -> None:
        """None yet."""
        self._bootstraps = 0

    def look(self, frame: Buffer) -> Iterator[None]:
        """Look at a message before it is decoded; yields now and then.

        Raises:
            WireError: it is no message of ours, or would have this end keep more than it may.
        """
        yield from unfold(frame)
        outer, inner = head(frame)
        kind = outer & 0xFFFF
        if kind == _CALL and inner >> 48 != _TO_CALLER:
            raise WireError("a call whose answer is to be kept here")
        if kind == _BOOTSTRAP:
            self._bootstraps += 1
            if self._bootstraps > BOOTSTRAPS_MAX:
                raise WireError(f"a connection that bootstraps more than {BOOTSTRAPS_MAX} times")
