"""`cucmd demo`: runs one job from start to end against simulated nodes.

The lab, the daemon and the client run as processes of their own, with the same programs and the
same kind of socket as in a real collection. The demo needs nothing but the installed package. It
removes everything that it has made, however it ends.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from cucmd.paths import LONGEST_SOCKET
from cucmd.stdout import checked_stdout
from cucmd.worker.parent_end import end_with_parent

# The demo needs 7 MB for a short time, so the usual limits of free space do not apply. Some free
# space is required: else the daemon could not store the end of the job, and the demo would hang.
CONFIG = """\
[receiver]
listen = "127.0.0.1:0"
[limits]
free_space_percent = 0
free_space_bytes = 2097152
"""

SHOWN = 3  # files that are listed for each node; the manifest has all
STOP_WITHIN = 20.0  # seconds; grace periods are much shorter
# Ctrl-C, kill, a closed terminal and Ctrl-\ end the demo in an orderly way.
ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


class EndedBySignal(KeyboardInterrupt):
    """Raised by the handler of the signal `number`, which ends the demo."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def demo() -> int:
    """Runs the demo. Returns 0 if every node succeeded, else the exit code of `cucmctl`.

    Raises `Unwritable`.
    """
    try:
        with ended_by_signals():
            code = _demonstrate()
        failed = f"Failed: exit code {code}. " if code else ""
        say(f"{failed}Everything is stopped and removed again.")
    except EndedBySignal as interrupted:
        text = "interrupted; the job, the daemon and the nodes are stopped and removed again"
        print(f"cucmd demo: {text}", file=sys.stderr)
        return 128 + interrupted.number
    return code


def _demonstrate() -> int:
    with ExitStack() as stack:
        folder = stack.enter_context(temporary_folder())
        sockets = stack.enter_context(folder_for_sockets(folder))
        say("Three simulated nodes ...")
        nodes = stack.enter_context(lab())
        say("  " + "  ".join(nodes["nodes"]))
        say("A daemon with its own SFTP receiver ...")
        with daemon(folder, sockets):
            code = _collect(folder, sockets, nodes)
        # The daemon has stopped, so the job is closed and its manifest is written.
        _list_files(folder / "state")
    return code


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Lets signals that end the demo raise `EndedBySignal`, but only in `interruptible` and at the
    end. Elsewhere they wait, so that no process and no folder is made that nobody removes.
    """

    def end(number: int, frame: FrameType | None) -> None:
        ignore(ENDINGS)  # people press Ctrl-C twice
        raise EndedBySignal(number)

    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ENDINGS)
    # A signal that was ignored at the start, as by nohup, stays ignored.
    handled = [number for number in ENDINGS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, end) for number in handled}
    try:
        yield
    finally:
        try:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@contextmanager
def interruptible() -> Iterator[None]:
    """Lets signals end the demo in the block. A block waits, and makes nothing."""
    mask = signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDINGS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def ignore(signals: Sequence[signal.Signals]) -> None:
    for number in signals:
        signal.signal(number, signal.SIG_IGN)


def say(text: str) -> None:
    """Prints a line and flushes it, since other processes write to the same standard output."""
    with checked_stdout():
        print(text)


@contextmanager
def temporary_folder(below: str | None = None) -> Iterator[Path]:
    try:
        folder = tempfile.mkdtemp(prefix="cucmd-demo-", dir=below)
    except OSError as error:
        raise SystemExit(f"cucmd demo: no temporary folder ($TMPDIR): {error}") from error
    try:
        if below is None:
            # asyncssh looks for libraries with a compiler, and its file stays if it is ended then.
            os.environ["TMPDIR"] = folder
        yield Path(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def folder_for_sockets(folder: Path) -> Iterator[Path]:
    """Yields `folder`, or a folder in /tmp if the path of a socket in it would be too long."""
    if len(os.fsencode(folder / "cucmd.sock")) <= LONGEST_SOCKET:
        yield folder
        return
    with temporary_folder("/tmp") as short:  # noqa: S108  mkdtemp makes it for us alone
        yield short


def free_port() -> str:
    """Returns a TCP port that is free on loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


@contextmanager
def running_process(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    """Ends the process after the block."""
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


def start_process(command: list[str], **more: Any) -> subprocess.Popen[str]:
    """Starts a process in a group of its own, so that Ctrl-C reaches the demo alone.

    The kernel kills the process if the demo is killed.
    """
    return subprocess.Popen(
        command,
        text=True,
        process_group=0,
        preexec_fn=partial(_begin, os.getpid()),  # noqa: PLW1509  a demo has one thread
        **more,
    )


def _begin(parent: int) -> None:
    """Runs in a new process, which shall not wait with signals as the demo does."""
    end_with_parent(parent)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDINGS)


@contextmanager
def lab(*options: str) -> Iterator[dict[str, Any]]:
    """Runs simulated nodes, and yields their names and their login."""
    command = [sys.executable, "-m", "cucmd", "lab", "--nodes", "3", "--port", "0", *options]
    with running_process(start_process(command, stdout=subprocess.PIPE)) as process:
        assert process.stdout is not None
        with interruptible():
            line = process.stdout.readline()
        if not line:
            raise SystemExit("cucmd demo: the lab did not start")
        yield json.loads(line)


@contextmanager
def daemon(
    folder: Path, sockets: Path, more: str = "", *, quiet: bool = False
) -> Iterator[subprocess.Popen[str]]:
    """Runs a daemon with its state in `folder`.

    more   is added to its configuration
    quiet  as in `ready_process`
    """
    (folder / "cucmd.toml").write_text(CONFIG + more)
    command = _serve_command(folder, sockets)
    with ready_process(command, sockets / "notify", quiet=quiet) as running:
        yield running


@contextmanager
def ready_process(
    command: list[str], notify: Path, *, quiet: bool = False
) -> Iterator[subprocess.Popen[str]]:
    """Runs a program that tells a service manager when it is ready, and waits for that.

    quiet  print only what a program says that does not start
    """
    notify.unlink(missing_ok=True)  # of a process that was killed
    with (
        tempfile.TemporaryFile("w+") as log,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready,
    ):
        ready.bind(str(notify))
        ready.settimeout(0.5)
        output = {"stdout": subprocess.DEVNULL, "stderr": log} if quiet else {}
        process = start_process(command, env=_environment(notify), **output)
        with running_process(process):
            with interruptible():
                if not _is_ready(ready, process):
                    log.seek(0)
                    print(log.read(), end="", file=sys.stderr)
                    raise SystemExit("the demo: a program did not start; its message is above")
            yield process


def _serve_command(folder: Path, sockets: Path) -> list[str]:
    return [
        *(sys.executable, "-m", "cucmd", "serve"),
        *("--config", str(folder / "cucmd.toml")),
        *("--socket", str(sockets / "cucmd.sock")),
        *("--state-dir", str(folder / "state")),
        "--quiet",
    ]


def _environment(notify: Path) -> dict[str, str]:
    """Copies our environment without the variables of a service manager; adds $NOTIFY_SOCKET."""
    service = ("LISTEN_", "WATCHDOG_", "JOURNAL_STREAM", "STATE_DIRECTORY", "JOB_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(service)}
    return {**kept, "NOTIFY_SOCKET": str(notify)}


def _is_ready(notifications: socket.socket, process: subprocess.Popen[str]) -> bool:
    """Waits until a program is ready, and returns True; or False if the program has ended."""
    while process.poll() is None:
        try:
            if b"READY=1" in notifications.recv(4096).split(b"\n"):
                return True
        except TimeoutError:
            continue  # and look whether the process still runs
    return False


def _collect(folder: Path, sockets: Path, lab: dict[str, Any]) -> int:
    password = folder / "password"
    password.touch(mode=0o600)
    password.write_text(lab["password"] + "\n")
    wanted = [*lab["nodes"], "--path", "cm/trace/ccm/sdl", "--last", "2h"]
    wanted += ["--user", lab["username"], "--watch"]
    say("$ cucmctl start " + " ".join(wanted))
    more = [*wanted, "--password-file", str(password)]
    ctl = [sys.executable, "-m", "cucmctl", "--socket", str(sockets / "cucmd.sock"), "start"]
    # A Ctrl-C does not reach `cucmctl`, which would print that the job goes on: the demo ends the
    # job. The process stays in the process group of the demo, so that Ctrl-Z reaches it.
    unheard = partial(signal.pthread_sigmask, signal.SIG_SETMASK, [signal.SIGINT])
    process = subprocess.Popen([*ctl, *more], text=True, preexec_fn=unheard)  # noqa: PLW1509
    with running_process(process), interruptible():
        return process.wait()


def _list_files(state: Path) -> None:
    for manifest in sorted(state.glob("jobs/*/manifest.json")):
        files = json.loads(manifest.read_text())
        size = sum(file["size"] for file in files)
        came = f"{len(files)} files, {size} bytes, each with its SHA-256 in manifest.json:"
        say(came if files else "No file came.")
        for node in sorted({file["node"] for file in files}):
            _list_node(node, [file for file in files if file["node"] == node])


def _list_node(node: str, files: list[dict[str, Any]]) -> None:
    say(f"  {node}")
    for file in files[:SHOWN]:
        say(f"    {file['sha256'][:12]}  {file['size']:>9}  {file['path'].rpartition('/')[2]}")
    if len(files) > SHOWN:
        say(f"    ... and {len(files) - SHOWN} more")
