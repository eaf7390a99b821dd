"""The snapshot at the end of a collection: some commands, whose output is kept beside the files.

All files are here by then, so nothing fails any more. What went wrong is a note.
"""

from __future__ import annotations

import trio

from cucmd.failure import Code, NodeFailed, fail
from cucmd.job.run import Run
from cucmd.node.dialogue import NodeSession
from cucmd.node.ports import NodeTask, Receiver, Report
from cucmd.work.run import INTERRUPTED_WITHIN, CommandRuns

# Seconds that are left of the deadlines of node and job afterwards.
_LEFT = 1.0


async def take_snapshot(
    session: NodeSession, task: NodeTask, what: Run, receiver: Receiver, report: Report
) -> tuple[str, ...]:
    """Runs the commands, and keeps what they print. Returns notes.

    After one that is refused or asks a question the next is run; after one that does not come to
    its end none is.
    """
    wrong: list[str] = []
    left = trio.current_effective_deadline() - trio.current_time() - _LEFT
    with trio.move_on_after(max(left, 0.0)) as time:
        try:
            await _to_prompt(session)
            runs = CommandRuns(task, what, session, receiver, report)
            for number in range(1, len(what.commands) + 1):
                failed = await runs.run(number)
                wrong += [failed.message] if failed is not None else []
        except NodeFailed as error:
            wrong.append(error.failure.message)
        except OSError as error:
            wrong.append(f"it cannot be written: {error.strerror or error}")
    if time.cancelled_caught:
        wrong.append("the time of the node or the job was over before its end")
    return _note(*wrong)


async def _to_prompt(session: NodeSession) -> None:
    """Ends what came before it, if that is still running. Raises `NodeFailed`."""
    if not session.busy:
        return
    with trio.move_on_after(INTERRUPTED_WITHIN):
        await session.interrupt()
        return
    raise fail(Code.COMMAND_TIMEOUT, f"no prompt came within {INTERRUPTED_WITHIN:g} s of Ctrl-C")


def _note(*wrong: str) -> tuple[str, ...]:
    return (f"the snapshot is not whole: {'; '.join(wrong)}",) if wrong else ()
