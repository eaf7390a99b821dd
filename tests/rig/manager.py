"""Plays systemd for a daemon: passes it a socket, and reads its notices."""

import os
import socket
import subprocess
import sys
from pathlib import Path

from rig.daemon import CONFIG

# The first inherited descriptor must be 3. $LISTEN_PID must be the pid of the daemon, which exec
# keeps.
LAUNCH = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.execve(sys.argv[2], sys.argv[2:], {**os.environ, "LISTEN_PID": str(os.getpid())})
"""


class Manager:
    """Runs a daemon as systemd does for Type=notify, a socket unit and WatchdogSec=."""

    def __init__(self, folder: Path, watchdog: float = 0.4) -> None:
        self.folder = folder
        self._watchdog = watchdog
        self.path = folder / "cucmd.sock"
        self.said: list[str] = []
        self._notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notices.bind(str(folder / "notify"))
        self._notices.settimeout(30)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.path))
        self._listener.listen()
        self.process: subprocess.Popen | None = None

    def start(self) -> None:
        (self.folder / "cucmd.toml").write_text(CONFIG)
        command = [
            *(sys.executable, "-X", "dev", "-W", "error", "-m", "cucmd", "serve"),
            *("--config", str(self.folder / "cucmd.toml"), "--socket", str(self.path)),
            *("--state-dir", str(self.folder / "state")),
        ]
        given = self._listener.fileno()
        environ = {
            "NOTIFY_SOCKET": str(self.folder / "notify"),
            "WATCHDOG_USEC": str(int(self._watchdog * 1e6)),
            "LISTEN_FDS": "1",
            "LISTEN_FDNAMES": "varlink",
        }
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", LAUNCH, str(given), *command],
                env={**os.environ, **environ},
                pass_fds=[given],
                stderr=log,
            )

    def until(self, word: str) -> None:
        """Reads the notices of the daemon up to the first that has the line `word`."""
        while True:
            try:
                message = self._notices.recv(65536).decode().split("\n")
            except TimeoutError:
                raise AssertionError(f"no {word}; {(self.folder / 'log').read_text()}") from None
            self.said += message
            if word in message:
                return

    def stop(self) -> int:
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(30)

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._notices.close()
        self._listener.close()
