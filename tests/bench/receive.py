"""Measures how fast the receiver takes files from OpenSSH's `sftp`, beside OpenSSH's own server.

All servers get the same file from the same client with the same cipher, in turns. The receiver
belongs to a job whose node stops before its push and writes down where it should push; this program
pushes there. Unlike OpenSSH's server the receiver hashes the file and writes it to the disk.
"""

from __future__ import annotations

import getpass
import os
import socket
import subprocess
import tempfile
import time
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import NamedTuple

from figures import Figure, Measures, Sample
from installed import Version
from rig import openssh_node
from rig.openssh_node import OpenSshNode
from rig.process import die_with_parent
from rig.quiet import wait_until
from served import SDL, DaemonProcess, cpu_of_children, running_daemon_of

CIPHER = "aes128-gcm@openssh.com"
SSHD = "/usr/sbin/sshd"
MB = 1_000_000
GIB = 1 << 30

# The node (rig/node.sh) runs this between the dialogue and the push. It writes down where to push,
# then waits.
TOLD = """\
printf '%s\\n' "$host" "$port" "$user" "$secret" "${directory%/}" >"$root.telling"
mv "$root.telling" "$root.told"
cat "$root.end"
"""

_numbers = count()


class Server(NamedTuple):
    """Says where to push.

    login: the options and the destination for `sftp`. prefix: what goes before a file name.
    folder: the folder below which the files appear.
    """

    login: list[str]
    folder: Path
    prefix: str
    environ: dict[str, str]


def reason_to_skip(_versions: Sequence[Version]) -> str | None:
    return openssh_node.reason_to_skip()


@contextmanager
def prepared(versions: Sequence[Version], options: Namespace) -> Iterator[Measures]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cucmd-bench-")))
        source = folder / "source.log"
        fill(source, options.size * MB)
        theirs = stack.enter_context(running_sshd(folder / "theirs"))
        _push(theirs, source)  # not counted: it fills the caches
        measures = []
        for place, version in enumerate(versions):
            daemon = stack.enter_context(running_daemon_of(version, folder / str(place)))
            ours, _ = stack.enter_context(
                open_receiving_job(daemon, folder / f"node{place}", place + 1)
            )
            _push(ours, source)
            measures.append(partial(_measure, daemon, ours, theirs, source))
        yield measures


def _measure(daemon: DaemonProcess, ours: Server, theirs: Server, source: Path) -> Sample:
    daemon.wait_until_idle()
    before, sending = daemon.cpu(), cpu_of_children()
    took = _push(ours, source)
    daemon.wait_until_idle()
    used, sending = daemon.cpu() - before, cpu_of_children() - sending
    size = source.stat().st_size
    return {
        Figure("received from OpenSSH's sftp", "MB/s"): size / took,
        Figure("    beside OpenSSH's own server", aim=">= 0.8"): _push(theirs, source) / took,
        Figure("    processor time for each GiB", "s", decides=True): used / size * GIB,
        Figure("    processor time of the sender", "s"): sending / size * GIB,
    }


def fill(path: Path, size: int) -> None:
    """Writes random bytes, which cannot be compressed, like logs in gzip."""
    piece = os.urandom(MB)
    with path.open("wb") as file:
        for _ in range(size // MB):
            file.write(piece)


def _push(server: Server, source: Path) -> float:
    """Returns the seconds that `sftp` takes for its login and one `put`."""
    began = time.perf_counter()
    pushing, name = push(server, source)
    assert pushing.wait() == 0
    took = time.perf_counter() - began
    (arrived,) = server.folder.rglob(name)
    assert arrived.stat().st_size == source.stat().st_size
    arrived.unlink()  # so that no page of it is written back during the next round
    return took


def push(server: Server, source: Path) -> tuple[subprocess.Popen, str]:
    """Starts an `sftp` that puts the file; returns the process and the name of the remote file."""
    name = f"pushed{next(_numbers)}.log"
    command = [
        "sftp", "-q", "-F", "none", "-oBatchMode=no", "-b", "-", f"-oCiphers={CIPHER}",
        "-oStrictHostKeyChecking=no", "-oUserKnownHostsFile=/dev/null", "-oLogLevel=ERROR",
        *server.login,
    ]  # fmt: skip
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env=os.environ | server.environ,
        text=True,
        preexec_fn=die_with_parent,
    )
    assert process.stdin is not None
    process.stdin.write(f'put "{source}" "{server.prefix}{name}"\n')
    process.stdin.close()
    return process, name


@contextmanager
def open_receiving_job(
    daemon: DaemonProcess, folder: Path, number: int
) -> Iterator[tuple[Server, str]]:
    """Runs a job of one node; yields where the node should push, and the id of the job.

    number: the last part of the node's own address.
    """
    with (
        openssh_node.openssh_node(folder, f"127.3.0.{number}") as node,
        daemon.wire() as wire,
    ):
        announced = node.root / SDL / "SDL001_100_000001.txt"
        announced.parent.mkdir(parents=True)
        announced.write_text("not pushed\n")
        Path(f"{node.root}.meanwhile").write_text(TOLD)
        os.mkfifo(f"{node.root}.end")
        told = Path(f"{node.root}.told")
        job_id = wire.start(node, [node.address])
        wait_until(lambda: told.exists() or wire.job(job_id)["status"] not in ("queued", "running"))
        assert told.exists(), wire.job(job_id)["nodes"]
        yield _read_server(daemon, node, folder, told), job_id
        wire.call("Cancel", job_id=job_id)
        wire.wait(job_id)


def _read_server(daemon: DaemonProcess, node: OpenSshNode, folder: Path, told: Path) -> Server:
    host, port, user, password, directory = told.read_text().split("\n")[:5]
    asked = folder / "askpass"
    asked.write_text(f"#!/bin/sh\necho '{password}'\n")
    asked.chmod(0o700)
    return Server(
        [
            "-oPreferredAuthentications=password",
            f"-oBindAddress={node.address.partition(':')[0]}",  # it names the receiving process
            *("-P", port, f"{user}@{host}"),
        ],
        daemon.state / "jobs",
        f"{directory}/",
        {"SSH_ASKPASS": str(asked), "SSH_ASKPASS_REQUIRE": "force"},
    )


@contextmanager
def running_sshd(home: Path) -> Iterator[Server]:
    """Runs `sshd` for the user of this process, with a key for the login."""
    home.mkdir()
    for name in ("host", "login"):
        key = ["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", str(home / name)]
        subprocess.run(key, check=True)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    (home / "config").write_text(
        f"ListenAddress 127.0.0.1:{port}\nHostKey {home}/host\nPidFile none\nUsePAM no\n"
        f"AuthorizedKeysFile {home}/login.pub\nStrictModes no\nPermitRootLogin yes\n"
        "Subsystem sftp internal-sftp\n"
    )
    log = home / "log"
    process = subprocess.Popen(
        [SSHD, "-D", "-E", str(log), "-f", str(home / "config")], preexec_fn=die_with_parent
    )
    try:
        # Only the log of sshd says when it listens.
        wait_until(lambda: log.exists() and "Server listening" in log.read_text())
        login = ["-P", str(port), "-i", str(home / "login"), f"{getpass.getuser()}@127.0.0.1"]
        yield Server(login, home, f"{home}/", {})
    finally:
        process.terminate()
        process.wait()
