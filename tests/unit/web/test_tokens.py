"""Tokens: only hashes are kept, tokens expire, and errors in the file name the place."""

from datetime import UTC, datetime, timedelta

import pytest

from cucmd.toml_file import ConfigError, parse
from cucmweb.tokens import (
    PREFIX,
    Token,
    file_text,
    find_token,
    hash_of,
    read_tokens,
)

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
SECRET = PREFIX + "a" * 43
VIEW = Token("the page", "view", hash_of(SECRET), NOW)
OPERATE = Token(r"a\b #=[x]", "operate", hash_of("other"), NOW, NOW + timedelta(days=1))


def test_written_tokens_are_read() -> None:
    text = file_text([VIEW, OPERATE])
    assert read_tokens(parse("file", text.encode())) == (VIEW, OPERATE)
    assert SECRET not in text
    assert read_tokens(parse("file", file_text([]).encode())) == ()


def test_token_is_found_by_hash() -> None:
    assert find_token(SECRET, [OPERATE, VIEW], NOW) == VIEW
    assert find_token(SECRET[:-1], [OPERATE, VIEW], NOW) is None
    assert find_token(VIEW.sha256, [VIEW], NOW) is None
    assert find_token("", [VIEW], NOW) is None


def test_token_expires_at_its_end() -> None:
    assert OPERATE.ends is not None
    moment = timedelta(microseconds=1)
    assert find_token("other", [OPERATE], OPERATE.ends - moment) == OPERATE
    assert find_token("other", [OPERATE], OPERATE.ends) is None


def table(**changes: str) -> str:
    keys = {
        "name": '"x"',
        "role": '"view"',
        "sha256": f'"{"0" * 64}"',
        "created": "2026-11-28T12:00:00Z",
        **changes,
    }
    return "[[token]]\n" + "".join(f"{key} = {value}\n" for key, value in keys.items() if value)


@pytest.mark.parametrize(
    ("text", "key", "reason"),
    [
        ("x\n", "", "line 1"),
        ("[token]", "token", "a table: expected a list"),
        ("tokens = 1", "tokens", "is not known"),
        (table(role='"root"'), "token[0].role", "'root': expected one of view, operate"),
        (table(role=""), "token[0].role", "is missing"),
        (table(sha256=f'"{SECRET}"'), "token[0].sha256", "expected 64"),
        (table(name='"a\'b"'), "token[0].name", '"a\'b": expected 1 to 64'),
        (table(name=f'"{"x" * 65}"'), "token[0].name", "'xxx"),
        (table(name='"\u00e9"'), "token[0].name", "'\\xe9': expected 1 to 64"),
        (table(created="2026-11-28"), "token[0].created", "2026-11-28: expected a time"),
        (table(created="2026-11-28T12:00:00"), "token[0].created", "2026-11-28 12:00:00: expected"),
        (table(ends="1"), "token[0].ends", "1: expected a time"),
        (table(more="1"), "token[0].more", "is not known"),
        (table() + table(), "token[1].name", "'x': expected a different name"),
    ],
)
def test_error_names_the_place(text: str, key: str, reason: str) -> None:
    with pytest.raises(ConfigError) as raised:
        read_tokens(parse("file", text.encode()))
    assert (raised.value.key, reason in raised.value.reason) == (key, True)
    assert SECRET not in str(raised.value)
