"""Runs the program `cucmctl`, also as `python -m cucmctl`, where the script is not on the path.

Nothing is imported, but what Python has loaded itself, before Ctrl-C is taken.
"""

from __future__ import annotations

import os
import sys
import time
from _signal import SIG_IGN, SIGINT, signal  # type: ignore[import-not-found]  # not `signal`
from _thread import start_new_thread

TYPE_CHECKING = False  # to import `typing` for it takes long enough for a Ctrl-C
if TYPE_CHECKING:
    from typing import NoReturn

INTERRUPTED = 130  # as in cli/exits.py


def run() -> int:
    """Runs `main`, and gives its exit code. Ctrl-C is no traceback from here on, wherever it comes:
    as modules are loaded, in what Python calls without a caller, or once `main` has ended.
    """
    sys.unraisablehook = _interrupt_again
    code = INTERRUPTED
    try:
        from cucmctl.main import main  # noqa: PLC0415  # see above

        code = main()
    except KeyboardInterrupt:
        pass
    while True:
        try:
            signal(SIGINT, SIG_IGN)
        except KeyboardInterrupt:  # of one that came meanwhile: people press it twice
            code = INTERRUPTED
        else:
            return code


def _interrupt_again(unraisable: sys.UnraisableHookArgs) -> None:
    """Raises again a Ctrl-C in a destructor, or as a weak reference goes, else printed and lost.

    By a thread, a moment later: what is raised in here would be lost too.
    """
    if unraisable.exc_type is KeyboardInterrupt:
        start_new_thread(_interrupt, ())
    else:
        sys.__unraisablehook__(unraisable)


def _interrupt() -> None:
    time.sleep(0.01)
    os.kill(os.getpid(), SIGINT)


def command() -> NoReturn:
    """Does what the script `cucmctl` does: calls `run`, and ends the process.

    Python would take its modules apart first: a seventh of the time of `cucmctl status`. Nothing
    waits for that: files, terminals and threads are closed by their blocks, and `main` has written
    the output.
    """
    code = run()
    if sys.stderr is not None:
        try:
            sys.stderr.flush()
        except OSError:
            pass  # it is closed; the exit code remains
    os._exit(code)


if __name__ == "__main__":
    sys.exit(run())
