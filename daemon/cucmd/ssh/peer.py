"""What both sides need to know of a connection's peer: its address, and what it has not read.

`unread` needs two private names of asyncssh, `_transport` and `_deferred_packets`. They can go once
asyncssh says how many bytes it holds for a peer, or holds a limited number of them.
"""

from __future__ import annotations

import ipaddress
from typing import Any

# Seconds. Every connection is checked so often, those to nodes and those to the receiver. A peer
# may send requests without end and read no reply: asyncssh replies to each, and ignores the
# transport's `pause_writing`.
CHECK_EVERY = 1.0

# Bytes, beyond what the kernel holds. We send keystrokes and statuses; the one long reply, a
# listing, waits in its channel for the peer's window.
LIMIT = 1024 * 1024

# Bytes in Python's memory of a reply that waits for the end of a key exchange.
_ANSWER_COST = 256


def source_of(peer: str) -> str:
    """What counts as one address: an IPv4 address, or the IPv6 network of one link.

    One machine has 2^64 addresses of IPv6, and may use a new one for each connection. Whoever
    limits or shares something by address, asks here.
    """
    address = ipaddress.ip_address(peer)
    if address.version == 4:
        return peer
    mapped = address.ipv4_mapped
    if mapped is not None:
        return str(mapped)
    return str(ipaddress.ip_network((int(address), 64), strict=False))


def peer_source(connection: Any) -> str:
    """That of the peer of a connection; "unknown" where its address has gone already."""
    peer = connection.get_extra_info("peername")
    return source_of(peer[0]) if peer else "unknown"


def unread(connection: Any) -> int:
    """Bytes of ours that the peer has not taken yet, on an asyncssh connection of either side.

    Packets that may not be sent during a key exchange count: a peer can begin one and not finish.
    """
    transport, deferred = connection._transport, connection._deferred_packets
    held: int = transport.get_write_buffer_size() if transport is not None else 0
    return held + _ANSWER_COST * len(deferred)
