"""PURE. Declares what is known of a node of a cluster: no work needs it, and few commands do."""

import msgspec

from cucmd.job.discover import Member


class ClusterNode(msgspec.Struct, frozen=True):
    """Describes a node of a cluster: member is what the last discovery has said of it. node is its
    name in the configuration, if it is configured, else that of the member.
    """

    node: str
    configured: bool
    member: Member | None = None
