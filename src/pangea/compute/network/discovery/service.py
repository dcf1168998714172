"""Finding other nodes: by a list to start from, on the local network, and by asking those found whom they know.

    async with discover(identity, settings, advertisement) as discovery:
        await discovery.wait_for(1, timeout=10)
        for found in discovery.known(): ...

libp2p lives in one trio thread of its own and carries no data: what comes out are addresses for RPC, whose handshake proves who
is there. Nothing of it is loaded before `discover` is entered.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from pangea.compute.model.errors import NotDoneError, PangeaError, UnavailableError
from pangea.compute.network.discovery.board import Board, OnTrouble
from pangea.compute.network.discovery.book import Entry, Nearness
from pangea.compute.network.discovery.records import Advertisement
from pangea.compute.network.discovery.settings import DiscoveryLimits, DiscoverySettings
from pangea.compute.network.identity import Identity

__all__ = ["Advertisement", "Discovery", "DiscoveryLimits", "DiscoverySettings", "Figures", "Found", "discover"]

_LIMITS: Final = DiscoveryLimits()


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A peer that is known.

    Attributes:
        peer: its id.
        advertisement: what it says of itself, signed by it.
        heard_seconds_ago: since it was last spoken to, by this node or by whoever told of it.
        is_met: whether this node has spoken to it; else it is hearsay.
    """

    peer: str
    advertisement: Advertisement
    heard_seconds_ago: float
    is_met: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """How discovery fares.

    Attributes:
        known, met: peers, and those of them that were spoken to.
        dht_table_size: peers in the DHT's routing table.
        counts: since the start: `visits`, `failed` ones, questions `refused`, `forged` statements, `dht failed`.
    """

    known: int
    met: int
    dht_table_size: int
    counts: Mapping[str, int]


class Discovery:
    """A node's discovery while it runs. Belongs to its event loop, but for `advertise`, which any thread may call."""

    def __init__(self, identity: Identity, board: Board, limits: DiscoveryLimits, changed: asyncio.Event) -> None:
        """Made by `discover`."""
        self._peer, self._board, self._limits, self._changed = identity.peer_id, board, limits, changed

    @property
    def addresses(self) -> tuple[str, ...]:
        """Multiaddrs that others can start from, `/ip4/…/tcp/…/p2p/…`."""
        return tuple(f"{each}/p2p/{self._peer}" for each in self._board.addresses)

    def advertise(self, advertisement: Advertisement) -> None:
        """Say this from now on.

        Raises:
            ConfigError: it may not be said.
            UnavailableError: discovery has stopped.
        """
        advertisement.check(self._peer)
        self._check()
        if advertisement != self._board.advertisement:
            self._board.advertisement = advertisement
            self._board.wake()

    def known(self) -> list[Found]:
        """The peers that are known and not stale, latest heard first; never this node itself.

        Raises:
            UnavailableError: discovery has stopped.
        """
        self._check()
        now = time.monotonic()
        aged = ((entry, now - entry.heard) for entry in self._board.entries)
        return [_found(entry, age) for entry, age in aged if age < self._limits.stale_seconds]

    async def wait_for(self, count: int, timeout: float) -> list[Found]:
        """Wait until `count` peers are known.

        Args:
            count: 0 or more.
            timeout: seconds.

        Raises:
            NotDoneError: they weren't in time.
            UnavailableError: discovery has stopped.
        """
        try:
            async with asyncio.timeout(timeout):
                while len(found := self.known()) < count:
                    await self.change()
                return found
        except TimeoutError as error:
            message = f"{len(self.known())} of {count} peers were found in {timeout:g} s"
            raise NotDoneError(message, hint="are the bootstrap addresses right, and reachable?", timeout=timeout) from error

    async def change(self) -> None:
        """Wait until a peer is found, lost or says something new, or discovery stops."""
        await self._changed.wait()

    def figures(self) -> Figures:
        """How it fares.

        Raises:
            UnavailableError: discovery has stopped.
        """
        known = self.known()
        met = sum(each.is_met for each in known)
        board = self._board
        return Figures(
            known=len(known), met=met, dht_table_size=board.dht_table_size, counts=MappingProxyType(dict(board.counts))
        )

    def _check(self) -> None:
        if self._board.failure is not None:
            raise _stopped() from self._board.failure
        if self._board.is_closed:
            raise UnavailableError("peer discovery is closed")


@contextlib.asynccontextmanager
async def discover(
    identity: Identity,
    settings: DiscoverySettings,
    advertisement: Advertisement,
    *,
    on_change: Callable[[], None] = lambda: None,
    on_trouble: OnTrouble | None = None,
    limits: DiscoveryLimits = _LIMITS,
) -> AsyncIterator[Discovery]:
    """Find others and be found, until the context is left.

    Args:
        identity: the node's: others will know it by the same peer id over TLS.
        settings: where to listen and look.
        advertisement: what to say of the node.
        on_change: called on the event loop when a peer is found, lost or says something new, and when discovery breaks down.
        on_trouble: hears on the event loop of a breakdown, and of a local network that can't be looked at; else it is logged.
        limits: bounds and paces.

    Raises:
        ConfigError: a setting is malformed, or the advertisement may not be said.
        UnavailableError: libp2p isn't there, or the address can't be had.
    """
    settings.check()
    advertisement.check(identity.peer_id)
    changed = asyncio.Event()

    def change() -> None:
        changed.set()
        changed.clear()  # who waits now goes on; who comes later waits for the next
        on_change()

    board = Board(advertisement, change, on_trouble or _log)
    thread = threading.Thread(target=_run, args=(identity, settings, limits, board), daemon=True, name="pangea-discovery")
    thread.start()
    try:
        await _until_started(board, settings, limits)
        yield Discovery(identity, board, limits, changed)
    finally:
        board.close()
        await asyncio.shield(asyncio.to_thread(thread.join, limits.stop_seconds))
        if thread.is_alive():
            board.trouble(UnavailableError(f"the thread of peer discovery didn't end in {limits.stop_seconds:g} s"))


async def _until_started(board: Board, settings: DiscoverySettings, limits: DiscoveryLimits) -> None:
    try:
        async with asyncio.timeout(limits.start_seconds):
            await board.started_or_failed.wait()
    except TimeoutError as error:
        raise UnavailableError(f"peer discovery didn't start within {limits.start_seconds:g} s") from error
    if isinstance(board.failure, PangeaError):
        raise board.failure
    if board.failure is not None:
        raise UnavailableError(f"peer discovery can't start at {settings.host}:{settings.port}") from board.failure


def _run(identity: Identity, settings: DiscoverySettings, limits: DiscoveryLimits, board: Board) -> None:
    """Discovery's thread: it never ends silently."""
    try:
        import trio

        from pangea.compute.network.discovery.rounds import serve

        trio.run(serve, identity, settings, limits, board)
    except ImportError as error:
        missing = UnavailableError("peer discovery needs libp2p", hint="pip install 'pangea-compute[discovery]'")
        missing.__cause__ = error
        board.failed(missing)
    except BaseException as error:  # told on the event loop, and to whoever asks
        board.failed(_only(error))
    else:
        if not board.is_closed:
            board.failed(_stopped())


def _only(error: BaseException) -> BaseException:
    """The one error in groups of one."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def _stopped() -> UnavailableError:
    return UnavailableError("peer discovery has stopped", hint="links that exist go on; restart the node to find others")


def _found(entry: Entry, age: float) -> Found:
    said = entry.statement
    is_met = entry.nearness > Nearness.HEARSAY
    return Found(peer=said.peer, advertisement=said.advertisement, heard_seconds_ago=max(0.0, age), is_met=is_met)


def _log(error: BaseException) -> None:
    logging.getLogger(__name__).warning("%s", error, exc_info=error)
