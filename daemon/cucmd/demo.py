"""`cucmd demo`: the main job, whole, with nothing but this package: lab, daemon, client, files.

The one rule: it uses the same programs and the same socket as a real collection, each in a
process of its own; what it shows is what a user gets. Everything it makes goes away again.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

CONFIG = """\
[receiver]
listen = "127.0.0.1:0"
"""

SHOWN = 3  # files of each node; the manifest has them all
STOP_WITHIN = 20.0  # seconds; grace periods are far below


def demo() -> int:
    """Runs it; 0 if every node succeeded, else the exit code of `cucmctl`."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(_temporary_folder()))
        print("Three simulated nodes ...", flush=True)
        lab = stack.enter_context(_lab())
        print("  " + "  ".join(lab["nodes"]), flush=True)
        print("A daemon with its own SFTP receiver ...", flush=True)
        stack.enter_context(_daemon(folder))
        code = _collect(folder, lab)
        _list_files(folder / "state")
    print("Everything is stopped and removed again." if code == 0 else f"Failed: exit code {code}.")
    return code


@contextmanager
def _temporary_folder() -> Iterator[str]:
    folder = tempfile.mkdtemp(prefix="cucmd-demo-")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _running(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_WITHIN)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


@contextmanager
def _lab() -> Iterator[dict[str, Any]]:
    command = [sys.executable, "-m", "cucmd", "lab", "--nodes", "3", "--port", "0"]
    with _running(subprocess.Popen(command, stdout=subprocess.PIPE, text=True)) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise SystemExit("cucmd demo: the lab did not start")
        yield json.loads(line)


@contextmanager
def _daemon(folder: Path) -> Iterator[None]:
    (folder / "cucmd.toml").write_text(CONFIG)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready:
        ready.bind(str(folder / "notify"))
        ready.settimeout(0.5)
        process = subprocess.Popen(_serve_command(folder), env=_environment(folder), text=True)
        with _running(process):
            _wait_until_ready(ready, process)
            yield


def _serve_command(folder: Path) -> list[str]:
    return [
        *(sys.executable, "-m", "cucmd", "serve"),
        *("--config", str(folder / "cucmd.toml")),
        *("--socket", str(folder / "cucmd.sock")),
        *("--state-dir", str(folder / "state")),
        "--quiet",
    ]


def _environment(folder: Path) -> dict[str, str]:
    """Ours, less what a service manager may have given to us; and a place to say READY=1."""
    service = ("LISTEN_", "WATCHDOG_", "JOURNAL_STREAM", "STATE_DIRECTORY", "JOB_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(service)}
    return {**kept, "NOTIFY_SOCKET": str(folder / "notify")}


def _wait_until_ready(notifications: socket.socket, daemon: subprocess.Popen[str]) -> None:
    while daemon.poll() is None:
        try:
            if b"READY=1" in notifications.recv(4096).split(b"\n"):
                return
        except TimeoutError:
            continue  # is it still there?
    raise SystemExit("cucmd demo: the daemon did not start")


def _collect(folder: Path, lab: dict[str, Any]) -> int:
    password = folder / "password"
    password.touch(mode=0o600)
    password.write_text(lab["password"] + "\n")
    wanted = [*lab["nodes"], "--path", "cm/trace/ccm/sdl", "--last", "2h"]
    wanted += ["--user", lab["username"], "--watch"]
    print("$ cucmctl start " + " ".join(wanted), flush=True)
    ctl = [sys.executable, "-m", "cucmctl", "--socket", str(folder / "cucmd.sock"), "start"]
    return subprocess.run([*ctl, *wanted, "--password-file", str(password)], check=False).returncode


def _list_files(state: Path) -> None:
    for manifest in sorted(state.glob("jobs/*/manifest.json")):
        files = json.loads(manifest.read_text())["files"]
        size = sum(file["size"] for file in files)
        print(f"{len(files)} files, {size} bytes, each with its SHA-256 in manifest.json:")
        for node in sorted({file["node"] for file in files}):
            _list_node(node, [file for file in files if file["node"] == node])


def _list_node(node: str, files: list[dict[str, Any]]) -> None:
    print(f"  {node}")
    for file in files[:SHOWN]:
        print(f"    {file['sha256'][:12]}  {file['size']:>9}  {file['path'].rpartition('/')[2]}")
    if len(files) > SHOWN:
        print(f"    ... and {len(files) - SHOWN} more")
