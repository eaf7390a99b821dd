"""Reads named credentials: the files `NAME.password` and `NAME.username` in one directory.

A file is refused if other users can read it or could have written it, and so is a link to a file
outside the directory. No password appears in an error or in a `repr`.
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
    """Returns the configured directory, else the one from systemd, or None if neither is set."""
    given = environ.get(_VARIABLE)
    return directory or (Path(given) if given else None)


def load_credential(name: str, directory: Path | None, environ: Mapping[str, str]) -> Login:
    """Returns the login of a credential. `username` is None if there is no file for it.

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
    password = _read_text(name, place / f"{name}.password", by_systemd=by_systemd)
    if password is None:
        raise UnknownCredential(name, f"there is no {name}.password in {place}")
    return Login(_read_text(name, place / f"{name}.username", by_systemd=by_systemd), password)


def credential_names(directory: Path) -> tuple[str, ...]:
    """Returns the names for which there is a password file. Raises `OSError`."""
    return tuple(
        sorted(
            entry.removesuffix(".password")
            for entry in os.listdir(directory)
            if entry.endswith(".password") and not entry.startswith(".")
        )
    )


def refuse_open_directory(name: str, directory: Path) -> None:
    """Raises `CredentialRefused` if other users could put files into the directory."""
    try:
        link, status = directory.lstat(), directory.stat()
    except OSError as error:
        raise UnknownCredential(name, f"{directory}: {error.strerror}") from None
    for uid in (link.st_uid, status.st_uid):  # if it is a link, the link's owner counts too
        if uid not in _trusted_uids():
            raise CredentialRefused(name, f"{directory} belongs to uid {uid}")
    if status.st_mode & 0o022:
        raise CredentialRefused(name, f"{directory} can be written by others; chmod go-w")


def _trusted_uids() -> tuple[int, ...]:
    """Returns the owners whose files are accepted: root and the daemon's own user."""
    return 0, os.geteuid()


def _read_text(name: str, file: Path, *, by_systemd: bool) -> str | None:
    """Returns the text of a file, or None if the file does not exist."""
    target = Path(os.path.realpath(file))
    if not target.is_relative_to(os.path.realpath(file.parent)):
        raise CredentialRefused(name, f"{file} is a link to a file outside {file.parent}")
    try:
        # Without O_NONBLOCK, opening a FIFO would block for ever.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(target, flags)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CredentialRefused(name, f"{file} cannot be read: {error.strerror}") from None
    try:
        # This check comes before `open`, which raises for a folder and then leaves the descriptor
        # open.
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise CredentialRefused(name, f"{file} is not a regular file")
        if status.st_uid not in _trusted_uids():
            raise CredentialRefused(name, f"{file} belongs to uid {status.st_uid}")
        # systemd gives the service's user access with an ACL. The mask of an ACL shows as the mode
        # bits of the group, so these are ignored there.
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
        # With `from None`, because the decoder's error contains the password.
        raise CredentialRefused(name, f"{file} is not UTF-8") from None
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise CredentialRefused(name, f"{file} is empty")
    if any(character < " " or character == "\x7f" for character in text):
        raise CredentialRefused(name, f"{file} holds a control character; expected one line")
    return text
