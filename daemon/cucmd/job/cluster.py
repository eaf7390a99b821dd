"""PURE. Declares what is known of a node of a cluster."""

import msgspec

from cucmd.job.discover import Member


class ClusterNode(msgspec.Struct, frozen=True):
    """Describes a node of a cluster."""

    # The name of the node in the configuration. If the configuration does not have the node, the
    # name by which a job can be started on the member.
    node: str
    # The configuration has the node.
    configured: bool
    # What the last discovery has said of the node.
    member: Member | None = None

    @property
    def full_name(self) -> str:
        """Returns such as `cucm-sub2 (10.0.0.3)`."""
        same = self.member is None or self.member.name == self.node
        return self.node if same or self.member is None else f"{self.member.name} ({self.node})"
