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
import os
from collections.abc import Mapping
from tempfile import TemporaryDirectory

import trio

from cucmctl.cli.printer import visible
from cucmctl.client.errors import Refused
from cucmctl.upload.target import TargetSettings, uploaded
from cucmd.protocol.jobs import Job, JobChange, JobSummary
from cucmfleet.messages import UNFINISHED, UPLOAD
from cucmtrio import Client
from cucmtrio.cucmctl_process import run_cucmctl
from cucmtrio.events import AWAY

_log = logging.getLogger("cucmfleet")

_STATE, _SHA256 = "upload-state", "upload-sha256"
_RUNNING = "running"
_INTERRUPTED = "interrupted: look for the file at the target before you upload it again"
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
        labels = job.labels or {}
        has_ended = job.status not in (*UNFINISHED, "cancelled")
        if has_ended and UPLOAD in labels and labels.get(_STATE, _RUNNING) == _RUNNING:
            self._put.send_nowait(job.job_id)

    async def run(self) -> None:
        """Uploads the jobs. Never returns."""
        async for job_id in self._get:
            while True:
                try:
                    await self._upload(await self._client.status(job_id))
                except AWAY:
                    await trio.sleep(_PAUSE)
                    continue
                except Refused as error:
                    _log.warning("job %s is not uploaded: %s", job_id, error)
                break

    async def _upload(self, job: Job) -> None:
        labels = job.labels or {}
        name, state = labels[UPLOAD], labels.get(_STATE)
        if not job.closed or state not in (None, _RUNNING):
            return  # it is closed later, or was uploaded meanwhile
        if state == _RUNNING:
            end = {_STATE: _INTERRUPTED}
        elif (target := self.targets.get(name)) is None:
            end = {_STATE: "failed: the site has no such target any more"}
        else:
            await self._client.label(job.job_id, {_STATE: _RUNNING})
            end = await self._export(job, target)
        _log.info("upload of job %s to %s: %s", job.job_id, name, end[_STATE])
        while True:
            try:
                await self._client.label(job.job_id, end)
            except AWAY:
                await trio.sleep(_PAUSE)
            else:
                return

    async def _export(self, job: Job, target: TargetSettings) -> dict[str, str]:
        """Runs `cucmctl export --upload`, and returns labels that say how it ended."""
        printed, said = bytearray(), [""]
        options = target.options(masked=target.mask != "no")
        speaker = {"CUCMD_ON_BEHALF_OF": f"operate {job.asked_by}"} if job.asked_by else {}
        try:
            with TemporaryDirectory(prefix="cucmagent-") as to:
                words = ["--socket", self._client.socket, "--json", "export", job.job_id, "-o", to]
                environ = {**os.environ, **speaker}
                await run_cucmctl([*words, *options], said.append, printed, environ=environ)
        except OSError as error:
            said.append(str(error))
        if (done := uploaded(bytes(printed))) is not None:
            state = f"done: {done.address}"
            return {_STATE: visible(state)[:_LONGEST], _SHA256: done.sha256}
        why = visible(said[-1].removeprefix("cucmctl: "))
        return {_STATE: f"failed: {why}"[:_LONGEST]}
