"""Runs programs as other users. Needs root."""

import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from rig.daemon import Daemon
from rig.readable_python import readable_python


def reason_to_skip() -> str | None:
    """Says why no program can run as another user. Returns None if it can."""
    return None if os.geteuid() == 0 else "needs root: runs clients as other users"


needs_root = pytest.mark.skipif(reason_to_skip() is not None, reason=str(reason_to_skip()))


def as_user(
    uid: int, command: Sequence[str], groups: Sequence[int] = (), gid: int | None = None
) -> subprocess.CompletedProcess:
    """Runs a command as another user.

    `groups` are the supplementary groups; `gid` is `uid` if None.
    """
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        user=uid,
        group=uid if gid is None else gid,
        extra_groups=groups,
        cwd="/",
        # Without a home directory, and without folders that only root may write to.
        env={
            "PATH": os.environ["PATH"],
            "PYTHONDONTWRITEBYTECODE": "1",
            **readable_python().environ,
        },
    )


def ctl_as(
    daemon: Daemon, uid: int, *arguments: str, groups: Sequence[int] = (), gid: int | None = None
) -> subprocess.CompletedProcess:
    program = readable_python().program
    command = [program, "-m", "cucmctl", "--socket", str(daemon.socket), *arguments]
    return as_user(uid, command, groups, gid)


def allow_all_to_connect(daemon: Daemon) -> None:
    """Lets every user connect to the socket, as the units of systemd and their ACL do."""
    daemon.socket.parent.chmod(0o755)
    daemon.socket.chmod(0o666)


@contextmanager
def folder_of(uid: int) -> Iterator[Path]:
    """Yields a folder that belongs to another user. Those of pytest are closed to other users."""
    with tempfile.TemporaryDirectory(prefix="cucmd-") as folder:
        os.chown(folder, uid, uid)
        yield Path(folder)
