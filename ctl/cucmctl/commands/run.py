"""`run`: runs commands that only read on nodes, and prints their output as it comes. `output`
prints again what a job has kept.

Standard output has only what the nodes printed. The outputs of a node stay together:

    state of the node               what is printed of its output
    ended                           everything
    running, has some output        each output once it is complete; until this node ends, the
                                    outputs of other nodes wait
    running, has no output          nothing; the node does not delay other nodes

Only for a cancelled node, the last output may arrive after the node has ended. It is printed at the
end of the job.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import takewhile
from pathlib import Path

from msgspec.structs import replace

from cucmctl.cli import exits, printer
from cucmctl.cli.options import (
    OnlyOnce,
    UsageError,
    Verb,
    VerbParser,
    add_job,
    add_nodes_of_job,
    add_targets,
)
from cucmctl.client.client import Client
from cucmctl.client.errors import DaemonUnavailable, InvalidRequest, NotAtHub, ShuttingDown
from cucmctl.client.reconnect import again
from cucmctl.commands.begin import ON_NODES, add_job_options, begin_on_nodes
from cucmctl.commands.lookup import hint
from cucmctl.commands.watch import add_reconnect, follow
from cucmctl.text import render
from cucmctl.text.pace import NODE_ENDED
from cucmctl.text.views import AfterOutputs
from cucmd.job.run import FORMS
from cucmd.job.work_request import Commands
from cucmd.protocol.cases import CommandOutput
from cucmd.protocol.jobs import Job, Node, WatchReply

TIMEOUTS = ON_NODES | {"command": "seconds for each command (default: depends on the command)"}
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
        help="file with one command a line; # begins a comment, - is standard input",
    )
    how = add_job_options(parser, TIMEOUTS)
    add_reconnect(how)


def _commands(arguments: argparse.Namespace) -> list[str]:
    """Returns the commands in their order. The daemon checks them."""
    if arguments.file is not None and arguments.rest is not None:
        raise UsageError("--file: cannot be combined with commands after --; give one of them")
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
        return [" ".join(command) for command in words]
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
    """Raises `InvalidRequest` for an unknown command. The daemon checks the arguments."""
    heads = [head_of(form) for form in FORMS]
    for position, command in enumerate(commands):
        words = command.split()
        if not any(words[: len(head)] == head for head in heads):
            like = hint(" ".join(words[:4]), map(" ".join, heads))
            reason = f"{command!r}: is not one of the commands that may be run{like}"
            raise InvalidRequest.make(f"commands.lines[{position}]", reason)


def head_of(form: str) -> list[str]:
    """Returns the fixed words at the beginning of a form."""
    return list(takewhile(lambda word: not word.isupper() and word[0] != "[", form.split()))


def _run(arguments: argparse.Namespace) -> int:
    commands = _commands(arguments)
    return begin_on_nodes(
        arguments,
        "run",
        TIMEOUTS,
        Commands(tuple(commands)),
        check_early=lambda: _check_commands(commands),
        on_start=_on_start,
    )


def _on_start(client: Client, job: Job, arguments: argparse.Namespace) -> int:
    nodes = render.count_of(len(job.nodes), "node")
    printer.note(
        f"job {job.job_id} runs {render.count_of(len(job.commands or ()), 'command')} on {nodes}"
    )
    return follow(
        client,
        job.job_id,
        lambda: Outputs(client, as_json=arguments.json, reconnect=arguments.reconnect),
        reconnect=arguments.reconnect,
        begun=job,
    )


class Outputs(AfterOutputs):
    """Prints outputs on standard output, and at the end the failures on standard error.

    If the daemon goes away, the missing outputs are requested again later.
    """

    def __init__(self, client: Client, *, as_json: bool, reconnect: float) -> None:
        super().__init__(as_json=as_json)
        self._client = client
        self._reconnect = reconnect  # seconds to wait for the daemon at the end
        self._done: set[str] = set()  # nodes whose outputs are all printed
        self._numbers: dict[str, set[int]] = {}  # node -> numbers of its printed outputs
        self._seen: dict[str, tuple[int, int]] = {}  # node -> its figures at the last request
        self._begun: str | None = None  # the node whose outputs are being printed
        self._elsewhere = ""  # where the outputs are, if this is a hub

    def show(self, change: WatchReply) -> None:
        super().show(change)
        if change.job is not None:
            # If the daemon is away, the watch ends too, and the state comes again later.
            with suppress(DaemonUnavailable, ShuttingDown):
                self._show(change.job)

    def conclude(self, job: Job) -> None:
        # A daemon that stops ends the job first, and may be gone before the outputs are requested.
        def print_rest() -> None:
            for node in job.nodes:
                if node.node not in self._done:
                    self._print_new(job, node)

        again(print_rest, self, reconnect=self._reconnect)
        if self._elsewhere:
            printer.note(self._elsewhere)
        super().conclude(job)

    def _show(self, job: Job) -> None:
        # The node whose outputs are being printed comes first.
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
            figures = node.files_received, node.bytes_received  # these grow with each output
            if figures != self._seen.get(node.node, (0, 0)):
                self._print_new(job, node)
                self._seen[node.node] = figures
                if node.node in self._numbers:
                    self._begun = node.node

    def _print_new(self, job: Job, node: Node) -> None:
        """Requests the outputs of a node, and prints those that are not printed yet."""
        # They are all read first, because a reader of standard output may be slow.
        try:
            outputs = tuple(whole_outputs(self._client, job.job_id, [node.node]))
        except NotAtHub as error:
            outputs = ()
            self._elsewhere = str(error)
        for output in outputs:
            numbers = self._numbers.setdefault(node.node, set())
            if output.number not in numbers:
                numbers.add(output.number)
                print_output(output, node.full_name, as_json=self._json)


def whole_outputs(
    client: Client, job_id: str, nodes: Sequence[str] | None
) -> Iterator[CommandOutput]:
    """Yields the outputs that the job has kept of these nodes, each with its complete text."""
    texts: list[str] = []
    for piece in client.output(job_id, nodes):
        texts.append(piece.text)
        if piece.ended:
            yield replace(piece, text="".join(texts))
            texts = []


def print_output(output: CommandOutput, node: str, *, as_json: bool) -> None:
    """Prints an output below a line with the name of its node and its command."""
    if as_json:
        printer.json_line({"output": output})
        return
    ended = "" if output.complete else "  (not to its end)"
    printer.line(f"=== {printer.visible(f'{node}: {output.command}')}{ended}")
    for line in output.text.removesuffix("\n").split("\n") if output.text else ():
        printer.line(printer.visible(line))
    printer.line("")


def _output_arguments(parser: VerbParser) -> None:
    add_job(parser)
    add_nodes_of_job(parser)


def _output(arguments: argparse.Namespace) -> int:
    empty = True
    with Client(arguments.socket) as client:
        job = client.status(arguments.job)
        names = {node.node: node.full_name for node in job.nodes}
        for output in whole_outputs(client, job.job_id, arguments.node):
            empty = False
            print_output(output, names[output.node], as_json=arguments.json)
    if empty:
        printer.note("no output yet; what a command prints is kept when the command has ended")
    return exits.DONE


COMMANDS = {
    "run": Verb(
        "Runs commands that only read on every TARGET, and prints their output as it comes.\n"
        "Only the commands below are allowed, written in full. Of these, only utils\n"
        "imdb_replication status writes: it adds rows of its own to test the replication.\n"
        "A command that asks a question is ended. With --json, prints an object a line.\n\n"
        "commands:\n" + "\n".join(f"  {form}" for form in FORMS),
        "  cucmctl run berlin -- utils service list --then utils ntp status\n"
        "  cucmctl --json run berlin -- utils ntp status | jq '.output.parsed.stratum'",
        exits.ENDED,
        _arguments,
        _run,
    ),
    "output": Verb(
        "Prints what the commands of a job have printed on its nodes, also after a Ctrl-C\n"
        "of run, and while other commands still run. Commands are those of run, health,\n"
        "follow, and of the snapshot of a collection. With --json, prints an object a line.",
        "  cucmctl output 3f2a --node ccm-sub1\n"
        "  cucmctl --json output @last | jq -r '.output.text'",
        "0 done, 65 the job runs no commands",
        _output_arguments,
        _output,
        lambda job: bool(job.commands),
    ),
}
