"""Shared by all kinds of work: logs in, runs plain commands, returns to the prompt, and checks
whether announced files fit on the disk and into the limits.

Announced files are refused only if they certainly do not fit. With `compress`, a node announces the
sizes before compression, and the files may have a tenth of that.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TypeVar

import trio

from cucmd import vos
from cucmd.durable import RESERVE
from cucmd.failure import Code, NodeFailed, fail, failure
from cucmd.job.failure import Failure
from cucmd.job.node import Phase
from cucmd.node.deadlines import answer_clock
from cucmd.node.dialogue import NodeSession
from cucmd.node.ports import NodeTask, OpenShell, Ports, Receiver, Report
from cucmd.node.session_start import start_session
from cucmd.node.transcript_file import make_transcript
from cucmd.work.verdict import counted

T = TypeVar("T")

# Seconds until the prompt after Ctrl-C. A node may need more than 5 (vos/NODES.md, section 6.5).
INTERRUPTED_WITHIN = 45.0
_AT_EACH_END = 100


@asynccontextmanager
async def logged_in(
    task: NodeTask, ports: Ports, report: Report, open_shell: OpenShell | None = None
) -> AsyncIterator[NodeSession]:
    """Opens a session at the node's first prompt, in phase `prepare`, and closes it at the end.

    open_shell: used in place of that of `ports`. Raises `NodeFailed`.
    """
    async with make_transcript(task, ports) as transcript, AsyncExitStack() as stack:
        opened = open_shell or ports.open_shell
        session = await start_session(stack, task, opened, transcript, report)
        report.phase(Phase.PREPARE)
        yield session


async def run_plain_command(session: NodeSession, task: NodeTask, line: str) -> Sequence[str]:
    """Runs a command that should ask nothing, for at most `timeouts.answer` seconds.

    Returns the lines that the node printed, without echo and pagers. Raises `NodeFailed`.
    """
    clock = answer_clock(task.timeouts, line)
    await session.command(line)
    while True:
        match await session.next_event(clock):
            case vos.CommandDone(lines=lines):
                return vos.take_parsable(lines)
            case vos.StoppedAtQuestion(question=question):
                raise fail(Code.COMMAND_REFUSED, f"'{line}': the node asked {question!r}")
            case vos.Broken(failure=broken):
                raise NodeFailed(broken)


async def ask(
    session: NodeSession, task: NodeTask, line: str, parser: Callable[[Sequence[str]], T]
) -> T:
    """Runs a plain command and parses what the node printed. Raises `NodeFailed`."""
    return parser(await run_plain_command(session, task, line))


def refusal_text(mask: Callable[[str], str], lines: Sequence[str]) -> str | None:
    """Returns what the node said, masked and quoted, if it refuses the command; otherwise None."""
    if not vos.is_refusal(lines):
        return None
    return vos.quote([mask(line) for line in first_and_last_lines(lines) if line.strip()])


def first_and_last_lines(lines: Sequence[str]) -> Sequence[str]:
    """Returns the lines at both ends of a long answer, since no message quotes more."""
    if len(lines) <= 2 * _AT_EACH_END:
        return lines
    return (*lines[:_AT_EACH_END], *lines[-_AT_EACH_END:])


async def return_to_prompt(session: NodeSession) -> str | None:
    """Ends a running command with Ctrl-C. Returns None at the prompt, else why it did not come.

    Raises `NodeFailed` (connection_lost).
    """
    with trio.move_on_after(INTERRUPTED_WITHIN):
        if session.busy:
            await session.interrupt()
        return None
    return f"no prompt came within {INTERRUPTED_WITHIN:g} s of Ctrl-C"


def failure_if_too_large(task: NodeTask, receiver: Receiver, size: int) -> Failure | None:
    """Returns a failure if `size` more bytes of the node do not fit; None if they do.

    Bytes that other nodes have announced and not yet sent do not count here.
    """
    quota = task.quota
    for name, left in (("node_bytes", quota.node.left), ("job_bytes", quota.job.left)):
        if left is not None and size > left:
            message = f"{counted(size - left, 'byte')} more than limits.{name} leaves ({left:,})"
            hint = f"narrow the window, or raise limits.{name}"
            return failure(Code.QUOTA_EXCEEDED, message, hint=hint)
    room, reserved = disk_room(task, receiver)
    if room is not None and size > room:
        more, besides = counted(size - room, "byte"), f"besides the reserve of {reserved:,}"
        message = f"{more} more than the disk has room for ({room:,}, {besides})"
        return failure(Code.DISK_FULL, message)
    return None


def disk_room(task: NodeTask, receiver: Receiver) -> tuple[int | None, int]:
    """Returns the bytes that may be written to the disk, or None if the disk does not say; and the
    bytes of the reserve, which the configuration and the deletion of jobs need.
    """
    with suppress(OSError):
        descriptor = os.open(task.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            room, kept_free = receiver.room(descriptor)
            return room, kept_free + RESERVE
        finally:
            os.close(descriptor)
    return None, 0


async def decline_transfer(session: NodeSession, seconds: float) -> None:
    """Answers `n` to the running `file get`, and waits for its end, for at most `seconds`.

    An error of the node is ignored here, since the session is closed next.
    """
    session.decline()
    with trio.move_on_after(seconds), suppress(NodeFailed):
        while True:
            match await session.next_event():
                case vos.Declined() | vos.NothingMatched() | vos.FileGetDone() | vos.Broken():
                    return
