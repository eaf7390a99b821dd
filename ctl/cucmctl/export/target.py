"""Opens the target of an export: a file, a folder, or standard output.

A file or folder is made next to its target, under a temporary name that begins with a dot, and is
renamed when it is complete. So nothing incomplete ever has the name of the target. The temporary
file or folder is removed too. What is left after a SIGKILL, the next export into the same folder
removes.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import IO

from cucmctl.export.save import FolderSink, Format, Sink, TarSink, TgzSink, ZipSink

_SINKS: dict[Format, type[ZipSink | TarSink]] = {"zip": ZipSink, "tar": TarSink, "tgz": TgzSink}
# How temporary names begin and end.
_BEGIN, _END = ".cucmctl-", ".part"
# Seconds after which something with a temporary name is locked, unless its process was killed.
_LOCKED_BY = 60.0
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class TargetExists(Exception):
    """Something already exists where the export would be written."""


def clean_up_at_signals() -> None:
    """Makes SIGTERM and SIGHUP raise SystemExit, so that they clean up as Ctrl-C does."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:  # under nohup the signal stays ignored
            signal.signal(number, lambda number, _: sys.exit(128 + number))


@contextmanager
def target(
    path: Path | IO[bytes] | None,
    form: Format,
    *,
    force: bool,
    when_whole: Callable[[], None] = lambda: None,
) -> Iterator[Sink]:
    """Yields a sink that writes to `path`, to an open file, or, for None, to standard output.

    At the end of the block `path` exists, and only its owner can read it.

    when_whole  is called once, when the sink has received everything: before the last bytes are
                written to standard output, or before the path gets its name

    Raises `TargetExists` if something exists and `force` is not set, and `OSError`.
    """
    if not isinstance(path, Path):
        with _sink(path or sys.stdout.buffer, form, when_whole) as sink:
            yield sink
        return
    if form == "dir":
        refuse_existing(path, force=force)
        with temporary_folder(path.parent) as folder:
            yield FolderSink(folder)
            _rename(folder, path, force=force, when_whole=when_whole)
        return
    with new_file(path, force=force, when_whole=when_whole) as file, _sink(file, form) as sink:
        yield sink


@contextmanager
def new_file(
    path: Path, *, force: bool, when_whole: Callable[[], None] = lambda: None
) -> Iterator[IO[bytes]]:
    """Yields a file that gets the name `path` at the end of the block, as `target` does it."""
    refuse_existing(path, force=force)
    with _temporary(path.parent, partial(Path.touch, mode=0o600, exist_ok=False)) as temporary:
        with temporary.open("r+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        _rename(temporary, path, force=force, when_whole=when_whole)


def temporary_folder(parent: Path) -> AbstractContextManager[Path]:
    """Yields a folder in `parent` for its owner alone, which is removed at the end of the block.

    It is removed however often Ctrl-C is pressed.
    """
    return _temporary(parent, partial(Path.mkdir, mode=0o700))


@contextmanager
def _temporary(parent: Path, make: Callable[[Path], None]) -> Iterator[Path]:
    """Makes a file or folder, and removes it at the end of the block if it is still there.

    The name is chosen first. So there is no moment at which something exists that is not removed.
    """
    path = parent / f"{_BEGIN}{secrets.token_hex(8)}{_END}"
    try:
        make(path)
        with _locked(path):
            yield path
    finally:
        try:
            _remove(path)
        except (KeyboardInterrupt, SystemExit):
            _remove(path)  # the second Ctrl-C came before `_remove` made it wait
            raise


@contextmanager
def _locked(temporary: Path) -> Iterator[None]:
    """Locks a temporary file or folder, and removes those beside it whose processes were killed.

    The kernel releases the locks of a process that ends, so what can be locked is not in use.
    """
    own = os.open(temporary, os.O_RDONLY)
    try:
        with suppress(OSError):  # as on NFS: nothing is removed there
            fcntl.flock(own, fcntl.LOCK_EX)
        for other in temporary.parent.glob(f"{_BEGIN}*{_END}"):
            with suppress(OSError):
                left = os.open(other, os.O_RDONLY | os.O_NOFOLLOW)
                try:
                    fcntl.flock(left, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    if time.time() - os.fstat(left).st_mtime > _LOCKED_BY:
                        _remove(other)
                finally:
                    os.close(left)
        yield
    finally:
        os.close(own)


def _rename(temporary: Path, path: Path, *, force: bool, when_whole: Callable[[], None]) -> None:
    when_whole()
    refuse_existing(path, force=force)
    if os.path.lexists(path) and (path.is_dir() or temporary.is_dir()):
        _replace(path, temporary)
    else:
        temporary.rename(path)


@contextmanager
def _sink(
    out: IO[bytes], form: Format, when_whole: Callable[[], None] = lambda: None
) -> Iterator[Sink]:
    sink = _SINKS[form](out)
    try:
        yield sink
        when_whole()
        sink.close()
    except BaseException:
        sink.abandon()
        raise


def refuse_existing(path: Path, *, force: bool) -> None:
    """Raises `TargetExists` if something exists that may not be replaced."""
    try:
        path.lstat()  # raises OSError if the name is too long
    except FileNotFoundError:
        return
    if not force:
        raise TargetExists(f"{path} exists; to replace it: --force")
    # Without this check, root could replace /dev/null.
    if not (path.is_symlink() or path.is_file() or path.is_dir()):
        raise TargetExists(f"{path} is neither a file nor a folder, and is not replaced")


def _replace(path: Path, new: Path) -> None:
    """Replaces a folder, or a file by a folder, for which a rename is not enough.

    The old one is renamed first, so that nobody sees it partly removed. It gets its name back if
    anything goes wrong.
    """
    old = new.with_suffix(".old")
    with _signals_wait():
        try:
            path.rename(old)
            new.rename(path)
        finally:
            if os.path.lexists(path):
                _remove(old)
            else:
                old.rename(path)


def _remove(path: Path) -> None:
    """Removes a file or folder completely, even if somebody presses Ctrl-C meanwhile."""
    with _signals_wait():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


@contextmanager
def _signals_wait() -> Iterator[None]:
    """Signals that would end the program have their effect only at the end of the body.

    They are not blocked, because the kernel could then deliver them to another thread.
    """
    came: list[int] = []
    before = {
        number: signal.signal(number, lambda number, _: came.append(number)) for number in _ENDING
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for late in came:
            signal.raise_signal(late)
