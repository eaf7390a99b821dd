"""Checks the health of a node: logs in, runs commands that only read, judges their output, closes.

The output of each command is kept as `run` keeps it. If a command is refused, asks a question, or
takes too long, its check is *unread* and the next command is run. While a node of a cluster is
down, some commands take minutes. If Ctrl-C does not end a command, the node fails, and its findings
so far are kept.

The table of the cluster comes first, since it names the product, and some checks exist only for
certain products (`job.health.ONLY_OF`). If there is no table, only the checks that most products
have are made.
"""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from msgspec.structs import replace

from cucmd import vos
from cucmd.failure import Code, NodeFailed
from cucmd.job.failure import Failure
from cucmd.job.health import CHECKS, OF_PUBLISHER, ONLY_OF, UNREAD, Finding, Health, HealthCheck
from cucmd.job.node import Notes, Phase
from cucmd.node.dialogue import NodeSession
from cucmd.node.ports import NodeTask, Ports, Report
from cucmd.node.resolver import find_zone
from cucmd.vos.record_answers import CertificateList, parse_certificate
from cucmd.work import health_findings
from cucmd.work.commands import CommandRuns
from cucmd.work.session import ask, logged_in, return_to_prompt, run_plain_command

# A cluster has at most 21 nodes. The limit keeps the state small if a node prints thousands.
_MOST_NAMED = 200


async def health(task: NodeTask, request: HealthCheck, ports: Ports, report: Report) -> Notes:
    """Reports what was found, check by check. Returns no notes. Raises `NodeFailed`."""
    async with logged_in(task, ports, report) as session:
        await run_plain_command(session, task, vos.PAGER_OFF)
        report.phase(Phase.COMMAND)
        await check_health(task, request, session, ports, report)
        report.phase(Phase.CLOSE)
        return ()


async def check_health(
    task: NodeTask, request: HealthCheck, session: NodeSession, ports: Ports, report: Report
) -> None:
    """Runs the commands on a node that is at its prompt. Raises `NodeFailed`."""
    runs = CommandRuns(task, request, session, ports, report)
    findings = _Findings(task, request, session, report)
    mask = task.mask
    for number, line in enumerate(request.commands_kept, 1):
        if findings.reads_answer(line):
            try:
                failed = await runs.run(number)
            except NodeFailed as error:
                failed = await _why_given_up(session, error)
            why_unread = None if failed is None else failed.message
            parser = vos.parse_command(line).parser
            answer: msgspec.Struct | None = None
            if parser and why_unread is None and any(map(str.strip, runs.lines)):
                # Mask the answer before it is parsed, since a parser may split a password.
                lines = [mask(printed) for printed in runs.lines]
                answer = parser(lines)
            findings.judge(line, answer, why_unread, truncated=runs.is_truncated)
            if isinstance(answer, CertificateList):
                await _check_certificates(session, task, findings, answer)


async def _why_given_up(session: NodeSession, why: NodeFailed) -> Failure:
    """Ends a command that took too long, and returns the failure. Raises `why` if it has another
    reason, or if Ctrl-C does not end the command.
    """
    if why.failure.code != Code.COMMAND_TIMEOUT or await return_to_prompt(session) is not None:
        raise why
    return why.failure


async def _check_certificates(
    session: NodeSession, task: NodeTask, findings: _Findings, certificates: CertificateList
) -> None:
    """Asks for each certificate that the list names, until an answer takes too long.

    These commands are not among `commands_kept`, because the names are known only after the list
    has been read. So their answers are in the transcript, but not in files of their own.
    """
    for name in health_findings.certificate_names(certificates):
        try:
            line = vos.parse_command(f"show cert own {name}").line
            answer = await ask(session, task, line, parse_certificate)
        except vos.InvalidArgument:
            findings.add(Finding("certificates", UNREAD, f"{name}: no name that is typed"))
        except NodeFailed as error:
            timeout = await _why_given_up(session, error)
            findings.add(Finding("certificates", UNREAD, timeout.message))
            return
        else:
            now = datetime.now(UTC)
            findings.add(health_findings.judge_certificate(name, answer, findings.thresholds, now))


class _Findings:
    """Collects the findings of a node, and reports each change."""

    def __init__(
        self, task: NodeTask, request: HealthCheck, session: NodeSession, report: Report
    ) -> None:
        self.thresholds = request.thresholds
        self._request = request
        self._host, self._peer = task.host, session.shell.peer_address
        self._report = report
        self._found = Health(clock_within=request.thresholds.clock_seconds)
        self._table_seen = False

    def reads_answer(self, line: str) -> bool:
        """Returns whether a check that applies to this node needs the answer to this command."""
        return any(line in CHECKS[name] for name in self._applicable_checks())

    def _applicable_checks(self) -> list[str]:
        """Returns the requested checks that nodes of this product and role have."""
        product, role = self._found.product, self._found.role
        return [
            name
            for name in self._request.checks
            if (not self._table_seen or product in ONLY_OF.get(name, (product,)))
            and (name not in OF_PUBLISHER or role in (None, "Publisher"))
        ]

    def judge(
        self, line: str, answer: msgspec.Struct | None, why_unread: str | None, *, truncated: bool
    ) -> None:
        """Judges the answer to a command.

        answer: the parsed answer, or None if it is empty. why_unread: why there is no answer.
        truncated: the answer has more lines than were read.
        """
        now = datetime.now(UTC)
        self._table_seen = self._table_seen or line == vos.SHOW_CLUSTER
        match answer:  # the clients compare these values with those of other nodes
            case vos.ActiveVersion(version=version):
                self._found = replace(self._found, version=version)
            case vos.Machine():
                clock_offset = vos.find_node_time(answer, find_zone).offset(now)
                seconds = None if clock_offset is None else round(clock_offset.total_seconds())
                self._found = replace(self._found, clock_ahead=seconds)
            case vos.ClusterTable(nodes=nodes):
                asked = vos.find_asked_node(nodes, self._host, self._peer)
                publisher_first = sorted(nodes, key=lambda node: node.role != "Publisher")
                self._found = replace(
                    self._found,
                    product=(asked and asked.product) or None,
                    role=asked and asked.role,
                    address=asked and asked.address,
                    named=tuple(node.address for node in publisher_first[:_MOST_NAMED]) or None,
                )
        for name in self._applicable_checks():
            if line == CHECKS[name][-1]:
                if why_unread is not None:
                    self.add(Finding(name, UNREAD, why_unread))
                else:
                    thresholds = self.thresholds
                    if self._found.role == "Subscriber":  # a subscriber follows the publisher
                        thresholds = replace(thresholds, stratum=thresholds.stratum + 1)
                    found = health_findings.judge_answer(name, answer, thresholds, now, find_zone)
                    if truncated:
                        found = health_findings.findings_if_truncated(name, found)
                    self.add(*found)
        self._report.result(self._found)

    def add(self, *findings: Finding) -> None:
        self._found = replace(self._found, findings=(*self._found.findings, *findings))
        self._report.result(self._found)
