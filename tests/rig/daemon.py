"""Runs `cucmd serve` as a process, with its state below a folder."""

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cucmctl import Client
from rig import written
from rig.leftovers import Holdings, assert_holds_no_more
from rig.process import Child, die_with_parent
from rig.quiet import wait_until
from rig.readable_python import Python, readable_python

CONFIG = """\
[receiver]
listen = "127.0.0.1:0"
[retry]
base = 0.05
[limits]
free_space_percent = 0
free_space_bytes = 0
"""


class Daemon(Child):
    """Holds a daemon: the path of its socket, its state directory, and the file of its log."""

    def __init__(self, process: subprocess.Popen, folder: Path, socket_path: Path) -> None:
        super().__init__(process)
        self.folder = folder
        self.socket = socket_path
        self.state = folder / "state"
        self.log = folder / "daemon.log"
        self._stop_requested = False

    def descriptors(self) -> dict[str, str]:
        """Returns the open descriptors, without those of the database.

        The first job opens the database, which then stays open.
        """
        database = str(self.state / "cucmd.db")
        return {fd: to for fd, to in super().descriptors().items() if not to.startswith(database)}

    def signal(self, number: signal.Signals) -> None:
        self._stop_requested |= number not in (signal.SIGUSR1, signal.SIGHUP)
        super().signal(number)

    @property
    def in_service(self) -> bool:
        """Says whether the daemon runs and was not told to stop."""
        return not self._stop_requested and self.process.poll() is None

    @property
    def receiver_port(self) -> int:
        return int(re.findall(r"receiving at \S+ port (\d+)", self.log.read_text())[-1])

    @contextmanager
    def stranger(self) -> Iterator[None]:
        """Holds a connection to the receiver open, so that a process serves it."""
        before = set(self.tree())
        with socket.create_connection(("127.0.0.1", self.receiver_port), 10):
            # The processes of earlier connections may still be ending.
            wait_until(lambda: len(self.tree()) > 2 and not before.issuperset(self.tree()))
            yield

    def client(self) -> Client:
        return Client(self.socket)

    def link_at(self, path: Path) -> None:
        """Makes `path` a link to the socket of this daemon, in place of that of an earlier one."""
        path.unlink(missing_ok=True)
        path.symlink_to(self.socket)

    def forget_host_keys(self) -> None:
        """Forgets all host keys: a later lab may use the same ports with other keys."""
        with Client(self.socket) as client:
            for node in {key.node for key in client.host_keys()}:
                client.forget_host_key(node)

    def ctl(self, *arguments: str, **options: object) -> subprocess.CompletedProcess:
        """Runs `cucmctl` against this daemon."""
        command = [sys.executable, "-m", "cucmctl", "--socket", str(self.socket), *arguments]
        options = {"capture_output": True, "text": True, "timeout": 120, **options}
        return subprocess.run(command, check=False, **options)


@contextmanager
def running_daemon(
    folder: Path,
    config: str = CONFIG,
    environ: dict[str, str] | None = None,
    *,
    checks: bool = True,
    module: str = "cucmd",
    options: Sequence[str] = (),
    user: int | None = None,
) -> Iterator[Daemon]:
    """Yields a daemon that is ready. A second one on the same folder finds the state of the first.

    checks: run Python with its development checks, so that a warning is an error
    module: the module that Python runs instead of `cucmd`
    user: the uid of the process

    Asserts at the end that the daemon holds nothing open, and that it has written no password.
    """
    folder.mkdir(exist_ok=True)
    (folder / "cucmd.toml").write_text(config)
    # The path of a socket has at most 107 bytes; pytest's folders can be longer.
    with tempfile.TemporaryDirectory(prefix="cucmd-") as short:
        path = Path(short) / "cucmd.sock"
        temporary = Path(short, "tmp")
        temporary.mkdir()
        flags = ["-X", "dev", "-W", "error"] if checks else []
        if user is not None:
            os.chown(short, user, -1)
            os.chown(temporary, user, -1)
        python = Python(sys.executable, {}) if user is None else readable_python()
        program = [python.program, *flags, "-m", module, "serve", *options]
        process = _start(folder, path, {**python.environ, **(environ or {})}, program, user)
        daemon = Daemon(process, folder, path)
        before = Holdings.of(daemon)
        try:
            yield daemon
            if daemon.in_service:
                assert_holds_no_more(daemon, before)
        finally:
            if daemon.process.poll() is None:
                # A test may have sent SIGTERM already. Then this one ends the daemon at once.
                code = daemon.stop()
                log = daemon.log.read_text()
                # Outside of tests pytest does not show the values of an assertion.
                assert code in (0, -signal.SIGTERM), f"exit code {code}\n{log}"
                # With `checks`, Python logs descriptors that were left open.
                assert "Exception ignored" not in log, log
                assert "ResourceWarning" not in log, log
                assert not (left := os.listdir(temporary)), left
    assert written.passwords_in(folder) == []


def _start(
    folder: Path, path: Path, environ: dict[str, str], program: list[str], user: int | None
) -> subprocess.Popen:
    short = path.parent
    command = [
        *program,
        *("--config", str(folder / "cucmd.toml"), "--socket", str(path)),
        *("--state-dir", str(folder / "state")),
    ]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready:
        ready.bind(str(short / "notify"))
        (short / "notify").chmod(0o666)
        inherited = {**os.environ, **environ, "NOTIFY_SOCKET": str(short / "notify")}
        inherited["TMPDIR"] = str(short / "tmp")
        # So that `module` can be of this package.
        search = [str(Path(__file__).parents[1]), inherited.get("PYTHONPATH", "")]
        inherited["PYTHONPATH"] = os.pathsep.join(filter(None, search))
        if user is not None:
            # Coverage writes to the working directory, which is closed to other users.
            inherited.pop("COVERAGE_PROCESS_START", None)
        with (folder / "daemon.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                env=inherited,
                user=user,
                group=user,
                extra_groups=None if user is None else [],
                preexec_fn=die_with_parent,
            )
        try:
            _wait_for(ready, process)
        except TimeoutError:
            process.kill()
            process.wait()
            raise AssertionError((folder / "daemon.log").read_text()) from None
    return process


def _wait_for(ready: socket.socket, process: subprocess.Popen) -> None:
    """Waits for READY=1. Raises TimeoutError if the daemon ends before, or takes a minute."""
    ready.settimeout(0.5)
    for _ in range(120):
        try:
            if b"READY=1" in ready.recv(4096).split(b"\n"):
                return
        except TimeoutError:
            if process.poll() is not None:
                raise
    raise TimeoutError
