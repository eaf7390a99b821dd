"""Makes a first worker process fail to get a descriptor for the first child that it forks."""

import errno
import os

from rig.worker_roles import obey

__all__ = ["obey"]

_opened = os.pidfd_open
_forked: list[int] = []


def _pidfd_open(pid: int, flags: int = 0) -> int:
    _forked.append(pid)
    if len(_forked) == 1:
        raise OSError(errno.ENFILE, os.strerror(errno.ENFILE))
    return _opened(pid, flags)


os.pidfd_open = _pidfd_open
