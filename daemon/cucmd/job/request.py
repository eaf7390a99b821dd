"""PURE. Declares what every call may have: for whom a program makes it."""

from typing import Literal

from msgspec import Struct


class OnBehalfOf(Struct, frozen=True):
    """Says for whom a program calls that speaks for others. Only those users may set it that are in
    [access] may_speak_for of the configuration; of others it is refused as InvalidRequest.
    name: 1 to 64 printable ASCII characters without quotes. It is in the log, in the job that a
    call has started it is asked_by, and each name has start keys of its own. role: the call has the
    rights of the view group or of the operate group, and never more than those of the user who
    makes it.
    """

    name: str
    role: Literal["view", "operate"]


class Request(Struct, frozen=True, kw_only=True):
    """Holds what the parameters of every method have."""

    on_behalf_of: OnBehalfOf | None = None
