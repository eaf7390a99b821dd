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

from cucmd.toml_file import TomlFile, text, wrong_value
from cucmweb.config import Role

PREFIX = "cucmweb_"  # by which people, and programs that look for leaked secrets, know one
RANDOM_BYTES = 32
# As the daemon takes it in `on_behalf_of`: printable ASCII without quotes, of which ` is one.
NAME = re.compile(r"[ !#-&(-_a-~]{1,64}")
NAME_EXPECTED = "1 to 64 printable ASCII characters without quotes"

_Time = Annotated[datetime, Meta(tz=True, description="a time with its offset from UTC")]


def check_name(text: str) -> None:
    if not NAME.fullmatch(text):
        raise ValueError(f"expected {NAME_EXPECTED}")


def _check_hash(text: str) -> None:
    if not re.fullmatch("[0-9a-f]{64}", text):
        raise ValueError("expected 64 hexadecimal digits")


class Token(Struct, frozen=True):
    """Holds what the file keeps of one. `ends` None: never."""

    name: Annotated[str, text(check_name)]
    role: Role
    sha256: Annotated[str, text(_check_hash)]
    created: _Time
    ends: _Time | None = None

    def is_over(self, now: datetime) -> bool:
        return self.ends is not None and now >= self.ends


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


def read_tokens(file: TomlFile) -> tuple[Token, ...]:
    """Reads the tokens of a file. Raises `ConfigError`."""
    tables = file.table((), file.document, ("token",)).get("token", [])
    if not isinstance(tables, list):
        raise file.error(("token",), wrong_value(tables, "expected a list of tables"))
    tokens = [file.convert(("token", at), table, Token) for at, table in enumerate(tables)]
    names = [one.name for one in tokens]
    for at, name in enumerate(names):
        if name in names[:at]:
            reason = wrong_value(name, "expected another name for each token")
            raise file.error(("token", at, "name"), reason)
    return tuple(tokens)


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
