"""PURE. Says how a bearer token looks, how the file keeps it, and whether that of a request is one.

The file has the SHA-256 of a token and not the token. A slow hash, as for passwords, would protect
nothing more: a token is 256 random bits, which no list of likely ones holds, and nobody can try
them all. It would cost each request, though.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import datetime
from hashlib import sha256
from hmac import compare_digest
from typing import Annotated

from msgspec import Meta, Struct

from cucmweb.config import Role
from cucmweb.reading import read_toml, wrong

PREFIX = "cucmweb_"  # by which people, and programs that look for leaked secrets, know one
RANDOM_BYTES = 32
# As the daemon takes it in `on_behalf_of`: printable ASCII without quotes, of which ` is one.
NAME = re.compile(r"[ !#-&(-_a-~]{1,64}")
NAME_EXPECTED = "1 to 64 printable ASCII characters without quotes"

_Time = Annotated[datetime, Meta(tz=True)]


class Token(Struct, frozen=True, forbid_unknown_fields=True):
    """Holds what the file keeps of one. `ends` None: never."""

    name: str
    role: Role
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    created: _Time
    ends: _Time | None = None

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise wrong("name", self.name, NAME_EXPECTED)

    def is_over(self, now: datetime) -> bool:
        return self.ends is not None and now >= self.ends


class _Tokens(Struct, frozen=True, forbid_unknown_fields=True):
    token: tuple[Token, ...] = ()

    def __post_init__(self) -> None:
        names = [one.name for one in self.token]
        if twice := [name for name in names if names.count(name) > 1]:
            raise wrong("token", twice[0], "a name for each token")


def secret_of(random: str) -> str:
    """Makes the token itself, of 256 random bits in a form for a header."""
    return f"{PREFIX}{random}"


def hash_of(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()


def matching(secret: str, tokens: Iterable[Token], now: datetime) -> Token | None:
    """Finds the token that a request has, unless it is over.

    All are compared, each in constant time, so that the time says nothing about any of them.
    """
    hashed = hash_of(secret)
    found = [one for one in tokens if compare_digest(one.sha256, hashed)]
    return next((one for one in found if not one.is_over(now)), None)


def read_tokens(text: str, file: str) -> tuple[Token, ...]:
    """Reads the tokens of the file's text. Raises `UnusableFile`; `file` is its name, for that."""
    return read_toml(text, _Tokens, file).token


def written_tokens(tokens: Iterable[Token]) -> str:
    """Returns the text of the file with these tokens."""
    return "# Made by `cucmweb token`.\n" + "".join(map(_written, tokens))


def _written(token: Token) -> str:
    ends = f"ends = {token.ends.isoformat()}\n" if token.ends else ""
    return (
        "\n[[token]]\n"
        f"name = {json.dumps(token.name)}\n"
        f'role = "{token.role}"\n'
        f'sha256 = "{token.sha256}"\n'
        f"created = {token.created.isoformat()}\n{ends}"
    )
