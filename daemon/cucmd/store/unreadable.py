"""Skips rows that cannot be decoded. Each of them is logged once, however often it is read."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import msgspec

log = logging.getLogger(__name__)


@contextmanager
def skip_unreadable(what: str) -> Iterator[None]:
    """Logs a decoding error that the body raises, and suppresses it.

    The body should handle only one row, which `what` names in the log: "job 0a1b2c3d4e5f".
    """
    try:
        yield
    except msgspec.MsgspecError as error:
        log_once(f"{what} cannot be read from the database and is left out: {error}")


@lru_cache(1000)
def log_once(text: str) -> None:
    log.error("%s", text)
