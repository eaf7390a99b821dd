"""The first host key is saved, and a changed one is refused before the password is sent."""

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


async def test_key_is_saved_after_refused_login(node, connect, known):
    failure = await refused(lambda port, policy: connect(port, password="wrong"), node, ACCEPT)
    assert failure.code == "auth_failed"
    assert known.path.exists()


async def test_key_is_saved_after_cancelled_login(node, connect, known):
    with trio.CancelScope() as scope:
        await connect(node.port, policy=ACCEPT, on_phase=lambda _: scope.cancel())
    assert scope.cancelled_caught
    assert known.path.exists()


@pytest.mark.parametrize("policy", [STRICT, ACCEPT])
async def test_changed_key_gets_no_password(bridge, connect, ssh, known, policy):
    old = ssh.host_key()
    async with ssh.serve(ssh.node()) as node:
        known.add(f"127.0.0.1:{node.port}", str(public_key(old)))
        failure = await refused(connect, node, policy)
        await ssh.until(lambda: node.connections == 0)
    assert failure.code == "host_key_changed"
    assert public_key(old).fingerprint in failure.message
    assert public_key(node.key).fingerprint in failure.message
    assert "password" not in node.events


@pytest.mark.parametrize("algorithm", ["ssh-rsa", "ecdsa-sha2-nistp256", "ssh-ed25519"])
async def test_known_key_type_is_asked_for(bridge, connect, ssh, known, algorithm):
    keys = [ssh.host_key(kind) for kind in ("ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa")]
    key = next(key for key in keys if key.get_algorithm() == algorithm)
    async with ssh.serve(ssh.node(), keys) as node:
        known.add(f"127.0.0.1:{node.port}", str(public_key(key)))
        shell = await connect(node.port, policy=STRICT)
        await shell.aclose()


async def test_unproven_key_is_not_saved(bridge, connect, ssh, known):
    key = ssh.host_key()
    sign = key.sign
    key.sign = lambda data, name: sign(data + b"!", name)
    async with ssh.serve(ssh.node(), [key]) as node:
        failure = await refused(connect, node, ACCEPT)
        assert "password" not in node.events
    assert failure.code == "connection_lost"
    assert "key exchange" in failure.message
    assert known.entries() == ()


async def test_unwritable_file_fails_no_node(node, connect, tmp_path, caplog):
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
