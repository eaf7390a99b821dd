"""A plain command and its answer: what every kind of work asks a node.

The one rule: an answer is whole, or it is `NodeFailed`.
"""

from __future__ import annotations

from cucmd import vos
from cucmd.failure import NodeFailed
from cucmd.node.deadlines import AnswerClock
from cucmd.node.dialogue import NodeSession
from cucmd.node.ports import NodeTask


async def answer(session: NodeSession, task: NodeTask, text: str) -> tuple[str, ...]:
    """Runs a plain command, for `timeouts.answer` seconds at most. Returns the lines that the node
    printed, without echo and pagers. Raises `NodeFailed`.
    """
    clock = AnswerClock(task.timeouts, text)
    await session.command(text)
    while True:
        match await session.next_event(clock):
            case vos.CommandDone(lines=lines):
                return lines
            case vos.Broken(failure=broken):
                raise NodeFailed(broken)
