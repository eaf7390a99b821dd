"""Asks questions at the terminal, and changes its settings while the live view draws on it.

The settings are changed only while this process is in the foreground. Otherwise the kernel would
stop the process.

A password is read without echo, as readpassphrase(3) does it. Whenever another process gets the
terminal, the old settings are restored first. A signal that ends or stops this process takes effect
after that. When the process continues, echo is switched off again before the question is printed
again. `getpass` of Python handles no signals. A question that is answered with yes or no is asked
in the same way, because `input` and `readline` of Python lose a Ctrl-C that comes just before they
call the kernel: they then wait for the answer all the same.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import termios
from contextlib import suppress
from typing import Any, cast

# These signals take effect once the settings of the terminal are restored.
LEAVING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP)
# SIGCONT is watched too: SIGSTOP cannot be delayed, and after it a shell has used the terminal.
WATCHED = (*LEAVING, signal.SIGCONT)

# The list that `termios.tcgetattr` returns; its fourth element has the flags for echo.
Settings = list[Any]


def ask(question: str, *, echo: bool = False) -> bytes:
    """Returns the line that is typed, or b"" for Ctrl-D. Must be called in the main thread.

    What was typed before the question is dropped. Afterwards the cursor is at the beginning of a
    line. Raises OSError if there is no terminal, and whatever the handler of a signal raises, such
    as KeyboardInterrupt.
    """
    terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
    try:
        while True:
            with _SignalWatch() as signals:
                answer = _ask_once(terminal, question.encode(), echo, signals)
            for number in signals.leaving:
                signal.raise_signal(number)  # for a stop, this returns when the process continues
            if answer is not None:
                return answer
    except termios.error as error:  # the terminal was closed
        raise OSError(*error.args) from None
    finally:
        os.close(terminal)


def says_yes(question: str) -> bool:
    """Asks at the terminal, and returns whether the answer is yes. Raises what `ask` does."""
    return ask(f"{question} [y/N] ", echo=True).strip().lower() in (b"y", b"yes")


class _SignalWatch:
    """Notes the signals that arrive in its block. They have no other effect until the block ends.

    `select` wakes up for a signal, because Python writes the signal's number into a pipe.
    """

    def __init__(self) -> None:
        self.leaving: list[int] = []

    def __enter__(self) -> _SignalWatch:
        self._read, self._write = os.pipe()
        for end in (self._read, self._write):
            os.set_blocking(end, False)
        # The byte stays in the pipe, so a signal that arrives before `select` still wakes it.
        self._wakeup = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        # A signal that was ignored at the start, as under nohup, stays ignored.
        self._before = {
            number: signal.signal(number, lambda number, frame: None)
            for number in WATCHED
            if signal.getsignal(number) not in (signal.SIG_IGN, None)
        }
        return self

    def __exit__(self, *details: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup)
        self.look()
        os.close(self._read)
        os.close(self._write)

    def fileno(self) -> int:
        return self._read

    def look(self) -> None:
        """Notes the signals that have arrived since the last look."""
        try:
            came = os.read(self._read, 4096)
        except BlockingIOError:
            return
        self.leaving += [number for number in came if number in LEAVING]


def _ask_once(terminal: int, question: bytes, echo: bool, signals: _SignalWatch) -> bytes | None:
    """Returns the typed line, or None if a signal arrived first."""
    answer: bytes | None = None
    before = termios.tcgetattr(terminal)
    without_echo = [*before[:3], before[3] & ~(termios.ECHO | termios.ECHONL), *before[4:]]
    try:
        while not signals.leaving:
            # If this process is in the background, the kernel stops it here.
            if _change_settings(terminal, before if echo else without_echo):
                os.write(terminal, question)
                if (answer := _read_line(terminal, signals)) is not None:
                    return answer.removesuffix(b"\n")
            signals.look()
        return None
    finally:
        if in_foreground(terminal):  # else a shell has set the terminal for itself
            with suppress(OSError, termios.error):  # the terminal was closed
                while not _change_settings(terminal, before):
                    pass
                if not (echo and answer and answer.endswith(b"\n")):
                    os.write(terminal, b"\n")  # no newline was typed, or it was not echoed


def _read_line(terminal: int, signals: _SignalWatch) -> bytes | None:
    line = b""
    while True:
        if signals.fileno() in select.select([terminal, signals.fileno()], [], [])[0]:
            return None
        try:
            part = os.read(terminal, 4096)
        except OSError:  # the terminal was closed
            return b""
        line += part
        if not part or part.endswith(b"\n"):
            return line


def _change_settings(terminal: int, settings: Settings) -> bool:
    """Changes the settings, and drops what was typed before. Returns False if a signal came."""
    try:
        termios.tcsetattr(terminal, termios.TCSAFLUSH, cast(Any, settings))
    except termios.error as error:
        if error.args[0] != errno.EINTR:
            raise
        return False
    return True


def keep_output_at_ctrl_c(terminal: int) -> Settings | None:
    """Makes the terminal keep its output at Ctrl-C, and returns the previous settings.

    By default the kernel drops what is not displayed yet, right after it has sent the signal. The
    dropped bytes could include the sequence that leaves the alternate screen. Returns None if
    nothing was changed, because the terminal is closed or belongs to a shell now.
    """
    if not in_foreground(terminal):
        return None
    try:
        before = termios.tcgetattr(terminal)
    except termios.error:
        return None
    set_terminal(terminal, [*before[:3], before[3] | termios.NOFLSH, *before[4:]])
    return before


def set_terminal(terminal: int, settings: Settings) -> None:
    """Changes the settings without dropping output or input; does nothing in the background."""
    try:
        if in_foreground(terminal):  # else the kernel would stop this process
            termios.tcsetattr(terminal, termios.TCSANOW, settings)
    except termios.error:
        pass  # the terminal was closed


def in_foreground(terminal: int) -> bool:
    """Returns whether this process may change the settings of the terminal."""
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:  # not the controlling terminal, so there is no foreground process group
        return True
