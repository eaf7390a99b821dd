"""PURE. Checks what the labels of a job may be, and applies a change to them.

A label can be typed as one word `KEY=VALUE`, and shown on one line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from cucmd.config import InvalidValue, wrong_value

MOST = 32  # of one job
LONGEST_VALUE = 200
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./-]{0,62}")
_KEY_FORM = "expected a key of 1 to 63 letters, digits and _ . / -, beginning with one of the first"


def checked(labels: Mapping[str, str], *, empty: bool = False) -> dict[str, str]:
    """Checks the labels of a request. With `empty` a value may be so. Raises `InvalidValue`."""
    for key, value in labels.items():
        if not _KEY.fullmatch(key):
            raise InvalidValue("labels", wrong_value(key[:80], _KEY_FORM))
        shortest = 0 if empty else 1
        if not shortest <= len(value) <= LONGEST_VALUE or not value.isprintable():
            form = f"expected {shortest} to {LONGEST_VALUE} printable characters"
            raise InvalidValue(f"labels.{key}", wrong_value(value[:80], form))
    if len(labels) > MOST:
        raise InvalidValue("labels", f"are {len(labels)}; at most {MOST} on a job")
    return dict(labels)


def changed(labels: Mapping[str, str], change: Mapping[str, str]) -> dict[str, str]:
    """Returns `labels` with those of `change`. An empty value removes a label. Raises
    `InvalidValue`.
    """
    after = {**labels, **checked(change, empty=True)}
    return checked({key: value for key, value in after.items() if value})
