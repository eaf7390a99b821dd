"""The file of tokens: what counts at each moment, what stands in the log, and who can read it."""

import fcntl
import grp
import logging
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from cucmd.toml_file import ConfigError
from cucmweb.token_file import (
    GROUP,
    NoSuchToken,
    TokenExists,
    TokenFile,
    add,
    changed_tokens,
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


def test_without_a_file_there_is_no_token_and_no_complaint(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert TokenFile(path).tokens() == ()
    assert errors(caplog) == 0


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


def test_a_file_that_did_not_change_is_not_read_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(path, "olga", "view", None)
    tokens = TokenFile(path)
    tokens.tokens()
    monkeypatch.setattr(Path, "open", None)
    assert names(tokens) == ["olga"]


def damage(path: Path) -> None:
    path.write_text("[[token]]\nname = 3\n")


def make_it_of_all(path: Path) -> None:
    path.chmod(0o666)


def make_it_of_another(path: Path) -> None:
    os.chown(path, 61001, -1)


@pytest.mark.parametrize(
    "spoil", [damage, make_it_of_all, pytest.param(make_it_of_another, marks=as_root)]
)
def test_while_the_file_cannot_be_used_no_token_is_accepted(
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


def test_a_mode_that_was_mended_counts_at_once(path: Path) -> None:
    add(path, "olga", "view", None)
    path.chmod(0o666)
    tokens = TokenFile(path)
    assert names(tokens) == []
    path.chmod(0o600)
    assert names(tokens) == ["olga"]


def test_a_file_that_is_wrong_is_not_overwritten(path: Path) -> None:
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
    with pytest.raises(TokenExists):
        add(path, "olga", "operate", None)
    with pytest.raises(NoSuchToken):
        revoke(path, "page")
    assert [one.role for one in read_token_file(path)] == ["view"]


def test_changes_at_the_same_time_are_all_kept(path: Path) -> None:
    wanted = [f"caller {number}" for number in range(8)]
    threads = [threading.Thread(target=add, args=(path, name, "view", None)) for name in wanted]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(one.name for one in read_token_file(path)) == wanted
    assert sorted(os.listdir(path.parent)) == [".tokens.toml.lock", "tokens.toml"]


def test_only_the_owner_can_open_what_a_change_locks(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever can open a file can lock it, and hold up each change for ever."""
    lock, locked = fcntl.flock, []

    def look(descriptor: int, operation: int) -> None:
        locked.append(os.fstat(descriptor))
        lock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", look)
    before = os.umask(0)
    try:
        add(path, "olga", "view", None)
    finally:
        os.umask(before)
    assert [stat.S_IMODE(found.st_mode) & 0o077 for found in locked] == [0]


def test_others_cannot_read_it(path: Path) -> None:
    add(path, "olga", "view", None)
    assert stat.S_IMODE(path.stat().st_mode) & 0o037 == 0


@as_root
def test_where_the_service_is_installed_its_group_can_read_it(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def group(name: str) -> grp.struct_group:
        assert name == GROUP
        return grp.struct_group((name, "x", 61002, []))

    monkeypatch.setattr(grp, "getgrnam", group)
    before = os.umask(0o077)
    try:
        with changed_tokens(path):
            pass
    finally:
        os.umask(before)
    found = path.stat()
    assert (stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid) == (0o640, 0, 61002)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o755
