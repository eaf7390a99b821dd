"""PURE. Declares a discovery: which nodes a cluster has, as one of them says."""

from collections.abc import Iterator

from cucmd.job.cluster import Member
from cucmd.job.kind import Kind, Result


class Found(Result, frozen=True):
    """What a discovery has found. version: of the node that was asked. unread: lines about the
    cluster in no known form, masked, some of them if they are many.
    """

    members: tuple[Member, ...]
    version: str | None = None
    unread: tuple[str, ...] = ()

    def lines(self) -> Iterator[str]:
        for one in self.members:
            yield f"names {one.node}, {one.name}: {one.about}"


class Discover(Kind, frozen=True, tag="discover"):
    """Asks a node which nodes its cluster has. It has one node: the publisher, as a rule."""

    title = "A cluster asked for its nodes"
    gives = Found
    prepares = True
