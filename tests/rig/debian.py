"""A minimal Debian with its own systemd, booted in a container.

On this machine only a cached tree of packages changes. Where no container can run, `CannotRun` is
raised with the reason. The container shares this machine's network, and so the loopback addresses
of the lab.
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
# acl: to read the default ACL that systemd-tmpfiles sets. The rest: what the README requires.
PACKAGES = ("systemd", "systemd-sysv", "dbus", "python3", "python3-venv", "acl")
ENVIRON = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/root"}
BOOT_SECONDS = 90
# debootstrap's script for every Debian since Etch. Named, because a debootstrap that is older than
# a release has no link with the release's name.
SCRIPT = "/usr/share/debootstrap/scripts/sid"


class CannotRun(Exception):
    """Says why no such container can run on this machine."""


class Debian:
    """A booted container; `leader` is the process that is number 1 in it."""

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
        """Does what `run` does, for what has to succeed, and returns its standard output."""
        answer = self.run(*command, **options)
        assert answer.returncode == 0, f"{command}: {answer.stdout}{answer.stderr}"
        return answer.stdout

    def path(self, inside: str) -> Path:
        """Returns a path of the container, as seen from this machine. No link in it may be
        absolute.
        """
        return Path(f"/proc/{self.leader}/root") / inside.lstrip("/")


@contextmanager
def booted(binds: Mapping[Path, str]) -> Iterator[Debian]:
    """Boots a fresh container. `binds`: folders of this machine -> where it can read them.

    What it writes is in memory only, and is gone at its end. Raises `CannotRun`.
    """
    tree = tree_of_packages()
    with tempfile.TemporaryDirectory(prefix="cucmd-") as short:
        process, notices = _nspawn(tree, binds, Path(short))
        try:
            with notices:  # closed once it has booted: what nobody reads would stop its systemd
                debian = Debian(_until_booted(process, notices, Path(short) / "log"))
            yield debian
            debian.run("systemctl", "poweroff")
            process.wait(60)
        finally:
            _destroy(process)


def tree_of_packages(suite: str | None = None, packages: tuple[str, ...] = PACKAGES) -> Path:
    """Returns a folder with an installed Debian, made once and kept. Raises `CannotRun`.

    `suite` is the code name of a release: this machine's own, or another one of the same mirror.
    """
    _refuse_without(PROGRAMS)
    own = _release()
    suite = suite or own
    cache = Path(os.environ.get("XDG_CACHE_HOME", "/var/cache")) / "cucmd-tests"
    cache.mkdir(parents=True, exist_ok=True)
    name = sha256(" ".join((suite, platform.machine(), *packages)).encode()).hexdigest()[:12]
    tree = cache / f"{suite}-{name}"
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of two test runs, one makes it
        if not tree.exists():
            _make_tree(tree, _mirror(own), suite, packages)
    return tree


def python_of(tree: Path) -> str:
    """Returns the version of its Python: `3.13`."""
    return os.readlink(tree / "usr/bin/python3").removeprefix("python")


def _refuse_without(programs: tuple[str, ...]) -> None:
    if os.geteuid() != 0:
        raise CannotRun("needs root: a container has users and mounts of its own")
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        raise CannotRun(f"needs {', '.join(missing)}")


def _release() -> str:
    """Returns the code name of this machine's release: `trixie`."""
    release = platform.freedesktop_os_release()
    suite = release.get("VERSION_CODENAME", "")
    if release["ID"] != "debian" or not suite:
        raise CannotRun(f"needs a Debian, for its mirror; this is {release['ID']} {suite}".strip())
    return suite


def _mirror(suite: str) -> str:
    """Returns the mirror that this machine's apt uses. Works before the first `apt-get update`."""
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
    """Makes it in a mount namespace, so that debootstrap's mounts are gone even if it is killed."""
    new = Path(tempfile.mkdtemp(prefix=".new-", dir=tree.parent))
    new.chmod(0o755)  # it becomes the root folder of all users in the container
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


# systemd needs the unified hierarchy of cgroups at its usual path, which older and nested machines
# have elsewhere, and a cgroup of its own. A mount namespace does that for the container alone.
_ENTER_CGROUP = """
mount -t cgroup2 cgroup2 /sys/fs/cgroup && mkdir "/sys/fs/cgroup/$1" &&
echo $$ >"/sys/fs/cgroup/$1/cgroup.procs" && shift && exec "$@"
"""
_LEAVE_CGROUP = """
mount -t cgroup2 cgroup2 /sys/fs/cgroup && for _ in $(seq 50); do
    [ -d "/sys/fs/cgroup/$1" ] || exit 0
    find "/sys/fs/cgroup/$1" -depth -type d -delete || sleep 0.1  # processes are not gone yet
done
"""
_UNSHARE = ("unshare", "--mount", "--propagation=private")
# A killed nspawn leaves its container running. A PID namespace ends all processes in it.
_PID_NAMESPACE = ("--pid", "--fork", "--kill-child", "--mount-proc")


def _nspawn(
    tree: Path, binds: Mapping[Path, str], short: Path
) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """Starts it; returns the process, and the socket to which that sends READY=1 once booted."""
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
    """Waits until it has booted. Returns the pid of the container's process 1."""
    deadline = time.monotonic() + BOOT_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if b"READY=1" in notices.recv(65536).split(b"\n"):
                return _leader_below(process.pid)
        except TimeoutError:
            pass  # checks again whether the process runs
    how = "did not boot" if process.poll() is None else f"exited with {process.returncode}"
    last = log.read_text(errors="replace").strip().splitlines()[-3:]
    raise CannotRun(f"systemd-nspawn {how}: {' / '.join(last)}")


def _leader_below(pid: int) -> int:
    """Finds the first process below this one that is number 1 of a namespace, two levels down."""
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
