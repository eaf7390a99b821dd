"""Notifications to systemd and what it passes on; nothing happens without systemd."""

import os
import socket
import time
from itertools import takewhile

import pytest

from cucmd.service import systemd


@pytest.fixture(autouse=True)
def no_systemd(monkeypatch):
    """Whatever the tests themselves run under."""
    for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "JOURNAL_STREAM"):
        monkeypatch.delenv(name, raising=False)
    for name in ("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def manager(tmp_path, monkeypatch):
    """The manager's end of $NOTIFY_SOCKET."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind(str(tmp_path / "notify"))
        end.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield end


def test_the_manager_is_notified(manager):
    assert systemd.notify(READY=1, STATUS="3 jobs")
    assert manager.recv(4096) == b"READY=1\nSTATUS=3 jobs"


def test_a_reload_carries_its_time(manager):
    before = time.monotonic_ns() // 1000
    assert systemd.notify(RELOADING=1)
    first, second = manager.recv(4096).decode().split("\n")
    name, _, when = second.partition("=")
    assert (first, name) == ("RELOADING=1", "MONOTONIC_USEC")
    assert before <= int(when) <= time.monotonic_ns() // 1000


def test_a_status_cannot_contain_another_variable(manager):
    systemd.notify(STATUS="a job\nREADY=1\rSTOPPING=1\u2028x")
    assert manager.recv(4096).count(b"\n") == 0


def test_an_abstract_notify_socket_works(monkeypatch):
    name = f"cucmd-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind("\0" + name)
        end.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", "@" + name)
        assert systemd.notify(WATCHDOG=1)
        assert end.recv(4096) == b"WATCHDOG=1"


@pytest.mark.parametrize("address", ["", "vsock:2:1234", "relative"])
def test_without_systemd_nothing_is_sent(monkeypatch, address):
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    assert not systemd.notify(READY=1)


def test_a_manager_that_is_gone_is_not_an_error(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    assert not systemd.notify(READY=1)
    assert "READY" in caplog.text


def test_a_manager_that_does_not_read_blocks_nothing(manager, monkeypatch):
    monkeypatch.setattr(systemd, "NOTIFY_SECONDS", 0.01)
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
        ({"WATCHDOG_USEC": "-1"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "٣"}, None),
    ],
)
def test_the_watchdog_interval(monkeypatch, environ, seconds):
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert systemd.watchdog_interval() == seconds


@pytest.fixture
def inherit(monkeypatch):
    """`inherit("varlink", "other")`: sockets in a row of descriptors, as systemd leaves them."""
    opened = []

    def make(*names, pid=None):
        first = max(map(int, os.listdir("/proc/self/fd"))) + 1  # beyond it, all are free
        monkeypatch.setattr(systemd, "FIRST_DESCRIPTOR", first)
        for number in range(first, first + len(names)):
            with socket.socket(socket.AF_UNIX) as sock:
                opened.append(os.dup2(sock.fileno(), number))
        monkeypatch.setenv("LISTEN_FDS", str(len(names)))
        monkeypatch.setenv("LISTEN_PID", str(pid or os.getpid()))
        monkeypatch.setenv("LISTEN_FDNAMES", ":".join(names))
        return opened

    yield make
    for descriptor in opened:
        try:
            os.close(descriptor)
        except OSError:
            pass  # the test has closed it


def test_inherited_sockets_are_taken_once_and_given_to_no_child(inherit):
    descriptors = list(inherit("varlink", "more"))
    sockets = systemd.inherited_sockets()
    assert [sock.fileno() for sock in sockets] == descriptors
    assert not any(sock.get_inheritable() for sock in sockets)
    assert "LISTEN_FDS" not in os.environ
    assert systemd.inherited_sockets() == []
    for sock in sockets:
        sock.close()


def test_the_sockets_of_another_process_are_not_ours(inherit):
    descriptors = inherit("varlink", pid=1)
    assert systemd.inherited_sockets() == []
    os.fstat(descriptors[0])


@pytest.mark.parametrize("count", ["", "x", "-1"])
def test_a_wrong_count_is_none(inherit, monkeypatch, count):
    inherit("varlink")
    monkeypatch.setenv("LISTEN_FDS", count)
    assert systemd.inherited_sockets() == []
