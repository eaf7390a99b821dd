"""Runs commands that only read on a node: logs in, runs one after the other, closes.

Nothing is typed but a form of `vos/forms.py`, and no question is answered.

How a command ends, and what follows

    the prompt comes       its output is kept; the next command
    the node refuses it    its output is kept; the next command; the node fails at the end
    a question comes       Ctrl-C; what came before it is kept; the next command; the node fails at
                           the end
    its time is over       what came is kept; the node fails now, with no further command: a node
                           that hangs is left alone

At the end of a collection some are run too, its snapshot. All files are here by then, so nothing
fails any more: what went wrong is a note. It may be a look at the health of the node.
"""

from __future__ import annotations

import trio

from cucmd import vos
from cucmd.failure import Code, NodeFailed, fail
from cucmd.job.health import HealthCheck
from cucmd.job.node import Phase
from cucmd.job.run import Run
from cucmd.node.dialogue import NodeSession
from cucmd.node.ports import NodeTask, Ports, Report
from cucmd.work.commands import CommandRuns
from cucmd.work.health import look
from cucmd.work.session import answer, back_at_prompt, logged_in
from cucmd.work.verdict import at_most

# Commands that are named in the message of a node that failed.
_MOST_SAID = 5
# Seconds that are left of the deadlines of node and job after a snapshot.
_LEFT = 1.0


async def run(task: NodeTask, what: Run, ports: Ports, report: Report) -> tuple[str, ...]:
    """Runs the commands, and keeps what they print. Returns notes. Raises `NodeFailed`."""
    async with logged_in(task, ports, report) as session:
        await answer(session, task, vos.PAGER_OFF)
        report.phase(Phase.COMMAND)
        runs = CommandRuns(task, what, session, ports, report, seconds=what.seconds)
        failed = [await runs.run(number) for number in range(1, len(what.commands) + 1)]
        report.phase(Phase.CLOSE)
        if refused := [one.message for one in failed if one is not None]:
            count = f"{len(refused)} of {len(failed)} commands: " if len(failed) > 1 else ""
            raise fail(Code.COMMAND_REFUSED, count + "; ".join(at_most(_MOST_SAID, refused)))
        return ()


async def take_snapshot(
    session: NodeSession,
    task: NodeTask,
    what: Run | HealthCheck,
    ports: Ports,
    report: Report,
) -> tuple[str, ...]:
    """Runs the commands, and keeps what they print. Returns notes.

    After one that is refused or asks a question the next is run; after one that does not come to
    its end none is.
    """
    wrong: list[str] = []
    with trio.move_on_at(trio.current_effective_deadline() - _LEFT) as time_left:
        try:
            if (late := await back_at_prompt(session)) is not None:
                raise fail(Code.COMMAND_TIMEOUT, late)
            if isinstance(what, HealthCheck):
                await look(task, what, session, ports, report)
                return ()
            runs = CommandRuns(task, what, session, ports, report)
            for number in range(1, len(what.commands) + 1):
                failed = await runs.run(number)
                wrong += [failed.message] if failed is not None else []
        except NodeFailed as error:
            wrong.append(error.failure.message)
        except OSError as error:
            wrong.append(f"it cannot be written: {error.strerror or error}")
    if time_left.cancelled_caught:
        wrong.append("the time of the node or the job was over before its end")
    return (f"the snapshot is not whole: {'; '.join(wrong)}",) if wrong else ()
