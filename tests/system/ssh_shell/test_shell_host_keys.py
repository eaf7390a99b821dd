"""Host keys: remembered at first sight, refused when changed, before a password is sent."""

import asyncssh
import pytest
import trio

from cucmd.failure import NodeFailed
from cucmd.ssh.known_hosts import KnownHosts, Policy
from cucmd.ssh.known_line import public_key

STRICT, ACCEPT, OFF = (Policy(host_keys=kind) for kind in ("strict", "accept-new", "off"))


async def refused(connect, node, policy):
    with pytest.raises(NodeFailed) as caught:
        await connect(node.port, policy=policy)
    return caught.value.failure


async def test_strict_refuses_what_it_does_not_know(node, connect, known):
    failure = await refused(connect, node, STRICT)
    assert failure.code == "host_key_unknown"
    assert f"127.0.0.1:{node.port}" in failure.message
    assert public_key(node.key).fingerprint in failure.message
    assert "password" not in node.events
    assert not known.path.exists()


async def test_strict_accepts_what_was_added(node, connect, known):
    known.add(f"127.0.0.1:{node.port}", str(public_key(node.key)))
    shell = await connect(node.port, policy=STRICT)
    await shell.aclose()


async def test_the_first_key_is_in_the_file_when_the_shell_is_open(node, connect, known):
    shell = await connect(node.port, policy=ACCEPT)
    ((name, line),) = KnownHosts(known.path).entries()
    assert name == f"127.0.0.1:{node.port}"
    assert line.fingerprint == node.key.get_fingerprint("sha256")
    await shell.aclose()


async def test_the_first_key_is_remembered_although_the_login_is_refused(node, connect, known):
    failure = await refused(lambda port, policy: connect(port, password="wrong"), node, ACCEPT)
    assert failure.code == "auth_failed"
    assert known.path.exists()


async def test_the_first_key_is_remembered_although_the_login_is_cancelled(node, connect, known):
    with trio.CancelScope() as scope:
        await connect(node.port, policy=ACCEPT, on_phase=lambda _: scope.cancel())
    assert scope.cancelled_caught
    assert known.path.exists()


async def test_the_first_key_is_remembered_although_the_password_has_expired(
    bridge, connect, ssh, known
):
    async with ssh.serve(ssh.node(password_expired=True)) as node:
        failure = await refused(connect, node, ACCEPT)
    assert failure.code == "auth_failed"
    assert known.path.exists()


@pytest.mark.parametrize("policy", [STRICT, ACCEPT])
async def test_changed_key_is_refused_before_the_password(bridge, connect, ssh, known, policy):
    old = ssh.host_key()
    async with ssh.serve(ssh.node()) as node:
        known.add(f"127.0.0.1:{node.port}", str(public_key(old)))
        failure = await refused(connect, node, policy)
        await ssh.until(lambda: node.connections == 0)
    assert failure.code == "host_key_changed"
    assert public_key(old).fingerprint in failure.message
    assert public_key(node.key).fingerprint in failure.message
    assert "password" not in node.events


async def test_another_type_of_key_is_a_changed_key(bridge, connect, ssh, known):
    async with ssh.serve(ssh.node(), [ssh.host_key("ssh-ed25519")]) as node:
        known.add(f"127.0.0.1:{node.port}", str(public_key(ssh.host_key())))
        assert (await refused(connect, node, ACCEPT)).code == "host_key_changed"


async def test_off_looks_at_no_key_and_remembers_none(bridge, connect, ssh, known):
    async with ssh.serve(ssh.node()) as node:
        known.add(f"127.0.0.1:{node.port}", str(public_key(ssh.host_key())))
        shell = await connect(node.port, policy=OFF)
        await shell.aclose()
    assert len(known.entries()) == 1


@pytest.mark.parametrize("algorithm", ["ssh-rsa", "ecdsa-sha2-nistp256", "ssh-ed25519"])
async def test_known_type_is_what_a_node_with_several_keys_is_asked_for(
    bridge, connect, ssh, known, algorithm
):
    keys = [ssh.host_key(kind) for kind in ("ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa")]
    key = next(key for key in keys if key.get_algorithm() == algorithm)
    async with ssh.serve(ssh.node(), keys) as node:
        known.add(f"127.0.0.1:{node.port}", str(public_key(key)))
        shell = await connect(node.port, policy=STRICT)
        await shell.aclose()


async def test_key_that_the_node_cannot_prove_is_not_remembered(
    bridge, connect, ssh, known, monkeypatch
):
    key = ssh.host_key()
    sign = type(key).sign
    monkeypatch.setattr(type(key), "sign", lambda self, data, name: sign(self, data + b"!", name))
    async with ssh.serve(ssh.node(), [key]) as node:
        failure = await refused(connect, node, ACCEPT)
        assert "password" not in node.events
    assert failure.code == "connection_lost"
    assert "key exchange" in failure.message
    assert known.entries() == ()


async def test_many_at_once_agree_on_one_key(bridge, connect, ssh, known):
    async with ssh.serve(ssh.node()) as node:

        async def log_in():
            shell = await connect(node.port)
            await shell.aclose()

        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(log_in)
    assert len(known.path.read_text().splitlines()) == 1


async def test_file_that_cannot_be_written_fails_no_node(node, connect, tmp_path, caplog):
    stubborn = KnownHosts(tmp_path / "folder" / "known_hosts")
    (tmp_path / "folder").write_text("not a folder")
    shell = await connect(node.port, known=stubborn)
    await shell.aclose()
    assert [one.levelname for one in caplog.records] == ["ERROR"]
    assert str(stubborn.path) in caplog.text
    other = public_key(asyncssh.generate_private_key("ssh-ed25519"))
    with pytest.raises(NodeFailed) as caught:
        stubborn.check("127.0.0.1", node.port, other, ACCEPT)
    assert caught.value.failure.code == "host_key_changed"
