"""Runs the program `cucmctl`. The installed script calls `command`; so does `python -m cucmctl`.

A Ctrl-C before `run` shows a traceback, so this file first imports only what Python has loaded.
"""

import os
import sys

INTERRUPTED = 130


def run() -> int:
    """Runs `main` and returns its exit code. From here on, Ctrl-C never shows a traceback."""
    try:
        import gc  # noqa: PLC0415  these are not loaded yet
        import signal  # noqa: PLC0415
    except KeyboardInterrupt:
        return INTERRUPTED
    quits = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # else SIGINT is ignored
    try:
        if quits:
            # While modules are loaded, the kernel ends the process at a Ctrl-C, because Python can
            # lose a KeyboardInterrupt that is raised inside an import.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
        gc.disable()  # modules make much that stays, and looking for garbage in it takes 9 ms
        hidden = sys.modules.setdefault("typing_extensions", None) is None  # type: ignore[arg-type]
        from cucmctl.main import main  # noqa: PLC0415  # only after Ctrl-C is handled

        if hidden:  # so msgspec has used `typing` instead; the other takes 12 ms to load
            del sys.modules["typing_extensions"]
        gc.enable()
        if quits:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        code = main()
    except KeyboardInterrupt:
        code = INTERRUPTED
    while True:
        try:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        except KeyboardInterrupt:  # from a second Ctrl-C: people press it twice
            code = INTERRUPTED
        else:
            return code


def command() -> None:
    """Runs the program and ends the process. Never returns.

    `os._exit` skips the teardown of Python's modules, which takes as long as starting Python.
    Nothing depends on the teardown: files, terminals and threads are closed by their `with` blocks,
    and `main` has flushed the output.
    """
    code = run()
    try:
        if sys.stderr is not None:
            sys.stderr.flush()
    except OSError:  # standard error is closed; the exit code is still right
        pass
    os._exit(code)


if __name__ == "__main__":
    command()
