"""Connects to a node, logs in, and waits for its first prompt, with retries.

Only failures before the first prompt are retried. A login that the node has refused is never
retried, since three wrong passwords may lock the account (vos/NODES.md, section 6.7).
"""

from __future__ import annotations

import random
from contextlib import AsyncExitStack

import trio

from cucmd.failure import Code, NodeFailed, name_node_in_hint, timeout_failure
from cucmd.job.node import Phase
from cucmd.node.deadlines import limit_phases, with_last_line
from cucmd.node.dialogue import NodeSession, close_session
from cucmd.node.ports import NodeTask, OpenShell, Report, Retry
from cucmd.node.transcript_file import TranscriptFile
from cucmd.node_name import address
from cucmd.vos.cli import Cli
from cucmd.vos.questions import QUIET_QUESTION

# The failures that are retried. A connect timeout fails the node at once (row 11 of
# tests/system/test_be020.py).
TRANSIENT = frozenset({Code.CONNECTION_REFUSED, Code.CONNECTION_LOST, Code.HOST_UNREACHABLE})

# Another kind of server, or a node that accepts a connection but is too busy to answer on it.
_NO_SSH = "the port answers, but not as SSH: check address and port, and whether the node is busy"


def retry_delay(retry: Retry, failed_attempts: int, fraction: float) -> float:
    """Returns the seconds to wait before the next attempt.

    The delay doubles each time up to the cap, and is then multiplied by 0.5 to 1.5. Without that,
    all jobs would connect at the same moment to a cluster that comes back.

    fraction: a random number from 0 to 1.
    """
    longest: float = min(retry.cap, retry.base * 2 ** (failed_attempts - 1))
    return longest * (0.5 + fraction)


async def start_session(
    stack: AsyncExitStack,
    task: NodeTask,
    open_shell: OpenShell,
    transcript: TranscriptFile,
    report: Report,
) -> NodeSession:
    """Connects and logs in, with retries. Returns the session at the node's first prompt.

    stack: closes the session when it unwinds.

    Raises `NodeFailed` if the last attempt fails, or an attempt fails in a way that is not retried.
    Raises `Postponed` if the password must not be sent now.
    """
    failed = 0
    while True:
        report.attempt(task.first_attempt + failed)
        transcript.attempt()
        # Each attempt has a stack of its own, which closes its session before the next attempt. The
        # session of the attempt that works moves to the caller's stack.
        async with AsyncExitStack() as trial:
            try:
                session = await _log_in(trial, task, open_shell, transcript, report)
            except NodeFailed as error:
                failed += 1
                if error.failure.code not in TRANSIENT or failed >= task.retry.attempts:
                    raise NodeFailed(name_node_in_hint(error.failure, task.node)) from error
            else:
                stack.push_async_exit(trial.pop_all())
                return session
        # Outside of the stack above, so that the connection of the failed attempt is closed before
        # the pause.
        await trio.sleep(retry_delay(task.retry, failed, random.random()))  # noqa: S311  jitter


async def _log_in(
    trial: AsyncExitStack,
    task: NodeTask,
    open_shell: OpenShell,
    transcript: TranscriptFile,
    report: Report,
) -> NodeSession:
    where, timeouts = address(task.host, task.port), task.timeouts

    def enter(phase: Phase) -> None:
        report.phase(phase)
        if phase is Phase.LOGIN:
            what = f"logging in to {where} (login timeout)"
            clock.start(Code.LOGIN_TIMEOUT, timeouts.login, what)

    def connected() -> None:
        what = f"waiting for SSH on an open connection to {where} (connect timeout)"
        clock.set_failure(
            timeout_failure(Code.CONNECT_TIMEOUT, timeouts.connect, what, hint=_NO_SSH)
        )

    # A short login timeout must leave time to recognise a question.
    question_after = min(QUIET_QUESTION, timeouts.login / 2)
    cli = Cli((task.login.password,), question_after=question_after)
    try:
        with limit_phases() as clock:
            what = f"waiting for a connection to {where} (connect timeout)"
            clock.start(Code.CONNECT_TIMEOUT, timeouts.connect, what)
            shell = await open_shell(task, connected, enter, cli.mask, report)
            session = NodeSession(shell, transcript, cli)
            trial.push_async_callback(close_session, session, timeouts.grace)
            report.session(session)
            await session.wait_for_prompt()
            return session
    except NodeFailed as error:
        if error.failure.code != Code.LOGIN_TIMEOUT:
            raise
        raise NodeFailed(with_last_line(error.failure, cli.last_line)) from error
