"""Peers for tests of discovery: nodes that find each other within moments, and strangers that answer what a test says."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from typing import Any

import trio

from pangea.compute.network.discovery.host import Answer, Host
from pangea.compute.network.discovery.records import Statement, sign
from pangea.compute.network.discovery.service import Advertisement, Discovery, DiscoveryLimits, DiscoverySettings, discover
from pangea.compute.network.identity import Identity

#: Like the real ones, sooner.
QUICK = DiscoveryLimits(
    round_seconds_min=0.05,
    round_seconds_max=0.2,
    backoff_seconds_min=0.05,
    backoff_seconds_max=0.2,
    backoff_bootstrap_seconds_max=0.2,
    again_seconds=0.0,
    exchange_seconds=2.0,
)
LOOPBACK = DiscoverySettings(host="127.0.0.1", mdns=False, dht=False)
SECONDS = 40.0


def saying(identity: Identity, site: str = "", port: int = 7000, **more: Any) -> Advertisement:
    """What a node of that identity could say."""
    return Advertisement(rpc=(f"tcp://127.0.0.1:{port}/{identity.peer_id}",), site=site, takes_children=True, **more)


@asynccontextmanager
async def peer(
    site: str = "",
    *,
    start: Sequence[str] = (),
    identity: Identity | None = None,
    settings: DiscoverySettings = LOOPBACK,
    limits: DiscoveryLimits = QUICK,
    **more: Any,
) -> AsyncIterator[Discovery]:
    """A node of its own on loopback, that starts from `start`."""
    who = identity or Identity.create()
    async with discover(who, replace(settings, bootstrap=tuple(start)), saying(who, site), limits=limits, **more) as discovery:
        yield discovery


def sites(discovery: Discovery) -> list[str]:
    """Those of whom it knows, sorted."""
    return sorted(found.advertisement.site for found in discovery.known())


async def knows(discovery: Discovery, *wanted: str) -> None:
    """Wait until it knows these sites, and no others."""
    async with asyncio.timeout(SECONDS):
        while sites(discovery) != sorted(wanted):
            await discovery.change()


class Stranger:
    """A libp2p host in a thread of its own, whose answers are the test's; `host` runs in that thread only."""

    def __init__(self, answer: Answer, kind: type[Host] = Host, identity: Identity | None = None) -> None:
        self.identity = identity or Identity.create()
        self.host = kind(self.identity, LOOPBACK, replace(QUICK, questions_max=1_000), answer)
        self._ready = threading.Event()

    @property
    def start(self) -> str:
        """Its multiaddr, to start from."""
        return f"{self.host.addresses[0]}/p2p/{self.identity.peer_id}"

    def statement(self, site: str = "", at: int = 1) -> Statement:
        """An honest statement of itself."""
        return sign(self.identity, saying(self.identity, site), hosts=self.host.addresses, speaks_dht=False, at=at)

    @contextmanager
    def running(self) -> Any:
        """In a thread, until the context is left."""
        thread = threading.Thread(target=trio.run, args=(self._run,), daemon=True)
        thread.start()
        assert self._ready.wait(SECONDS)
        try:
            yield self
        finally:
            trio.from_thread.run_sync(self._over.set, trio_token=self._token)
            thread.join(SECONDS)
            assert not thread.is_alive()

    async def do(self, call: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
        """Have something done in its thread."""

        async def within() -> Any:
            with trio.fail_after(SECONDS):
                return await call(*arguments)

        return await asyncio.to_thread(trio.from_thread.run, within, trio_token=self._token)

    async def tell(self, listener: Discovery, message: bytes) -> bytes:
        """Go to `listener` and ask it with this message."""
        address, _, name = listener.addresses[0].partition("/p2p/")
        await self.do(self.host.connect, name, [address])
        answer: bytes = await self.do(self.host.ask, name, message)
        return answer

    async def _run(self) -> None:
        self._token, self._over = trio.lowlevel.current_trio_token(), trio.Event()
        async with self.host.running():
            self._ready.set()
            await self._over.wait()
