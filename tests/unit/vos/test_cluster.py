"""The nodes of a cluster and the version, as nodes print them."""

import pytest

from cucmd import vos
from cucmd.vos import ListedNode, parse_network_cluster, parse_version_active

PUBLISHER = [
    "10.3.74.13 imp1.example.org imp1 Subscriber cups DBPub authenticated using TCP since Fri Oct",
    "10.3.74.12 sub1.example.org sub1 Subscriber callmanager DBSub authenticated using TCP since x",
    "10.3.74.11 pub.example.org pub Publisher callmanager DBPub authenticated",
    "",
    "Server Table (processnode) Entries",
    "----------------------------------",
    "10.3.74.11",
    "sub9",
]


def test_nodes_with_role_and_product() -> None:
    table = parse_network_cluster(PUBLISHER)
    assert table.nodes == (
        ListedNode("10.3.74.13", "imp1", "imp1.example.org", "Subscriber", "cups", here=False),
        ListedNode(
            "10.3.74.12", "sub1", "sub1.example.org", "Subscriber", "callmanager", here=False
        ),
        ListedNode("10.3.74.11", "pub", "pub.example.org", "Publisher", "callmanager", here=True),
    )
    assert table.others == ()


def test_node_without_domain() -> None:
    line = "10.106.61.120 CUCMPUB  Publisher callmanager DBPub authenticated"
    (node,) = parse_network_cluster([line]).nodes
    assert (node.name, node.fqdn) == ("CUCMPUB", None)


NOT_YET = "not authenticated - INITIATOR since Fri Aug 14 06:12:08 2020"


@pytest.mark.parametrize(
    ("state", "here", "unauthenticated"),
    [
        ("authenticated", True, None),
        ("authenticated using TCP since Sat Aug  1 02:11:40 2020", False, None),
        (NOT_YET, False, NOT_YET),
        ("not  authenticated", False, "not authenticated"),
    ],
)
@pytest.mark.parametrize("product", ["", "callmanager DBSub "])
def test_authenticated_or_not(
    product: str, state: str, here: bool, unauthenticated: str | None
) -> None:
    line = f" 198.51.100.9 tftp1.example.net tftp1 Subscriber {product}{state}"
    expected = ListedNode(
        "198.51.100.9",
        "tftp1",
        "tftp1.example.net",
        "Subscriber",
        product.partition(" ")[0],
        here,
        unauthenticated,
    )
    assert parse_network_cluster([line]) == vos.ClusterTable((expected,), ())


def test_node_listed_twice() -> None:
    lines = [PUBLISHER[2], PUBLISHER[2].replace("pub", "other"), PUBLISHER[0]]
    names = [node.name for node in parse_network_cluster(lines).nodes]
    assert names == ["pub", "imp1"]


def test_ipv4_address_in_ipv6_notation() -> None:
    lines = [PUBLISHER[2].replace("10.3", "::ffff:10.3"), *PUBLISHER]
    addresses = [node.address for node in parse_network_cluster(lines).nodes]
    assert addresses == ["10.3.74.11", "10.3.74.13", "10.3.74.12"]


def test_version_with_options() -> None:
    options = ["Active Version Installed Software Options:", "cmterm-devicepack9.1.cop"]
    found = parse_version_active(["Active Master Version: 11.5.1.12900-21", *options])
    assert (found.version, list(found.others)) == ("11.5.1.12900-21", options)
