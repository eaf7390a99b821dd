"""Asks a node which nodes its cluster has: logs in, asks, closes.

The node's words about other nodes are not checked. They are shortened, and secrets are masked.
"""

from __future__ import annotations

from cucmd import vos
from cucmd.failure import Code, NodeFailed, fail
from cucmd.job.discover import Discover, Found, Member
from cucmd.job.node import Notes, Phase
from cucmd.node.dialogue import NodeSession
from cucmd.node.ports import NodeTask, Ports, Report
from cucmd.node_name import address, split_address
from cucmd.work.session import ask, logged_in, run_plain_command
from cucmd.work.verdict import counted

# A cluster has at most 21 nodes. The state of the job is sent at each change, so a node that prints
# 100,000 nodes must not make it too large.
MOST_MEMBERS = 200
MOST_UNREAD = 20
LONGEST_UNREAD = 200
MOST_NAMED = 5

_OTHER_FORM = (
    "the product may print its cluster in another form; name the nodes in [clusters.NAME] of the "
    "configuration, or in the command"
)


async def discover(task: NodeTask, request: Discover, ports: Ports, report: Report) -> Notes:
    """Reports the nodes of the cluster. Returns notes for the user.

    Raises `NodeFailed`, also if the answer has no node in a form that is known.
    """
    async with logged_in(task, ports, report) as session:
        await run_plain_command(session, task, vos.PAGER_OFF)
        report.phase(Phase.COMMAND)
        cluster = await ask(session, task, vos.SHOW_CLUSTER, vos.parse_network_cluster)
        asked = vos.find_asked_node(cluster.nodes, task.host, session.shell.peer_address)
        mask = task.mask
        members = tuple(
            Member(
                node=task.node if node is asked else _name(node, task),
                address=node.address,
                name=mask(node.name),
                fqdn=None if node.fqdn is None else mask(node.fqdn),
                role=node.role,
                product=mask(node.product),
                unauthenticated=node.unauthenticated
                and mask(node.unauthenticated)[:LONGEST_UNREAD],
            )
            for node in cluster.nodes[:MOST_MEMBERS]
        )
        found = Found(members)
        # Report now, because the answer to the second command may never come.
        report.result(found)
        if not found.members:
            unread = [mask(line)[:LONGEST_UNREAD] for line in cluster.others[:MOST_UNREAD]]
            if not unread:
                message = f"nothing could be read of the node's answer to '{vos.SHOW_CLUSTER}'"
                raise fail(Code.COMMAND_REFUSED, message)
            message = f"no node in a known form in the answer to '{vos.SHOW_CLUSTER}'"
            message += f"; the node said: {vos.quote(unread)}"
            raise fail(Code.COMMAND_REFUSED, message, hint=_OTHER_FORM)
        version, notes = await _version(session, task)
        report.result(Found(found.members, version))
        report.phase(Phase.CLOSE)
        left_out = []
        if (more := len(cluster.nodes) - MOST_MEMBERS) > 0:
            left_out.append(f"{more} more nodes were named; the first {MOST_MEMBERS} are kept")
        if cluster.others:
            lines = counted(len(cluster.others), "line")
            left_out.append(
                f"{lines} about the cluster in no known form; the transcript has all of them"
            )
        # A start shows the notes of its discovery too.
        unauthenticated_nodes = [node for node in found.members if node.unauthenticated]
        unauthenticated = [
            f"{node.node}, {node.name}, may be down, or new: {node.unauthenticated}"
            for node in unauthenticated_nodes[:MOST_NAMED]
        ]
        if (more := len(unauthenticated_nodes) - MOST_NAMED) > 0:
            are = "node is" if more == 1 else "nodes are"
            unauthenticated.append(f"{more} more {are} not authenticated")
        return (*left_out, *unauthenticated, *notes)


async def _version(session: NodeSession, task: NodeTask) -> tuple[str | None, tuple[str, ...]]:
    """Returns (version, notes). A missing version does not fail the discovery, because the list of
    nodes has already been read.
    """
    try:
        answer = await ask(session, task, vos.SHOW_VERSION, vos.parse_version_active)
    except NodeFailed as error:
        return None, (f"its version is not known: {error.failure.message}",)
    masked = None if answer.version is None else task.mask(answer.version)
    return masked, () if masked else ("its version is not known: no line of its answer names one",)


def _name(node: vos.ListedNode, task: NodeTask) -> str:
    """Returns the node's address, with the port of the node that was asked, if it has one."""
    _, port = split_address(task.node)
    return node.address if port is None else address(node.address, port)
