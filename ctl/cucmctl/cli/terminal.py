"""Changes the settings of the terminal while a password is typed or the live view draws on it.

They are changed only while we are in the foreground, or the kernel would stop us.

A question is answered without echo, as by readpassphrase(3). Whenever another process has the
terminal, its settings are restored. A signal that ends or stops us takes effect after that. When we
continue, echo is switched off again before the question is printed again. `getpass` does not handle
signals.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import termios
from contextlib import suppress
from typing import Any, cast

# They take effect once the settings of the terminal are restored.
LEAVING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP)
# SIGCONT too: after a SIGSTOP, which cannot be delayed, a shell has had the terminal.
WATCHED = (*LEAVING, signal.SIGCONT)

# The list of `termios.tcgetattr`; its fourth element has the flags for echo.
Settings = list[Any]


def ask(question: str) -> bytes:
    """Reads what is typed up to the end of the line; empty for Ctrl-D. For the main thread only.

    The cursor is at the beginning of a line afterwards. Raises OSError if there is no terminal, and
    what the handler of a signal raises, such as KeyboardInterrupt.
    """
    terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
    try:
        while True:
            with _SignalWatch() as signals:
                answer = _unseen(terminal, question.encode(), signals)
            for number in signals.leaving:
                signal.raise_signal(number)  # after a stop it returns when the process continues
            if answer is not None:
                return answer
    except termios.error as error:  # of a terminal that was closed
        raise OSError(*error.args) from None
    finally:
        os.close(terminal)


class _SignalWatch:
    """Notes the signals that come in its block. They have no other effect until it ends."""

    def __init__(self) -> None:
        self.leaving: list[int] = []

    def __enter__(self) -> _SignalWatch:
        self._read, self._write = os.pipe()
        for end in (self._read, self._write):
            os.set_blocking(end, False)
        # a byte that is in the pipe already wakes `select` for a signal that came before it
        self._wakeup = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        # a signal that was ignored at the start (nohup) stays ignored
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
        try:
            came = os.read(self._read, 4096)
        except BlockingIOError:
            return
        self.leaving += [number for number in came if number in LEAVING]


def _unseen(terminal: int, question: bytes, signals: _SignalWatch) -> bytes | None:
    """Reads the answer, or returns None if a signal came before it."""
    before = termios.tcgetattr(terminal)
    unseen = [*before[:3], before[3] & ~(termios.ECHO | termios.ECHONL), *before[4:]]
    try:
        while not signals.leaving:
            # in the background this stops us until we are in the foreground
            if _set(terminal, unseen):
                os.write(terminal, question)
                if (answer := _line(terminal, signals)) is not None:
                    return answer
            signals.look()
        return None
    finally:
        if in_foreground(terminal):  # else a shell has it, with its own settings
            with suppress(OSError, termios.error):  # the terminal was closed
                while not _set(terminal, before):
                    pass
                os.write(terminal, b"\n")  # the typed one was not echoed


def _line(terminal: int, signals: _SignalWatch) -> bytes | None:
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
            return line.removesuffix(b"\n")


def _set(terminal: int, settings: Settings) -> bool:
    """Sets the terminal. False: a signal came first. Drops what was typed before, with echo."""
    try:
        termios.tcsetattr(terminal, termios.TCSAFLUSH, cast(Any, settings))
    except termios.error as error:
        if error.args[0] != errno.EINTR:
            raise
        return False
    return True


def keep_output_at_ctrl_c(terminal: int) -> Settings | None:
    """Sets the terminal so that Ctrl-C drops no output; the settings of before.

    By default the kernel drops what is not displayed yet, and does so just after it has sent the
    signal: the sequence that leaves the alternate screen could be among it. None: nothing was
    changed, because the terminal is gone, or a shell has it.
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
    try:
        if in_foreground(terminal):  # else it would stop us
            termios.tcsetattr(terminal, termios.TCSANOW, settings)
    except termios.error:
        pass  # the terminal was closed


def in_foreground(terminal: int) -> bool:
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:  # it is not our controlling terminal, so it has no foreground group
        return True
