"""PURE. Declares a discovery: a node is asked which nodes its cluster has."""

from collections.abc import Iterator

import msgspec

from cucmd.job.kind import Kind, Result


class Member(msgspec.Struct, frozen=True):
    """Describes a node of a cluster, as another node of the cluster names it."""

    # The name by which a job can be started on this node.
    node: str
    address: str
    name: str
    # In the words of the node that was asked, such as "Publisher".
    role: str
    # In the words of the node that was asked, such as "callmanager". "" if it says none.
    product: str
    # Absent if the node has no domain.
    fqdn: str | None = None
    # What the node that was asked says of this node, if this node is down or new.
    unauthenticated: str | None = None

    @property
    def about(self) -> str:
        """Returns the role and the product, and what is wrong with the node."""
        words = (self.role, self.product, self.unauthenticated)
        return ", ".join(word for word in words if word)


class Found(Result, frozen=True):
    """Says what a discovery has found."""

    members: tuple[Member, ...]
    # The version of the node that was asked.
    version: str | None = None

    def summary_lines(self) -> Iterator[str]:
        for member in self.members:
            yield f"names {member.node}, {member.name}: {member.about}"


class Discover(Kind, frozen=True, tag="discover"):
    """Asks one node, as a rule the publisher, which nodes its cluster has."""

    title = "A cluster asked for its nodes"
    result_type = Found
    prepares = True
    keeps_files = False
