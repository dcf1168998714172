"""Finding peers on the local network: mDNS service discovery, with the addresses in TXT records as libp2p has them.

Source: libp2p specs, discovery/mdns.md; the service's name is that of a private network, so that nobody else's peers are dialled.
Runs in threads of zeroconf's own, and in the caller's: every method blocks.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from contextlib import suppress

from zeroconf import InterfaceChoice, ServiceBrowser, ServiceInfo, ServiceStateChange, Zeroconf

from pangea.compute.network.discovery.records import ADDRESSES_MAX, host_ip

SERVICE = "_p2p-pangea._udp.local."
_LOOK_UP_MS = 1_500
_P2P = "/p2p/"
#: Is told a peer and its multiaddrs; they are a stranger's word.
OnPeer = Callable[[str, tuple[str, ...]], None]


class LocalNetwork:
    """A node on the local network.

    Args:
        peer: its id.
        addresses: its multiaddrs, `/ip4/…/tcp/…`.
        interfaces: addresses of those to use; none: all.
        on_peer: hears of others, in a thread of zeroconf's.
    """

    def __init__(self, peer: str, addresses: Sequence[str], interfaces: Sequence[str], on_peer: OnPeer) -> None:
        self._peer, self._addresses, self._on_peer = peer, addresses, on_peer
        self._interfaces = list(interfaces)
        self._zeroconf: Zeroconf | None = None

    def start(self) -> None:
        """Tell of this node, and listen for others.

        Raises:
            Exception: of many kinds: there is no network, or no multicast in it.
        """
        for each in self._interfaces:  # zeroconf would leave a socket open where there is no such address
            with socket.socket(socket.AF_INET6 if ":" in each else socket.AF_INET, socket.SOCK_DGRAM) as probe:
                probe.bind((each, 0))
        self._zeroconf = Zeroconf(interfaces=self._interfaces or InterfaceChoice.All)
        texts = {f"dnsaddr{number or ''}": f"{each}{_P2P}{self._peer}" for number, each in enumerate(self._addresses)}
        info = ServiceInfo(
            SERVICE,
            f"{self._peer}.{SERVICE}",
            port=int(self._addresses[0].rpartition("/")[2]),
            properties=texts,
            server=f"{self._peer}.local.",
            parsed_addresses=[ip for each in self._addresses if (ip := host_ip(each))],  # without any, others can't look it up
        )
        self._zeroconf.register_service(info, allow_name_change=True)
        ServiceBrowser(self._zeroconf, SERVICE, handlers=[self._on_change])

    def stop(self) -> None:
        """Say goodbye."""
        if self._zeroconf is not None:
            self._zeroconf.close()

    def _on_change(self, zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange) -> None:
        if state_change is ServiceStateChange.Removed:
            return  # who is gone is forgotten when nobody has spoken to it for long enough
        info = zeroconf.get_service_info(service_type, name, timeout=_LOOK_UP_MS)
        found: dict[str, list[str]] = {}
        for value in list(info.properties.values())[:ADDRESSES_MAX] if info else ():
            with suppress(UnicodeDecodeError):
                address, _, peer = (value or b"").decode().partition(_P2P)
                if host_ip(address):
                    found.setdefault(peer, []).append(address)
        for peer, addresses in found.items():
            if peer != self._peer:
                self._on_peer(peer, tuple(addresses))
