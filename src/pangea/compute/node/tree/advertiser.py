"""What a node tells those who look for others, and whom it knows through them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from pangea.compute.model.errors import PangeaError
from pangea.compute.network.discovery.service import Advertisement, Discovery, DiscoverySettings, Found, discover
from pangea.compute.network.identity import Identity
from pangea.compute.node import logs
from pangea.compute.node.config import NodeConfig
from pangea.compute.node.tree.neighbours import Neighbours


class Advertiser:
    """A node's side of discovery; without discovery it knows nobody and says nothing."""

    def __init__(self, config: NodeConfig, neighbours: Neighbours, addresses: Sequence[str]) -> None:
        """Speak for a node that is found at `addresses`."""
        self._config, self._neighbours = config, neighbours
        self._addresses = tuple(addresses)
        self.discovery: Discovery | None = None

    def advertisement(self) -> Advertisement:
        """What the node says of itself now."""
        neighbours, config = self._neighbours, self._config
        free = max(0, config.children_max - len(neighbours.children))
        is_placed = not config.find_parent or neighbours.parent is not None
        return Advertisement(
            rpc=self._addresses,
            takes_children=bool(config.admit and self._addresses and is_placed and free),
            depth=len(neighbours.path) - 1,
            is_root=not config.join and not config.find_parent,
            site=config.site,
            free_places=free,
        )

    def advertise(self) -> None:
        """Say what has changed."""
        if self.discovery is None:
            return
        try:
            self.discovery.advertise(self.advertisement())
        except PangeaError as error:  # discovery has broken down: its own trouble says why
            logs.get("peers").warning("not advertised", error=error.message)

    def known(self) -> list[Found]:
        """Peers that discovery knows now."""
        if self.discovery is None:
            return []
        try:
            return self.discovery.known()
        except PangeaError as error:
            logs.get("peers").warning("nobody can be found", error=error.message)
            return []


@asynccontextmanager
async def advertising(
    config: NodeConfig, identity: Identity, neighbours: Neighbours, addresses: Sequence[str]
) -> AsyncIterator[Advertiser]:
    """A node's guide; with `config.discovery`, one that takes part.

    Raises:
        ConfigError, UnavailableError: discovery can't start.
    """
    advertiser = Advertiser(config, neighbours, addresses)
    async with AsyncExitStack() as stack:
        if config.discovery:
            host, _, port = config.discovery.rpartition(":")
            settings = DiscoverySettings(
                host=host.strip("[]") or "0.0.0.0",  # noqa: S104  # a node is there to be found
                port=int(port),
                bootstrap=config.bootstrap,
                mdns=config.mdns,
            )
            advertiser.discovery = await stack.enter_async_context(
                discover(identity, settings, advertiser.advertisement(), on_trouble=_trouble)
            )
            logs.get("node").info("discovery", addresses=list(advertiser.discovery.addresses))
        yield advertiser


def _trouble(error: BaseException) -> None:
    logs.get("peers").warning("discovery", error=str(error))
