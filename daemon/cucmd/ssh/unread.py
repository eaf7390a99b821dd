"""How many bytes of ours a peer has not read.

Every connection is checked once a second, those to nodes and those to the receiver. A peer may send
requests without end and read no reply: asyncssh replies to each, and ignores the transport's
`pause_writing`.
"""

from __future__ import annotations

from typing import Any

CHECK_EVERY = 1.0  # seconds

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
