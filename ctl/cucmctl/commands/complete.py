"""Prints what the last word can be completed with: `cucmctl __complete VERB [WORD ...] PREFIX`.

A shell runs this when Tab is pressed. Options, choices and file names are in the scripts that
`.ci/build-docs` makes; only what the daemon knows is asked for here. Each line is a value, or a
value, a tab and a description. Whatever goes wrong, nothing is printed: a message would appear
in the middle of the line that the person types.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import NamedTuple, TypeAlias

from cucmctl.cli import printer
from cucmctl.cli.options import Verb, VerbParser, parser_of, socket_path
from cucmctl.client.client import Client
from cucmctl.client.methods import MOST_LISTED
from cucmctl.commands.lookup import newest
from cucmctl.text import job_list, render
from cucmctl.text.kind_text import text_of
from cucmd.protocol.jobs import JobSummary

# Seconds from the start of Python's part, which itself takes about 50 ms. People notice 150 ms.
WITHIN = 0.1
# The number of jobs that are offered for an empty prefix.
_NEWEST = 30
# Values are put on a command line. Labels and names come from other people, so a value with a
# character that means something to a shell is left out, as no two shells quote in the same way.
# Blanks, as in labels, and brackets, as around IPv6 addresses, are quoted in ctl/completion.
_PLAIN = re.compile(r"[\w@[][\w:/@%+.,=[\] -]*")

Values: TypeAlias = Iterable[tuple[str, str]]


class _Line(NamedTuple):
    """Holds what is typed: the last word, and the other arguments by their names."""

    command: Verb
    typed: dict[str, str]
    prefix: str

    def jobs(self, client: Client) -> tuple[JobSummary, ...]:
        return client.list(limit=MOST_LISTED if self.prefix else _NEWEST)


def _jobs(line: _Line, client: Client) -> Values:
    now = datetime.now(UTC)
    yield "@last", "your newest job that fits"
    for job in filter(line.command.is_for, line.jobs(client)):
        name, others = render.first_target(job)
        what = " ".join(filter(None, (job.kind, text_of(job).summarize(job))))
        on = f"{name} +{others}" if others else name
        yield job.job_id, f"{job.status}, {job_list.moment(job.created_at, now)}, {on}: {what}"


def _nodes(line: _Line, client: Client) -> Values:
    job = line.typed.get("job", "")
    if job == "@last":
        found = newest(client, line.command.is_for, os.getuid())
        job = found.job_id if found else ""
    if not job:
        return  # a verb without a job
    for node in client.status(job).nodes:
        by_name = node.short_name.startswith(line.prefix)
        yield (node.short_name, f"{node.node}, {node.status}") if by_name else (node.node, "")


def _targets(line: _Line, client: Client) -> Values:
    user, at, _ = line.prefix.rpartition("@")
    for cluster in client.clusters():
        if cluster.name is not None:
            count = render.count_of(cluster.nodes_total, "node")
            yield f"{user}{at}{cluster.name}", f"cluster, {count}"
    for job in line.jobs(client):
        yield from ((f"{user}{at}{name}", "") for name in job.targets or ())


def _labels(line: _Line, client: Client) -> Values:
    for job in line.jobs(client):
        yield from ((f"{key}={value}", "") for key, value in (job.labels or {}).items())


def _profiles(line: _Line, client: Client) -> Values:
    return ((profile.name, profile.description) for profile in client.profiles())


def _credentials(line: _Line, client: Client) -> Values:
    return ((credential.name, "") for credential in client.credentials())


def _host_keys(line: _Line, client: Client) -> Values:
    return ((key.node, key.name or "") for key in client.host_keys())


def _sites(line: _Line, client: Client) -> Values:
    from cucmctl.sites.places import ALL, load  # noqa: PLC0415  # few completions need it

    before = line.prefix[: line.prefix.rfind(",") + 1]
    for site in load().values():
        yield f"{before}{site.name}", site.target
    if not before:
        yield ALL, "all sites"


# The name of an argument, which is that of its field in the parsed arguments -> its values.
SOURCES: dict[str, Callable[[_Line, Client], Values]] = {
    "job": _jobs,
    "jobs": _jobs,
    "nodes": _nodes,
    "node": _nodes,
    "TARGET": _targets,
    "cluster_of": _targets,
    "publisher": _targets,
    "target": _targets,
    "label": _labels,
    "labels": _labels,
    "profile": _profiles,
    "credential": _credentials,
    "HOSTKEY": _host_keys,
    "site": _sites,
}


def source_of(action: argparse.Action, parser: VerbParser) -> str | None:
    """Returns the name of an argument's values in `SOURCES`, or None if the daemon has none."""
    name = action.dest
    if name in ("node", "nodes") and "job" not in {each.dest for each in parser._actions}:
        name = "TARGET" if name == "nodes" else "HOSTKEY"
    return name if name in SOURCES else None


def _scan(
    parser: VerbParser, words: list[str]
) -> tuple[argparse.Action | None, str, dict[str, str]]:
    """Returns the argument to which the last word belongs, its beginning, and the other values.

    The parser itself cannot be used, because most unfinished lines are wrong.
    """
    options, positionals = parser._option_string_actions, parser._get_positional_actions()
    option: argparse.Action | None = None
    typed: dict[str, str] = {}
    for word in words[:-1]:
        name, equals, value = word.partition("=")
        if name in options:
            option = options[name]
            if equals:
                typed[option.dest] = value
            if equals or option.nargs == 0:
                option = None
            continue
        action = option or next(iter(positionals), None)
        if action is None:
            continue
        typed[action.dest] = word
        if action.nargs not in ("*", "+"):
            if action is option:
                option = None
            else:
                positionals.remove(action)
    name, equals, value = words[-1].partition("=")
    if equals and name in options:
        return options[name], value, typed
    return option or next(iter(positionals), None), words[-1], typed


def completions(verb: str, command: Verb, words: list[str]) -> Iterator[tuple[str, str]]:
    """Yields values for the last word, with their descriptions.

    Raises `ClientError`, `UsageError` and `OSError`.
    """
    parser = parser_of(verb, command)
    action, prefix, typed = _scan(parser, words)
    source = action and source_of(action, parser)
    if not source or (source != "site" and "site" in typed):
        return  # a login at a site takes too long
    if "--" in words[:-1]:
        return  # a command of a node
    client = Client(socket_path(typed["socket"]) if "socket" in typed else None)
    if source != "site" and not os.path.exists(client.socket):
        return  # the client would ask systemd why
    with client:
        seen = set()
        for value, text in SOURCES[source](_Line(command, typed, prefix), client):
            if value.startswith(prefix) and _PLAIN.fullmatch(value) and value not in seen:
                seen.add(value)
                yield value, text


def print_completions(verb: str, command: Verb, words: list[str], within: float = WITHIN) -> None:
    """Prints values for the last word. Ends the process without a word after `within` seconds."""
    signal.signal(signal.SIGALRM, lambda *_: os._exit(0))
    signal.setitimer(signal.ITIMER_REAL, within)
    try:
        found = list(completions(verb, command, words))
    except Exception:  # no error is worth a message here
        return
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    for value, text in found:
        printer.line(f"{value}\t{printer.visible(text)}" if text else value)
