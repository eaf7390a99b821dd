"""Says whether a collection from a node is expected to work: logs in, asks, gets a file, closes.

Whatever is seen is reported at once, so that it stays when a later step fails.

The steps, and what a bad one means

    connection, host key,    the node fails, as a collection would
    login, prompt
    `show status`            clock and logging partition: notes. A start widens its window by what
                             the clock is off, and a full partition can be read
    `show version active`    a version that is not known is a note
    `show network cluster`   its product; not every node prints it, so nothing is said of it then
    `file get`               only if it was asked for: the node fails, as a collection would
A plain command that is not answered in time fails the node, since it is not at its prompt then.

The file is taken from `platform/log`, where the shell itself and the services of the platform log
(vos/NODES.md, section 7), so every product has it; from `syslog` if nothing fits there. It is the
smallest that is not empty, but for the newest, which may be one that is written now. It is kept in
the job as any file that was collected. More than MOST_BYTES are never taken: it is answered `n`.
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
from cucmd.job.failure import Failure
from cucmd.job.node import Phase
from cucmd.node.dialogue import NodeSession
from cucmd.node.ports import NodeTask, Ports, Report, Shell
from cucmd.node.resolver import find_zone
from cucmd.work.collect import (
    WORTH_A_NOTE,
    FileGets,
    NodeClock,
    how_far,
    notes_of,
    upload_target,
)
from cucmd.work.session import answer, ask, logged_in

T = TypeVar("T")

# Percent of the logging partition that is used. Above its high water mark, which can be set to this
# at most, a node deletes traces (vos/NODES.md, section 6.5).
LOGGING_FULL = 95
# Of the file that is got, and the folders of activelog in which it is looked for.
MOST_BYTES = 1024 * 1024
FOLDERS = ("platform/log", "syslog")
# What to do if that file does not come, where the usual hint is about a whole collection.
_GONE = "it may have been rotated away since it was listed: check again"
_HINTS: dict[str, str] = {
    Code.COMMAND_TIMEOUT: (
        "the transcript shows what the node said last, and what it may wait for; for a slow node "
        "raise --command-timeout or --answer-timeout"
    ),
    Code.NO_FILES_MATCHED: _GONE,
    Code.INVALID_PATH: _GONE,
}
# A name that can be typed, and means one file.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,127}")


async def check(task: NodeTask, what: Check, ports: Ports, report: Report) -> tuple[str, ...]:
    """Reports what is seen. Returns notes: what is not as it should be, and fails no collection.

    Raises `NodeFailed`.
    """
    seen = _Seen(task, what, report, ports)
    async with AsyncExitStack() as stack:
        session = await seen.log_in(stack)
        await answer(session, task, vos.PAGER_OFF)
        report.phase(Phase.COMMAND)
        notes = await _ask_status(session, seen)
        version = await ask(session, task, vos.SHOW_VERSION, vos.parse_version_active)
        if version.version is None:
            notes.append("its version is not known: no line of its answer names one")
        else:
            seen.put(version=seen.mask(version.version))
        table = await ask(session, task, vos.SHOW_CLUSTER, vos.parse_network_cluster)
        itself = vos.find_asked_node(table.nodes, task.host, session.shell.peer_address)
        if itself is not None and itself.product:
            seen.put(product=seen.mask(itself.product))
        if what.receiver:
            notes += await _get_a_file(session, seen, ports, report)
        report.phase(Phase.CLOSE)
        return tuple(notes)


class _Seen:
    """Keeps what was seen on a node. Each change is reported."""

    def __init__(self, task: NodeTask, what: Check, report: Report, ports: Ports) -> None:
        self.task = task
        self.mask = task.mask
        self._report = report
        self._ports = ports
        self._knew_key = ports.knows_host_key(task)  # before the first attempt
        self._nothing = Checked(receiver=None if what.receiver else "not_asked")
        self._checked = self._nothing

    def put(self, **fields: object) -> None:
        self._checked = replace(self._checked, **fields)
        self._report.result(self._checked)

    async def log_in(self, stack: AsyncExitStack) -> NodeSession:
        """Comes to the first prompt. `stack` closes the session. Raises `NodeFailed`."""
        session = logged_in(self.task, self._ports, self._report, self._open)
        try:
            opened = await stack.enter_async_context(session)
        except NodeFailed as error:
            code = error.failure.code
            if self._checked.login:
                self.put(prompt=False)
            elif code == Code.HOST_KEY_CHANGED:
                self.put(host_key="changed")
            elif code == Code.HOST_KEY_UNKNOWN:
                self.put(host_key="unknown")
            elif self._checked.host_key is not None:
                self.put(login=False)
            elif not self._checked.reachable:
                self.put(reachable=False)
            raise
        self.put(prompt=True)
        return opened

    async def _open(
        self,
        task: NodeTask,
        on_connected: Callable[[], None],
        on_phase: Callable[[Phase], None],
        mask: Callable[[str], str],
        report: Report,
    ) -> Shell:
        """Opens a shell. What an earlier attempt has seen is forgotten."""
        self._checked = self._nothing

        def connected() -> None:
            self.put(reachable=True)
            on_connected()

        def entered(phase: Phase) -> None:
            if phase is Phase.LOGIN:  # the node's host key was accepted
                accepted = "known" if self._knew_key else "new"
                self.put(host_key="unchecked" if self.task.host_keys == "off" else accepted)
            on_phase(phase)

        shell = await self._ports.open_shell(task, connected, entered, mask, report)
        self.put(login=True)
        return shell


async def _ask_status(session: NodeSession, seen: _Seen) -> list[str]:
    """Asks for its clock and its logging partition. Returns notes. Raises `NodeFailed`."""
    said = await ask(session, seen.task, vos.SHOW_STATUS, vos.parse_machine)
    status = vos.find_node_time(said, find_zone)
    off = status.offset(datetime.now(UTC))
    logging = next((disk for disk in said.disks if disk.name == "logging"), None)
    seen.put(
        zone=None if status.zone is None else str(status.zone),
        clock_ahead=None if off is None else float(round(off.total_seconds())),
        logging_total=None if logging is None else logging.total,
        logging_free=None if logging is None else logging.free,
    )
    notes = []
    if status.zone is None:
        notes.append(
            "its time zone is not known here: a window of hours is widened to fit every zone; "
            "show status says which it is"
        )
    elif off is None and status.clock is not None:
        notes.append(
            f"its clock shows {status.clock:%Y-%m-%d %H:%M}, which is years off and not used: "
            "no window is widened by it; utils ntp status shows what it follows"
        )
    elif off is None:
        notes.append("what its clock shows is not known: no date in a known form")
    elif abs(off) > WORTH_A_NOTE:
        notes.append(
            f"its clock is {how_far(off)}: a window is widened by as much; "
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


# Whether the node reaches the receiver


async def _get_a_file(
    session: NodeSession, seen: _Seen, ports: Ports, report: Report
) -> tuple[str, ...]:
    """Gets one small file. Returns notes. Raises `NodeFailed`."""
    task = seen.task
    try:
        path = await _small_file(session, seen)
    except NodeFailed:
        seen.put(receiver="failed")
        raise
    try:
        left = task.quota.node.left
        most = MOST_BYTES if left is None else min(MOST_BYTES, left)
        # An allowance of 0 would be no limit.
        small = replace(task, quota=Quota(Allowance(max(most, 1)), task.quota.job))
        async with upload_target(ports, small, session, report) as target:
            gets = FileGets(small, Collect((path,)), session, target, report, ports=ports)
            result = await gets.get(path, NodeClock())
        notes = notes_of({path: replace(result, cut=None)}, ())  # it has come, cut as it may be
    except NodeFailed as error:
        seen.put(receiver="failed")
        raise NodeFailed(_with_hint(error.failure, task)) from error
    seen.put(receiver="ok")
    return notes


async def _small_file(session: NodeSession, seen: _Seen) -> str:
    """Finds the path of the file to get. Raises `NodeFailed` if there is none."""
    for folder in FOLDERS:
        listing = f"file list activelog {folder} detail"
        listed = await ask(session, seen.task, listing, vos.parse_file_list)
        if name := smallest(listed):
            return f"{folder}/{name}"
    looked = f"no file of 1 to {MOST_BYTES:,} bytes was found in {' or '.join(FOLDERS)}"
    raise fail(
        Code.NO_FILES_MATCHED,
        f"{looked}: the receiver was not tried",
        hint="start with a path that the node has, and see whether its files come",
    )


def smallest(files: Iterable[vos.ListedFile]) -> str | None:
    """Finds the name of the smallest file that can be got, of equal ones the first. None: no file.

    Not the newest, unless it is the only one: one that is written now may be gone under its name.
    """
    fitting = [file for file in files if 0 < file.size <= MOST_BYTES and _NAME.fullmatch(file.name)]
    if len(fitting) > 1:
        fitting.remove(max(fitting, key=lambda file: file.modified))
    return min(fitting, key=lambda file: (file.size, file.name)).name if fitting else None


def _with_hint(why: Failure, task: NodeTask) -> Failure:
    """Gives the failure a hint about one small file where the usual one is about a collection."""
    if why.code in _HINTS:
        return replace(why, hint=_HINTS[why.code])
    left = (task.quota.node.left, task.quota.job.left)
    has_room = all(one is None or one >= MOST_BYTES for one in left)
    # Without room for a small file, a quota of the configuration was reached.
    if why.code != Code.QUOTA_EXCEEDED or not has_room:
        return why
    said = f"{why.message}; a check gets {MOST_BYTES:,} bytes at most"
    hint = "the file has grown, or the node sends another: check again, or start a small job"
    return replace(why, message=said, hint=hint)
