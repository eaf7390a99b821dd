"""Makes children of the tests get the signals of a terminal, however the tests were started.

`nohup` leaves SIGHUP ignored, and `&` in a script SIGINT and SIGQUIT. A child inherits that, and so
never gets the signal.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

OF_A_TERMINAL = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT)


@contextmanager
def not_ignored_by_children() -> Iterator[None]:
    """For the body: what this process ignores, it still ignores, and its children do not.

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
