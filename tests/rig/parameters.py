"""Marks parameters that only `pytest --all` tries.

A quick run tries at least one value of a parametrized test.
"""

from collections.abc import Iterable
from typing import Any

import pytest


def more(*values: Any) -> list[Any]:
    """Returns parameters that only `pytest --all` tries."""
    return [pytest.param(value, marks=pytest.mark.long) for value in values]


def mostly_more(values: Iterable[Any]) -> list[Any]:
    """Returns parameters of which a quick run tries only the first."""
    first, *others = values
    return [first, *more(*others)]
