"""Lists the methods of `io.cucmd.Jobs`, each with its request and its reply.

Whatever serves the interface makes its table of methods from this one: the daemon, and the hub.
"""

from __future__ import annotations

from msgspec import Struct

from cucmd.job.work import StartRequest
from cucmd.protocol import cases, figures, jobs, knowledge, requests


class MethodShape(Struct, frozen=True):
    """Describes how a method is called. The fields are those of `cucmd.varlink.Method`."""

    request: type[Struct]
    reply: type[Struct]
    streaming: bool = False
    effect: bool = False
    upgrade: bool = False


METHODS: dict[str, MethodShape] = {
    "Start": MethodShape(StartRequest, jobs.StartReply, effect=True),
    "Status": MethodShape(requests.StatusRequest, jobs.JobReply),
    "List": MethodShape(requests.ListRequest, jobs.ListReply),
    "Retry": MethodShape(jobs.RetryRequest, jobs.StartReply, effect=True),
    "Stop": MethodShape(requests.StopRequest, jobs.StopReply, effect=True),
    "Output": MethodShape(cases.OutputRequest, cases.OutputReply, streaming=True),
    "Files": MethodShape(cases.FilesRequest, cases.FilesReply, streaming=True),
    "Find": MethodShape(cases.FindRequest, cases.FindReply, streaming=True),
    "Export": MethodShape(cases.ExportRequest, cases.ExportReply, upgrade=True),
    "Verify": MethodShape(cases.VerifyRequest, cases.VerifyReply, streaming=True),
    "Transcript": MethodShape(cases.TranscriptRequest, cases.TranscriptReply, streaming=True),
    "Label": MethodShape(requests.LabelRequest, jobs.JobReply, effect=True),
    "Delete": MethodShape(cases.DeleteRequest, cases.DeleteReply, effect=True),
    "Prune": MethodShape(cases.PruneRequest, cases.PruneReply, effect=True),
    "Cancel": MethodShape(requests.CancelRequest, requests.CancelReply, effect=True),
    "Watch": MethodShape(requests.WatchRequest, jobs.WatchReply, streaming=True),
    "ListHostKeys": MethodShape(knowledge.ListHostKeysRequest, knowledge.ListHostKeysReply),
    "AddHostKey": MethodShape(knowledge.AddHostKeyRequest, knowledge.HostKeysReply, effect=True),
    "ForgetHostKey": MethodShape(
        knowledge.ForgetHostKeyRequest, knowledge.ForgetHostKeyReply, effect=True
    ),
    "Clusters": MethodShape(knowledge.ClustersRequest, knowledge.ClustersReply),
    "Profiles": MethodShape(knowledge.ProfilesRequest, knowledge.ProfilesReply),
    "Credentials": MethodShape(knowledge.CredentialsRequest, knowledge.CredentialsReply),
    "KeepLogin": MethodShape(knowledge.KeepLoginRequest, knowledge.KeepLoginReply, effect=True),
    "ForgetLogin": MethodShape(
        knowledge.ForgetLoginRequest, knowledge.ForgetLoginReply, effect=True
    ),
    "Figures": MethodShape(figures.FiguresRequest, figures.FiguresReply),
    "Reload": MethodShape(knowledge.ReloadRequest, knowledge.ReloadReply, effect=True),
}
