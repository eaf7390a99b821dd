"""PURE. What a job does on each of its nodes.

The one rule: every kind of work is a struct here, and is found in databases by its tag.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import TypeAlias

import msgspec

from cucmd.failure import Failure
from cucmd.job.check import Check
from cucmd.job.duration import USUAL_WRITTEN_FOR

# Seconds after the first node was ready at which those that capture together begin at the latest.
# Mostly the others log in only once the login has worked on the first (jobs/hold_back.py), and a
# login takes 8 to 20 s, at times more than 60 s (vos/NODES.md, section 1).
READY_WITHIN = 90.0

# The folder, in that of a node, for what commands have printed.
OUTPUT = "output"
_LONGEST_SLUG = 60

# Stored in the message of a failure by versions that did not add it when it is shown.
_NAMED_BEFORE = "; the capture may still run there"


class Collect(msgspec.Struct, frozen=True, tag="collect"):
    """Collects files: `paths` below `location`, in a window, resolved from profile and request.

    The window is `since` to `until`. Without any of them, every file is meant. `last` ("2h"): it
    was asked for as so long before the request; a job of an earlier version has nothing else.
    `written_for`: for how long one file of each path is written to ("1h", "always"), in the order
    of the paths: the node is asked for files that were changed so long after the window. A job of
    an earlier version has none.
    `snapshot`: commands that are run after the last path, as by `Run`.
    """

    paths: tuple[str, ...]
    profile: str | None = None
    location: str = "activelog"
    match: str | None = None
    recurs: bool = False
    compress: bool = False
    last: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    snapshot: tuple[str, ...] = ()
    written_for: tuple[str, ...] = ()

    def written_for_of(self, path: str) -> str:
        """That of one of the paths."""
        return dict(zip(self.paths, self.written_for, strict=False)).get(path, USUAL_WRITTEN_FOR)


class DryRun(msgspec.Struct, frozen=True, tag="dry_run"):
    """Asks for the sizes of what `of` would collect, and collects nothing."""

    of: Collect


class Discover(msgspec.Struct, frozen=True, tag="discover"):
    """Asks a node which nodes its cluster has. It has one node: the publisher, as a rule."""


class Run(msgspec.Struct, frozen=True, tag="run"):
    """Runs commands that only read, one after the other, and keeps what the node prints.

    `commands`: as `vos.parse_command` gives their lines. `seconds`: how long each may take at most;
    None: as long as its form says.
    """

    commands: tuple[str, ...]
    seconds: float | None = None

    def output_of(self, number: int) -> str:
        """Where the output of the command of that number, from 1, is in the folder of a node."""
        slug = re.sub(r"[^A-Za-z0-9.]+", "-", self.commands[number - 1]).strip("-.")
        return f"{OUTPUT}/{number:03}-{slug[:_LONGEST_SLUG]}.txt"


class Capture(msgspec.Struct, frozen=True, tag="capture"):
    """Captures packets on all nodes at the same time, and collects the files.

    name       of the file on a node, without a dot: ours, and of no other job
    host       an IPv4 address, and port: only packets from or to these; None: all
    count      packets of a node after which its capture ends by itself
    size       bytes that are kept of a packet; None: all
    duration   seconds, after which we end it
    delete     the files are removed from a node once they are safe here
    """

    name: str
    interface: str = "eth0"
    host: str | None = None
    port: int | None = None
    count: int = 100_000
    size: int | None = None
    duration: float = 60.0
    delete: bool = False

    def name_of(self, first_attempt: int) -> str:
        """The name for a node. One that is tried again may have the file of an attempt before."""
        return self.name if first_attempt <= 1 else f"{self.name}_{first_attempt}"

    def named(self, why: Failure, names: Sequence[str]) -> Failure:
        """Why a node failed: the same, with what a person can do if captures may still run there.

        names: of these captures.
        """
        if not names:
            return why
        # That of all of them begins so.
        name = names[0] if len(names) == 1 else self.name
        hint = (
            "as a rule a capture ends with its session, and at the latest after "
            f"{self.count} packets; if 'file list activelog platform/cli/{name}* detail' "
            "on the node shows another size each time, it runs"
        )
        captures = "a capture" if len(names) == 1 else "captures"
        files = " and ".join(f"platform/cli/{name}.cap" for name in names)
        message = why.message.removesuffix(_NAMED_BEFORE)
        message = f"{message}; {captures} may still run there, into {files}"
        return msgspec.structs.replace(why, message=message, hint=hint)


# What a job does on each of its nodes: a union of structs, told apart by their tags. Another kind
# of work is another struct here with a tag of its own: `Work: TypeAlias = Collect | Run`. mypy then
# names the place in service/daemon.py that has to say which function of work/ does it. A tag and
# its fields are in databases: a tag is never renamed, and a field that comes later has a default.
Work: TypeAlias = Collect | DryRun | Discover | Run | Check | Capture


def commands_of(work: Work) -> Run | None:
    """The commands whose output is kept, whatever else is done."""
    if isinstance(work, Collect) and work.snapshot:
        return Run(work.snapshot)
    return work if isinstance(work, Run) else None


class Member(msgspec.Struct, frozen=True):
    """A node of a cluster as another one names it. `node`: by which a job can be started on it.

    `fqdn` None: it has no domain. `role` and `product` are words of the node that was asked.
    """

    node: str
    address: str
    name: str
    fqdn: str | None
    role: str
    product: str


class Found(msgspec.Struct, frozen=True):
    """What a discovery has found. `version`: of the node that was asked; None: it is not known.

    `unread`: lines about the cluster in no known form, masked, some of them if they are many.
    """

    members: tuple[Member, ...]
    version: str | None = None
    unread: tuple[str, ...] = ()


class PathSize(msgspec.Struct, frozen=True):
    """What a node has announced for one path: files, and bytes before compression."""

    path: str
    files: int
    bytes: int


class Sizes(msgspec.Struct, frozen=True):
    """What a dry run has found on a node. `room`: bytes that the disk had room for, if it said so.

    `fits`: whether all of it is within disk and quotas, with what counts against the job's quota of
    the nodes that were asked before it; None: it is not known, since the node packs it. `why`: why
    it does not fit, or is not known to.
    `seconds`: for the transfer, as fast as the node has sent last; None: that is not known, or how
    much will come, since the node packs it.
    """

    paths: tuple[PathSize, ...]
    room: int | None = None
    fits: bool | None = None
    why: str | None = None
    seconds: float | None = None

    @property
    def bytes(self) -> int:
        return sum(one.bytes for one in self.paths)


class Captured(msgspec.Struct, frozen=True):
    """What became of the capture on a node.

    name         of its file on the node, without what the node puts behind it
    started_at   when the node took the command, by our clock
    ended_at     when it was at its prompt again, or was given up
    packets      in the files that came; None: none came, or they could not be counted
    how          why it ended: "duration", "count", "stop", "node" (by itself), "cancelled" (the
                 job or the node, or a deadline of either), "failed"; None: it has not ended
    running      packets may still be captured: it runs, or nothing has shown that it has ended
    """

    name: str
    started_at: datetime
    ended_at: datetime | None = None
    packets: int | None = None
    how: str | None = None
    running: bool = False

    def left(self) -> Captured:
        """The same, given up: the daemon was stopped while it ran, it is not known when."""
        return msgspec.structs.replace(self, ended_at=self.ended_at or self.started_at)
