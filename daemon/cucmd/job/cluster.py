"""PURE. The nodes of a cluster, as one of them and the configuration name them."""

import msgspec


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
        """Its role and product, and what is wrong with it."""
        words = (self.role, self.product, self.unauthenticated)
        return ", ".join(word for word in words if word)


class ClusterNode(msgspec.Struct, frozen=True):
    """A node of a cluster: member is what the last discovery has said of it. node is its name in
    the configuration, if it is configured, else that of the member.
    """

    node: str
    configured: bool
    member: Member | None = None
