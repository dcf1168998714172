"""Who may work for a node, who may not, and what is remembered of both."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable
from dataclasses import replace

from pangea.compute.model.errors import PeerError
from pangea.compute.model.ids import PeerId
from pangea.compute.network.peers.hello import Hello
from pangea.compute.network.peers.peering import PeerLink
from pangea.compute.network.rpc.service import Caller
from pangea.compute.node import logs
from pangea.compute.node.config import NodeConfig
from pangea.compute.node.storage.burn_in import burn_in_age
from pangea.compute.node.storage.journal import Journal
from pangea.compute.node.storage.records import TrustKept
from pangea.compute.node.tree.driver import Driver
from pangea.compute.node.tree.neighbours import Neighbour
from pangea.compute.orchestrator.balancing.heartbeat import subtree
from pangea.compute.orchestrator.core.events import PeerBanned, PeerPardoned, Relation
from pangea.compute.orchestrator.limits import DEPTH_MAX
from pangea.compute.orchestrator.rules.trust import TrustBook, TrustRecord, Verdict

#: A child that has answered no task keeps its place for so long, if others want it.
IDLE_SECONDS = 10.0


class Membership:
    """A node's parent and children, as far as they are let in."""

    def __init__(self, config: NodeConfig, driver: Driver, trust: TrustBook, journal: Journal) -> None:
        """Let in as `config` says, but nobody whom `trust` holds banned."""
        self._config = config
        self._driver = driver
        self._trust = trust
        self._journal = journal
        self._helpers: set[asyncio.Task[None]] = set()

    def adopt(self, caller: Caller, link: Callable[[PeerId, str], PeerLink], hello: Hello) -> tuple[Neighbour, Hello]:
        """Take a peer as a child.

        Raises:
            PeerError: it isn't taken, for the reason given.
        """
        peer = PeerId(caller.owner)
        if objection := self._objection(caller, peer, hello) or self._no_place(peer):
            raise PeerError(objection)
        neighbour = self._driver.neighbours.add(link(peer, caller.host), Relation.CHILD, hello)
        return neighbour, self.hello()

    def _objection(self, caller: Caller, peer: PeerId, hello: Hello) -> str:
        """Why a peer isn't taken as a child; empty if it is."""
        neighbours = self._driver.neighbours
        if caller.is_local or not self.admits(peer):
            return f"{peer} may not work for this node: its --admit names who may"
        if self._trust.is_banned(peer, self._driver.now()) and not self._readmits(peer, hello):
            return f"{peer} is banned here: {self._trust.verdict(peer)}"
        if hello.meter and hello.meter != self._driver.calls.engine.meter:
            ours = self._driver.calls.engine.meter
            return f"it counts fuel by {hello.meter}, this node by {ours}: figures don't compare; run the same version on both"
        if peer in neighbours.path:
            return f"a loop: {peer} is above this node"
        if len(neighbours.path) + hello.height > DEPTH_MAX:
            return f"deeper than {DEPTH_MAX}"
        if self._config.find_parent and neighbours.parent is None:
            return "this node has no parent itself at the moment"
        return ""

    def _no_place(self, peer: PeerId) -> str:
        """Why there is no place for one more child; empty if there is. Who has done nothing for a while gives way."""
        children = [each for each in self._driver.neighbours.children if each.peer != peer]
        if len(children) < self._config.children_max:
            return ""
        known, now = self._driver.core.core.children, asyncio.get_running_loop().time()
        idle = [
            each
            for each in children
            if each.since < now - IDLE_SECONDS and not (each.peer in known and known[each.peer].answered)
        ]
        if not idle:
            return f"this node has {len(children)} children, the most it takes, and all of them work or have just come"
        longest = min(idle, key=lambda each: each.since)
        self._driver.neighbours.drop(longest.peer, "it has answered nothing yet, and another asks for its place")
        return ""

    def admits(self, peer: str) -> bool:
        """Whether a peer may work for this node."""
        return self._config.admit == ("open",) or peer in self._config.admit

    def welcomes(self, peer: str) -> bool:
        """Whether a peer may so much as connect."""
        may = peer in self._config.allow or self.admits(peer)
        is_faulty = self._trust.verdict(PeerId(peer)) == Verdict.FAULTY  # it may have been tested since: its hello says so
        return may and (is_faulty or not self._trust.is_banned(PeerId(peer), self._driver.now()))

    def _readmits(self, peer: PeerId, hello: Hello) -> bool:
        """Whether a peer that was found faulty may come back, having passed its own test since."""
        now = self._driver.now()
        if hello.tested < 0 or not self._trust.readmit(peer, now - hello.tested, now):
            return False
        logs.get("peers").info("let back", peer=peer, reason="it was faulty, and has passed its own test since")
        task = asyncio.get_running_loop().create_task(self._lift_written(peer))
        self._helpers.add(task)
        task.add_done_callback(self._helpers.discard)
        return True

    async def _lift_written(self, peer: PeerId) -> None:
        """Lift a ban in all that is written down."""
        self._driver.causes.pop(peer, None)
        for kept in await asyncio.to_thread(self._journal.trust):
            if kept.worker == peer:
                self._journal.post(replace(kept, record=json.dumps(json.loads(kept.record) | {"banned_until": 0.0, "why": ""})))

    def hello(self) -> Hello:
        """What this node says of itself to a neighbour."""
        core, neighbours = self._driver.core.core, self._driver.neighbours
        meter = self._driver.calls.engine.meter
        height = subtree(core).height
        return Hello(
            site=self._config.site,
            path=neighbours.path,
            cores=core.me.cores,
            height=height,
            meter=meter,
            tested=burn_in_age(self._config.data_dir),
        )

    def ban(self, peer: PeerId, why: str) -> None:
        """Have nothing to do with a peer any more."""
        self._driver.tell(PeerBanned(peer=peer, why=why))

    async def pardon(self, peer: PeerId) -> bool:
        """Lift a ban, in all that is written down, too; False if there is none."""
        was_banned = self._trust.is_banned(peer, self._driver.now())
        await self._lift_written(peer)
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
