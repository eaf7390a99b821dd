"""Notifications to systemd and what it passes on; nothing happens without systemd."""

import io
import logging
import os
import socket
import subprocess
import sys
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
    before = systemd.monotonic_usec()
    assert systemd.notify(RELOADING=1)
    first, second = manager.recv(4096).decode().split("\n")
    name, _, time = second.partition("=")
    assert (first, name) == ("RELOADING=1", "MONOTONIC_USEC")
    assert before <= int(time) <= systemd.monotonic_usec()


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
    assert "cannot notify the service manager of READY" in caplog.text


def test_a_manager_that_does_not_read_blocks_nothing(manager, monkeypatch):
    monkeypatch.setattr(systemd, "_NOTIFY_SECONDS", 0.01)
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
        monkeypatch.setattr(systemd, "_FIRST_DESCRIPTOR", first)
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


# In a process of its own, because it cannot be undone.
_FORBIDS = """
import ctypes, resource
from cucmd.service.systemd import forbid_core_dumps
PR_GET_DUMPABLE = 3
prctl = ctypes.CDLL(None).prctl
assert prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 1
assert forbid_core_dumps()
assert prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0
assert resource.getrlimit(resource.RLIMIT_CORE) == (0, 0)
"""


def test_core_dumps_are_forbidden_by_limit_and_by_flag():
    subprocess.run([sys.executable, "-c", _FORBIDS], check=True, timeout=60)


def test_a_kernel_that_does_not_forbid_them_is_a_warning(monkeypatch, caplog):
    monkeypatch.setattr(systemd.resource, "setrlimit", lambda *_: None)
    monkeypatch.setattr(systemd, "_PR_SET_DUMPABLE", -1)
    assert not systemd.forbid_core_dumps()
    assert "cannot forbid core dumps: Invalid argument" in caplog.text


@pytest.fixture
def root_logger():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield root
    root.handlers[:] = handlers
    root.setLevel(level)


def record(level: int, text: str) -> logging.LogRecord:
    return logging.LogRecord("cucmd.test", level, __file__, 1, text, None, None)


@pytest.mark.parametrize(
    ("level", "priority"),
    [
        (logging.DEBUG, 7),
        (logging.INFO, 6),
        (logging.WARNING, 4),
        (logging.ERROR, 3),
        (logging.CRITICAL, 2),
    ],
)
def test_the_journal_gets_a_priority_on_every_line(level, priority):
    text = systemd.JournalFormatter().format(record(level, "one\ntwo"))
    assert text == f"<{priority}>cucmd.test: one\n<{priority}>two"


def test_elsewhere_a_line_has_its_time():
    entry = record(logging.WARNING, "one\ntwo")
    entry.created, entry.msecs = 1795602780.123, 123.0
    text = systemd.PlainFormatter().format(entry)
    assert text == "2026-11-25T10:33:00.123Z WARNING cucmd.test: one\n    two"


@pytest.mark.parametrize("formatter", [systemd.JournalFormatter(), systemd.PlainFormatter()])
def test_control_characters_of_a_node_are_escaped(formatter):
    text = formatter.format(record(logging.INFO, "\x1b[2J\r\x07\x9b\x7f \u2713"))
    assert text.endswith("\\x1b[2J\\x0d\\x07\\x9b\\x7f \u2713")


def test_the_log_goes_to_one_place_at_its_level(root_logger):
    stream = io.StringIO()
    systemd.set_up_logging(logging.WARNING, stream)
    systemd.set_up_logging(logging.WARNING, stream)
    logging.getLogger("cucmd.test").info("not shown")
    logging.getLogger("cucmd.test").warning("shown")
    assert stream.getvalue().count("shown") == 1


def test_the_journal_is_recognized_by_its_stream(monkeypatch, tmp_path):
    with (tmp_path / "journal").open("w") as journal, (tmp_path / "file").open("w") as other:
        status = os.fstat(journal.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
        assert systemd.is_journal(journal)
        assert not systemd.is_journal(other)
        assert not systemd.is_journal(io.StringIO())
    assert not systemd.is_journal(sys.stderr)
