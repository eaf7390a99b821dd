"""What commands print on nodes, as it comes: the view of `run`.

    a node                          what of it is printed
    has ended                       all of it
    runs, and has printed something each output once it is whole, until the node ends; that of the
                                    other nodes waits meanwhile
    runs, and has printed nothing   nothing; it holds back none

The outputs of a node stand together, unless it was cancelled: the last one of it may come a little
after its end, and is printed at the end of the job.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress

from cucmctl.cli import printer
from cucmctl.client.client import Client
from cucmctl.client.errors import DaemonUnavailable, ShuttingDown
from cucmctl.client.reconnect import again
from cucmctl.text import render
from cucmctl.text.times import NODE_ENDED
from cucmctl.text.views import Silent
from cucmd.protocol.cases import CommandOutput
from cucmd.protocol.jobs import Job, Node, WatchReply


class Printed(Silent):
    """Prints the outputs on standard output; at the end, why nodes failed, on standard error. A
    node whose outputs cannot be had because the daemon has gone is asked for again later.
    """

    def __init__(self, client: Client, *, as_json: bool, reconnect: float) -> None:
        super().__init__(sys.stderr, as_json=as_json)
        self._client = client
        self._reconnect = reconnect  # seconds that the daemon is waited for at the end
        self._done: set[str] = set()  # nodes of which nothing more can come
        self._numbers: dict[str, set[int]] = {}  # of the outputs that are printed, of each node
        self._seen: dict[str, tuple[int, int]] = {}  # the figures of a node when it was asked for
        self._begun: str | None = None  # the node that is printed until it has ended

    def show(self, change: WatchReply) -> None:
        super().show(change)
        if change.job is not None:
            # The watch ends too; the state comes again once the daemon is back.
            with suppress(DaemonUnavailable, ShuttingDown):
                self._show(change.job)

    def conclude(self, job: Job) -> None:
        # A daemon that is stopped ends the job first, and may be gone before it is asked.
        again(lambda: self._print_rest(job), self, reconnect=self._reconnect)
        if self._json:
            printer.json_line({"job": job})
        for text in render.ending(job):
            printer.line(text, self._stream)

    def _print_rest(self, job: Job) -> None:
        for node in job.nodes:
            if node.node not in self._done:
                self._print_new(job, node)

    def _show(self, job: Job) -> None:
        # The one that was begun comes first.
        nodes = sorted(job.nodes, key=lambda node: node.node != self._begun)
        for node in nodes:
            if node.status in NODE_ENDED:
                self._show_ended(job, node)
            if self._begun is not None:
                break
        for node in job.nodes:
            if self._begun in (None, node.node) and node.status == "running":
                self._show_running(job, node)

    def _show_ended(self, job: Job, node: Node) -> None:
        if node.node not in self._done and node.status != "cancelled":
            self._print_new(job, node)
            self._done.add(node.node)
        if node.node == self._begun:
            self._begun = None

    def _show_running(self, job: Job, node: Node) -> None:
        """Its figures grow with each output that is whole."""
        figures = node.files_received, node.bytes_received
        if figures != self._seen.get(node.node, (0, 0)):
            self._print_new(job, node)
            self._seen[node.node] = figures
            if node.node in self._numbers:
                self._begun = node.node

    def _print_new(self, job: Job, node: Node) -> None:
        """Prints the outputs that are not printed yet."""
        for output in list(_whole(self._client.output(job.job_id, [node.node]))):
            numbers = self._numbers.setdefault(node.node, set())
            if output.number not in numbers:
                numbers.add(output.number)
                self._print(output)

    def _print(self, output: CommandOutput) -> None:
        if self._json:
            printer.json_line({"output": output})
            return
        ended = "" if output.complete else "  (not to its end)"
        printer.line(
            f"=== {printer.visible(output.node)}: {printer.visible(output.command)}{ended}"
        )
        for line in output.text.removesuffix("\n").split("\n") if output.text else ():
            printer.line(printer.visible(line))
        printer.line("")


def _whole(pieces: Iterator[CommandOutput]) -> Iterator[CommandOutput]:
    """Each output as one, with all of its text."""
    texts: list[str] = []
    for piece in pieces:
        texts.append(piece.text)
        if piece.ended:
            yield CommandOutput(
                piece.node,
                piece.number,
                piece.command,
                "".join(texts),
                ended=True,
                complete=piece.complete,
                parsed=piece.parsed,
            )
            texts = []
