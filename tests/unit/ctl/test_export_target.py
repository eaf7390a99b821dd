"""Where an export goes: what is not whole has no name there, whoever else writes to the same."""

import errno
import fcntl
import os
import shutil
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import pytest

from cucmctl.export import target as export_target
from cucmctl.export.export import Format
from cucmctl.export.target import TargetExists, target

FORMATS: tuple[Format, ...] = ("zip", "tar", "tgz", "dir")


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.fixture
def named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The file system has no files without a name."""
    whole = os.open

    def refusing(path: str, flags: int, mode: int = 0o777, **options: int) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
        return whole(path, flags, mode, **options)

    monkeypatch.setattr(export_target.os, "open", refusing)


@pytest.mark.parametrize("form", ["zip", "tar", "tgz"])
def test_a_file_has_no_name_until_it_is_whole(tmp_path: Path, form: Format) -> None:
    with target(tmp_path / "x", form, force=False) as sink:
        sink.raw(b"data")
        assert names(tmp_path) == set()
    assert names(tmp_path) == {"x"}


@pytest.mark.usefixtures("named")
@pytest.mark.parametrize("form", FORMATS)
def test_what_has_a_name_is_hidden_until_it_is_whole(tmp_path: Path, form: Format) -> None:
    with target(tmp_path / "x", form, force=False):
        (name,) = names(tmp_path)
        assert name.startswith(".x.")
    assert names(tmp_path) == {"x"}


def test_a_folder_is_removed_although_ctrl_c_is_pressed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove = shutil.rmtree

    def pressed(path: Path, **options: bool) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        remove(path, **options)

    monkeypatch.setattr(shutil, "rmtree", pressed)
    with pytest.raises(ZeroDivisionError), target(tmp_path / "x", "dir", force=False):
        raise ZeroDivisionError
    assert names(tmp_path) == set()


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("force", [False, True])
def test_an_error_leaves_what_was_there(tmp_path: Path, form: Format, force: bool) -> None:
    if force:
        (tmp_path / "x").write_text("mine")
    with pytest.raises(ZeroDivisionError), target(tmp_path / "x", form, force=force):
        raise ZeroDivisionError
    assert names(tmp_path) == ({"x"} if force else set())
    assert not force or (tmp_path / "x").read_text() == "mine"


def exported_meanwhile(path: Path, form: Format, *, force: bool) -> None:
    with target(path, form, force=force):
        path.write_text("of somebody else")


@pytest.mark.parametrize("form", FORMATS)
def test_what_came_meanwhile_is_not_overwritten(tmp_path: Path, form: Format) -> None:
    with pytest.raises(TargetExists):
        exported_meanwhile(tmp_path / "x", form, force=False)
    assert names(tmp_path) == {"x"}
    assert (tmp_path / "x").read_text() == "of somebody else"


@pytest.mark.usefixtures("named")
@pytest.mark.parametrize("form", ["zip", "tar", "tgz"])
def test_what_came_last_of_all_is_not_overwritten_either(tmp_path: Path, form: Format) -> None:
    def whole() -> None:
        (tmp_path / "x").write_text("of somebody else")

    with pytest.raises(TargetExists), target(tmp_path / "x", form, force=False, whole=whole):
        pass
    assert names(tmp_path) == {"x"}
    assert (tmp_path / "x").read_text() == "of somebody else"


@pytest.mark.usefixtures("named")
@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_need_not_have_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: Any) -> NoReturn:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", refuse)
    with target(tmp_path / "x", "tar", force=False) as sink:
        sink.raw(b"data")
    assert names(tmp_path) == {"x"}
    with pytest.raises(TargetExists):
        exported_meanwhile(tmp_path / "y", "tar", force=False)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("name", [255 * "x", 127 * "é"])
def test_a_name_may_be_as_long_as_names_can_be(
    tmp_path: Path, form: Format, name: str, force: bool
) -> None:
    exported_meanwhile(tmp_path / name, form, force=True)
    if force:
        with target(tmp_path / name, form, force=True):
            pass
    assert names(tmp_path) == {name}


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("force", [False, True])
def test_a_name_that_is_too_long_is_refused_before_anything_is_exported(
    tmp_path: Path, form: Format, force: bool
) -> None:
    with (
        pytest.raises(OSError, match="too long"),
        target(tmp_path / (256 * "x"), form, force=force),
    ):
        raise ZeroDivisionError
    assert names(tmp_path) == set()


@pytest.mark.parametrize("form", FORMATS)
def test_what_came_meanwhile_is_replaced_by_force(tmp_path: Path, form: Format) -> None:
    exported_meanwhile(tmp_path / "x", form, force=True)
    assert names(tmp_path) == {"x"}
    assert (tmp_path / "x").is_dir() or (tmp_path / "x").read_bytes() != b"of somebody else"


@pytest.mark.parametrize("form", FORMATS)
def test_a_device_or_a_fifo_is_not_replaced_even_by_force(tmp_path: Path, form: Format) -> None:
    os.mkfifo(tmp_path / "x")
    with pytest.raises(TargetExists), target(tmp_path / "x", form, force=True):
        pass
    assert (tmp_path / "x").is_fifo()


def test_a_folder_that_is_replaced_is_never_seen_half_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is killed as it removes the old one."""

    def killed(*_: object, **__: object) -> NoReturn:
        seen.append([path.name for path in (tmp_path / "x").iterdir()])
        raise KeyboardInterrupt

    seen: list[list[str]] = []
    (tmp_path / "x" / "old").mkdir(parents=True)
    monkeypatch.setattr(export_target.shutil, "rmtree", killed)
    with suppress(KeyboardInterrupt), target(tmp_path / "x", "dir", force=True):
        pass
    assert seen[0] == [] == list((tmp_path / "x").iterdir()), "the new one"


@pytest.mark.parametrize("form", FORMATS)
def test_the_rights_are_those_of_the_umask(
    tmp_path: Path, form: Format, request: pytest.FixtureRequest
) -> None:
    before = os.umask(0o027)
    request.addfinalizer(lambda: os.umask(before))
    with target(tmp_path / "x", form, force=False):
        pass
    wanted = 0o750 if form == "dir" else 0o640
    assert (tmp_path / "x").stat().st_mode & 0o777 == wanted


LEFT = ".x.0123abcd.part"


@pytest.mark.parametrize("form", FORMATS)
def test_what_a_kill_has_left_is_removed_by_the_next_export(tmp_path: Path, form: Format) -> None:
    (tmp_path / LEFT / "a").mkdir(parents=True)
    (tmp_path / ".x.4567abcd.part").touch()
    others = {".x.part", ".y.0123abcd.part", ".x.notmine!.part"}
    for name in others:
        (tmp_path / name).touch()
    with target(tmp_path / "x", form, force=False):
        pass
    assert names(tmp_path) == {"x", *others}


def test_an_export_that_goes_on_is_left_alone_by_another_to_the_same_target(
    tmp_path: Path,
) -> None:
    with target(tmp_path / "x", "dir", force=False):
        (going_on,) = names(tmp_path)
        with pytest.raises(ZeroDivisionError), target(tmp_path / "x", "zip", force=False):
            raise ZeroDivisionError
        assert names(tmp_path) == {going_on}
    assert names(tmp_path) == {"x"}


def failed_export(path: Path, form: Format) -> None:
    with suppress(ZeroDivisionError), target(path, form, force=True):
        raise ZeroDivisionError


@pytest.mark.parametrize("form", ["zip", "tar", "tgz"])
def test_a_file_that_is_about_to_replace_another_is_left_alone_by_an_export_that_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: Format
) -> None:
    replace = os.replace

    def meanwhile(name: Path, path: Path) -> None:
        failed_export(path, form)
        replace(name, path)

    monkeypatch.setattr(os, "replace", meanwhile)
    with target(tmp_path / "x", form, force=True):
        pass
    assert names(tmp_path) == {"x"}


@pytest.mark.usefixtures("named")
@pytest.mark.parametrize("form", FORMATS)
def test_what_is_whole_and_has_no_name_yet_is_left_alone_by_an_export_that_begins(
    tmp_path: Path, form: Format
) -> None:
    with target(
        tmp_path / "x", form, force=False, whole=lambda: failed_export(tmp_path / "x", form)
    ):
        pass
    assert names(tmp_path) == {"x"}


@pytest.mark.usefixtures("named")
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("removing", [False, True])
def test_what_is_removed_as_it_is_made_is_made_once_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: Format, removing: bool
) -> None:
    """An export that begins takes it for a leftover before it is locked. `removing`: that has it
    locked, and goes on then.
    """
    lock = fcntl.flock
    others: list[int] = []

    def meanwhile(descriptor: int, operation: int) -> None:
        monkeypatch.setattr(fcntl, "flock", lock)
        if removing:
            (name,) = tmp_path.iterdir()
            others.append(os.open(name, os.O_RDONLY))
            lock(others[0], operation)
        else:
            failed_export(tmp_path / "x", form)
        lock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", meanwhile)
    with target(tmp_path / "x", form, force=False):
        for one in others:
            os.close(one)
        failed_export(tmp_path / "x", form)
        assert len(names(tmp_path)) == 1
    assert names(tmp_path) == {"x"}


def test_a_folder_that_was_replaced_may_be_removed_by_an_export_that_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove = shutil.rmtree

    def meanwhile(path: Path, **options: bool) -> None:
        monkeypatch.setattr(shutil, "rmtree", remove)
        failed_export(tmp_path / "x", "dir")
        remove(path, **options)

    monkeypatch.setattr(shutil, "rmtree", meanwhile)
    (tmp_path / "x" / "old").mkdir(parents=True)
    with target(tmp_path / "x", "dir", force=True):
        pass
    assert names(tmp_path) == {"x"}
    assert names(tmp_path / "x") == set()


def test_a_folder_that_comes_last_of_all_is_not_replaced_either(tmp_path: Path) -> None:
    def whole() -> None:
        (tmp_path / "x" / "of somebody else").mkdir(parents=True)

    with pytest.raises(TargetExists), target(tmp_path / "x", "dir", force=False, whole=whole):
        pass
    assert names(tmp_path) == {"x"}
    assert names(tmp_path / "x") == {"of somebody else"}


def test_a_signal_leaves_no_second_name_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = os.link

    def ended(*arguments: Any, **options: Any) -> NoReturn:
        link(*arguments, **options)
        raise SystemExit

    monkeypatch.setattr(os, "link", ended)
    with pytest.raises(SystemExit), target(tmp_path / "x", "tar", force=True):
        pass
    assert names(tmp_path) == set()


def test_a_signal_leaves_the_folder_that_was_to_be_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = Path.rename

    def ended(path: Path, to: Path) -> NoReturn:
        monkeypatch.setattr(Path, "rename", rename)
        path.rename(to)
        raise SystemExit

    monkeypatch.setattr(Path, "rename", ended)
    (tmp_path / "x" / "old").mkdir(parents=True)
    with pytest.raises(SystemExit), target(tmp_path / "x", "dir", force=True):
        pass
    assert names(tmp_path) == {"x"}
    assert names(tmp_path / "x") == {"old"}


def test_a_link_with_such_a_name_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / LEFT).symlink_to("precious")
    with target(tmp_path / "x", "tar", force=False):
        pass
    assert names(tmp_path) == {"precious", LEFT, "x"}


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("force", [False, True])
def test_it_is_said_that_all_of_it_is_whole_before_the_name_is_given(
    tmp_path: Path, form: Format, force: bool
) -> None:
    seen: list[bool] = []
    with target(
        tmp_path / "x", form, force=force, whole=lambda: seen.append((tmp_path / "x").exists())
    ):
        assert seen == []
    assert seen == [False]
