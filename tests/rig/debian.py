"""Boots a minimal Debian with its own systemd in a container.

The container shares the network of this machine, and so the loopback addresses of the lab. It
changes nothing on this machine except for a cached tree of packages. `CannotRun` has the reason if
no container can run here.
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
# acl is needed to read the default ACL that systemd-tmpfiles sets. cucmd(8) requires the others.
PACKAGES = ("systemd", "systemd-sysv", "dbus", "python3", "python3-venv", "acl")
ENVIRON = {
    "PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C.UTF-8",
    "HOME": "/root",
}
BOOT_SECONDS = 90
# The script of debootstrap for every Debian since Etch. It is named here because an older
# debootstrap has no link with the name of a newer release.
SCRIPT = "/usr/share/debootstrap/scripts/sid"


class CannotRun(Exception):
    """Raised with the reason why no such container can run on this machine."""


class Debian:
    """Holds a booted container. `leader` is the pid, outside, of its process 1."""

    def __init__(self, leader: int) -> None:
        self.leader = leader

    def run(
        self, *command: str, user: str | None = None, stdin: str = "", within: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command in the container, as root or as `user` with all groups of that user."""
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
        """Runs a command that must succeed; returns its standard output."""
        answer = self.run(*command, **options)
        assert answer.returncode == 0, f"{command}: {answer.stdout}{answer.stderr}"
        return answer.stdout

    def path(self, inside: str) -> Path:
        """Returns a path of the container as this machine sees it.

        No link in the path may be absolute.
        """
        return Path(f"/proc/{self.leader}/root") / inside.lstrip("/")


@contextmanager
def booted(binds: Mapping[Path, str], tree: Path | None = None) -> Iterator[Debian]:
    """Boots a new container. `binds` maps folders of this machine to paths in the container.

    `tree` is the Debian of `tree_of_packages`, by default that of this machine's release. The
    container writes to memory only, which is gone when it ends. Raises CannotRun.
    """
    tree = tree or tree_of_packages()
    with tempfile.TemporaryDirectory(prefix="cucmd-") as short:
        process, notices = _nspawn(tree, binds, Path(short))
        try:
            with notices:  # closed once it has booted, since unread notices would stop its systemd
                debian = Debian(_until_booted(process, notices, Path(short) / "log"))
            yield debian
            debian.run("systemctl", "poweroff")
            process.wait(60)
        finally:
            _destroy(process)


def tree_of_packages(suite: str | None = None, packages: tuple[str, ...] = PACKAGES) -> Path:
    """Returns a folder with an installed Debian. It is made once and then kept. Raises CannotRun.

    `suite` is the code name of a release, by default that of this machine.
    """
    _refuse_without(PROGRAMS)
    own = _release()
    suite = suite or own
    cache = Path(os.environ.get("XDG_CACHE_HOME", "/var/cache")) / "cucmd-tests"
    cache.mkdir(parents=True, exist_ok=True)
    name = sha256(" ".join((suite, platform.machine(), *packages)).encode()).hexdigest()[:12]
    tree = cache / f"{suite}-{name}"
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # only one of two test runs makes it
        if not tree.exists():
            _make_tree(tree, _mirror(own), suite, packages)
    return tree


def python_of(tree: Path) -> str:
    """Returns the version of the Python in the tree, such as `3.13`."""
    return os.readlink(tree / "usr/bin/python3").removeprefix("python")


def _refuse_without(programs: tuple[str, ...]) -> None:
    if os.geteuid() != 0:
        raise CannotRun("needs root: a container has users and mounts of its own")
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        raise CannotRun(f"needs {', '.join(missing)}")


def _release() -> str:
    """Returns the code name of the release of this machine, such as `trixie`."""
    release = platform.freedesktop_os_release()
    suite = release.get("VERSION_CODENAME", "")
    if release["ID"] != "debian" or not suite:
        raise CannotRun(f"needs a Debian, for its mirror; this is {release['ID']} {suite}".strip())
    return suite


def _mirror(suite: str) -> str:
    """Returns the mirror of this machine's apt, even before the first `apt-get update`."""
    columns = "$(REPO_URI) $(RELEASE) $(COMPONENT)"
    listed = subprocess.run(
        ["apt-get", "indextargets", "--no-release-info", "--format", columns],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    for line in listed.splitlines():
        uri, release, component = line.split()
        if release in (suite, "stable", "oldstable") and component == "main":
            return uri
    raise CannotRun(f"apt has no source with the packages of {suite}")


def _make_tree(tree: Path, mirror: str, suite: str, packages: tuple[str, ...]) -> None:
    """Installs packages in a mount namespace, so that no mount stays if debootstrap is killed."""
    new = Path(tempfile.mkdtemp(prefix=".new-", dir=tree.parent))
    new.chmod(0o755)  # it becomes the root folder of the container, which all users need
    command = [*_UNSHARE, "debootstrap", "--variant=minbase"]
    try:
        done = subprocess.run(
            [*command, f"--include={','.join(packages)}", suite, str(new), mirror, SCRIPT],
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


# systemd needs a cgroup of its own, and the unified hierarchy of cgroups at its usual path. Older
# and nested machines have that elsewhere, so it is mounted in a namespace for the container alone.
_ENTER_CGROUP = """
mount -t cgroup2 cgroup2 /sys/fs/cgroup && mkdir "/sys/fs/cgroup/$1" &&
echo $$ >"/sys/fs/cgroup/$1/cgroup.procs" && shift && exec "$@"
"""
_LEAVE_CGROUP = """
mount -t cgroup2 cgroup2 /sys/fs/cgroup && for _ in $(seq 50); do
    [ -d "/sys/fs/cgroup/$1" ] || exit 0
    find "/sys/fs/cgroup/$1" -depth -type d -delete || sleep 0.1  # not all processes have ended
done
"""
_UNSHARE = ("unshare", "--mount", "--propagation=private")
# A killed nspawn leaves its container running. The end of a PID namespace ends all processes in it.
_PID_NAMESPACE = ("--pid", "--fork", "--kill-child", "--mount-proc")


def _nspawn(
    tree: Path, binds: Mapping[Path, str], short: Path
) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """Starts nspawn. Returns the process, and the socket at which READY=1 comes after the boot."""
    notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notices.bind(str(short / "notify"))
    notices.settimeout(0.5)
    command = [
        *("systemd-nspawn", "--quiet", "--boot", "--notify-ready=yes", "--console=pipe"),
        # These options make it work without systemd and machined on this machine.
        *("--register=no", "--keep-unit", "--settings=no", "--link-journal=no"),
        *("--machine=cucmd-test", f"--directory={tree}", "--volatile=overlay"),
        *("--resolv-conf=off", "--timezone=off"),
        *(f"--bind-ro={outside}:{inside}" for outside, inside in binds.items()),
    ]
    with (short / "log").open("wb") as log:
        process = subprocess.Popen(
            [*_UNSHARE, *_PID_NAMESPACE, "sh", "-c", _ENTER_CGROUP, "sh", _cgroup(), *command],
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
    """Waits until the container has booted. Returns the pid of its process 1."""
    deadline = time.monotonic() + BOOT_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if b"READY=1" in notices.recv(65536).split(b"\n"):
                return _leader_below(process.pid)
        except TimeoutError:
            pass  # look again whether the process runs
    how = "did not boot" if process.poll() is None else f"exited with {process.returncode}"
    last = log.read_text(errors="replace").strip().splitlines()[-3:]
    raise CannotRun(f"systemd-nspawn {how}: {' / '.join(last)}")


def _leader_below(pid: int) -> int:
    """Finds the grandchild of `pid` that is process 1 of a namespace."""
    for child in _children(pid):
        for one in _children(child):
            status = Path(f"/proc/{one}/status").read_text().splitlines()
            numbers = next(line for line in status if line.startswith("NSpid:")).split()[1:]
            if numbers[-1] == "1":
                return one
    raise AssertionError("the container says that it is ready, and has no process 1")


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _destroy(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    command = [*_UNSHARE, "sh", "-c", _LEAVE_CGROUP, "sh", _cgroup()]
    subprocess.run(command, capture_output=True, check=False)
