"""The methods of `Client` about clusters and what else the daemon knows.

The one rule: that of `client.py`, of which this is a part.
"""

from __future__ import annotations

from collections.abc import Mapping

from cucmctl.client.calls import Calls, dict_or_none
from cucmd.protocol import structs, structs_clusters


class ClusterCalls(Calls):
    """A part of `Client`."""

    def discover(
        self,
        publisher: str,
        *,
        login: structs.Login,
        timeouts: structs.Timeouts | None = None,
        request_id: str | None = None,
        labels: Mapping[str, str] | None = None,
        start_key: str | None = None,
    ) -> structs.Job:
        """Starts a job that asks a node which nodes its cluster has. Returns as `start` does; once
        it has ended, its node has what was `found`.

        `publisher`: a node, or a cluster of the configuration that has one.
        The others, and what is raised: as for `start`.
        """
        request = structs_clusters.DiscoverRequest(
            publisher,
            login,
            timeouts,
            request_id,
            dict_or_none(labels),
            start_key,
        )
        return self._ask_once("Discover", request)

    def clusters(self, name: str | None = None) -> tuple[structs_clusters.Cluster, ...]:
        """The clusters that the daemon knows, by the configuration or by a discovery.

        With a `name`, of a cluster or of a node, those that it fits, with their nodes.
        """
        found: list[structs_clusters.Cluster] = []
        after: str | None = None
        while True:
            request = structs_clusters.ClustersRequest(name, after)
            reply = self.call("Clusters", request, structs_clusters.ClustersReply)
            found += reply.clusters
            after = reply.next
            if after is None:
                return tuple(found)

    def profiles(self, name: str | None = None) -> tuple[structs_clusters.Profile, ...]:
        """The profiles, or the one of that name. Raises `ProfileNotFound`."""
        request = structs_clusters.ProfilesRequest(name)
        return self.call("Profiles", request, structs_clusters.ProfilesReply).profiles

    def credentials(self) -> tuple[structs_clusters.Credential, ...]:
        """The names of the logins that the daemon was given. For operators."""
        return self.call("Credentials", {}, structs_clusters.CredentialsReply).credentials
