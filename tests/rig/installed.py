"""Installs the service in a booted Debian, with the commands of cucmd(8)."""

import signal
import subprocess
import sys
from pathlib import Path

from cucmctl import Client
from cucmd.protocol.jobs import Job
from rig.daemon import CONFIG
from rig.debian import CannotRun, Debian, python_of, tree_of_packages
from rig.pages import ROOT, indented

# The commands of the page, except that pip finds the wheels elsewhere. Each must succeed.
_PAGE = indented(ROOT / "daemon/man/cucmd.8.md")
(_SHOWN,) = (block for block in _PAGE if "-m venv /opt/cucmd" in block)
FROM_WHEELS = "pip install --quiet --no-index --find-links /srv/wheels"
INSTALL = _SHOWN.replace("pip install .", f"{FROM_WHEELS} cucmd").replace(" && ", "\n")
# Three users: olga may operate, victor may view, nina may do nothing.
PEOPLE = """
useradd --groups cucm olga
useradd --groups cucm-view victor
useradd nina
"""


class Host:
    """Holds the machine that the service is installed on."""

    def __init__(self, debian: Debian, cucmctl: str = "/usr/local/bin/cucmctl") -> None:
        self.debian = debian
        self.cucmctl = cucmctl
        # A path that leads into the container, for root outside.
        self.socket = debian.path("/run/cucmd/cucmd.sock")

    def systemctl(self, *arguments: str) -> str:
        return self.debian.must("systemctl", *arguments)

    def show(self, name: str, unit: str = "cucmd.service") -> str:
        return self.systemctl("show", "--value", f"--property={name}", unit).strip()

    def main_pid(self) -> int:
        """Returns the pid of the daemon in the container."""
        return int(self.show("MainPID"))

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal to the main process of the daemon only."""
        self.systemctl("kill", "--kill-whom=main", f"--signal={number.name}", "cucmd.service")

    def status_of(self, pid: int) -> dict[str, str]:
        lines = self.debian.path(f"/proc/{pid}/status").read_text().splitlines()
        return dict(line.split(":\t", 1) for line in lines if ":\t" in line)

    def journal(self, unit: str = "cucmd") -> str:
        self.debian.must("journalctl", "--sync")
        return self.debian.must("journalctl", "--output=cat", f"--unit={unit}.service")

    def ctl(self, user: str, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return self.debian.run(self.cucmctl, *arguments, user=user, stdin=stdin)

    def must_ctl(self, user: str, *arguments: str) -> str:
        """Runs a `cucmctl` that must succeed; returns its standard output."""
        return self.debian.must(self.cucmctl, *arguments, user=user)

    def client(self) -> Client:
        return Client(self.socket)

    def job(self, job_id: str) -> Job:
        with self.client() as client:
            return client.status(job_id)

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        target = self.debian.path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        target.chmod(mode)


def refuse_older_systemd(debian: Debian) -> None:
    """Raises CannotRun. The units use ImportCredential= and RestartSteps= of systemd 254."""
    version = debian.must("systemctl", "--version").split()[1]
    if int(version) < 254:
        raise CannotRun(f"the units need systemd 254; this Debian has {version}")


def collect_wheels(folder: Path, python: str, extra: str = "") -> None:
    """Puts our wheel into `folder`, and the wheels of all dependencies for that Python."""
    pip = [sys.executable, "-m", "pip", "--quiet"]
    wheel = [*pip, "wheel", "--no-deps", f"--wheel-dir={folder}", str(ROOT)]
    subprocess.run(wheel, check=True, timeout=300)
    others = [*pip, "download", "--only-binary=:all:", f"--python-version={python}"]
    needed = [f"{file}[{extra}]" if extra else str(file) for file in folder.iterdir()]
    subprocess.run([*others, f"--dest={folder}", *needed], check=True)


def install(debian: Debian, wheels: Path, extra: str = "") -> Host:
    """Installs the service, stops it, and creates the users of PEOPLE.

    `wheels` is /srv/wheels in the container. `extra` is an extra of our package to install, too.
    Raises CannotRun if systemd is too old for the units.
    """
    refuse_older_systemd(debian)
    collect_wheels(wheels, python_of(tree_of_packages()), extra)
    host = Host(debian)
    host.write("/etc/cucmd/cucmd.toml", CONFIG)
    debian.must("sh", "-e", "-c", INSTALL)
    debian.must("sh", "-e", "-c", PEOPLE)
    host.systemctl("stop", "cucmd.service")
    return host
