"""What has come to an upload target since one command was typed.

Several commands of a node share its upload target, so what came of an earlier one is no evidence
for a later one.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from cucmd.failure import Code
from cucmd.node.ports import UploadTarget
from cucmd.received_file import ReceivedFile


class WhyNone(msgspec.Struct, frozen=True):
    """Why no login came in. `hint`: None is the usual one for the code."""

    code: Code
    text: str
    hint: str | None = None


class Arrivals:
    """Made when the command is typed."""

    def __init__(self, target: UploadTarget) -> None:
        self._target = target
        self._logins = target.logins
        self._wrong_logins = target.wrong_logins
        self._refused = target.refused
        self._bytes = target.bytes_received
        self._files = len(target.files())

    @property
    def any(self) -> bool:
        """A login or a byte has come."""
        target = self._target
        return target.logins > self._logins or target.bytes_received > self._bytes

    @property
    def last(self) -> float | None:
        """When the last login or byte came, by trio's clock. None: nothing has come."""
        return self._target.last_activity if self.any else None

    @property
    def refused_login(self) -> bool:
        """A login has come with a wrong password."""
        return self._target.wrong_logins > self._wrong_logins

    @property
    def turned_away(self) -> int:
        """How many connections of the node's address the receiver has refused or cut."""
        return self._target.refused - self._refused

    def files(self) -> Sequence[ReceivedFile]:
        return self._target.files()[self._files :]

    def why_none(self) -> WhyNone:
        """Why nothing came of a node that can log in."""
        target = self._target
        if self.refused_login:
            wrong = "the node logged in to the receiver with a wrong password"
            return WhyNone(Code.RECEIVER_REJECTED, wrong)
        if count := self.turned_away:
            many = "a connection" if count == 1 else f"{count} connections"
            return WhyNone(
                Code.RECEIVER_UNREACHABLE,
                f"no login came in; the receiver itself turned {many} of the node's address away, "
                f"the last because {target.refused_why}",
                "the daemon's log says which addresses have taken the room; try again",
            )
        nothing = "the node agreed to push, but no login came in"
        return WhyNone(Code.RECEIVER_UNREACHABLE, nothing)
