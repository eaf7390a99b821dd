"""Attacks the daemon. Each attacker is a process that uses little of the processor itself.

    attackers.py ignore PORT [SOURCE]        IGNORE packets before any key exchange
    attackers.py exchange PORT [SOURCE]      key exchanges, each as costly as it can be
    attackers.py idle PORT [SOURCE]          connections that say nothing
    attackers.py crowd PORT                  more of them, of 40 addresses of the machine
    attackers.py upload PORT USER PASSWORD   logs in, then sends empty packets
    attackers.py node ADDRESS                a node: takes any login, then sends empty packets
    attackers.py connect SOCKET UID GID      a local user: connects and leaves
    attackers.py unread SOCKET UID GID       a local user: sends empty calls, and reads no reply
    attackers.py brackets SOCKET UID GID     a local user: sends a megabyte of brackets, and again

The first two and the local users send bytes that were made in advance. All attackers go on until
they are killed, and connect again whenever they are cut off. Each prints a line of JSON when it
begins.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

IGNORE_CONNECTIONS = 16
EXCHANGE_CONNECTIONS = 8
IDLE_CONNECTIONS = 300
CROWD_CONNECTIONS, CROWD_ADDRESSES = 600, 40

GROUP_EXCHANGE = b"diffie-hellman-group-exchange-sha256"
GROUP_16 = b"diffie-hellman-group16-sha512"

_AT_ONCE = 64 * 1024
_PAUSE = 0.02  # seconds to wait after a connection was refused or cut at once


def packet(payload: bytes) -> bytes:
    """Makes an SSH packet as it is before the first key exchange."""
    padding = 8 - (5 + len(payload)) % 8
    padding += 8 if padding < 4 else 0
    length = 1 + len(payload) + padding
    return length.to_bytes(4, "big") + bytes([padding]) + payload + bytes(padding)


def string(value: bytes) -> bytes:
    return len(value).to_bytes(4, "big") + value


VERSION = b"SSH-2.0-attacker\r\n"
IGNORE = packet(b"\x02" + string(b""))
_NAMES = (
    GROUP_EXCHANGE + b"," + GROUP_16,
    b"rsa-sha2-512,rsa-sha2-256",
    *[b"aes128-ctr"] * 2,
    *[b"hmac-sha2-256"] * 2,
    *[b"none"] * 2,
    *[b""] * 2,
)
KEXINIT = packet(b"\x14" + bytes(16) + b"".join(map(string, _NAMES)) + bytes(5))
_LARGEST = b"".join(size.to_bytes(4, "big") for size in (1024, 8192, 8192))
WITH_LARGEST_GROUP = packet(b"\x22" + _LARGEST) + packet(b"\x20" + string(b"\x02"))
HOST_KEY = string(b"ssh-rsa")  # the answer to the exchange has it, and nothing before does
WITH_GROUP_16 = packet(b"\x1e" + string(b"\x02"))


class Peer:
    """Holds a connection of an attacker, which sends `first` once and `say` again and again."""

    def __init__(self, port: int, source: str, first: bytes, say: bytes) -> None:
        self.socket = socket.socket()
        self.socket.bind((source, 0))
        self.socket.setblocking(False)
        self.socket.connect_ex(("127.0.0.1", port))
        self.begun = time.monotonic()
        self._first = first
        self._say = say

    def send(self) -> None:
        """Raises OSError if the connection was cut."""
        if self._first:
            self._first = self._first[self.socket.send(self._first) :]
        elif self._say:
            self.socket.send(self._say)

    @property
    def wants_to_send(self) -> bool:
        return bool(self._first or self._say)

    def read(self) -> None:
        """Raises OSError if the connection was cut."""
        if not self.socket.recv(_AT_ONCE):
            raise ConnectionResetError


class Exchanging(Peer):
    """Asks for the largest Diffie-Hellman group; connects again when the daemon has computed it."""

    def __init__(self, port: int, source: str) -> None:
        super().__init__(port, source, VERSION + KEXINIT, b"")
        self._heard = b""
        self._asked = False

    def read(self) -> None:
        data = self.socket.recv(_AT_ONCE)
        self._heard += data
        if not data or HOST_KEY in self._heard:
            raise ConnectionResetError
        if not self._asked and len(self._heard) > 700:
            self._asked = True
            self._first = WITH_LARGEST_GROUP if GROUP_EXCHANGE in self._heard else WITH_GROUP_16


_of_crowd = itertools.cycle(f"127.0.0.{100 + number}" for number in range(CROWD_ADDRESSES))


def peer(kind: str, port: int, source: str) -> Peer:
    if kind == "crowd":
        return Peer(port, next(_of_crowd), b"", b"")
    if kind == "exchange":
        return Exchanging(port, source)
    if kind == "idle":
        return Peer(port, source, b"", b"")
    return Peer(port, source, VERSION, IGNORE * (_AT_ONCE // len(IGNORE)))


COUNTS = {
    "ignore": IGNORE_CONNECTIONS,
    "exchange": EXCHANGE_CONNECTIONS,
    "idle": IDLE_CONNECTIONS,
    "crowd": CROWD_CONNECTIONS,
}


def attack(kind: str, port: int, source: str) -> None:
    with selectors.DefaultSelector() as selector:
        for _ in range(COUNTS[kind]):
            _enter(selector, peer(kind, port, source))
        print(json.dumps({"attack": kind}), flush=True)
        while True:
            for key, events in selector.select():
                _step(selector, key.data, events, kind, port, source)


def _enter(selector: selectors.BaseSelector, one: Peer) -> None:
    selector.register(one.socket, _events(one), one)


def _events(one: Peer) -> int:
    return selectors.EVENT_READ | (selectors.EVENT_WRITE if one.wants_to_send else 0)


def _step(
    selector: selectors.BaseSelector, one: Peer, events: int, kind: str, port: int, source: str
) -> None:
    try:
        if events & selectors.EVENT_READ:
            one.read()
        if events & selectors.EVENT_WRITE:
            one.send()
        selector.modify(one.socket, _events(one), one)
    except BlockingIOError:
        pass
    except OSError:
        selector.unregister(one.socket)
        one.socket.close()
        if time.monotonic() - one.begun < _PAUSE:
            time.sleep(_PAUSE)
        _enter(selector, peer(kind, port, source))


# -- peers that have logged in


def flood(connection: Any) -> None:
    """Sends empty IGNORE packets without end. They are encrypted here, since asyncssh is slower."""
    encryption, sequence = connection._send_encryption, connection._send_seq
    sock = connection.get_extra_info("socket").dup()
    sock.setblocking(True)
    padding = 10  # 16 bytes in all, a block of the cipher
    body = bytes([padding]) + b"\x02" + string(b"") + bytes(padding)
    header = len(body).to_bytes(4, "big")
    while True:
        pieces = []
        for _ in range(2000):
            pieces += encryption.encrypt_packet(sequence, header, body)
            sequence = (sequence + 1) & 0xFFFFFFFF
        sock.sendall(b"".join(pieces))


OPTIONS: dict[str, Any] = {"encryption_algs": ["aes128-gcm@openssh.com"], "config": None}


async def node(address: str) -> None:
    import asyncssh

    opened: asyncio.Queue[Any] = asyncio.Queue()

    class Terminal(asyncssh.SSHServerSession[bytes]):
        def pty_requested(self, *_: Any) -> bool:
            return True

        def shell_requested(self) -> bool:
            return True

    class Anybody(asyncssh.SSHServer):
        def connection_made(self, conn: Any) -> None:
            self.connection = conn

        def begin_auth(self, username: str) -> bool:
            return True

        def password_auth_supported(self) -> bool:
            return True

        def validate_password(self, username: str, password: str) -> bool:
            return True

        def session_requested(self) -> Any:
            asyncio.get_running_loop().call_later(0.1, opened.put_nowait, self.connection)
            return Terminal()

    key = asyncssh.generate_private_key("ecdsa-sha2-nistp256")
    server = await asyncssh.listen(
        address, 0, server_factory=Anybody, server_host_keys=[key], **OPTIONS
    )
    where = f"{address}:{server.sockets[0].getsockname()[1]}"
    print(json.dumps({"attack": "node", "address": where}), flush=True)
    while True:
        connection = await opened.get()
        with suppress(OSError):  # the daemon cut the connection
            flood(connection)
        connection.abort()


# -- local users, at the socket of the daemon

LOCAL_CONNECTIONS = 32
EMPTY_CALLS = b"{}\0" * 100_000  # more than the kernel buffers while nobody reads
BRACKETS = b"[" * 1_000_000 + b"\0"


def local(kind: str, path: str) -> None:
    print(json.dumps({"attack": kind}), flush=True)
    if kind == "connect":
        while True:
            _connected(path).close()
    with selectors.DefaultSelector() as selector:
        for _ in range(LOCAL_CONNECTIONS):
            _enter_local(selector, path, kind)
        while True:
            for key, _ in selector.select():
                if not _say(key.fileobj, key.data, leaves=kind == "unread"):
                    selector.unregister(key.fileobj)
                    key.fileobj.close()  # type: ignore[union-attr]
                    _enter_local(selector, path, kind)


def _connected(path: str) -> socket.socket:
    """Connects. Waits while the queue of the daemon is full."""
    one = socket.socket(socket.AF_UNIX)
    one.connect(path)
    return one


def _enter_local(selector: selectors.BaseSelector, path: str, kind: str) -> None:
    one = _connected(path)
    one.setblocking(False)
    say = {"unread": EMPTY_CALLS, "brackets": BRACKETS}[kind]
    selector.register(one, selectors.EVENT_WRITE, [memoryview(say)])


def _say(one: Any, left: list[memoryview], *, leaves: bool) -> bool:
    """Sends more of `left`. Returns whether the connection shall go on.

    leaves: the peer leaves as soon as the kernel takes no more bytes.
    """
    try:
        left[0] = left[0][one.send(left[0]) :]
    except BlockingIOError:
        return not leaves
    except OSError:  # the connection was cut
        return False
    return bool(left[0]) and not leaves


def become(uid: int, gid: int) -> None:
    """Becomes another user. Call it after the imports, whose files that user may not read."""
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)


@contextmanager
def attacker(kind: str, *arguments: object) -> Iterator[dict[str, Any]]:
    """Runs an attacker; yields the line of JSON that it prints, with its pid."""
    command = [sys.executable, __file__, kind, *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, f"the attacker {kind} did not begin"
        facts = json.loads(line)
        facts["pid"] = process.pid
        yield facts
    finally:
        process.kill()
        process.communicate()


def cpu_seconds(pid: int) -> float:
    """Returns the seconds of processor time that a process has used."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    given = sys.argv[1:]
    if given[0] == "node":
        asyncio.run(node(given[1]))
    elif given[0] in ("connect", "unread", "brackets"):
        become(int(given[2]), int(given[3]))
        local(given[0], given[1])
    else:
        attack(given[0], int(given[1]), given[2] if len(given) > 2 else "127.0.0.9")
