"""Who may log in: a live node run with its own login, and nobody else, however often they try."""

from __future__ import annotations

import os
import socket
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import paramiko
import pytest
import trio

pytestmark = pytest.mark.long


def wrong(other: Any, port: int, username: str) -> None:
    """Connects with a wrong login, until that is refused."""
    with (
        other.transport_of(port) as transport,
        pytest.raises(paramiko.AuthenticationException),
    ):
        transport.auth_password(username, "wrong")


async def test_the_greeting_comes_at_once(receiver: Any, target: Any, openssh: Any) -> None:
    """A node hangs up on a receiver that is slow to greet. No name service is asked: the process
    may open no connection.
    """
    with trio.fail_after(3):
        stream = await trio.open_tcp_stream("127.0.0.1", receiver.port)
        async with stream:
            assert (await stream.receive_some(100)).startswith(b"SSH-2.0-cucmd\r\n")
    assert (await openssh.sftp(target, "ls\n")).returncode == 0


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


async def test_a_wrong_password_and_an_unknown_name_get_the_same_answer(
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
    assert target.target.logins == 0


async def test_the_password_of_another_node_run_is_refused(
    receiver: Any, open_target: Any, openssh: Any
) -> None:
    one, two = open_target(receiver, "one"), open_target(receiver, "two")
    assert (await openssh.sftp(one, "ls\n", password=two.target.password)).returncode == 255


async def test_the_login_of_an_ended_run_is_refused(target: Any, openssh: Any) -> None:
    assert (await openssh.sftp(target, "ls\n")).returncode == 0
    await target.target.aclose()
    assert (await openssh.sftp(target, "ls\n")).returncode == 255
    assert target.names() == []


async def test_a_connection_waits_longer_after_each_wrong_login_and_the_next_one_does_not(
    open_with: Any, open_target: Any, openssh: Any, until: Any
) -> None:
    async with open_with(wrong_login_delay=0.1) as receiver:
        target = open_target(receiver)
        with trio.fail_after(20):  # were all eight to wait in turn, it would be 25 s
            for _ in range(4):
                began = trio.current_time()
                # Two tries: password, and keyboard-interactive.
                assert (await openssh.sftp(target, "ls\n", password="wrong")).returncode == 255
                assert trio.current_time() - began >= 0.1 + 0.2
        await until(lambda: target.target.wrong_logins == 8)


@pytest.mark.long
async def test_a_node_is_not_locked_out_by_a_confused_one_behind_the_same_address(
    open_with: Any, open_target: Any, openssh: Any, other: Any, until: Any, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    log.write_bytes(os.urandom(4_000_000))
    async with open_with(wrong_login_delay=0.0) as receiver:
        confused, good = open_target(receiver, "confused"), open_target(receiver, "good")
        over = threading.Event()

        def log_in_wrong_for_ever() -> None:
            while not over.is_set():
                wrong(other, confused.port, confused.target.username)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(other.run, log_in_wrong_for_ever)
            await until(lambda: confused.target.wrong_logins >= 20)
            done = await openssh.sftp(good, f"put {log}\n")
            over.set()
        assert done.returncode == 0, done.stderr
        (file,) = good.target.files()
        assert (file.size, file.closed) == (4_000_000, True)
        assert (good.target.wrong_logins, confused.target.logins) == (0, 0)


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


def read_to_the_end(connection: socket.socket) -> None:
    while True:
        try:
            if not connection.recv(4096):
                return
        except ConnectionResetError:
            return


def request(username: str, password: str) -> paramiko.Message:
    message = paramiko.Message()
    message.add_byte(b"\x32")  # USERAUTH_REQUEST
    for text in (username, "ssh-connection", "password"):
        message.add_string(text)
    message.add_boolean(False)
    message.add_string(password)
    return message


class Strangers:
    """Connections from 127.0.0.9 that say nothing, until the end of the test."""

    def __init__(self, port: int, stack: ExitStack) -> None:
        self._port = port
        self._stack = stack

    def connect(self, source: str = "127.0.0.9") -> socket.socket:
        peer = ("127.0.0.1", self._port)
        return self._stack.enter_context(socket.create_connection(peer, 5, (source, 0)))


@pytest.mark.parametrize(("address", "seconds"), [("127.0.0.1", 600.0), ("", 0.3)])
async def test_idle_connections_keep_no_node_out(
    open_with: Any,
    open_target: Any,
    openssh: Any,
    until: Any,
    connected: Any,
    receiving: Any,
    address: str,
    seconds: float,
) -> None:
    """A node that is expected has places of its own; another one gets that of an idle one."""
    async with open_with(
        unauthenticated=8, login_timeout_crowded=seconds, login_timeout=600
    ) as receiver:
        target = open_target(receiver, address=address)
        with ExitStack() as stack:
            strangers = Strangers(receiver.port, stack)
            for _ in range(100):
                strangers.connect()
            await until(lambda: len(receiving()) == 1 + 8)
            assert (await openssh.sftp(target, "ls\n")).returncode == 0
            assert target.target.refused == 0
            assert len(receiving()) <= 1 + 8 + 2, "one may be at its end, and one was the node's"
        await until(lambda: not connected(receiver.port))


@pytest.mark.parametrize("sent", [b"", b"SSH-2.0-slow\r\n", b"GET / HTTP/1.1\r\n\r\n"])
async def test_a_client_that_does_not_log_in_in_time_is_cut_off(
    open_with: Any, until: Any, connected: Any, sent: bytes
) -> None:
    async with open_with(login_timeout=0.3) as receiver:
        stream = await trio.open_tcp_stream("127.0.0.1", receiver.port)
        async with stream:
            await stream.send_all(sent)
            with trio.fail_after(5):
                while await stream.receive_some(4096):
                    pass
        await until(lambda: not connected(receiver.port))


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
    await until(lambda: target.target.refused == 2)  # else the failure would not name our limit
    await until(lambda: not target.target.connections)
    assert await other.run(enter) == 4, "and again, once they are gone"


async def test_a_public_key_is_refused(target: Any, other: Any) -> None:
    def try_a_key() -> list[str]:
        with other.transport_of(target.port) as transport:
            with pytest.raises(paramiko.BadAuthenticationType) as refused:
                transport.auth_publickey(target.target.username, paramiko.ECDSAKey.generate())
            return refused.value.allowed_types

    assert sorted(await other.run(try_a_key)) == ["keyboard-interactive", "password"]
