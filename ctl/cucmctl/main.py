"""Runs the command line `cucmctl`: finds the verb, runs it, and exits with the right code.

Nothing is imported before it is known to be needed; see `lean`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from cucmctl.lean import collect_garbage_less_often, load_argparse, load_module, load_msgspec

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

# A job: the newest of whoever asks.
LAST = "@last"

# What people type who know other programs -> the verb that is meant.
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

# options that may be before the verb; `--socket` takes the next word
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


def main(argv: list[str] | None = None) -> int:
    """Runs one command and returns the exit code. An error is a message and not a traceback,
    unless $CUCMCTL_TRACEBACK is set.

    Raises SystemExit where a signal other than SIGINT ends it.
    """
    try:
        code = _run(sys.argv[1:] if argv is None else argv)
        if sys.stdout is not None:  # None when it was closed at the start
            sys.stdout.flush()
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # as in `cucmctl list | head`: no error for the user
        return _output_failed("")
    except OSError as error:
        return _output_failed(f"cannot write to standard output: {error.strerror or error}")
    except Exception as error:  # a user cannot use a traceback
        return 130 if _is_of_interrupt(error) else _report_defect(error)
    return code


def _is_of_interrupt(error: Exception) -> bool:
    """Says whether it is what has become of a Ctrl-C: it can begin a `finally` that was not made
    for it, such as those of argparse (3.11); and Python drops it for an error of its own where it
    comes as one of the modules within Python is read (import.c, `unmarshal_frozen_code`).
    """
    frozen = isinstance(error, ImportError) and str(error).startswith("Frozen object named ")
    return frozen or isinstance(error.__context__, KeyboardInterrupt)


def split(arguments: Sequence[str]) -> tuple[str | None, list[str]]:
    """Takes the verb out of all arguments. Global options may be before the verb or after it."""
    position = 0
    while position < len(arguments):
        word = arguments[position]
        if not word.startswith("-"):
            return word, [*arguments[:position], *arguments[position + 1 :]]
        position += 2 if word == "--socket" else 1
    return None, list(arguments)


def _without_verb(arguments: list[str]) -> int:
    if "--help" in arguments or "-h" in arguments:
        verbs = "\n".join(f"  {verb:12}{text}" for verb, (_, text) in VERBS.items())
        print(OVERVIEW.format(verbs=verbs), end="")
        return 0
    if "--version" in arguments:
        from cucmd import __version__  # noqa: PLC0415  # see the rule above

        print(f"cucmctl {__version__}")
        return 0
    from cucmctl.cli import printer  # noqa: PLC0415  # likewise

    missing = f"no command was given; expected one of {', '.join(VERBS)} (see cucmctl --help)"
    printer.note(_unknown_option(arguments) or missing)
    return 2


def _unknown_option(arguments: Sequence[str]) -> str | None:
    """Says what is wrong with an option before the verb, as the word after it is taken for that."""
    for word in arguments:
        if word.startswith("-") and word.partition("=")[0] not in ANYWHERE:
            expected = "--socket PATH or --json (see cucmctl --help)"
            return f"{word}: no such option before the command; expected {expected}"
    return None


def _run(arguments: list[str]) -> int:
    verb, rest = split(arguments)
    if verb == "help":
        verb, rest = split(rest)
        rest.append("--help")
    if verb is None:
        return _without_verb(rest)
    collect_garbage_less_often()
    load_msgspec()
    load_argparse()
    from cucmctl.cli import exits, printer  # noqa: PLC0415  # see the rule above
    from cucmctl.cli.options import UsageError  # noqa: PLC0415  # likewise
    from cucmctl.client.errors import ClientError  # noqa: PLC0415  # likewise

    printer.prepare()
    try:
        _check_verb(verb, arguments)
        return _dispatch(verb, rest)
    except UsageError as error:
        printer.note(str(error))
        return exits.USAGE
    except ClientError as error:
        printer.note(exits.complaint(error))
        if hint := exits.hint(error):
            printer.note(f"  hint: {hint}")
        return exits.of_error(error)


def _check_verb(verb: str, arguments: list[str]) -> None:
    if verb in VERBS:
        return
    from cucmctl.cli.options import UsageError, near  # noqa: PLC0415  # see the rule above

    text = f"{verb!r} is not a command; "
    if alike := near(verb, VERBS):
        text += f"did you mean {' or '.join(alike)}?"
    elif verb in MEANT:
        text += f"cucmctl {MEANT[verb]}"
    else:
        text += "cucmctl --help shows those that there are"
    raise UsageError(_unknown_option(arguments[: arguments.index(verb)]) or text)


def _output_failed(reason: str) -> int:
    from cucmctl.cli import exits, printer  # noqa: PLC0415  # see the rule above

    printer.abandon_stdout()
    if not reason:
        return exits.PIPE_CLOSED
    printer.note(reason)
    return exits.CANNOT_WRITE


def _report_defect(error: Exception) -> int:
    from cucmctl.cli import exits, printer  # noqa: PLC0415  # see the rule above

    if os.environ.get("CUCMCTL_TRACEBACK"):
        raise error
    what = f"{type(error).__name__}: {error}"
    printer.note(f"a defect of cucmctl: {what} (CUCMCTL_TRACEBACK=1 shows where)")
    return exits.DEFECT


def _dispatch(verb: str, arguments: list[str]) -> int:
    from cucmctl.cli.options import parse  # noqa: PLC0415  # see the rule above

    if "--version" in arguments:
        return _without_verb(["--version"])
    command = load_module(f"cucmctl.commands.{VERBS[verb][0]}").COMMANDS[verb]
    try:
        parsed = parse(verb, command, arguments)
    except SystemExit:  # argparse has printed the help
        return 0
    if LAST in arguments:
        from cucmctl.commands.lookup import name_last  # noqa: PLC0415  # likewise

        name_last(parsed)
    result: int = command.run(parsed)
    return result
