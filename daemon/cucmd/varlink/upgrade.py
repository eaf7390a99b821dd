"""Answers a call that leaves Varlink: one reply, then bytes, then the end of the connection; or one
reply, then batches of descriptors.

The peer has to read, and sends nothing but what it is asked to. One that sends other bytes, before
the reply or after it, does not speak Varlink any more, or expects another protocol.

`send_upgraded` sends bytes. The peer may send nothing after its call.

`send_batches` sends replies, each with the descriptors of files. After its call the peer sends

    ASK     for the next batch, once it has read all that came before
    READS   to say that it is still at work with what it has, at least each UNREAD seconds

and hangs up when it is done. A batch that waits in the socket holds its files open in the kernel,
which counts these for the whole daemon: so there is one at most, and a peer that asks before it has
read has to go. The daemon itself has no file open while it waits for a peer.
"""

from __future__ import annotations

import array
import errno
import fcntl
import os
import socket
import struct
import termios
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager, suppress

import trio

from cucmd.varlink.framing import BadFrame, encode_reply
from cucmd.varlink.interface import Batch, BatchUpgrade, Upgrade
from cucmd.varlink.limits import UNREAD, NobodyReads

ASK, READS = b"\1", b"\0"
_PIECE = 64 * 1024
# Seconds in which nothing more is read of a peer that has said that it is at work.
_PAUSE = 0.5


async def send_upgraded(stream: trio.abc.Stream, upgrade: Upgrade) -> None:
    """Sends the reply and the bytes. Raises `BadFrame`, `NobodyReads`, `trio.BrokenResourceError`,
    and what the body raises.
    """
    heard = False
    failed: Exception | None = None  # raised below: a nursery would put it into a group

    async def listen() -> None:
        """Ends the upgrade if the peer sends bytes: a flood of them would cost the other
        connections their time. The end of what it sends is none of them.
        """
        nonlocal heard
        with suppress(trio.BrokenResourceError):  # the sending side finds it too
            heard = bool(await stream.receive_some(_PIECE))
        if heard:
            nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(listen)
        try:
            await _send(stream, encode_reply(upgrade.parameters))
            await _send_body(stream, upgrade.body)
        except Exception as error:
            failed = error
        nursery.cancel_scope.cancel()
    if heard:
        raise BadFrame("followed by bytes, and its call was an upgrade")
    if failed is not None:
        raise failed


async def send_batches(stream: trio.SocketStream, upgrade: BatchUpgrade) -> None:
    """Sends the reply, and each batch that the peer asks for. Returns when the peer has finished.

    Raises as `send_upgraded`, and what the batches raise.
    """
    await _send(stream, encode_reply(upgrade.parameters))
    async with aclosing(upgrade.batches) as batches:
        while await _asks(stream):
            batch = await anext(batches, None)
            if batch is None:
                raise BadFrame("followed by a question for more than there is")
            await _send_batch(stream, batch)


async def _asks(stream: trio.SocketStream) -> bool:
    """Waits until the peer asks for a batch; False at the end of what it sends."""
    while True:
        with _patience():
            said = await stream.receive_some(1)
        if said == ASK and _unread(stream.socket):
            raise BadFrame("followed by a question before its reply was read")
        if said in (ASK, b""):
            return bool(said)
        if said != READS:
            raise BadFrame("followed by bytes that ask for nothing")
        await trio.sleep(_PAUSE)  # a flood of them would cost the other connections their time


def _unread(sock: trio.socket.SocketType) -> int:
    """Returns how many bytes of the kernel's memory hold what the peer has not read."""
    (size,) = struct.unpack("i", fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4)))
    return int(size)


async def _send_batch(stream: trio.SocketStream, batch: Batch) -> None:
    frame = encode_reply(batch.parameters)
    try:
        with _patience():
            sent = await _send_descriptors(stream.socket, frame, batch.descriptors)
    finally:
        for descriptor in batch.descriptors:
            os.close(descriptor)
    await _send(stream, frame[sent:])
    if batch.body is not None:
        await _send_body(stream, batch.body)


async def _send_descriptors(
    sock: trio.socket.SocketType, frame: bytes, descriptors: tuple[int, ...]
) -> int:
    """Sends them with the beginning of the frame. Returns how many bytes that were."""
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]
    try:
        return await sock.sendmsg([frame], rights if descriptors else [])
    except OSError as error:
        if error.errno in (errno.EPIPE, errno.ECONNRESET):
            raise trio.BrokenResourceError from error
        raise


async def _send_body(stream: trio.abc.Stream, body: AsyncGenerator[bytes, None]) -> None:
    async with aclosing(body):
        async for chunk in body:
            await _send(stream, chunk)


async def _send(stream: trio.abc.Stream, data: bytes) -> None:
    view = memoryview(data)
    for begin in range(0, len(view), _PIECE):
        with _patience():
            await stream.send_all(view[begin : begin + _PIECE])


@contextmanager
def _patience() -> Iterator[None]:
    """Raises `NobodyReads` if the body takes longer than `UNREAD`."""
    with trio.move_on_after(UNREAD) as scope:
        yield
    if scope.cancelled_caught:
        raise NobodyReads
