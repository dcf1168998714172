"""The rounds of discovery: whom to visit, what to tell, what to believe. Runs on trio, in discovery's thread.

A node does one thing again and again: it picks a few peers, asks each whom it knows, and tells it the same. Where it first hears
of peers (bootstrap list, mDNS, the DHT, what others tell) makes no difference after that.
"""

from __future__ import annotations

import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from random import SystemRandom
from typing import Any

import trio

from pangea.compute.model.errors import UnavailableError
from pangea.compute.network.discovery.board import Board
from pangea.compute.network.discovery.book import Book, Nearness
from pangea.compute.network.discovery.host import HOUR_SECONDS, Host, addresses_of, quieten
from pangea.compute.network.discovery.mdns import LocalNetwork
from pangea.compute.network.discovery.records import (
    ADDRESSES_MAX,
    TOLD_MAX,
    Advertisement,
    BadStatementError,
    Statement,
    host_ip,
    read,
    read_message,
    sign,
    write_message,
)
from pangea.compute.network.discovery.settings import Bootstrap, DiscoveryLimits, DiscoverySettings
from pangea.compute.network.identity import Identity
from pangea.compute.network.peers.address import NodeAddress

#: A statement is signed anew when it is older, so that the latest of two nodes with one key counts.
_STATEMENT_SECONDS = 30.0
_REMEMBERED_MAX = 1_024
_MDNS_STOP_SECONDS, _MDNS_AGAIN_SECONDS = 2.0, 60.0


async def serve(identity: Identity, settings: DiscoverySettings, limits: DiscoveryLimits, board: Board) -> None:
    """Take part until `board` says that it is over.

    Raises:
        UnavailableError: the address can't be had.
        BaseException: discovery is broken.
    """
    quieten()
    token = trio.lowlevel.current_trio_token()
    rounds = Rounds(identity, settings, limits, board)
    with trio.CancelScope() as everything:  # nothing here needs a long goodbye
        async with rounds.host.running(), trio.open_nursery() as nursery:
            nursery.start_soon(rounds.run)
            if settings.dht:
                nursery.start_soon(rounds.use_dht)
            if settings.mdns:
                nursery.start_soon(rounds.use_mdns)
            board.started(rounds.host.addresses, wake=rounds.wake, call=token.run_sync_soon, stop=everything.cancel)


class Rounds:
    """A node's part in finding each other.

    Args:
        identity: the node's.
        settings, limits: of its discovery.
        board: where it reads what to advertise, and writes whom it knows.
    """

    def __init__(self, identity: Identity, settings: DiscoverySettings, limits: DiscoveryLimits, board: Board) -> None:
        self._identity, self._peer = identity, identity.peer_id
        self._settings, self._limits, self._board = settings, limits, board
        self._bootstrap = {each.peer: each for each in settings.peers() if each.peer != self._peer}
        self._book = Book(
            self._peer,
            self._bootstrap.keys(),
            entries_max=limits.entries_max,
            per_source_max=limits.per_source_max,
            stale_seconds=limits.stale_seconds,
        )
        self._leads: OrderedDict[str, tuple[str, ...]] = OrderedDict()
        self._failures: OrderedDict[str, _Failures] = OrderedDict()
        self._asked_us: OrderedDict[str, float] = OrderedDict()
        self._verified: OrderedDict[str, Statement] = OrderedDict()
        self._own: Statement | None = None
        self._random = SystemRandom()
        self._has_news, self._wake = False, trio.Event()
        self.counts: Counter[str] = Counter[str]()
        self.host: Host = Host(identity, settings, limits, self._answer)

    # The rounds.

    async def run(self) -> None:
        """Visit peers, again and again: often while there is news, seldom while there is none."""
        limits, pause = self._limits, self._limits.round_seconds_min
        while True:
            self._wake, self._has_news = trio.Event(), False
            self.host.refresh_addresses()
            self.host.tidy()
            async with trio.open_nursery() as nursery:
                for peer in self._choose():
                    nursery.start_soon(self._visit, peer)
            self._book.forget_stale(_now())
            self._publish()
            pause = limits.round_seconds_min if self._has_news else min(pause * 1.5, limits.round_seconds_max)
            await trio.sleep(limits.round_seconds_min / 2)
            with trio.move_on_after(pause * self._random.uniform(0.5, 1.0)):
                await self._wake.wait()

    def wake(self) -> None:
        """Begin a round soon."""
        self._wake.set()

    def _choose(self) -> list[str]:
        """Whom to visit now: bootstrap peers that aren't met, strangers, and a few again."""
        limits, entries, now = self._limits, self._book.entries(), _now()
        met = [entry for entry in entries if entry.nearness > Nearness.HEARSAY]
        known = {entry.statement.peer for entry in met}
        starts = [peer for peer in self._bootstrap if peer not in known]
        leads = [peer for peer in self._leads if peer not in known]
        rumours = [each.statement.peer for each in entries if each.nearness == Nearness.HEARSAY and each.statement.hosts]
        rumours = rumours if len(met) < limits.met_enough else []
        again = [entry.statement.peer for entry in met]
        chosen: dict[str, None] = {}
        for peers, most in (
            (starts, limits.visits_max),
            (leads, limits.visits_max // 2),
            (rumours, limits.visits_max),
            (again, limits.revisits),
        ):
            free = [peer for peer in peers if peer not in chosen and self._may_visit(peer, now)]
            chosen.update(dict.fromkeys(self._random.sample(free, min(most, len(free)))))
        return list(chosen)

    async def _visit(self, peer: str) -> None:
        """Ask one peer whom it knows, and tell it the same; a failure is remembered."""
        try:
            with trio.fail_after(self._limits.exchange_seconds):
                await self.host.connect(peer, await self._addresses(peer))
                answer = await self.host.ask(peer, self._message_for(peer))
            self._believe(peer, answer, is_visit=True)
        except Exception:  # whatever a stranger's bytes and the network make the library raise
            self.counts["failed"] += 1
            self._remember_failure(peer)
        else:
            self.counts["visits"] += 1
            self._failures.pop(peer, None)
            self._leads.pop(peer, None)
            await self._tell_dht(peer)

    async def _addresses(self, peer: str) -> list[str]:
        """Where `peer` may be, the latest word first."""
        entry, start = self._book.get(peer), self._bootstrap.get(peer)
        found = [
            *(entry.statement.hosts if entry else ()),
            *(await _looked_up(start) if start else ()),
            *self._leads.get(peer, ()),
        ]
        return list(dict.fromkeys(found))

    async def _tell_dht(self, peer: str) -> None:
        if (entry := self._book.get(peer)) and entry.statement.speaks_dht:
            await self.host.put_into_dht(peer, entry.statement.hosts)

    def _may_visit(self, peer: str, now: float) -> bool:
        return peer not in self._failures or now >= self._failures[peer].until

    def _remember_failure(self, peer: str) -> None:
        limits = self._limits
        longest = limits.backoff_bootstrap_seconds_max if peer in self._bootstrap else limits.backoff_seconds_max
        count = self._failures[peer].count + 1 if peer in self._failures else 1
        wait = min(limits.backoff_seconds_min * 2.0 ** min(count - 1, 32), longest)
        self._failures[peer] = _Failures(count, _now() + wait * self._random.uniform(0.75, 1.0))
        _shorten(self._failures, _REMEMBERED_MAX)

    # What is said and believed.

    def _answer(self, peer: str, question: bytes) -> bytes:
        """Answer the peer at the other end of a connection.

        Raises:
            BadStatementError: it asks too often, or not like one of ours.
        """
        now, before = _now(), self._asked_us.get(peer)
        self._asked_us[peer] = now
        _shorten(self._asked_us, _REMEMBERED_MAX)
        try:
            if before is not None and now - before < self._limits.again_seconds:
                raise BadStatementError("the peer asks too often")
            self._believe(peer, question, is_visit=False)
        except BadStatementError:
            self.counts["refused"] += 1
            raise
        return self._message_for(peer)

    def _believe(self, peer: str, message: bytes, *, is_visit: bool) -> None:
        """Take what `peer` says, so far as its author signed it.

        Raises:
            BadStatementError: it isn't what a peer of ours would say.
        """
        (text, signature), told = read_message(message)
        own, now = self._read(text, signature), _now()
        if own.peer != peer:
            raise BadStatementError(f"peer {peer} gives itself out as {own.peer}")
        before = self._book.get(peer)
        news = self._book.meet(own, now=now, is_visit=is_visit)
        if before is None or before.statement.hosts != own.hosts:
            self._failures.pop(peer, None)  # it is back, or somewhere else
        for text, signature, age in told:
            try:
                statement = self._read(text, signature)
            except BadStatementError:
                self.counts["forged"] += 1
            else:
                news |= self._hear(statement, source=peer, age=age, now=now)
        self._has_news |= news
        self._publish()

    def _hear(self, statement: Statement, *, source: str, age: float, now: float) -> bool:
        before = self._book.get(statement.peer)
        news = self._book.hear(statement, source=source, age=age, now=now)
        after = self._book.get(statement.peer)
        if before and after and before.statement.hosts != after.statement.hosts:
            self._failures.pop(statement.peer, None)  # its own word that it is somewhere else
        return news

    def _read(self, text: str, signature: str) -> Statement:
        """Read a statement; one that was verified before isn't verified again."""
        known = self._verified.get(signature)
        if known is not None and known.text == text:
            self._verified.move_to_end(signature)
            return known
        loopback = any("/127." in each or "/::1/" in each for each in self.host.addresses)
        statement = read(text, signature, knows_loopback=loopback)
        self._verified[signature] = statement
        _shorten(self._verified, 2 * self._limits.entries_max)
        return statement

    def _message_for(self, peer: str) -> bytes:
        now = _now()
        told = self._book.tell(peer, TOLD_MAX, self._random)
        return write_message(self._statement(), [(entry.statement, max(0.0, now - entry.heard)) for entry in told])

    def _statement(self) -> Statement:
        """What this node says of itself, signed lately."""
        said, hosts, at = _spelled_out(self._board.advertisement), self.host.addresses, time.time_ns() // 1_000_000
        own = self._own
        if own is None or own.advertisement != said or own.hosts != hosts or at - own.at > _STATEMENT_SECONDS * 1_000:
            at = max(at, own.at + 1 if own else 0)
            self._own = own = sign(self._identity, said, hosts=hosts, speaks_dht=self._settings.dht, at=at)
        return own

    def _publish(self) -> None:
        self._board.publish(tuple(self._book.entries()), dict(self.counts), self.host.dht_table_size)

    # Where peers are heard of first.

    def lead(self, peer: str, addresses: Sequence[str]) -> None:
        """Follow a hint that `peer` is at `addresses`."""
        if peer != self._peer and addresses and self._leads.get(peer) != tuple(addresses):
            self._leads[peer] = tuple(addresses)
            _shorten(self._leads, self._limits.leads_max)
            self._wake.set()

    async def use_dht(self) -> None:
        """Say in the DHT that this node is there, and look who else is."""
        pause = self._limits.round_seconds_min * 4
        while True:
            await trio.sleep(pause * self._random.uniform(0.5, 1.0))
            if not len(self._book):
                continue
            hour, heard = int(time.time()) // HOUR_SECONDS, False
            with trio.move_on_after(self._limits.dht_seconds):
                try:
                    heard = await self.host.provide(hour)
                    for each in (hour, hour - 1):
                        for peer, addresses in (await self.host.find(each)).items():
                            self.lead(peer, addresses)
                except Exception:  # the library's, over strangers' bytes; the rounds go on without
                    self.counts["dht failed"] += 1
            pause = self._limits.dht_seconds if heard else min(2 * pause, self._limits.dht_seconds)
            self._publish()

    async def use_mdns(self) -> None:
        """Tell the local network of this node, and listen there; without one that is a note."""
        token = trio.lowlevel.current_trio_token()

        def found(peer: str, addresses: tuple[str, ...]) -> None:
            with suppress(trio.RunFinishedError):  # discovery has stopped meanwhile
                token.run_sync_soon(self.lead, peer, addresses)

        is_told = False
        while True:
            network = LocalNetwork(self._peer, self.host.addresses, self._settings.mdns_interfaces, found)
            try:
                await _in_thread(network.start)
                await trio.sleep_forever()
            except Exception as error:  # no network, no multicast, no permission: many kinds
                if not is_told:
                    self._board.trouble(_no_local_network(error))
                is_told = True
            finally:
                with trio.CancelScope(deadline=trio.current_time() + _MDNS_STOP_SECONDS, shield=True), suppress(Exception):
                    await _in_thread(network.stop)  # without the goodbye, others notice in time that nobody answers
            await trio.sleep(_MDNS_AGAIN_SECONDS)


@dataclass(frozen=True, slots=True)
class _Failures:
    """Of one peer: how many in a row, and when it may be visited again."""

    count: int
    until: float


async def _in_thread(call: Callable[[], None]) -> None:
    await trio.to_thread.run_sync(call, abandon_on_cancel=True)  # type: ignore[call-arg]  # the stubs are of an older trio


def _no_local_network(error: Exception) -> UnavailableError:
    trouble = UnavailableError("peers on the local network can't be looked for (mDNS)", hint="other ways of discovery go on")
    trouble.__cause__ = error
    return trouble


def _now() -> float:
    return time.monotonic()


def _shorten(items: OrderedDict[str, Any], most: int) -> None:
    while len(items) > most:
        items.popitem(last=False)


def _spelled_out(advertisement: Advertisement) -> Advertisement:
    """The same with addresses that others can use instead of 0.0.0.0 and [::]."""
    rpc: list[str] = []
    for text in advertisement.rpc:
        address = NodeAddress.parse(text)
        rpc += [str(replace(address, host=host)) for host in addresses_of(address.host)]
    return replace(advertisement, rpc=tuple(rpc[:ADDRESSES_MAX]))


async def _looked_up(start: Bootstrap) -> list[str]:
    """The multiaddrs of a bootstrap peer, its name looked up."""
    try:
        found = await trio.socket.getaddrinfo(start.host, start.port, type=trio.socket.SOCK_STREAM)
    except OSError:
        return []
    texts = [f"/ip{6 if ':' in str(address[0]) else 4}/{address[0]}/tcp/{start.port}" for *_, address in found]
    return [text for text in texts if host_ip(text)]
