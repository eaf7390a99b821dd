"""Targets may be the host names that a discovery has told, if no host has the name."""

import socket

import pytest

from cucmctl.client.errors import UnknownTarget
from cucmctl.commands.lookup import find_nodes
from cucmd.job.cluster import ClusterNode
from cucmd.job.discover import Member
from cucmd.protocol.knowledge import Cluster


def cluster(*nodes, host_name="sub", name=None):
    members = [Member(node, node, host_name, "Subscriber", "callmanager") for node in nodes]
    known = tuple(ClusterNode(member.node, configured=False, member=member) for member in members)
    return Cluster(len(nodes), 0, name=name, nodes=known, asked="10.0.0.1")


class Clusters:
    """Answers as a client whose daemon knows these clusters."""

    def __init__(self, *known):
        self._known = known

    def clusters(self, name=None):
        return self._known


def find(name, *known, look_up=None):
    def no_host(host, port):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    return find_nodes(Clusters(*known), [name], look_up or no_host)


@pytest.mark.parametrize("name", ["sub", "SUB"])
def test_host_name_stands_for_its_node(name, capsys):
    assert find(name, cluster("10.0.0.3:2022")) == ["10.0.0.3:2022"]
    assert "10.0.0.3:2022" in capsys.readouterr().err


def test_hosts_come_first():
    """A node must not decide where a password goes."""
    assert find("sub", cluster("10.0.0.3"), look_up=lambda host, port: []) == ["sub"]


def test_too_long_for_a_host():
    """`getaddrinfo` raises UnicodeError, so no host has the name that a node has told."""
    name = "s" * 64
    known = cluster("10.0.0.3", host_name=name)
    assert find(name, known, look_up=socket.getaddrinfo) == ["10.0.0.3"]


def test_silent_name_server_needs_address():
    def no_answer(host, port):
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    with pytest.raises(UnknownTarget, match=r"give 10\.0\.0\.3:2022,"):
        find("sub", cluster("10.0.0.3:2022"), look_up=no_answer)


@pytest.mark.parametrize(
    ("name", "known"), [("other", cluster("10.0.0.3")), ("sub", cluster("10.0.0.3", name="sub"))]
)
def test_other_names_stay(name, known):
    assert find(name, known) == [name]


def test_host_name_of_several_nodes_is_refused():
    with pytest.raises(UnknownTarget, match=r"10\.0\.0\.3, 10\.1\.0\.3"):
        find("sub", cluster("10.0.0.3"), cluster("10.1.0.3"))
