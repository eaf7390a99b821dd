"""Reads named credentials: `NAME.password` and `NAME.username` in one directory.

A password that other users can read, or could have written, is not used, and nothing outside of the
directory is. No `repr` and no error has a password in it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from cucmd.config import rules
from cucmd.config.errors import CredentialRefused, UnknownCredential
from cucmd.job.work_request import Login

_VARIABLE = "CREDENTIALS_DIRECTORY"
_LARGEST = 4096  # bytes: far more than a node accepts, and less than most other files


def credentials_directory(directory: Path | None, environ: Mapping[str, str]) -> Path | None:
    """Returns the configured directory, else systemd's, else None."""
    given = environ.get(_VARIABLE)
    return directory or (Path(given) if given else None)


def load_credential(name: str, directory: Path | None, environ: Mapping[str, str]) -> Login:
    """Reads a credential. `username` is None if there is no file for it; there is a password.

    Raises `UnknownCredential` or `CredentialRefused`.
    """
    try:
        rules.check_credential_name(name)
    except ValueError as error:
        raise UnknownCredential(name, str(error)) from None
    place = credentials_directory(directory, environ)
    if place is None:
        reason = f"neither credentials.directory nor ${_VARIABLE} is set"
        raise UnknownCredential(name, reason)
    refuse_open_directory(name, place)
    by_systemd = str(place) == environ.get(_VARIABLE)
    password = _read(name, place / f"{name}.password", by_systemd=by_systemd)
    if password is None:
        raise UnknownCredential(name, f"there is no {name}.password in {place}")
    return Login(_read(name, place / f"{name}.username", by_systemd=by_systemd), password)


def credential_names(directory: Path) -> tuple[str, ...]:
    """Lists the names for which there is a password file. Raises `OSError`."""
    return tuple(
        sorted(
            entry.removesuffix(".password")
            for entry in os.listdir(directory)
            if entry.endswith(".password") and not entry.startswith(".")
        )
    )


def refuse_open_directory(name: str, directory: Path) -> None:
    """Raises `CredentialRefused` if others could put a file of their own there."""
    try:
        link, status = directory.lstat(), directory.stat()
    except OSError as error:
        raise UnknownCredential(name, f"{directory}: {error.strerror}") from None
    for uid in (link.st_uid, status.st_uid):  # the first one is that of a link, if it is one
        if uid not in _owners():
            raise CredentialRefused(name, f"{directory} belongs to uid {uid}")
    if status.st_mode & 0o022:
        raise CredentialRefused(name, f"{directory} can be written by others; chmod go-w")


def _owners() -> tuple[int, ...]:
    """Returns whose files are used: root's, and those of the daemon's own user."""
    return 0, os.geteuid()


def _read(name: str, file: Path, *, by_systemd: bool) -> str | None:
    """Reads the text of a file. Returns None if there is no such file."""
    target = Path(os.path.realpath(file))
    if not target.is_relative_to(os.path.realpath(file.parent)):
        raise CredentialRefused(name, f"{file} is a link to a file outside of {file.parent}")
    try:
        # Without O_NONBLOCK, opening a FIFO would block the daemon without end.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(target, flags)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CredentialRefused(name, f"{file} cannot be read: {error.strerror}") from None
    try:
        # Before `open`, which raises for a folder, and leaves the descriptor open then.
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise CredentialRefused(name, f"{file} is not a regular file")
        if status.st_uid not in _owners():
            raise CredentialRefused(name, f"{file} belongs to uid {status.st_uid}")
        # systemd gives the service's user access by an ACL, whose mask shows as the group's bits.
        if status.st_mode & (0o007 if by_systemd else 0o077):
            mode = f"{status.st_mode & 0o777:04o}"
            reason = f"{file} can be read by others (mode {mode}); chmod 600"
            raise CredentialRefused(name, reason)
        with open(descriptor, "rb", closefd=False) as opened:
            content = opened.read(_LARGEST + 1)
    finally:
        os.close(descriptor)
    if len(content) > _LARGEST:
        raise CredentialRefused(name, f"{file} has more than {_LARGEST} bytes")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        # `from None`: the decoder's error carries the content, and with it the password.
        raise CredentialRefused(name, f"{file} is not UTF-8") from None
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise CredentialRefused(name, f"{file} is empty")
    if any(character < " " or character == "\x7f" for character in text):
        raise CredentialRefused(name, f"{file} holds a control character; expected one line")
    return text
