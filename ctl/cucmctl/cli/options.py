"""Parses the command line: makes a parser for each verb, and converts the values of options.

Every error is one line that names the option, the value and what was expected. It is raised as
`UsageError`, for which `main` exits with 2.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from textwrap import fill
from typing import NamedTuple, NoReturn

from cucmctl.cli.typed_times import AGO, Moment, rfc3339
from cucmd.job.timeouts import MOST_SECONDS
from cucmd.protocol.jobs import JobSummary

# The parts of a cluster that the daemon knows, as in NAME:publisher.
PARTS = ("publisher", "subscribers", "cups")

# The variable of the environment that can have the token for an upload.
UPLOAD_TOKEN = "CUCM_UPLOAD_TOKEN"  # noqa: S105

# The id of jobs that were started together at several sites, and the names of these sites. The id
# of one job may also have its site.
SITES_ID = r"([0-9a-f]+)@(.+)"

# Ends every message about a node that was probably parsed as a value of --path.
NODES_FIRST = "nodes go before --path"


class UsageError(Exception):
    """The arguments are wrong. The text of the exception is one line."""


class Verb(NamedTuple):
    """Describes a verb. The help of the verb and cucmctl(1) are made from this.

    summary   what the verb does; the first sentence stands alone in cucmctl(1)
    examples  two commands, indented by two
    exits     exit codes that depend on the result; those of errors are the same for all verbs
    declare   adds the arguments to a parser
    run       does the work, and returns the exit code
    is_for    whether a job can have what the verb needs; @last means the newest such job
    """

    summary: str
    examples: str
    exits: str
    declare: Callable[[VerbParser], None]
    run: Callable[[argparse.Namespace], int]
    is_for: Callable[[JobSummary], bool] = lambda job: True


class _HelpFormatter(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=26, width=79)


class VerbParser(argparse.ArgumentParser):
    """Parses the arguments of one verb and raises `UsageError` where argparse would exit.

    reminder    is added to the error for a missing positional argument if --path was given
    targets     the name of the arguments of `add_targets`; "" if the verb has none
    arguments   the words that are parsed, for error messages
    takes_rest  whether words after `--` are kept in `rest` unparsed; without a `--`, `rest` is None
    """

    reminder = ""
    targets = ""
    arguments: Sequence[str] = ()
    takes_rest = False

    def error(self, message: str) -> NoReturn:
        """Raises `UsageError`, with the message of argparse in better words."""
        text = re.sub(r"^argument (?:-\w/)?", "", message)
        if text.startswith(_UNRECOGNIZED):
            word = text.removeprefix(_UNRECOGNIZED).split(" ")[0]
            text = f"{word!r} is one argument too many"
            if word.startswith("-"):
                alike = near(word.partition("=")[0], self._option_string_actions)
                meant = f"; did you mean {' or '.join(alike)}?" if alike else ""
                text = f"{word}: no such option{meant}"
        if without_value := re.fullmatch(_WITHOUT_VALUE, text):
            text = _missing_value(without_value[1], self.arguments)
        if text.startswith(_REQUIRED):
            names = text.removeprefix(_REQUIRED).split(", ")
            # Python 3.11 also names optional arguments here, unless only optional ones are missing.
            actions = self._get_positional_actions()
            left_out = {action.metavar for action in actions if action.nargs == "*"}
            names = [name for name in names if name not in left_out] or names
            text = f"{' and '.join(names)} {'is' if len(names) == 1 else 'are'} missing"
            if self.reminder and "--path" in self.arguments:
                text += f"; {self.reminder}"
        raise UsageError(f"{text} (see {self.prog} --help)")


_UNRECOGNIZED = "unrecognized arguments: "
_REQUIRED = "the following arguments are required: "
_WITHOUT_VALUE = r"(--[\w-]+): expected (?:at least )?one argument"


def _missing_value(option: str, arguments: Sequence[str]) -> str:
    """Returns the error message for an option without a value.

    argparse takes a value such as `-x` for an option, and its message does not say so.
    """
    behind = (word for before, word in pairwise(arguments) if before == option)
    word = next((word for word in behind if word.startswith("-")), None)
    if word is None:
        return f"{option}: expected a value"
    if word.startswith("--"):
        return f"{option}: expected a value before {word!r}"
    return (
        f"{option}: expected a value, but {word!r} begins with '-', as options do; "
        f"if it is the value: {option}={word}"
    )


class OnlyOnce(argparse.Action):
    """Refuses a second value. argparse would silently replace the first value with the second."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        before = getattr(namespace, self.dest)
        if before is not None:
            both = f"{_shown_value(before)} and {_shown_value(values)}"
            raise argparse.ArgumentError(self, f"was given twice, {both}; expected one of them")
        setattr(namespace, self.dest, values)


def _shown_value(value: object) -> str:
    return rfc3339(value.earliest) if isinstance(value, Moment) else repr(value)


# The largest number of names that are suggested for a misspelt name.
MOST_NEAR = 3
# How alike two names must be, from 0 to 1. This allows one wrong letter in four, or two swapped
# letters in six. Names of the same length may have one wrong letter, or two swapped ones, in three:
# `lba` is like `lab`, but `ls` is not like `list`.
ALIKE = 0.7
ALIKE_AS_LONG = 0.66


def near(name: str, known: Iterable[str]) -> list[str]:
    """Returns the known names that resemble `name`, regardless of case."""
    from difflib import get_close_matches  # noqa: PLC0415  # only for mistakes

    spelled, typed = {word.lower(): word for word in known}, name.lower()
    as_long = [word for word in spelled if len(word) == len(typed)]
    found = get_close_matches(typed, spelled, MOST_NEAR, ALIKE)
    found = found or get_close_matches(typed, as_long, MOST_NEAR, ALIKE_AS_LONG)
    return [spelled[word] for word in found]


# Arguments that several verbs have


def no_arguments(parser: VerbParser) -> None:
    """Declares no arguments."""


def add_job(
    parser: argparse.ArgumentParser, *, nargs: str | None = None, help_: str = "", name: str = "job"
) -> None:
    """Declares the argument JOB."""
    help_ = help_ or "an id, its first characters, or @last"
    parser.add_argument(name, metavar="JOB", type=job_id, nargs=nargs, help=help_)


def add_nodes_of_job(parser: argparse.ArgumentParser) -> None:
    """Declares --node, for verbs that can be limited to some nodes of a job."""
    help_ = "only this node, by name or address; may be repeated"
    parser.add_argument("--node", metavar="N", action="append", help=help_)


def add_label(parser: argparse._ActionsContainer, help_: str) -> None:
    """Declares --label."""
    parser.add_argument(
        "--label",
        metavar="KEY=VALUE",
        type=label,
        action="append",
        default=[],
        help=f"{help_}; may be repeated",
    )


def add_targets(
    parser: VerbParser, name: str = "TARGET", help_: str = "a host, host:port, or a cluster"
) -> None:
    """Declares `nodes` and `cluster_of`; the user must give exactly one of the two."""
    parser.targets = name
    parser.add_argument("nodes", metavar=name, nargs="*", help=help_)
    parser.add_argument(
        "--cluster-of",
        metavar="NODE",
        action=OnlyOnce,
        help="ask this node for the nodes of its cluster, and use all of them",
    )


def add_global_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("everywhere")
    group.add_argument("-h", "--help", action="help", help="show this and exit")
    group.add_argument(
        "--socket", metavar="PATH", type=socket_path, help="where the daemon listens"
    )
    group.add_argument(
        "--site",
        metavar="SITE",
        action=OnlyOnce,
        type=comma_separated,
        help="at this site of sites.toml; verbs that look take SITE,SITE or all",
    )
    group.add_argument("--json", action="store_true", help="data as JSON on standard output")


# Arguments that are files or folders of this machine.
LOCAL_PATHS = ("socket", "password_file", "token_file", "word_file", "file", "source", "output")


def parser_of(verb: str, command: Verb) -> VerbParser:
    """Returns the parser of a verb, with the global options."""
    parser = VerbParser(
        prog=f"cucmctl {verb}",
        description=_wrapped(command.summary),
        epilog=f"examples:\n{command.examples}\n\n{_wrapped(f'exit codes: {command.exits}')}",
        formatter_class=_HelpFormatter,
        add_help=False,
        allow_abbrev=False,
    )
    command.declare(parser)
    add_global_options(parser)
    return parser


def parse(verb: str, command: Verb, arguments: Sequence[str]) -> argparse.Namespace:
    """Parses the arguments of one verb. Global options may stand anywhere among them.

    `at_sites` of the result says whether the command is for other sites, `sites_id` is the id of
    jobs at several sites, or "", and `targets` is what the verb calls its nodes, or "".
    """
    parser = parser_of(verb, command)
    rest: list[str] | None = None
    if parser.takes_rest and "--" in arguments:
        at = list(arguments).index("--")
        arguments, rest = arguments[:at], list(arguments[at + 1 :])
    words: list[str] = []
    for word in arguments:
        # `--since -2h` becomes `--since=-2h`, because argparse would take `-2h` for an option.
        if words and words[-1] in ("--since", "--until") and re.fullmatch(AGO, word):
            words[-1] += f"={word}"
        else:
            words.append(word)
    parser.arguments = words
    parsed = parser.parse_intermixed_args(words)
    parsed.rest = rest
    positional = {action.dest: action.metavar for action in parser._get_positional_actions()}
    positional["rest"] = "COMMAND"
    for name, value in vars(parsed).items():
        for text in _flat(value):
            # JSON cannot represent text that is not UTF-8, but paths of local files may contain
            # such text.
            if isinstance(text, str) and name not in LOCAL_PATHS:
                try:
                    text.encode()
                except UnicodeEncodeError:
                    typed = positional.get(name) or f"--{name.replace('_', '-')}"
                    raise UsageError(f"{typed}: {text!a} is not UTF-8") from None
    if parser.targets:
        if parsed.nodes and parsed.cluster_of is not None:
            raise UsageError("--cluster-of: cannot be combined with nodes; give one of them")
        if not parsed.nodes and parsed.cluster_of is None:
            parser.error(f"the following arguments are required: {parser.targets}")
    if parsed.site is not None and parsed.socket is not None:
        raise UsageError("--site: cannot be combined with --socket; give one of them")
    parsed.targets = parser.targets
    _find_sites_id(parsed)
    # With --socket they are nodes of the daemon there, as a hub of several sites has them.
    with_site = bool(
        parser.targets and parsed.socket is None and any("/" in node for node in parsed.nodes)
    )
    parsed.at_sites = parsed.site is not None or with_site
    return parsed


def _find_sites_id(parsed: argparse.Namespace) -> None:
    """Replaces ID@SITE,SITE by ID, and notes the sites, as --site does."""
    jobs = getattr(parsed, "jobs", None) or [getattr(parsed, "job", None) or ""]
    parsed.sites_id = ""
    for found in filter(None, (re.fullmatch(SITES_ID, job) for job in jobs)):
        if len(jobs) > 1 or parsed.site is not None or parsed.socket is not None:
            text = "names its sites; expected no other JOB, and neither --site nor --socket"
            raise UsageError(f"{found[0]}: {text}")
        parsed.sites_id = parsed.job = found[1]
        parsed.jobs, parsed.site = [found[1]], tuple(found[2].split(","))


def _flat(value: object) -> Iterator[object]:
    """Yields a value, or the values within lists and tuples, such as those of --label."""
    if isinstance(value, list | tuple):
        for inner in value:
            yield from _flat(inner)
    else:
        yield value


def _wrapped(text: str) -> str:
    """Wraps the paragraphs of a text to 79 columns, except lists, whose lines are indented."""
    parts = text.split("\n\n")
    return "\n\n".join(part if "\n  " in part else fill(part, 79) for part in parts)


def checked_by(check: Callable[[str], object]) -> Callable[[str], str]:
    """Returns the `type` of an argument that is a text for which `check` raises no `ValueError`."""

    def convert(text: str) -> str:
        try:
            check(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{text!r}: {error}") from None
        return text

    return convert


def socket_path(text: str) -> str:
    """Returns the path of a socket, with `~` expanded."""
    if not text:
        raise argparse.ArgumentTypeError("'' is not the path of a socket")
    return os.path.expanduser(text)


# `host:port`, or an IPv4 or IPv6 address with or without a port. A bare host name is not matched,
# because it could also be the name of a folder.
_ADDRESS = (
    r"[\w.-]+:\d{1,5}|\d{1,3}(\.\d{1,3}){3}"
    r"|\[[0-9a-f.]*:[0-9a-f:.]*(%[\w-]+)?\](:\d+)?|[0-9a-f]*:[0-9a-f:.]*:[0-9a-f:.]*(%[\w-]+)?"
)


def path_on_node(text: str) -> str:
    """Returns the path. Refuses what looks like a node, because --path takes all words after it."""
    if re.fullmatch(_ADDRESS, text, re.ASCII | re.IGNORECASE):
        raise argparse.ArgumentTypeError(f"{text!r} looks like a node; {NODES_FIRST}")
    return text


def comma_separated(text: str) -> tuple[str, ...]:
    """Splits `sdl,syslog` into names. The daemon checks the names."""
    names = tuple(name.strip() for name in text.split(","))
    if not all(names):
        raise argparse.ArgumentTypeError(f"{text!r}: expected NAME,NAME such as sdl,syslog")
    return names


def label(text: str) -> tuple[str, str]:
    """Splits `KEY=VALUE` into key and value. The daemon checks both."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise argparse.ArgumentTypeError(f"{text!r}: expected KEY=VALUE such as case=698123456")
    return key, value


def labels_of(option: str, pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Returns labels as a dictionary. Raises `UsageError` if one key has two values."""
    labels: dict[str, str] = {}
    for key, value in pairs:
        if labels.setdefault(key, value) != value:
            raise UsageError(f"{option}: {key} was given twice, {labels[key]!r} and {value!r}")
    return labels


def job_id(text: str) -> str:
    """Returns an id, or its beginning, in lower case; @SITE,SITE may follow. Or returns @last."""
    name, at, sites = text.partition("@")
    return f"{name.lower()}{at}{sites}" if name else text.lower()


def seconds(text: str) -> float:
    """Converts a positive number of seconds, at most a year."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= MOST_SECONDS:  # this also rejects NaN, which JSON cannot represent
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a positive number of seconds (at most a year)"
        )
    return value


def seconds_or_none(text: str) -> float:
    """Converts a number of seconds as `seconds` does, but also accepts 0."""
    return 0.0 if text.strip("0") in ("", ".") and "0" in text else seconds(text)


def count(text: str) -> int:
    """Converts a whole number from 1 up."""
    # int() would accept "1_0" and " 7 ". No number here needs 10 digits.
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 up")
    return int(text)


def whole_number(text: str) -> int:
    """Converts a whole number from 0 up."""
    return 0 if text == "0" else count(text)


_SIZE = r"([0-9]{1,12})([kMGT]?)B?"


def size_in_bytes(text: str) -> int:
    """Converts `500M` or `10G` to bytes. k means 1000 bytes, as in the sizes that cucmctl
    prints.
    """
    if not (found := re.fullmatch(_SIZE, text, re.IGNORECASE)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a size; expected one such as 500M, 10G")
    power = " kmgt".index(found[2].lower() or " ")
    return int(found[1]) * int(1000**power)
