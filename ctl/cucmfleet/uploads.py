"""Uploads the files of jobs that have ended to the targets of the site.

The start of a job names the target. Labels of the daemon's job keep how far the upload is:

    upload         the name of the target
    upload-state   nothing until the upload begins; then "running" or the end of the upload
    upload-sha256  the checksum of the file, once the target has confirmed that it has the file

A target may be unable to replace a file. So "running" is stored before the first byte is sent, and
an upload that was running when the agent was killed is not repeated: a person has to look there.
"""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Awaitable, Callable, Mapping

import trio

from cucmctl.cli.printer import visible
from cucmctl.client.errors import Refused
from cucmctl.upload.target import TargetSettings, uploaded
from cucmd.job.request import OnBehalfOf
from cucmd.protocol.jobs import Job, JobChange, JobSummary
from cucmfleet.messages import UNFINISHED, UPLOAD, UPLOAD_SHA256, UPLOAD_STATE
from cucmtrio import Client
from cucmtrio.cucmctl_process import upload_job
from cucmtrio.events import AWAY

_log = logging.getLogger("cucmfleet")

_RUNNING = "running"
_LONGEST = 200  # characters of a label
_PAUSE = 2.0  # seconds until the daemon is asked again


class Uploads:
    """Uploads jobs, one after the other, because masking takes all cores."""

    def __init__(self, client: Client, targets: Mapping[str, TargetSettings]) -> None:
        self.targets = targets
        self._client = client
        self._put, self._get = trio.open_memory_channel[str](math.inf)

    def look_at(self, job: Job | JobSummary | JobChange) -> None:
        """Takes a job of the hub, which may have to be uploaded."""
        if _is_left(job):
            self._put.send_nowait(job.job_id)

    async def run(self) -> None:
        """Uploads the jobs. Never returns."""
        async for job_id in self._get:
            try:
                job = await _answer(self._client.status, job_id)
                if job.closed and _is_left(job):  # else it changes later, or has changed meanwhile
                    end, sha256 = await self._upload(job, job.labels or {})
                    _log.info("upload of job %s: %s", job_id, end)
                    labels = {UPLOAD_STATE: visible(end)[:_LONGEST], UPLOAD_SHA256: sha256}
                    await _answer(self._client.label, job_id, labels)
            except Refused as error:
                _log.warning("job %s is not uploaded: %s", job_id, error)

    async def _upload(self, job: Job, labels: Mapping[str, str]) -> tuple[str, str]:
        """Returns how the upload has ended, and the checksum if the target has confirmed it."""
        if UPLOAD_STATE in labels:
            return "interrupted: look for the file at the target before you upload it again", ""
        if (target := self.targets.get(labels[UPLOAD])) is None:
            return "failed: the site has no such target any more", ""
        await _answer(self._client.label, job.job_id, {UPLOAD_STATE: _RUNNING})
        caller = OnBehalfOf(job.asked_by, "operate") if job.asked_by else None
        client = self._client.on_behalf_of(caller)
        options = target.options(masked=target.mask != "no")
        printed, said = bytearray(), deque([""], maxlen=1)
        try:
            await upload_job(client, job.job_id, options, said.append, printed)
        except OSError as error:
            said.append(str(error))
        if (done := uploaded(printed)) is not None:
            return f"done: {done.address}", done.sha256
        return f"failed: {said[-1].removeprefix('cucmctl: ')}", ""


def _is_left(job: Job | JobSummary | JobChange) -> bool:
    """Returns whether a job has ended and is to be uploaded, or its upload was interrupted."""
    labels, has_ended = job.labels or {}, job.status not in (*UNFINISHED, "cancelled")
    return has_ended and UPLOAD in labels and labels.get(UPLOAD_STATE, _RUNNING) == _RUNNING


async def _answer(call: Callable[..., Awaitable[Job]], *given: object) -> Job:
    """Makes a call, and repeats it while the daemon is away. Raises `Refused`."""
    while True:
        try:
            return await call(*given)
        except AWAY:
            await trio.sleep(_PAUSE)
