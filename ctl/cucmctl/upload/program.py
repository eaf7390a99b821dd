"""Runs programs of the system: `gpg` and `sftp`."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from typing import IO

from cucmctl.cli import printer
from cucmctl.cli.options import UsageError

# Bytes and lines of what a program says that are printed. The other side can make ssh say more.
_MOST_SAID = 4096
_MOST_LINES = 12


def require_program(name: str, option: str) -> None:
    """Raises `UsageError` if a program is not installed."""
    if shutil.which(name) is None:
        raise UsageError(f"{option} needs the program {name}, which is not on the path")


def run_program(
    command: Sequence[str],
    file: IO[bytes],
    out: int | IO[bytes],
    *,
    pass_fds: Sequence[int] = (),
) -> int:
    """Runs a program with the file as its standard input, and returns the exit code.

    What the program says is printed when it has ended, and escaped: a server can make ssh say
    anything. It goes to a file first, because an ssh that stays for later connections
    (ControlPersist) would keep a pipe open.
    """
    with tempfile.TemporaryFile() as said:
        done = subprocess.run(
            command, stdin=file, stdout=out, stderr=said, pass_fds=pass_fds, check=False
        )
        said.seek(max(0, said.seek(0, os.SEEK_END) - _MOST_SAID))
        lines = said.read().decode(errors="backslashreplace").splitlines()
    for line in lines[-_MOST_LINES:]:
        printer.note(f"{command[0]}: {line.removeprefix(f'{command[0]}: ')}")
    return done.returncode
