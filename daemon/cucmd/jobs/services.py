"""What every job needs of the daemon.

It is the same for all jobs, and is never changed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

import msgspec

from cucmd.jobs.events import Feed
from cucmd.jobs.hold_back import Trusted
from cucmd.jobs.limits import Address, Admission
from cucmd.jobs.node_work import WorkOnNode
from cucmd.store import Store

# (host, port) to what its other names have in common with it.
Locate: TypeAlias = Callable[[str, int], Awaitable[Address]]


class JobServices(msgspec.Struct, frozen=True):
    """What every job needs of the daemon."""

    store: Store
    feed: Feed
    admission: Admission
    work_on_node: WorkOnNode
    locate: Locate
    trusted: Trusted = msgspec.field(default_factory=Trusted)
