"""Tests the daemon under a service manager: the inherited socket, and its notifications."""

import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from cucmctl import Client
from rig.manager import Manager


@pytest.fixture
def manager() -> Iterator[Manager]:
    # The path of a socket may have 107 bytes; pytest's folders can be longer.
    with tempfile.TemporaryDirectory(prefix="cucmd-") as folder:
        manager = Manager(Path(folder))
        try:
            yield manager
        finally:
            manager.close()


def test_inherited_socket_is_served(manager):
    inode = manager.path.stat().st_ino
    manager.start()
    with Client(manager.path) as client:  # it connects, and waits for the daemon
        assert client.list() == ()
    manager.until("READY=1")
    assert manager.stop() == 0
    assert manager.path.stat().st_ino == inode


@pytest.mark.long
def test_ready_and_stopping_are_notified(manager):
    manager.start()
    manager.until("READY=1")
    assert manager.stop() == 0
    manager.until("STOPPING=1")
    assert any(word.startswith("STATUS=") for word in manager.said)


@pytest.mark.long
def test_wrong_reload_is_notified(manager):
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
