"""A node's way into a tree: whom it asks to be its parent, in which order, and when it asks again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from random import Random
from typing import TYPE_CHECKING

from pangea.compute.model.errors import ConfigError, PangeaError
from pangea.compute.model.ids import PeerId
from pangea.compute.network.identity import Identity
from pangea.compute.network.peers.address import NodeAddress
from pangea.compute.network.peers.dialling import dial
from pangea.compute.network.peers.hello import Hello
from pangea.compute.network.peers.peering import PeerLink
from pangea.compute.node import logs
from pangea.compute.node.tree.neighbours import Neighbour, Neighbours
from pangea.compute.orchestrator.core.events import Relation
from pangea.compute.orchestrator.limits import DEPTH_MAX

if TYPE_CHECKING:
    from pangea.compute.network.discovery.service import Found

#: Wait after the first round in which nobody took this node; doubles up to the maximum, so that a healed network is found within
#: seconds. Jitter is 50 % either way.
RETRY_SECONDS, RETRY_SECONDS_MAX = 0.5, 3.0
#: Nodes asked in one round.
_ASKED_MAX = 8
_DIAL_SECONDS = 5.0


class Joining:
    """Keeps a node under a parent, as long as `run` runs."""

    def __init__(
        self,
        identity: Identity,
        neighbours: Neighbours,
        *,
        fixed: Sequence[NodeAddress],
        found: Callable[[], Sequence[Found]],
        hello: Callable[[], Hello],
        random: Random,
    ) -> None:
        """Look for a parent among `fixed` addresses in their order, then among those `found`.

        Args:
            identity: of this node.
            neighbours: its links.
            fixed: where its operator wants it.
            found: peers that discovery knows now.
            hello: what this node says of itself.
            random: spreads nodes that look at the same moment.
        """
        self._identity = identity
        self._neighbours = neighbours
        self._fixed = fixed
        self._found = found
        self._hello = hello
        self._random = random
        self._wake = asyncio.Event()
        neighbours.on_parent_lost = self._wake.set

    async def run(self) -> None:
        """Find a parent, and another whenever it is lost; until cancelled."""
        failures = 0
        while True:
            self._wake.clear()
            if self._neighbours.parent is None:
                failures = 0 if await self._ask_all() else failures + 1
            if self._neighbours.parent is None:
                wait = min(RETRY_SECONDS_MAX, RETRY_SECONDS * 2 ** min(failures, 10)) * (0.5 + self._random.random())
            else:
                wait = RETRY_SECONDS_MAX
            try:
                async with asyncio.timeout(wait):  # wait_for may lose a cancellation that comes as the wait ends
                    await self._wake.wait()
            except TimeoutError:
                continue
            await asyncio.sleep(RETRY_SECONDS * self._random.random())  # others have lost the same parent

    async def _ask_all(self) -> bool:
        """Ask one after the other; whether one has taken this node."""
        for address in [*self._fixed, *self.candidates()][: max(_ASKED_MAX, len(self._fixed))]:
            try:
                await dial(address, self._identity, self._hello(), self._accept, timeout=_DIAL_SECONDS)
            except PangeaError as error:
                logs.get("peers").info("not taken", address=str(address), error=error.message)
            else:
                return True
        return False

    def _accept(self, link: PeerLink, hello: Hello) -> Neighbour:
        return self._neighbours.add(link, Relation.PARENT, hello)

    def candidates(self) -> list[NodeAddress]:
        """Those found that might take this node: of its site first, nearest to the root; among equals by lot."""
        hello = self._hello()
        below = {child.peer for child in self._neighbours.children} | {PeerId(self._identity.peer_id)}
        fit = [
            found
            for found in self._found()
            if found.advertisement.takes_children
            and found.advertisement.free_places > 0
            and found.advertisement.depth + 1 + hello.height <= DEPTH_MAX
            and found.peer not in below
        ]
        self._random.shuffle(fit)
        fit.sort(key=lambda each: (each.advertisement.site != hello.site, each.advertisement.depth))
        return [address for found in fit for address in _addresses(found.advertisement.rpc)]


def _addresses(texts: Sequence[str]) -> list[NodeAddress]:
    addresses = []
    for text in texts:
        try:
            addresses.append(NodeAddress.parse(text))
        except ConfigError:  # a stranger's
            continue
    return addresses
