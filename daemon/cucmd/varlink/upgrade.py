"""A call that leaves Varlink: one reply, then bytes, then the end of the connection.

The one rule: the peer may send nothing after its call, and has to read. One that sends bytes,
before the reply or after it, does not speak Varlink any more, or expects another protocol.
"""

from __future__ import annotations

from contextlib import aclosing

import trio

from cucmd.varlink.framing import BadFrame, encode_reply
from cucmd.varlink.interface import Upgrade

# Seconds in which a peer has to read one piece.
UNREAD = 60.0
_PIECE = 64 * 1024
# Turns of the loop in which what the peer has sent already is read: two on a socket, four in tests.
_TURNS = 5


class NobodyReads(Exception):
    """The peer has read nothing for `UNREAD` seconds."""


async def send_upgraded(stream: trio.abc.Stream, upgrade: Upgrade) -> None:
    """The reply and the bytes. Raises `BadFrame`, `NobodyReads`, `trio.BrokenResourceError`, and
    what the body raises.
    """
    error: Exception | None = None  # raised below: a nursery would put it into a group
    async with trio.open_nursery() as nursery:
        listening = _Listening(stream, nursery.cancel_scope)
        nursery.start_soon(listening.run)
        for _ in range(_TURNS):
            await trio.lowlevel.checkpoint()
        error = await _send_all(stream, upgrade)
        nursery.cancel_scope.cancel()
    if listening.heard:
        raise BadFrame("followed by bytes, and its call was an upgrade")
    if error is not None:
        raise error


async def _send_all(stream: trio.abc.Stream, upgrade: Upgrade) -> Exception | None:
    try:
        await _send(stream, encode_reply(upgrade.parameters))
        async with aclosing(upgrade.body) as body:
            async for chunk in body:
                await _send(stream, chunk)
    except Exception as error:
        return error
    return None


class _Listening:
    """Waits for bytes of the peer, and ends the upgrade if any come: a flood of them would cost the
    other connections their time. The end of what it sends is none of its bytes.
    """

    def __init__(self, stream: trio.abc.Stream, upgrade: trio.CancelScope) -> None:
        self._stream = stream
        self._upgrade = upgrade
        self.heard = False

    async def run(self) -> None:
        try:
            self.heard = bool(await self._stream.receive_some(_PIECE))
        except trio.BrokenResourceError:
            pass  # the sending side finds it too
        if self.heard:
            self._upgrade.cancel()


async def _send(stream: trio.abc.Stream, data: bytes) -> None:
    view = memoryview(data)
    for begin in range(0, len(view), _PIECE):
        with trio.move_on_after(UNREAD) as patience:
            await stream.send_all(view[begin : begin + _PIECE])
        if patience.cancelled_caught:
            raise NobodyReads
