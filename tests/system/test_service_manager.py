"""The daemon under a service manager: the inherited socket, and its notifications."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from cucmctl import Client
from rig.daemon import CONFIG

# The first inherited descriptor is 3; $LISTEN_PID is the daemon's own number, which exec keeps.
LAUNCH = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.execve(sys.argv[2], sys.argv[2:], {**os.environ, "LISTEN_PID": str(os.getpid())})
"""


class Manager:
    """Does what systemd does for Type=notify and a socket unit."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "cucmd.sock"
        self.said: list[str] = []
        self._notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notices.bind(str(folder / "notify"))
        self._notices.settimeout(30)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.path))
        self._listener.listen()
        self.process: subprocess.Popen | None = None

    def start(self) -> None:
        (self.folder / "cucmd.toml").write_text(CONFIG)
        command = [
            *(sys.executable, "-X", "dev", "-W", "error", "-m", "cucmd", "serve"),
            *("--config", str(self.folder / "cucmd.toml"), "--socket", str(self.path)),
            *("--state-dir", str(self.folder / "state")),
        ]
        given = self._listener.fileno()
        environ = {
            "NOTIFY_SOCKET": str(self.folder / "notify"),
            "WATCHDOG_USEC": "400000",
            "LISTEN_FDS": "1",
            "LISTEN_FDNAMES": "varlink",
        }
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", LAUNCH, str(given), *command],
                env={**os.environ, **environ},
                pass_fds=[given],
                stderr=log,
            )

    def until(self, word: str) -> None:
        """Reads what the daemon says, up to the first message with that assignment."""
        while True:
            try:
                message = self._notices.recv(65536).decode().split("\n")
            except TimeoutError:
                raise AssertionError(f"no {word}; {(self.folder / 'log').read_text()}") from None
            self.said += message
            if word in message:
                return

    def stop(self) -> int:
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(30)

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._notices.close()
        self._listener.close()


@pytest.fixture
def manager() -> Iterator[Manager]:
    # The path of a socket has at most 107 bytes; pytest's folders can be longer.
    with tempfile.TemporaryDirectory(prefix="cucmd-") as folder:
        manager = Manager(Path(folder))
        try:
            yield manager
        finally:
            manager.close()


def test_it_serves_the_socket_that_it_is_given_and_leaves_it_there(manager):
    inode = manager.path.stat().st_ino
    manager.start()
    with Client(manager.path) as client:  # it connects at once, and waits for the daemon
        assert client.list() == ()
    manager.until("READY=1")
    assert manager.stop() == 0
    assert manager.path.stat().st_ino == inode


def test_ready_and_stopping_are_notified(manager):
    manager.start()
    manager.until("READY=1")
    assert manager.stop() == 0
    manager.until("STOPPING=1")
    assert any(word.startswith("STATUS=") for word in manager.said)


@pytest.mark.long
def test_the_watchdog_is_notified_repeatedly(manager):
    manager.start()
    manager.until("READY=1")
    for _ in range(3):
        manager.until("WATCHDOG=1")
    assert manager.stop() == 0


@pytest.mark.long
def test_a_reload_is_announced_and_ended(manager):
    manager.start()
    manager.until("READY=1")
    manager.process.send_signal(signal.SIGHUP)
    manager.until("RELOADING=1")
    assert any(word.startswith("MONOTONIC_USEC=") for word in manager.said)
    manager.until("READY=1")
    assert manager.stop() == 0
    assert "configuration reloaded" in (manager.folder / "log").read_text()


@pytest.mark.long
def test_no_notice_about_the_group_of_an_inherited_socket(manager):
    manager.start()
    manager.until("READY=1")
    changed = CONFIG + "watchers_per_uid = 5\n[access]\noperate_group = 'root'\n"
    (manager.folder / "cucmd.toml").write_text(changed)
    manager.process.send_signal(signal.SIGHUP)
    manager.until("RELOADING=1")
    manager.until("READY=1")
    assert manager.stop() == 0
    said = (manager.folder / "log").read_text()
    assert "not until a restart: limits.watchers_per_uid\n" in said


def test_a_reload_of_a_wrong_file_is_reported_and_changes_nothing(manager):
    manager.start()
    manager.until("READY=1")
    (manager.folder / "cucmd.toml").write_text("[timeouts]\nconnect = -1\n")
    manager.process.send_signal(signal.SIGHUP)
    manager.until("RELOADING=1")
    manager.until("READY=1")
    with Client(manager.path) as client:
        assert client.list() == ()
    assert manager.stop() == 0
    log = (manager.folder / "log").read_text()
    assert "not reloaded" in log
    assert any("STATUS=" in word and "timeouts.connect" in word for word in manager.said)
    assert "timeouts.connect" in log
