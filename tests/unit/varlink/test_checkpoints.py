"""A connection passes a checkpoint for each frame, whatever a peer sends or does.

A task without checkpoints would stop the event loop, and the watchdog would end the daemon.
"""

import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from cucmd.varlink import Caller, SocketLimits
from cucmd.varlink.connection import ServerConnection, ServerParts
from cucmd.varlink.limits import Users
from cucmd.varlink.service import MethodTable
from rig.example_interface import INFO, Example
from rig.varlink_peer import Peer, request

CALLER = Caller(uid=1000, gid=1000, groups=frozenset(), pid=4711)

FRAMES = {
    "answered": request("Who"),
    "with an effect": request("Echo", {"text": "x"}, oneway=True),
    "refused": request("Refuse", {"text": "x"}),
    "a defect": request("Fail", {"text": "x"}),
    "a stream": request("Count", {"upto": 2}, more=True),
    "a stream without replies": request("Count", {"upto": 0}, more=True),
    "unknown method": request("Nope"),
    "wrong value": request("Echo", {"text": 1}),
    "no call": b"{}\0",
    "no call, oneway": b'{"oneway":true}\0',
}


class Steps(trio.abc.Instrument):
    """Counts how often a task runs up to its next checkpoint."""

    def __init__(self) -> None:
        self.task: trio.lowlevel.Task | None = None
        self.count = 0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.count += task is self.task


async def steps_for(frames: list[dict | bytes], *, gone: bool) -> int:
    """Counts the steps of a connection that finds these frames and then the end of the stream."""
    ours, theirs = trio.testing.memory_stream_pair()
    steps = Steps()
    methods = MethodTable(Example().interface(), INFO)
    parts = ServerParts(methods, Users(SocketLimits()), lambda *_: None)
    connection = ServerConnection(ours, CALLER, parts)
    await Peer(theirs).send(*frames)
    await theirs.aclose() if gone else await theirs.send_eof()
    if gone:
        connection.hang_up()

    async def run() -> None:
        steps.task = trio.lowlevel.current_task()
        await connection.run()

    trio.lowlevel.add_instrument(steps)
    try:
        with trio.fail_after(10):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(run)
    finally:
        trio.lowlevel.remove_instrument(steps)
    return steps.count


@given(st.lists(st.sampled_from(list(FRAMES.values())), min_size=1, max_size=10), st.booleans())
def test_each_frame_costs_a_checkpoint(frames: list[dict | bytes], gone: bool) -> None:
    async def main() -> int:
        return await steps_for(frames, gone=gone)

    assert trio.run(main) > len(frames)
