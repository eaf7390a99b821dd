"""Runs the command line `cucmctl`: finds the verb, runs it, and returns the exit code.

The module of a verb is imported only when the verb is known.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from itertools import zip_longest

from cucmctl.cli import exits, printer
from cucmctl.cli.options import UPLOAD_TOKEN, UsageError, Verb, near, parse
from cucmctl.client.errors import ClientError, DiscoveryFailed
from cucmctl.commands.lookup import resolve_last
from cucmd import __version__

# group of the overview -> verb -> (module of `commands`, what the overview says). A verb without a
# text is not listed: only cucmctl itself runs `cucmctl bridge`, at a site.
GROUPS = {
    "on nodes": {
        "start": ("start", "collect log files"),
        "retry": ("start", "try nodes again"),
        "run": ("run", "run commands that read"),
        "check": ("check", "will collecting work?"),
        "health": ("health", "are the nodes well?"),
        "capture": ("capture", "capture packets"),
        "follow": ("follow", "print a growing file"),
        "discover": ("discover", "nodes of a cluster"),
    },
    "jobs": {
        "status": ("show", "a job, or the newest"),
        "list": ("show", "list jobs"),
        "watch": ("watch", "show changes live"),
        "top": ("top", "what runs now"),
        "wait": ("watch", "wait for the end"),
        "stop": ("change", "end, and keep files"),
        "cancel": ("change", "end a job or nodes"),
        "label": ("change", "change labels"),
        "events": ("watch", "changes as JSON"),
    },
    "results": {
        "files": ("collected", "list collected files"),
        "find": ("find", "find lines in files"),
        "export": ("export", "write a zip or tar"),
        "upload": ("upload", "hand a file over"),
        "output": ("run", "what commands printed"),
        "transcript": ("collected", "dialogue with a node"),
        "verify": ("export", "compare checksums"),
        "delete": ("delete", "delete jobs"),
        "mask": ("mask", "mask what is private"),
        "unmask": ("mask", "reverse masks in text"),
    },
    "daemon": {
        "clusters": ("known", "known clusters"),
        "profiles": ("known", "sets of paths"),
        "credentials": ("known", "known logins"),
        "login": ("login", "type a password once"),
        "logout": ("login", "forget the password"),
        "hostkeys": ("known", "known host keys"),
        "reload": ("change", "read configuration"),
        "prune": ("delete", "delete old jobs"),
        "metrics": ("metrics", "for Prometheus"),
        "sites": ("sites", "daemons over SSH"),
        "bridge": ("sites", ""),
    },
}
# verb -> module of `commands`
VERBS = {verb: module for verbs in GROUPS.values() for verb, (module, _) in verbs.items()}

# Names the newest job of the user who runs cucmctl, among those that the verb is for.
LAST = "@last"

# Words that people know from other programs -> a hint that names the verb of cucmctl.
MEANT = {
    "grep": "find finds lines in the files of a job",
    "tail": "follow prints a file of a node as it grows",
    "logs": "transcript shows what was said on a node, files what has come",
    "ps": "status shows the jobs that run",
    "ls": "list shows jobs",
    "rm": "delete deletes jobs",
    "kill": "cancel cancels a job",
    "collect": "start starts a collection",
    "send": "upload hands a file over to the vendor or to a server",
    "download": "export writes the files of a job into one file",
}

# Options that may stand before the verb. The first ones are followed by a value.
WITH_VALUE = ("--socket", "--site")
ANYWHERE = (*WITH_VALUE, "--json", "--help", "-h", "--version")

OVERVIEW = """\
usage: cucmctl [--socket PATH | --site SITE] [--json] VERB ...
Collects logs of Cisco Unified CM nodes, with the daemon cucmd. See cucmctl(1).
{verbs}
  --socket PATH   where the daemon listens; --site SITE: another site, over SSH
  --json          data as JSON; -h, --help: this, or help of a verb; --version
JOB is an id, its first 4 characters or more, or @last, your last job that fits.
"""


def main(argv: list[str] | None = None) -> int:
    """Runs one command and returns the exit code. Raises what `guarded` raises."""

    def run() -> int:
        printer.prepare(VERBS.keys() - {"bridge"})  # no message advises `cucmctl bridge`
        words = sys.argv[1:] if argv is None else argv
        return _complete(words[1:]) if words[:1] == ["__complete"] else _run(words)

    return guarded(run)


def guarded(run: Callable[[], int]) -> int:  # noqa: PLR0911  an exit code for each error
    """Calls `run`, which does a command, and returns the exit code.

    An error becomes a message; with $CUCMCTL_TRACEBACK a defect becomes a traceback.
    Raises SystemExit if a signal other than SIGINT ends the command.
    """
    try:
        code = run()
        if sys.stdout is not None:  # None if the shell closed it before the start
            sys.stdout.flush()
    except KeyboardInterrupt:
        return exits.INTERRUPTED
    except UsageError as error:
        printer.note(str(error))
        return exits.USAGE
    except (ClientError, exits.Failed) as error:
        printer.note(exits.message_of(error))
        if isinstance(error, DiscoveryFailed) and error.hint:
            printer.note(f"  hint: {error.hint}")
        return exits.code_of_error(error)
    except BrokenPipeError:  # as in `cucmctl list | head`, which needs no message
        printer.abandon_stdout()
        return exits.PIPE_CLOSED
    except OSError as error:
        printer.abandon_stdout()
        printer.note(f"cannot write to standard output: {error.strerror or error}")
        return exits.CANNOT_WRITE
    except Exception as error:  # a user cannot use a traceback
        # In Python 3.11, a Ctrl-C inside argparse can become another exception in a `finally`.
        if isinstance(error.__context__, KeyboardInterrupt):
            return exits.INTERRUPTED
        if os.environ.get("CUCMCTL_TRACEBACK"):
            raise
        what = f"{type(error).__name__}: {error}"
        printer.note(f"a defect of cucmctl: {what} (CUCMCTL_TRACEBACK=1 shows where)")
        return exits.DEFECT
    return code


def _run(arguments: list[str]) -> int:
    verb, rest = split(arguments)
    if verb == "help":
        verb, rest = split(rest)
        if verb in VERBS and printer.on_terminal(sys.stdout):
            _open_page(f"cucmctl-{verb}")
        rest.append("--help")
    if verb is not None and verb not in VERBS:
        what = "cucmctl --help lists the verbs"
        if alike := near(verb, VERBS):
            what = f"did you mean {' or '.join(alike)}?"
        elif verb in MEANT:
            what = f"cucmctl {MEANT[verb]}"
        wrong = _unknown_option(arguments[: arguments.index(verb)])
        raise UsageError(wrong or f"{verb!r} is not a verb; {what}")
    if verb is None and ("--help" in rest or "-h" in rest):
        rows = []
        for group, verbs in GROUPS.items():
            cells = [f"{name:12}{text:24}" for name, (_, text) in verbs.items() if text]
            pairs = ["".join(cells[at : at + 2]).rstrip() for at in range(0, len(cells), 2)]
            rows += [f"{head:10}{pair}" for head, pair in zip_longest([group], pairs, fillvalue="")]
        print(OVERVIEW.format(verbs="\n".join(rows)), end="")
        return exits.DONE
    if "--version" in rest:
        print(f"cucmctl {__version__}")
        return exits.DONE
    if verb is None:
        missing = f"no verb was given; expected one of {', '.join(VERBS)}"
        raise UsageError(_unknown_option(rest) or f"{missing} (see cucmctl --help)")
    command = command_of(verb)
    token = os.environ.pop(UPLOAD_TOKEN, None)  # so that no child process gets it
    try:
        parsed = parse(verb, command, rest)
    except SystemExit:  # argparse has printed the help
        return exits.DONE
    parsed.upload_token, parsed.newest = token, LAST in rest
    if parsed.at_sites or verb == "sites":
        from cucmctl.sites.several import run_at_sites  # noqa: PLC0415  # few commands need it

        return run_at_sites(verb, command, parsed, guarded)
    if parsed.newest:
        resolve_last(parsed, verb, command.is_for, os.getuid())
    return command.run(parsed)


def _open_page(page: str) -> None:
    """Runs `man` in place of this process. Returns if there is no such page, or no `man`."""
    import signal  # noqa: PLC0415  # only for help
    import subprocess  # noqa: PLC0415

    try:
        found = subprocess.run(["man", "-w", page], capture_output=True, check=False)  # noqa: S607
        if found.returncode == 0:
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and `man` must not
            os.execlp("man", "man", page)  # noqa: S606, S607
    except OSError:
        pass


def _complete(words: list[str]) -> int:
    """Prints what the last word can be completed with. Shells call this when Tab is pressed."""
    from cucmctl.commands.complete import print_completions  # noqa: PLC0415  # only for Tab

    verb, rest = split(words[:-1])
    verb = verb or "list"  # before the verb are only options that every verb has, such as --site
    if words and verb in VERBS:
        print_completions(verb, command_of(verb), [*rest, words[-1]])
    return exits.DONE


def command_of(verb: str) -> Verb:
    """Returns what a verb declares. Loads its module."""
    command: Verb = import_module(f"cucmctl.commands.{VERBS[verb]}").COMMANDS[verb]
    return command


def split(arguments: Sequence[str]) -> tuple[str | None, list[str]]:
    """Splits the arguments into the verb and the rest. Global options may stand before the verb."""
    position = 0
    while position < len(arguments):
        word = arguments[position]
        if not word.startswith("-"):
            return word, [*arguments[:position], *arguments[position + 1 :]]
        position += 2 if word in WITH_VALUE else 1
    return None, list(arguments)


def _unknown_option(arguments: Sequence[str]) -> str | None:
    """Returns what is wrong with an option before the verb, or None.

    Without this message, the value of an unknown option would be reported as an unknown verb.
    """
    for word in arguments:
        if word.startswith("-") and word.partition("=")[0] not in ANYWHERE:
            expected = "--socket PATH, --site SITE or --json (see cucmctl --help)"
            return f"{word}: no such option before the verb; expected {expected}"
    return None
