"""A question on the terminal whose answer is typed unseen, as readpassphrase(3) asks it.

The one rule: whenever anybody else has the terminal, it is as it was. A signal that ends or stops
us takes effect after that; and once we go on, what a shell has switched on is off again before the
question comes a second time. `getpass` knows of no signals.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import termios
from types import TracebackType
from typing import Any, cast

# Held back until the terminal is as it was.
LEAVING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP)
# Heard as well, for a stop that cannot be held back: a shell had the terminal meanwhile.
HEARD = (*LEAVING, signal.SIGCONT)

# What `termios` gives and takes; the flags of echo are in its fourth place.
Settings = list[Any]


def ask(question: str) -> bytes:
    """What is typed to the end of the line; nothing for Ctrl-D. For the main thread.

    The cursor is then on a line of its own, whatever happened. Raises OSError where there is no
    terminal, and what the handler of a signal raises, such as KeyboardInterrupt.
    """
    terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
    try:
        while True:
            with _Heard() as heard:
                answer = _unseen(terminal, question.encode(), heard)
            for number in heard.leaving:
                signal.raise_signal(number)  # returns when what it stopped goes on
            if answer is not None:
                return answer
    except termios.error as error:  # as of a terminal that was taken away
        raise OSError(*error.args) from None
    finally:
        os.close(terminal)


class _Heard:
    """The signals that came meanwhile: noted, and without any other effect until the end."""

    def __init__(self) -> None:
        self.leaving: list[int] = []

    def __enter__(self) -> _Heard:
        self._read, self._write = os.pipe()
        for end in (self._read, self._write):
            os.set_blocking(end, False)
        # what stands there already tells `select` of a signal that came before it
        self._wakeup = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        # one that whoever started us has switched off, as nohup does, stays so
        self._before = {
            number: signal.signal(number, lambda number, frame: None)
            for number in HEARD
            if signal.getsignal(number) not in (signal.SIG_IGN, None)
        }
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
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


def _unseen(terminal: int, question: bytes, heard: _Heard) -> bytes | None:
    """The answer; None if a signal came before it."""
    before = termios.tcgetattr(terminal)
    try:
        return _asked(terminal, question, _without_echo(before), heard)
    finally:
        if _in_front(terminal):  # else a shell has it, and has set it up as it likes it
            _restore(terminal, before)


def _asked(terminal: int, question: bytes, unseen: Settings, heard: _Heard) -> bytes | None:
    while not heard.leaving:
        # from the background this stops us, until we are in front
        if _set(terminal, unseen):
            os.write(terminal, question)
            if (answer := _line(terminal, heard)) is not None:
                return answer
        heard.look()
    return None


def _line(terminal: int, heard: _Heard) -> bytes | None:
    line = b""
    while True:
        if heard.fileno() in select.select([terminal, heard.fileno()], [], [])[0]:
            return None
        try:
            part = os.read(terminal, 4096)
        except OSError:  # it was taken away
            return b""
        line += part
        if not part or part.endswith(b"\n"):
            return line.removesuffix(b"\n")


def _without_echo(settings: Settings) -> Settings:
    flags = settings[3] & ~(termios.ECHO | termios.ECHONL)
    return [*settings[:3], flags, *settings[4:]]


def _set(terminal: int, settings: Settings) -> bool:
    """Whether no signal came between. What was typed before is dropped: it may have been seen."""
    try:
        termios.tcsetattr(terminal, termios.TCSAFLUSH, cast(Any, settings))
    except termios.error as error:
        if error.args[0] != errno.EINTR:
            raise
        return False
    return True


def _restore(terminal: int, before: Settings) -> None:
    try:
        while not _set(terminal, before):
            pass
        os.write(terminal, b"\n")  # in place of the one that was typed, or of none
    except (OSError, termios.error):
        pass  # it was taken away, and is nobody's any more


def _in_front(terminal: int) -> bool:
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
