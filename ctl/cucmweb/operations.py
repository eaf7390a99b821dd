"""PURE. Lists the paths, each with its method on the daemon's socket.

Routes, what is read of a request, and the document at /openapi.json are made of this table and of
the structs that it names. A member of a request comes from the path where that names it, of GET and
DELETE from the query, else from the body; headers have the rest (parameters.py).
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import Struct

from cucmd.job.work import StartRequest
from cucmd.protocol import cases, jobs, knowledge, requests

# How a reply is sent: one object; a list that comes in pieces; an object a line, as it comes; text;
# an archive; server-sent events.
ReplyForm: TypeAlias = Literal["object", "list", "lines", "text", "zip", "tar", "events"]
MEDIA: dict[ReplyForm, str] = {
    "object": "application/json",
    "list": "application/json",
    "lines": "application/x-ndjson",
    "text": "text/plain; charset=utf-8",
    "zip": "application/zip",
    "tar": "application/x-tar",
    "events": "text/event-stream",
}


class Operation(Struct, frozen=True):
    """Describes an operation.

    where    its verb and its path
    gives    the member of each reply that is sent, else all of it; of a list the one whose values
             are joined
    takes    the members that a request may have beside those of its path; None: all
    limited  to the time of a call; else it takes as long as it takes, while the daemon answers
    """

    where: str
    says: str
    request: type[Struct]
    reply: type[Struct]
    gives: str | None = None
    form: ReplyForm = "object"
    status: int = 200
    takes: frozenset[str] | None = None
    limited: bool = True

    @property
    def verb(self) -> str:
        return self.where.partition(" ")[0]

    @property
    def path(self) -> str:
        return self.where.partition(" ")[2]

    @property
    def method(self) -> str:
        """Returns the name of the method on the socket, by which its request is named."""
        return self.request.__name__.removesuffix("Request")

    @property
    def has_body(self) -> bool:
        return self.verb in ("POST", "PATCH")

    @property
    def keyed(self) -> bool:
        """It takes an Idempotency-Key."""
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
    Operation("GET /jobs", "The jobs, the newest first.", requests.ListRequest, jobs.ListReply),
    Operation(
        "GET /jobs/{job_id}", "A job as it is.", requests.StatusRequest, jobs.JobReply, gives="job"
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
        "Ends a capture, or what follows a file, and keeps what came.",
        requests.StopRequest,
        jobs.StopReply,
    ),
    Operation(
        "GET /jobs/{job_id}/files",
        "The files of a job.",
        cases.FilesRequest,
        cases.FilesReply,
        gives="files",
        form="list",
    ),
    Operation(
        "GET /jobs/{job_id}/output",
        "What the commands of a job have printed.",
        cases.OutputRequest,
        cases.OutputReply,
        gives="output",
        form="lines",
    ),
    Operation(
        "GET /jobs/{job_id}/nodes/{node}/transcript",
        "What was said on a node.",
        cases.TranscriptRequest,
        cases.TranscriptReply,
        gives="text",
        form="text",
    ),
    *(
        Operation(
            f"GET /jobs/{{job_id}}/export.{form}",
            f"Everything of a closed job as a {form}.",
            cases.ExportRequest,
            cases.ExportReply,
            form=form,
            takes=frozenset({"nodes", "incomplete"}),
        )
        for form in ARCHIVES
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
        "What happens to a job, as it happens.",
        requests.WatchRequest,
        jobs.WatchReply,
        form="events",
        takes=frozenset(),
    ),
    Operation(
        "GET /events",
        "What happens to all jobs, as it happens.",
        requests.WatchRequest,
        jobs.WatchReply,
        form="events",
        takes=frozenset(),
    ),
    Operation(
        "GET /profiles",
        "What can be collected.",
        knowledge.ProfilesRequest,
        knowledge.ProfilesReply,
    ),
    Operation(
        "GET /clusters",
        "The clusters; with a name those that it fits, with their nodes.",
        knowledge.ClustersRequest,
        knowledge.ClustersReply,
    ),
    Operation(
        "GET /credentials",
        "The names of the logins that the daemon was given.",
        knowledge.CredentialsRequest,
        knowledge.CredentialsReply,
    ),
)

# What is about cucmweb itself.
OWN = {
    "/healthz": "cucmweb serves.",
    "/readyz": "The daemon answers.",
    "/openapi.json": "This document.",
}
# Whoever asks: a load balancer and a monitoring system have no token, and call it by any name.
FOR_ANYBODY = frozenset({"/healthz", "/readyz"})
