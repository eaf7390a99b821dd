"""Host keys are remembered, compared and forgotten, and the file is always complete."""

import errno
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import trio

from cucmd.failure import NodeFailed
from cucmd.node_name import InvalidNode
from cucmd.ssh.known_hosts import KnownHosts, Policy

STRICT, ACCEPT, OFF = (Policy(kind) for kind in ("strict", "accept-new", "off"))
NODE = ("node.example", 22)


@pytest.fixture
def known(tmp_path) -> KnownHosts:
    return KnownHosts(tmp_path / "known_hosts")


def refused(call, *arguments):
    with pytest.raises(NodeFailed) as caught:
        call(*arguments)
    return caught.value.failure


async def test_first_key_is_saved_when_accepted(known, make_key):
    known.check(*NODE, make_key(1), ACCEPT)
    assert known.entries() == ()
    known.accept(*NODE, make_key(1), ACCEPT)
    assert not known.path.exists()
    await known.flush()
    assert known.path.read_text() == f"node.example {make_key(1)}\n"


@pytest.mark.parametrize(
    ("hosts", "host", "port", "known_as"),
    [
        ("node.example", "NODE.example", 22, True),
        ("node.example", "node.example.", 22, True),
        ("Node.Example", "node.example", 22, True),
        ("node.example", "node.example", 2022, False),
        ("[node.example]:2022", "node.example", 2022, True),
        ("[node.example]:2022", "node.example", 22, False),
        ("2001:db8::5", "2001:DB8:0:0::5", 22, True),
        ("[2001:DB8::5]:2022", "2001:db8::5", 2022, True),
        ("*.Example", "node.example", 22, True),
        ("node?.example", "node1.example", 22, True),
        ("*.example,!node.example", "node.example", 22, False),
        ("!node.example", "other.example", 22, False),
        ("[*]:2022", "node.example", 2022, True),
        ("other.example,", "node.example", 22, False),  # an empty name
    ],
)
def test_line_matches_its_hosts(known, make_key, hosts, host, port, known_as):
    known.path.write_text(f"{hosts} {make_key(1)}\n")
    known.load()
    assert known.trusted(host, port) == (make_key(1),) * known_as


def test_hashed_name_is_known(known, make_key, hashed):
    known.path.write_text(f"{hashed('[node.example]:2022')} {make_key(1)}\n")
    known.load()
    assert known.trusted("node.example", 2022) == (make_key(1),)
    assert known.trusted("node.example", 22) == ()


def test_unreadable_line_is_left_out(known, make_key):
    known.path.write_text(f"|9|x {make_key(1)}\n@what a {make_key(2)}\nnode {make_key(3)}\n")
    known.load()
    assert known.trusted("node", 22) == (make_key(3),)
    known.add("other", str(make_key(4)))
    assert known.path.read_text().startswith(f"|9|x {make_key(1)}\n@what a {make_key(2)}\n")


def test_damaged_lines_are_logged(known, make_key, caplog):
    lines = ["# a comment", "", "10.0.0.1 ssh-rsa AAAAdamaged", f"10.0.0.2 {make_key(1)}", "no key"]
    known.path.write_text("\n".join(lines))
    known.load()
    assert [record.args[1] for record in caplog.records] == [3, 5]


@pytest.mark.parametrize("policy", [STRICT, ACCEPT])
def test_change_names_both_fingerprints(known, make_key, policy):
    known.add("node.example", str(make_key(1)))
    failure = refused(known.check, *NODE, make_key(2), policy)
    assert failure.code == "host_key_changed"
    assert make_key(1).fingerprint in failure.message
    assert make_key(2).fingerprint in failure.message
    assert "node.example:22" in failure.message
    assert not failure.retryable


def test_strict_needs_an_added_key(known, make_key):
    failure = refused(known.check, *NODE, make_key(1), STRICT)
    assert failure.code == "host_key_unknown"
    assert make_key(1).fingerprint in failure.message
    known.add("node.example", str(make_key(1)))
    known.check(*NODE, make_key(1), STRICT)


def test_revoked_key_is_refused(known, make_key):
    known.path.write_text(f"@revoked * {make_key(1)}\n")
    known.load()
    assert "revoked" in refused(known.check, *NODE, make_key(1), ACCEPT).message
    known.accept(*NODE, make_key(2), ACCEPT)


async def test_slow_file_blocks_no_lookup(known, make_key):
    known.add("node.example", str(make_key(1)))
    line = known.path.read_text()
    known.path.unlink()
    os.mkfifo(known.path)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.to_thread.run_sync, known.load)
        slow = await trio.to_thread.run_sync(known.path.open, "w")  # until `load` has opened it
        with slow:
            known.check(*NODE, make_key(1), STRICT)
            slow.write(line)


def test_adding_again_changes_nothing(known, make_key):
    assert known.add("node.example", str(make_key(1)))
    before = known.path.stat().st_mtime_ns
    assert not known.add("NODE.example.:22", str(make_key(1)))
    assert known.path.stat().st_mtime_ns == before
    assert known.add("node.example", str(make_key(2, "ssh-rsa")))
    assert [line.algorithm for _, line in known.entries()] == ["ssh-ed25519", "ssh-rsa"]


def test_check_and_add_are_atomic(known, make_key):
    with ThreadPoolExecutor() as others:
        begun = threading.Event()

        def login():
            begun.set()
            return refused(known.accept, *NODE, make_key(2), ACCEPT)

        def check(trusted):
            assert trusted == ()
            logins.append(others.submit(login))
            begun.wait()

        logins = []
        known.add("node.example", str(make_key(1)), check=check)
        assert logins[0].result().code == "host_key_changed"


def test_all_keys_are_added_or_none(known, make_key):
    with pytest.raises(ValueError, match="ssh-rsa"):
        known.add("node.example", str(make_key(1)), "ssh-rsa none")
    assert known.entries() == ()
    assert known.add("node.example", str(make_key(1)), str(make_key(2, "ssh-rsa")))
    assert [line.algorithm for _, line in known.entries()] == ["ssh-ed25519", "ssh-rsa"]


def test_forget_counts_keys_of_node(known, make_key):
    known.path.write_text(
        "# kept as it is\n"
        f"node.example,other.example {make_key(1)}\n"
        f"node.example {make_key(2)}\n"
        f"[node.example]:2022 {make_key(3)}\n"
        f"*.example {make_key(4)}\n"
        f"@revoked node.example {make_key(5)}\n"
    )
    known.load()
    assert known.forget("node.example") == 2
    assert known.path.read_text() == (
        "# kept as it is\n"
        f"other.example {make_key(1)}\n"
        f"[node.example]:2022 {make_key(3)}\n"
        f"*.example {make_key(4)}\n"
        f"@revoked node.example {make_key(5)}\n"
    )
    assert known.forget("node.example") == 0
    assert known.forget("nobody.example") == 0


def test_forget_changes_nothing_but_the_name(known, make_key):
    """Lines of people and other programs have comments, TABs, CRLF, or no end of line."""
    before, after = (
        f"# by hand\r\n\nnode.example,{name}other.example\t{make_key(1)} of Anna, 2024 \r\n"
        f"  [10.0.0.1]:2022,third.example  {make_key(2)} pub\n@cert-authority * {make_key(3)} ca"
        for name in ("gone.example,", "")
    )
    known.path.write_bytes(before.encode())
    changed = known.path.stat().st_mtime_ns
    for node in ("nobody.example", "third.example:2022", "10.0.0.1"):
        assert known.forget(node) == 0
    assert known.path.read_bytes() == before.encode()
    assert known.path.stat().st_mtime_ns == changed
    assert known.forget("gone.example") == 1
    assert known.path.read_bytes() == f"{after}\n".encode()


@pytest.mark.parametrize("node", ["", "a b", "node:port", "node\n@revoked *", "a,b", "*"])
def test_invalid_node_is_not_written(known, make_key, node):
    with pytest.raises(InvalidNode):
        known.add(node, str(make_key(1)))
    with pytest.raises(InvalidNode):
        known.forget(node)
    assert not known.path.exists()


def test_lines_added_by_hand_stay(known, make_key):
    known.add("node.example", str(make_key(1)))
    with known.path.open("ab") as file:
        file.write(b"# by hand, in Latin-1: \xe4\n" + f"other.example {make_key(2)}\n".encode())
    known.add("third.example", str(make_key(3)))
    content = known.path.read_bytes()
    assert b"# by hand, in Latin-1: \xe4\n" in content
    assert [node for node, _ in KnownHosts(known.path).entries()] == [
        "node.example",
        "other.example",
        "third.example",
    ]


def test_failed_write_is_undone(known, make_key, monkeypatch):
    def full_disk(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    known.add("a", str(make_key(1)))
    known.accept("b", 22, make_key(2), ACCEPT)  # in memory, for the next write
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full_disk)
        for change in (lambda: known.add("c", str(make_key(3))), lambda: known.forget("a")):
            with pytest.raises(OSError, match=rf"Errno {errno.ENOSPC}\b"):
                change()
    assert [name for name, _ in known.entries()] == ["a", "b"]
    known.save()
    assert [name for name, _ in KnownHosts(known.path).entries()] == ["a", "b"]
