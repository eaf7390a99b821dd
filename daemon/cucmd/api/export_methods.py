"""Answers the calls of `io.cucmd.Jobs` that read all of a job: `Export` and `Verify`.

Both are refused until the job is closed. A job cannot be deleted or retried while an operator
exports or verifies it. A deletion or a retry ends the export of a user who may only view the job.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from functools import partial

import trio

from cucmd.api.case_methods import job_and_nodes
from cucmd.api.find_methods import paths_found
from cucmd.api.refusals import refusals_of_files
from cucmd.api.wire import MOST_DAMAGED, damaged_to_wire, wrong_to_wire
from cucmd.cases.archive import Archive
from cucmd.cases.coverage_reader import CoverageReader
from cucmd.cases.damaged import DamagedFiles
from cucmd.cases.export_sender import ExportSender
from cucmd.cases.files import is_directory_gone, nodes_by_name
from cucmd.cases.finder import Finder, SearchedFiles
from cucmd.cases.names import export_name
from cucmd.cases.verify import Verifier
from cucmd.job.job import Job
from cucmd.job.request import Request
from cucmd.jobs.job_errors import FilesDeleted, JobInUse
from cucmd.jobs.supervisor import Supervisor
from cucmd.protocol import cases as wire
from cucmd.store import Store
from cucmd.varlink import Caller, StreamReply, Upgrade

# Seconds between two replies of a verification that finds nothing wrong.
_REPLY_INTERVAL = 1.0
# Seconds that an export waits for the job's coverage, which is read from the files' time stamps.
_WAIT_FOR_COVERAGE = 30.0


class ExportMethods:
    """Answers Export and Verify.

    damaged      the damaged files that `sender` and `verifier` have found
    is_operator  returns whether the caller of a request may operate
    """

    def __init__(
        self,
        supervisor: Supervisor,
        store: Store,
        coverage: CoverageReader,
        *,
        damaged: DamagedFiles,
        sender: ExportSender,
        verifier: Verifier,
        finder: Finder,
        is_operator: Callable[[Caller, Request], bool],
    ) -> None:
        self._supervisor = supervisor
        self._store = store
        self._holds = supervisor.holds
        self._coverage = coverage
        self._damaged = damaged
        self._sender = sender
        self._verifier = verifier
        self._finder = finder
        self._is_operator = is_operator
        self._verifying = trio.Lock()  # one job at a time, so that the disk is not kept busy

    @asynccontextmanager
    async def export(self, caller: Caller, request: wire.ExportRequest) -> AsyncIterator[Upgrade]:
        begun = False
        with refusals_of_files():
            job, names = await job_and_nodes(self._supervisor, request.job_id, request.nodes)
            holds, job_id = self._holds, job.job_id
            operator = self._is_operator(caller, request)
            with holds.reading(job_id) if operator else holds.reading_as_guest(job_id):
                directory = self._supervisor.directory(job_id)
                job = await self._closed(job_id)
                if is_directory_gone(job, directory):
                    raise FilesDeleted(job_id)
                job = await self._coverage.wait_for_coverage(job, _WAIT_FOR_COVERAGE)
                if request.suspect:
                    nodes, suspect = nodes_by_name(job, names), frozenset(request.suspect)
                    checking = self._verifier.verify(job, directory, nodes, suspect)
                    async with aclosing(checking) as checked:
                        async for _ in checked:
                            pass  # the verifier notes in `damaged` what is wrong
                only, unread = None, list[wire.WrongFile]()
                if request.found is not None:
                    chosen = tuple(nodes_by_name(job, names).values())
                    searched = SearchedFiles(job, directory, chosen, request.found.path)
                    only, unread = await paths_found(self._finder, searched, request.found)
                archive = Archive(
                    self._store,
                    job,
                    directory,
                    nodes=names,
                    incomplete=bool(request.incomplete),
                    damaged=self._damaged.of(job_id),
                    after=request.after,
                    only=only,
                )
                measured = await archive.measure()
                reply = wire.ExportReply(
                    job_id,
                    export_name(job),
                    measured.length,
                    measured.files,
                    measured.size,
                    measured.left_out,
                    *damaged_to_wire(job, measured.damaged),
                    unsearched=len(unread) or None,
                    unread=tuple(unread[:MOST_DAMAGED]) or None,
                )
                async with self._sender.ready(job_id, directory) as send:
                    begun = True
                    yield Upgrade(reply, partial(send, archive.parts()))
            if not begun:
                raise JobInUse(job_id, "it is being deleted, or tried again")

    async def verify(
        self, caller: Caller, request: wire.VerifyRequest
    ) -> AsyncGenerator[StreamReply, None]:
        files = size = 0
        wrong: list[wire.WrongFile] = []
        with refusals_of_files():
            job, names = await job_and_nodes(self._supervisor, request.job_id, request.nodes)
            with self._holds.reading(job.job_id):
                job = await self._closed(job.job_id)
                replied_at = trio.current_time()
                directory = self._supervisor.directory(job.job_id)
                nodes = nodes_by_name(job, names)
                checking = self._verifier.verify(job, directory, nodes)
                async with self._verifying, aclosing(checking) as all_files:
                    async for file, node, why in all_files:
                        files, size = files + 1, size + file.size
                        if why is not None:
                            wrong.append(wrong_to_wire(file, node, why))
                        if wrong or trio.current_time() - replied_at > _REPLY_INTERVAL:
                            yield StreamReply(wire.VerifyReply(files, size, tuple(wrong)))
                            wrong, replied_at = [], trio.current_time()
        yield StreamReply(wire.VerifyReply(files, size, ()), continues=False)

    async def _closed(self, job_id: str) -> Job:
        """Returns the job if it is closed and has files. Raises `FilesDeleted` and `JobInUse`."""
        job = await self._supervisor.wait_closed(job_id)
        if job.files_deleted:
            raise FilesDeleted(job_id)
        return job
