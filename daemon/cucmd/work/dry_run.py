"""Asking a node for the sizes of a collection: log in, prepare, size each path, close.

The one rule: no `file get` here has a receiver, so nothing can be pushed.
"""

from __future__ import annotations

from contextlib import AsyncExitStack

import trio

from cucmd import vos
from cucmd.failure import Code, NodeFailed, fail
from cucmd.job import Collect, DryRun, PathSize, Phase, Sizes
from cucmd.node.deadlines import FormClock
from cucmd.node.dialogue import NodeSession
from cucmd.node.login import reach
from cucmd.node.ports import NodeTask, OpenShell, Receiver, Report
from cucmd.node.transcript_file import TranscriptFile
from cucmd.work.collect import (
    OF_ONE_PATH,
    NodeClock,
    PathResult,
    notes_of,
    nothing_matched,
    of_path,
    prepare,
    request_for,
)
from cucmd.work.room import disk_room, too_much
from cucmd.work.run import INTERRUPTED_WITHIN


async def dry_run(
    task: NodeTask, what: DryRun, open_shell: OpenShell, receiver: Receiver, report: Report
) -> tuple[str, ...]:
    """Reports the sizes. Returns notes for the user. Raises `NodeFailed`, as `collect` does where
    nothing matches or a path is refused.
    """
    path, secrets = task.folder / "transcript.log", (task.login.password,)
    transcript = TranscriptFile(path, task.node, secrets, receiver.shortage)
    with transcript:
        async with AsyncExitStack() as stack:
            session = await reach(stack, task, open_shell, transcript, report)
            report.phase(Phase.PREPARE)
            clock = await prepare(session, task, what.of, report)
            report.phase(Phase.COMMAND)
            asked = [await _ask(session, task, what.of, path, clock) for path in what.of.paths]
            sizes = tuple(one for one in asked if isinstance(one, PathSize))
            report.sizes(_judged(task, receiver, sizes, compress=what.of.compress))
            report.phase(Phase.CLOSE)
            nothing = [one for one in asked if isinstance(one, PathResult)]
            # A path that has files counts beside those that have none.
            return (*clock.notes(), *notes_of([*nothing, *(PathResult() for _ in sizes)]))


async def _ask(
    session: NodeSession, task: NodeTask, what: Collect, path: str, node_clock: NodeClock
) -> PathSize | PathResult:
    """The sizes of one path, or why there are none. Raises `NodeFailed`."""
    request = request_for(task, what, path, node_clock)
    clock = FormClock(request.command_line(), task.timeouts.command)
    sizes: vos.Sized | None = None
    await session.file_get(request, None)
    while True:
        match await session.next_event(clock):
            case vos.Sized() as sizes:
                pass
            case vos.NothingMatched():
                return PathResult(nothing_matched(path))
            case vos.Broken(failure=broken):
                if sizes is None and (session.busy or broken.code not in OF_ONE_PATH):
                    raise NodeFailed(broken)
                if sizes is None:
                    return PathResult(of_path(path, broken))
                await _back_to_prompt(session, path)
                return PathSize(path, sizes.files, sizes.bytes)
            case vos.Declined():
                assert sizes is not None, "it is what a node has announced that is declined"
                return PathSize(path, sizes.files, sizes.bytes)


async def _back_to_prompt(session: NodeSession, path: str) -> None:
    """The node has announced its sizes, and asks for a receiver, or does not take `n`."""
    with trio.move_on_after(INTERRUPTED_WITHIN):
        if session.busy:
            await session.interrupt()
        return
    message = f"{path}: no prompt came within {INTERRUPTED_WITHIN:g} s of Ctrl-C"
    raise fail(Code.COMMAND_TIMEOUT, message)


def _judged(
    task: NodeTask, receiver: Receiver, paths: tuple[PathSize, ...], *, compress: bool
) -> Sizes:
    wrong = too_much(task, receiver, sum(one.bytes for one in paths))
    room = disk_room(task, receiver)
    if wrong is None:
        return Sizes(paths, room, fits=True)
    if compress:
        return Sizes(paths, room, None, f"before compression, {wrong.message}")
    return Sizes(paths, room, fits=False, why=wrong.message)
