"""Reads the token file again after each change, and adds and revokes tokens under a lock.

The file is replaced as a whole, so reading it needs no lock.
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

from cucmctl.cli.exits import NOT_FOUND, Failed
from cucmctl.cli.options import UsageError
from cucmd.durable import replace_file
from cucmd.toml_file import LARGEST_FILE, ConfigError, parse
from cucmweb.config import Role
from cucmweb.tokens import PREFIX, RANDOM_BYTES, Token, file_text, hash_of, read_tokens

_log = logging.getLogger(__name__)

GROUP = "cucmweb"  # the service's group may read the file; only root writes it
_WRITABLE_BY_OTHERS = 0o022


class TokenFile:
    """Holds the current tokens, and checks at each request whether the file was changed.

    While the file cannot be used no token is accepted, not even those that were read before: one of
    them may have been revoked meanwhile. The reason is logged once.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, ...] = ()  # identifies what was read; () before the first look
        self._tokens: tuple[Token, ...] = ()

    def tokens(self) -> tuple[Token, ...]:
        # These values change with the content, the owner and the mode of the file. They are looked
        # at before the file is read, so a change in between is read the next time.
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
    """Returns the tokens in the file, none if there is no file. Raises `ConfigError`."""
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            content = file.read(LARGEST_FILE + 1)
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise ConfigError(str(path), f"cannot be read: {error}") from None
    if status.st_uid not in (0, os.geteuid()) or status.st_mode & _WRITABLE_BY_OTHERS:
        raise ConfigError(str(path), "expected a file that only root and this user can write to")
    return read_tokens(parse(str(path), content))


def add(path: Path, name: str, role: Role, days: int | None) -> str:
    """Adds a token and returns it. It cannot be shown again. Raises `UsageError`."""
    now = datetime.now(UTC).replace(microsecond=0)
    ends = None if days is None else now + timedelta(days=days)
    secret = PREFIX + secrets.token_urlsafe(RANDOM_BYTES)
    with changed_tokens(path) as tokens:
        if name in tokens:
            raise UsageError(f"NAME: {name!r} has a token; revoke it, or choose another name")
        tokens[name] = Token(name, role, hash_of(secret), now, ends)
    return secret


def revoke(path: Path, name: str) -> None:
    """Removes a token. Raises `Failed`."""
    with changed_tokens(path) as tokens:
        if tokens.pop(name, None) is None:
            raise Failed(f"{name!r} has no token", NOT_FOUND)


@contextmanager
def changed_tokens(path: Path) -> Iterator[dict[str, Token]]:
    """Yields the tokens by name, and writes them to the file after the block. Nobody else can
    change them meanwhile. If the block raises, the file stays as it was.

    Raises `ConfigError` if the present file cannot be used, and `OSError`.
    """
    group = None  # the service's group, to which only root can give a file
    if os.geteuid() == 0:
        with suppress(KeyError):
            group = grp.getgrnam(GROUP).gr_gid
    if not path.parent.is_dir():
        path.parent.mkdir(parents=True, exist_ok=True)
        if group is not None:
            path.parent.chmod(0o755)  # whatever the umask is: the service has to reach the file
    # The lock is another file, which is never removed, since each change replaces the token file.
    # Only the owner can open the lock: anybody else could hold it for ever.
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    lock = os.open(path.with_name(f".{path.name}.lock"), flags, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # Read under the lock, so that two commands at the same time do not lose a token, or bring
        # a revoked one back.
        tokens = {token.name: token for token in read_token_file(path)}
        yield tokens
        text = file_text(tokens.values())
        replace_file(path, [text.encode()], 0o600 if group is None else 0o640, group)
    finally:
        os.close(lock)
