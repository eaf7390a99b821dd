"""`run`: runs commands that only read on nodes, and prints what they say, as it comes.

Standard output has what the nodes have printed and nothing else.

    a node                          what of it is printed
    has ended                       all of it
    runs, and has printed something each output once it is whole, until the node ends; that of the
                                    other nodes waits meanwhile
    runs, and has printed nothing   nothing; it holds back none

The outputs of a node stand together, unless it was cancelled: the last one of it may come a little
after its end, and is printed at the end of the job.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import suppress
from itertools import takewhile
from pathlib import Path

from msgspec.structs import replace

from cucmctl.cli import printer
from cucmctl.cli.options import OnlyOnce, UsageError, Verb, VerbParser, add_targets
from cucmctl.client.client import Client
from cucmctl.client.errors import DaemonUnavailable, InvalidRequest, ShuttingDown
from cucmctl.client.reconnect import again
from cucmctl.commands.begin import ON_NODES, add_job_options, begin_on_nodes
from cucmctl.commands.lookup import hint
from cucmctl.commands.watch import add_reconnect, follow
from cucmctl.text import render
from cucmctl.text.pace import NODE_ENDED
from cucmctl.text.views import AfterOutputs
from cucmd.job.asked import Commands
from cucmd.job.run import FORMS
from cucmd.protocol.cases import CommandOutput
from cucmd.protocol.jobs import Job, Node, WatchReply

TIMEOUTS = ON_NODES | {"command": "for each command; without it each has its own"}
THEN = "--then"


def _arguments(parser: VerbParser) -> None:
    parser.usage = (
        "%(prog)s (TARGET ... | --cluster-of NODE)\n"
        "                   (-- COMMAND [--then COMMAND ...] | --file FILE) [...]"
    )
    parser.takes_rest = True
    add_targets(parser)
    parser.add_argument(
        "--file",
        metavar="FILE",
        action=OnlyOnce,
        help="a command a line, # begins a comment; - is standard input",
    )
    how = add_job_options(parser, TIMEOUTS)
    add_reconnect(how)


def _commands(arguments: argparse.Namespace) -> list[str]:
    """Returns the commands, in their order. The daemon knows which there are."""
    if arguments.file is not None and arguments.rest is not None:
        raise UsageError("--file: has the commands; there are more after --")
    if arguments.file is None:
        if not arguments.rest:
            expected = "expected -- and a command, as in -- show status"
            raise UsageError(f"no command was given; {expected}")
        words: list[list[str]] = [[]]
        for word in arguments.rest:
            if word == THEN:
                words.append([])
            else:
                words[-1].append(word)
        if not all(words):
            raise UsageError("--then: expected a command on both sides of it")
        return [" ".join(one) for one in words]
    name = arguments.file
    if name == arguments.password_file == "-":
        raise UsageError("--file and --password-file: only one of them can be standard input")
    if name == "-" and sys.stdin is None:
        raise UsageError("--file: -: standard input is closed")
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "is no text"
        raise UsageError(f"--file: {name}: {reason}") from None
    lines = [line.partition("#")[0].strip() for line in text.splitlines()]
    if not (commands := [line for line in lines if line]):
        raise UsageError(f"--file: {name}: has no command")
    return commands


def _check_commands(commands: Sequence[str]) -> None:
    """Raises `InvalidRequest` for one that begins as no form does. The daemon checks the rest."""
    heads = [head_of(form) for form in FORMS]
    for position, command in enumerate(commands):
        words = command.split()
        if not any(words[: len(head)] == head for head in heads):
            like = hint(" ".join(words[:4]), map(" ".join, heads))
            reason = f"{command!r}: is not one of the commands that may be run{like}"
            raise InvalidRequest.of(f"commands.lines[{position}]", reason)


def head_of(form: str) -> list[str]:
    """Returns the fixed words that the form begins with."""
    return list(takewhile(lambda word: not word.isupper() and word[0] != "[", form.split()))


def _run(arguments: argparse.Namespace) -> int:
    commands = _commands(arguments)
    return begin_on_nodes(
        arguments,
        "run",
        TIMEOUTS,
        Commands(tuple(commands)),
        check_early=lambda: _check_commands(commands),
        stay=_stay,
    )


def _stay(client: Client, job: Job, arguments: argparse.Namespace) -> int:
    of = render.count_of(len(job.nodes), "node")
    printer.note(
        f"job {job.job_id} runs {render.count_of(len(job.commands or ()), 'command')} on {of}"
    )
    return follow(
        client,
        job.job_id,
        lambda: Outputs(client, as_json=arguments.json, reconnect=arguments.reconnect),
        reconnect=arguments.reconnect,
        begun=job,
    )


class Outputs(AfterOutputs):
    """Prints the outputs on standard output; at the end, why nodes failed, on standard error. A
    node whose outputs cannot be had because the daemon has gone is asked for again later.
    """

    def __init__(self, client: Client, *, as_json: bool, reconnect: float) -> None:
        super().__init__(as_json=as_json)
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
        def print_rest() -> None:
            for node in job.nodes:
                if node.node not in self._done:
                    self._print_new(job, node)

        again(print_rest, self, reconnect=self._reconnect)
        super().conclude(job)

    def _show(self, job: Job) -> None:
        # The one that was begun comes first.
        nodes = sorted(job.nodes, key=lambda node: node.node != self._begun)
        for node in nodes:
            if node.status in NODE_ENDED:
                if node.node not in self._done and node.status != "cancelled":
                    self._print_new(job, node)
                    self._done.add(node.node)
                if node.node == self._begun:
                    self._begun = None
            if self._begun is not None:
                break
        for node in job.nodes:
            if self._begun not in (None, node.node) or node.status != "running":
                continue
            figures = node.files_received, node.bytes_received  # they grow with each whole output
            if figures != self._seen.get(node.node, (0, 0)):
                self._print_new(job, node)
                self._seen[node.node] = figures
                if node.node in self._numbers:
                    self._begun = node.node

    def _print_new(self, job: Job, node: Node) -> None:
        """Prints the outputs that are not printed yet."""
        whole: list[CommandOutput] = []  # each with all of its text
        texts: list[str] = []
        for piece in self._client.output(job.job_id, [node.node]):
            texts.append(piece.text)
            if piece.ended:
                whole.append(replace(piece, text="".join(texts)))
                texts = []
        for output in whole:
            numbers = self._numbers.setdefault(node.node, set())
            if output.number in numbers:
                continue
            numbers.add(output.number)
            if self._json:
                printer.json_line({"output": output})
                continue
            ended = "" if output.complete else "  (not to its end)"
            command = printer.visible(output.command)
            printer.line(f"=== {printer.visible(output.node)}: {command}{ended}")
            for line in output.text.removesuffix("\n").split("\n") if output.text else ():
                printer.line(printer.visible(line))
            printer.line("")


COMMANDS = {
    "run": Verb(
        "Runs commands on every TARGET, one after the other on each node, and prints what\n"
        "they say as it comes, one node after the other. Only the commands below are\n"
        "taken, which read and change nothing, and only in full; of them utils\n"
        "imdb_replication status tries rows of its own. A question of a node is not\n"
        "answered: it ends the command. It is a job: Ctrl-C leaves it running, the\n"
        "exit code says how it ended, and cucmctl files and export have the output. With\n"
        "--json an object a line: each output, with the fields that could be read of it,\n"
        "then the job.\n\n"
        "commands:\n" + "\n".join(f"  {form}" for form in FORMS),
        "  cucmctl run berlin -- show status\n"
        "  cucmctl run ccm-pub ccm-sub1 --user administrator \\\n"
        "          -- utils service list --then utils dbreplication runtimestate\n"
        "  cucmctl --json run berlin -- utils ntp status | jq '.output.parsed.stratum'",
        _arguments,
        _run,
    )
}
