"""Settings of the terminal while the live view draws on it.

They are changed only while we are in the foreground, or the kernel would stop us.
"""

from __future__ import annotations

import os
import termios
from typing import Any


def keep_output_at_ctrl_c(terminal: int) -> list[Any] | None:
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


def set_terminal(terminal: int, settings: list[Any]) -> None:
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
