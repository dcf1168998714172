"""The links of a node to its parent and its children: who is there, what is on its way, what has crossed.

Messages to one neighbour go out in order, several unanswered at once. A link that fails in any way is closed; whatever
depended on it is the orchestrator's to place anew.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any

from pangea.compute.model.errors import PangeaError, PeerError, UnavailableError
from pangea.compute.model.frames import Buffer
from pangea.compute.model.ids import PeerId
from pangea.compute.model.packet import TaskResult, TaskStatus
from pangea.compute.network.peers.hello import BELOW_MAX, Hello, Place
from pangea.compute.network.peers.peering import CALL_SECONDS, PeerLink
from pangea.compute.network.rpc.peer_messages import Envelope
from pangea.compute.node import logs
from pangea.compute.node.storage.contents import ENVELOPE_BYTES_MAX, Contents
from pangea.compute.node.tree.delegated import AlteredError, DelegatedJobs, RefusedError
from pangea.compute.node.tree.networks import network_of
from pangea.compute.node.tree.peer_codec import Heard, PeerCodec
from pangea.compute.orchestrator.core.events import (
    AnswersComing,
    Event,
    MessageReceived,
    PeerJoined,
    PeerLost,
    PeerMisbehaved,
    Relation,
)
from pangea.compute.orchestrator.core.messages import Answers, Beat, Delegate, Lease, Message

#: Messages that wait for one neighbour: it doesn't take what it is told if there are more.
OUTBOX_MAX = 20_000
#: Messages on their way to one neighbour.
_IN_FLIGHT_MAX = 32
#: Results that are fetched from one neighbour at once.
_PULLS_MAX = 8
_PINGS = 3
_TELL_SECONDS = 0.2
#: Who fetches something that is still on its way here is told so after this long, and asks again: nobody takes this node for dead
#: because the link above it is slow.
_COMING_SECONDS = 3.0
#: A child speaks every few seconds, whatever it does. Silence is counted in looks, each a beat apart: a node that was asleep
#: itself finds what was said meanwhile before it has looked often enough to give anybody up.
_LOOKS_MAX = 4
_LOOK_SECONDS = CALL_SECONDS / _LOOKS_MAX


@dataclass(slots=True)
class Traffic:
    """Bytes of content that crossed a link."""

    sent: int = 0
    received: int = 0


class Neighbour:
    """One neighbour. Implements `network.peers.peering.PeerEnd`."""

    def __init__(self, among: Neighbours, link: PeerLink, relation: Relation, hello: Hello) -> None:
        """A neighbour whose link has just come up."""
        self._among = among
        self.link = link
        self.peer: PeerId = link.peer
        self.relation = relation
        self.site: str = hello.site
        self.cores: int = hello.cores
        self.path: tuple[PeerId, ...] = hello.path
        self.network: str = network_of(link.host)
        self.round_trip: float = 0.0
        self.since: float = asyncio.get_running_loop().time()
        self.traffic: Traffic = Traffic()
        self._is_gone = self._is_ready = False
        self._has_spoken = True
        self._outbox: deque[Message] = deque()
        self._has_more = asyncio.Event()
        self._in_flight = asyncio.Semaphore(_IN_FLIGHT_MAX)
        self._pulls = asyncio.Semaphore(_PULLS_MAX)
        #: What it says stands behind it: (peer, parent, site).
        self.below: tuple[Place, ...] = ()
        self._tasks: set[asyncio.Task[None]] = set()

    # What it says

    def told(self, envelope: Envelope) -> float:
        """Take in what it says."""
        self._begin()
        message = envelope.message
        seconds = 0.0
        if isinstance(message, Delegate):
            if self.relation is not Relation.PARENT:
                raise PeerError("tasks come from a parent only")
            try:
                self._among.delegated.hear(self.peer, envelope, message)
            except AlteredError as error:
                self._among.tell(PeerMisbehaved(peer=self.peer, what=error.message))
                raise
            except RefusedError as error:
                return self._refuse(message, error.message)
            self.traffic.received += sum(map(len, envelope.contents.values()))
            seconds = self._among.codec.seconds_of(message)
        self._among.tell(MessageReceived(peer=self.peer, message=message))
        return seconds

    def _refuse(self, message: Delegate, reason: str) -> float:
        """Give back tasks that aren't so much as noted: they take no time."""
        said = partial(TaskResult, status=TaskStatus.REFUSED, worker=self._among.me, message=reason)
        answers = Answers(results=tuple((number, said(task_id=packet.task_id)) for number, packet in message.tasks))
        self.spawn(self._tell(Envelope(message=answers)))
        return 0.0

    async def answered(self, envelope: Envelope) -> None:
        """Take in answers; those whose results aren't here yet, once they are."""
        if self.relation is not Relation.CHILD:
            raise PeerError("answers come from a child only")
        if max(map(len, envelope.contents.values()), default=0) > ENVELOPE_BYTES_MAX:
            raise PeerError(f"results in an answer have {ENVELOPE_BYTES_MAX:,} bytes at most: larger ones are fetched")
        self._begin()
        self.traffic.received += sum(map(len, envelope.contents.values()))
        try:
            heard = await self._among.codec.authentic(self.peer, envelope)
        except PeerError as error:
            self._among.tell(PeerMisbehaved(peer=self.peer, what=error.message))
            raise
        ready, later = self._among.codec.unpack(self.peer, heard, envelope)
        self._hear(ready)
        given = dict(ready)
        if coming := tuple(each for each in heard if each[0] not in given):
            self._among.tell(AnswersComing(peer=self.peer, results=coming))
        for each in later:
            self.spawn(self._hear_later(each))

    def _hear(self, results: list[Heard]) -> None:
        if results and not self._is_gone:
            self._among.tell(MessageReceived(peer=self.peer, message=Answers(results=tuple(results))))

    async def _hear_later(self, fetching: Any) -> None:
        async with self._pulls:
            self._hear([await fetching])

    def moved(self, path: tuple[PeerId, ...]) -> None:
        """It has another place in its tree now."""
        self._has_spoken = True
        self.path = path
        if self.relation is Relation.PARENT:
            self._among.moved()

    def told_below(self, places: tuple[Place, ...]) -> None:
        """What stands behind it has changed."""
        self._has_spoken = True
        if self.relation is Relation.CHILD:
            self.below = places
            self._among.changed()

    async def fetch(self, sha256: bytes, offset: int, count: int) -> Buffer | None:
        """A block for it; None while the content is on its way here.

        Raises:
            PeerError: it was never named to it.
        """
        self._has_spoken = True
        owner = self._among.codec.owner_for(self.peer, sha256)
        if owner is None:
            raise PeerError(f"content {sha256.hex()} wasn't named to {self.peer}, or isn't any more")
        try:
            async with asyncio.timeout(_COMING_SECONDS):
                block = await self._among.contents.block(owner, sha256, offset, count)
        except TimeoutError:
            return None
        self.traffic.sent += len(block)
        return block

    async def cosign(self, growth: str) -> tuple[str, int]:
        """As a witness, sign what its log is now."""
        if self._among.witness is None:
            raise UnavailableError("this node is no witness of logs")
        return await self._among.witness(self.peer, growth)

    def lost(self) -> None:
        """The link is down."""
        self._among.lost(self)

    def _begin(self) -> None:
        """Note that it speaks. The orchestrator knows it before its first word, however slow the answers to our pings are.

        Raises:
            UnavailableError: the link is down already: this was still on its way.
        """
        if self._is_gone:
            raise UnavailableError(f"the link to {self.peer} was closed", retry=True)
        self._has_spoken = True
        self._be_ready()

    def _be_ready(self) -> None:
        if not self._is_ready:
            self._is_ready = True
            self._among.joined(self)

    async def _listen(self) -> None:
        """Hang up on a child that falls silent: what goes nowhere but up would never learn that the link is dead."""
        looks = 0
        while looks < _LOOKS_MAX:
            self._has_spoken = False
            await asyncio.sleep(_LOOK_SECONDS)
            looks = 0 if self._has_spoken else looks + 1
        self._fail(UnavailableError(f"peer {self.peer} said nothing for {CALL_SECONDS:g} s", retry=True))

    # What it is told

    def say(self, message: Message) -> None:
        """Send a message, in its turn. Signs of life wait for nothing: who sends much over a slow link lives, too."""
        if isinstance(message, Beat | Lease):
            self.spawn(self._tell(Envelope(message=message)))
            return
        self._outbox.append(message)
        self._has_more.set()
        if len(self._outbox) > OUTBOX_MAX:
            logs.get("peers").warning("too slow", peer=self.peer, waiting=len(self._outbox))
            self.close()

    def start(self) -> None:
        """Find out how far it is, say so, then send what there is to send."""
        self.spawn(self._run())
        if self.relation is Relation.CHILD:
            self.spawn(self._listen())

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            for _ in range(_PINGS):
                began = loop.time()
                await self.link.move(self._among.path)
                trip = loop.time() - began
                self.round_trip = min(trip, self.round_trip or trip)
            self._be_ready()
            await self._send_for_ever()
        except PangeaError as error:
            self._fail(error)
        except Exception as error:  # a bug of ours: a link over which nothing is sent any more mustn't look alive
            self._fail(UnavailableError(f"this node failed to send: {type(error).__name__}: {error}"))

    async def _send_for_ever(self) -> None:
        while True:
            while not self._outbox:
                self._has_more.clear()
                await self._has_more.wait()  # as long as the link lives
            envelope = await self._among.codec.pack(self.peer, self._outbox.popleft())
            if envelope is not None:
                await self._in_flight.acquire()
                self.traffic.sent += sum(map(len, envelope.contents.values()))
                self.spawn(self._is_taken(await self.link.send(envelope)))

    async def _is_taken(self, taken: asyncio.Future[Any]) -> None:
        try:
            await taken
        except PangeaError as error:
            self._fail(error)
        finally:
            self._in_flight.release()

    async def _tell(self, envelope: Envelope) -> None:
        try:
            await self.link.tell(envelope)
        except PangeaError as error:
            self._fail(error)

    def move(self, path: tuple[PeerId, ...]) -> None:
        """Tell it where this node is now."""

        async def work() -> None:
            try:
                await self.link.move(path)
            except PangeaError as error:
                self._fail(error)

        self.spawn(work())

    def map(self, places: tuple[Place, ...]) -> None:
        """Tell it what stands behind this node."""

        async def work() -> None:
            try:
                await self.link.map(places)
            except PangeaError as error:
                self._fail(error)

        self.spawn(work())

    def _fail(self, error: PangeaError) -> None:
        if not self._is_gone:
            logs.get("peers").warning("link failed", peer=self.peer, error=error.message)
            self.close()

    def close(self) -> None:
        """Hang up."""
        self.link.close()
        self.lost()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something for as long as the link lives."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def end(self) -> bool:
        """Stop all that is under way; False if that has happened already."""
        if self._is_gone:
            return False
        self._is_gone = True
        current = asyncio.current_task()
        for task in self._tasks:
            if task is not current:
                task.cancel()
        return True


class Neighbours:
    """All links of a node."""

    def __init__(
        self, me: PeerId, tell: Callable[[Event], None], codec: PeerCodec, delegated: DelegatedJobs, contents: Contents
    ) -> None:
        """None yet.

        Args:
            me: this node.
            tell: tells the orchestrator what happens.
            codec: packs and unpacks.
            delegated: work of parents.
            contents: what can be fetched here.
        """
        self.me = me
        self.tell = tell
        self.codec = codec
        self.delegated = delegated
        self.contents = contents
        self._links: dict[PeerId, Neighbour] = {}
        self.on_parent_lost: Callable[[], None] = _nothing
        self.on_moved: Callable[[], None] = _nothing
        self.witness: Callable[[PeerId, str], Awaitable[tuple[str, int]]] | None = None
        self._telling: asyncio.TimerHandle | None = None
        self._crossed = 0
        #: Where this node is, as its operator says.
        self.site = ""

    def __iter__(self) -> Any:
        """All there are now."""
        return iter(list(self._links.values()))

    @property
    def parent(self) -> Neighbour | None:
        """Where work comes from."""
        return next((each for each in self._links.values() if each.relation is Relation.PARENT), None)

    @property
    def children(self) -> list[Neighbour]:
        """Where work goes."""
        return [each for each in self._links.values() if each.relation is Relation.CHILD]

    @property
    def path(self) -> tuple[PeerId, ...]:
        """This node's place: the nodes above, root first, then itself."""
        parent = self.parent
        return (*(parent.path if parent is not None else ()), self.me)

    def find(self, peer: PeerId) -> Neighbour | None:
        """A neighbour, if it is one."""
        return self._links.get(peer)

    def add(self, link: PeerLink, relation: Relation, hello: Hello) -> Neighbour:
        """A link has come up; an older one to the same peer is closed."""
        if (old := self._links.get(link.peer)) is not None:
            old.close()
        neighbour = self._links[link.peer] = Neighbour(self, link, relation, hello)
        neighbour.start()
        return neighbour

    def joined(self, neighbour: Neighbour) -> None:
        """A neighbour is ready: tell the orchestrator."""
        if self._links.get(neighbour.peer) is not neighbour:
            return
        logs.get("peers").info(
            "joined",
            peer=neighbour.peer,
            relation=neighbour.relation.name.lower(),
            round_trip_ms=round(neighbour.round_trip * 1000, 2),
        )
        self.tell(
            PeerJoined(
                peer=neighbour.peer,
                relation=neighbour.relation,
                network=neighbour.network,
                round_trip=neighbour.round_trip,
                cores=neighbour.cores if neighbour.relation is Relation.CHILD else 0,
                is_near=self.is_near(neighbour.site),
            )
        )
        self.changed()
        if neighbour.relation is Relation.PARENT:
            self.moved()

    def send(self, peer: PeerId, message: Message) -> None:
        """Say something to a neighbour; nothing if it is gone."""
        if (neighbour := self._links.get(peer)) is not None:
            neighbour.say(message)

    def drop(self, peer: PeerId, reason: str) -> None:
        """Close a link."""
        if (neighbour := self._links.get(peer)) is not None:
            logs.get("peers").warning("dropped", peer=peer, reason=reason)
            neighbour.close()

    def lost(self, neighbour: Neighbour) -> None:
        """A link is down: forget it, and tell the orchestrator."""
        if not neighbour.end() or self._links.get(neighbour.peer) is not neighbour:
            return
        del self._links[neighbour.peer]
        if not self.is_near(neighbour.site):
            self._crossed += neighbour.traffic.sent + neighbour.traffic.received
        self.changed()
        logs.get("peers").info("lost", peer=neighbour.peer, relation=neighbour.relation.name.lower())
        self.contents.lose(neighbour.peer)
        self.tell(PeerLost(peer=neighbour.peer))
        if neighbour.relation is Relation.PARENT:
            asyncio.get_running_loop().call_soon(self.delegated.lose, neighbour.peer)  # once the orchestrator has heard of it
            self.on_parent_lost()
            self.moved()

    def moved(self) -> None:
        """This node's place has changed: those below should know; a loop is cut.

        Whoever is said to be above and stands below is believed to be below: its key has proved that. Children who are told that
        they are above leave: a parent could part this node from any of them by saying so.
        """
        parent = self.parent
        if parent is not None and not {self.me, *(child.peer for child in self.children)}.isdisjoint(parent.path):
            logs.get("peers").warning("a loop", path=list(parent.path))
            parent.close()
            return
        self.on_moved()
        for child in self.children:
            child.move(self.path)

    def below(self) -> tuple[Place, ...]:
        """Every node below this one: who, under whom, where it says it is."""
        places = [(each.peer, self.me, each.site) for each in self.children]
        return tuple(places + [place for child in self.children for place in child.below])[:BELOW_MAX]

    def changed(self) -> None:
        """What stands behind this node has changed: its parent should know, once others had the time to change it, too."""
        if self._telling is None:
            self._telling = asyncio.get_running_loop().call_later(_TELL_SECONDS, self._tell_above)

    def _tell_above(self) -> None:
        self._telling = None
        if (parent := self.parent) is not None:
            parent.map(self.below())

    def is_near(self, site: str) -> bool:
        """Whether a label is this node's own. Without labels nobody is elsewhere."""
        return not site or not self.site or site == self.site

    def cross_site_bytes(self) -> int:
        """Bytes of content that crossed to and from neighbours of other sites since this node began."""
        far = (each for each in self._links.values() if not self.is_near(each.site))
        return self._crossed + sum(each.traffic.sent + each.traffic.received for each in far)

    async def fetch(self, peer: PeerId, name: bytes, offset: int, count: int) -> bytes | None:
        """A block from a neighbour, or the beginning of it; None while the content is on its way there.

        Raises:
            UnavailableError: it isn't one any more.
            PangeaError: it hasn't got it.
        """
        neighbour = self._links.get(peer)
        if neighbour is None:
            raise UnavailableError(f"peer {peer} is gone", retry=True)
        block = await neighbour.link.fetch(name, offset, count)
        neighbour.traffic.received += len(block or b"")
        return block

    async def close(self) -> None:
        """Hang up everywhere."""
        self.on_parent_lost = self.on_moved = _nothing
        if self._telling is not None:
            self._telling.cancel()
        for neighbour in list(self._links.values()):
            neighbour.close()
        await asyncio.sleep(0)


def _nothing() -> None:
    """Nobody is to be told."""
