"""Runs the command line `cucmctl`: finds the verb, runs it, and returns the exit code.

The module of a verb is imported only when the verb is known.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module

from cucmctl.cli import exits, printer
from cucmctl.cli.options import UsageError, Verb, near, parse
from cucmctl.client.errors import ClientError, DiscoveryFailed
from cucmctl.commands.lookup import resolve_last
from cucmd import __version__

# verb -> (module of `commands`, what the overview says)
VERBS = {
    "start": ("start", "start a job on one or more nodes; prints its id"),
    "run": ("run", "run commands that only read on nodes, and print what they say"),
    "check": ("check", "whether a collection from nodes can be expected to work"),
    "health": ("health", "whether nodes are well, check by check"),
    "capture": ("capture", "capture packets on several nodes at once; prints the id"),
    "follow": ("follow", "print a file of nodes as it grows, until Ctrl-C"),
    "stop": ("change", "end a capture now and collect its files, or end a follow"),
    "retry": ("start", "try nodes of a job again that did not succeed"),
    "status": ("show", "a job, node by node; without a job, running jobs and the newest"),
    "list": ("show", "jobs, newest first"),
    "cancel": ("change", "cancel a job, or some nodes of it"),
    "files": ("collected", "the files of a job"),
    "export": ("export", "a job as one file to hand on: a zip, a tar, or a folder"),
    "verify": ("export", "compare the files of a job with their checksums"),
    "transcript": ("collected", "what was said on a node"),
    "label": ("change", "change the labels of a job"),
    "delete": ("delete", "delete jobs with what they have collected"),
    "prune": ("delete", "delete old, large or surplus jobs"),
    "watch": ("watch", "follow a job as it changes, until it ends"),
    "events": ("watch", "what happens to jobs as JSON, for other programs"),
    "wait": ("watch", "wait until a job has ended"),
    "discover": ("discover", "which nodes a cluster has, as its publisher says"),
    "clusters": ("known", "the clusters that the daemon knows, and their nodes"),
    "profiles": ("known", "what is collected for which kind of trouble"),
    "credentials": ("known", "the names of the logins that the daemon was given"),
    "hostkeys": ("known", "the host keys of nodes that the daemon knows"),
    "reload": ("change", "have the daemon read its configuration again"),
}

# Stands for a job: the newest one of the user who asks.
LAST = "@last"

# Words that people know from other programs -> a hint that names the verb of cucmctl.
MEANT = {
    "tail": "follow prints a file of a node as it grows",
    "logs": "transcript shows what was said on a node, files what has come",
    "ps": "status shows the jobs that run",
    "ls": "list shows jobs",
    "rm": "delete deletes jobs",
    "kill": "cancel cancels a job",
    "collect": "start starts a collection",
    "download": "export writes the files of a job into one file",
}

# Options that may stand before the verb. `--socket` is followed by its value.
ANYWHERE = ("--socket", "--json", "--help", "-h", "--version")

OVERVIEW = """\
usage: cucmctl [--socket PATH] [--json] COMMAND ...

Collects the logs of Cisco Unified CM nodes, with the daemon cucmd.

commands:
{verbs}

everywhere:
  --socket PATH   where the daemon listens (default: $CUCMD_SOCKET, else the
                  user's own, in $XDG_RUNTIME_DIR/cucmd or, without that, in
                  ~/.local/state/cucmd/run, else /run/cucmd/cucmd.sock)
  --json          data as JSON on standard output, messages on standard error
  -h, --help      show this, or the help of a command
  --version       show the version

A job is named by its id or by any unambiguous prefix of 4 characters or more;
@last is the newest that you have started.

examples:
  cucmctl start ccm-pub ccm-sub1 --user administrator --last 2h \\
          --path cm/trace/ccm/sdl --watch
  cucmctl status
  cucmctl cancel 3f2a

exit codes: 0 done, the job succeeded; 1 it failed; 2 usage; 3 it ended
partial; 4 it was cancelled; 5 no such job, node, cluster, profile or
credential; 6 the wait timed out; 65 request refused as invalid; 69 no daemon,
or it went away; 70 a defect of the daemon or of cucmctl; 74 the output cannot
be written; 75 a limit is reached, or the job is in use, try later; 77 not
permitted; 130 Ctrl-C, and the job goes on; 141 whoever read the output has
closed it
"""


def main(argv: list[str] | None = None) -> int:  # noqa: PLR0911  an exit code for each error
    """Runs one command and returns the exit code.

    An error becomes a message; with $CUCMCTL_TRACEBACK a defect becomes a traceback.
    Raises SystemExit if a signal other than SIGINT ends the command.
    """
    try:
        printer.prepare()
        code = _run(sys.argv[1:] if argv is None else argv)
        if sys.stdout is not None:  # None if the shell closed it before the start
            sys.stdout.flush()
    except KeyboardInterrupt:
        return exits.INTERRUPTED
    except UsageError as error:
        printer.note(str(error))
        return exits.USAGE
    except ClientError as error:
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
        rest.append("--help")
    if verb is not None and verb not in VERBS:
        what = "cucmctl --help shows those that there are"
        if alike := near(verb, VERBS):
            what = f"did you mean {' or '.join(alike)}?"
        elif verb in MEANT:
            what = f"cucmctl {MEANT[verb]}"
        wrong = _unknown_option(arguments[: arguments.index(verb)])
        raise UsageError(wrong or f"{verb!r} is not a command; {what}")
    if verb is None and ("--help" in rest or "-h" in rest):
        verbs = "\n".join(f"  {name:12}{text}" for name, (_, text) in VERBS.items())
        print(OVERVIEW.format(verbs=verbs), end="")
        return exits.DONE
    if "--version" in rest:
        print(f"cucmctl {__version__}")
        return exits.DONE
    if verb is None:
        missing = f"no command was given; expected one of {', '.join(VERBS)}"
        raise UsageError(_unknown_option(rest) or f"{missing} (see cucmctl --help)")
    command: Verb = import_module(f"cucmctl.commands.{VERBS[verb][0]}").COMMANDS[verb]
    try:
        parsed = parse(verb, command, rest)
    except SystemExit:  # argparse has printed the help
        return exits.DONE
    if LAST in rest:
        resolve_last(parsed)
    return command.run(parsed)


def split(arguments: Sequence[str]) -> tuple[str | None, list[str]]:
    """Splits the arguments into the verb and the rest. Global options may stand before the verb."""
    position = 0
    while position < len(arguments):
        word = arguments[position]
        if not word.startswith("-"):
            return word, [*arguments[:position], *arguments[position + 1 :]]
        position += 2 if word == "--socket" else 1
    return None, list(arguments)


def _unknown_option(arguments: Sequence[str]) -> str | None:
    """Returns what is wrong with an option before the verb, or None.

    Without this message, the value of an unknown option would be reported as an unknown verb.
    """
    for word in arguments:
        if word.startswith("-") and word.partition("=")[0] not in ANYWHERE:
            expected = "--socket PATH or --json (see cucmctl --help)"
            return f"{word}: no such option before the command; expected {expected}"
    return None
