"""Asks a node which nodes its cluster has: logs in, asks, closes.

What a node says of others is not checked. It is kept in its own words, in limited length and
without secrets, and nothing is done with it here.
"""

from __future__ import annotations

from collections.abc import Sequence

from cucmd import vos
from cucmd.failure import Code, NodeFailed, fail
from cucmd.job.discover import Discover, Found, Member
from cucmd.job.node import Phase
from cucmd.node.dialogue import NodeSession
from cucmd.node.ports import NodeTask, Ports, Report
from cucmd.node_name import address, split_address
from cucmd.work.session import answer, ask, logged_in
from cucmd.work.verdict import counted

# A cluster has at most 21 nodes. All of them are in the state of a job, which is sent at each
# change; a node that prints 100,000 must not make that too large.
MOST_MEMBERS = 200
MOST_UNREAD = 20
LONGEST_UNREAD = 200
MOST_NAMED = 5

_OTHER_FORM = (
    "the product may print its cluster in another form; name the nodes in [clusters.NAME] of the "
    "configuration, or in the command"
)


async def discover(task: NodeTask, what: Discover, ports: Ports, report: Report) -> tuple[str, ...]:
    """Reports the nodes of the cluster. Returns notes for the user. Raises `NodeFailed`.

    It fails if there is no node in a form that is known.
    """
    async with logged_in(task, ports, report) as session:
        await answer(session, task, vos.PAGER_OFF)
        report.phase(Phase.COMMAND)
        table = await ask(session, task, vos.SHOW_CLUSTER, vos.parse_network_cluster)
        mask, asked = (
            task.mask,
            vos.find_asked_node(table.nodes, task.host, session.shell.peer_address),
        )
        members = tuple(
            Member(
                node=task.node if one is asked else _name(one, task),
                address=one.address,
                name=mask(one.name),
                fqdn=None if one.fqdn is None else mask(one.fqdn),
                role=one.role,
                product=mask(one.product),
                unauthenticated=one.unauthenticated and mask(one.unauthenticated)[:LONGEST_UNREAD],
            )
            for one in table.nodes[:MOST_MEMBERS]
        )
        found = Found(members)
        # Now, for the second answer may not come.
        report.result(found)
        if not found.members:
            raise _nothing([mask(line)[:LONGEST_UNREAD] for line in table.others[:MOST_UNREAD]])
        version, notes = await _version(session, task)
        report.result(Found(found.members, version))
        report.phase(Phase.CLOSE)
        left_out = []
        if (more := len(table.nodes) - MOST_MEMBERS) > 0:
            left_out.append(f"{more} more nodes were named; the first {MOST_MEMBERS} are kept")
        if table.others:
            lines = counted(len(table.others), "line")
            said = f"{lines} about the cluster in no known form; the transcript has all of them"
            left_out.append(said)
        # A start has the notes of the discovery before it, so it says this too.
        bad = [one for one in found.members if one.unauthenticated]
        apart = [
            f"{one.node}, {one.name}, may be down, or new: {one.unauthenticated}"
            for one in bad[:MOST_NAMED]
        ]
        if (more := len(bad) - MOST_NAMED) > 0:
            apart.append(f"{more} more {'node is' if more == 1 else 'nodes are'} not authenticated")
        return (*left_out, *apart, *notes)


async def _version(session: NodeSession, task: NodeTask) -> tuple[str | None, tuple[str, ...]]:
    """Asks for (version, notes). The nodes are known by now: nothing fails without a version."""
    try:
        said = await ask(session, task, vos.SHOW_VERSION, vos.parse_version_active)
    except NodeFailed as error:
        return None, (f"its version is not known: {error.failure.message}",)
    masked = None if said.version is None else task.mask(said.version)
    return masked, () if masked else ("its version is not known: no line of its answer names one",)


def _name(node: vos.ListedNode, task: NodeTask) -> str:
    """Names a node by its address, with the port of the node that was asked where one was given."""
    _, port = split_address(task.node)
    return node.address if port is None else address(node.address, port)


def _nothing(unread: Sequence[str]) -> NodeFailed:
    if not unread:
        said = f"nothing could be read of the node's answer to '{vos.SHOW_CLUSTER}'"
        return fail(Code.COMMAND_REFUSED, said)
    said = f"no node in a known form in the answer to '{vos.SHOW_CLUSTER}'"
    said += f"; the node said: {vos.quote(unread)}"
    return fail(Code.COMMAND_REFUSED, said, hint=_OTHER_FORM)
