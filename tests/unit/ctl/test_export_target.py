"""The target of an export: nothing incomplete is there, whatever ends the export."""

import contextlib
import itertools
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

import pytest

from cucmctl.export import target as target_module
from cucmctl.export.save import Format
from cucmctl.export.target import TargetExists, target

FORMATS: tuple[Format, ...] = ("zip", "tar", "tgz", "dir")

Handler = Callable[[int, FrameType | None], object] | int | None

forms = pytest.mark.parametrize("form", FORMATS)
forced = pytest.mark.parametrize("force", [False, True])


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """A shell starts what runs in its background so that it ignores SIGINT."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@forms
@forced
def test_only_the_owner_can_read(tmp_path: Path, form: Format, force: bool) -> None:
    if force:
        (tmp_path / "x").touch(0o644)
    with target(tmp_path / "x", form, force=force):
        pass
    wanted = 0o700 if form == "dir" else 0o600
    assert (tmp_path / "x").stat().st_mode & 0o777 == wanted


@forms
@forced
def test_errors_change_nothing(tmp_path: Path, form: Format, force: bool) -> None:
    if force:
        (tmp_path / "x").write_text("mine")
    with pytest.raises(ZeroDivisionError), target(tmp_path / "x", form, force=force):
        raise ZeroDivisionError
    assert names(tmp_path) == ({"x"} if force else set())
    assert not force or (tmp_path / "x").read_text() == "mine"


def test_parts_of_killed_exports_are_removed(tmp_path: Path) -> None:
    with target(tmp_path / "x", "dir", force=False):
        running = names(tmp_path)
        (tmp_path / ".cucmctl-killed.part").mkdir()
        (tmp_path / ".cucmctl-killed.part/a").touch()
        (tmp_path / ".cucmctl-killed2.part").touch()
        for name in names(tmp_path):
            os.utime(tmp_path / name, (0, 0))
        (tmp_path / ".cucmctl-new.part").mkdir()  # not locked yet
        with target(tmp_path / "y", "zip", force=False):
            pass
        assert names(tmp_path) == {*running, ".cucmctl-new.part", "y"}


def test_ctrl_c_twice_leaves_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ctrl_c: None
) -> None:
    remove = shutil.rmtree

    def pressed(path: Path, **options: bool) -> None:
        signal.raise_signal(signal.SIGINT)
        remove(path, **options)

    monkeypatch.setattr(shutil, "rmtree", pressed)
    with pytest.raises(KeyboardInterrupt), target(tmp_path / "x", "dir", force=False):
        raise ZeroDivisionError
    assert names(tmp_path) == set()


@forms
def test_ctrl_c_before_signals_have_to_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ctrl_c: None, form: Format
) -> None:
    change, presses = signal.signal, iter([signal.SIGINT])

    def pressed(number: int, handler: Handler) -> Handler:
        for press in presses:
            signal.raise_signal(press)
        return change(number, handler)

    monkeypatch.setattr(signal, "signal", pressed)
    with pytest.raises(KeyboardInterrupt), target(tmp_path / "x", form, force=False):
        raise ZeroDivisionError
    assert names(tmp_path) == set()


def exported_meanwhile(path: Path, form: Format, *, force: bool) -> None:
    with target(path, form, force=force):
        path.write_text("of somebody else")


@forms
def test_file_made_meanwhile_is_kept(tmp_path: Path, form: Format) -> None:
    with pytest.raises(TargetExists):
        exported_meanwhile(tmp_path / "x", form, force=False)
    assert names(tmp_path) == {"x"}
    assert (tmp_path / "x").read_text() == "of somebody else"


@forms
@pytest.mark.parametrize("folder", [False, True])
def test_force_replaces_what_is_there(tmp_path: Path, form: Format, folder: bool) -> None:
    if folder:
        (tmp_path / "x/old").mkdir(parents=True)
    else:
        (tmp_path / "x").write_text("old")
    with target(tmp_path / "x", form, force=True):
        pass
    assert names(tmp_path) == {"x"}
    assert (tmp_path / "x").is_dir() == (form == "dir")
    assert form != "dir" or names(tmp_path / "x") == set()
    assert form == "dir" or (tmp_path / "x").read_bytes() != b"old"


@forms
def test_force_does_not_follow_links(tmp_path: Path, form: Format) -> None:
    (tmp_path / "precious/file").mkdir(parents=True)
    (tmp_path / "x").symlink_to("precious")
    with target(tmp_path / "x", form, force=True):
        pass
    assert names(tmp_path) == {"precious", "x"}
    assert names(tmp_path / "precious") == {"file"}


@forms
@pytest.mark.parametrize("name", [255 * "x", 127 * "é"])
def test_name_may_be_long(tmp_path: Path, form: Format, name: str) -> None:
    for force in (False, True):
        with target(tmp_path / name, form, force=force):
            pass
    assert names(tmp_path) == {name}


def test_old_folder_is_never_half_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process is killed while it removes the old folder."""

    def killed(*_: object, **__: object) -> NoReturn:
        seen.append(names(tmp_path / "x"))
        raise KeyboardInterrupt

    seen: list[set[str]] = []
    (tmp_path / "x" / "old").mkdir(parents=True)
    monkeypatch.setattr(shutil, "rmtree", killed)
    with suppress(KeyboardInterrupt), target(tmp_path / "x", "dir", force=True):
        pass
    assert seen[0] == set() == names(tmp_path / "x")


class Pressed:
    """Presses Ctrl-C before one line of target.py, or of contextlib where it is used for that."""

    def __init__(self, number: int) -> None:
        self.left = number
        self.handler = signal.getsignal(signal.SIGINT)

    def __call__(self, frame: FrameType, event: str, argument: object) -> "Pressed | None":
        caller = frame.f_back if frame.f_code.co_filename == contextlib.__file__ else frame
        if caller is None or caller.f_code.co_filename not in (target_module.__file__, __file__):
            return None
        if event != "line" or signal.getsignal(signal.SIGINT) is not self.handler:
            return self
        self.left -= 1
        if self.left == 0:
            self.left = -1
            raise KeyboardInterrupt
        return self


@forms
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # the garbage collector closes the file,
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # and then the zip
def test_ctrl_c_at_any_line_leaves_nothing_incomplete(tmp_path: Path, form: Format) -> None:
    def press(pressed: Pressed) -> Iterator[None]:
        sys.settrace(pressed)
        try:
            with target(tmp_path / "x", form, force=True):
                pass
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(None)
        yield

    for number in itertools.count(1):
        pressed = Pressed(number)
        # Where a trace function raises at an "except" of contextlib, Python 3.11 never leaves that
        # handler: its exception would be the context of every later one. A generator has its own
        # stack of handlers, which ends with it.
        list(press(pressed))
        assert names(tmp_path) <= {"x"}, number
        if pressed.left > 0:
            break
    assert number > 50
