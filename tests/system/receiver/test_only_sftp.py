"""A login can open an SFTP session, and can use no other feature of SSH."""

from __future__ import annotations

import socket
from typing import Any

import paramiko
import pytest

pytestmark = pytest.mark.long


@pytest.mark.parametrize("command", [(), ("id",), ("scp -t /",), ("/usr/lib/openssh/sftp-server",)])
async def test_no_shell_and_no_command(target: Any, openssh: Any, command: tuple[str, ...]) -> None:
    done = await openssh.ssh(target, *command, data="id\n")
    assert done.returncode != 0
    assert "uid=" not in done.stdout


@pytest.mark.parametrize("option", ["-tt", "-A", "-X", "-Y"])
async def test_no_terminal_agent_or_x11(target: Any, openssh: Any, option: str) -> None:
    done = await openssh.ssh(target, options=(option,))
    assert done.returncode != 0
    assert done.stdout == ""


@pytest.mark.parametrize("subsystem", ["shell", "netconf", "sftp-server", ""])
async def test_no_other_subsystem(target: Any, other: Any, subsystem: str) -> None:
    def ask() -> None:
        with other.logged_in(target) as transport:
            channel = transport.open_session(timeout=10)
            with pytest.raises(paramiko.SSHException):
                channel.invoke_subsystem(subsystem)

    await other.run(ask)


async def test_no_forwarding(target: Any, other: Any) -> None:
    def ask() -> None:
        with (
            socket.create_server(("127.0.0.1", 0)) as listener,
            other.logged_in(target) as transport,
        ):
            address = listener.getsockname()
            with pytest.raises(paramiko.ChannelException):
                transport.open_channel("direct-tcpip", address, ("127.0.0.1", 1), timeout=10)
            with pytest.raises(paramiko.SSHException):
                transport.request_port_forward("127.0.0.1", 0)
            with pytest.raises(paramiko.ChannelException):
                transport.open_channel("x11", src_addr=("127.0.0.1", 1), timeout=10)
            listener.settimeout(0)
            with pytest.raises(BlockingIOError):
                listener.accept()

    await other.run(ask)


async def test_one_session_per_connection(target: Any, other: Any) -> None:
    def ask() -> None:
        with other.raw_sftp(target) as raw, pytest.raises(paramiko.ChannelException):
            raw.channel.get_transport().open_session(timeout=10)

    await other.run(ask)
