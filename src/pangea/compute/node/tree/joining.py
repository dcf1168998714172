"""A node's way into a tree: whom it asks to be its parent, in which order, and when it asks again."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
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
#: Of one name.
_PLACES_MAX = 2


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
        #: Of those found, since this node last had a parent: who leads one nowhere mustn't keep one from others.
        self._failures: Counter[NodeAddress] = Counter()
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
        for address in self._fixed:
            if await self._ask(address):
                return True
        for found in self.candidates()[: max(0, _ASKED_MAX - len(self._fixed))]:
            for address in await _looked_up(found):
                if await self._ask(address):
                    self._failures.clear()
                    return True
            self._failures[found] += 1
        return False

    async def _ask(self, address: NodeAddress) -> bool:
        """Whether one has taken this node."""
        try:
            await dial(address, self._identity, self._hello(), self._accept, timeout=_DIAL_SECONDS)
        except PangeaError as error:
            logs.get("peers").info("not taken", address=str(address), error=error.message)
            return False
        return True

    def _accept(self, link: PeerLink, hello: Hello) -> Neighbour:
        return self._neighbours.add(link, Relation.PARENT, hello)

    def candidates(self) -> list[NodeAddress]:
        """Those found that might take this node: those asked in vain least often, of its site, nearest to the root, then by lot.

        What they say of themselves counts only among those asked as often: anybody can say that it is a root of this very site.
        """
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
        addresses = [address for found in fit for address in _addresses(found.advertisement.rpc)]
        self._failures = Counter({each: self._failures[each] for each in addresses if self._failures[each]})
        return sorted(addresses, key=self._failures.__getitem__)


def _addresses(texts: Sequence[str]) -> list[NodeAddress]:
    addresses = []
    for text in texts:
        try:
            addresses.append(NodeAddress.parse(text))
        except ConfigError:  # a stranger's
            continue
    return addresses


async def _looked_up(address: NodeAddress) -> list[NodeAddress]:
    """A stranger's address with its name looked up, at most two. A name that means this machine, or everybody, is left out.

    IP addresses were judged when they were read; a name (or 2130706433, which is looked up as one) could mean what they may
    not, and this node would knock at its own machine's other doors.
    """
    try:
        ipaddress.ip_address(address.host)
    except ValueError:
        pass
    else:
        return [address]
    try:
        async with asyncio.timeout(_DIAL_SECONDS):
            known = await asyncio.get_running_loop().getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, TimeoutError):
        return []
    hosts = dict.fromkeys(str(place[0]) for *_, place in known)
    return [replace(address, host=host) for host in hosts if _is_elsewhere(host)][:_PLACES_MAX]


def _is_elsewhere(host: str) -> bool:
    ip = ipaddress.ip_address(host.partition("%")[0])
    ip = getattr(ip, "ipv4_mapped", None) or ip
    return not (ip.is_loopback or ip.is_unspecified or ip.is_multicast)
