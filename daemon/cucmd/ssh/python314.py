"""Imports trio-asyncio so that it works on Python 3.14 too.

Nothing of asyncio changes before 3.14, nor where trio-asyncio imports as it is.

What trio-asyncio 0.16 lacks on Python 3.14:

- It derives from two classes of asyncio. `asyncio.events.BaseDefaultEventLoopPolicy` is
  `_BaseDefaultEventLoopPolicy` now. `asyncio.AbstractChildWatcher` is gone, as is all of asyncio
  that used a child watcher, so any class will do. Both names are there while trio-asyncio is
  imported.
- The tasks of 3.14, which are written in C, make a step only in the loop that their thread runs.
  Without that loop every task waits for ever. trio-asyncio replaces the functions of Python that
  name the running loop, but the C code does not call them. So each callback (`Handle._run`) tells
  the C code its loop (`Handle._loop`), for as long as it runs: by `_get_running_loop` and
  `_set_running_loop` of `_asyncio`.

All of this can go with the first release of trio-asyncio that supports Python 3.14, which is its
issue 160 (https://github.com/python-trio/trio-asyncio/issues/160). Until then it is done on 3.14
alone, where it was tried: a later Python is refused, unless trio-asyncio imports there as it is.
"""

from __future__ import annotations

import asyncio
import platform
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from cucmd.failure import CannotStart


def _load() -> ModuleType:
    import trio_asyncio  # type: ignore[import-untyped]  # noqa: PLC0415  it ships no types

    module: ModuleType = trio_asyncio
    return module


def import_trio_asyncio(
    load: Callable[[], ModuleType] = _load, version: tuple[int, ...] = sys.version_info[:2]
) -> ModuleType:
    """Returns the module. Raises `CannotStart` where no way is known to make it work on this
    Python.
    """
    with warnings.catch_warnings():
        # Of the same classes, from 3.12 on, each time that it is imported.
        warnings.simplefilter("ignore", DeprecationWarning)
        if version < (3, 14):
            return load()
        try:
            return load()  # a release that supports 3.14
        except AttributeError as error:
            if version > (3, 14):
                raise _unsupported(error) from error
        try:
            with _removed_names():
                module = load()
            _run_callbacks_in_their_loop()
        except (AttributeError, ImportError) as error:
            raise _unsupported(error) from error
        return module


def _unsupported(error: Exception) -> CannotStart:
    return CannotStart(
        f"trio-asyncio does not support Python {platform.python_version()}: {error}; "
        "use an older Python, or a newer trio-asyncio if there is one"
    )


@contextmanager
def _removed_names() -> Iterator[None]:
    """Adds the names that trio-asyncio derives from. Raises AttributeError where 3.14's is gone."""
    events: Any = asyncio.events
    package: Any = asyncio
    events.BaseDefaultEventLoopPolicy = events._BaseDefaultEventLoopPolicy
    package.AbstractChildWatcher = type("AbstractChildWatcher", (), {})
    try:
        yield
    finally:
        del events.BaseDefaultEventLoopPolicy, package.AbstractChildWatcher


def _run_callbacks_in_their_loop() -> None:
    """Raises ImportError where the C code's own functions are gone."""
    # Not those of `asyncio`: trio-asyncio has replaced one of them.
    from _asyncio import _get_running_loop, _set_running_loop  # noqa: PLC0415  see above

    handle: Any = asyncio.Handle
    run = handle._run

    def run_in_its_loop(self: Any) -> None:
        before = _get_running_loop()
        _set_running_loop(self._loop)
        try:
            run(self)
        finally:
            _set_running_loop(before)

    handle._run = run_in_its_loop
