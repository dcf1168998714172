"""Where a node looks for others, and what strangers may make it keep or do."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Final

from pangea.compute.model.errors import ConfigError

BOOTSTRAP_MAX: Final = 64
_BOOTSTRAP = re.compile(
    r"/(?P<kind>ip4|ip6|dns|dns4|dns6)/(?P<host>[A-Za-z0-9.:\-]{1,253})/tcp/(?P<port>[0-9]{1,5})/p2p/(?P<peer>[1-9A-HJ-NP-Za-km-z]{40,70})"
)


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """A peer to start from: who it is, and where (an IP address or a name)."""

    peer: str
    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Bootstrap:
        """Read `/ip4/1.2.3.4/tcp/4001/p2p/12D3…` (ip4, ip6, dns, dns4, dns6).

        Raises:
            ConfigError: it is none.
        """
        found = _BOOTSTRAP.fullmatch(text)
        if found is None or not 0 < int(found["port"]) < 65_536:
            hint = "give it as /ip4/1.2.3.4/tcp/4001/p2p/12D3KooW…, or with /dns/name instead of the address"
            raise ConfigError(f"{text[:200]!r} is not the multiaddr of a peer", hint=hint)
        return cls(found["peer"], found["host"], int(found["port"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscoverySettings:
    """Where to listen and where to look.

    Attributes:
        host, port: where peers can ask this node whom it knows (not its RPC address); port 0: any free one.
        bootstrap: multiaddrs of peers to start from, at most 64.
        mdns: look on the local network.
        mdns_interfaces: addresses of the interfaces for that; none: all.
        dht: take part in the Kademlia DHT.
    """

    host: str = "0.0.0.0"  # noqa: S104  # a node is there to be found
    port: int = 0
    bootstrap: tuple[str, ...] = ()
    mdns: bool = True
    mdns_interfaces: tuple[str, ...] = ()
    dht: bool = True

    def check(self) -> None:
        """Check the settings.

        Raises:
            ConfigError: one is malformed or out of range.
        """
        for host in (self.host, *self.mdns_interfaces):
            try:
                ipaddress.ip_address(host)
            except ValueError as error:
                raise ConfigError(
                    f"{host!r} is not an IP address to listen at", hint="0.0.0.0 means every one of this machine"
                ) from error
        if not 0 <= self.port < 65_536:
            raise ConfigError(f"{self.port} is not a port to listen at", hint="0 means any free one")
        self.peers()

    def peers(self) -> list[Bootstrap]:
        """The bootstrap peers.

        Raises:
            ConfigError: a multiaddr is none, or there are too many.
        """
        if len(self.bootstrap) > BOOTSTRAP_MAX:
            raise ConfigError(f"{len(self.bootstrap)} bootstrap peers are given, at most {BOOTSTRAP_MAX} are allowed")
        return [Bootstrap.parse(text) for text in self.bootstrap]


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscoveryLimits:
    """Bounds and paces.

    Attributes:
        entries_max: peers known at a time, and
        per_source_max: of them told by one peer.
        leads_max: addresses from mDNS and the DHT that wait for a visit.
        stale_seconds: after which a peer that nobody has spoken to is forgotten.
        round_seconds_min: between rounds of visits while there is news, and
        round_seconds_max: while there is none.
        visits_max: strangers visited in one round, and
        revisits: peers visited again in one round.
        met_enough: peers met face to face, with which hearsay is no longer followed.
        exchange_seconds: for one exchange, from dialling to the answer's last byte.
        again_seconds: that one peer must wait between two questions.
        questions_max: answered at the same time, one of each peer.
        backoff_seconds_min, backoff_seconds_max: before a peer that failed is visited again; doubles each time.
        backoff_bootstrap_seconds_max: the same for bootstrap peers.
        connections_max: libp2p connections in all, and
        connections_per_address_max: that come from one IP address.
        dht_seconds: between two times that the node says in the DHT that it is there, and looks who else is.
        dht_stream_seconds: for one DHT stream that came in, and
        dht_stream_bytes_max: read from it.
        start_seconds, stop_seconds: for starting and stopping, libp2p's import included.
    """

    entries_max: int = 512
    per_source_max: int = 64
    leads_max: int = 128
    stale_seconds: float = 180.0
    round_seconds_min: float = 1.0
    round_seconds_max: float = 20.0
    visits_max: int = 4
    revisits: int = 2
    met_enough: int = 32
    exchange_seconds: float = 10.0
    again_seconds: float = 0.2
    questions_max: int = 64
    backoff_seconds_min: float = 2.0
    backoff_seconds_max: float = 600.0
    backoff_bootstrap_seconds_max: float = 60.0
    connections_max: int = 256
    connections_per_address_max: int = 64
    dht_seconds: float = 300.0
    dht_stream_seconds: float = 20.0
    dht_stream_bytes_max: int = 65_536
    start_seconds: float = 20.0
    stop_seconds: float = 5.0
