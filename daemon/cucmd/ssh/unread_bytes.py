"""Says what a connection's peer has not read, on either side.

It needs two private names of asyncssh, `_transport` and `_deferred_packets`. They can go once
asyncssh says how many bytes it holds for a peer, or holds a limited number of them.
"""

from __future__ import annotations

from typing import Any

# Seconds. Every connection is checked so often, those to nodes and those to the receiver. A peer
# may send requests without end and read no reply: asyncssh replies to each, and ignores the
# transport's `pause_writing`.
CHECK_SECONDS = 1.0

# Bytes, beyond what the kernel holds. We send keystrokes and statuses; the one long reply, a
# listing, waits in its channel for the peer's window.
MAX_UNREAD = 1024 * 1024

# Bytes in Python's memory of a reply that waits for the end of a key exchange.
_ANSWER_COST = 256


def count_unread(connection: Any) -> int:
    """Counts our bytes that the peer has not taken yet, on an asyncssh connection of either side.

    Packets that may not be sent during a key exchange count: a peer can begin one and not finish.
    """
    transport, deferred = connection._transport, connection._deferred_packets
    held: int = transport.get_write_buffer_size() if transport is not None else 0
    return held + _ANSWER_COST * len(deferred)
