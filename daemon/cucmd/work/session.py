"""What every kind of work does on a node: comes to its first prompt, asks, and comes back to it.

An answer is whole, but for lines beyond the first MOST_LINES, or it is `NodeFailed`. It is read by
`parsing.parse`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager

import trio

from cucmd import vos
from cucmd.failure import NodeFailed
from cucmd.job.node import Phase
from cucmd.node.deadlines import AnswerClock
from cucmd.node.dialogue import NodeSession
from cucmd.node.login import reach
from cucmd.node.ports import NodeTask, OpenShell, Ports, Report
from cucmd.node.transcript_file import transcript_of

# The answers that are read have some 30 lines, a listing one for each file. To read so many takes
# 0.2 s at most.
MOST_LINES = 10_000
# Seconds until the prompt after Ctrl-C; a node may need more than 5 (vos/NODES.md, section 6.5).
INTERRUPTED_WITHIN = 45.0


@asynccontextmanager
async def logged_in(
    task: NodeTask, ports: Ports, report: Report, open_shell: OpenShell | None = None
) -> AsyncIterator[NodeSession]:
    """A session at the node's first prompt, in phase `prepare`. It is closed at the end.

    open_shell: in place of that of `ports`. Raises `NodeFailed`.
    """
    with transcript_of(task, ports.shortage) as transcript:
        async with AsyncExitStack() as stack:
            opened = open_shell or ports.open_shell
            session = await reach(stack, task, opened, transcript, report)
            report.phase(Phase.PREPARE)
            yield session


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


async def back_at_prompt(session: NodeSession) -> str | None:
    """Ends what runs, with Ctrl-C. None: the node is at its prompt; else why it is not.

    Raises `NodeFailed` (connection_lost).
    """
    with trio.move_on_after(INTERRUPTED_WITHIN):
        if session.busy:
            await session.interrupt()
        return None
    return f"no prompt came within {INTERRUPTED_WITHIN:g} s of Ctrl-C"
