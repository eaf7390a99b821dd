"""Host keys of nodes: remembered, refused, forgotten; and the file is always complete."""

import errno
import os
import stat
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


async def test_the_first_key_is_remembered_once_it_is_accepted(known, make_key):
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
def test_a_line_is_about_its_hosts(known, make_key, hosts, host, port, known_as):
    known.path.write_text(f"{hosts} {make_key(1)}\n")
    known.load()
    assert known.trusted(host, port) == (make_key(1),) * known_as


def test_a_hashed_name_is_known(known, make_key, hashed):
    known.path.write_text(f"{hashed('[node.example]:2022')} {make_key(1)}\n")
    known.load()
    assert known.trusted("node.example", 2022) == (make_key(1),)
    assert known.trusted("node.example", 22) == ()


def test_a_line_that_asyncssh_rejects_is_left_out(known, make_key):
    known.path.write_text(f"|9|x {make_key(1)}\n@what a {make_key(2)}\nnode {make_key(3)}\n")
    known.load()
    assert known.trusted("node", 22) == (make_key(3),)
    known.add("other", str(make_key(4)))
    assert known.path.read_text().startswith(f"|9|x {make_key(1)}\n@what a {make_key(2)}\n")


@pytest.mark.parametrize("policy", [STRICT, ACCEPT])
def test_a_change_names_both_fingerprints(known, make_key, policy):
    known.add("node.example", str(make_key(1)))
    failure = refused(known.check, *NODE, make_key(2), policy)
    assert failure.code == "host_key_changed"
    assert make_key(1).fingerprint in failure.message
    assert make_key(2).fingerprint in failure.message
    assert "node.example:22" in failure.message
    assert not failure.retryable


def test_a_key_of_another_type_is_a_change(known, make_key):
    known.add("node.example", str(make_key(1)))
    failure = refused(known.check, *NODE, make_key(1, "ssh-rsa"), ACCEPT)
    assert failure.code == "host_key_changed"


def test_strict_accepts_only_a_key_that_was_added_before(known, make_key):
    failure = refused(known.check, *NODE, make_key(1), STRICT)
    assert failure.code == "host_key_unknown"
    assert make_key(1).fingerprint in failure.message
    known.add("node.example", str(make_key(1)))
    known.check(*NODE, make_key(1), STRICT)


def test_off_neither_refuses_nor_remembers(known, make_key):
    known.add("node.example", str(make_key(1)))
    known.check(*NODE, make_key(2), OFF)
    known.accept(*NODE, make_key(2), OFF)
    assert len(known.entries()) == 1


def test_a_revoked_key_is_refused_at_first_sight_too(known, make_key):
    known.path.write_text(f"@revoked * {make_key(1)}\n")
    known.load()
    assert "revoked" in refused(known.check, *NODE, make_key(1), ACCEPT).message
    known.accept(*NODE, make_key(2), ACCEPT)


async def test_a_file_that_is_slow_to_read_does_not_block_lookups(known, make_key):
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


def test_of_two_first_keys_at_once_only_one_is_remembered(known, make_key):
    known.check(*NODE, make_key(1), ACCEPT)
    known.check(*NODE, make_key(2), ACCEPT)
    known.accept(*NODE, make_key(1), ACCEPT)
    assert refused(known.accept, *NODE, make_key(2), ACCEPT).code == "host_key_changed"


def test_keys_are_known_after_a_restart(known, make_key):
    known.add("node.example:2022", str(make_key(1)))
    again = KnownHosts(known.path)
    assert refused(again.check, "node.example", 2022, make_key(2), ACCEPT)
    ((node, line),) = again.entries()
    assert (node, line.algorithm) == ("node.example:2022", "ssh-ed25519")
    assert line.fingerprint == make_key(1).fingerprint
    assert str(line) == f"[node.example]:2022 {make_key(1)}"


def test_adding_again_changes_nothing(known, make_key):
    assert known.add("node.example", str(make_key(1)))
    before = known.path.stat().st_mtime_ns
    assert not known.add("NODE.example.:22", str(make_key(1)))
    assert known.path.stat().st_mtime_ns == before
    assert known.add("node.example", str(make_key(2, "ssh-rsa")))
    assert [line.algorithm for _, line in known.entries()] == ["ssh-ed25519", "ssh-rsa"]


def test_no_login_comes_between_the_check_and_the_adding(known, make_key):
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


def test_of_several_keys_all_are_added_or_none(known, make_key):
    with pytest.raises(ValueError, match="ssh-rsa"):
        known.add("node.example", str(make_key(1)), "ssh-rsa none")
    assert known.entries() == ()
    assert known.add("node.example", str(make_key(1)), str(make_key(2, "ssh-rsa")))
    assert [line.algorithm for _, line in known.entries()] == ["ssh-ed25519", "ssh-rsa"]


def test_forget_returns_how_many_keys_and_leaves_the_others(known, make_key):
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
    """A person or another program writes such lines: comments, TABs, CRLF, no end of line."""
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


def test_forget_without_a_file_makes_none(known):
    assert known.forget("nobody.example") == 0
    assert not known.path.exists()


def test_forget_counts_the_keys_that_were_added_by_hand_meanwhile(known, make_key):
    known.path.write_text(f"node.example {make_key(1)}\n")
    assert known.forget("node.example") == 1
    assert known.path.read_text() == ""


def test_a_forgotten_node_may_show_a_new_key(known, make_key):
    known.add("node.example", str(make_key(1)))
    assert known.forget("node.example") == 1
    known.accept(*NODE, make_key(2), ACCEPT)
    assert [line.fingerprint for _, line in known.entries()] == [make_key(2).fingerprint]


def test_every_name_of_a_line_is_an_entry(known, make_key):
    known.path.write_text(f"node.example,[10.0.0.1]:2022 {make_key(1)} comment\n")
    known.load()
    assert [node for node, _ in known.entries()] == ["node.example", "10.0.0.1:2022"]


@pytest.mark.parametrize("node", ["", "a b", "node:port", "node\n@revoked *", "a,b", "*"])
def test_an_invalid_node_is_not_written_to_the_file(known, make_key, node):
    with pytest.raises(InvalidNode):
        known.add(node, str(make_key(1)))
    with pytest.raises(InvalidNode):
        known.forget(node)
    assert not known.path.exists()


def test_lines_added_by_hand_meanwhile_stay(known, make_key):
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


def test_a_last_line_without_a_line_break_stays_a_line_of_its_own(known, make_key):
    known.path.write_text(f"node.example {make_key(1)}")
    known.load()
    known.add("other.example", str(make_key(2)))
    assert len(known.path.read_text().splitlines()) == 2


def test_only_the_daemon_can_read_the_file(known, make_key):
    known.add("node.example", str(make_key(1)))
    assert stat.S_IMODE(known.path.stat().st_mode) == 0o600


def test_a_file_that_cannot_be_read_raises(tmp_path):
    (tmp_path / "known_hosts").mkdir()
    with pytest.raises(IsADirectoryError):
        KnownHosts(tmp_path / "known_hosts")


async def test_on_a_full_disk_the_old_file_stays_until_a_later_flush(known, make_key, monkeypatch):
    known.add("node.example", str(make_key(1)))
    before = known.path.read_text()

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    known.accept("other.example", 22, make_key(2), ACCEPT)
    with pytest.raises(OSError, match=rf"Errno {errno.ENOSPC}\b"):
        await known.flush()
    assert known.path.read_text() == before
    assert os.listdir(known.path.parent) == ["known_hosts"]
    assert refused(known.check, "other.example", 22, make_key(3), ACCEPT)
    monkeypatch.undo()
    await known.flush()
    assert len(KnownHosts(known.path).entries()) == 2


def test_what_could_not_be_written_has_not_happened(known, make_key, monkeypatch):
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


async def test_many_flushes_at_once_lose_nothing(known, make_key):
    async def meet(number: int) -> None:
        known.accept(f"node{number}.example", 22, make_key(number), ACCEPT)
        await known.flush()

    async with trio.open_nursery() as nursery:
        for number in range(50):
            nursery.start_soon(meet, number)
    assert len(KnownHosts(known.path).entries()) == 50
