"""Parameters that only `pytest --all` tries: the same rule, once more with another value.

A parametrized test that is quick tries at least one value.
"""

from collections.abc import Iterable
from typing import Any

import pytest


def more(*values: Any) -> list[Any]:
    """Parameters that are tried in a long run only."""
    return [pytest.param(value, marks=pytest.mark.long) for value in values]


def mostly_more(values: Iterable[Any]) -> list[Any]:
    """Returns the first of them always, the others in a long run only."""
    first, *others = values
    return [first, *more(*others)]
