"""How nodes are named, and which texts are no names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cucmd.node_name import InvalidNode, address, check_host, node_key, parse_node, split_address


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cucm-pub", ("cucm-pub", 22)),
        ("cucm_sub1.example.com:2022", ("cucm_sub1.example.com", 2022)),
        ("10.0.0.1", ("10.0.0.1", 22)),
        ("127.1.0.1:2022", ("127.1.0.1", 2022)),
        ("[2001:db8::1]:2022", ("2001:db8::1", 2022)),
        ("[2001:db8::1]", ("2001:db8::1", 22)),
        ("2001:db8::1", ("2001:db8::1", 22)),
        ("fe80::1%eth0", ("fe80::1%eth0", 22)),
        ("host.example.com.", ("host.example.com.", 22)),
        ("3com", ("3com", 22)),
        ("host:1", ("host", 1)),
        ("host:65535", ("host", 65535)),
    ],
)
def test_names_of_nodes(text, expected):
    assert parse_node(text) == expected
    assert parse_node(address(*expected)) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is empty"),
        (":22", "host name"),
        ("host:", "port from 1 to 65535"),
        ("host:0", "port 0"),
        ("host:65536", "port from 1 to 65535"),
        ("host:+22", "port from 1 to 65535"),
        ("host:\uff12\uff12", "port from 1 to 65535"),
        ("host:22 ", "port from 1 to 65535"),
        (" host", "host name"),
        ("ho st", "host name"),
        ("host\n", "host name"),
        ("host\x1b[2J", "host name"),
        ("../../etc", "host name"),
        ("..", "host name"),
        (".", "host name"),
        ("a..b", "host name"),
        ("-v", "host name"),
        ("host-", "host name"),
        ("bücher.example", "host name"),
        ("a" * 64, "each part of a host name has at most 63 characters, not 64"),
        (f"pub.{'a' * 70}.example:22", "at most 63 characters, not 70"),
        (".".join(["a" * 60] * 5), "at most 253"),
        (".".join(["a" * 62] * 4) + ":2022", "at most 255 characters, not 256"),
        ("10.1", "IPv4"),
        ("10.0.0.256", "IPv4"),
        ("10.0.0.1.5", "IPv4"),
        ("a:b:c", "IPv6"),
        ("[::1", "[address]:port"),
        ("[::1]22", "[address]:port"),
        ("[host]:22", "IPv6"),
        ("[::1]:", "port from 1 to 65535"),
        ("fe80::1%../../x", "interface"),
        ("fe80::1%", "interface"),
    ],
)
def test_texts_that_name_no_node(text, reason):
    with pytest.raises(InvalidNode) as caught:
        parse_node(text)
    assert reason in str(caught.value)


def test_address_may_have_port_zero_where_we_listen():
    assert split_address("0.0.0.0:0") == ("0.0.0.0", 0)
    assert split_address("[::]:2222") == ("::", 2222)
    assert split_address("localhost") == ("localhost", None)


def test_host_takes_no_port():
    assert check_host("10.0.0.1") == "10.0.0.1"
    with pytest.raises(InvalidNode):
        check_host("10.0.0.1:22")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("CUCM1", "cucm1:22"),
        ("cucm1.example.com.", "cucm1.example.com"),
        ("2001:DB8:0::1", "[2001:db8::1]:22"),
    ],
)
def test_spellings_of_one_node(one, other):
    assert node_key(*parse_node(one)) == node_key(*parse_node(other))


def test_another_port_is_another_node():
    assert node_key("cucm1", 22) != node_key("cucm1", 2022)


@given(st.text(max_size=40))
def test_whatever_passes_is_safe_in_a_path_and_on_a_terminal(text):
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
