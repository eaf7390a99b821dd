"""A daemon in a fork of a process that has imported it already, so that a start costs little.

In a module of its own, because the forked process imports it by name.
"""

import os


def serve(arguments: list[str], log: str) -> None:
    """`cucmd` with these arguments; its standard output and error go to `log`."""
    from cucmd.main import main

    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    raise SystemExit(main(arguments))
