"""A minimal Debian with its own systemd, booted in a container: what a service meets on a host.

The one rule: nothing of this machine changes but a cached tree of packages, and whatever cannot
run here is said in one `CannotRun`. The container shares the network, and so the lab's loopback.
"""

import fcntl
import os
import platform
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from rig.process import die_with_parent

PROGRAMS = ("apt-get", "debootstrap", "systemd-nspawn", "unshare", "nsenter", "mount")
# acl is what a default ACL of systemd-tmpfiles is looked at with; the rest is what the README asks.
PACKAGES = ("systemd", "systemd-sysv", "dbus", "python3", "python3-venv", "acl")
ENVIRON = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/root"}
BOOT_SECONDS = 90


class CannotRun(Exception):
    """Why no such Debian can be had on this machine."""


class Debian:
    """A booted container; `leader` is the process that is number 1 in it."""

    def __init__(self, leader: int) -> None:
        self.leader = leader

    def run(
        self, *command: str, user: str | None = None, stdin: str = "", within: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command in there, as a user of its own, with all groups that the user is in."""
        switch = [] if user is None else ["runuser", "--user", user, "--"]
        return subprocess.run(
            ["nsenter", "--all", f"--target={self.leader}", "--wd", "--", *switch, *command],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=within,
            check=False,
            env=ENVIRON,
        )

    def must(self, *command: str, **options: object) -> str:
        """As `run`, for what has to succeed: its standard output."""
        answer = self.run(*command, **options)  # type: ignore[arg-type]  # handed on as they are
        assert answer.returncode == 0, f"{command}: {answer.stdout}{answer.stderr}"
        return answer.stdout

    def path(self, inside: str) -> Path:
        """Where this machine finds a path of the container's; no link on it may be absolute."""
        return Path(f"/proc/{self.leader}/root") / inside.lstrip("/")


@contextmanager
def booted(binds: Mapping[Path, str]) -> Iterator[Debian]:
    """A fresh Debian, booted; `binds` are folders of this machine that it may read, and where.

    What it writes is in memory only, and gone with it. Raises `CannotRun`.
    """
    tree = tree_of_packages()
    with tempfile.TemporaryDirectory(prefix="cucmd-") as short:
        process, notices = _nspawn(tree, binds, Path(short))
        with notices:
            try:
                yield Debian(_until_booted(process, notices, Path(short) / "log"))
            finally:
                _power_off(process)


def tree_of_packages() -> Path:
    """A folder with an installed Debian, made once and kept. Raises `CannotRun`."""
    _refuse_without(PROGRAMS)
    mirror, suite = _mirror()
    cache = Path(os.environ.get("XDG_CACHE_HOME", "/var/cache")) / "cucmd-tests"
    cache.mkdir(parents=True, exist_ok=True)
    name = sha256(" ".join((suite, platform.machine(), *PACKAGES)).encode()).hexdigest()[:12]
    tree = cache / f"{suite}-{name}"
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of two test runs, one makes it
        if not tree.exists():
            _make_tree(tree, mirror, suite)
    return tree


def python_of(tree: Path) -> str:
    """`3.13`: whose wheels fit in there."""
    return os.readlink(tree / "usr/bin/python3").removeprefix("python")


def _refuse_without(programs: tuple[str, ...]) -> None:
    if os.geteuid() != 0:
        raise CannotRun("needs root: a container has users and mounts of its own")
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        raise CannotRun(f"needs {', '.join(missing)}")


def _mirror() -> tuple[str, str]:
    """Where this machine has its own packages from, and the release that it runs."""
    release = platform.freedesktop_os_release()
    suite = release.get("VERSION_CODENAME", "")
    if release["ID"] != "debian" or not suite:
        raise CannotRun(f"needs a Debian, for its mirror; this is {release['ID']} {suite}".strip())
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI) $(CODENAME) $(RELEASE) $(COMPONENT)"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    for uri, codename, name, component in map(str.split, listed.splitlines()):
        if suite in (codename, name) and component == "main":
            return uri, suite
    raise CannotRun(f"apt has no source with the packages of {suite}")


def _make_tree(tree: Path, mirror: str, suite: str) -> None:
    """In a mount namespace: what debootstrap mounts is gone even when it is killed."""
    new = Path(tempfile.mkdtemp(prefix=".new-", dir=tree.parent))
    new.chmod(0o755)  # it becomes the root folder of everybody in there
    command = ["unshare", "--mount", "--propagation=private", "debootstrap", "--variant=minbase"]
    try:
        done = subprocess.run(
            [*command, f"--include={','.join(PACKAGES)}", suite, str(new), mirror],
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
            preexec_fn=die_with_parent,
        )
        if done.returncode != 0:
            last = (done.stdout + done.stderr).strip().splitlines()[-1:]
            raise CannotRun(f"debootstrap failed: {' '.join(last)}")
        new.rename(tree)
    except subprocess.TimeoutExpired:
        raise CannotRun("debootstrap was not done within 600 s") from None
    finally:
        shutil.rmtree(new, ignore_errors=True)


# systemd asks for the unified hierarchy at its usual place, which older and nested machines have
# elsewhere; and for a cgroup of its own. A mount namespace makes it so for the container alone.
_ENTER_CGROUP = """
mount -t cgroup2 cgroup2 /sys/fs/cgroup && mkdir "/sys/fs/cgroup/$1" &&
echo $$ >"/sys/fs/cgroup/$1/cgroup.procs" && shift && exec "$@"
"""
_LEAVE_CGROUP = """
mount -t cgroup2 cgroup2 /sys/fs/cgroup && find "/sys/fs/cgroup/$1" -depth -type d -delete
"""


def _in_mount_namespace(script: str, *arguments: str) -> list[str]:
    return ["unshare", "--mount", "--propagation=private", "sh", "-c", script, "sh", *arguments]


def _nspawn(
    tree: Path, binds: Mapping[Path, str], short: Path
) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """Started, and the socket at which it says when all in there is up."""
    notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notices.bind(str(short / "notify"))
    notices.settimeout(0.5)
    command = [
        *("systemd-nspawn", "--quiet", "--boot", "--notify-ready=yes", "--console=pipe"),
        # Neither a systemd nor a machined of this machine is needed.
        *("--register=no", "--keep-unit", "--settings=no", "--link-journal=no"),
        *("--machine=cucmd-test", f"--directory={tree}", "--volatile=overlay"),
        *("--resolv-conf=off", "--timezone=off"),
        *(f"--bind-ro={outside}:{inside}" for outside, inside in binds.items()),
    ]
    with (short / "log").open("wb") as log:
        process = subprocess.Popen(
            _in_mount_namespace(_ENTER_CGROUP, _cgroup(), *command),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**ENVIRON, "NOTIFY_SOCKET": str(short / "notify")},
            preexec_fn=die_with_parent,
        )
    return process, notices


def _cgroup() -> str:
    return f"cucmd-test-{os.getpid()}"


def _until_booted(process: subprocess.Popen[bytes], notices: socket.socket, log: Path) -> int:
    """The leader's process number, once its systemd has reached its target."""
    leader = 0
    deadline = time.monotonic() + BOOT_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            said = dict(line.split("=", 1) for line in notices.recv(65536).decode().splitlines())
        except TimeoutError:
            continue  # a look at whether it lives
        leader = int(said.get("X_NSPAWN_LEADER_PID", leader))
        if said.get("READY") == "1" and leader:
            return leader
    how = "did not boot" if process.poll() is None else f"exited with {process.returncode}"
    last = log.read_text(errors="replace").strip().splitlines()[-3:]
    raise CannotRun(f"systemd-nspawn {how}: {' / '.join(last)}")


def _power_off(process: subprocess.Popen[bytes]) -> None:
    """As by its own `systemctl poweroff`, which nspawn makes of SIGTERM."""
    process.terminate()
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()  # its systemd dies with it, and all that is in there with that
        process.wait()
    subprocess.run(_in_mount_namespace(_LEAVE_CGROUP, _cgroup()), capture_output=True, check=False)
