"""Hostile code in a process of a connection can do no harm, and dies with the daemon."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rig.daemon import Daemon, running_daemon
from rig.quiet import wait_until
from rig.worker_processes import read_status


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    with running_daemon(tmp_path / "cucmd", module="rig.taken_over") as daemon:
        (daemon.state / "known_hosts").write_text("of the daemon")
        (daemon.state / "socket").symlink_to(daemon.socket)
        yield daemon


def is_alive(pid: int) -> bool:
    """Returns whether the process runs. A zombie does not, whoever has to reap it."""
    status = read_status(pid)
    return bool(status) and "State:\tZ" not in status


@contextmanager
def has_tried(daemon: Daemon) -> Iterator[None]:
    with daemon.stranger():
        wait_until(lambda: "has tried everything" in daemon.log.read_text())
        yield


def test_hostile_worker_can_do_nothing(daemon: Daemon) -> None:
    paths = [daemon.state / name for name in ("known_hosts", "cucmd.db", "jobs")]
    before = [path.stat() for path in paths]
    with has_tried(daemon):
        pass
    lines = daemon.log.read_text().splitlines()
    said = [line.partition("cucmd.receiver.server: ")[2] for line in lines]
    assert [*filter(None, said)] == ["has tried everything"]
    assert [path.stat() for path in paths] == before


@pytest.mark.long
def test_workers_die_with_the_daemon(daemon: Daemon) -> None:
    with has_tried(daemon):
        _, *others = daemon.tree()
        assert len(others) == 2
        daemon.kill()
    wait_until(lambda: not any(map(is_alive, others)))
