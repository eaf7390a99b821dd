"""Who gets in: the login of a live node run, and nobody else, however often they knock."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack
from typing import Any

import paramiko
import pytest
import trio


def wrong(other: Any, port: int, username: str, password: str, source: str = "127.0.0.1") -> float:
    """Seconds until a wrong login was refused."""
    with other.transport_of(port, source) as transport:
        began = time.monotonic()
        with pytest.raises(paramiko.AuthenticationException):
            transport.auth_password(username, password)
        return time.monotonic() - began


async def test_the_greeting_comes_at_once_and_asks_no_name_service(
    receiver: Any, target: Any, openssh: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node hangs up on a receiver that is slow to greet."""
    asked: list[Any] = []
    monkeypatch.setattr(socket, "getnameinfo", lambda *given: asked.append(given) or ("x", "1"))
    with trio.fail_after(3):
        stream = await trio.open_tcp_stream("127.0.0.1", receiver.port)
        async with stream:
            assert (await stream.receive_some(100)).startswith(b"SSH-2.0-cucmd\r\n")
    assert (await openssh.sftp(target, "ls\n")).returncode == 0
    assert asked == []


async def test_logins_are_random_and_can_be_typed_at_a_node(
    receiver: Any, open_target: Any
) -> None:
    targets = [open_target(receiver, str(number)).target for number in range(50)]
    assert (
        len({target.username for target in targets} | {target.password for target in targets})
        == 100
    )
    assert all(target.password.isalnum() and target.password.isascii() for target in targets)
    assert not any(target.password in repr(target) for target in targets)


async def test_a_wrong_password_and_an_unknown_name_are_told_the_same(
    open_with: Any, open_target: Any, openssh: Any
) -> None:
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
    assert not target.target.connected


async def test_the_password_of_another_node_run_is_refused(
    receiver: Any, open_target: Any, openssh: Any
) -> None:
    one, two = open_target(receiver, "one"), open_target(receiver, "two")
    assert (await openssh.sftp(one, "ls\n", password=two.target.password)).returncode == 255


async def test_an_ended_run_lets_nobody_in(target: Any, openssh: Any) -> None:
    assert (await openssh.sftp(target, "ls\n")).returncode == 0
    await target.target.aclose()
    assert (await openssh.sftp(target, "ls\n")).returncode == 255
    assert target.names() == []


async def test_each_wrong_login_is_answered_later_than_the_one_before(
    open_with: Any, open_target: Any, other: Any
) -> None:
    async with open_with(wrong_login_delay=0.1, wrong_login_delay_cap=0.4) as receiver:
        target = open_target(receiver)

        def knock() -> list[float]:
            return [wrong(other, target.port, target.target.username, "wrong") for _ in range(4)]

        took = await other.run(knock)
        assert took[0] >= 0.1
        assert took[1] >= 0.2
        assert 0.4 <= took[3] < 5


async def test_an_address_with_many_wrong_logins_is_not_heard_and_others_are(
    open_with: Any, open_target: Any, openssh: Any, other: Any
) -> None:
    async with open_with(wrong_login_delay=0.0, wrong_logins=3) as receiver:
        target = open_target(receiver)

        def knock() -> None:
            for _ in range(3):
                wrong(other, target.port, target.target.username, "wrong", "127.0.0.9")
            with pytest.raises((paramiko.SSHException, EOFError)):
                wrong(other, target.port, target.target.username, "wrong", "127.0.0.9")

        await other.run(knock)
        assert (await openssh.sftp(target, "ls\n")).returncode == 0


async def test_a_connection_is_cut_after_its_third_wrong_login(
    open_with: Any, open_target: Any, other: Any
) -> None:
    async with open_with(wrong_login_delay=0.0) as receiver:
        target = open_target(receiver)

        def guess() -> int:
            with other.transport_of(target.port) as transport:
                for number in range(10):
                    try:
                        transport.auth_password(target.target.username, f"guess {number}")
                    except paramiko.BadAuthenticationType:
                        raise
                    except (paramiko.SSHException, EOFError):
                        if not transport.is_active():
                            return number + 1
            return -1

        assert await other.run(guess) <= 3


async def test_guesses_that_do_not_wait_for_an_answer_are_not_checked(
    open_with: Any, open_target: Any, other: Any
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
        assert receiver.guard.wrong("127.0.0.1", trio.current_time()) == 4.0, "three were checked"
        assert not target.target.connected


def request(username: str, password: str) -> paramiko.Message:
    message = paramiko.Message()
    message.add_byte(b"\x32")  # USERAUTH_REQUEST
    for text in (username, "ssh-connection", "password"):
        message.add_string(text)
    message.add_boolean(False)
    message.add_string(password)
    return message


async def test_connections_without_a_login_are_limited_for_an_address(
    open_with: Any, open_target: Any, openssh: Any, until: Any
) -> None:
    async with open_with(unauthenticated_per_address=3) as receiver:
        target = open_target(receiver)
        with ExitStack() as stack:

            def connect(source: str = "127.0.0.9") -> socket.socket:
                peer = ("127.0.0.1", receiver.port)
                return stack.enter_context(socket.create_connection(peer, 5, (source, 0)))

            for _ in range(3):
                assert await trio.to_thread.run_sync(connect().recv, 100)
            assert await trio.to_thread.run_sync(connect().recv, 100) == b"", "one too many"
            assert (await openssh.sftp(target, "ls\n")).returncode == 0, "another address"
        await until(lambda: not receiver._connections)


async def test_connections_without_a_login_are_limited_in_all(open_with: Any, until: Any) -> None:
    async with open_with(unauthenticated=3) as receiver:
        with ExitStack() as stack:
            heard = []
            for number in range(5):
                peer, source = ("127.0.0.1", receiver.port), (f"127.0.1.{number + 1}", 0)
                connection = stack.enter_context(socket.create_connection(peer, 5, source))
                heard.append(bool(await trio.to_thread.run_sync(connection.recv, 100)))
            assert heard == [True, True, True, False, False]
        await until(lambda: not receiver._connections)


@pytest.mark.parametrize("said", [b"", b"SSH-2.0-slow\r\n", b"GET / HTTP/1.1\r\n\r\n"])
async def test_who_does_not_log_in_in_time_is_cut_off(
    open_with: Any, until: Any, said: bytes
) -> None:
    async with open_with(login_timeout=0.3) as receiver:
        stream = await trio.open_tcp_stream("127.0.0.1", receiver.port)
        async with stream:
            await stream.send_all(said)
            with trio.fail_after(5):
                while await stream.receive_some(4096):
                    pass
        await until(lambda: not receiver._connections)


async def test_a_login_does_not_open_more_than_a_few_connections_at_once(
    target: Any, other: Any, until: Any
) -> None:
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
    await until(lambda: not target.receiver._connections)
    assert await other.run(enter) == 4, "and again, once they are gone"


async def test_a_public_key_is_no_way_in(target: Any, other: Any) -> None:
    def knock() -> list[str]:
        with other.transport_of(target.port) as transport:
            with pytest.raises(paramiko.BadAuthenticationType) as refused:
                transport.auth_publickey(target.target.username, paramiko.ECDSAKey.generate())
            return refused.value.allowed_types

    assert sorted(await other.run(knock)) == ["keyboard-interactive", "password"]
