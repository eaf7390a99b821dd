"""Asks a node for the sizes of a collection: logs in, prepares, sizes each path, closes.

No `file get` gets a receiver here, so nothing can be pushed.
"""

from __future__ import annotations

from msgspec.structs import replace

from cucmd import vos
from cucmd.failure import Code, NodeFailed, fail
from cucmd.job.collect import Collect, DryRun, PathSize, Sizes
from cucmd.job.node import Notes, Phase
from cucmd.node.deadlines import form_clock
from cucmd.node.dialogue import NodeSession
from cucmd.node.ports import NodeTask, Ports, Report
from cucmd.work.collect import (
    PATH_FAILURES,
    NodeClock,
    PathResult,
    file_get_for,
    name_path,
    notes_on_paths,
    nothing_matched,
    prepare,
)
from cucmd.work.session import disk_room, failure_if_too_large, logged_in, return_to_prompt


async def dry_run(task: NodeTask, request: DryRun, ports: Ports, report: Report) -> Notes:
    """Reports the sizes. Returns notes for the user.

    Raises `NodeFailed` in the same cases as `collect`: if nothing matches, or a path is refused.
    """
    async with logged_in(task, ports, report) as session:
        collection = request.of
        clock = await prepare(session, task, collection, report)
        report.phase(Phase.COMMAND)
        result_of_path = {
            path: await _ask(session, task, collection, path, clock) for path in collection.paths
        }
        sizes = tuple(result for result in result_of_path.values() if isinstance(result, PathSize))
        room, reserved = disk_room(task, ports)
        total = Sizes(sizes, room, reserved=reserved or None)
        too_large, left = failure_if_too_large(task, ports, total.bytes), task.quota.job.left
        # Take these bytes from the quota of the job, as a collection would. Otherwise the nodes
        # that are asked later would seem to fit.
        if too_large is None:
            task.quota.job.take(total.bytes)
            total = replace(total, fits=True)
        elif collection.compress:
            task.quota.job.take(total.bytes if left is None else min(total.bytes, left))
            total = replace(total, fits=None, why=f"before compression, {too_large.message}")
        else:
            total = replace(total, fits=False, why=too_large.message)
        report.result(total)
        report.phase(Phase.CLOSE)
        # A path with files counts as a success next to those without.
        results = {
            path: result if isinstance(result, PathResult) else PathResult()
            for path, result in result_of_path.items()
        }
        return (*clock.notes(), *notes_on_paths(results, collection.unverified))


async def _ask(
    session: NodeSession, task: NodeTask, request: Collect, path: str, node_clock: NodeClock
) -> PathSize | PathResult:
    """Asks for the sizes of one path. Returns them, or why there are none. Raises `NodeFailed`."""
    command = file_get_for(task, request, path, node_clock)
    clock = form_clock(command.command_line(), task.timeouts.command)
    sizes: vos.SizesAnnounced | None = None
    await session.file_get(command, None)
    while True:
        match await session.next_event(clock):
            case vos.SizesAnnounced() as sizes:
                pass
            case vos.NothingMatched():
                return PathResult(nothing_matched(path))
            case vos.Broken(failure=broken):
                if sizes is None and (session.busy or broken.code not in PATH_FAILURES):
                    raise NodeFailed(broken)
                if sizes is None:
                    return PathResult(name_path(path, broken))
                # The node asks for a receiver, or does not accept `n`.
                if (late := await return_to_prompt(session)) is not None:
                    raise fail(Code.COMMAND_TIMEOUT, f"{path}: {late}")
                return PathSize(path, sizes.files, sizes.bytes)
            case vos.Declined():
                assert sizes is not None, "only an announced transfer is declined"
                return PathSize(path, sizes.files, sizes.bytes)
