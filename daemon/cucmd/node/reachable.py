"""Whether the SSH server of a node speaks, on a connection that is only for that.

The one rule: nothing is sent but its end.
"""

from __future__ import annotations

import trio

# Seconds that the node has to close its side.
_CLOSE_WITHIN = 1.0


async def speaks(host: str, port: int) -> bool:
    """Whether it sends a byte. A server does so at once, without waiting for the client (RFC 4253,
    4.2); a machine that is down or frozen never does.

    Has no deadline. Never raises.
    """
    try:
        async with await trio.open_tcp_stream(host, port) as stream:
            if not await stream.receive_some():
                return False
            # With something unread, a close would reset the connection.
            with trio.move_on_after(_CLOSE_WITHIN):
                await stream.send_eof()
                while await stream.receive_some():
                    pass
            return True
    except (OSError, UnicodeError, trio.BrokenResourceError):
        return False
