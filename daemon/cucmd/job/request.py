"""PURE. Declares the parameter that every method has: the user on whose behalf a program calls."""

from typing import Literal

from msgspec import Struct


class OnBehalfOf(Struct, frozen=True):
    """Says on whose behalf a program calls. Only users in [access] may_speak_for of the
    configuration may set this. From other users it is refused as InvalidRequest.
    """

    # 1 to 64 printable ASCII characters without quotes. The log has this name, a job that was
    # started so has it as asked_by, and each name has start keys of its own.
    name: str
    # The call has the rights of the view group or of the operate group, but never more rights than
    # the user who makes the call.
    role: Literal["view", "operate"]


class Request(Struct, frozen=True, kw_only=True):
    """Holds the parameter that every method has."""

    on_behalf_of: OnBehalfOf | None = None
