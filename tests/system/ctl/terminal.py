"""Runs a program on a terminal, and keeps what a person would see.

Only the escape sequences of a full-screen view are known; others are collected in `unknown`.
"""

import codecs
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

PATIENCE = 30


class Terminal:
    """A terminal of `columns` by `rows` on which a program runs.

    It has two screens, as real terminals do. `screen` is the visible one; `main` is the normal
    one, which returns after a full-screen view.
    """

    _SEQUENCE = re.compile(r"\x1b\[(\??)([\d;]*)([A-Za-z])|\x1b[78=>]")

    _CUT = re.compile(r"\x1b(\[\??[\d;]*)?$")

    def __init__(self, command: list[str], environ: dict, columns: int, rows: int) -> None:
        self.raw = ""
        self.main: list[str] = [""]
        self.alternate: list[str] | None = None
        self.cursor_shown = True
        self.unknown: list[str] = []
        self._row = 0
        self._rest = ""
        self._hung_up = False
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self.columns = columns
        self._fd, child = pty.openpty()
        self.resize(columns, rows)
        self.before = termios.tcgetattr(child)
        # a session of its own, whose terminal this is: Ctrl-C then comes as it does to people
        take = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0);"
        run = "os.execv(sys.argv[1], sys.argv[1:])"
        self.process = subprocess.Popen(
            [sys.executable, "-c", take + run, *command],
            stdin=child,
            stdout=child,
            stderr=child,
            env=environ,
            start_new_session=True,
        )
        os.close(child)

    @property
    def screen(self) -> str:
        return "\n".join(self.main if self.alternate is None else self.alternate)

    @property
    def settings(self) -> list:
        return termios.tcgetattr(self._fd)

    def resize(self, columns: int, rows: int) -> None:
        self.columns = columns
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text: str | bytes) -> None:
        os.write(self._fd, text.encode() if isinstance(text, str) else text)

    def until(self, text: str) -> None:
        """Reads until `text` is on the screen."""
        self.read_until(lambda: text in self.screen)

    def until_again(self, text: str) -> None:
        """Reads until `text` is on the screen a second time."""
        self.read_until(lambda: self.screen.count(text) > 1)

    def interrupt(self) -> None:
        """Types Ctrl-C, and reads until it is echoed.

        The kernel handles it a moment later, and drops what has not been read by then.
        """
        echoed = self.raw.count("^C")
        self.type("\x03")
        self.read_until(lambda: self.raw.count("^C") > echoed)

    def until_frame(self, columns: int, rows: int) -> None:
        """Reads until a full-screen picture has exactly this size."""
        self.read_until(
            lambda: (
                self.alternate is not None
                and [len(line) for line in self.alternate] == [columns] * rows
            )
        )

    def until_stopped(self) -> None:
        """Reads until the program has been stopped, as by Ctrl-Z, and the first screen is back."""
        state = Path(f"/proc/{self.process.pid}/stat")
        self.read_until(
            lambda: (
                self.alternate is None and state.read_text().rpartition(")")[2].split()[0] == "T"
            )
        )

    def ended(self) -> int:
        """Reads to the end; returns the exit code as a shell counts it."""
        self.read_until(lambda: self._hung_up)
        code = self.process.wait(PATIENCE)
        return 128 - code if code < 0 else code

    def hang_up(self) -> None:
        """Closes the terminal, as when its window is closed."""
        os.close(self._fd)
        self._fd = os.open(os.devnull, os.O_RDWR)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        os.close(self._fd)

    def read_until(self, reached, within: float = PATIENCE) -> None:
        """Reads until `reached()` is true."""
        deadline = time.monotonic() + within
        while not reached():
            assert time.monotonic() < deadline, f"not reached; the screen shows:\n{self.screen}"
            # a program that stops writes nothing, so look again now and then
            if select.select([self._fd], [], [], 0.1)[0] and not self._hung_up:
                self._feed(self._decoder.decode(self._chunk()))

    def _chunk(self) -> bytes:
        try:
            return os.read(self._fd, 65536)
        except OSError:  # nobody has the other end open any more, and all that was written is read
            self._hung_up = True
            return b""

    def _feed(self, text: str) -> None:
        self.raw += text
        # a sequence may be cut in two by the end of a read
        text = self._rest + text
        cut = self._CUT.search(text)
        text, self._rest = (text[: cut.start()], cut.group()) if cut else (text, "")
        place = 0
        for found in self._SEQUENCE.finditer(text):
            self._write(text[place : found.start()])
            self._obey(found)
            place = found.end()
        self._write(text[place:])

    def _write(self, text: str) -> None:
        lines = self.main if self.alternate is None else self.alternate
        for character in text:
            if character == "\n":
                self._row += 1
                while len(lines) <= self._row:
                    lines.append("")
            elif character == "\r":
                pass  # every line is written from its start; see the assertion in `_obey`
            elif character.isprintable():
                lines[self._row] += character
            else:
                self.unknown.append(character)

    def _obey(self, found: re.Match) -> None:
        private, parameters, letter = found.groups()
        match (private, parameters, letter):
            case ("?", "1049", "h"):
                self.alternate, self._row = [""], 0
            case ("?", "1049", "l"):
                self.alternate, self._row = None, len(self.main) - 1
            case ("?", "25", _):
                self.cursor_shown = letter == "h"
            case ("", "" | "1;1", "H"):
                if self.alternate is not None:
                    self.alternate = [""]
                self._row = 0
            case ("", "", "K"):  # after a carriage return: a line of progress is written anew
                (self.main if self.alternate is None else self.alternate)[self._row] = ""
            case ("", _, "m"):
                pass  # colours
            case _:
                self.unknown.append(found.group())
