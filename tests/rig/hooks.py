"""Hooks of pytest: which tests are run, in how many processes, what ends one, and its signals.

A test that is named on the command line is run.
"""

import os
import signal
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import trio
from trio._core._run import GLOBAL_RUN_CONTEXT


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--all",
        action="store_true",
        help="run every test; without it those that are marked long run only where they are named",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out tests that are marked long unless they are asked for; then their files come first.

    A file is run by one process. A long one that came last would run alone.
    """
    long = [item for item in items if item.get_closest_marker("long")]
    left_out = set() if _all_are_asked_for(config) else set(long) - set(_named(config, long))
    if left_out:
        config.hook.pytest_deselected(items=list(left_out))
        items[:] = [item for item in items if item not in left_out]
    first = {item.path for item in long if item not in left_out}
    items.sort(key=lambda item: item.path not in first)


def is_quick(config: pytest.Config) -> bool:
    """Says whether the line of the README, or a folder, is run: no test is asked for by itself."""
    return not (_all_are_asked_for(config) or _named_files(config))


def _all_are_asked_for(config: pytest.Config) -> bool:
    options = ("all", "markexpr", "keyword", "lf", "failedfirst")
    # The last two are the cache's, and are not there with `-p no:cacheprovider`.
    return any(config.getoption(option, default=None) for option in options)


def _named(config: pytest.Config, items: list[pytest.Item]) -> list[pytest.Item]:
    files = _named_files(config)
    return [item for item in items if item.path in files]


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Two for each CPU, for system tests mostly wait; none where files are named, so that `-s`
    shows what they print.
    """
    if _named_files(config):
        return 0
    return 2 * len(os.sched_getaffinity(0))


def _named_files(config: pytest.Config) -> set[Path]:
    """Finds the files that the command line names, with or without a test of theirs."""
    named = (config.invocation_params.dir / arg.partition("::")[0] for arg in config.args)
    return {path.resolve() for path in named if path.is_file()}


# -- the time limit: pytest-timeout raises from a signal's handler, wherever the program is. Inside
# trio's own code that leaves a run that never ends, and every later test fails with it.

# Seconds for a cancelled test to end. After that the error is raised where the program is.
GRACE = 2.0


@pytest.hookimpl(wrapper=True)
def pytest_timeout_set_timer() -> Generator[None, object, object]:
    """Under trio, too, the time limit ends one test, and no other."""
    _forget_a_broken_run()
    done = yield
    signal.signal(signal.SIGALRM, through_trio(signal.getsignal(signal.SIGALRM)))
    return done


def through_trio(fails: Any) -> Any:
    """Makes a SIGALRM handler that lets trio end the test where trio runs; else as `fails` does."""
    cancelled = False

    def expire(number: int, frame: FrameType | None) -> None:
        nonlocal cancelled
        try:
            fails(number, frame)
        except pytest.fail.Exception as error:
            if cancelled or not trio.lowlevel.in_trio_run():
                raise
            cancelled = True
            # A system task that fails cancels everything, and is what `trio.run` then raises.
            token = trio.lowlevel.current_trio_token()
            token.run_sync_soon(trio.lowlevel.spawn_system_task, _raise, error)
            signal.setitimer(signal.ITIMER_REAL, GRACE)

    return expire


def _forget_a_broken_run() -> None:
    """Removes what is left of a run of trio that was interrupted because it exceeded GRACE."""
    if trio.lowlevel.in_trio_run():
        vars(GLOBAL_RUN_CONTEXT).clear()
        signal.set_wakeup_fd(-1)


async def _raise(error: BaseException) -> None:
    raise error


# -- signals: `nohup` leaves SIGHUP ignored, and `&` in a script SIGINT and SIGQUIT. A child
# inherits that, and so never gets the signal.

OF_A_TERMINAL = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT)


@contextmanager
def not_ignored_by_children() -> Iterator[None]:
    """In the body this process still ignores what it ignores, and its children do not.

    A handler that does nothing is not inherited: a new program begins with the default.
    """
    ignored = [one for one in OF_A_TERMINAL if signal.getsignal(one) is signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, _do_nothing)
    try:
        yield
    finally:
        for number in ignored:
            signal.signal(number, signal.SIG_IGN)


def _do_nothing(number: int, frame: FrameType | None) -> None:
    pass
