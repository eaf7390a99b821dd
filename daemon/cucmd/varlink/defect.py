"""PURE. A defect as the log may show it.

The one rule: where it happened, never what an exception says: that can quote a request.
"""

from __future__ import annotations

import traceback


def trace(defect: BaseException) -> str:
    """The traceback of an exception, of what it came from and of what it holds, without texts."""
    parts = []
    origin = defect.__cause__ or (None if defect.__suppress_context__ else defect.__context__)
    if origin is not None:
        parts.append(trace(origin))
    if isinstance(defect, BaseExceptionGroup):
        parts += [trace(held) for held in defect.exceptions]
    parts.append("".join(traceback.format_tb(defect.__traceback__)) + type(defect).__qualname__)
    return "\n".join(parts)
