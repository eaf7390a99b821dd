"""The progress of the work on one node: the `Report` of `node/ports.py`, and the upload target.

The one rule: transitions are passed on at once, figures only when `figures` is called.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeAlias

import msgspec

from cucmd.failure import Failure
from cucmd.job import Node, Phase
from cucmd.node.ports import UploadTarget
from cucmd.received_file import ReceivedFile

Change: TypeAlias = Callable[[Callable[[Node], Node]], None]

_BEFORE_LOGIN = (Phase.CONNECT, Phase.LOGIN)


class NodeProgress:
    """Of one node of a job.

    `change`: applies a transition to the node, unless it has ended meanwhile.
    `now`: the time of a transition.
    `logged_in`: called when the node has accepted the login.
    """

    def __init__(
        self,
        change: Change,
        now: Callable[[], datetime],
        logged_in: Callable[[], None] = lambda: None,
    ) -> None:
        self._change = change
        self._now = now
        self._logged_in = logged_in
        self._target: UploadTarget | None = None
        self._files_announced: int | None = None
        self._bytes_announced: int | None = None
        self._complete: set[str] = set()  # paths
        self._ended = False
        self._attempt = 0
        self.last_phase = Phase.CONNECT

    def attempt(self, number: int) -> None:
        now, self._attempt = self._now(), number
        self._change(lambda node: node.begin(now, number))

    def phase(self, phase: Phase) -> None:
        if phase not in _BEFORE_LOGIN and self.last_phase in _BEFORE_LOGIN:
            self._logged_in()
        self.last_phase = phase
        self._change(lambda node: node.enter(phase))

    def clock(self, zone: str | None, ahead: float) -> None:
        self._change(lambda node: msgspec.structs.replace(node, zone=zone, clock_ahead=ahead))

    def upload_target(self, target: UploadTarget) -> None:
        self._target = target

    def announced(self, files: int, size: int) -> None:
        self._files_announced, self._bytes_announced = files, size

    def complete(self, files: Sequence[ReceivedFile]) -> None:
        self._complete.update(file.path for file in files if file.closed)

    @property
    def refusal(self) -> Failure | None:
        """Why the upload target refused an upload; None: it refused none."""
        return self._target.refusal if self._target is not None else None

    def at_end(self) -> None:
        """The work has ended: from now on complete files are counted, and not closed ones."""
        self._ended = True

    def take_files(self) -> Sequence[ReceivedFile]:
        """The files of the upload target, marked as complete or not. Empty at the second call."""
        target, self._target = self._target, None
        files = target.files() if target is not None else ()
        return [
            msgspec.structs.replace(
                file, complete=file.path in self._complete, attempt=self._attempt
            )
            for file in files
        ]

    def figures(self, node: Node) -> Node:
        """The node with the figures of this moment; `node` itself where nothing has changed."""
        target = self._target
        if target is None:
            return node
        after = node.progress(
            files_announced=self._files_announced,
            bytes_announced=self._bytes_announced,
            files_received=len(self._complete) if self._ended else target.files_received,
            bytes_received=target.bytes_received,
        )
        return node if after == node else after
