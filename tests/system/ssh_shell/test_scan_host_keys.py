"""The scan returns all host keys of a node, and begins no login."""

import pytest

from cucmd.failure import NodeFailed
from cucmd.ssh.known_line import public_key
from cucmd.ssh.scan import scan_host_keys

HOST = "127.0.0.1"


async def test_every_key_is_returned(bridge, ssh):
    keys = [ssh.host_key(kind) for kind in ("ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa")]
    async with ssh.serve(ssh.node(), keys) as node:
        found = await scan_host_keys(HOST, node.port, seconds=30)
        assert found[0].algorithm == "ssh-rsa"  # the one that a login would meet
        assert set(found) == {public_key(key) for key in keys}


async def test_scan_begins_no_login(bridge, ssh):
    begun = []

    class Watched(ssh.server):
        def begin_auth(self, username):
            begun.append(username)
            return True

    async with ssh.serve(ssh.node(), server=Watched) as node:
        before = ssh.open_sockets()
        await scan_host_keys(HOST, node.port, seconds=30)
        assert ssh.sockets_to(node.port) == []
        await ssh.until(lambda: node.connections == 0 and ssh.open_sockets() == before)
    assert begun == []
    assert not {"password", "keyboard-interactive"} & set(node.events)


async def test_silent_peer_times_out(bridge, ssh):
    async def silence(stream):
        await stream.receive_some()
        async for _ in stream:
            pass
        await stream.aclose()

    before = ssh.open_sockets()
    async with ssh.raw_peer(silence) as port:
        with pytest.raises(NodeFailed) as caught:
            await scan_host_keys(HOST, port, seconds=0.2)
        assert ssh.sockets_to(port) == []
    failure = caught.value.failure
    assert failure.code == "connect_timeout"
    assert failure.message.startswith("TimeoutError: Timed out after 0.2s")
    assert f"{HOST}:{port}" in failure.message
    await ssh.until(lambda: ssh.open_sockets() == before)
