"""Links between nodes: the orchestrator hears of a neighbour before its first word, and what is dead is given up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pangea.compute.model.errors import PeerError, UnavailableError
from pangea.compute.model.ids import PeerId
from pangea.compute.network.peers.hello import Hello
from pangea.compute.network.peers.peering import CALL_SECONDS, PeerLink
from pangea.compute.network.rpc.peer_messages import Envelope
from pangea.compute.node.tree.neighbours import Neighbour, Neighbours
from pangea.compute.orchestrator.core.events import Event, MessageReceived, PeerJoined, PeerLost, Relation
from pangea.compute.orchestrator.core.messages import Answers, Beat, Cancel, Delegate, Lease, Message, Recall
from pangea.compute.orchestrator.limits import IDLE_BEAT_SECONDS
from tests.fakes import clock
from tests.fakes.packets import budget_of, packet_of, spec_of

BEAT = Envelope(message=Beat(cores=1, window=1, nodes=1, height=0))


class Link:
    """A far end that answers what it is told after so many seconds; None: never."""

    def __init__(self, peer: str, answers_in: float | None) -> None:
        self.peer, self.host = PeerId(peer), "10.0.0.1"
        self.answers_in = answers_in
        self.is_closed = False
        self.sent: list[Message] = []
        self.told: list[Message] = []
        self.is_free = asyncio.Event()
        self.is_free.set()

    async def move(self, path: tuple[PeerId, ...]) -> None:
        await self._answer()

    async def tell(self, envelope: Envelope) -> None:
        self.told.append(envelope.message)
        await self._answer()

    async def send(self, envelope: Envelope) -> asyncio.Future[None]:
        await self.is_free.wait()
        self.sent.append(envelope.message)
        return asyncio.ensure_future(self._answer())

    def close(self) -> None:
        self.is_closed = True

    async def _answer(self) -> None:
        try:
            async with asyncio.timeout(CALL_SECONDS):
                await (asyncio.Event().wait() if self.answers_in is None else clock.passes(self.answers_in))
        except TimeoutError:
            raise UnavailableError("no answer", retry=True) from None


class Bench:
    """The links of one node, and what its orchestrator heard of them."""

    def __init__(self, site: str = "") -> None:
        self.heard: list[Event] = []
        nothing = SimpleNamespace(lose=lambda peer: None, hear=lambda *of: None, seconds_of=lambda message: 0.0, pack=self._pack)
        nothing.owner_for = lambda peer, name: peer
        them = cast(Any, nothing)
        self.neighbours = Neighbours(PeerId("me"), self.heard.append, codec=them, delegated=them, contents=them)
        self.neighbours.site = site

        self.neighbours.contents = cast(Any, SimpleNamespace(block=self._block, lose=lambda peer: None))
        #: Set once content is here.
        self.is_here = asyncio.Event()

    async def _block(self, _owner: PeerId, name: bytes, offset: int, count: int) -> bytes:
        await self.is_here.wait()
        return name[offset : offset + count]

    @staticmethod
    async def _pack(peer: PeerId, message: Any) -> Envelope:
        return Envelope(message=message)

    def add(self, peer: str, relation: Relation, *, answers_in: float | None = 0.01, site: str = "") -> tuple[Neighbour, Link]:
        link = Link(peer, answers_in)
        return self.neighbours.add(cast(PeerLink, link), relation, Hello(site=site)), link

    def kinds(self) -> list[type[Event]]:
        return [type(event) for event in self.heard]


def on_bench(test: Callable[[Bench], Coroutine[Any, Any, None]], site: str = "") -> None:
    """Run a test of a bench, in a time of its own."""

    async def work() -> None:
        bench = Bench(site)
        await test(bench)
        await bench.neighbours.close()

    clock.run(work())


def test_a_parent_that_delegates_before_its_answers_to_our_pings_are_here_is_a_parent_already() -> None:
    async def test(bench: Bench) -> None:
        parent, _ = bench.add("p", Relation.PARENT, answers_in=None)
        parent.told(Envelope(message=Delegate(spec=spec_of(), budget=budget_of("p"), tasks=((1, packet_of(0)),))))
        assert bench.kinds() == [PeerJoined, MessageReceived], "it would drop the tasks of one whom it doesn't know"

    on_bench(test)


def test_a_neighbour_joins_once() -> None:
    async def test(bench: Bench) -> None:
        child, _ = bench.add("c", Relation.CHILD, answers_in=0.25)
        child.told(BEAT)
        await clock.passes(2.0)
        assert bench.kinds() == [PeerJoined, MessageReceived]
        assert child.round_trip == pytest.approx(0.25)

    on_bench(test)


def test_what_was_on_its_way_when_a_link_was_closed_does_not_count() -> None:
    async def test(bench: Bench) -> None:
        old, _ = bench.add("p", Relation.PARENT)
        bench.add("p", Relation.PARENT)
        with pytest.raises(UnavailableError, match="was closed"):
            old.told(Envelope(message=Lease(jobs=())))
        assert MessageReceived not in bench.kinds()

    on_bench(test)


def test_a_child_that_falls_silent_is_given_up_a_call_s_time_after_its_last_word() -> None:
    async def test(bench: Bench) -> None:
        child, link = bench.add("c", Relation.CHILD)
        for _ in range(20):
            await clock.passes(IDLE_BEAT_SECONDS)
            child.told(BEAT)
        assert not link.is_closed
        await clock.passes(CALL_SECONDS - IDLE_BEAT_SECONDS)
        assert not link.is_closed
        await clock.passes(2 * IDLE_BEAT_SECONDS)
        assert link.is_closed
        assert bench.kinds()[-1] is PeerLost

    on_bench(test)


def test_a_node_that_was_asleep_itself_gives_nobody_up_for_that() -> None:
    async def test(bench: Bench) -> None:
        child, link = bench.add("c", Relation.CHILD)
        await clock.passes(1.0)
        clock.loop().stall(3600.0)
        await clock.passes(1.0)
        child.told(BEAT)
        await clock.passes(1.0)
        assert not link.is_closed

    on_bench(test)


def test_a_parent_that_does_not_answer_is_given_up() -> None:
    async def test(bench: Bench) -> None:
        _, link = bench.add("p", Relation.PARENT)
        await clock.passes(1.0)
        link.answers_in = None
        bench.neighbours.send(PeerId("p"), BEAT.message)
        await clock.passes(CALL_SECONDS + 0.1)
        assert link.is_closed

    on_bench(test)


def test_tasks_come_from_parents_and_answers_from_children() -> None:
    async def test(bench: Bench) -> None:
        child, _ = bench.add("c", Relation.CHILD)
        parent, _ = bench.add("p", Relation.PARENT)
        with pytest.raises(PeerError, match="from a parent only"):
            child.told(Envelope(message=Delegate(spec=spec_of(), budget=budget_of("c"), tasks=())))
        with pytest.raises(PeerError, match="from a child only"):
            await parent.answered(Envelope(message=Answers(results=())))

    on_bench(test)


@pytest.mark.parametrize(("mine", "its", "is_near"), [("a", "a", True), ("a", "b", False), ("", "b", True), ("a", "", True)])
def test_bytes_to_and_from_other_sites_are_counted_beyond_the_link(mine: str, its: str, is_near: bool) -> None:
    async def test(bench: Bench) -> None:
        child, _ = bench.add("c", Relation.CHILD, site=its)
        await clock.passes(1.0)
        child.traffic.sent, child.traffic.received = 30, 4
        assert [event.is_near for event in bench.heard if isinstance(event, PeerJoined)] == [is_near]
        assert bench.neighbours.cross_site_bytes() == (0 if is_near else 34)
        child.close()
        assert bench.neighbours.cross_site_bytes() == (0 if is_near else 34)

    on_bench(test, mine)


def test_signs_of_life_wait_for_nothing_and_all_else_keeps_its_order() -> None:
    async def test(bench: Bench) -> None:
        parent, link = bench.add("p", Relation.PARENT)
        await clock.passes(1.0)
        link.is_free.clear()  # the line is full
        said: list[Message] = [Answers(results=()), Recall(count=1), Answers(results=()), Recall(count=2)]
        for message in said:
            parent.say(message)
        await clock.passes(1.0)
        assert link.sent == []
        parent.say(BEAT.message)
        await clock.passes(1.0)
        assert link.told == [BEAT.message]
        link.is_free.set()
        await clock.passes(1.0)
        assert link.sent == said

    on_bench(test)


def test_a_link_over_which_nothing_can_be_sent_any_more_is_closed() -> None:
    async def test(bench: Bench) -> None:
        child, link = bench.add("c", Relation.CHILD)
        await clock.passes(0.1)

        async def broken(peer: PeerId, message: Message) -> Envelope:
            raise OverflowError("a bug")

        bench.neighbours.codec.pack = broken  # type: ignore[method-assign]
        child.say(Cancel(attempts=(1,)))
        await clock.passes(0.1)
        assert link.is_closed, "it would look alive, and carry nothing"
        assert PeerLost in bench.kinds()

    on_bench(test)


def test_who_fetches_what_is_still_on_its_way_here_is_told_so_in_time() -> None:
    async def test(bench: Bench) -> None:
        child, _ = bench.add("c", Relation.CHILD)
        began = clock.loop().time()
        assert await child.fetch(b"content", 0, 3) is None
        assert clock.loop().time() - began < CALL_SECONDS / 2, "it would take this node for dead"
        bench.is_here.set()
        assert await child.fetch(b"content", 0, 3) == b"con"
        assert child.traffic.sent == 3

    on_bench(test)
