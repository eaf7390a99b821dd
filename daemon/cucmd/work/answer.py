"""A plain command and its answer: what every kind of work asks a node.

The one rule: an answer is whole, but for lines beyond the first MOST_LINES, or it is `NodeFailed`.
"""

from __future__ import annotations

from cucmd import vos
from cucmd.failure import NodeFailed
from cucmd.node.deadlines import AnswerClock
from cucmd.node.dialogue import NodeSession
from cucmd.node.ports import NodeTask

# The answers that are read have some 30 lines, a listing one for each file. Every job waits while
# one is read: measured 0.1 s for so many lines that are nearly nodes of a cluster, and 2 s for all
# that a node can send.
MOST_LINES = 10_000


async def answer(session: NodeSession, task: NodeTask, text: str) -> tuple[str, ...]:
    """Runs a plain command, for `timeouts.answer` seconds at most. Returns the lines that the node
    printed, without echo and pagers; of more than MOST_LINES the first. Raises `NodeFailed`.
    """
    clock = AnswerClock(task.timeouts, text)
    await session.command(text)
    while True:
        match await session.next_event(clock):
            case vos.CommandDone(lines=lines):
                return lines[:MOST_LINES]
            case vos.Broken(failure=broken):
                raise NodeFailed(broken)
