"""A child process: what it holds and uses, and an end within a limited time."""

import ctypes
import os
import signal
import subprocess
import time
from pathlib import Path

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Is for `preexec_fn`: the child is killed when the test run ends, and gets no Ctrl-C.

    Ctrl-C ends the test run, which then stops its children in order.
    """
    os.setpgid(0, 0)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Child:
    """A process that `stop` ends: by SIGTERM, or by SIGKILL if that was not enough."""

    def __init__(self, process: subprocess.Popen) -> None:
        self.process = process
        self.pid = process.pid

    def descriptors(self) -> dict[str, str]:
        """Descriptor -> what it points to, as /proc shows it."""
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
        """Resident set, in bytes."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def most_memory(self) -> int:
        """Reads the largest resident set that it ever had, in bytes."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024

    def tree(self) -> list[int]:
        """Returns its pid, and those of all that descend from it."""
        children: dict[int, list[int]] = {}
        for name in os.listdir("/proc"):
            if name.isdigit() and (fields := _stat(int(name))):
                children.setdefault(int(fields[1]), []).append(int(name))
        found = [self.pid]
        for pid in found:  # which grows meanwhile
            found += children.get(pid, [])
        return found

    def cpu(self) -> float:
        """Seconds of the processor, of it and all that descend from it, ended or not."""
        return sum(_cpu(pid) for pid in self.tree())

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def stop(self, within: float = 30.0) -> int:
        """Sends SIGTERM, and returns its exit code. Raises if it had to be killed."""
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
    """Reads its words, with blanks between them; empty if it has ended, or is no program."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ""
    return words.replace(b"\0", b" ").decode(errors="replace").strip()


def of_session(session: int) -> list[int]:
    """Finds the pids of a session, as setsid(2) and terminals make them."""
    pids = (int(name) for name in os.listdir("/proc") if name.isdigit())
    return [pid for pid in pids if _stat(pid)[3:4] == [str(session)]]


def _cpu(pid: int) -> float:
    """Returns the seconds of the process, by its own clock (clock_getcpuclockid(3)), which is finer
    than /proc; and of those children that it has waited for, which only /proc has.
    """
    fields = _stat(pid)
    try:
        used = time.clock_gettime((~pid << 3) | 2)
    except OSError:  # it has ended
        return 0.0
    return used + sum(map(int, fields[13:15])) / os.sysconf("SC_CLK_TCK")


def _stat(pid: int) -> list[str]:
    """Returns the fields from the state on; none if it has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
