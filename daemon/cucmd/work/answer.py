"""A plain command and its answer: what every kind of work asks a node.

An answer is whole, but for lines beyond the first MOST_LINES, or it is `NodeFailed`. It is read by
`parsing.parse`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from cucmd import vos
from cucmd.failure import NodeFailed
from cucmd.node.deadlines import AnswerClock
from cucmd.node.dialogue import NodeSession
from cucmd.node.ports import NodeTask

# The answers that are read have some 30 lines, a listing one for each file. To read so many takes
# 0.2 s at most.
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


def refusal(mask: Callable[[str], str], lines: Iterable[str]) -> str | None:
    """What the node has said to a command, masked and quoted, if it refuses it. For `parse`."""
    said = tuple(lines)
    if not vos.refused_in(said):
        return None
    return vos.quoted([mask(line) for line in said if line.strip()])
