"""What a node says of its cluster and of its version."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cucmd import vos
from cucmd.vos import ListedNode, parse_network_cluster, parse_version_active
from cucmd.vos.dialogue_events import Send
from cucmlab.answers import VERSION_ACTIVE, LabMember, network_cluster
from rig.tries import split_places
from unit.vos.driver import BANNER

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


def test_each_node_of_a_cluster_with_role_and_product() -> None:
    table = parse_network_cluster(PUBLISHER)
    assert table.nodes == (
        ListedNode("10.3.74.13", "imp1", "imp1.example.org", "Subscriber", "cups", here=False),
        ListedNode(
            "10.3.74.12", "sub1", "sub1.example.org", "Subscriber", "callmanager", here=False
        ),
        ListedNode("10.3.74.11", "pub", "pub.example.org", "Publisher", "callmanager", here=True),
    )
    assert table.others == ()


def test_nodes_without_a_domain() -> None:
    line = "10.106.61.120 CUCMPUB  Publisher callmanager DBPub authenticated"
    (node,) = parse_network_cluster([line]).nodes
    assert (node.name, node.fqdn) == ("CUCMPUB", None)


def test_the_product_is_what_the_node_says() -> None:
    lines = [
        "10.77.29.191 cer1.example.org cer1 Publisher callmanager DBPub authenticated",
        "10.77.29.192 cer2.example.org cer2 Subscriber ciscoer DBSub authenticated using TCP since",
        "",
        "Successful",
    ]
    table = parse_network_cluster(lines)
    assert [node.product for node in table.nodes] == ["callmanager", "ciscoer"]
    assert table.others == ("Successful",)


NOT_YET = "not authenticated - INITIATOR since Fri Aug 14 06:12:08 2020"


@pytest.mark.parametrize(
    ("said", "here", "unauthenticated"),
    [
        ("authenticated", True, None),
        ("authenticated using TCP since Sat Aug  1 02:11:40 2020", False, None),
        (NOT_YET, False, NOT_YET),
        ("not  authenticated", False, "not authenticated"),
    ],
)
@pytest.mark.parametrize("product", ["", "callmanager DBSub "])
def test_a_node_with_or_without_a_product_is_authenticated_or_not(
    product: str, said: str, here: bool, unauthenticated: str | None
) -> None:
    line = f" 198.51.100.9 tftp1.example.net tftp1 Subscriber {product}{said}"
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


def test_a_state_without_a_node_before_it_is_of_no_node() -> None:
    lines = [PUBLISHER[2], "authenticated", "10.3.74.13 imp1 Subscriber cups DBPub", "", NOT_YET]
    table = parse_network_cluster(lines)
    assert [node.unauthenticated for node in table.nodes] == [None, None]
    assert table.others == ("authenticated", NOT_YET)


@pytest.mark.parametrize(
    "line",
    [
        "10.0.0.1 a Publisher unauthenticated",
        "10.0.0.1 a Publisher authenticatedly",
        "10.0.0.1 a Publisher not",
        "ID     Hostname      IPv4         IPv6   Type        Hub/Spoke    TFTP",
        "1      cucm15-pub    10.0.0.1            Publisher   Hub          Y",
        "Executed command unsuccessfully",
        "10.0.0.1 a b c Publisher callmanager DBPub authenticated",
        "10.0.0.1 a Publisher callmanager",
        "10.0.0.1 a Owner callmanager DBPub authenticated",
        "10.0.0.1.5 a a Publisher callmanager DBPub authenticated",
        "0.0.0.0 a a Subscriber callmanager DBSub authenticated",
        "::ffff:0.0.0.0 a a Subscriber callmanager DBSub authenticated",
        "224.0.0.1 a a Subscriber callmanager DBSub authenticated",
        "10.0.0.1 ../../etc a Subscriber callmanager DBSub authenticated",
        "10.0.0.1 a;reboot a Subscriber callmanager DBSub authenticated",
        "10.0.0.1 a a Subscriber \x1b[31mcallmanager DBSub authenticated",
        "10.0.0.1 " + "a" * 300 + " a Subscriber callmanager DBSub authenticated",
    ],
)
def test_a_line_in_another_form_is_kept_and_is_no_node(line: str) -> None:
    table = parse_network_cluster([line, *PUBLISHER])
    assert len(table.nodes) == 3
    assert table.others == (line,)


def test_a_node_that_comes_twice_is_taken_once() -> None:
    lines = [PUBLISHER[2], PUBLISHER[2].replace("pub", "other"), PUBLISHER[0]]
    names = [node.name for node in parse_network_cluster(lines).nodes]
    assert names == ["pub", "imp1"]


def test_an_ipv4_address_in_ipv6_notation_is_the_same_node() -> None:
    lines = [PUBLISHER[2].replace("10.3", "::ffff:10.3"), *PUBLISHER]
    addresses = [node.address for node in parse_network_cluster(lines).nodes]
    assert addresses == ["10.3.74.11", "10.3.74.13", "10.3.74.12"]


def test_as_the_lab_says_it() -> None:
    members = [LabMember(number, f"127.1.0.{number}") for number in range(1, 41)]
    table = parse_network_cluster(network_cluster(members, members[0]))
    assert [node.address for node in table.nodes] == [member.address for member in members]
    assert [node.name for node in table.nodes if node.here] == ["cucm-pub"]
    assert parse_network_cluster(network_cluster(members, members[7])).nodes[7].here
    assert parse_version_active(VERSION_ACTIVE).version == "12.5.1.15900-66"


def test_a_version_and_the_options_below_it() -> None:
    options = ["Active Version Installed Software Options:", "cmterm-devicepack9.1.cop"]
    found = parse_version_active(["Active Master Version: 11.5.1.12900-21", *options])
    assert (found.version, list(found.others)) == ("11.5.1.12900-21", options)


@pytest.mark.parametrize("said", ["", "Active Master Version:", "Inactive Master Version: 1.2"])
def test_no_version_is_guessed(said: str) -> None:
    assert parse_version_active([said, ""]) == (vos.ActiveVersion(None, (said,) if said else ()))


TYPED = vos.SHOW_CLUSTER.encode()


def answer_in_parts(*cuts: int) -> tuple[str, ...]:
    """Reads the lines of the answer, whose bytes come in the parts between the cuts."""
    cli = vos.Cli()
    cli.receive(BANNER + b"admin:")
    cli.quiet()
    cli.command(vos.SHOW_CLUSTER)
    body = "\r\n".join(["", *PUBLISHER, "", "admin:"]).encode()
    data = TYPED + body
    for begin, end in zip((0, *cuts), (*cuts, len(data)), strict=True):
        cli.receive(data[begin:end])
    (done,) = cli.quiet()
    assert isinstance(done, vos.CommandDone)
    return done.lines


def test_the_table_is_the_same_at_every_split_of_its_bytes() -> None:
    expected = parse_network_cluster(PUBLISHER)
    for cut in split_places(len(TYPED) + sum(len(line) + 2 for line in PUBLISHER)):
        assert parse_network_cluster(answer_in_parts(cut)) == expected


@given(st.lists(st.one_of(st.text(), st.sampled_from(PUBLISHER)), max_size=12))
def test_every_line_of_garbage_is_a_node_or_kept(lines: list[str]) -> None:
    end = lines.index(PUBLISHER[4]) if PUBLISHER[4] in lines else len(lines)
    whole = [line for line in lines[:end] if line.strip()]
    if any(line.strip() == PUBLISHER[4] for line in whole):
        return
    table = parse_network_cluster(lines)
    known = {line for line in whole if line in PUBLISHER[:3]}
    assert list(table.others) == [line for line in whole if line not in known]
    assert len(table.nodes) == len(known)
    parse_version_active(lines)


_LOOKS_RIGHT = st.from_regex(
    r"[0-9a-f.:]{0,9} [a-z./;-]{0,6} [a-zA-Z./-]{0,6} (Publisher|Subscriber|x) "
    r"[a-z0-9 ]{0,9} (DBPub|DBSub)[a-z ]{0,9}",
    fullmatch=True,
)


@given(st.lists(_LOOKS_RIGHT, max_size=6))
def test_what_is_taken_for_a_node_can_be_one(lines: list[str]) -> None:
    for node in parse_network_cluster(lines).nodes:
        assert node.address[0] in "0123456789abcdef:"
        assert "/" not in node.name
        assert node.product.isprintable()
        assert " " not in node.product


def test_a_pager_in_the_middle_of_the_table_is_answered_and_leaves_no_trace() -> None:
    cli = vos.Cli()
    cli.receive(BANNER + b"admin:")
    cli.quiet()
    cli.command(vos.SHOW_CLUSTER)
    pager = b"\x1b[1mPress <enter> for 1 line, <space> for one page, or <q> to quit\x1b[0m"
    first, rest = "\r\n".join(["", *PUBLISHER[:2], ""]), "\r\n".join([*PUBLISHER[2:], "admin:"])
    (key,) = cli.receive(TYPED + first.encode() + pager)
    assert isinstance(key, Send)
    assert key.data == b" "
    cli.receive(b"\r\x1b[K" + rest.encode())
    (done,) = cli.quiet()
    assert isinstance(done, vos.CommandDone)
    assert parse_network_cluster(done.lines) == parse_network_cluster(PUBLISHER)
