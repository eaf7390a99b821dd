"""Runs the sshd of sites and `cucmctl` together in a network namespace, where ports are free.

All addresses of 127.0.0.0/8 lead to the same sshd, so each can be a site with its own socket. This
needs root. `ssh` is called with a configuration of its own, since it does not use $HOME.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from rig.process import die_with_parent
from rig.quiet import wait_until
from rig.readable_python import readable_python

SSHD_CONFIG = """\
ListenAddress 0.0.0.0:22
HostKey {folder}/host_key
AuthorizedKeysFile {programs}/user_key.pub
PidFile none
PermitRootLogin yes
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PerSourcePenalties no
SetEnv PATH={programs}:/usr/bin:/bin
{more}
"""
SSH_CONFIG = """\
Host *
    IdentityFile {folder}/user_key
    IdentitiesOnly yes
    GlobalKnownHostsFile /dev/null
    UserKnownHostsFile {folder}/known_hosts
"""


# An address whose known host key is another one, and one that has none.
WRONG_KEY, NO_KEY = "127.9.0.1", "127.9.0.2"
# A user of the sites beside root, in no group.
USER, UID = "viewer", 65_010


class Sites:
    """Holds the sshd, and the folder of the configuration of ssh and `cucmctl`.

    runtime  the folder in which connections stay open for a while
    """

    def __init__(self, folder: Path, runtime: Path, inside: int) -> None:
        self.folder = folder
        self.runtime = runtime
        self._enter = [str(shutil.which("nsenter")), f"--net=/proc/{inside}/ns/net"]
        self.environ = {
            **os.environ,
            "PATH": f"{folder}/path:{os.environ['PATH']}",
            "XDG_CONFIG_HOME": str(folder),
            "XDG_RUNTIME_DIR": str(runtime),
        }
        self.environ.pop("CUCMD_SOCKET", None)

    def write(self, sites: Mapping[str, str], timeout: int = 20) -> None:
        """Writes sites.toml."""
        lines = [f"timeout = {timeout}", "[sites]"]
        lines += [f'{name} = "{place}"' for name, place in sites.items()]
        (self.folder / "cucmctl").mkdir(exist_ok=True)
        (self.folder / "cucmctl" / "sites.toml").write_text("\n".join(lines))

    def add(self, name: str, place: str) -> None:
        """Adds a site to sites.toml, or replaces it."""
        path = self.folder / "cucmctl" / "sites.toml"
        lines = [line for line in path.read_text().splitlines() if line.split()[0] != name]
        path.write_text("\n".join([*lines, f'{name} = "{place}"']))

    def command(self, *arguments: str) -> list[str]:
        return [*self._enter, sys.executable, "-m", "cucmctl", *arguments]

    @contextmanager
    def inside(self, program: str) -> Iterator[None]:
        """Runs a Python program in the namespace. The program prints a line when it is ready."""
        command = [*self._enter, sys.executable, "-c", program]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, preexec_fn=die_with_parent
        ) as process:
            try:
                assert process.stdout.readline()
                yield
            finally:
                process.kill()

    def program(self, module: str) -> str:
        """Returns the path of a program that runs a module in the namespace."""
        command = " ".join([*self._enter, sys.executable, "-m", module])
        _write_program(self.folder / "path" / module, command)
        return str(self.folder / "path" / module)

    def ssh_from_outside(self) -> Path:
        """Returns a folder with an `ssh` that runs in the namespace."""
        folder = self.folder / "from_outside"
        _write_program(folder / "ssh", " ".join([*self._enter, str(self.folder / "path/ssh")]))
        return folder

    def ssh(self, *arguments: str) -> subprocess.Popen:
        """Runs `ssh` in the namespace. It never asks anything."""
        command = [*self._enter, str(self.folder / "path/ssh"), "-o", "BatchMode=yes", *arguments]
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=die_with_parent)

    def start(self, *arguments: str, **options: object) -> subprocess.Popen:
        options = {"stdin": subprocess.DEVNULL, "env": self.environ, **options}
        return subprocess.Popen(self.command(*arguments), **options)

    def ctl(self, *arguments: str, **options: object) -> subprocess.CompletedProcess:
        options = {"capture_output": True, "text": True, "timeout": 120, **options}
        options = {"env": self.environ, **options}
        if "input" not in options:
            options["stdin"] = subprocess.DEVNULL
        return subprocess.run(self.command(*arguments), check=False, **options)

    def connections(self) -> list[str]:
        """Returns the command lines of the processes of `ssh`, except those that stay for a while
        (ControlPersist).
        """
        command = ["pgrep", "-af", f"ssh.*{self.runtime}"]
        found = subprocess.run(command, capture_output=True, text=True, check=False)
        return [line for line in found.stdout.splitlines() if not line.endswith("[mux]")]

    def end_kept(self) -> None:
        """Ends the connections that stay for a while."""
        for path in self.runtime.glob("cucmctl-*/*"):
            with self.ssh("-O", "exit", "-S", str(path), "any"):
                pass


@contextmanager
def running_sites(folder: Path, more: str = "", *, key_options: str = "") -> Iterator[Sites]:
    """Yields the sites, for which nothing is configured yet.

    more         lines of sshd_config
    key_options  what stands before the key of the user in `authorized_keys`

    Asserts at the end that no connection is left over.
    """
    folder.mkdir(parents=True)
    for name in ("host_key", "user_key"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True
        )
    keys = [(folder / f"{name}.pub").read_text().split() for name in ("host_key", "user_key")]
    (folder / "known_hosts").write_text(
        f"127.0.*,[127.0.*]:* {' '.join(keys[0][:2])}\n{WRONG_KEY} {' '.join(keys[1][:2])}\n"
    )
    (folder / "ssh_config").write_text(SSH_CONFIG.format(folder=folder))
    users = f"{Path('/etc/passwd').read_text()}{USER}:x:{UID}:{UID}::/:/bin/sh\n"
    (folder / "passwd").write_text(users)
    Path("/run/sshd").mkdir(exist_ok=True)  # compiled into sshd
    script = (
        f"ip link set lo up && mount --bind {folder}/passwd /etc/passwd"
        f" && exec /usr/sbin/sshd -D -e -f {folder}/sshd_config"
    )
    with (
        tempfile.TemporaryDirectory(prefix="sites-") as runtime,
        tempfile.TemporaryDirectory(prefix="sites-") as programs,
        (folder / "log").open("wb") as log,
    ):
        python = readable_python()
        environ = " ".join(f"{name}={value}" for name, value in python.environ.items())
        for name in ("ssh", "sftp"):
            _write_program(folder / "path" / name, f"{shutil.which(name)} -F {folder}/ssh_config")
        _write_program(Path(programs, "cucmctl"), f"env {environ} {python.program} -m cucmctl")
        # sshd reads the file as the user who logs in.
        public_key = (folder / "user_key.pub").read_text()
        Path(programs, "user_key.pub").write_text(f"{key_options} {public_key}".lstrip())
        (folder / "sshd_config").write_text(
            SSHD_CONFIG.format(folder=folder, programs=programs, more=more)
        )
        process = subprocess.Popen(
            ["unshare", "--net", "--mount", "--propagation", "private", "sh", "-c", script],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            preexec_fn=die_with_parent,
        )
        try:
            wait_until(lambda: "listening" in (folder / "log").read_text())
            sites = Sites(folder, Path(runtime), process.pid)
            yield sites
            wait_until(lambda: not sites.connections())
            sites.end_kept()
        finally:
            process.terminate()
            process.wait()


def _write_program(path: Path, command: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.parent.chmod(0o755)
    path.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    path.chmod(0o755)
