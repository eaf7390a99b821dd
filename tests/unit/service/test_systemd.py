"""The protocols between systemd and the service."""

import os
import socket
import time
from itertools import takewhile

import pytest

from cucmd.service import systemd


@pytest.fixture(autouse=True)
def no_systemd(monkeypatch):
    """Hides a systemd that runs the tests."""
    for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "JOURNAL_STREAM"):
        monkeypatch.delenv(name, raising=False)
    for name in ("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def manager(tmp_path, monkeypatch):
    """Returns the service manager's end of $NOTIFY_SOCKET."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind(str(tmp_path / "notify"))
        end.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield end


def test_manager_is_notified(manager):
    assert systemd.notify(READY=1, STATUS="3 jobs")
    assert manager.recv(4096) == b"READY=1\nSTATUS=3 jobs"


def test_reload_message_has_its_time(manager):
    before = time.monotonic_ns() // 1000
    assert systemd.notify(RELOADING=1)
    first, second = manager.recv(4096).decode().split("\n")
    name, _, when = second.partition("=")
    assert (first, name) == ("RELOADING=1", "MONOTONIC_USEC")
    assert before <= int(when) <= time.monotonic_ns() // 1000


def test_status_cannot_add_variables(manager):
    systemd.notify(STATUS="a job\nREADY=1\rSTOPPING=1\u2028x")
    assert manager.recv(4096).count(b"\n") == 0


@pytest.mark.parametrize("address", ["", "vsock:2:1234", "relative"])
def test_nothing_is_sent_without_systemd(monkeypatch, address):
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    assert not systemd.notify(READY=1)


def test_absent_manager_is_no_error(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    assert not systemd.notify(READY=1)
    assert "READY" in caplog.text


def test_busy_manager_does_not_block(manager):
    told = takewhile(bool, (systemd.notify(WATCHDOG=1) for _ in range(100_000)))
    assert sum(told) < 100_000


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_watchdog_interval(monkeypatch, environ, seconds):
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert systemd.watchdog_interval() == seconds


@pytest.fixture
def inherit(monkeypatch):
    """Returns a function that opens sockets at consecutive descriptors, as systemd does."""
    opened = []

    def make(count, pid):
        first = max(map(int, os.listdir("/proc/self/fd"))) + 1  # beyond it, all are free
        for number in range(first, first + count):
            with socket.socket(socket.AF_UNIX) as sock:
                opened.append(os.dup2(sock.fileno(), number))
        monkeypatch.setenv("LISTEN_FDS", str(count))
        monkeypatch.setenv("LISTEN_PID", str(pid))
        return opened

    yield make
    for descriptor in opened:
        try:
            os.close(descriptor)
        except OSError:
            pass  # the test has closed it


def test_sockets_are_inherited_once(inherit):
    descriptors = list(inherit(2, os.getpid()))
    sockets = systemd.inherited_sockets(descriptors[0])
    assert [sock.fileno() for sock in sockets] == descriptors
    assert not any(sock.get_inheritable() for sock in sockets)
    assert "LISTEN_FDS" not in os.environ
    assert systemd.inherited_sockets() == []
    for sock in sockets:
        sock.close()


@pytest.mark.parametrize(("count", "pid"), [("1", "1"), ("", None), ("x", None), ("-1", None)])
def test_wrong_environment_inherits_nothing(inherit, monkeypatch, count, pid):
    descriptors = inherit(1, pid or os.getpid())
    monkeypatch.setenv("LISTEN_FDS", count)
    assert systemd.inherited_sockets(descriptors[0]) == []
    os.fstat(descriptors[0])
