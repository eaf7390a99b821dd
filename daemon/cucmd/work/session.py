"""Does what kinds of work share: comes to a node's first prompt, asks, comes back to the prompt,
and looks whether what a node announces fits here.

An answer is whole, but for lines that nothing reads (`vos.take_parsable`), or it is `NodeFailed`.
Of what is announced nothing is refused that may fit: with `compress` a node announces the sizes
before compression, and what comes may be a tenth of that.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TypeVar

import trio

from cucmd import vos
from cucmd.durable import RESERVE
from cucmd.failure import Code, NodeFailed, failure
from cucmd.job.failure import Failure
from cucmd.job.node import Phase
from cucmd.node.deadlines import answer_clock
from cucmd.node.dialogue import NodeSession
from cucmd.node.ports import NodeTask, OpenShell, Ports, Receiver, Report
from cucmd.node.session_start import start_session
from cucmd.node.transcript_file import make_transcript
from cucmd.work.verdict import counted

T = TypeVar("T")

# Seconds until the prompt after Ctrl-C; a node may need more than 5 (vos/NODES.md, section 6.5).
INTERRUPTED_WITHIN = 45.0
_AT_AN_END = 100  # lines


@asynccontextmanager
async def logged_in(
    task: NodeTask, ports: Ports, report: Report, open_shell: OpenShell | None = None
) -> AsyncIterator[NodeSession]:
    """Opens a session at the node's first prompt, in phase `prepare`. It is closed at the end.

    open_shell: in place of that of `ports`. Raises `NodeFailed`.
    """
    async with make_transcript(task, ports) as transcript, AsyncExitStack() as stack:
        opened = open_shell or ports.open_shell
        session = await start_session(stack, task, opened, transcript, report)
        report.phase(Phase.PREPARE)
        yield session


async def answer(session: NodeSession, task: NodeTask, text: str) -> Sequence[str]:
    """Runs a plain command, for `timeouts.answer` seconds at most. Returns the lines that the node
    printed, without echo and pagers, as far as they are read. Raises `NodeFailed`.
    """
    clock = answer_clock(task.timeouts, text)
    await session.command(text)
    while True:
        match await session.next_event(clock):
            case vos.CommandDone(lines=lines):
                return vos.take_parsable(lines)
            case vos.Broken(failure=broken):
                raise NodeFailed(broken)


async def ask(
    session: NodeSession, task: NodeTask, text: str, parser: Callable[[Sequence[str]], T]
) -> T:
    """Runs a plain command, as `answer` does, and reads what the node printed. Raises
    `NodeFailed`.
    """
    return parser(await answer(session, task, text))


def refusal(mask: Callable[[str], str], lines: Sequence[str]) -> str | None:
    """Returns what the node has said to a command, masked and quoted, if it refuses it."""
    if not vos.is_refusal(lines):
        return None
    return vos.quote([mask(line) for line in both_ends(lines) if line.strip()])


def both_ends(lines: Sequence[str]) -> Sequence[str]:
    """Returns of many lines those at either end: more than are ever quoted."""
    return lines if len(lines) <= 2 * _AT_AN_END else (*lines[:_AT_AN_END], *lines[-_AT_AN_END:])


async def back_at_prompt(session: NodeSession) -> str | None:
    """Ends what runs, with Ctrl-C. None: the node is at its prompt; else why it is not.

    Raises `NodeFailed` (connection_lost).
    """
    with trio.move_on_after(INTERRUPTED_WITHIN):
        if session.busy:
            await session.interrupt()
        return None
    return f"no prompt came within {INTERRUPTED_WITHIN:g} s of Ctrl-C"


def too_much(task: NodeTask, receiver: Receiver, size: int) -> Failure | None:
    """Says why `size` bytes more of the node do not fit; None: they do.

    What other nodes have announced and not yet sent is not known here.
    """
    quota = task.quota
    for name, left in (("node_bytes", quota.node.left), ("job_bytes", quota.job.left)):
        if left is not None and size > left:
            message = f"{counted(size - left, 'byte')} more than limits.{name} leaves ({left:,})"
            hint = f"narrow the window, or raise limits.{name}"
            return failure(Code.QUOTA_EXCEEDED, message, hint=hint)
    room = disk_room(task, receiver)
    if room is not None and size > room:
        message = f"{counted(size - room, 'byte')} more than the disk has room for ({room:,})"
        kept = f"{RESERVE:,} bytes more are reserved for deleting jobs"
        return failure(Code.DISK_FULL, f"{message}; {kept}")
    return None


def disk_room(task: NodeTask, receiver: Receiver) -> int | None:
    """Returns the bytes that may be written to the disk; None: it does not say."""
    try:
        descriptor = os.open(task.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return receiver.room(descriptor)
    except OSError:
        return None
    finally:
        os.close(descriptor)


async def decline(session: NodeSession, seconds: float) -> None:
    """Answers `n` to the `file get` that runs, and waits for its end, for `seconds` at most.

    Whatever the node does now, it fails: its session is closed next.
    """
    session.decline()
    with trio.move_on_after(seconds), suppress(NodeFailed):
        while True:
            match await session.next_event():
                case vos.Declined() | vos.NothingMatched() | vos.FileGetDone() | vos.Broken():
                    return
