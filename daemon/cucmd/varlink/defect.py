"""PURE. The traceback of a defect, for the log.

It says where the defect is, never what an exception says: that can quote a request.
"""

from __future__ import annotations

import traceback


def trace(defect: BaseException) -> str:
    """The tracebacks of an exception, of its cause and of the members of a group, without texts."""
    parts = []
    origin = defect.__cause__ or (None if defect.__suppress_context__ else defect.__context__)
    if origin is not None:
        parts.append(trace(origin))
    if isinstance(defect, BaseExceptionGroup):
        parts += [trace(held) for held in defect.exceptions]
    parts.append("".join(traceback.format_tb(defect.__traceback__)) + type(defect).__qualname__)
    return "\n".join(parts)
