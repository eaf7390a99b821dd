"""Looking at a node's host keys: all of them, proved, and without a word of a login."""

import pytest
import trio

from cucmd.failure import NodeFailed
from cucmd.ssh.known_line import public_key
from cucmd.ssh.scan import scan_host_keys

HOST = "127.0.0.1"


async def test_every_key_of_the_node_is_shown(bridge, ssh):
    keys = [ssh.host_key(kind) for kind in ("ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa")]
    async with ssh.serve(ssh.node(), keys) as node:
        found = await scan_host_keys(HOST, node.port, seconds=30)
        assert found[0].algorithm == "ssh-rsa"  # the one that a login would meet
        assert set(found) == {public_key(key) for key in keys}


async def test_no_login_is_begun_and_nothing_stays_open(node, ssh, monkeypatch):
    begun = []
    monkeypatch.setattr(ssh.server, "begin_auth", lambda self, name: begun.append(name) or True)
    before = ssh.open_sockets()
    await scan_host_keys(HOST, node.port, seconds=30)
    assert ssh.sockets_to(node.port) == 0
    await ssh.until(lambda: node.connections == 0 and ssh.open_sockets() == before)
    assert begun == []
    assert not {"password", "keyboard-interactive"} & set(node.events)


async def test_key_that_is_added_lets_a_strict_login_in(node, connect, known):
    from cucmd.ssh.known_hosts import Policy

    for key in await scan_host_keys(HOST, node.port, seconds=30):
        assert known.add(f"{HOST}:{node.port}", str(key))
    shell = await connect(node.port, policy=Policy("strict"))
    await shell.aclose()


async def test_node_with_no_key_that_we_take_has_its_keys_named(bridge, ssh):
    async with ssh.serve(ssh.node(), [ssh.host_key("ssh-ed448")]) as node:
        with pytest.raises(NodeFailed, match="ssh-ed448") as caught:
            await scan_host_keys(HOST, node.port, seconds=30)
    assert caught.value.failure.code == "no_common_algorithm"


async def test_old_node_needs_legacy_algorithms(bridge, ssh):
    key = ssh.host_key("ssh-rsa")
    async with ssh.serve(ssh.node(), [key], kex_algs=["diffie-hellman-group14-sha1"]) as node:
        with pytest.raises(NodeFailed, match="diffie-hellman-group14-sha1") as caught:
            await scan_host_keys(HOST, node.port, seconds=30)
        assert caught.value.failure.code == "no_common_algorithm"
        found = await scan_host_keys(HOST, node.port, seconds=30, legacy_algorithms=True)
    assert found == (public_key(key),)


async def test_silent_peer_ends_it_in_time(bridge, ssh):
    async def silence(stream):
        await stream.receive_some()
        async for _ in stream:
            pass
        await stream.aclose()

    before = ssh.open_sockets()
    async with ssh.raw_peer(silence) as port:
        with pytest.raises(NodeFailed) as caught:
            await scan_host_keys(HOST, port, seconds=0.2)
        assert ssh.sockets_to(port) == 0
    failure = caught.value.failure
    assert failure.code == "connect_timeout"
    assert failure.message.startswith("TimeoutError: Timed out after 0.2s")
    assert f"{HOST}:{port}" in failure.message
    await ssh.until(lambda: ssh.open_sockets() == before)


async def test_cancelled_it_leaves_no_socket(node, ssh):
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: scan_host_keys(HOST, node.port, seconds=30))
            await ssh.until(lambda: ssh.sockets_to(node.port) > 0)
            scope.cancel()
    assert scope.cancelled_caught
    assert ssh.sockets_to(node.port) == 0
