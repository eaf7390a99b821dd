"""`clusters`, `profiles` and `credentials`: what the daemon knows by name.

See `commands/__init__.py`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from itertools import zip_longest

from cucmctl.cli import exits, near, printer
from cucmctl.cli.options import Command
from cucmctl.client.client import Client
from cucmctl.client.errors import ProfileNotFound
from cucmctl.text import render
from cucmctl.text.names import mark
from cucmctl.text.table import table
from cucmd.protocol.knowledge import Cluster, ClusterNode, Credential, Profile


def _clusters_arguments(parser: argparse.ArgumentParser) -> None:
    help_ = "a cluster, or a node of one: show its nodes"
    parser.add_argument("name", metavar="NAME", nargs="?", help=help_)


def _clusters(arguments: argparse.Namespace) -> int:
    name = arguments.name
    with Client(arguments.socket) as client:
        found = client.clusters(name)
        known = client.clusters() if name is not None and not found else found
    if name is not None and not found:
        names = [one.name for one in known if one.name]
        printer.note(
            f"no cluster {name!r} is known, nor one with such a node{near.hint(name, names)}"
        )
        return exits.NOT_FOUND
    if arguments.json:
        printer.json_line(found)
    elif not found:
        printer.note("no clusters; to ask a node for its own: cucmctl discover NODE")
    elif name is None:
        _print(_list(found))
    else:
        for cluster in found:
            _print(_details(cluster))
    return exits.DONE


def _list(clusters: Iterable[Cluster]) -> Iterator[str]:
    rows = [
        (
            one.name or "-",
            one.publisher or one.asked or "",
            f"{one.nodes_configured}/{one.nodes_total}",
            render.local(one.discovered_at) if one.discovered_at else "never",
        )
        for one in clusters
    ]
    headings = ("CLUSTER", "PUBLISHER", "CONFIGURED", "DISCOVERED")
    return table(headings, rows, right="CONFIGURED", colour=printer.in_colour(sys.stdout))


def _details(cluster: Cluster) -> Iterator[str]:
    title = f"cluster {cluster.name}" if cluster.name else "a cluster without a name"
    yield printer.visible(f"{title}: {render.counting(cluster.nodes_total, 'node')}")
    if cluster.discovered_at is None:
        yield "nobody has asked it for its nodes; to do so: cucmctl discover " + printer.visible(
            cluster.name or cluster.publisher or "NODE"
        )
    else:
        asked = f"as {cluster.asked} named them, {render.local(cluster.discovered_at)}"
        yield printer.visible(f"{asked}, version {cluster.version or 'not known'}")
    yield ""
    rows = [_row(node, cluster) for node in cluster.nodes or ()]
    headings = ("NODE", "NAME", "ROLE", "PRODUCT", "REMARK")
    yield from table(headings, rows, right="", **printer.layout(sys.stdout))


def _row(node: ClusterNode, cluster: Cluster) -> tuple[str, ...]:
    member, remark = node.member, ""
    if cluster.name is not None and not node.configured:
        remark = "not in the configuration"
    if member is None:
        return node.node, "", "", "", "was not named" if cluster.discovered_at else ""
    return node.node, member.name, member.role, member.product, remark


def _profiles_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", nargs="?", help="only this, with all of its keys")


def _profiles(arguments: argparse.Namespace) -> int:
    name = arguments.name
    with Client(arguments.socket) as client:
        try:
            found = client.profiles(name)
        except ProfileNotFound as error:
            names = [one.name for one in client.profiles()]
            printer.note(f"{error}{near.hint(name, names)}")
            return exits.NOT_FOUND
    if arguments.json:
        printer.json_line(found)
    elif name is None:
        rows = [
            (one.name, one.last or "no window", one.description, _products(one)) for one in found
        ]
        headings = ("PROFILE", "LAST", "FOR", "PRODUCTS")
        _print(_cut(list(table(headings, rows, right="", colour=False))))
    else:
        for one in found:
            _print(_keys(one))
    return exits.DONE


def _cut(lines: list[str]) -> list[str]:
    """The lines, cut to the width of a terminal, and marked where they are."""
    if (columns := printer.columns(sys.stdout)) is None:
        return lines
    end = mark(ascii_only=printer.ascii_only(sys.stdout))
    return [one if len(one) <= columns else one[: columns - 1] + end for one in lines]


def _products(profile: Profile) -> str:
    return ", ".join(profile.products or ("any",))


def _keys(profile: Profile) -> Iterator[str]:
    yield printer.visible(f"profile {profile.name}: {profile.description}")
    yield printer.visible(f"products: {_products(profile)}")
    for path, length in zip_longest(profile.paths, profile.written_for or ()):
        yield printer.visible(f"  {profile.location} {path}{_written(length)}")
    window = f"last {printer.visible(profile.last)}" if profile.last else "none: all files"
    yield f"window: {window}"
    if profile.match is not None:
        yield printer.visible(f"names that match {profile.match}")
    if profile.recurs:
        yield "subdirectories too"
    if profile.compress:
        yield "packed by the nodes"
    if profile.snapshot:
        yield "a snapshot at the end (cucmctl start --help)"
    if profile.leaves_out is not None:
        yield printer.visible(f"not in it: {profile.leaves_out}")


def _written(length: str | None) -> str:
    """For how long a file is; nothing of a daemon that does not say it."""
    if length is None:
        return ""
    return ", written all the time" if length == "always" else f", each written for {length}"


def _credentials_arguments(parser: argparse.ArgumentParser) -> None:
    pass


def _credentials(arguments: argparse.Namespace) -> int:
    with Client(arguments.socket) as client:
        found = client.credentials()
    if arguments.json:
        printer.json_line(found)
    elif not found:
        printer.note("the daemon was given no credentials")
    else:
        rows = [(one.name, _tied(one)) for one in found]
        colour = printer.in_colour(sys.stdout)
        _print(table(("CREDENTIAL", "IS SENT TO"), rows, right="", colour=colour))
    return exits.DONE


def _tied(credential: Credential) -> str:
    if not credential.tied:
        return "any node"
    clusters = [f"cluster {name}" for name in credential.clusters or ()]
    return ", ".join((*clusters, *(credential.nodes or ())))


def _print(lines: Iterable[str]) -> None:
    for text in lines:
        printer.line(text)


COMMANDS = {
    "clusters": Command(
        "Lists the clusters of the configuration, and those that were only asked for\n"
        "their nodes (discover). With NAME: the nodes of one, as the configuration has\n"
        "them and as the cluster has named them last.",
        "  cucmctl clusters\n  cucmctl clusters berlin\n  cucmctl clusters 10.0.0.2",
        _clusters_arguments,
        _clusters,
    ),
    "profiles": Command(
        "Lists the profiles: what is collected for which kind of trouble. With NAME:\n"
        "the paths of one, and what is not in it.",
        "  cucmctl profiles\n  cucmctl profiles callmanager",
        _profiles_arguments,
        _profiles,
    ),
    "credentials": Command(
        "Lists the names of the logins that the daemon was given, and where they are\nsent.",
        "  cucmctl credentials",
        _credentials_arguments,
        _credentials,
    ),
}
