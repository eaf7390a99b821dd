"""Whether what a node announces fits here, and the end of a `file get` that must not push.

Nothing is refused that may fit. With `compress` a node announces the sizes before compression, and
what comes may be a tenth of that.
"""

from __future__ import annotations

import os
from contextlib import suppress

import trio

from cucmd import vos
from cucmd.failure import Code, Failure, NodeFailed, failure
from cucmd.node.dialogue import NodeSession
from cucmd.node.ports import NodeTask, Receiver


def too_much(task: NodeTask, receiver: Receiver, size: int) -> Failure | None:
    """Why `size` bytes more of the node do not fit; None: they do.

    What other nodes have announced and not yet sent is not known here.
    """
    quota = task.quota
    for name, left in (("node_bytes", quota.node.left), ("job_bytes", quota.job.left)):
        if left is not None and size > left:
            message = f"{size - left} bytes more than limits.{name} leaves ({left})"
            hint = f"narrow the window, or raise limits.{name}"
            return failure(Code.QUOTA_EXCEEDED, message, hint=hint)
    room = disk_room(task, receiver)
    if room is not None and size > room:
        message = f"{size - room} bytes more than the disk has room for ({room})"
        return failure(Code.DISK_FULL, message)
    return None


def disk_room(task: NodeTask, receiver: Receiver) -> int | None:
    """The bytes that may be written to the disk; None: it does not say."""
    try:
        descriptor = os.open(task.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return receiver.room(descriptor)
    except OSError:
        return None
    finally:
        os.close(descriptor)


async def decline(session: NodeSession, seconds: float) -> None:
    """Answers `n` to the `file get` that runs, and waits for its end, for `seconds` at most.

    Whatever the node does now, it fails: its session is closed next.
    """
    session.decline()
    with trio.move_on_after(seconds), suppress(NodeFailed):
        while True:
            match await session.next_event():
                case vos.Declined() | vos.NothingMatched() | vos.FileGetDone() | vos.Broken():
                    return
