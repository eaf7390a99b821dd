"""Runs a `cucmd` whose worker processes first try to reach files that they must not reach.

This file is copied to a machine where only `cucmd` is installed. The file `paths` beside it has one
path in each line. A worker opens each path, or connects to it if it is a socket, and the daemon
logs what comes of it. Then the worker does its work.
"""

import os
import socket
import sys
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path

from cucmd.worker.forked import Channel

PATHS = Path(__file__).with_name("paths")


def __getattr__(role: str) -> Callable[[Channel], None]:
    """Returns the role "module:function", which the fork server looks up here."""
    if ":" not in role:
        raise AttributeError(role)
    return partial(reach_and_do, role)


def reach_and_do(role: str, channel: Channel) -> None:
    for path in PATHS.read_text().splitlines():
        print("reached", role, path, attempt(path), file=sys.stderr, flush=True)
    module, _, name = role.partition(":")
    getattr(import_module(module), name)(channel)


def attempt(path: str) -> str:
    try:
        if path.endswith(".sock"):
            with socket.socket(socket.AF_UNIX) as one:
                one.connect(path)
        else:
            os.close(os.open(path, os.O_RDONLY))
    except OSError as error:
        return type(error).__name__
    return "done"


if __name__ == "__main__":
    from cucmd.main import main
    from cucmd.service import daemon

    for name, place in daemon.PROCESSES.items():
        daemon.PROCESSES[name] = f"reaching_daemon:{place}"
    sys.exit(main())
