"""PURE. What counts as one address when peers are compared: a machine has more than one of IPv6.

Whoever limits or shares something by address, asks here what an address is.
"""

from __future__ import annotations

import ipaddress


def source_of(peer: str) -> str:
    """What counts as one address: an IPv4 address, or the IPv6 network of one link.

    One machine has 2^64 addresses of IPv6, and may use a new one for each connection.
    """
    address = ipaddress.ip_address(peer)
    if address.version == 4:
        return peer
    mapped = address.ipv4_mapped
    if mapped is not None:
        return str(mapped)
    return str(ipaddress.ip_network((int(address), 64), strict=False))
