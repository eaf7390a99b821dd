"""The command line of `cucmweb`: tokens, usage errors and exit codes."""

import re
from pathlib import Path

import pytest

from cucmweb.main import main
from cucmweb.token_file import read_token_file
from cucmweb.tokens import PREFIX, hash_of


@pytest.fixture
def config(tmp_path: Path) -> list[str]:
    """The option for a configuration whose tokens are in the folder of the test."""
    file = tmp_path / "cucmweb.toml"
    file.write_text(f'tokens = "{tmp_path / "tokens.toml"}"\n')
    return ["--config", str(file)]


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    return tmp_path / "tokens.toml"


Captured = pytest.CaptureFixture[str]


def test_only_the_hash_is_kept(config: list[str], tokens: Path, capsys: Captured) -> None:
    assert main(["token", "add", "the page", "--role", "view", "--days", "30", *config]) == 0
    secret = capsys.readouterr().out.strip()
    assert re.fullmatch(rf"{PREFIX}[\w-]{{43}}", secret)
    assert secret not in tokens.read_text()
    (kept,) = read_token_file(tokens)
    assert (kept.name, kept.role, kept.sha256) == ("the page", "view", hash_of(secret))
    assert kept.ends is not None
    assert (kept.ends - kept.created).days == 30


def test_list_hides_the_secret(config: list[str], tokens: Path, capsys: Captured) -> None:
    main(["token", "add", "olga", "--role", "operate", *config])
    main(["token", "add", "page", "--role", "view", "--days", "1", *config])
    long_ago = tokens.read_text().replace("ends = 20", "ends = 19")
    tokens.write_text(long_ago)
    secret = capsys.readouterr().out.split()[0]
    assert main(["token", "list", *config]) == 0
    shown = capsys.readouterr().out
    olga, page = shown.splitlines()[1:]
    assert olga.split()[:2] == ["olga", "operate"]
    assert olga.endswith("never")
    assert page.endswith("(expired)")
    assert secret not in shown
    assert hash_of(secret) not in shown


def test_a_revoked_token_is_gone(config: list[str], tokens: Path) -> None:
    main(["token", "add", "olga", "--role", "view", *config])
    assert main(["token", "revoke", "olga", *config]) == 0
    assert read_token_file(tokens) == ()
    assert main(["token", "revoke", "olga", *config]) == 5


@pytest.mark.parametrize(
    "arguments",
    [
        "",
        "bogus",
        "token",
        "token add",
        "token add olga",
        "token add olga --role root",
        "token add o'lga --role view",
        "token add olga --role view --days 0",
        "token add olga --role view --days 99999999999",
        "token add olga --rol view",
        "serve now",
        "serve --listen x",
    ],
)
def test_wrong_usage_exits_2(arguments: str, capsys: Captured) -> None:
    assert main(arguments.split()) == 2
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert said.err.startswith("cucmweb: ")


def test_a_wrong_configuration_is_exit_78(tmp_path: Path, capsys: Captured) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text("[limits]\nbody = 0\n")
    assert main(["token", "list", "--config", str(file)]) == 78
    assert f"{file}:2: limits.body: 0: " in capsys.readouterr().err
