"""Lines of known_hosts files: those of OpenSSH are parsed, and nothing else is taken for a key."""

import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cucmd.ssh.known_line import (
    HostLine,
    HostLines,
    host_name,
    node_name,
    parse_key,
    parse_line,
)

# Made by ssh-keygen; the fingerprint is what `ssh-keygen -l` says of it.
KEY = "AAAAC3NzaC1lZDI1NTE5AAAAIIu0oJPSLpuIOD9zAu9HVEFaFwyNWvMC1iDLQDgX3iDP"
LINE = f"node.example,192.0.2.5 ssh-ed25519 {KEY} made by hand"


def digest(name: str, salt: bytes = b"salt") -> str:
    code = hmac.new(salt, name.encode(), hashlib.sha1).digest()
    return "|1|" + "|".join(base64.b64encode(part).decode() for part in (salt, code))


def test_a_line_names_its_hosts_and_its_key():
    line = parse_line(LINE)
    assert line is not None
    assert (line.algorithm, line.key, line.revoked) == ("ssh-ed25519", KEY, False)
    raw = hashlib.sha256(base64.b64decode(KEY)).digest()
    assert line.fingerprint == "SHA256:" + base64.b64encode(raw).decode().rstrip("=")
    assert str(line) == f"node.example,192.0.2.5 ssh-ed25519 {KEY}"


@pytest.mark.parametrize(
    ("hosts", "host", "port", "expected"),
    [
        ("node.example", "NODE.example", 22, True),
        ("node.example", "node.example.", 22, True),
        ("Node.Example", "node.example", 22, True),
        ("node.example", "node.example", 2022, False),
        ("[node.example]:2022", "node.example", 2022, True),
        ("[node.example]:2022", "node.example", 22, False),
        ("2001:db8::5", "2001:DB8:0:0::5", 22, True),
        ("[2001:db8::5]:2022", "2001:db8::5", 2022, True),
        ("*.example", "node.example", 22, True),
        ("node?.example", "node1.example", 22, True),
        ("*.example,!node.example", "node.example", 22, False),
        ("!node.example", "other.example", 22, False),
        ("[*]:2022", "node.example", 2022, True),
        (digest("node.example"), "node.example", 22, True),
        (digest("node.example"), "other.example", 22, False),
        ("|1|not-base64|either", "node.example", 22, False),
        ("|2|" + digest("node.example")[3:], "node.example", 22, False),
    ],
)
def test_a_line_matches_a_host(hosts, host, port, expected):
    line = parse_line(f"{hosts} ssh-ed25519 {KEY}")
    assert line is not None
    assert line.matches(host_name(host, port)) is expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# a comment",
        "node.example ssh-ed25519",
        f"@cert-authority *.example ssh-ed25519 {KEY}",
        f"@unknown node.example ssh-ed25519 {KEY}",
        f"node.example ssh-rsa {KEY}",  # the key itself has another type
        f"node.example ssh-ed25519 {KEY[:-3]}",
        "node.example ssh-ed25519 not-base64",
        f"{'x' * 20_000} ssh-ed25519 {KEY}",
    ],
)
def test_a_line_that_cannot_be_parsed_is_none(text):
    assert parse_line(text) is None


def test_a_revoked_key_is_parsed_and_marked():
    line = parse_line(f"@revoked node.example ssh-ed25519 {KEY}")
    assert line is not None
    assert line.revoked
    assert str(line) == f"@revoked node.example ssh-ed25519 {KEY}"


@pytest.mark.parametrize(
    ("node", "written"),
    [
        (("node.example", 22), "node.example"),
        (("node.example", 2022), "[node.example]:2022"),
        (("2001:db8::5", 22), "2001:db8::5"),
        (("2001:db8::5", 2022), "[2001:db8::5]:2022"),
    ],
)
def test_names_are_written_as_openssh_does(node, written):
    assert host_name(*node) == written


@pytest.mark.parametrize(
    ("pattern", "node"),
    [
        ("node.example", "node.example"),
        ("[node.example]:2022", "node.example:2022"),
        ("[2001:db8::5]:2022", "[2001:db8::5]:2022"),
        ("2001:db8::5", "2001:db8::5"),
        ("*.example", "*.example"),
        ("|1|c2FsdA==|aGFzaA==", "|1|c2FsdA==|aGFzaA=="),
    ],
)
def test_names_are_shown_as_we_write_nodes(pattern, node):
    assert node_name(pattern) == node


@pytest.mark.parametrize(
    "text",
    [
        f"ssh-ed25519 {KEY}",
        f"ssh-ed25519 {KEY} comment",
        f"node.example ssh-ed25519 {KEY}",
        f"  [node.example]:2022   ssh-ed25519\t{KEY}\n",
    ],
)
def test_a_key_is_read_from_each_kind_of_file(text):
    assert str(parse_key(text)) == f"ssh-ed25519 {KEY}"


@pytest.mark.parametrize("text", ["", "ssh-ed25519", KEY, f"ssh-rsa {KEY}", "ssh-ed25519 AAAA"])
def test_an_invalid_key_raises_with_what_was_expected(text):
    with pytest.raises(ValueError, match="expected a public key"):
        parse_key(text)


@given(st.integers(0, len(KEY) - 1))
def test_a_key_that_was_cut_off_is_refused(length):
    with pytest.raises(ValueError, match="expected a public key"):
        parse_key(f"ssh-ed25519 {KEY[:length]}")


@given(st.text())
def test_no_text_breaks_the_parser(text):
    line = parse_line(text)
    if line is not None:
        line.matches(host_name("node.example", 22))


@given(
    st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), min_size=1, max_size=40),
    st.text(st.sampled_from("ab.-*?!,|[]:1"), max_size=20),
)
def test_no_pattern_breaks_the_comparison(first, second):
    line = parse_line(f"{first},{second} ssh-ed25519 {KEY}")
    if line is not None:
        assert line.matches(host_name("node.example", 22)) in (True, False)


HOSTS = ("a.example", "b.example", "*.example", "!a.example", "A.example", digest("b.example"))


@given(st.lists(st.lists(st.sampled_from(HOSTS), min_size=1, max_size=3), max_size=8))
def test_lines_about_a_host_are_those_that_match_in_their_order(hosts: list[list[str]]):
    parsed = (parse_line(f"{','.join(names)} ssh-ed25519 {KEY}") for names in hosts)
    lines = [line for line in parsed if line is not None]
    for host in ("a.example", "b.example", "c.example", "other"):
        name = host_name(host, 22)
        expected = tuple(line for line in lines if line.matches(name))
        assert HostLines(lines).about(name) == expected


def test_a_host_among_many_with_plain_names_is_found_without_a_look_at_each(
    monkeypatch: pytest.MonkeyPatch,
):
    parsed = (parse_line(f"node{number} ssh-ed25519 {KEY}") for number in range(1000))
    lines = HostLines(line for line in parsed if line is not None)
    monkeypatch.setattr(HostLine, "matches", None)
    (found,) = lines.about(host_name("node500", 22))
    assert found.hosts == "node500"
