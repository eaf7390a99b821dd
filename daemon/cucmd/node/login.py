"""From nothing to the node's first prompt: connect, authenticate, wait; and again, if it may help.

The one rule: only what happened before the first prompt is tried again, and never a login that
the node has refused (three wrong passwords lock an account).
"""

from __future__ import annotations

import random
from contextlib import AsyncExitStack

import trio

from cucmd.failure import Code, NodeFailed, of_node, timed_out
from cucmd.job import Phase
from cucmd.node.deadlines import PhaseClock
from cucmd.node.dialogue import Conversation, hang_up
from cucmd.node.ports import NodeTask, OpenShell, Report, Retry
from cucmd.node.transcript_file import TranscriptFile
from cucmd.node_name import address
from cucmd.vos import Session

# A connect that ran into its timeout has waited long enough: it fails the node
# (BE-020, row 11, in tests/system/test_be020.py).
TRANSIENT = frozenset({Code.CONNECTION_REFUSED, Code.CONNECTION_LOST, Code.HOST_UNREACHABLE})

# What is at the port may be something else, or a node that has a connection but no time for it.
_NO_SSH = "the port answers, but not as SSH: check address and port, and whether the node is busy"


def retry_delay(retry: Retry, failed_attempts: int, fraction: float) -> float:
    """Seconds to wait: doubled each time up to the cap, spread over 50 % to 150 %.

    `fraction` is a random number from 0 to 1; without the spread, a cluster that comes back
    would be met by all its jobs at the same moment.
    """
    longest: float = min(retry.cap, retry.base * 2 ** (failed_attempts - 1))
    return longest * (0.5 + fraction)


async def reach(
    stack: AsyncExitStack,
    task: NodeTask,
    open_shell: OpenShell,
    transcript: TranscriptFile,
    report: Report,
) -> Conversation:
    """The node at its first prompt. Its connection is closed when `stack` unwinds.

    Raises `NodeFailed`.
    """
    failed = 0
    while True:
        report.attempt(task.first_attempt + failed)
        transcript.attempt()
        async with AsyncExitStack() as trial:
            try:
                conversation = await _log_in(trial, task, open_shell, transcript, report)
            except NodeFailed as error:
                failed += 1
                if error.failure.code not in TRANSIENT or failed >= task.retry.attempts:
                    raise NodeFailed(of_node(error.failure, task.node)) from error
            else:
                stack.push_async_exit(trial.pop_all())
                return conversation
        await trio.sleep(retry_delay(task.retry, failed, random.random()))  # noqa: S311  jitter


async def _log_in(
    trial: AsyncExitStack,
    task: NodeTask,
    open_shell: OpenShell,
    transcript: TranscriptFile,
    report: Report,
) -> Conversation:
    where, timeouts = address(task.host, task.port), task.timeouts

    def enter(phase: Phase) -> None:
        report.phase(phase)
        if phase is Phase.LOGIN:
            what = f"logging in to {where} (login timeout)"
            clock.start(Code.LOGIN_TIMEOUT, timeouts.login, what)

    def connected() -> None:
        what = f"waiting for SSH on an open connection to {where} (connect timeout)"
        clock.means(timed_out(Code.CONNECT_TIMEOUT, timeouts.connect, what, hint=_NO_SSH))

    with PhaseClock() as clock:
        what = f"waiting for a connection to {where} (connect timeout)"
        clock.start(Code.CONNECT_TIMEOUT, timeouts.connect, what)
        session = Session((task.login.password,))
        shell = await open_shell(task, connected, enter, session.mask)
        conversation = Conversation(shell, transcript, session)
        trial.push_async_callback(hang_up, conversation, timeouts.grace)
        await conversation.first_prompt()
        return conversation
