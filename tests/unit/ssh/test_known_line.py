"""Lines of OpenSSH are parsed, and nothing else is taken for a key."""

import base64
import hashlib

import asyncssh
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cucmd.ssh.known_line import host_name, node_name, parse_key, parse_line

# Made by ssh-keygen.
KEY = "AAAAC3NzaC1lZDI1NTE5AAAAIIu0oJPSLpuIOD9zAu9HVEFaFwyNWvMC1iDLQDgX3iDP"
LINE = f"node.example,192.0.2.5 ssh-ed25519 {KEY} made by hand"


def test_line_has_hosts_and_key():
    line = parse_line(LINE)
    assert line is not None
    assert (line.algorithm, line.key, line.revoked) == ("ssh-ed25519", KEY, False)
    raw = hashlib.sha256(base64.b64decode(KEY)).digest()
    assert line.fingerprint == "SHA256:" + base64.b64encode(raw).decode().rstrip("=")
    assert str(line) == f"node.example,192.0.2.5 ssh-ed25519 {KEY}"


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
        f"|1|not-base64|either ssh-ed25519 {KEY}",
        f"|2|c2FsdA==|aGFzaA== ssh-ed25519 {KEY}",
    ],
)
def test_unreadable_line_is_none(text):
    assert parse_line(text) is None


@pytest.mark.parametrize(
    ("host", "port", "written", "node"),
    [
        ("node.example", 22, "node.example", "node.example"),
        ("node.example", 2022, "[node.example]:2022", "node.example:2022"),
        ("2001:db8::5", 22, "2001:db8::5", "2001:db8::5"),
        ("2001:db8::5", 2022, "[2001:db8::5]:2022", "[2001:db8::5]:2022"),
    ],
)
def test_names_are_written_like_openssh(host, port, written, node):
    assert host_name(host, port) == written
    assert node_name(written) == node


@pytest.mark.parametrize("pattern", ["*.example", "|1|c2FsdA==|aGFzaA=="])
def test_patterns_are_shown_unchanged(pattern):
    assert node_name(pattern) == pattern


@pytest.mark.parametrize(
    "text",
    [
        f"ssh-ed25519 {KEY}",
        f"ssh-ed25519 {KEY} comment",
        f"node.example ssh-ed25519 {KEY}",
        f"  [node.example]:2022   ssh-ed25519\t{KEY}\n",
    ],
)
def test_key_is_read_from_any_file(text):
    assert str(parse_key(text)) == f"ssh-ed25519 {KEY}"


@pytest.mark.parametrize("text", ["", "ssh-ed25519", KEY, f"ssh-rsa {KEY}", "ssh-ed25519 AAAA"])
def test_invalid_key_is_refused(text):
    with pytest.raises(ValueError, match="expected a public key"):
        parse_key(text)


@given(st.integers(0, len(KEY) - 1))
def test_cut_key_is_refused(length):
    with pytest.raises(ValueError, match="expected a public key"):
        parse_key(f"ssh-ed25519 {KEY[:length]}")


HOSTS = st.text(st.sampled_from("ab.-*?!,|[]:1/=") | st.characters(), max_size=40)


@given(st.lists(st.one_of(st.text(), HOSTS.map(lambda hosts: f"{hosts} ssh-ed25519 {KEY}"))))
def test_asyncssh_takes_every_parsed_line(texts: list[str]) -> None:
    lines = [line for text in texts if (line := parse_line(text)) is not None]
    known = asyncssh.import_known_hosts("\n".join(line.for_asyncssh for line in lines))
    for line in lines:
        line.hosts_without("a")
    known.match("a", "", None)


@pytest.mark.parametrize(
    ("hosts", "left"),
    [
        ("node.example,b", "b"),
        ("Node.Example", ""),
        ("*.example,b", "*.example,b"),
        ("[node.example]:2022", "[node.example]:2022"),
    ],
)
def test_line_loses_exactly_one_name(hosts: str, left: str) -> None:
    line = parse_line(f"{hosts} ssh-ed25519 {KEY}")
    assert line is not None
    assert line.hosts_without("node.example") == left


def test_hashed_name_is_lost(hashed) -> None:
    line = parse_line(f"{hashed('node.example')} ssh-ed25519 {KEY}")
    assert line is not None
    assert line.hosts_without("node.example") == ""
    assert line.hosts_without("b") == line.hosts
