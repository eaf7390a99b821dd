"""Says where an export goes: a file, a folder, or standard output.

What is not whole never has the name of the target. A file has no name at all until it is whole, so
that not even a kill leaves anything of it. A folder is made beside the target, under a name that
begins with a dot, and so is a file where the file system must have a name; both get their own name
at the end, and whatever goes wrong removes them. What a kill leaves there is removed by the next
export to the same target.
"""

from __future__ import annotations

import errno
import fcntl
import glob
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from cucmctl.export.export import FolderSink, Format, Sink, TarSink, TgzSink, ZipSink

_SINKS: dict[Format, type[ZipSink | TarSink]] = {"zip": ZipSink, "tar": TarSink, "tgz": TgzSink}
# How a file system says that it has no files without a name, or a kernel that it knows none.
_NO_UNNAMED = (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL)
# How it says that a file cannot have two names.
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
# Names of what is not whole: ".", the target's name, ".", so many random characters, and this end.
_END = ".part"
_RANDOM = 8
_LONGEST_NAME = 255  # bytes, on Linux
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class TargetExists(Exception):
    """There is something already where the export is to go."""


@contextmanager
def target(
    path: Path | None, form: Format, *, force: bool, whole: Callable[[], None] = lambda: None
) -> Iterator[Sink]:
    """Yields a sink for `path`, or for standard output if that is None. `path` is there at the end.

    whole  is called once, when all of it has gone into the sink: before the last bytes are written
           to standard output, or before the path gets its name

    Raises `TargetExists` where there is something, unless `force`.
    """
    if path is None:
        with _sink(sys.stdout.buffer, form, whole) as sink:
            yield sink
        return
    _refuse_existing(path, force=force)
    _remove_leftovers(path)
    if form == "dir":
        with _new_folder(path, whole, force=force) as folder:
            yield FolderSink(folder)
        return
    with _new_file(path, whole, force=force) as file, _sink(file, form) as sink:
        yield sink


@contextmanager
def _sink(out: IO[bytes], form: Format, whole: Callable[[], None] = lambda: None) -> Iterator[Sink]:
    sink = _SINKS[form](out)
    try:
        yield sink
        whole()
        sink.close()
    except BaseException:
        sink.abandon()
        raise


def _refuse_existing(path: Path, *, force: bool) -> None:
    try:
        path.lstat()  # raises what the end would: a name can be too long
    except FileNotFoundError:
        return
    if not force:
        raise _exists(path)
    if not (path.is_symlink() or path.is_file() or path.is_dir()):  # /dev/null, for root
        raise TargetExists(f"{path} is neither a file nor a folder, and is not replaced")


def _exists(path: Path) -> TargetExists:
    return TargetExists(f"{path} exists; to replace it: --force")


# A file


@contextmanager
def _new_file(path: Path, whole: Callable[[], None], *, force: bool) -> Iterator[IO[bytes]]:
    unnamed = _open_unnamed(path.parent)
    if unnamed is None:
        with _new_named_file(path, whole, force=force) as file:
            yield file
        return
    with os.fdopen(unnamed, "w+b") as file:
        yield file
        _sync(file)
        whole()
        if not force:
            _link(file, path)
            return
        _lock(file.fileno())  # before it has a name: one without a lock is taken for a leftover
        name = _beside(path)
        try:
            _link(file, name)
            os.replace(name, path)
        except BaseException:
            name.unlink(missing_ok=True)
            raise


def _open_unnamed(folder: Path) -> int | None:
    """Opens a file that goes with its last descriptor; None where there are no such files."""
    try:
        descriptor = os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o666)
    except OSError as error:
        if error.errno in _NO_UNNAMED:
            return None
        raise
    if os.path.exists(_link_of(descriptor)):
        return descriptor
    os.close(descriptor)  # without /proc it could never get a name
    return None


def _link_of(descriptor: int) -> str:
    return f"/proc/self/fd/{descriptor}"


def _link(file: IO[bytes], path: Path) -> None:
    """Gives the file its name. Raises `TargetExists`."""
    # With a folder's descriptor Python calls linkat, which alone follows the link in /proc.
    here = os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.link(
            _link_of(file.fileno()), path, src_dir_fd=here, dst_dir_fd=here, follow_symlinks=True
        )
    except FileExistsError:
        raise _exists(path) from None
    finally:
        os.close(here)


@contextmanager
def _new_named_file(path: Path, whole: Callable[[], None], *, force: bool) -> Iterator[IO[bytes]]:
    with _unfinished(path, _make_file) as (name, descriptor):
        with os.fdopen(descriptor, "w+b", closefd=False) as file:
            yield file
            _sync(file)
        _refuse_existing(path, force=force)
        whole()
        if force or not _linked(name, path):
            os.replace(name, path)


def _linked(name: Path, path: Path) -> bool:
    """Gives the file its name, and takes the other away: a rename would replace what is there.
    False: the file system has no links. Raises `TargetExists`.
    """
    try:
        os.link(name, path)
    except FileExistsError:
        raise _exists(path) from None
    except OSError as error:
        if error.errno in _NO_LINKS:
            return False
        raise
    name.unlink()
    return True


def _make_file(name: Path) -> int:
    return os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)


def _sync(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


# A folder


@contextmanager
def _new_folder(path: Path, whole: Callable[[], None], *, force: bool) -> Iterator[Path]:
    with _unfinished(path, _make_folder) as (folder, _):
        yield folder
        _refuse_existing(path, force=force)
        whole()
        if force and os.path.lexists(path):
            _exchange(folder, path)
            return
        try:
            folder.rename(path)
        except OSError:
            _refuse_existing(path, force=force)
            raise


def _make_folder(name: Path) -> int | None:
    name.mkdir()
    try:
        return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None


def _exchange(folder: Path, path: Path) -> None:
    """Puts the folder in place of what is there, which is never seen half-removed."""
    aside = _beside(path)
    try:
        path.rename(aside)
        folder.rename(path)
    finally:
        if os.path.lexists(path):
            _remove_to_the_end(aside)  # or another export does: it looks like what a kill leaves
        else:
            aside.rename(path)


def _remove(path: Path) -> None:
    """Removes what can be removed of it."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _remove_to_the_end(path: Path) -> None:
    """Removes it to the end: people press Ctrl-C twice, or hold it."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in _ENDING}
    try:
        _remove(path)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


# What a kill leaves


@contextmanager
def _unfinished(path: Path, make: Callable[[Path], int | None]) -> Iterator[tuple[Path, int]]:
    """Makes what has a name before it is whole, and locks it. Yields the name, and the descriptor;
    it is removed where the block raises.

    Until it is locked another export may take it for what a kill has left, and remove it. Then it
    is made once more.
    """
    name = _beside(path)
    try:
        while (descriptor := _made(name, make)) is None:
            name = _beside(path)
        try:
            yield name, descriptor
        finally:
            os.close(descriptor)
    except BaseException:
        _remove_to_the_end(name)
        raise


def _made(name: Path, make: Callable[[Path], int | None]) -> int | None:
    """Makes and locks it. None: another export has it."""
    descriptor = make(name)
    if descriptor is not None and not (_lock(descriptor) and os.path.lexists(name)):
        os.close(descriptor)
        return None
    return descriptor


def _beside(path: Path) -> Path:
    return path.parent / f"{_beginning(path)}{os.urandom(_RANDOM // 2).hex()}{_END}"


def _beginning(path: Path) -> str:
    """Returns how names of what is not whole begin: with the target's, as far as there is room."""
    name = path.name
    while len(os.fsencode(f".{name}.{_END}")) + _RANDOM > _LONGEST_NAME:
        name = name[:-1]
    return f".{name}."


def _lock(descriptor: int) -> bool:
    """Locks it until it is closed: what is locked is being written. False: another export has."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass  # a file system without locks
    return True


def _remove_leftovers(path: Path) -> None:
    """Removes what an export to `path` has left that was killed. One that goes on is left alone."""
    for left in path.parent.glob(f"{glob.escape(_beginning(path))}{_RANDOM * '[0-9a-f]'}{_END}"):
        with suppress(OSError):
            descriptor = os.open(left, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.fstat(descriptor).st_uid == os.geteuid():
                    _remove(left)
            finally:
                os.close(descriptor)
