"""The id by which a caller finds a call again: in the reply, in the log, in the job.

The one rule: what stands in a log line is printable ASCII and short, whoever chose it.
"""

from __future__ import annotations

import secrets

from cucmd.config import InvalidValue

LONGEST = 128


def request_id(given: str | None) -> str:
    """The caller's own, or a new one. Raises `InvalidValue`."""
    if given is None:
        return secrets.token_hex(8)
    if not (given.isascii() and given.isprintable() and 1 <= len(given) <= LONGEST):
        expected = f"expected 1 to {LONGEST} printable ASCII characters"
        raise InvalidValue("request_id", f"{given[:40]!a}: {expected}")
    return given
