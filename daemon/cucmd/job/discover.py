"""PURE. Declares a discovery: which nodes a cluster has, as one of them says."""

from collections.abc import Iterator

import msgspec

from cucmd.job.kind import Kind, Result


class Member(msgspec.Struct, frozen=True):
    """Describes a node of a cluster as another one names it. node is by what a job can be started
    on it; role and product are words of the node that was asked. Without a domain it has no fqdn;
    product is "" where none is said. unauthenticated: what the node that was asked says of it, in
    its words, if it is down, or new.
    """

    node: str
    address: str
    name: str
    role: str
    product: str
    fqdn: str | None = None
    unauthenticated: str | None = None

    @property
    def about(self) -> str:
        """Says its role and product, and what is wrong with it."""
        words = (self.role, self.product, self.unauthenticated)
        return ", ".join(word for word in words if word)


class Found(Result, frozen=True):
    """Says what a discovery has found. version: of the node that was asked."""

    members: tuple[Member, ...]
    version: str | None = None

    def summary_lines(self) -> Iterator[str]:
        for one in self.members:
            yield f"names {one.node}, {one.name}: {one.about}"


class Discover(Kind, frozen=True, tag="discover"):
    """Asks a node which nodes its cluster has. It has one node: the publisher, as a rule."""

    title = "A cluster asked for its nodes"
    result_type = Found
    prepares = True
