"""`Reload`, over the socket: the daemon reads its files again, and the caller hears how that ended.

A reload that fails changes nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from cucmd.api.refusals import error
from cucmd.protocol import errors as wire_errors
from cucmd.protocol.knowledge import ReloadReply, ReloadRequest
from cucmd.varlink import Caller


class CannotReload(Exception):
    """Why the files are not used. The text is one line."""


# Reads configuration and known host keys again; called with the `extra` of log records that this
# causes. Returns the names of the changed settings that only
# a restart applies. Raises `CannotReload`.
Reload: TypeAlias = Callable[[Mapping[str, object]], Awaitable[tuple[str, ...]]]


class Reloading:
    """The method."""

    def __init__(self, reload: Reload) -> None:
        self._reload = reload

    async def reload(self, caller: Caller, request: ReloadRequest) -> ReloadReply:
        try:
            return ReloadReply(await self._reload(caller.for_log))
        except CannotReload as reason:
            raise error(wire_errors.ReloadFailed(str(reason))) from None
