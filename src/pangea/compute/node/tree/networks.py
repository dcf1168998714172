"""What an address says of who may be its operator."""

from __future__ import annotations

import ipaddress

#: Of IP addresses, the part that one operator usually has.
_PREFIX_BITS = {4: 24, 6: 48}


def network_of(host: str) -> str:
    """The network that a public address is in: keys in one network may be one operator's. "" if it says nothing.

    Addresses of a private or local network are handed out by whoever owns it, to as many machines as there are: all of one
    company's would otherwise count as one.
    """
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return ""
    mapped = getattr(address, "ipv4_mapped", None)
    address = mapped or address
    if not address.is_global:
        return ""
    return str(ipaddress.ip_network(f"{address}/{_PREFIX_BITS[address.version]}", strict=False))
