"""A folder for the socket that only the daemon's own user can enter.

What another user may have made is never used.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from cucmd.paths import is_private


def make_private(folder: Path) -> None:
    """Makes it, with mode 0700, unless it is there. Raises `OSError` if others can use it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not is_private(str(folder), os.geteuid()):
        reason = "its folder is not this user's alone (mode 0700)"
        raise PermissionError(errno.EPERM, reason, str(folder))
