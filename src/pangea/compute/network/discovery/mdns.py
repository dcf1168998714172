"""Finding peers on the local network: mDNS service discovery, with the addresses in TXT records as libp2p has them.

Source: libp2p specs, discovery/mdns.md; the service's name is that of a private network, so that nobody else's peers are dialled.
A peer is its TXT records, of which there may be several and no others: js-libp2p sends no SRV. Each of our addresses is told as
`dnsaddr=…`, as js-libp2p and go-libp2p read no other; what others tell as `dnsaddr1=…`, too, is taken.

Runs in threads of zeroconf's own, and in the caller's: every method blocks.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from zeroconf import InterfaceChoice, ServiceBrowser, ServiceInfo, ServiceStateChange, Zeroconf

from pangea.compute.network.discovery.records import ADDRESSES_MAX, host_ip

SERVICE = "_p2p-pangea._udp.local."
_LOOK_UP_MS = 1_500
_P2P, _DNSADDR = "/p2p/", "dnsaddr"
_TEXT_BYTES_MAX = 255
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
        self._browser: ServiceBrowser | None = None
        self._is_over = False

    def start(self) -> None:
        """Tell of this node, and listen for others.

        Raises:
            Exception: of many kinds: there is no network, or no multicast in it.
        """
        for each in self._interfaces:  # zeroconf would leave a socket open where there is no such address
            with socket.socket(socket.AF_INET6 if ":" in each else socket.AF_INET, socket.SOCK_DGRAM) as probe:
                probe.bind((each, 0))
        self._zeroconf = Zeroconf(interfaces=self._interfaces or InterfaceChoice.All)
        info = ServiceInfo(
            SERVICE,
            f"{self._peer}.{SERVICE}",
            port=int(self._addresses[0].rpartition("/")[2]),
            properties=_txt(f"{_DNSADDR}={each}{_P2P}{self._peer}" for each in self._addresses),
            server=f"{self._peer}.local.",
            parsed_addresses=[ip for each in self._addresses if (ip := host_ip(each))],  # without any, others can't look it up
        )
        self._zeroconf.register_service(info, allow_name_change=True)
        self._browser = ServiceBrowser(self._zeroconf, SERVICE, handlers=[self._on_change])

    def stop(self) -> None:
        """Say goodbye."""
        self._is_over = True
        if self._browser is not None:
            self._browser.cancel()  # `Zeroconf.close` would leave its thread waiting for ever
        if self._zeroconf is not None:
            self._zeroconf.close()

    def _on_change(self, zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange) -> None:
        if state_change is ServiceStateChange.Removed or name.startswith(self._peer) or self._is_over:
            return  # who is gone is forgotten when nobody has spoken to it for long enough
        texts = _texts_of(zeroconf, name)
        if (
            not texts and not self._is_over
        ):  # they didn't come along: ask, also for what only others of ours have, and take whatever comes
            zeroconf.get_service_info(service_type, name, timeout=_LOOK_UP_MS)
            texts = _texts_of(zeroconf, name)
        found: dict[str, list[str]] = {}
        for text in texts[:ADDRESSES_MAX]:
            address, _, peer = text.partition(_P2P)
            if host_ip(address):
                found.setdefault(peer, []).append(address)
        for peer, addresses in found.items():
            if peer != self._peer:
                self._on_peer(peer, tuple(addresses))


def _txt(texts: Iterable[str]) -> bytes:
    """The data of a TXT record, in which a key may come again, unlike in a dictionary (RFC 1035, 3.3.14)."""
    return b"".join(len(each).to_bytes(1, "big") + each for text in texts if len(each := text.encode()) <= _TEXT_BYTES_MAX)


def _texts_of(zeroconf: Zeroconf, name: str) -> list[str]:
    """The multiaddrs in all TXT records of a name that have come."""
    found: list[str] = []
    for record in zeroconf.cache.entries_with_name(name.lower()):
        data: bytes = getattr(record, "text", b"")  # of a TXT record
        while data:
            text, data = data[1 : 1 + data[0]], data[1 + data[0] :]
            key, _, value = text.partition(b"=")
            with suppress(UnicodeDecodeError):
                if key.startswith(_DNSADDR.encode()):
                    found.append(value.decode())
    return list(dict.fromkeys(found))
