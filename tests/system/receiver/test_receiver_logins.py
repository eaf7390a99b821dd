"""Only a node run with its own login can log in, and wrong logins are limited."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import paramiko
import pytest
import trio

pytestmark = pytest.mark.long


async def test_greeting_comes_at_once(receiver: Any, target: Any, openssh: Any) -> None:
    """A node hangs up on a receiver that is slow to greet. No name service is asked: the process
    may open no connection.
    """
    with trio.fail_after(3):
        stream = await trio.open_tcp_stream("127.0.0.1", receiver.port)
        async with stream:
            assert (await stream.receive_some(100)).startswith(b"SSH-2.0-cucmd\r\n")
    assert (await openssh.sftp(target, "ls\n")).returncode == 0


async def test_logins_are_random_and_typeable(receiver: Any, open_target: Any) -> None:
    targets = [open_target(receiver, str(number)).target for number in range(50)]
    assert (
        len({target.username for target in targets} | {target.password for target in targets})
        == 100
    )
    assert all(target.password.isalnum() and target.password.isascii() for target in targets)
    assert not any(target.password in repr(target) for target in targets)


async def test_wrong_logins_look_alike(open_with: Any, open_target: Any, openssh: Any) -> None:
    async with open_with(wrong_login_delay=0.0) as receiver:
        target = open_target(receiver)
        known = await openssh.sftp(target, "ls\n", password="wrong")
        unknown = await openssh.sftp(
            target, "ls\n", "-oUser=nobody", password=target.target.password
        )
    assert known.returncode == unknown.returncode == 255
    assert known.stderr.replace(target.target.username, "X") == unknown.stderr.replace(
        "nobody", "X"
    )
    assert target.target.logins == 0


async def test_wrong_logins_are_delayed(
    open_with: Any, open_target: Any, openssh: Any, until: Any
) -> None:
    async with open_with(wrong_login_delay=0.1) as receiver:
        target = open_target(receiver)
        with trio.fail_after(20):  # delays that added up over all logins would take 25 s
            for _ in range(4):
                began = trio.current_time()
                # Two tries: password, and keyboard-interactive.
                assert (await openssh.sftp(target, "ls\n", password="wrong")).returncode == 255
                assert trio.current_time() - began >= 0.1 + 0.2
        await until(lambda: target.target.wrong_logins == 8)


async def test_pipelined_guesses_are_not_checked(
    open_with: Any, open_target: Any, other: Any, until: Any
) -> None:
    """A pipelined request cancels the one before it, and with it the delay."""
    async with open_with(wrong_login_delay=0.5) as receiver:
        target = open_target(receiver)

        def guess() -> None:
            with other.transport_of(target.port) as transport:
                with pytest.raises(paramiko.BadAuthenticationType):
                    transport.auth_none(target.target.username)
                for password in ["wrong"] * 5 + [target.target.password]:
                    transport._send_message(request(target.target.username, password))
                transport.join(10)
                assert not transport.is_active()

        await other.run(guess)
        await until(lambda: target.target.wrong_logins == 3)
        assert target.target.logins == 0


def request(username: str, password: str) -> paramiko.Message:
    message = paramiko.Message()
    message.add_byte(b"\x32")  # USERAUTH_REQUEST
    for text in (username, "ssh-connection", "password"):
        message.add_string(text)
    message.add_boolean(False)
    message.add_string(password)
    return message


@pytest.mark.parametrize("sent", [b"", b"SSH-2.0-slow\r\n", b"GET / HTTP/1.1\r\n\r\n"])
async def test_late_client_is_cut(open_with: Any, until: Any, connected: Any, sent: bytes) -> None:
    async with open_with(login_timeout=0.3) as receiver:
        stream = await trio.open_tcp_stream("127.0.0.1", receiver.port)
        async with stream:
            await stream.send_all(sent)
            with trio.fail_after(5):
                while await stream.receive_some(4096):
                    pass
        await until(lambda: not connected(receiver.port))


async def test_login_has_few_connections(target: Any, other: Any, until: Any) -> None:
    def enter() -> int:
        entered = 0
        with ExitStack() as stack:
            for _ in range(6):
                try:
                    stack.enter_context(other.logged_in(target))
                    entered += 1
                except paramiko.SSHException:
                    pass
        return entered

    assert await other.run(enter) == 4
    await until(lambda: target.target.refused == 2)  # the failure of a node names this limit
    await until(lambda: not target.target.connections)
    assert await other.run(enter) == 4, "and again, once they are gone"
