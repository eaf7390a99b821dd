"""Makes the interface `io.cucmd.Jobs` from one function for each of its methods.

The hub (`cucmfleet`) serves the same interface with other functions, so this file imports none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from msgspec.structs import asdict

from cucmd.api.refusals import error, invalid
from cucmd.job.request import Request
from cucmd.protocol import errors
from cucmd.protocol.methods import METHODS
from cucmd.protocol.requests import INTERFACE
from cucmd.varlink import Caller, Interface, Method, VarlinkError, read_description
from cucmd.varlink.interface import Handler, StreamHandler, UpgradeHandler

AnyHandler: TypeAlias = Handler | StreamHandler | UpgradeHandler
EffectiveCaller: TypeAlias = Callable[[Caller, Method, Request], Caller]


def make_interface(
    handlers: Mapping[str, AnyHandler], *, effective_caller: EffectiveCaller
) -> Interface:
    """Returns the interface.

    handlers          the function that answers each method, by the name of the method
    effective_caller  see `Interface`
    """
    return Interface(
        name=INTERFACE,
        description=read_description("cucmd.protocol", INTERFACE),
        methods=tuple(
            Method(name, handler=handlers[name], **asdict(shape)) for name, shape in METHODS.items()
        ),
        invalid=invalid,
        too_many=too_many,
        effective_caller=effective_caller,
        secrets=frozenset({"login"}),  # a password may be in a wrong field of it
    )


# The names of the limits of the socket in the configuration.
_LIMITS = {"connections": "connections_per_uid", "streams": "watchers_per_uid"}


def too_many(limit: str, maximum: int) -> VarlinkError:
    """Makes the error for a user at a limit of the socket."""
    return error(errors.LimitReached(_LIMITS[limit], maximum))
