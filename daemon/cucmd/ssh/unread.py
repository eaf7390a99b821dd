"""Bytes of ours that a peer has not read: it may send requests without end and read no reply.

The one rule: every connection is checked once a second, of nodes to us and of ours to them.
asyncssh replies to every request, and does not obey the transport's pause_writing.
"""

from __future__ import annotations

from typing import Any

LOOK_EVERY = 1.0  # seconds

# Bytes, beyond what the kernel holds. We send keystrokes and statuses; the one long reply, a
# listing, waits in its channel for the peer's window.
LIMIT = 1024 * 1024

# Bytes in Python's memory of a reply that waits for the end of a key exchange.
_ANSWER_COST = 256


def unread(connection: Any) -> int:
    """Bytes of ours that the peer has not taken yet, on an asyncssh connection of either side.

    Packets that may not be sent during a key exchange count: a peer can begin one and not finish.
    """
    # Both are private in asyncssh; a test of the shell fails if one of the names changes.
    transport, deferred = connection._transport, connection._deferred_packets
    held: int = transport.get_write_buffer_size() if transport is not None else 0
    return held + _ANSWER_COST * len(deferred)
