"""PURE. Checks the labels of a job, and applies a change to them.

A label can be typed as one word `KEY=VALUE`, and shown on one line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from cucmd.config import InvalidValue, wrong_value

MOST = 32  # labels of one job
LONGEST_VALUE = 200
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./-]{0,62}")
_KEY_FORM = "expected 1 to 63 letters, digits and _ . / -, beginning with a letter or digit"


def check_labels(labels: Mapping[str, str], *, empty: bool = False) -> dict[str, str]:
    """Returns the labels. `empty` allows empty values. Raises `InvalidValue`."""
    for key, value in labels.items():
        if not _KEY.fullmatch(key):
            raise InvalidValue("labels", wrong_value(key[:80], _KEY_FORM))
        shortest = 0 if empty else 1
        if not shortest <= len(value) <= LONGEST_VALUE or not value.isprintable():
            form = f"expected {shortest} to {LONGEST_VALUE} printable characters"
            raise InvalidValue(f"labels.{key}", wrong_value(value[:80], form))
    if len(labels) > MOST:
        raise InvalidValue("labels", f"{len(labels)} labels were given; a job has at most {MOST}")
    return dict(labels)


def apply_change(labels: Mapping[str, str], change: Mapping[str, str]) -> dict[str, str]:
    """Returns the labels after a change. An empty value removes a label. Raises `InvalidValue`."""
    after = {**labels, **check_labels(change, empty=True)}
    return check_labels({key: value for key, value in after.items() if value})
