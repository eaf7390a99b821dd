"""Holds what is done on one node, one file a kind of work. Each reads from top to bottom.

    collect.py   collecting log files: `file get` for each path
    dry_run.py   asks for the sizes of a collection
    discover.py  asking a node which nodes its cluster has
    check.py     whether a collection can be expected to work
    run.py       running commands that only read; also at the end of a collection
    health.py    whether a node is well: runs commands, judges what they print; also at that end
    judged.py    PURE  what each check of that makes of an answer
    capture.py   capturing packets: together with the other nodes, until it is ended
    capture_files.py  its files: counted, and removed from the node if asked for
    follow.py    following a file while it grows
    session.py   what the kinds share: to the first prompt, an answer, back to it, room for files
    commands.py  what those share that keep the output of commands
    verdict.py   PURE  what was announced against what came

A kind of work is done by the function of its name, in the file of its name. It takes the task, what
is to be done, the ports and the report; it returns notes for the user, and a node that fails raises
`NodeFailed`. However the work ends, the node's upload target is revoked first, then its session is
ended, then the connection is closed.
"""

from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any, TypeAlias

from cucmd.job.node import Notes
from cucmd.job.work import KINDS, kind_of
from cucmd.node.ports import NodeTask, Ports, Report

_Do: TypeAlias = Callable[[NodeTask, Any, Ports, Report], Awaitable[Notes]]


def work_on_node(ports: Ports) -> Callable[[NodeTask, Report], Awaitable[Notes]]:
    """Returns the function that does what a task says."""
    do: dict[str, _Do] = {}
    for name in map(kind_of, KINDS):
        do[name] = getattr(import_module(f"{__name__}.{name}"), name)

    async def work(task: NodeTask, report: Report) -> Notes:
        return await do[kind_of(task.work)](task, task.work, ports, report)

    return work
