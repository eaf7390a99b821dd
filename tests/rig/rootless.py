"""Runs podman as an ordinary user, who exists only in a mount namespace of its own."""

import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from rig.debian import CannotRun
from rig.process import die_with_parent
from rig.readable_python import readable_python

UID = 64_123
FIRST_SUBORDINATE = 2_000_000
# $1: a folder with the files of users. podman needs the unified hierarchy of cgroups at the usual
# path.
_HOLD = """
set -e
mount -t cgroup2 cgroup2 /sys/fs/cgroup
for file in passwd group subuid subgid; do mount --bind "$1/$file" "/etc/$file"; done
echo ready
exec sleep infinity
"""


class User:
    """Holds an ordinary user with the ids that containers need, and a home."""

    def __init__(self, holder: int, home: Path) -> None:
        self.home = home
        self._enter = ["nsenter", f"--target={holder}", "--mount", "--pid", "setpriv"]
        self._enter += [f"--reuid={UID}", f"--regid={UID}", "--clear-groups", "--"]

    def run(
        self, *command: object, environ: Mapping[str, str] = {}, within: float = 600, **more: object
    ) -> subprocess.CompletedProcess[str]:
        fixed = {"HOME": str(self.home), "PATH": os.defpath + ":/usr/sbin"}
        fixed |= {"XDG_RUNTIME_DIR": str(self.home / "run"), "PODMAN_IGNORE_CGROUPSV1_WARNING": "1"}
        return subprocess.run(
            [*self._enter, *map(str, command)],
            cwd=self.home,
            env={**fixed, **environ},
            capture_output=True,
            text=True,
            timeout=within,
            check=False,
            **more,
        )

    def podman(self, *arguments: object, **options: object) -> str:
        """Runs a podman that must succeed; returns its standard output."""
        done = self.run("podman", *arguments, **options)
        assert done.returncode == 0, f"podman {arguments}: {done.stdout}{done.stderr}"
        return done.stdout

    def ctl(self, socket: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs the `cucmctl` of this checkout, outside the container."""
        python = readable_python()
        command = (python.program, "-m", "cucmctl", "--socket", socket, *arguments)
        return self.run(*command, environ=python.environ)


@contextmanager
def rootless_user() -> Iterator[User]:
    """Yields a user. All processes of the user end afterwards. Raises CannotRun without root."""
    if os.geteuid() != 0:
        raise CannotRun("needs root: the user is made in a mount namespace")
    with tempfile.TemporaryDirectory(prefix="cucmd-") as folder:
        home = Path(folder)
        home.chmod(0o755)
        (home / "run").mkdir(mode=0o700)
        for name, line in {
            "passwd": f"rootless:x:{UID}:{UID}::{home}:/bin/sh",
            "group": f"rootless:x:{UID}:",
            "subuid": f"rootless:{FIRST_SUBORDINATE}:65536",
            "subgid": f"rootless:{FIRST_SUBORDINATE}:65536",
        }.items():
            (home / name).write_text(f"{Path('/etc', name).read_text()}{line}\n")
        for path in (home, home / "run"):
            os.chown(path, UID, UID)
        unshare = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
        with subprocess.Popen(
            [*unshare, "sh", "-c", _HOLD, "sh", str(home)],
            stdout=subprocess.PIPE,
            preexec_fn=die_with_parent,
        ) as holder:
            try:
                assert holder.stdout is not None
                if holder.stdout.readline() != b"ready\n":
                    raise CannotRun("this kernel has no unified hierarchy of cgroups to mount")
                (child,) = (
                    Path(f"/proc/{holder.pid}/task/{holder.pid}/children").read_text().split()
                )
                yield User(int(child), home)
            finally:
                holder.kill()
