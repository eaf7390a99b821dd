"""Hooks of pytest: which tests run, in how many processes, the time limit, and signals.

| run | tests |
| --- | --- |
| `pytest`, `pytest FOLDER` | quick: tests without a marker, and the first row of each system test |
| `pytest --all`, `pytest FILE` | the tests that are marked `long`, and all rows, too |
| `pytest --long`, `pytest FILE::TEST` | the tests that are marked `exhaustive`, too |

`-m`, `-k`, `--lf` and `--ff` choose among all tests. A row is one set of parameters of a test.
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
        help="run the tests that are marked long, too; a file that is named runs them anyway",
    )
    parser.addoption(
        "--long",
        action="store_true",
        help="run every test: as --all, and the exhaustive tests, which repeat at length",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out the tests that the command line does not ask for; puts files of long tests first.

    One process runs a whole file. A file of long tests that came last would run alone.
    """
    kept = [item for item in items if _is_asked_for(config, item)]
    if is_quick(config):
        kept = list(_first_rows(kept))
    config.hook.pytest_deselected(items=list(set(items).difference(kept)))
    items[:] = kept
    first = {item.path for item in items if any(map(item.get_closest_marker, _MARKERS))}
    items.sort(key=lambda item: item.path not in first)


def _first_rows(items: list[pytest.Item]) -> Iterator[pytest.Item]:
    """Leaves out all rows but the first of each system test, since each starts processes."""
    seen = set()
    for item in items:
        test = item.nodeid.partition("[")[0]
        if not item.nodeid.startswith("tests/system/") or test not in seen:
            yield item
        seen.add(test)


def is_quick(config: pytest.Config) -> bool:
    """Says whether the command line names no more than folders and asks for no long tests."""
    return not (_is_run_of_all(config) or _named_files(config))


_MARKERS = ("long", "exhaustive")


def _is_asked_for(config: pytest.Config, item: pytest.Item) -> bool:
    if item.get_closest_marker("exhaustive"):
        return _is_chosen(config) or config.getoption("long") or _is_named(config, item)
    if item.get_closest_marker("long"):
        return _is_run_of_all(config) or item.path in _named_files(config)
    return True


def _is_run_of_all(config: pytest.Config) -> bool:
    return _is_chosen(config) or config.getoption("all") or config.getoption("long")


def _is_chosen(config: pytest.Config) -> bool:
    """Says whether an option chooses tests by their names, markers or last results."""
    options = ("markexpr", "keyword", "lf", "failedfirst")
    # The last two are the cache's, and are not there with `-p no:cacheprovider`.
    return any(config.getoption(option, default=None) for option in options)


def _is_named(config: pytest.Config, item: pytest.Item) -> bool:
    """Says whether the command line names this test, or its class, and not only its file."""
    named = (argument.split("::", 1)[1] for argument in config.args if "::" in argument)
    return item.path in _named_files(config) and any(
        item.nodeid.split("::", 1)[1].startswith(name) for name in named
    )


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Returns two for each CPU, since system tests mostly wait.

    Returns 0 where files are named, so that `-s` shows what their tests print.
    """
    if _named_files(config):
        return 0
    return 2 * len(os.sched_getaffinity(0))


def _named_files(config: pytest.Config) -> set[Path]:
    """Finds the files that the command line names, with or without a test of theirs."""
    named = (config.invocation_params.dir / arg.partition("::")[0] for arg in config.args)
    return {path.resolve() for path in named if path.is_file()}


# -- the time limit: pytest-timeout raises in the handler of a signal, wherever the program is. If
# that happens inside trio, the run never ends, and every later test fails too.

# Seconds in which a cancelled test must end. Otherwise the error is raised wherever the program is.
GRACE = 2.0


@pytest.hookimpl(wrapper=True)
def pytest_timeout_set_timer() -> Generator[None, object, object]:
    """Makes the time limit end only one test, also if the test runs under trio."""
    _forget_a_broken_run()
    done = yield
    signal.signal(signal.SIGALRM, through_trio(signal.getsignal(signal.SIGALRM)))
    return done


def through_trio(fails: Any) -> Any:
    """Makes a SIGALRM handler that lets trio end the test.

    Without trio it does what `fails` does.
    """
    cancelled = False

    def expire(number: int, frame: FrameType | None) -> None:
        nonlocal cancelled
        try:
            fails(number, frame)
        except pytest.fail.Exception as error:
            if cancelled or not trio.lowlevel.in_trio_run():
                raise
            cancelled = True
            # A system task that fails cancels everything, and `trio.run` raises its error.
            token = trio.lowlevel.current_trio_token()
            token.run_sync_soon(trio.lowlevel.spawn_system_task, _raise, error)
            signal.setitimer(signal.ITIMER_REAL, GRACE)

    return expire


def _forget_a_broken_run() -> None:
    """Removes the remains of a run of trio that was interrupted because it exceeded GRACE."""
    if trio.lowlevel.in_trio_run():
        vars(GLOBAL_RUN_CONTEXT).clear()
        signal.set_wakeup_fd(-1)


async def _raise(error: BaseException) -> None:
    raise error


# -- signals: `nohup` makes a program ignore SIGHUP, and `&` in a script SIGINT and SIGQUIT. A child
# inherits this, and would never get the signal.

TERMINAL_SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT)


@contextmanager
def not_ignored_by_children() -> Iterator[None]:
    """Keeps children from ignoring signals that this process ignores, while the body runs.

    A handler that does nothing is not inherited: a new program begins with the default.
    """
    ignored = [one for one in TERMINAL_SIGNALS if signal.getsignal(one) is signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, _do_nothing)
    try:
        yield
    finally:
        for number in ignored:
            signal.signal(number, signal.SIG_IGN)


def _do_nothing(number: int, frame: FrameType | None) -> None:
    pass
