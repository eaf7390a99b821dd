"""`io.cucmd.Jobs`: its methods, each with its structs and the function that does it.

The one rule: the interface's text is the file `io.cucmd.Jobs.varlink`; a test compares it with
the structs.
"""

from __future__ import annotations

from cucmd.api.case_methods import Cases
from cucmd.api.host_keys import HostKeys
from cucmd.api.knowledge import Knowledge
from cucmd.api.methods import Jobs
from cucmd.api.refusals import error, invalid
from cucmd.api.reload import Reloading
from cucmd.api.request_id import with_request_id
from cucmd.protocol import (
    error_structs,
    structs,
    structs_check,
    structs_clusters,
    structs_commands,
    structs_export,
)
from cucmd.varlink import Interface, Method, VarlinkError, read_description


def jobs_interface(
    jobs: Jobs, cases: Cases, keys: HostKeys, reloading: Reloading, knowledge: Knowledge
) -> Interface:
    clusters = structs_clusters
    methods = (
        Method("Start", structs.StartRequest, structs.StartReply, jobs.start, effect=True),
        Method("Status", structs.StatusRequest, structs.JobReply, jobs.status),
        Method("List", structs.ListRequest, structs.ListReply, jobs.list),
        Method("Retry", structs.RetryRequest, structs.StartReply, jobs.retry, effect=True),
        Method(
            "Discover",
            clusters.DiscoverRequest,
            structs.StartReply,
            jobs.discover,
            effect=True,
        ),
        Method("Check", structs_check.CheckRequest, structs.StartReply, jobs.check, effect=True),
        Method("Run", structs_commands.RunRequest, structs.StartReply, jobs.run, effect=True),
        Method(
            "Capture",
            structs_commands.CaptureRequest,
            structs.StartReply,
            jobs.capture,
            effect=True,
        ),
        Method(
            "Stop",
            structs_commands.StopRequest,
            structs_commands.StopReply,
            jobs.stop,
            effect=True,
        ),
        Method(
            "Output",
            structs_commands.OutputRequest,
            structs_commands.OutputReply,
            cases.output,
            streaming=True,
        ),
        Method("Files", structs.FilesRequest, structs.FilesReply, cases.files, streaming=True),
        Method(
            "Export",
            structs.ExportRequest,
            structs.ExportReply,
            cases.export,
            upgrade=True,
            batch=structs_export.ExportedFiles,
        ),
        Method(
            "Verify",
            structs.VerifyRequest,
            structs.VerifyReply,
            cases.verify,
            streaming=True,
            unread=60.0,  # the next one who verifies waits for it
        ),
        Method(
            "Transcript",
            structs.TranscriptRequest,
            structs.TranscriptReply,
            cases.transcript,
            streaming=True,
        ),
        Method("Label", structs.LabelRequest, structs.JobReply, jobs.label, effect=True),
        Method("Delete", structs.DeleteRequest, structs.DeleteReply, cases.delete, effect=True),
        Method("Prune", structs.PruneRequest, structs.PruneReply, cases.prune, effect=True),
        Method("Cancel", structs.CancelRequest, structs.CancelReply, jobs.cancel, effect=True),
        Method("Watch", structs.WatchRequest, structs.WatchReply, jobs.watch, streaming=True),
        Method("ListHostKeys", structs.ListHostKeysRequest, structs.ListHostKeysReply, keys.list),
        Method(
            "AddHostKey", structs.AddHostKeyRequest, structs.HostKeysReply, keys.add, effect=True
        ),
        Method(
            "ForgetHostKey",
            structs.ForgetHostKeyRequest,
            structs.ForgetHostKeyReply,
            keys.forget,
            effect=True,
        ),
        Method("Clusters", clusters.ClustersRequest, clusters.ClustersReply, knowledge.clusters),
        Method("Profiles", clusters.ProfilesRequest, clusters.ProfilesReply, knowledge.profiles),
        Method(
            "Credentials",
            clusters.CredentialsRequest,
            clusters.CredentialsReply,
            knowledge.credentials,
        ),
        Method("Reload", structs.ReloadRequest, structs.ReloadReply, reloading.reload, effect=True),
    )
    return Interface(
        name=structs.INTERFACE,
        description=read_description("cucmd.protocol", structs.INTERFACE),
        methods=methods,
        invalid=invalid,
        too_many=too_many,
        refused=with_request_id,
        secrets=frozenset({"login"}),  # a password may be in a wrong field of it
    )


# The socket's limits, by the names that the configuration has for them.
_LIMITS = {
    "connections": "connections_per_uid",
    "requests": "requests_per_uid",
    "streams": "watchers_per_uid",
    "large": "requests of more than 64 KiB",
    "total": "connections at the socket",
}


def too_many(limit: str, maximum: int) -> VarlinkError:
    """For a user at a limit of the socket."""
    return error(error_structs.LimitReached(_LIMITS[limit], maximum))
