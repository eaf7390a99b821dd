"""Asks a node for the sizes of a collection: logs in, prepares, sizes each path, closes.

No `file get` here has a receiver, so nothing can be pushed.
"""

from __future__ import annotations

from msgspec.structs import replace

from cucmd import vos
from cucmd.failure import Code, NodeFailed, fail
from cucmd.job.collect import Collect, DryRun, PathSize, Sizes
from cucmd.job.node import Phase
from cucmd.node.deadlines import form_clock
from cucmd.node.dialogue import NodeSession
from cucmd.node.ports import NodeTask, Ports, Report
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
from cucmd.work.session import back_at_prompt, disk_room, logged_in, too_much


async def dry_run(task: NodeTask, what: DryRun, ports: Ports, report: Report) -> tuple[str, ...]:
    """Reports the sizes. Returns notes for the user. Raises `NodeFailed`, as `collect` does where
    nothing matches or a path is refused.
    """
    async with logged_in(task, ports, report) as session:
        clock = await prepare(session, task, what.of, report)
        report.phase(Phase.COMMAND)
        asked = {path: await _ask(session, task, what.of, path, clock) for path in what.of.paths}
        sizes = tuple(one for one in asked.values() if isinstance(one, PathSize))
        found = Sizes(sizes, disk_room(task, ports))
        wrong, left = too_much(task, ports, found.bytes), task.quota.job.left
        # What would come is taken from the quota of the job, so that the nodes that are asked later
        # have the rest.
        if wrong is None:
            task.quota.job.take(found.bytes)
            found = replace(found, fits=True)
        elif what.of.compress:
            task.quota.job.take(found.bytes if left is None else min(found.bytes, left))
            found = replace(found, fits=None, why=f"before compression, {wrong.message}")
        else:
            found = replace(found, fits=False, why=wrong.message)
        report.result(found)
        report.phase(Phase.CLOSE)
        # A path that has files counts beside those that have none.
        results = {
            path: one if isinstance(one, PathResult) else PathResult()
            for path, one in asked.items()
        }
        return (*clock.notes(), *notes_of(results, what.of.unverified))


async def _ask(
    session: NodeSession, task: NodeTask, what: Collect, path: str, node_clock: NodeClock
) -> PathSize | PathResult:
    """Asks for the sizes of one path, or says why there are none. Raises `NodeFailed`."""
    request = request_for(task, what, path, node_clock)
    clock = form_clock(request.command_line(), task.timeouts.command)
    sizes: vos.SizesAnnounced | None = None
    await session.file_get(request, None)
    while True:
        match await session.next_event(clock):
            case vos.SizesAnnounced() as sizes:
                pass
            case vos.NothingMatched():
                return PathResult(nothing_matched(path))
            case vos.Broken(failure=broken):
                if sizes is None and (session.busy or broken.code not in OF_ONE_PATH):
                    raise NodeFailed(broken)
                if sizes is None:
                    return PathResult(of_path(path, broken))
                # It asks for a receiver, or does not take `n`.
                if (wrong := await back_at_prompt(session)) is not None:
                    raise fail(Code.COMMAND_TIMEOUT, f"{path}: {wrong}")
                return PathSize(path, sizes.files, sizes.bytes)
            case vos.Declined():
                assert sizes is not None, "it is what a node has announced that is declined"
                return PathSize(path, sizes.files, sizes.bytes)
