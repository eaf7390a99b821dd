"""PURE. What a job does on each of its nodes, as it is planned and stored: a union of structs.

They are told apart by their tags, which are the kinds (`Job.kind`). Another kind of work is another
struct with a tag of its own. A tag and its fields are in databases: a tag is never renamed, and a
field that comes later has a default. service/daemon.py says which function of work/ does each.
"""

from __future__ import annotations

from typing import TypeAlias, get_args

from cucmd.job.capture import Capture
from cucmd.job.check import Check
from cucmd.job.collect import Collect, DryRun
from cucmd.job.discover import Discover
from cucmd.job.kind import Kind
from cucmd.job.run import Run

Work: TypeAlias = Collect | DryRun | Discover | Run | Check | Capture
KINDS: tuple[type[Kind], ...] = get_args(Work)


def kind_of(work: Work | type[Kind]) -> str:
    """The name of the kind: its tag."""
    return str(work.__struct_config__.tag)


def commands_of(work: Work) -> Run | None:
    """The commands whose output is kept, whatever else is done."""
    if isinstance(work, Collect) and work.snapshot:
        return Run(work.snapshot)
    return work if isinstance(work, Run) else None
