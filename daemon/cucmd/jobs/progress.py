"""What the work on one node tells its job (`collect.doors.Report`), and what came into its box.

The one rule: transitions are passed on at once; figures wait until somebody looks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeAlias

from cucmd.failure import Failure
from cucmd.job import Node, Phase
from cucmd.node.ports import DropBox, ReceivedFile

Change: TypeAlias = Callable[[Callable[[Node], Node]], None]


class NodeReport:
    """`change` applies a transition to the node, unless it has settled meanwhile."""

    def __init__(self, change: Change, now: Callable[[], datetime]) -> None:
        self._change = change
        self._now = now
        self._box: DropBox | None = None
        self._files_announced: int | None = None
        self._bytes_announced: int | None = None
        self.whole_paths: set[str] = set()
        self.ended = False
        self.last_phase = Phase.CONNECT

    def attempt(self, number: int) -> None:
        now = self._now()
        self._change(lambda node: node.begin(now, number))

    def phase(self, phase: Phase) -> None:
        self.last_phase = phase
        self._change(lambda node: node.enter(phase))

    def drop_box(self, box: DropBox) -> None:
        self._box = box

    def announced(self, files: int, size: int) -> None:
        self._files_announced, self._bytes_announced = files, size

    def whole(self, files: Sequence[ReceivedFile]) -> None:
        self.whole_paths.update(file.path for file in files if file.complete)

    @property
    def refusal(self) -> Failure | None:
        """Why the box takes nothing more, if that is so."""
        return self._box.refusal if self._box is not None else None

    def at_end(self) -> None:
        """From here on only files that count are counted; until then, those that were closed."""
        self.ended = True

    def take_files(self) -> Sequence[ReceivedFile]:
        """What came into the box, once."""
        box, self._box = self._box, None
        return box.files() if box is not None else ()

    def figures(self, node: Node) -> Node:
        """The node with the figures of this moment; the very same where nothing is new."""
        box = self._box
        if box is None:
            return node
        after = node.progress(
            files_announced=self._files_announced,
            bytes_announced=self._bytes_announced,
            files_received=len(self.whole_paths) if self.ended else box.files_received,
            bytes_received=box.bytes_received,
        )
        return node if after == node else after
