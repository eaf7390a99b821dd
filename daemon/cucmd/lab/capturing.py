"""`utils network capture` and `file delete` of a simulated node, with what can go wrong in them.

A capture has ended once its session has, however that was, and before the prompt comes.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from cucmd.lab import texts
from cucmd.lab.captures import Capture, Wanted, parse_capture
from cucmd.lab.editor import Echo
from cucmd.lab.faults import Kind, Step
from cucmd.lab.node import Node
from cucmd.lab.selection import Get, Refused, select
from cucmd.lab.terminal import Terminal, wait_forever

# Percent of the common partition in use from which no capture is begun: the low water mark, which
# is 90 as a rule, less 5 (vos/NODES.md, section 6.5).
FULL = 85.0
# What can be wrong with the file of a capture.
_FILE_FAULTS = (
    Kind.CAPTURE_NO_FILE,
    Kind.CAPTURE_HEADER,
    Kind.CAPTURE_GARBAGE,
    Kind.CAPTURE_CUT,
)


class Console(Protocol):
    """The console that a command runs on, as far as it needs one."""

    interrupted: bool

    @property
    def node(self) -> Node: ...
    @property
    def terminal(self) -> Terminal: ...
    async def at(self, step: Step) -> None:
        """A step is reached: the faults of this step happen now."""


async def capture(console: Console, words: list[str]) -> None:
    """Runs until its count, Ctrl-C or the end of the session. Raises Refused."""
    node, terminal = console.node, console.terminal
    wanted = parse_capture(words)
    if node.percent_used > FULL or node.plan.take(Kind.CAPTURE_REFUSED):
        raise Refused(texts.NO_SPACE, texts.UNSUCCESSFUL)
    fault = next((kind for kind in _FILE_FAULTS if node.plan.take(kind)), None)
    running = node.captures.begin(wanted, fault)
    node.count("captures_ever")
    node.count("captures_now")
    try:
        try:
            await terminal.lines(_options(wanted))
            await console.at(Step.CAPTURE)
            await _until_it_ends(console, running)
        except asyncio.CancelledError:
            if not console.interrupted:  # the session has ended
                raise
            await _stop(console)
    finally:
        running.end()
        node.count("captures_now", -1)
    if node.plan.take(Kind.CAPTURE_ENTER):
        await terminal.read_line(Echo.NONE)
        terminal.line()


def _options(wanted: Wanted) -> list[str]:
    size = "ALL" if wanted.size is None else str(wanted.size)
    port = "" if wanted.port is None else str(wanted.port)
    return [
        texts.EXECUTING,
        f" size={size:<20}count={wanted.count:<20}interface={wanted.interface}",
        f" src={'':<21}dest={'':<21}port={port}",
        f" ip={wanted.host or ''}",
        "",
    ]


async def _until_it_ends(console: Console, running: Capture) -> None:
    """Until it has all its packets, or ends by itself."""
    take = console.node.plan.take
    if question := take(Kind.CAPTURE_QUESTION):
        await asyncio.sleep(question.number)
        console.terminal.write(texts.CONTINUE + " ")
    if early := take(Kind.CAPTURE_ENDS):
        await asyncio.sleep(early.number)
        return
    seconds = running.seconds_to_its_end
    if seconds is None:
        await wait_forever()
    else:
        await asyncio.sleep(seconds)
        running.end(full=True)


async def _stop(console: Console) -> None:
    """After Ctrl-C: more of them shorten nothing."""
    terminal = console.terminal
    terminal.line("^C")
    slow = console.node.plan.take(Kind.CAPTURE_SLOW)
    loop = asyncio.get_running_loop()
    until = loop.time() + (slow.number if slow else 0)
    while (left := until - loop.time()) > 0:
        console.interrupted = False
        try:
            await asyncio.sleep(left)
        except asyncio.CancelledError:
            if not console.interrupted:
                raise
            terminal.line("^C")


async def delete(console: Console, words: list[str]) -> None:
    """`file delete LOCATION SPEC [detail] [noconfirm]`. Raises Refused."""
    node, terminal = console.node, console.terminal
    location, spec, *options = words
    if unknown := [option for option in options if option not in ("detail", "noconfirm")]:
        raise Refused(f"Invalid option: {unknown[0]}", texts.UNSUCCESSFUL)
    if location not in ("activelog", "inactivelog", "install"):
        raise Refused(f"Invalid location: {location}", texts.UNSUCCESSFUL)
    found = select(node.files(location), Get(location, spec), node.now())
    if not found:
        raise Refused(texts.NO_SUCH_FILE, texts.UNSUCCESSFUL)
    if "noconfirm" not in options:
        terminal.line(texts.DELETE.format(path=spec))
        terminal.write(texts.DELETE_QUESTION + " ")
        if (await terminal.read_line()).strip().lower() != "y":
            return
    kept = node.plan.take(Kind.KEEP_FILES)
    gone = [file.path for file in found if not kept and node.remove(location, file.path)]
    for path in gone if "detail" in options else ():
        terminal.line(texts.DELETED_FILE.format(path=path))
    terminal.line(texts.DELETED.format(found=len(found), deleted=len(gone)))
