"""Bytes a second into the receiver from OpenSSH's sftp, beside OpenSSH's own server.

The one rule: both servers get the same file from the same client with the same cipher, in turns,
so that whatever else the machine does hits both. The receiver runs in a process of its own, as
in the daemon; unlike OpenSSH's server it hashes what comes and puts it on the disk (fsync).

    python tests/bench/receive.py [SIZE_MB] [ROUNDS]      prints one JSON object
"""

from __future__ import annotations

import getpass
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import trio

from cucmd.receiver.server import ReceiverLimits, open_receiver
from cucmd.ssh.bridge import open_bridge

CIPHER = "aes128-gcm@openssh.com"
SSHD = "/usr/sbin/sshd"
MB = 1_000_000


class Server:
    """Where to push: `login` are options and destination of `sftp`, `prefix` goes before names."""

    def __init__(self, login: list[str], folder: Path, prefix: str, environ: dict[str, str]):
        self.login = login
        self.folder = folder  # where files appear
        self.prefix = prefix
        self.environ = environ


def run(size_mb: int = 512, rounds: int = 25) -> dict[str, object]:
    """Rates in bytes a second, medians; `ratio` is the median over the pairs."""
    if reason := why_not():
        return {"skipped": reason}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cucmd-bench-")))
        source = folder / "source.log"
        size = _fill(source, size_mb * MB)
        ours = stack.enter_context(_receiver(folder))
        theirs = stack.enter_context(_openssh(folder))
        for server in (ours, theirs):
            _push(server, source)  # not measured: caches, and the first key exchange
        pairs = [(size / _push(ours, source), size / _push(theirs, source)) for _ in range(rounds)]
    return {
        "size_mb": size_mb,
        "rounds": rounds,
        "cipher": CIPHER,
        "ours": statistics.median(mine for mine, _ in pairs),
        "theirs": statistics.median(other for _, other in pairs),
        "ratio": statistics.median(mine / other for mine, other in pairs),
        "ratios": [round(mine / other, 3) for mine, other in pairs],
    }


def _fill(path: Path, size: int) -> int:
    """Writes random bytes, which like gzipped logs cannot be compressed."""
    piece = os.urandom(MB)
    with path.open("wb") as file:
        for _ in range(size // MB):
            file.write(piece)
    return size // MB * MB


def _push(server: Server, source: Path) -> float:
    """Seconds for a whole `sftp` with one `put`, login and all."""
    name = "pushed.log"
    command = [
        "sftp", "-q", "-F", "none", "-oBatchMode=no", "-b", "-", f"-oCiphers={CIPHER}",
        "-oStrictHostKeyChecking=no", "-oUserKnownHostsFile=/dev/null", "-oLogLevel=ERROR",
        *server.login,
    ]  # fmt: skip
    began = time.perf_counter()
    subprocess.run(
        command,
        input=f'put "{source}" "{server.prefix}{name}"\n',
        env=os.environ | server.environ,
        text=True,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    took = time.perf_counter() - began
    arrived = server.folder / name
    assert arrived.stat().st_size == source.stat().st_size
    arrived.unlink()  # and with it the pages that would be written back during the next round
    return took


# Ours.


@contextmanager
def _receiver(folder: Path) -> Iterator[Server]:
    process = subprocess.Popen(
        [sys.executable, __file__, "--receiver", str(folder / "ours")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        login = json.loads(process.stdout.readline())
        asked = folder / "askpass"
        asked.write_text(f"#!/bin/sh\necho {login['password']}\n")
        asked.chmod(0o700)
        yield Server(
            ["-P", str(login["port"]), f"{login['username']}@127.0.0.1"],
            folder / "ours" / "target",
            "/",
            {"SSH_ASKPASS": str(asked), "SSH_ASKPASS_REQUIRE": "force"},
        )
    finally:
        process.communicate()  # the end of its input is the end of it
        assert process.returncode == 0, f"the receiver ended with {process.returncode}"


async def _serve(folder: Path) -> None:
    """A receiver with one target, until standard input ends."""
    folder.mkdir(exist_ok=True)
    limits = ReceiverLimits(min_free_bytes=0, min_free_ratio=0.0)
    async with open_bridge(), open_receiver(("127.0.0.1", 0), folder, limits) as receiver:
        target = receiver.open_upload_target(folder / "target", name="bench")
        login = {"port": receiver.port, "username": target.username, "password": target.password}
        print(json.dumps(login), flush=True)
        await trio.to_thread.run_sync(sys.stdin.read)
        await target.aclose()


# Theirs.


@contextmanager
def _openssh(folder: Path) -> Iterator[Server]:
    """sshd for our own user, with a key for the login; as root or not."""
    home = folder / "theirs"
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
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # compiled into sshd
    log = home / "log"
    process = subprocess.Popen([SSHD, "-D", "-E", str(log), "-f", str(home / "config")])
    try:
        _wait_for(process, log)
        login = ["-P", str(port), "-i", str(home / "login"), f"{getpass.getuser()}@127.0.0.1"]
        yield Server(login, home, f"{home}/", {})
    finally:
        process.terminate()
        process.wait()


def _wait_for(process: subprocess.Popen[bytes], log: Path) -> None:
    """sshd says in its log when it listens; nothing else announces it."""
    deadline = time.monotonic() + 10
    while not (log.exists() and "Server listening" in log.read_text()):
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, "sshd does not listen"
        time.sleep(0.02)


def why_not() -> str | None:
    """Why this cannot be measured here, or None."""
    for program in (SSHD, "sftp", "ssh-keygen"):
        if shutil.which(program) is None:
            return f"needs {program}"
    return None


if __name__ == "__main__":
    if sys.argv[1:2] == ["--receiver"]:
        trio.run(_serve, Path(sys.argv[2]))
    else:
        print(json.dumps(run(*map(int, sys.argv[1:3])), indent=2))
