"""The token file: changes, errors, and who may read it."""

import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from cucmctl.cli.exits import Failed
from cucmctl.cli.options import UsageError
from cucmd.toml_file import ConfigError
from cucmweb.token_file import (
    TokenFile,
    add,
    read_token_file,
    revoke,
)

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "etc" / "tokens.toml"


def names(tokens: TokenFile) -> list[str]:
    return [one.name for one in tokens.tokens()]


def errors(caplog: pytest.LogCaptureFixture) -> int:
    return sum(record.levelno >= logging.ERROR for record in caplog.records)


def test_each_change_counts_at_once(path: Path) -> None:
    tokens = TokenFile(path)
    assert names(tokens) == []
    add(path, "olga", "view", None)
    assert names(tokens) == ["olga"]
    add(path, "page", "operate", 30)
    assert names(tokens) == ["olga", "page"]
    revoke(path, "olga")
    assert names(tokens) == ["page"]
    path.unlink()
    assert names(tokens) == []


def damage(path: Path) -> None:
    path.write_text("[[token]]\nname = 3\n")


def make_it_of_all(path: Path) -> None:
    path.chmod(0o666)


def make_it_of_another(path: Path) -> None:
    os.chown(path, 61001, -1)


@pytest.mark.parametrize(
    "spoil", [damage, make_it_of_all, pytest.param(make_it_of_another, marks=as_root)]
)
def test_spoilt_file_accepts_no_token(
    path: Path, caplog: pytest.LogCaptureFixture, spoil: Callable[[Path], None]
) -> None:
    add(path, "olga", "view", None)
    good = path.read_bytes()
    tokens = TokenFile(path)
    assert names(tokens) == ["olga"]
    spoil(path)
    assert names(tokens) == names(tokens) == []
    assert errors(caplog) == 1
    with pytest.raises(ConfigError):
        read_token_file(path)
    path.unlink()
    path.write_bytes(good)
    assert names(tokens) == ["olga"]


def test_wrong_file_is_not_overwritten(path: Path) -> None:
    add(path, "a", "view", None)
    damage(path)
    before = path.read_bytes()
    with pytest.raises(ConfigError):
        add(path, "b", "view", None)
    with pytest.raises(ConfigError):
        revoke(path, "a")
    assert path.read_bytes() == before


def test_a_name_has_one_token(path: Path) -> None:
    add(path, "olga", "view", None)
    with pytest.raises(UsageError):
        add(path, "olga", "operate", None)
    with pytest.raises(Failed):
        revoke(path, "page")
    assert [one.role for one in read_token_file(path)] == ["view"]


def test_concurrent_changes_are_kept(path: Path) -> None:
    wanted = [f"caller {number}" for number in range(8)]
    threads = [threading.Thread(target=add, args=(path, name, "view", None)) for name in wanted]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(one.name for one in read_token_file(path)) == wanted
    assert sorted(os.listdir(path.parent)) == [".tokens.toml.lock", "tokens.toml"]
