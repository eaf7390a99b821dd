"""Asking a node for the sizes of a collection: log in, prepare, size each path, close.

No `file get` here has a receiver, so nothing can be pushed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import TypeAlias

import trio
from msgspec.structs import replace

from cucmd import vos
from cucmd.failure import Code, NodeFailed, fail
from cucmd.job.collect import Collect, DryRun, PathSize, Sizes
from cucmd.job.node import Phase
from cucmd.node.deadlines import FormClock
from cucmd.node.dialogue import NodeSession
from cucmd.node.login import reach
from cucmd.node.ports import NodeTask, OpenShell, Receiver, Report
from cucmd.node.transcript_file import transcript_of
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

# Bytes per second with which the node of that name has sent its files last; None: it is not known.
RateOf: TypeAlias = Callable[[str], Awaitable[float | None]]


async def dry_run(
    task: NodeTask,
    what: DryRun,
    open_shell: OpenShell,
    receiver: Receiver,
    report: Report,
    *,
    rate_of: RateOf,
) -> tuple[str, ...]:
    """Reports the sizes. Returns notes for the user. Raises `NodeFailed`, as `collect` does where
    nothing matches or a path is refused.
    """
    with transcript_of(task, receiver.shortage) as transcript:
        async with AsyncExitStack() as stack:
            session = await reach(stack, task, open_shell, transcript, report)
            report.phase(Phase.PREPARE)
            clock = await prepare(session, task, what.of, report)
            report.phase(Phase.COMMAND)
            asked = [await _ask(session, task, what.of, path, clock) for path in what.of.paths]
            sizes = tuple(one for one in asked if isinstance(one, PathSize))
            found = Sizes(sizes, seconds=await _estimated(task, what.of, sizes, rate_of))
            report.result(_judged(task, receiver, found, compress=what.of.compress))
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


async def _estimated(
    task: NodeTask, what: Collect, paths: tuple[PathSize, ...], rate_of: RateOf
) -> float | None:
    """Seconds. None where the node packs: neither how long that takes nor what comes is known."""
    rate = None if what.compress else await rate_of(task.node)
    return sum(one.bytes for one in paths) / rate if rate else None


def _judged(task: NodeTask, receiver: Receiver, found: Sizes, *, compress: bool) -> Sizes:
    """The sizes, with whether they fit. What would come is taken from the quota of the job, so that
    the nodes that are asked later have the rest.
    """
    wrong, of_job = too_much(task, receiver, found.bytes), task.quota.job
    found = replace(found, room=disk_room(task, receiver))
    if wrong is None:
        of_job.take(found.bytes)
        return replace(found, fits=True)
    if compress:
        left = of_job.left
        of_job.take(found.bytes if left is None else min(found.bytes, left))
        return replace(found, fits=None, why=f"before compression, {wrong.message}")
    return replace(found, fits=False, why=wrong.message)
