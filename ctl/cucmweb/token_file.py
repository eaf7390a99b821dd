"""Reads the file of tokens again at each change; adds tokens to it and revokes them, under a lock.

It is written as a whole, so that who reads it needs no lock.
"""

from __future__ import annotations

import fcntl
import grp
import logging
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cucmd.durable import replace_file
from cucmd.toml_file import LARGEST_FILE, ConfigError, parse
from cucmweb.config import Role
from cucmweb.tokens import RANDOM_BYTES, Token, hash_of, read_tokens, secret_of, written_tokens

_log = logging.getLogger(__name__)

GROUP = "cucmweb"  # of the service: it reads the file, and only root writes it
_WRITABLE_BY_OTHERS = 0o022


class TokenExists(Exception):
    """There is a token of that name."""


class NoSuchToken(Exception):
    """There is no token of that name."""


class TokenFile:
    """Has the tokens that count now. A `stat` for each request: the kernel answers it from memory.

    While the file cannot be used no token is accepted, also none that was read before: whoever
    revoked one meanwhile relies on it. It is logged once.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, ...] = ()  # which file was read; () as long as none was looked for
        self._tokens: tuple[Token, ...] = ()

    def tokens(self) -> tuple[Token, ...]:
        # This differs for every change of the file, of its owner or of its mode. It is looked at
        # before the file is read: one that comes in between is read once more the next time.
        found: tuple[int, ...]
        try:
            at = self._path.stat()
            found = at.st_dev, at.st_ino, at.st_mtime_ns, at.st_ctime_ns, at.st_size
        except OSError as error:
            found = (error.errno or 0,)
        if found != self._seen:
            self._seen = found
            try:
                self._tokens = read_token_file(self._path)
            except ConfigError as error:
                self._tokens = ()
                _log.error("no token is accepted: %s", error)
        return self._tokens


def read_token_file(path: Path) -> tuple[Token, ...]:
    """Reads its tokens; none where there is no file. Raises `ConfigError`."""
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            content = file.read(LARGEST_FILE + 1)
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise ConfigError(str(path), f"cannot be read: {error}") from None
    if status.st_uid not in (0, os.geteuid()) or status.st_mode & _WRITABLE_BY_OTHERS:
        raise ConfigError(str(path), "others than root and this user can write to it")
    return read_tokens(parse(str(path), content))


def add(path: Path, name: str, role: Role, days: int | None) -> str:
    """Makes a token, and returns it: it cannot be shown again. Raises `TokenExists`."""
    now = datetime.now(UTC).replace(microsecond=0)
    ends = None if days is None else now + timedelta(days=days)
    secret = secret_of(secrets.token_urlsafe(RANDOM_BYTES))
    with changed_tokens(path) as tokens:
        if name in tokens:
            raise TokenExists
        tokens[name] = Token(name, role, hash_of(secret), now, ends)
    return secret


def revoke(path: Path, name: str) -> None:
    """Raises `NoSuchToken`."""
    with changed_tokens(path) as tokens:
        if tokens.pop(name, None) is None:
            raise NoSuchToken


@contextmanager
def changed_tokens(path: Path) -> Iterator[dict[str, Token]]:
    """Yields the tokens by name, and writes what became of them. Nobody else changes them
    meanwhile. If the block raises, the file stays as it was.

    Raises `ConfigError` where what is there cannot be read, and `OSError`.
    """
    group = None  # the service's, if this is root, who alone can give a file to it
    if os.geteuid() == 0:
        with suppress(KeyError):
            group = grp.getgrnam(GROUP).gr_gid
    if not path.parent.is_dir():
        path.parent.mkdir(parents=True, exist_ok=True)
        if group is not None:
            path.parent.chmod(0o755)  # whatever the umask: the service has to get to the file
    # A file of its own is locked, and left there: that of the tokens is another one after each
    # change. Whoever can open it could lock it without end, so that nobody else can.
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    lock = os.open(path.with_name(f".{path.name}.lock"), flags, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        tokens = {one.name: one for one in read_token_file(path)}
        yield tokens
        text = written_tokens(tokens.values())
        replace_file(path, [text.encode()], 0o600 if group is None else 0o640, group)
    finally:
        os.close(lock)
