"""`clusters`, `profiles`, `credentials` and `hostkeys`: print what the daemon has by name."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, zip_longest
from typing import Unpack

from cucmctl.cli import exits, printer
from cucmctl.cli.options import UsageError, Verb, no_arguments
from cucmctl.client.client import Client
from cucmctl.client.errors import ProfileNotFound
from cucmctl.commands.lookup import find_nodes, hint, offer
from cucmctl.text import render
from cucmctl.text.table import cut, cut_mark, table, width_of
from cucmd.job.cluster import ClusterNode
from cucmd.protocol.knowledge import Cluster, HostKey, Profile


def _clusters_arguments(parser: argparse.ArgumentParser) -> None:
    help_ = "a cluster or one of its nodes; prints the nodes"
    parser.add_argument("target", metavar="NAME", nargs="?", help=help_)


def _clusters(arguments: argparse.Namespace) -> int:
    name = arguments.target
    with Client(arguments.socket) as client:
        found = client.clusters(name)
        known = client.clusters() if name is not None and not found else found
    if name is not None and not found:
        names = [cluster.name for cluster in known if cluster.name]
        printer.note(f"no cluster is named {name!r} or has such a node{hint(name, names)}")
        return exits.NOT_FOUND
    details = (_details(cluster, client) for cluster in found)
    lines = _list(found) if name is None else chain.from_iterable(details)
    none = f"no clusters{offer(client, '; to ask a node for its own: cucmctl discover NODE')}"
    return printer.show(found, lines, as_json=arguments.json, none=none)


def _list(clusters: Iterable[Cluster]) -> Iterator[str]:
    rows = [
        (
            cluster.name or "-",
            _publisher(cluster),
            f"{cluster.nodes_configured}/{cluster.nodes_total}",
            render.local(cluster.discovered_at) if cluster.discovered_at else "never",
        )
        for cluster in clusters
    ]
    headings = ("CLUSTER", "PUBLISHER", "CONFIGURED", "DISCOVERED")
    return table(headings, rows, right="CONFIGURED", colour=printer.in_colour(sys.stdout))


def _publisher(cluster: Cluster) -> str:
    node, name = cluster.publisher or cluster.asked or "", cluster.publisher_name
    return f"{name} ({node})" if name is not None and name != node else node


def _details(cluster: Cluster, client: Client) -> Iterator[str]:
    title = f"cluster {cluster.name}" if cluster.name else "a cluster without a name"
    yield printer.visible(f"{title}: {render.count_of(cluster.nodes_total, 'node')}")
    if cluster.discovered_at is None:
        name = cluster.name or cluster.publisher or "NODE"
        how = offer(client, f"; to ask: cucmctl discover {printer.visible(name)}")
        yield f"it was never asked for its nodes{how}"
    else:
        asked = f"as {cluster.asked} named them, {render.local(cluster.discovered_at)}"
        yield printer.visible(f"{asked}, version {cluster.version or 'not known'}")
    yield ""
    rows = [_row(node, cluster) for node in cluster.nodes or ()]
    headings = ("NODE", "NAME", "ROLE", "PRODUCT", "REMARK")
    yield from table(headings, rows, right="", **printer.layout(sys.stdout))


def _row(node: ClusterNode, cluster: Cluster) -> tuple[str, ...]:
    member = node.member
    if member is None:
        return node.node, "", "", "", "was not named" if cluster.discovered_at else ""
    remarks = ["not authenticated"] if member.unauthenticated else []
    if cluster.name is not None and not node.configured:
        remarks.append("not in the configuration")
    return node.node, member.name, member.role, member.product, ", ".join(remarks)


def _profiles_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("profile", metavar="NAME", nargs="?", help="print all keys of this profile")


def _profiles(arguments: argparse.Namespace) -> int:
    name = arguments.profile
    with Client(arguments.socket) as client:
        try:
            found = client.profiles(name)
        except ProfileNotFound as error:
            names = [profile.name for profile in client.profiles()]
            printer.note(f"{error}{hint(name, names)}")
            return exits.NOT_FOUND
    if name is not None:
        lines = list(chain.from_iterable(map(_keys, found)))
    else:
        rows = [
            (profile.name, profile.last or "no window", profile.description, _products(profile))
            for profile in found
        ]
        headings = ("PROFILE", "LAST", "FOR", "PRODUCTS")
        lines = list(table(headings, rows, right=""))
        columns = printer.columns(sys.stdout)
        if columns is not None and max(map(width_of, lines)) > columns:
            end = cut_mark(ascii_only=printer.ascii_only(sys.stdout))
            short = table(headings[:-1], (row[:-1] for row in rows), right="")
            lines = [cut(line, columns, end) for line in short]
    return printer.show(found, lines, as_json=arguments.json)


def _products(profile: Profile) -> str:
    return ", ".join(profile.products or ("any",))


def _keys(profile: Profile) -> Iterator[str]:
    yield printer.visible(f"profile {profile.name}: {profile.description}")
    yield printer.visible(f"products: {_products(profile)}")
    for path, length in zip_longest(profile.paths, profile.written_for or ()):
        details = "" if length is None else f", each written for {length}"
        if length == "always":
            details = ", written all the time"
        if path in (profile.unverified or ()):
            details += "; not verified: a node need not have it"
        yield printer.visible(f"  {profile.location} {path}{details}")
    window = f"last {printer.visible(profile.last)}" if profile.last else "none: all files"
    yield f"window: {window}"
    if profile.match is not None:
        yield printer.visible(f"names that match {profile.match}")
    if profile.recurs:
        yield "subdirectories too"
    if profile.compress:
        yield "packed by the nodes"
    if profile.snapshot:
        what = "a look at the health of the node" if profile.health else "a snapshot"
        yield f"{what} at the end (cucmctl start --help)"
    if profile.leaves_out is not None:
        yield printer.visible(f"not in it: {profile.leaves_out}")


def _credentials(arguments: argparse.Namespace) -> int:
    with Client(arguments.socket) as client:
        reply = client.all_logins()
    rows = []
    for credential in reply.credentials:
        clusters = [f"cluster {name}" for name in credential.clusters or ()]
        sent_to = (
            ", ".join((*clusters, *(credential.nodes or ()))) if credential.tied else "any node"
        )
        rows.append((credential.name, sent_to, ""))
    for login in reply.logins or ():
        named = " and nodes that it has named" if login.accept_nodes else ""
        until = render.local(login.until)
        rows.append((f"your login as {login.username}", f"{login.target}{named}", until))
    columns = 3 if reply.logins else 2
    lines = table(
        ("CREDENTIAL", "IS SENT TO", "UNTIL")[:columns],
        [row[:columns] for row in rows],
        right="",
        colour=printer.in_colour(sys.stdout),
    )
    if not rows and not arguments.json:
        printer.note("the daemon was given no credentials, and keeps no login of yours")
        return exits.DONE
    return printer.show(reply, lines, as_json=arguments.json)


ACTIONS = ("list", "add", "forget")


def _hostkeys_arguments(parser: argparse.ArgumentParser) -> None:
    help_ = "list (default), add or forget"
    parser.add_argument(
        "action", metavar="ACTION", nargs="?", choices=ACTIONS, default="list", help=help_
    )
    parser.add_argument("node", metavar="NODE", nargs="?", help="the node, for add and forget")
    parser.add_argument(
        "--key", metavar="KEY", help="the key to add; without it, the key that the node shows now"
    )


def host_keys(keys: Iterable[HostKey], **layout: Unpack[printer.Layout]) -> Iterator[str]:
    """Returns a table of host keys. If that is too wide, the algorithm of the key is left out. No
    name is cut, because `hostkeys forget` needs the names.
    """
    headings = ("NODE", "KEY", "FINGERPRINT")
    rows = [
        (f"{key.name} ({key.node})" if key.name else key.node, key.algorithm, key.fingerprint)
        for key in keys
    ]
    columns, layout["columns"] = layout.get("columns"), None
    if columns is not None and max(map(width_of, table(headings, rows, right=""))) > columns:
        short = [(name, fingerprint) for name, _, fingerprint in rows]
        return table(("NODE", "FINGERPRINT"), short, right="", **layout)
    return table(headings, rows, right="", **layout)


def _hostkeys(arguments: argparse.Namespace) -> int:
    action, node = arguments.action, arguments.node
    if action == "list" and node is not None:
        raise UsageError(f"NODE: {node!r} was given, but list shows the keys of all nodes")
    if action != "list" and node is None:
        raise UsageError(f"NODE: none was given; expected the node whose key to {action}")
    if action != "add" and arguments.key is not None:
        raise UsageError(f"--key: goes with add, not with {action}")
    with Client(arguments.socket) as client:
        if action == "list":
            return _show(client.host_keys(), client, as_json=arguments.json)
        [node] = find_nodes(client, [node])
        if action == "add":
            _show(client.add_host_key(node, arguments.key), client, as_json=arguments.json)
            if arguments.key is None:  # the key came over the network, and nobody has checked it
                printer.note("compare the key with the one that the administrator of the node has")
            return exits.DONE
        reply = client.forget_host_key(node)
    if arguments.json:
        printer.json_line(reply)
    elif reply.forgotten:
        keys = "key" if reply.forgotten == 1 else "keys"
        printer.line(f"forgot {reply.forgotten} {keys} of {printer.visible(node)}")
    if reply.forgotten:
        return exits.DONE
    printer.note(f"no key of {node!r} is remembered; see cucmctl hostkeys list")
    return exits.NOT_FOUND


def _show(keys: Sequence[HostKey], client: Client, *, as_json: bool) -> int:
    # The daemon lists keys in the order in which they were added.
    found = sorted(keys, key=lambda key: (key.node, key.algorithm))
    lines = host_keys(found, **printer.layout(sys.stdout))
    none = f"no host keys{offer(client, '; to remember one: cucmctl hostkeys add NODE')}"
    return printer.show(found, lines, as_json=as_json, none=none)


COMMANDS = {
    "clusters": Verb(
        "Lists the clusters that the daemon knows from its configuration or a discovery.\n"
        "With NAME, prints the nodes of one.",
        "  cucmctl clusters\n  cucmctl clusters 10.0.0.2",
        "0 done, 5 no such cluster",
        _clusters_arguments,
        _clusters,
    ),
    "profiles": Verb(
        "Lists the profiles: which paths to collect for which kind of trouble. With NAME,\n"
        "prints the paths of one, and what is not in it.",
        "  cucmctl profiles\n  cucmctl profiles callmanager",
        "0 done, 5 no such profile",
        _profiles_arguments,
        _profiles,
    ),
    "credentials": Verb(
        "Lists the credentials of the daemon by name, and the nodes to which they may be sent.\n"
        "Also lists the logins that cucmctl login keeps for you. No password is shown.",
        "  cucmctl credentials\n  cucmctl --json credentials | jq -r '.credentials[].name'",
        "0 done",
        no_arguments,
        _credentials,
    ),
    "hostkeys": Verb(
        "Lists the host keys of nodes, adds one before the first job, or forgets the keys\n"
        "of a node that was reinstalled.",
        "  cucmctl hostkeys add ccm-pub --key 'ssh-rsa AAAA...'\n  cucmctl hostkeys forget ccm-pub",
        "0 done, 1 the node did not show a key, 5 no key to forget",
        _hostkeys_arguments,
        _hostkeys,
    ),
}
