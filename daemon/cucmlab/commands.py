"""Runs the commands of a simulated node: reports, files, captures and settings.

A capture ends before the next prompt comes, and with its session, however the session ends.
"""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import Awaitable, Callable, Sequence

from cucmlab import answers, support, texts
from cucmlab.captures import CaptureArguments, LabCapture, parse_capture
from cucmlab.faults import FaultKind, Step
from cucmlab.get_dialogue import GetDialogue
from cucmlab.selection import (
    CommandRefused,
    Get,
    Unsuccessful,
    listing,
    parse_list,
    parse_search,
    parse_tail,
    select,
    select_one,
)
from cucmlab.session import BackToPrompt, LabSession
from cucmlab.terminal import Echo, wait_forever

# A node begins no capture if more percent of its common partition are in use: 5 less than the low
# water mark, which usually is 90 (vos/NODES.md, section 6.5).
FULL = 85.0
# How many existing lines `file tail` prints first, and the seconds between the lines that follow.
_LAST_LINES, _A_LINE_EVERY = 10, 0.1
# The faults that concern the file of a capture.
_FILE_FAULTS = (
    FaultKind.CAPTURE_NO_FILE,
    FaultKind.CAPTURE_HEADER,
    FaultKind.CAPTURE_GARBAGE,
    FaultKind.CAPTURE_CUT,
)


async def execute(session: LabSession, words: list[str]) -> None:
    """Runs a command that the terminal has echoed. Returns when the prompt has to be printed."""
    try:
        if words[:2] == ["file", "get"]:
            await GetDialogue(session).run(words[2:])
        else:
            await session.reach(Step.PREPARE)
            await run_plain_command(session, words)
    except CommandRefused as refusal:
        await session.terminal.page(refusal.lines)
    except BackToPrompt:
        session.terminal.line()


async def run_plain_command(session: LabSession, words: list[str]) -> None:
    """Runs any command except `file get`. Raises CommandRefused."""
    for name, (least, most, command) in _COMMANDS.items():
        if (arguments := _arguments(words, name, least, most)) is not None:
            return await command(session, arguments)
    node = session.node
    facts = answers.NodeFacts(
        node.member, node.members, node.now(), node.options.timezone, node.percent_used
    )
    for name, (least, most, report) in (answers.REPORTS | support.REPORTS).items():
        if (arguments := _arguments(words, name, least, most)) is not None:
            lines = report(facts, arguments) if callable(report) else report
            return await _print(session, _with_symptoms(session, name, lines))
    raise CommandRefused(texts.NO_VALID_COMMAND)


def _arguments(words: list[str], name: str, least: int, most: int) -> list[str] | None:
    """Returns the arguments of the command `name`, or None if `words` are another command.

    Raises CommandRefused if there are too few or too many.
    """
    length = len(name.split())
    if words[:length] != name.split():
        return None
    if not least <= len(words) - length <= most:
        raise Unsuccessful(texts.WRONG_ARITY.format(mandatory=least, more=most - least))
    return words[length:]


def _with_symptoms(session: LabSession, name: str, lines: Sequence[str]) -> Sequence[str]:
    """Returns the lines of a report, with the symptoms of this node's faults in them."""
    for fault, (command, usual, symptom) in answers.SYMPTOMS.items():
        if command == name and session.node.plan.take(fault):
            now = session.node.now().astimezone(session.node.options.timezone)
            lines = [re.sub(usual, symptom.format(now), line) for line in lines]
    return lines


async def _print(session: LabSession, lines: Sequence[str]) -> None:
    """Prints an answer page by page, with the faults that happen in the middle of an answer."""
    plan, terminal, half = session.node.plan, session.terminal, len(lines) // 2
    if plan.take(FaultKind.PAGER_AGAIN):
        await terminal.page(lines[:half])
        await terminal.more()
        lines = lines[half:]
    elif plan.take(FaultKind.QUESTION):
        await terminal.page(lines[:half])
        terminal.write(texts.CONTINUE + " ")
        while True:  # no answer is accepted
            await terminal.read_line()
            terminal.write("\r\n" + texts.CONTINUE + " ")
    elif plan.take(FaultKind.SILENT_ANSWER):
        await terminal.page(lines[:half])
        await wait_forever()
    await terminal.page(lines)


async def _network_cluster(session: LabSession, _words: list[str]) -> None:
    node = session.node
    lines = answers.network_cluster(node.members, node.member)
    if strangers := node.plan.take(FaultKind.STRANGERS):
        lines = answers.with_strangers(lines, int(strangers.number))
    if node.plan.take(FaultKind.OTHER_TABLE):
        lines = answers.other_table(node.members)
    await _print(session, _with_symptoms(session, "show network cluster", lines))


async def _pagination(session: LabSession, words: list[str]) -> None:
    terminal = session.terminal
    if words[0] not in ("on", "off"):
        raise CommandRefused(texts.NO_VALID_COMMAND)
    terminal.paging = words[0] == "on"
    terminal.line(texts.PAGER_IS_ON if terminal.paging else texts.PAGER_IS_OFF)


# -- files


async def _file_list(session: LabSession, words: list[str]) -> None:
    node, terminal = session.node, session.terminal
    arguments = parse_list(words)
    if node.plan.take(FaultKind.INVALID_PATH):
        raise Unsuccessful(texts.NO_SUCH_FILE)
    entries = listing(node.files(arguments.location), arguments, node.now())
    lines = answers.file_list(entries, node.options.timezone, detail=arguments.detail)
    pages = terminal.page if arguments.page else terminal.lines
    while node.plan.take(FaultKind.ENDLESS_LIST):
        await pages(lines[:-1])
    await pages(lines)


async def _file_search(session: LabSession, words: list[str]) -> None:
    """Searches only the first block of each file, since all blocks of the lab's files are alike."""
    node = session.node
    get, pattern = parse_search(words, node.now(), node.options.timezone)
    files = select(node.files(get.location), get, node.now())
    await _print(session, answers.file_search(get, files, pattern, node.index))


async def _file_tail(session: LabSession, words: list[str]) -> None:
    """Prints the last lines of a file, then one new line after the other, until Ctrl-C."""
    node, terminal = session.node, session.terminal
    arguments = parse_tail(words)
    if node.plan.take(FaultKind.TAIL_REFUSED):
        raise Unsuccessful(texts.NO_PRIVILEGE)
    if node.plan.take(FaultKind.INVALID_PATH):
        raise Unsuccessful(texts.NO_SUCH_FILE)
    file = select_one(node.files(arguments.location), arguments, node.now())
    first = next(node.blocks(arguments.location, file), b"").decode(errors="replace")
    last = first.splitlines()[-_LAST_LINES:]
    await terminal.lines([line for line in last if re.search(arguments.pattern, line)])
    await session.reach(Step.TAIL)
    for number in itertools.count(1):
        now = node.now().astimezone(node.options.timezone)
        line = f"{number:08d}|{now:%H:%M:%S.%f} |AppInfo |{file.path}"
        if re.search(arguments.pattern, line):
            terminal.line(line)
            await terminal.drain()
        await asyncio.sleep(_A_LINE_EVERY)


async def _file_delete(session: LabSession, words: list[str]) -> None:
    node, terminal = session.node, session.terminal
    location, spec, *options = words
    if location not in ("activelog", "inactivelog", "install"):
        raise Unsuccessful(f"Invalid location: {location}")
    found = select(node.files(location), Get(location, spec), node.now())
    if not found:
        raise Unsuccessful(texts.NO_SUCH_FILE)
    if "noconfirm" not in options:
        terminal.line(texts.DELETE.format(path=spec))
        terminal.write(texts.DELETE_QUESTION + " ")
        if (await terminal.read_line()).strip().lower() != "y":
            return
    kept = node.plan.take(FaultKind.KEEP_FILES)
    gone = [file for file in found if not kept and node.remove(location, file.path)]
    terminal.line(texts.DELETED.format(found=len(found), deleted=len(gone)))


# -- captures


async def _capture(session: LabSession, words: list[str]) -> None:
    """Captures until the count is reached, Ctrl-C comes, or the session ends."""
    node, terminal = session.node, session.terminal
    wanted = parse_capture(words)
    if node.percent_used > FULL or node.plan.take(FaultKind.CAPTURE_REFUSED):
        raise Unsuccessful(texts.NO_SPACE)
    fault = next((kind for kind in _FILE_FAULTS if node.plan.take(kind)), None)
    running = node.begin_capture(wanted, fault)
    node.count("captures_ever")
    node.count("captures_now")
    try:
        try:
            await terminal.lines(_options(wanted))
            await session.reach(Step.CAPTURE)
            await _until_it_ends(session, running)
        except asyncio.CancelledError:
            if not session.interrupted:  # the session has ended, not the command
                raise
            await _stop(session)
    finally:
        running.end()
        node.count("captures_now", -1)
    if node.plan.take(FaultKind.CAPTURE_ENTER):
        await terminal.read_line(Echo.NONE)
        terminal.line()


def _options(wanted: CaptureArguments) -> list[str]:
    size = "ALL" if wanted.size is None else str(wanted.size)
    port = "" if wanted.port is None else str(wanted.port)
    return [
        texts.EXECUTING,
        f" size={size:<20}count={wanted.count:<20}interface={wanted.interface}",
        f" src={'':<21}dest={'':<21}port={port}",
        f" ip={wanted.host or ''}",
        "",
    ]


async def _until_it_ends(session: LabSession, running: LabCapture) -> None:
    """Waits until the capture has all its packets, or ends by a fault."""
    take = session.node.plan.take
    if question := take(FaultKind.CAPTURE_QUESTION):
        await asyncio.sleep(question.number)
        session.terminal.write(texts.CONTINUE + " ")
    if early := take(FaultKind.CAPTURE_ENDS):
        await asyncio.sleep(early.number)
        return
    seconds = running.seconds_until_full
    if seconds is None:
        await wait_forever()
    else:
        await asyncio.sleep(seconds)
        running.end(full=True)


async def _stop(session: LabSession) -> None:
    """Waits for the time that a capture needs to stop. Another Ctrl-C does not make it shorter."""
    terminal = session.terminal
    terminal.line("^C")
    slow = session.node.plan.take(FaultKind.CAPTURE_SLOW)
    loop = asyncio.get_running_loop()
    until = loop.time() + (slow.number if slow else 0)
    while (left := until - loop.time()) > 0:
        session.interrupted = False
        try:
            await asyncio.sleep(left)
        except asyncio.CancelledError:
            if not session.interrupted:
                raise
            terminal.line("^C")


# name -> number of mandatory parameters, of all parameters, and the function that runs the command
_COMMANDS: dict[str, tuple[int, int, Callable[[LabSession, list[str]], Awaitable[None]]]] = {
    "show network cluster": (0, 1, _network_cluster),
    "set cli pagination": (1, 1, _pagination),
    "file list": (2, 6, _file_list),
    "file search": (3, 7, _file_search),
    "file tail": (2, 6, _file_tail),
    "file delete": (2, 3, _file_delete),
    "utils network capture": (0, 13, _capture),
}
