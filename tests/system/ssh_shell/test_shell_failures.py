"""Every way in which a connection fails has its code, and a message that names where and why."""

import socket

import pytest
import trio

from cucmd.failure import NodeFailed
from cucmd.ssh.known_hosts import Policy


async def failure(connect, port, **given):
    with pytest.raises(NodeFailed) as caught:
        await connect(port, **given)
    return caught.value.failure


@pytest.fixture
def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


async def test_refused(bridge, connect, free_port):
    got = await failure(connect, free_port)
    assert got.code == "connection_refused"
    assert f"127.0.0.1:{free_port}" in got.message


async def test_unreachable(bridge, connect):
    got = await failure(connect, 22, host="255.255.255.255")
    assert got.code == "host_unreachable"
    assert "255.255.255.255:22" in got.message


@pytest.mark.parametrize("host", ["no-such-node.invalid", "a..b", "x" * 300])
async def test_name_that_cannot_be_resolved(bridge, connect, host):
    got = await failure(connect, 22, host=host)
    assert got.code == "host_unreachable"
    assert f"{host}:22" in got.message


async def reset(stream):
    linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
    stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    await stream.aclose()


async def hang_up(stream):
    await stream.aclose()


async def greet_and_hang_up(stream):
    await stream.send_all(b"SSH-2.0-OpenSSH_5.3\r\n")
    await stream.receive_some()
    await reset(stream)


async def old_protocol(stream):
    await stream.send_all(b"SSH-1.5-Cisco-1.25\n")
    await trio.sleep_forever()


async def endless_line(stream):
    while True:
        await stream.send_all(b"HELLO " * 1000)


async def endless_lines(stream):
    while True:
        await stream.send_all(b"220 hello\r\n" * 1000)


async def rubbish_after_greeting(stream):
    await stream.send_all(b"SSH-2.0-OpenSSH_5.3\r\n" + bytes(range(255, -1, -1)) * 100)
    await trio.sleep_forever()


async def not_ascii(stream):
    await stream.send_all(b"SSH-2.0-\xff\xfe\r\n")
    await trio.sleep_forever()


@pytest.mark.parametrize(
    ("peer", "code", "stage"),
    [
        (hang_up, "connection_lost", "SSH version"),
        (reset, "connection_lost", "SSH version"),
        (greet_and_hang_up, "connection_lost", "key exchange"),
        (old_protocol, "not_a_node", "SSH server"),
        (endless_line, "not_a_node", "SSH server"),
        (endless_lines, "not_a_node", "SSH server"),
        (rubbish_after_greeting, "connection_lost", "key exchange"),
        (not_ascii, "connection_lost", "SSH version"),
    ],
)
async def test_peer_that_is_no_ssh_server(bridge, connect, ssh, peer, code, stage):
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


# One that we offer by default for each purpose.
OURS = {"key exchange": "ecdh-sha2-nistp256", "cipher": "aes128-ctr", "MAC": "hmac-sha2-256"}


@pytest.mark.parametrize(
    ("purpose", "options"),
    [
        ("key exchange", {"kex_algs": ["diffie-hellman-group1-sha1"]}),
        ("cipher", {"encryption_algs": ["3des-cbc"]}),
        ("MAC", {"encryption_algs": ["aes128-ctr"], "mac_algs": ["hmac-md5"]}),
    ],
)
async def test_no_common_algorithm_names_both_offers(bridge, connect, ssh, purpose, options):
    async with ssh.serve(ssh.node(), **options) as node:
        got = await failure(connect, node.port)
    assert got.code == "no_common_algorithm"
    assert purpose in got.message
    assert list(options.values())[-1][0] in got.message
    assert OURS[purpose] in got.message
    assert "legacy_algorithms" in got.hint


async def test_no_common_host_key_names_both_offers(bridge, connect, ssh):
    async with ssh.serve(ssh.node(), [ssh.host_key("ssh-ed448")]) as node:
        got = await failure(connect, node.port, policy=Policy(legacy_algorithms=True))
    assert got.code == "no_common_algorithm"
    assert "rsa-sha2-256" in got.message
    assert "ssh-ed448" in got.message
    assert "legacy_algorithms" not in got.hint


async def test_what_on_phase_raises_is_raised_by_open_shell(node, connect, ssh):
    def refuse(phase):
        raise LookupError("the node was cancelled meanwhile")

    with pytest.raises(LookupError):
        await connect(node.port, on_phase=refuse)
    await ssh.until(lambda: node.connections == 0)
