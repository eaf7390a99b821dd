"""Each way in which a connection fails has its code, and a message with address and reason."""

import pytest
import trio

from cucmd.failure import NodeFailed
from cucmd.ssh.known_hosts import Policy


async def failure(connect, port, **given):
    with pytest.raises(NodeFailed) as caught:
        await connect(port, **given)
    return caught.value.failure


@pytest.mark.parametrize("host", ["no-such-node.invalid", "a..b", "x" * 300])
async def test_unresolvable_name_is_host_unreachable(bridge, connect, host):
    got = await failure(connect, 22, host=host)
    assert got.code == "host_unreachable"
    assert f"{host}:22" in got.message


async def hang_up(stream):
    await stream.aclose()


async def endless_line(stream):
    while True:
        await stream.send_all(b"HELLO " * 1000)


async def rubbish_after_greeting(stream):
    await stream.send_all(b"SSH-2.0-OpenSSH_5.3\r\n" + bytes(range(255, -1, -1)) * 100)
    await trio.sleep_forever()


@pytest.mark.parametrize(
    ("peer", "code", "stage"),
    [
        (hang_up, "connection_lost", "SSH version"),
        (endless_line, "not_a_node", "SSH server"),
        (rubbish_after_greeting, "connection_lost", "key exchange"),
    ],
)
async def test_peer_is_no_ssh_server(bridge, connect, ssh, peer, code, stage):
    async def handler(stream):
        try:
            await peer(stream)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            await stream.aclose()

    before = ssh.open_sockets()
    async with ssh.raw_peer(handler) as port:
        got = await failure(connect, port)
        assert (got.code, stage in got.message) == (code, True), got.message
        assert f"127.0.0.1:{port}" in got.message
    await ssh.until(lambda: ssh.open_sockets() == before)


async def test_no_common_host_key(bridge, connect, ssh):
    async with ssh.serve(ssh.node(), [ssh.host_key("ssh-ed448")]) as node:
        got = await failure(connect, node.port, policy=Policy(legacy_algorithms=True))
    assert got.code == "no_common_algorithm"
    assert "rsa-sha2-256" in got.message
    assert "ssh-ed448" in got.message
    assert "legacy_algorithms" not in got.hint


async def test_error_of_callback_is_raised(node, connect, ssh):
    def refuse(phase):
        raise LookupError("the node was cancelled meanwhile")

    with pytest.raises(LookupError):
        await connect(node.port, on_phase=refuse)
    await ssh.until(lambda: node.connections == 0)
