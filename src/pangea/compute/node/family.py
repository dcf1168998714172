"""Who may work for a node, who may not, and what is remembered of both."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable
from dataclasses import replace

from pangea.compute.model.errors import PeerError
from pangea.compute.model.ids import PeerId
from pangea.compute.network.peering import Hello, PeerLink
from pangea.compute.network.service import Caller
from pangea.compute.node import logs
from pangea.compute.node.config import NodeConfig
from pangea.compute.node.driver import Driver
from pangea.compute.node.journal import Journal
from pangea.compute.node.neighbours import Neighbour
from pangea.compute.node.records import TrustKept
from pangea.compute.orchestrator.events import PeerBanned, PeerPardoned, Relation
from pangea.compute.orchestrator.limits import DEPTH_MAX
from pangea.compute.orchestrator.pulse import subtree
from pangea.compute.orchestrator.trust import TrustBook, TrustRecord


class Family:
    """A node's parent and children, as far as they are let in."""

    def __init__(self, config: NodeConfig, driver: Driver, trust: TrustBook, journal: Journal) -> None:
        """Let in as `config` says, but nobody whom `trust` holds banned."""
        self._config = config
        self._driver = driver
        self._trust = trust
        self._journal = journal

    def adopt(self, caller: Caller, link: Callable[[PeerId, str], PeerLink], hello: Hello) -> tuple[Neighbour, Hello]:
        """Take a peer as a child.

        Raises:
            PeerError: it isn't taken, for the reason given.
        """
        peer = PeerId(caller.owner)
        if objection := self._objection(caller, peer, hello):
            raise PeerError(objection)
        neighbour = self._driver.neighbours.add(link(peer, caller.host), Relation.CHILD, hello)
        return neighbour, self.hello()

    def _objection(self, caller: Caller, peer: PeerId, hello: Hello) -> str:
        """Why a peer isn't taken as a child; empty if it is."""
        neighbours = self._driver.neighbours
        children = sum(1 for each in neighbours.children if each.peer != peer)
        if caller.is_local or not self.admits(peer):
            return f"{peer} may not work for this node: its --admit names who may"
        if self._trust.is_banned(peer, self._driver.now()):
            return f"{peer} is banned here"
        if children >= self._config.children_max:
            return f"this node has {children} children, the most it takes"
        if peer in neighbours.path:
            return f"a loop: {peer} is above this node"
        if len(neighbours.path) + hello.height > DEPTH_MAX:
            return f"deeper than {DEPTH_MAX}"
        if self._config.find_parent and neighbours.parent is None:
            return "this node has no parent itself at the moment"
        return ""

    def admits(self, peer: str) -> bool:
        """Whether a peer may work for this node."""
        return self._config.admit == ("open",) or peer in self._config.admit

    def welcomes(self, peer: str) -> bool:
        """Whether a peer may so much as connect."""
        may = peer in self._config.allow or self.admits(peer)
        return may and not self._trust.is_banned(PeerId(peer), self._driver.now())

    def hello(self) -> Hello:
        """What this node says of itself to a neighbour."""
        core, neighbours = self._driver.core.core, self._driver.neighbours
        return Hello(site=self._config.site, path=neighbours.path, cores=core.me.cores, height=subtree(core).height)

    def ban(self, peer: PeerId, why: str) -> None:
        """Have nothing to do with a peer any more."""
        self._driver.tell(PeerBanned(peer=peer, why=why))

    async def pardon(self, peer: PeerId) -> bool:
        """Lift a ban, in all that is written down, too; False if there is none."""
        was_banned = self._trust.is_banned(peer, self._driver.now())
        for kept in await asyncio.to_thread(self._journal.trust):
            if kept.worker == peer:
                self._journal.post(replace(kept, record=json.dumps(json.loads(kept.record) | {"banned_until": 0.0, "why": ""})))
        self._driver.causes.pop(peer, None)
        self._driver.tell(PeerPardoned(peer=peer))
        return was_banned

    def restore(self, records: Iterable[TrustKept]) -> None:
        """Take back what was written down."""
        for kept in records:
            try:
                record = json.loads(kept.record)
                if why := str(record.pop("why", "")):
                    self._driver.causes[PeerId(kept.worker)] = why
                self._trust.restore(PeerId(kept.worker), kept.runtime, TrustRecord.from_json(record))
            except (ValueError, TypeError, AttributeError) as error:
                logs.get("node").warning("a record of trust makes no sense", worker=kept.worker, error=str(error))
