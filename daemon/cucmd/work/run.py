"""Runs commands that only read on a node: logs in, runs one after the other, closes.

Only the forms of `vos/forms.py` are ever typed, and no question is answered.

How a command ends, and what follows

    the prompt comes       its output is kept; the next command
    the node refuses it    its output is kept; the next command; the node fails at the end
    a question comes       Ctrl-C; the output before the question is kept; the next command; the
                           node fails at the end
    its time is over       the output so far is kept; the node fails now, and no further command is
                           typed on a node that may hang

A snapshot also runs commands, or a health check, at the end of a collection. All files are here by
then, so the node does not fail, and any failure becomes a note.
"""

from __future__ import annotations

import trio

from cucmd import vos
from cucmd.failure import Code, NodeFailed, fail
from cucmd.job.health import HealthCheck
from cucmd.job.node import Notes, Phase
from cucmd.job.run import Run
from cucmd.node.dialogue import NodeSession
from cucmd.node.ports import NodeTask, Ports, Report
from cucmd.work.commands import CommandRuns
from cucmd.work.health import check_health
from cucmd.work.session import logged_in, return_to_prompt, run_plain_command
from cucmd.work.verdict import shorten

# The most commands that are named in the message of a node that failed.
_MOST_SAID = 5
# Seconds that a snapshot leaves of the deadlines of the node and the job.
_LEFT = 1.0


async def run(task: NodeTask, request: Run, ports: Ports, report: Report) -> Notes:
    """Runs the commands, and keeps their output. Returns no notes. Raises `NodeFailed`."""
    async with logged_in(task, ports, report) as session:
        await run_plain_command(session, task, vos.PAGER_OFF)
        report.phase(Phase.COMMAND)
        runs = CommandRuns(task, request, session, ports, report, seconds=request.seconds)
        failed = [await runs.run(number) for number in range(1, len(request.commands) + 1)]
        report.phase(Phase.CLOSE)
        if refused := [problem.message for problem in failed if problem is not None]:
            count = f"{len(refused)} of {len(failed)} commands: " if len(failed) > 1 else ""
            raise fail(Code.COMMAND_REFUSED, count + "; ".join(shorten(_MOST_SAID, refused)))
        return ()


async def take_snapshot(
    session: NodeSession,
    task: NodeTask,
    request: Run | HealthCheck,
    ports: Ports,
    report: Report,
) -> tuple[str, ...]:
    """Runs the commands, and keeps their output. Returns notes.

    After a command that does not end, no further command is run.
    """
    problems: list[str] = []
    with trio.move_on_at(trio.current_effective_deadline() - _LEFT) as time_left:
        try:
            if (late := await return_to_prompt(session)) is not None:
                raise fail(Code.COMMAND_TIMEOUT, late)
            if isinstance(request, HealthCheck):
                await check_health(task, request, session, ports, report)
                return ()
            runs = CommandRuns(task, request, session, ports, report)
            for number in range(1, len(request.commands) + 1):
                failed = await runs.run(number)
                problems += [failed.message] if failed is not None else []
        except NodeFailed as error:
            problems.append(error.failure.message)
        except OSError as error:
            problems.append(f"it cannot be written: {error.strerror or error}")
    if time_left.cancelled_caught:
        problems.append("the time of the node or the job was over before its end")
    return (f"the snapshot is not whole: {'; '.join(problems)}",) if problems else ()
