"""Imports trio-asyncio so that it works on Python 3.14 too.

On Python 3.14, and only if trio-asyncio does not work there by itself, this module changes asyncio.
trio-asyncio 0.16 has two problems there:

- It derives from two classes of asyncio that no longer have their names.
  `asyncio.events.BaseDefaultEventLoopPolicy` is now called `_BaseDefaultEventLoopPolicy`.
  `asyncio.AbstractChildWatcher` was removed together with everything that used child watchers, so
  an empty class will do. We add both names while trio-asyncio is imported.
- The tasks of 3.14 are written in C, and run only in the loop that the C code considers to be
  running in their thread. Otherwise every task waits for ever. trio-asyncio replaces the Python
  functions that tell which loop is running, but the C code does not call these. We therefore wrap
  every callback (`Handle._run`): while a callback runs, its own loop (`Handle._loop`) is the
  running loop of the C code.

All of this can go with the first release of trio-asyncio that supports Python 3.14, which is its
issue 160 (https://github.com/python-trio/trio-asyncio/issues/160). The changes were tried on 3.14
only. On a later Python, trio-asyncio has to import without them, or the daemon refuses to start.
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
    """Returns the module `trio_asyncio`. Raises CannotStart if it cannot work on this Python."""
    with warnings.catch_warnings():
        # From 3.12 on, Python warns at each import that the two classes are deprecated.
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
    """Adds the two class names to asyncio while the body runs.

    Raises AttributeError if asyncio no longer has `_BaseDefaultEventLoopPolicy` either.
    """
    events: Any = asyncio.events
    package: Any = asyncio
    events.BaseDefaultEventLoopPolicy = events._BaseDefaultEventLoopPolicy
    package.AbstractChildWatcher = type("AbstractChildWatcher", (), {})
    try:
        yield
    finally:
        del events.BaseDefaultEventLoopPolicy, package.AbstractChildWatcher


def _run_callbacks_in_their_loop() -> None:
    """Wraps every asyncio callback. Raises ImportError if the C functions do not exist."""
    # The functions of the same names in `asyncio` would not do: trio-asyncio has replaced one.
    from _asyncio import _get_running_loop, _set_running_loop  # noqa: PLC0415  may be missing

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
