"""Leaves out rows that cannot be decoded, and logs each of them once, however often it is read."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import msgspec

log = logging.getLogger(__name__)


@contextmanager
def skip_unreadable(what: str) -> Iterator[None]:
    """Wraps the decoding of one row: `what` ("job 0a1b2c3d4e5f") is left out if that fails."""
    try:
        yield
    except msgspec.MsgspecError as error:
        log_once(f"{what} cannot be read from the database, and is left out: {error}")


@lru_cache(1000)
def log_once(text: str) -> None:
    log.error("%s", text)
