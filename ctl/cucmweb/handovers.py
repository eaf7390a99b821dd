"""Hands jobs over to the targets of the configuration, and knows how far each handover is.

A handover is a `cucmctl export --upload`, mostly with `--mask`, in a process of its own. So masking
delays no other request, and a cancel ends everything. The daemon sees the name of the caller.
`cucmctl` reads the token from the target's file, or gets it through standard input, as it does the
password of an encrypted zip.

The newest handovers are kept in a file. After a restart, this file shows which handovers were cut
off. A file cannot be replaced at the vendor, so people have to look there before they try again.
"""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import trio

from cucmctl.mask.key import key_folder
from cucmctl.upload.target import uploaded
from cucmd.durable import replace_file
from cucmd.job.request import OnBehalfOf
from cucmd.protocol.jobs import Job, JobReply
from cucmd.toml_file import ConfigError
from cucmtrio import Client
from cucmtrio.cucmctl_process import upload_job
from cucmweb import handover
from cucmweb.config import WebConfig
from cucmweb.exchange import Exchange, encode
from cucmweb.handover import CancelHandoverRequest, Handover, HandOverRequest, HandoversRequest
from cucmweb.problems import HttpProblem

# Handovers that may run at once. Masking uses all cores.
_MOST_RUNNING = 2
# Handovers that are kept.
_MOST_KEPT = 200
_FILE = "handovers.json"
_STOPPED = "cucmctl: cucmweb was stopped meanwhile: look there for the file before you try again"

_log = logging.getLogger("cucmweb")

Key = tuple[str, str]  # the id of a job, and the name of a target


@contextmanager
def opened_handovers(config: WebConfig) -> Iterator[Handovers]:
    """Yields the handovers that are kept. Raises `ConfigError` if there are targets, but the folder
    for handovers cannot be used.
    """
    # The folder `cucmweb` beside the folder `cucmctl`, which has the key and the map of the masks.
    folder = key_folder(os.environ).path.parent.with_name("cucmweb")
    if not config.targets:
        yield Handovers(config, folder, ())
        return
    with ExitStack() as stack:
        try:
            folder.mkdir(0o700, parents=True, exist_ok=True)
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            stack.callback(os.close, lock)
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for left in folder.glob("export-*"):  # of a process that was killed
                shutil.rmtree(left, ignore_errors=True)
            file = folder / _FILE
            text = file.read_bytes() if file.exists() else b"[]"
            kept = msgspec.json.decode(text, type=tuple[Handover, ...])
        except BlockingIOError:
            raise ConfigError("targets", f"another cucmweb uses {folder}; end it first") from None
        except (OSError, msgspec.MsgspecError) as error:
            raise ConfigError("targets", f"{folder} cannot be used: {error}") from None
        yield Handovers(config, folder, kept)


class Handovers:
    """Holds the newest handover of each job to each target.

    targets  what requests may name
    """

    def __init__(self, config: WebConfig, folder: Path, kept: tuple[Handover, ...]) -> None:
        """Takes over what was kept. Handovers that were running were cut off, and failed. When they
        were cut off is not known, so they end now.
        """
        targets = config.targets.items()
        self.targets = {name: handover.target_of(name, one) for name, one in targets}
        self._config = config
        self._folder = folder
        self._running: dict[Key, trio.CancelScope] = {}
        self._kept: dict[Key, Handover] = {}
        for one in kept:
            cut_off = one.state == "running"
            self._kept[one.job_id, one.target] = (
                handover.ended(one.after_line(_STOPPED), None, datetime.now(UTC), cancelled=False)
                if cut_off
                else one
            )

    async def run(self) -> None:
        """Runs the handovers that are started meanwhile. They end when this is cancelled."""
        async with trio.open_nursery() as self._nursery:
            if self._kept:  # the ends of those that were cut off
                await self._write_ends("handovers")
            await trio.sleep_forever()

    def of_job(self, job_id: str) -> tuple[Handover, ...]:
        """Returns the newest handover of a job to each target, the newest first."""
        found = [one for (job, _), one in self._kept.items() if job == job_id]
        return tuple(sorted(found, key=lambda one: one.started_at, reverse=True))

    def start(self, asked: HandOverRequest, job: Job, caller: OnBehalfOf | None) -> Handover:
        """Starts a handover, and returns it. Raises `HttpProblem`."""
        _check_role(caller)
        if (target := self.targets.get(asked.target)) is None:
            known = ", ".join(self.targets) or "none"
            raise HttpProblem(404, "NoSuchTarget", f"there is no such target; known are: {known}")
        if not job.closed:
            raise HttpProblem(409, "JobBusy", "the job is not closed yet; wait for its end")
        now = datetime.now(UTC)
        new = handover.begun(asked, target, job, caller.name if caller else None, now)
        key = job.job_id, target.name
        if key in self._running:
            raise HttpProblem(409, "HandoverRuns", "the job is being handed over to this target")
        if len(self._running) >= _MOST_RUNNING:
            text = f"{_MOST_RUNNING} handovers run already; try again when one has ended"
            raise HttpProblem(429, "TooManyHandovers", text)
        self._running[key] = trio.CancelScope()
        self._kept.pop(key, None)
        self._kept[key] = new
        while len(self._kept) > _MOST_KEPT:
            del self._kept[next(one for one in self._kept if one not in self._running)]
        self._nursery.start_soon(self._run, new, asked, caller)
        return new

    def cancel(self, job_id: str, target: str, caller: OnBehalfOf | None) -> Handover:
        """Cancels a handover if it runs. Returns it as it is now, since its end takes a while.
        Raises `HttpProblem`.
        """
        _check_role(caller)
        if (found := self._kept.get((job_id, target))) is None:
            raise HttpProblem(404, "NoSuchHandover", "the job was not handed over to that target")
        if scope := self._running.get((job_id, target)):
            scope.cancel()
        return found

    async def _run(self, new: Handover, asked: HandOverRequest, caller: OnBehalfOf | None) -> None:
        """Hands a job over. However this ends, the state of the handover is kept."""
        key, printed = (new.job_id, new.target), bytearray()
        scope = self._running[key]
        who = f"'{new.asked_by}'" if new.asked_by else "an operator"
        what = f"handover of job {new.job_id} to {new.target} by {who}"
        _log.info("%s begins", what)
        client = Client(self._config.socket).on_behalf_of(caller)
        settings = self._config.targets[new.target]
        options = settings.options(masked=new.masked, case=asked.case)
        typed = "\n".join(filter(None, (asked.token, asked.password)))

        def tell(line: str) -> None:
            self._kept[key] = self._kept[key].after_line(line)

        try:
            await self._write()
            with scope:
                await upload_job(
                    client, new.job_id, options, tell, printed, typed=typed, folder=self._folder
                )
        except OSError as error:
            tell(f"cucmctl: cannot be done: {error}")
        except trio.Cancelled:
            tell(_STOPPED)
            raise
        finally:
            end = handover.ended(
                self._kept[key], uploaded(printed), datetime.now(UTC), cancelled=scope.cancel_called
            )
            self._kept[key] = end
            with trio.CancelScope(shield=True):
                await self._write_ends(what)
            del self._running[key]
            _log.info("%s: %s, %s", what, end.state, end.sha256 or " / ".join(end.said[-1:]))

    async def _write_ends(self, what: str) -> None:
        try:
            await self._write()
        except OSError as error:
            _log.warning("%s: the end cannot be written: %s", what, error)

    async def _write(self) -> None:
        text = msgspec.json.encode(list(self._kept.values()))
        await trio.to_thread.run_sync(replace_file, self._folder / _FILE, [text], 0o600)


def _check_role(caller: OnBehalfOf | None) -> None:
    if caller is not None and caller.role != "operate":
        raise HttpProblem(403, "NotPermitted", "handovers are for operators")


async def answer(
    handovers: Handovers, exchange: Exchange, request: msgspec.Struct
) -> msgspec.Struct:
    """Answers a request of a program. Raises `HttpProblem` and `ClientError`."""
    caller = exchange.caller
    _check_role(caller)
    if not isinstance(request, HandOverRequest | HandoversRequest | CancelHandoverRequest):
        return handover.TargetsReply(tuple(handovers.targets.values()))
    call = {"job_id": request.job_id} | ({"on_behalf_of": caller} if caller else {})
    job = (await exchange.daemon.call("Status", encode(call), JobReply)).job
    if isinstance(request, HandOverRequest):
        return handovers.start(request, job, caller)
    if isinstance(request, CancelHandoverRequest):
        return handovers.cancel(job.job_id, request.target, caller)
    return handover.HandoversReply(handovers.of_job(job.job_id))
