"""PURE. Whether a node has room for a packet capture on its logging partition.

In doubt there is none. A capture that fills the partition makes the node delete its traces, which
may be the evidence that somebody is after (vos/NODES.md, section 6.5).
"""

from __future__ import annotations

from collections.abc import Iterable

from cucmd.failure import Code, Failure, failure
from cucmd.job.capture import Capture
from cucmd.vos.status import Disk, parse_machine

PARTITION = "logging"
# Percent. A node refuses a capture from its low water mark less 5 % (V). The mark is a setting, and
# 90 is what a node takes for it where it cannot read it (V). One whose mark is lower refuses by
# itself (vos/NODES.md, sections 6.3 and 6.5).
FULL = 85
# Bytes of a packet on an Ethernet, and of its header in the file. A network card that joins packets
# gives larger ones (I).
_PACKET, _HEADER = 1514, 16

_HINT = (
    "make room on the node's logging partition: collect its traces and remove old ones; a capture "
    "that fills it makes the node delete traces"
)


def no_room(status: Iterable[str], what: Capture) -> Failure | None:
    """Why nothing is captured on a node that answers `show status` so. None: it has room."""
    disks = [disk for disk in parse_machine(status).disks if disk.name == PARTITION]
    if not disks:
        message = f"its answer to 'show status' does not say how full {PARTITION} is"
        return failure(Code.COMMAND_REFUSED, message)
    disk = disks[0]
    percent = max(disk.used_percent, _percent_with(disk, largest(what)))
    if percent < FULL:
        return None
    free = f"{disk.free // 1024**2} MiB of its logging partition are free"
    message = f"{free}; with the capture {percent} % of it would be used, and {FULL} % are too much"
    return failure(Code.COMMAND_REFUSED, f"no packet was captured: {message}", hint=_HINT)


def largest(what: Capture) -> int:
    """Bytes of the file of a capture, as a rule at most."""
    kept = _PACKET if what.size is None else min(what.size, _PACKET)
    return what.count * (kept + _HEADER)


def _percent_with(disk: Disk, size: int) -> int:
    """As the node counts it: what is kept for the system is neither used nor free."""
    whole = disk.used + disk.free
    return 100 if size >= disk.free else (disk.used + size) * 100 // whole
