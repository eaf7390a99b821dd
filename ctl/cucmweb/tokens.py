"""PURE. Makes bearer tokens, finds the token of a request, and reads and writes the token file.

The file contains the SHA-256 of a token instead of the token. A slow hash, as for passwords, would
not be safer: a token is 256 random bits, which can be neither guessed nor tried one by one. It
would only make each request slower.
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

PREFIX = "cucmweb_"  # people, and programs that search for leaked secrets, recognise tokens by it
RANDOM_BYTES = 32
# The daemon accepts the same names in `on_behalf_of`: printable ASCII without quotes ('"`).
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
    """Holds a token as it is in the file. A token expires at `ends`, or never if that is None."""

    name: Annotated[str, text(check_name)]
    role: Role
    sha256: Annotated[str, text(_check_hash)]
    created: _Time
    ends: _Time | None = None

    def is_over(self, now: datetime) -> bool:
        return self.ends is not None and now >= self.ends


def hash_of(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()


def find_token(secret: str, tokens: Iterable[Token], now: datetime) -> Token | None:
    """Returns the token with this secret, or None if there is no such token or it has expired.

    The secret is compared with every token in constant time, so that the time reveals nothing.
    """
    hashed = hash_of(secret)
    found = [token for token in tokens if compare_digest(token.sha256, hashed)]
    return next((token for token in found if not token.is_over(now)), None)


def read_tokens(file: TomlFile) -> tuple[Token, ...]:
    """Returns the tokens in a file. Raises `ConfigError`."""
    tables = file.table((), file.document, ("token",)).get("token", [])
    if not isinstance(tables, list):
        raise file.error(("token",), wrong_value(tables, "expected a list of tables"))
    tokens = [file.convert(("token", at), table, Token) for at, table in enumerate(tables)]
    names = [token.name for token in tokens]
    for at, name in enumerate(names):
        if name in names[:at]:
            reason = wrong_value(name, "expected a different name for each token")
            raise file.error(("token", at, "name"), reason)
    return tuple(tokens)


def file_text(tokens: Iterable[Token]) -> str:
    """Returns the text of a file with these tokens."""
    return "# Made by `cucmweb token`.\n" + "".join(map(_toml_table, tokens))


def _toml_table(token: Token) -> str:
    ends = f"ends = {token.ends.isoformat()}\n" if token.ends else ""
    return (
        "\n[[token]]\n"
        f"name = {json.dumps(token.name)}\n"
        f'role = "{token.role}"\n'
        f'sha256 = "{token.sha256}"\n'
        f"created = {token.created.isoformat()}\n{ends}"
    )
