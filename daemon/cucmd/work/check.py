"""Checks whether a collection from a node will probably work: logs in, asks, gets a file, closes.

Each observation is reported at once, so that it is kept if a later step fails.

The steps, and what follows from a bad result

    connection, host key,    the node fails, as a collection would
    login, prompt
    `show status`            notes on the clock and the logging partition. A start widens its window
                             by the error of the clock, and a full partition can be read
    `show version active`    a note if the version is not known
    `show network cluster`   no note if the product is not known, since some nodes do not print the
                             table
    `file get`               only if requested; the node fails, as a collection would
If a plain command is not answered in time, the node fails, since it is not at its prompt then.

The file comes from `platform/log`, which every product has, because the shell itself and the
platform services log there (vos/NODES.md, section 7); or from `syslog` if no file fits there. It is
the smallest file that is not empty, except for the newest, which may still be written to. The job
keeps it like any collected file. If the node announces more than MOST_BYTES, the answer is `n`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import TypeVar

from msgspec.structs import replace

from cucmd import vos
from cucmd.allowance import Allowance, Quota
from cucmd.failure import Code, NodeFailed, fail
from cucmd.job.check import Check, Checked
from cucmd.job.collect import Collect
from cucmd.job.node import Notes, Phase
from cucmd.node.dialogue import NodeSession
from cucmd.node.ports import NodeTask, Ports, Report, Shell
from cucmd.node.resolver import find_zone
from cucmd.work.collect import (
    WORTH_A_NOTE,
    FileGets,
    NodeClock,
    clock_difference,
    notes_on_paths,
    upload_target,
)
from cucmd.work.session import ask, logged_in, run_plain_command

T = TypeVar("T")

# Percent of the logging partition. A node deletes traces above its high water mark, which can be
# set to at most this value (vos/NODES.md, section 6.5).
LOGGING_FULL = 95
# The largest file that is got, and the folders of activelog in which it is looked for.
MOST_BYTES = 1024 * 1024
FOLDERS = ("platform/log", "syslog")
# Hints for a file that does not come. The usual hints are about a whole collection.
_GONE = "it may have been rotated away since it was listed: check again"
_HINTS: dict[str, str] = {
    Code.COMMAND_TIMEOUT: (
        "the transcript shows what the node said last, and what it may wait for; for a slow node "
        "raise --command-timeout or --answer-timeout"
    ),
    Code.NO_FILES_MATCHED: _GONE,
    Code.INVALID_PATH: _GONE,
}
_NO_FILE = (
    f"no file of 1 to {MOST_BYTES:,} bytes was found in {' or '.join(FOLDERS)}: the receiver was "
    "not tried"
)
_NO_FILE_HINT = "start with a path that the node has, and see whether its files come"
# File names that can be typed and that match only one file.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,127}")


async def check(task: NodeTask, request: Check, ports: Ports, report: Report) -> Notes:
    """Reports the observations. Returns notes on lesser problems. Raises `NodeFailed`."""
    observed = _Observations(task, request, report, ports)
    async with AsyncExitStack() as stack:
        session = await observed.log_in(stack)
        await run_plain_command(session, task, vos.PAGER_OFF)
        report.phase(Phase.COMMAND)
        notes = await _check_status(session, observed)
        version = await ask(session, task, vos.SHOW_VERSION, vos.parse_version_active)
        if version.version is None:
            notes.append("its version is not known: no line of its answer names one")
        else:
            observed.report(version=observed.mask(version.version))
        table = await ask(session, task, vos.SHOW_CLUSTER, vos.parse_network_cluster)
        asked = vos.find_asked_node(table.nodes, task.host, session.shell.peer_address)
        if asked is not None and asked.product:
            observed.report(product=observed.mask(asked.product))
        if request.receiver:
            notes += await _check_receiver(session, observed, ports, report)
        report.phase(Phase.CLOSE)
        return tuple(notes)


class _Observations:
    """Collects the observations of a node, and reports each change."""

    def __init__(self, task: NodeTask, request: Check, report: Report, ports: Ports) -> None:
        self.task = task
        self.mask = task.mask
        self._report = report
        self._ports = ports
        self._knew_key = ports.knows_host_key(task)  # before the first attempt
        self._nothing = Checked(receiver=None if request.receiver else "not_asked")
        self._checked = self._nothing

    def report(self, **fields: object) -> None:
        self._checked = replace(self._checked, **fields)
        self._report.result(self._checked)

    async def log_in(self, stack: AsyncExitStack) -> NodeSession:
        """Logs in up to the first prompt. `stack` closes the session. Raises `NodeFailed`."""
        session = logged_in(self.task, self._ports, self._report, self._open)
        try:
            opened = await stack.enter_async_context(session)
        except NodeFailed as error:
            code = error.failure.code
            if self._checked.login:
                self.report(prompt=False)
            elif code == Code.HOST_KEY_CHANGED:
                self.report(host_key="changed")
            elif code == Code.HOST_KEY_UNKNOWN:
                self.report(host_key="unknown")
            elif self._checked.host_key is not None:
                self.report(login=False)
            elif not self._checked.reachable:
                self.report(reachable=False)
            raise
        self.report(prompt=True)
        return opened

    async def _open(
        self,
        task: NodeTask,
        on_connected: Callable[[], None],
        on_phase: Callable[[Phase], None],
        mask: Callable[[str], str],
        report: Report,
    ) -> Shell:
        """Opens a shell. The observations of an earlier attempt are dropped."""
        self._checked = self._nothing

        def connected() -> None:
            self.report(reachable=True)
            on_connected()

        def entered(phase: Phase) -> None:
            if phase is Phase.LOGIN:  # the node's host key was accepted
                accepted = "known" if self._knew_key else "new"
                self.report(host_key="unchecked" if self.task.host_keys == "off" else accepted)
            on_phase(phase)

        shell = await self._ports.open_shell(task, connected, entered, mask, report)
        self.report(login=True)
        return shell


async def _check_status(session: NodeSession, observed: _Observations) -> list[str]:
    """Checks the clock and the logging partition. Returns notes. Raises `NodeFailed`."""
    machine = await ask(session, observed.task, vos.SHOW_STATUS, vos.parse_machine)
    status = vos.find_node_time(machine, find_zone)
    offset = status.offset(datetime.now(UTC))
    logging = next((disk for disk in machine.disks if disk.name == "logging"), None)
    observed.report(
        zone=None if status.zone is None else str(status.zone),
        clock_ahead=None if offset is None else float(round(offset.total_seconds())),
        logging_total=None if logging is None else logging.total,
        logging_free=None if logging is None else logging.free,
    )
    notes = []
    if status.zone is None:
        notes.append(
            "its time zone is not known here: a window of hours is widened to fit every zone; "
            "show status says which it is"
        )
    elif offset is None and status.clock is not None:
        notes.append(
            f"its clock shows {status.clock:%Y-%m-%d %H:%M}, which is years off and not used: "
            "no window is widened by it; utils ntp status shows what it follows"
        )
    elif offset is None:
        notes.append("what its clock shows is not known: no date in a known form")
    elif abs(offset) > WORTH_A_NOTE:
        notes.append(
            f"its clock is {clock_difference(offset)}: a window is widened by as much; "
            "utils ntp status shows what it follows"
        )
    if logging is None:
        notes.append("the free space of its logging partition is not known")
    elif logging.used_percent >= LOGGING_FULL:
        notes.append(
            f"its logging partition is {logging.used_percent} % full: the node deletes its oldest "
            "traces to make room; collect soon, and delete there what nobody needs"
        )
    return notes


async def _check_receiver(
    session: NodeSession, observed: _Observations, ports: Ports, report: Report
) -> tuple[str, ...]:
    """Gets a small file, to test whether the node reaches the receiver. Raises `NodeFailed`."""
    task = observed.task
    try:
        for folder in FOLDERS:
            listing = f"file list activelog {folder} detail"
            if name := smallest_file(await ask(session, task, listing, vos.parse_file_list)):
                path = f"{folder}/{name}"
                break
        else:
            raise fail(Code.NO_FILES_MATCHED, _NO_FILE, hint=_NO_FILE_HINT)
    except NodeFailed:
        observed.report(receiver="failed")
        raise
    try:
        left = task.quota.node.left
        most = MOST_BYTES if left is None else min(MOST_BYTES, left)
        # An allowance of 0 would mean that there is no limit.
        small = replace(task, quota=Quota(Allowance(max(most, 1)), task.quota.job))
        async with upload_target(ports, small, session, report) as target:
            gets = FileGets(small, Collect((path,)), session, target, report, ports=ports)
            result = await gets.get(path, NodeClock())
        # A cut file is not worth a failure here: the node has reached the receiver.
        notes = notes_on_paths({path: replace(result, cut=None)}, ())
    except NodeFailed as error:
        observed.report(receiver="failed")
        hint = _HINTS.get(error.failure.code, error.failure.hint)
        raise NodeFailed(replace(error.failure, hint=hint)) from error
    observed.report(receiver="ok")
    return notes


def smallest_file(files: Iterable[vos.ListedFile]) -> str | None:
    """Returns the name of the smallest file that can be got, or None.

    The newest file is taken only if it is the only one, since a file that is being written to may
    be renamed before it is got. Of files of equal size, the first by name is taken.
    """
    fitting = [file for file in files if 0 < file.size <= MOST_BYTES and _NAME.fullmatch(file.name)]
    if len(fitting) > 1:
        fitting.remove(max(fitting, key=lambda file: file.modified))
    return min(fitting, key=lambda file: (file.size, file.name)).name if fitting else None
