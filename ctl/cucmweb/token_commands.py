"""Does what `cucmweb token add`, `list` and `revoke` say."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cucmctl.text.table import table
from cucmweb.config import Role
from cucmweb.token_file import change_tokens
from cucmweb.tokens import RANDOM_BYTES, Token, hash_of, secret_of


class TokenExists(Exception):
    """There is a token of that name."""


class NoSuchToken(Exception):
    """There is no token of that name."""


def add(path: Path, name: str, role: Role, days: int | None) -> str:
    """Makes a token, and returns it: it cannot be shown again. Raises `TokenExists`."""
    now = datetime.now(UTC).replace(microsecond=0)
    ends = None if days is None else now + timedelta(days=days)
    secret = secret_of(secrets.token_urlsafe(RANDOM_BYTES))
    made = Token(name, role, hash_of(secret), now, ends)

    def with_it(tokens: tuple[Token, ...]) -> tuple[Token, ...]:
        if any(one.name == name for one in tokens):
            raise TokenExists
        return (*tokens, made)

    change_tokens(path, with_it)
    return secret


def revoke(path: Path, name: str) -> None:
    """Raises `NoSuchToken`."""

    def without_it(tokens: tuple[Token, ...]) -> tuple[Token, ...]:
        left = tuple(one for one in tokens if one.name != name)
        if len(left) == len(tokens):
            raise NoSuchToken
        return left

    change_tokens(path, without_it)


def listed(tokens: Iterable[Token], now: datetime) -> Iterator[str]:
    """Yields the lines of `token list`."""
    rows = [(one.name, one.role, _day(one.created), _end(one, now)) for one in tokens]
    return table(("NAME", "ROLE", "CREATED", "ENDS"), rows, right="")


def _end(token: Token, now: datetime) -> str:
    if token.ends is None:
        return "never"
    return f"{_day(token.ends)}{' (is over)' if token.is_over(now) else ''}"


def _day(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%d %H:%MZ")
