"""Names of nodes, their folders, and the sources of peers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cucmd.node_name import (
    InvalidNode,
    address,
    folder_of,
    marked_nodes,
    node_key,
    parse_node,
    short_names,
    source_of,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cucm-pub", ("cucm-pub", 22)),
        ("cucm_sub1.example.com:2022", ("cucm_sub1.example.com", 2022)),
        ("10.0.0.1", ("10.0.0.1", 22)),
        ("[2001:db8::1]:2022", ("2001:db8::1", 2022)),
        ("fe80::1%eth0", ("fe80::1%eth0", 22)),
        ("host.example.com.", ("host.example.com.", 22)),
        ("3com", ("3com", 22)),
        ("host:65535", ("host", 65535)),
    ],
)
def test_valid_names(text, expected):
    assert parse_node(text) == expected
    assert parse_node(address(*expected)) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is empty"),
        ("host:", "port from 1 to 65535"),
        ("host:0", "port 0"),
        ("host:65536", "port from 1 to 65535"),
        ("host:\uff12\uff12", "port from 1 to 65535"),
        ("host\x1b[2J", "host name"),
        ("../../etc", "host name"),
        ("a..b", "host name"),
        ("-v", "host name"),
        ("bücher.example", "host name"),
        ("a" * 64, "at most 63 characters"),
        (".".join(["a" * 62] * 4) + ":2022", "at most 255 characters, not 256"),
        ("10.1", "IPv4"),
        ("10.0.0.256", "IPv4"),
        ("a:b:c", "IPv6"),
        ("[::1", "[address]:port"),
        ("[host]:22", "IPv6"),
        ("fe80::1%../../x", "interface"),
    ],
)
def test_invalid_names(text, reason):
    with pytest.raises(InvalidNode) as caught:
        parse_node(text)
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("CUCM1", "cucm1:22"),
        ("cucm1.example.com.", "cucm1.example.com"),
        ("2001:DB8:0::1", "[2001:db8::1]:22"),
    ],
)
def test_spellings_have_one_key(one, other):
    assert node_key(*parse_node(one)) == node_key(*parse_node(other))
    assert node_key(*parse_node(one)) != node_key(parse_node(one)[0], 2022)


@given(st.text(max_size=40))
def test_valid_names_are_safe(text):
    try:
        host, port = parse_node(text)
    except InvalidNode:
        return
    assert 1 <= port <= 65535
    assert text.isascii()
    assert text.isprintable()
    assert not set(text) & set(" /\\\"'")
    assert text not in (".", "..")
    assert node_key(host, port)


def folders(*nodes):
    marked = marked_nodes(nodes)
    return [folder_of(node, marked=node in marked) for node in nodes]


@pytest.mark.parametrize(
    ("node", "folder"),
    [
        ("cucm_1.example.com", "cucm_1.example.com"),
        ("10.0.0.1:2022", "10.0.0.1_2022"),
        ("[2001:db8::1]:2022", "[2001_db8__1]_2022"),
        ("output.example.com", "output.example.com"),
        ("manifest.json", "@manifest.json"),
        ("Manifest.JSON.", "@Manifest.JSON."),
        ("transcripts", "@transcripts"),
        ("SHA256SUMS", "@SHA256SUMS"),
    ],
)
def test_folder_of_a_node(node, folder):
    assert folders(node) == [folder]


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        (("a:1", "a_1", "a_2"), ["@a@1", "@a_1", "a_2"]),
        (("1_2_3_4_5_6_7:8", "1:2:3:4:5:6:7:8"), ["@1_2_3_4_5_6_7@8", "@1@2@3@4@5@6@7@8"]),
        (("A_1", "a:1"), ["@A_1", "@a@1"]),
        (("a:2", "a:3"), ["a_2", "a_3"]),
    ],
)
def test_conflicting_folders_are_marked(nodes, expected):
    assert folders(*nodes) == expected


NAMES = st.from_regex(r"[ab1_]{1,3}(\.json)?(:[12])?|(1?:){2,7}1?|\[::1\](:1)?", fullmatch=True)


def valid(text):
    try:
        return bool(parse_node(text))
    except InvalidNode:
        return False


@given(
    st.lists(NAMES.filter(valid), max_size=8, unique_by=lambda name: node_key(*parse_node(name)))
)
def test_folders_are_distinct_without_case(nodes):
    assert len({folder.lower() for folder in folders(*nodes)}) == len(nodes)


@pytest.mark.parametrize(
    ("peer", "source"),
    [
        ("192.0.2.5", "192.0.2.5"),
        ("::ffff:192.0.2.5", "192.0.2.5"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
    ],
)
def test_source_of_peer(peer: str, source: str) -> None:
    assert source_of(peer) == source


@pytest.mark.parametrize(
    ("host_names", "expected"),
    [
        ({"10.0.0.1": "pub", "10.0.0.2": None}, ["pub", None]),
        ({"pub": "PUB", "sub.example.org:2022": "sub"}, [None, "sub"]),
        ({"10.0.0.1:22": "pub", "10.0.0.2": "Pub"}, ["pub+10.0.0.1_22", "Pub+10.0.0.2"]),
        ({"10.0.0.1": "pub", "pub:2022": None}, ["pub+10.0.0.1", None]),
        ({"10.0.0.1": "a_22", "a:22": None}, ["a_22+10.0.0.1", None]),
        ({"10.0.0.1": "transcripts"}, ["transcripts+10.0.0.1"]),
    ],
)
def test_short_names(host_names, expected):
    assert list(short_names(host_names).values()) == expected


@pytest.mark.parametrize("name", ["../x", "x\x1b[31m", "a.b", "10.0.0.9", "7", "a b", "", "x" * 64])
def test_hostile_host_names_are_not_used(name):
    assert short_names({"10.0.0.1": name}) == {"10.0.0.1": None}
