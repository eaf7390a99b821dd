"""Says whether a node is well: logs in, runs commands that only read, judges their output, closes.

What a command prints is kept as `run` keeps it. A command that is refused, asks something, or takes
too long is *unread*, and the next is run: where a node of a cluster is down some take minutes. One
that Ctrl-C does not end fails the node; what was found before it stays.

The table of the cluster is looked at first of all, since it names the product, and not every
product has every check (`job.health.ONLY_OF`). A node that does not print it is asked what most
products have.
"""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from msgspec.structs import replace

from cucmd import vos
from cucmd.failure import Code, NodeFailed
from cucmd.job.failure import Failure
from cucmd.job.health import (
    CHECKS,
    OF_PUBLISHER,
    ONLY_OF,
    UNREAD,
    Finding,
    Health,
    HealthCheck,
)
from cucmd.job.node import Phase
from cucmd.node.dialogue import NodeSession
from cucmd.node.ports import NodeTask, Ports, Report
from cucmd.node.resolver import find_zone
from cucmd.vos.record_answers import CertificateList, parse_certificate
from cucmd.work import judged
from cucmd.work.commands import CommandRuns
from cucmd.work.session import answer, ask, back_at_prompt, logged_in

# A cluster has at most 21 nodes; a node that prints thousands must not make the state large.
_MOST_NAMED = 200


async def health(
    task: NodeTask, what: HealthCheck, ports: Ports, report: Report
) -> tuple[str, ...]:
    """Reports what was found, check by check. Returns notes: none. Raises `NodeFailed`."""
    async with logged_in(task, ports, report) as session:
        await answer(session, task, vos.PAGER_OFF)
        report.phase(Phase.COMMAND)
        await look(task, what, session, ports, report)
        report.phase(Phase.CLOSE)
        return ()


async def look(
    task: NodeTask,
    what: HealthCheck,
    session: NodeSession,
    ports: Ports,
    report: Report,
) -> None:
    """Runs the commands on a node that is at its prompt. Raises `NodeFailed`."""
    runs = CommandRuns(task, what, session, ports, report)
    looked = _Looked(task, what, session, report)
    mask = task.mask
    for number, line in enumerate(what.commands_kept, 1):
        if looked.has(line):
            try:
                refused = await runs.run(number)
            except NodeFailed as error:
                refused = await _given_up(session, error)
            why = None if refused is None else refused.message
            parser = vos.parse_command(line).parser
            said: msgspec.Struct | None = None
            if parser and refused is None and any(map(str.strip, runs.said)):
                # Masked before it is read, since a parser may split a password.
                lines = [mask(one) for one in runs.said]
                said = parser(lines)
            looked.at(line, said, why, cut=runs.cut)
            if isinstance(said, CertificateList):
                await _look_at_certificates(session, task, looked, said)


async def _given_up(session: NodeSession, why: NodeFailed) -> Failure:
    """Says why a command that has taken too long gave nothing. Raises `why` where Ctrl-C does not
    end it, and what is no such command.
    """
    if why.failure.code != Code.COMMAND_TIMEOUT or await back_at_prompt(session) is not None:
        raise why
    return why.failure


async def _look_at_certificates(
    session: NodeSession,
    task: NodeTask,
    looked: _Looked,
    listed: CertificateList,
) -> None:
    """Asks for each certificate that the list names. The names are in no list of ours, so what is
    said of them is in the transcript. After one that takes too long no other is asked for.
    """
    for name in judged.own_certificates(listed):
        try:
            line = vos.parse_command(f"show cert own {name}").line
            said = await ask(session, task, line, parse_certificate)
        except vos.InvalidArgument:
            looked.put(Finding("certificates", UNREAD, f"{name}: no name that is typed"))
        except NodeFailed as error:
            gone = await _given_up(session, error)
            looked.put(Finding("certificates", UNREAD, gone.message))
            return
        else:
            now = datetime.now(UTC)
            looked.put(judged.certificate(name, said, looked.thresholds, now))


class _Looked:
    """Keeps what was found on a node so far. Each change is reported."""

    def __init__(
        self, task: NodeTask, what: HealthCheck, session: NodeSession, report: Report
    ) -> None:
        self.thresholds = what.thresholds
        self._what = what
        self._host, self._peer = task.host, session.shell.peer_address
        self._report = report
        self._found = Health(clock_within=what.thresholds.clock_seconds)
        self._table_seen = False

    def has(self, line: str) -> bool:
        """Says whether a check that this node has reads the answer to this command."""
        return any(line in CHECKS[name] for name in self._checks())

    def _checks(self) -> list[str]:
        """Returns those that were asked for, and that its product and role have, if these are
        known.
        """
        product, role = self._found.product, self._found.role
        return [
            name
            for name in self._what.checks
            if (not self._table_seen or product in ONLY_OF.get(name, (product,)))
            and (name not in OF_PUBLISHER or role in (None, "Publisher"))
        ]

    def at(
        self, line: str, said: msgspec.Struct | str | None, refused: str | None, *, cut: bool
    ) -> None:
        """Judges the answer to a command. said: what was read of it, or why nothing was; None: it
        is empty. refused: why there is none. cut: it has more lines.
        """
        now = datetime.now(UTC)
        self._table_seen = self._table_seen or line == vos.SHOW_CLUSTER
        match said:  # what is compared with other nodes
            case vos.ActiveVersion(version=version):
                self._found = replace(self._found, version=version)
            case vos.Machine():
                off = vos.find_node_time(said, find_zone).offset(now)
                seconds = None if off is None else round(off.total_seconds())
                self._found = replace(self._found, clock_ahead=seconds)
            case vos.ClusterTable(nodes=nodes):
                itself = vos.find_asked_node(nodes, self._host, self._peer)
                first = sorted(nodes, key=lambda one: one.role != "Publisher")[:_MOST_NAMED]
                self._found = replace(
                    self._found,
                    product=(itself and itself.product) or None,
                    role=itself and itself.role,
                    address=itself and itself.address,
                    named=tuple(one.address for one in first) or None,
                )
        for name in self._checks():
            if line == CHECKS[name][-1]:
                if refused is not None:
                    self.put(Finding(name, UNREAD, refused))
                else:
                    most = self.thresholds
                    if self._found.role == "Subscriber":  # it follows the publisher
                        most = replace(most, stratum=most.stratum + 1)
                    found = judged.judge(name, said, most, now, find_zone)
                    self.put(*(judged.of_beginning(name, found) if cut else found))
        self._report.result(self._found)

    def put(self, *findings: Finding) -> None:
        self._found = replace(self._found, findings=(*self._found.findings, *findings))
        self._report.result(self._found)
