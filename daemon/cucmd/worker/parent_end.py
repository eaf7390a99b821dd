"""Lets the kernel end a process when the process that has started it ends."""

from __future__ import annotations

import ctypes
import os
import signal

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>

_libc = ctypes.CDLL(None)


def end_with_parent(parent: int, number: int = signal.SIGKILL) -> None:
    """Makes the kernel send a signal to this process when its parent ends.

    The kernel does that, too, when the thread ends that has started this process.

    parent  the id of the process that has started this one. If it has ended already, this process
            gets the signal now
    """
    _libc.prctl(_PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:
        os.kill(os.getpid(), number)
