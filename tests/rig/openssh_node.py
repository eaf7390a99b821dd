"""Runs a node without our code: OpenSSH's sshd on a loopback address, with the script `node.sh`.

Its accounts exist only in a mount namespace, so that nothing on this machine changes. The namespace
and sshd need root.
"""

import ctypes
import os
import secrets
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rig import written
from rig.process import Child, command_line, die_with_parent
from rig.quiet import wait_until

SSHD = "/usr/sbin/sshd"
USERNAME = "administrator"
PASSWORD = "Platform-Secret-1"
SCRIPT = Path(__file__).with_name("node.sh")
RAW_TERMINAL = Path(__file__).with_name("raw_terminal.py")
# How sshd checks passwords: by PAM with both methods, or without PAM. Releases 11.5 and 15 may do
# either.
PAM = "UsePAM yes\nPasswordAuthentication yes\nKbdInteractiveAuthentication yes\n"
PAM_LOCKS_AFTER = 3
NO_PAM = "UsePAM no\nPasswordAuthentication yes\nKbdInteractiveAuthentication no\n"


def reason_to_skip() -> str | None:
    """Says why no such node can run here. Returns None if it can."""
    if os.geteuid() != 0:
        return "needs root: sshd checks passwords in a mount namespace of its own"
    for program in (SSHD, "unshare", "sftp", "ssh-keygen"):
        if shutil.which(program) is None:
            return f"needs {program}"
    return None


needs_openssh = pytest.mark.skipif(reason_to_skip() is not None, reason=str(reason_to_skip()))


class OpenSshNode(Child):
    """Holds a node. `address` is host:port; `root` is the folder of its `activelog`."""

    def __init__(self, process: subprocess.Popen, address: str, root: Path, password: str) -> None:
        super().__init__(process)
        self.address = address
        self.root = root
        self.username = USERNAME
        self.password = password
        self.refusals = Path()
        written.PASSWORDS.add(password)

    def refused_logins(self) -> int:
        """Returns how many refusals PAM has counted since the last login. It locks after three.

        The file has a record of 64 bytes for each. `faillock` reads it only for users that exist
        on this machine.
        """
        return (self.refusals / USERNAME).stat().st_size // 64

    def processes(self) -> list[str]:
        """Returns the command lines of all processes below the sshd of this node."""
        lines = map(command_line, self.tree()[1:])
        return [line for line in lines if line]


@contextmanager
def openssh_node(
    folder: Path,
    host: str,
    password: str | None = None,
    *,
    command: str = str(SCRIPT),
    settings: str = NO_PAM,
    zone: str = "",
) -> Iterator[OpenSshNode]:
    """Runs a node.

    command: the program that a login runs
    settings: lines of sshd_config
    zone: the time zone of the node, which it then prints; without it the node prints no zone
    """
    folder.mkdir(parents=True)
    root = folder / "activelog"
    root.mkdir()
    password = password or secrets.token_urlsafe(12)
    port = _free_port(host)
    settings += f"ForceCommand {command}\nSetEnv NODE_ROOT={root} NODE_ADDRESS={host}"
    settings += f" TZ={zone}\n" if zone else "\n"
    _write_files(folder, f"{host}:{port}", password, settings)
    Path("/run/sshd").mkdir(exist_ok=True)  # compiled into sshd
    program = (
        f"mount --bind {folder}/passwd /etc/passwd && mount --bind {folder}/shadow /etc/shadow"
        f" && mount --bind {folder}/pam /etc/pam.d/sshd"
        f" && exec {SSHD} -D -e -f {folder}/sshd_config"
    )
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", program],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            preexec_fn=die_with_parent,
        )
    node = OpenSshNode(process, f"{host}:{port}", root, password)
    node.refusals = folder / "refusals"
    try:
        _wait_for(node, folder)
        yield node
    finally:
        node.stop()


def _write_files(folder: Path, address: str, password: str, settings: str) -> None:
    key = folder / "host_key"
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", str(key)], check=True
    )
    (folder / "passwd").write_text(
        f"root:x:0:0::/root:/bin/sh\n{USERNAME}:x:0:0::{folder}:/bin/bash\n"
        "sshd:x:101:65534::/run/sshd:/usr/sbin/nologin\n"
    )
    (folder / "shadow").write_text(f"{USERNAME}:{_crypt(password)}:20000:0:99999:7:::\n")
    (folder / "shadow").chmod(0o600)
    locks = f"deny={PAM_LOCKS_AFTER} even_deny_root unlock_time=600 dir={folder}/refusals"
    (folder / "pam").write_text(
        f"auth required pam_faillock.so preauth {locks}\n"
        "auth [success=1 default=ignore] pam_unix.so nodelay\n"
        f"auth [default=die] pam_faillock.so authfail {locks}\n"
        f"auth required pam_faillock.so authsucc {locks}\n"
        "account required pam_permit.so\nsession required pam_permit.so\n"
    )
    (folder / "sshd_config").write_text(
        f"ListenAddress {address}\nHostKey {key}\nPidFile none\nPermitRootLogin yes\n"
        # As on the appliance: no SFTP subsystem, only the forced command of `settings`.
        "StrictModes no\nPrintMotd no\nPrintLastLog no\nMaxSessions 10\n"
        f"MaxStartups 100\nPerSourcePenalties no\n{settings}"
    )


def _crypt(password: str) -> str:
    """Hashes a password by glibc, since Python 3.13 has no module for this any more."""
    library = ctypes.CDLL("libcrypt.so.1")
    library.crypt.restype = ctypes.c_char_p
    hashed = library.crypt(password.encode(), f"$6${secrets.token_hex(4)}$".encode())
    return hashed.decode()


def _free_port(host: str) -> int:
    with socket.create_server((host, 0)) as listener:
        return listener.getsockname()[1]


def _wait_for(node: OpenSshNode, folder: Path) -> None:
    """Waits until the log of sshd says that it listens."""
    log = folder / "log"
    wait_until(
        lambda: b"Server listening on" in log.read_bytes() or node.process.poll() is not None
    )
    assert node.process.poll() is None, log.read_text()
