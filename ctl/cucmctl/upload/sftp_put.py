"""Sends a file with the program `sftp` of the system, with its configuration, keys and known hosts.

`sftp` runs in batch mode, so it asks for no password. It reads its commands from a pipe and the
file from standard input. So it reads the file whose checksum was computed, whatever happens to the
name of the file meanwhile.
"""

from __future__ import annotations

import hashlib
import os
import sys
from typing import IO

from cucmctl.cli import exits, printer
from cucmctl.cli.options import UsageError
from cucmctl.upload.destination import Sftp
from cucmctl.upload.program import require_program, run_program

# The exit code of sftp if there was no connection, or if it was lost.
_NO_CONNECTION = 255


def check(to: Sftp) -> None:
    """Raises `UsageError` if `sftp` is missing, or cannot be given the path."""
    require_program("sftp", "sftp://")
    # Inside its double quotes, sftp takes every other character as it is.
    if not to.path.isprintable() or set('"\\') & set(to.path):
        raise UsageError(f"{to.path!r} has a character that sftp cannot be given; rename the file")


def put(file: IO[bytes], to: Sftp) -> str:
    """Sends the file, and returns its SHA-256. Raises `Failed`."""
    checksum = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
    shows = printer.on_terminal(sys.stderr)
    batch, write = os.pipe()
    try:
        with os.fdopen(write, "w") as commands:
            commands.write("progress\n" if shows else "")  # sftp's own line, with rate and time
            commands.write(f'put /dev/stdin "{to.path}"\n')
        command = ["sftp", "-b", f"/dev/fd/{batch}", *(["-P", str(to.port)] if to.port else [])]
        command += ["--", to.host if to.user is None else f"{to.user}@{to.host}"]
        out = sys.stderr.fileno() if shows else os.open(os.devnull, os.O_WRONLY)
        try:
            code = run_program(command, file, out, pass_fds=[batch])
        finally:
            if not shows:
                os.close(out)
    except KeyboardInterrupt:
        text = f"interrupted; an incomplete file may be at {to.address}"
        raise exits.Failed(text, exits.INTERRUPTED) from None
    finally:
        os.close(batch)
    if code == _NO_CONNECTION:
        text = f"no connection to {to.host}, or it was lost: an incomplete file may be there"
        raise exits.Failed(text, exits.UNAVAILABLE)
    if code:
        raise exits.Failed(f"sftp could not store {to.address}; an incomplete file may be there")
    return checksum
