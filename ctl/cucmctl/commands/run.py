"""`run`: runs commands that only read on nodes, and prints what they say.

Standard output has what the nodes have printed and nothing else.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from itertools import takewhile
from pathlib import Path

from cucmctl.cli import near, printer
from cucmctl.cli.options import Command, Once, UsageError, VerbParser
from cucmctl.client.client import Client
from cucmctl.client.errors import InvalidRequest
from cucmctl.commands.ask_first import add_cluster_of, check_targets
from cucmctl.commands.begin import add_how, add_login_options, add_try_all
from cucmctl.commands.follow import add_reconnect, follow
from cucmctl.commands.on_nodes import begin_on_nodes
from cucmctl.commands.printed import Printed
from cucmctl.text import render
from cucmd.job.asked import Commands
from cucmd.protocol.jobs import Job

TIMEOUTS = {
    "connect": "to reach a node",
    "login": "from connected to the first prompt",
    "command": "for each command; without it each has its own",
    "node": "for a whole node",
    "job": "for the whole job",
}
THEN = "--then"
# The forms of the daemon, which would take too long to import. A test compares them.
FORMS = (
    "show version active",
    "show version inactive",
    "show status",
    "show network cluster",
    "show network eth0 [detail]",
    "show network route",
    "show hardware",
    "show process load [noidle] [num N] [thread] [cpu|memory|time]",
    "show memory count",
    "show memory modules",
    "show memory size",
    "show packages active NAME",
    "show timezone config",
    "show date",
    "file list LOCATION PATH [detail] [reverse] [date|size]",
    "file search LOCATION PATH REGEX [reltime UNIT N] [ignorecase]",
    "utils service list",
    "utils ntp status",
    "utils dbreplication runtimestate",
    "utils diagnose test",
    "utils core active list",
)


def _arguments(parser: VerbParser) -> None:
    parser.usage = (
        "%(prog)s (TARGET ... | --cluster-of NODE)\n"
        "                   (-- COMMAND [--then COMMAND ...] | --file FILE) [...]"
    )
    parser.takes_rest = True
    parser.add_argument(
        "nodes", metavar="TARGET", nargs="*", help="a host, or host:port; or a cluster"
    )
    add_cluster_of(parser)
    parser.add_argument(
        "--file",
        metavar="FILE",
        action=Once,
        help="a command a line, # begins a comment; - is standard input",
    )
    add_login_options(parser)
    how = parser.add_argument_group("how")
    add_how(how, TIMEOUTS)
    add_try_all(how)
    add_reconnect(how)


def _commands(arguments: argparse.Namespace) -> list[str]:
    """The commands, in their order. The daemon knows which there are."""
    if arguments.file is not None and arguments.rest is not None:
        raise UsageError("--file: has the commands; there are more after --")
    if arguments.file is not None:
        return _from_file(arguments.file, arguments.password_file)
    if not arguments.rest:
        raise UsageError("no command was given; expected -- and a command, as in -- show status")
    commands = [" ".join(words) for words in _split(arguments.rest)]
    if not all(commands):
        raise UsageError("--then: expected a command on both sides of it")
    return commands


def _split(words: Sequence[str]) -> Iterator[list[str]]:
    begin = 0
    for at, word in enumerate((*words, THEN)):
        if word == THEN:
            yield list(words[begin:at])
            begin = at + 1


def _from_file(name: str, password_file: str | None) -> list[str]:
    if name == password_file == "-":
        raise UsageError("--file and --password-file: only one of them can be standard input")
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
            like = near.hint(" ".join(words[:4]), map(" ".join, heads))
            reason = f"{command!r}: is not one of the commands that may be run{like}"
            raise InvalidRequest.of(f"commands.lines[{position}]", reason)


def head_of(form: str) -> list[str]:
    """The fixed words that it begins with."""
    return list(takewhile(lambda word: not word.isupper() and word[0] != "[", form.split()))


def _run(arguments: argparse.Namespace) -> int:
    check_targets(arguments, "TARGET (see cucmctl run --help)")
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
    of = render.counting(len(job.nodes), "node")
    printer.note(
        f"job {job.job_id} runs {render.counting(len(job.commands or ()), 'command')} on {of}"
    )
    return follow(
        client,
        job.job_id,
        lambda: Printed(client, as_json=arguments.json, reconnect=arguments.reconnect),
        reconnect=arguments.reconnect,
        begun=job,
    )


COMMANDS = {
    "run": Command(
        "Runs commands on every TARGET, one after the other on each node, and prints what\n"
        "they say as it comes, one node after the other. Only the commands below are\n"
        "taken, which read and change nothing, and only in full. A question of a node is\n"
        "not answered: it ends the command. It is a job: Ctrl-C leaves it running, the\n"
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
