"""Works on one node. Each kind of work has one file, which reads from top to bottom.

    collect.py          collects log files, with a `file get` for each path
    dry_run.py          asks for the sizes of what a collection would get
    discover.py         asks a node which nodes its cluster has
    check.py            checks whether a collection will probably work
    run.py              runs commands that only read; also at the end of a collection
    health.py           runs commands and judges their output; also at the end of a collection
    health_findings.py  PURE  judges what each command of a health check has printed
    capture.py          captures packets, together with the other nodes of the job
    capture_files.py    gets the files of a capture, counts their packets, removes them on request
    follow.py           follows a file while it grows
    session.py          shared: logs in, runs plain commands, comes back to the prompt
    commands.py         shared: runs commands and keeps their output in files
    verdict.py          PURE  compares the files that the node announced with those that came

A function with the name of the kind does the work. It gets the task, the request, the ports and the
report. It returns notes for the user, and raises `NodeFailed` if the node fails. At the end, the
upload target of the node is always revoked first, then the session is ended, then the connection is
closed.
"""

from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any, TypeAlias

from cucmd.job.node import Notes
from cucmd.job.work import KINDS, kind_of
from cucmd.node.ports import NodeTask, Ports, Report

_DoWork: TypeAlias = Callable[[NodeTask, Any, Ports, Report], Awaitable[Notes]]


def work_on_node(ports: Ports) -> Callable[[NodeTask, Report], Awaitable[Notes]]:
    """Returns the function that does the work of any task, whatever its kind."""
    functions: dict[str, _DoWork] = {}
    for name in map(kind_of, KINDS):
        functions[name] = getattr(import_module(f"{__name__}.{name}"), name)

    async def work(task: NodeTask, report: Report) -> Notes:
        return await functions[kind_of(task.work)](task, task.work, ports, report)

    return work
