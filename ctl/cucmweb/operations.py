"""PURE. Lists the paths, each with its method on the daemon's socket.

Routes, the reading of requests and the document at /openapi.json are made from this table and the
structs that it names. A member of a request comes from the path if the path has its name, otherwise
from the query (GET and DELETE) or from the body. Some members come from headers (parameters.py).
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import Struct

from cucmctl.text.metrics import MEDIA_TYPE
from cucmd.job.work import StartRequest
from cucmd.protocol import cases, figures, jobs, knowledge, requests
from cucmweb.handover import (
    CancelHandoverRequest,
    Handover,
    HandOverRequest,
    HandoversReply,
    HandoversRequest,
    TargetsReply,
    TargetsRequest,
)

# How a reply is sent: as one object, as an object with a list that is sent in pieces, as one object
# a line, as text, as an archive, as server-sent events, or as metrics of Prometheus.
ReplyForm: TypeAlias = Literal["object", "list", "lines", "text", "zip", "tar", "events", "metrics"]
MEDIA: dict[ReplyForm, str] = {
    "object": "application/json",
    "list": "application/json",
    "lines": "application/x-ndjson",
    "text": "text/plain; charset=utf-8",
    "zip": "application/zip",
    "tar": "application/x-tar",
    "events": "text/event-stream",
    "metrics": MEDIA_TYPE,
}


class Operation(Struct, frozen=True):
    """Describes an operation.

    where    its HTTP method and its path
    gives    the member of each reply that is sent, or None for the whole reply; for a list, the
             member whose items are joined
    takes    the members that a request may have beside those in its path, or None for all
    limited  whether the time limit of a call applies; otherwise it goes on while the daemon answers
    own      whether cucmweb answers without a method of the daemon; only operators may ask then
    """

    where: str
    summary: str
    request: type[Struct]
    reply: type[Struct]
    gives: str | None = None
    form: ReplyForm = "object"
    status: int = 200
    takes: frozenset[str] | None = None
    limited: bool = True
    own: bool = False

    @property
    def verb(self) -> str:
        return self.where.partition(" ")[0]

    @property
    def path(self) -> str:
        return self.where.partition(" ")[2]

    @property
    def method(self) -> str:
        """Returns the name of the daemon's method. The class of the request has the same name with
        the suffix "Request".
        """
        return self.request.__name__.removesuffix("Request")

    @property
    def has_body(self) -> bool:
        return self.verb in ("POST", "PATCH")

    @property
    def keyed(self) -> bool:
        """Returns whether the operation takes an Idempotency-Key."""
        return "start_key" in self.request.__struct_fields__


ARCHIVES: tuple[ReplyForm, ...] = ("zip", "tar")

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "POST /jobs",
        "Starts a job: a collection, or another kind of work.",
        StartRequest,
        jobs.StartReply,
        gives="job",
        status=201,
    ),
    Operation("GET /jobs", "Lists jobs, the newest first.", requests.ListRequest, jobs.ListReply),
    Operation(
        "GET /jobs/{job_id}", "Shows a job.", requests.StatusRequest, jobs.JobReply, gives="job"
    ),
    Operation(
        "PATCH /jobs/{job_id}",
        "Changes labels of a job.",
        requests.LabelRequest,
        jobs.JobReply,
        gives="job",
    ),
    Operation(
        "DELETE /jobs/{job_id}",
        "Deletes a closed job, or its files only.",
        cases.DeleteRequest,
        cases.DeleteReply,
        limited=False,
    ),
    Operation(
        "POST /jobs/{job_id}/cancel",
        "Cancels a job, or some of its nodes.",
        requests.CancelRequest,
        requests.CancelReply,
    ),
    Operation(
        "POST /jobs/{job_id}/nodes/{node}/cancel",
        "Cancels one node of a job.",
        requests.CancelRequest,
        requests.CancelReply,
    ),
    Operation(
        "POST /jobs/{job_id}/retry",
        "Tries nodes of a closed job again.",
        jobs.RetryRequest,
        jobs.StartReply,
        gives="job",
    ),
    Operation(
        "POST /jobs/{job_id}/stop",
        "Ends a capture or the following of a file, and keeps its files.",
        requests.StopRequest,
        jobs.StopReply,
    ),
    Operation(
        "GET /jobs/{job_id}/files",
        "Lists the files of a job.",
        cases.FilesRequest,
        cases.FilesReply,
        gives="files",
        form="list",
    ),
    Operation(
        "GET /jobs/{job_id}/find",
        "Searches the files of a job.",
        cases.FindRequest,
        cases.FindReply,
        form="lines",
    ),
    Operation(
        "GET /jobs/{job_id}/output",
        "Shows what the commands of a job have printed.",
        cases.OutputRequest,
        cases.OutputReply,
        gives="output",
        form="lines",
    ),
    Operation(
        "GET /jobs/{job_id}/nodes/{node}/transcript",
        "Shows the dialogue with a node.",
        cases.TranscriptRequest,
        cases.TranscriptReply,
        gives="text",
        form="text",
    ),
    *(
        Operation(
            f"GET /jobs/{{job_id}}/export.{form}",
            f"Exports a closed job as a {form}.",
            cases.ExportRequest,
            cases.ExportReply,
            form=form,
            takes=frozenset({"nodes", "incomplete", "found"}),
        )
        for form in ARCHIVES
    ),
    Operation(
        "POST /jobs/{job_id}/handovers",
        "Hands a closed job over to a target.",
        HandOverRequest,
        Handover,
        status=202,
        own=True,
    ),
    Operation(
        "GET /jobs/{job_id}/handovers",
        "Shows the newest handover of a job to each target.",
        HandoversRequest,
        HandoversReply,
        own=True,
    ),
    Operation(
        "POST /jobs/{job_id}/handovers/{target}/cancel",
        "Cancels a handover.",
        CancelHandoverRequest,
        Handover,
        own=True,
    ),
    Operation(
        "POST /jobs/{job_id}/verify",
        "Compares the files of a closed job with their checksums.",
        cases.VerifyRequest,
        cases.VerifyReply,
        form="lines",
    ),
    Operation(
        "GET /jobs/{job_id}/events",
        "Sends the events of a job as they happen.",
        requests.WatchRequest,
        jobs.WatchReply,
        form="events",
        takes=frozenset(),
    ),
    Operation(
        "GET /events",
        "Sends the events of all jobs as they happen.",
        requests.WatchRequest,
        jobs.WatchReply,
        form="events",
        takes=frozenset(),
    ),
    Operation(
        "GET /profiles",
        "Lists the profiles: what can be collected.",
        knowledge.ProfilesRequest,
        knowledge.ProfilesReply,
    ),
    Operation(
        "GET /clusters",
        "Lists the clusters, or those with a name, with their nodes.",
        knowledge.ClustersRequest,
        knowledge.ClustersReply,
    ),
    Operation(
        "GET /targets",
        "Lists the targets to which jobs can be handed over.",
        TargetsRequest,
        TargetsReply,
        own=True,
    ),
    Operation(
        "GET /credentials",
        "Lists the names of the credentials.",
        knowledge.CredentialsRequest,
        knowledge.CredentialsReply,
    ),
    Operation(
        "GET /metrics",
        "Shows figures about the daemon for Prometheus.",
        figures.FiguresRequest,
        figures.FiguresReply,
        form="metrics",
        takes=frozenset(),
    ),
)

# Paths about cucmweb itself.
OWN = {
    "/healthz": "Says that cucmweb serves.",
    "/readyz": "Says whether the daemon answers.",
    "/openapi.json": "This document.",
}
# Paths that are open to everybody: a load balancer or a monitoring system has no token, and may use
# any name of the host. /metrics is open too where the configuration says so.
FOR_ANYBODY = frozenset({"/healthz", "/readyz"})
