"""Watches a child process, reads what it holds and uses, and ends it in a limited time."""

import ctypes
import os
import signal
import subprocess
import time
from pathlib import Path

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Makes the kernel kill this child when the test run ends. For `preexec_fn`.

    The child gets no Ctrl-C. Ctrl-C ends the test run, which then stops its children.
    """
    os.setpgid(0, 0)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Child:
    """Holds a child process."""

    def __init__(self, process: subprocess.Popen) -> None:
        self.process = process
        self.pid = process.pid

    def descriptors(self) -> dict[str, str]:
        """Returns the open descriptors with their targets, as /proc shows them."""
        found = {}
        for entry in Path(f"/proc/{self.pid}/fd").iterdir():
            try:
                found[entry.name] = os.readlink(entry)
            except FileNotFoundError:
                continue  # closed meanwhile
        return found

    def threads(self) -> int:
        return len(list(Path(f"/proc/{self.pid}/task").iterdir()))

    def memory(self) -> int:
        """Returns the resident set in bytes."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def most_memory(self) -> int:
        """Returns the largest resident set that the process ever had, in bytes."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024

    def tree(self) -> list[int]:
        """Returns the pid of the process and those of all its descendants."""
        children: dict[int, list[int]] = {}
        for name in os.listdir("/proc"):
            if name.isdigit() and (fields := _stat(int(name))):
                children.setdefault(int(fields[1]), []).append(int(name))
        found = [self.pid]
        for pid in found:  # the list grows meanwhile
            found += children.get(pid, [])
        return found

    def cpu(self) -> float:
        """Returns the processor time of the process and its descendants, in seconds."""
        return sum(_cpu(pid) for pid in self.tree())

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def stop(self, within: float = 30.0) -> int:
        """Sends SIGTERM; returns the exit code. Kills the process and raises if it does not end."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(within)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.process.args} did not end within {within} s") from None

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


def command_line(pid: int) -> str:
    """Returns the command line of a process, or an empty text if it has ended or has none."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ""
    return words.replace(b"\0", b" ").decode(errors="replace").strip()


def of_session(session: int) -> list[int]:
    """Returns the pids of the processes in a session (setsid(2))."""
    pids = (int(name) for name in os.listdir("/proc") if name.isdigit())
    return [pid for pid in pids if _stat(pid)[3:4] == [str(session)]]


def _cpu(pid: int) -> float:
    """Returns the seconds of processor time of a process and of the children that it waited for.

    The clock of the process (clock_getcpuclockid(3)) is finer than /proc. Only /proc has the
    children.
    """
    fields = _stat(pid)
    try:
        used = time.clock_gettime((~pid << 3) | 2)
    except OSError:  # the process has ended
        return 0.0
    return used + sum(map(int, fields[13:15])) / os.sysconf("SC_CLK_TCK")


def _stat(pid: int) -> list[str]:
    """Returns the fields of /proc/PID/stat from the state on, or an empty list if it has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
