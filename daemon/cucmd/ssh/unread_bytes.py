"""Counts the bytes that the peer of an SSH connection has not read.

A peer may send requests without end and never read a reply. asyncssh answers each request and
ignores the transport's `pause_writing`, so the replies pile up in our memory. Both the client and
the receiver therefore check every connection once a second, and cut a connection whose peer leaves
more than `MAX_UNREAD` bytes unread.

This needs two private names of asyncssh, `_transport` and `_deferred_packets`, because asyncssh has
neither a limit for these bytes nor a public way to count them.
"""

from __future__ import annotations

from typing import Any

# Seconds between two checks of a connection.
CHECK_SECONDS = 1.0

# Bytes in this process's memory, in addition to the kernel's buffers. We send only keystrokes and
# short replies. A long reply, the listing of a folder, waits in its channel until the peer's window
# has room, and is not counted here.
MAX_UNREAD = 1024 * 1024

# Bytes of Python's memory that one deferred packet takes.
_ANSWER_COST = 256


def count_unread(connection: Any) -> int:
    """Returns how many bytes wait to be sent on an asyncssh connection, client or server.

    Packets that asyncssh holds back until the end of a key exchange count too, because a peer can
    begin a key exchange and never finish it.
    """
    transport, deferred = connection._transport, connection._deferred_packets
    held: int = transport.get_write_buffer_size() if transport is not None else 0
    return held + _ANSWER_COST * len(deferred)
