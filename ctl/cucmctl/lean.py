"""Makes the start of the command quick: `cucmctl status` takes less than four bare Pythons.

The one rule: only the command line uses this. Programs that import `Client` are not changed.
"""

from __future__ import annotations

import gc
import sys


def collect_garbage_less_often() -> None:
    """Collections during the start cost 1 to 2 ms and free nothing.

    They are not switched off, because a `watch` may run for days.
    """
    gc.set_threshold(50_000)


def load_msgspec() -> None:
    """Imports msgspec without `typing_extensions`.

    msgspec takes two names from it, or from `typing` if it is not installed. But it loads
    `inspect`, `ast` and `tokenize`, which takes 9 of the 35 ms of msgspec (Python 3.13; 11 on
    3.11). None in `sys.modules` is Python's own way to say that a module cannot be imported. It is
    removed at once, so that `typing_extensions` can be imported later.
    """
    if "typing_extensions" in sys.modules or "msgspec" in sys.modules:
        return
    sys.modules["typing_extensions"] = None  # type: ignore[assignment]  # see above
    try:
        import msgspec  # noqa: F401, PLC0415  # loaded here so that all later imports find it
    finally:
        del sys.modules["typing_extensions"]
