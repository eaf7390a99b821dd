"""What a peer makes us keep by asking without end and reading no answer.

The one rule: every connection is looked at once a second, those of nodes to us and ours to them.
asyncssh answers whatever is asked, and does not listen to the transport's pause_writing.
"""

from __future__ import annotations

from typing import Any

LOOK_EVERY = 1.0  # seconds

# Beyond what the kernel holds. Keystrokes and statuses are what we have to say, and the one long
# answer, a listing, waits in its channel for the peer's window.
LIMIT = 1024 * 1024

# An answer of a few bytes that waits for the end of a key exchange, as Python holds it.
_ANSWER_COST = 256


def unread(connection: Any) -> int:
    """Bytes of ours that the peer has not taken yet, on an asyncssh connection of either side.

    What may not be sent during a key exchange counts: a peer can begin one and not go on.
    """
    # asyncssh shows neither to anybody; a test of the shell fails if one of the names changes.
    transport, deferred = connection._transport, connection._deferred_packets
    held: int = transport.get_write_buffer_size() if transport is not None else 0
    return held + _ANSWER_COST * len(deferred)
