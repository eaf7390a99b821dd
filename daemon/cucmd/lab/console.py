"""One session at a node's command line: greeting, prompt, commands, and the faults on the way.

Ctrl-C ends what runs in the foreground, entirely, before the next prompt comes.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from cucmd.lab import answers, capturing, texts
from cucmd.lab.dialogue import BackToPrompt, FileGetDialogue
from cucmd.lab.editor import Echo
from cucmd.lab.faults import Kind, Step
from cucmd.lab.node import Node
from cucmd.lab.options import Prompt
from cucmd.lab.reports import REPORTS, Here
from cucmd.lab.selection import (
    Entry,
    FileList,
    Refused,
    listing,
    parse_list,
    parse_search,
    select,
)
from cucmd.lab.terminal import Channel, InputClosed, Terminal, wait_forever

T = TypeVar("T")
# line of the greeting -> its share of the delay, as seen on 11.5 (vos/NODES.md, section 2)
_PACE = ((0, 0.08), (1, 0.63), (3, 0.19), (7, 0.10))


class Interrupted(Exception):
    """Ctrl-C ended what was in the foreground."""


class Console:
    """One session. `cut` ends the whole SSH connection without a disconnect."""

    def __init__(self, node: Node, channel: Channel, cut: Callable[[], None]) -> None:
        self.node = node
        self.terminal = Terminal(channel, self._interrupt)
        self._cut = cut
        self._foreground: asyncio.Task[Any] | None = None
        self.interrupted = False  # by Ctrl-C, since what is in the foreground began
        self._between = False  # Ctrl-C came while nothing was in the foreground
        self._counting = node.options.prompt is Prompt.COUNTER
        self._prompts = 0

    # -- from login to quit

    async def run(self) -> None:
        """Returns when the client has sent `quit`, or all that it will."""
        with suppress(InputClosed):
            await self._session()

    async def _session(self) -> None:
        await self._greet()
        await self._first_prompt()
        while True:
            try:
                words = (await self._in_foreground(self.terminal.read_line())).split()
                if words in (["quit"], ["exit"]):
                    return
                if words:
                    self.node.count("commands")
                    await self._in_foreground(self._execute(words))
            except Interrupted:
                self.terminal.line("^C")
            self._prompt()

    async def _greet(self) -> None:
        options = self.node.options
        if options.logon_message:
            self.terminal.line(options.logon_message)
        self.terminal.line(texts.STARTING_UP)
        pace = dict(_PACE)
        for i, line in enumerate(texts.GREETING):
            await asyncio.sleep(options.banner_delay * pace.get(i, 0))
            if i == len(texts.GREETING) // 2:
                await self._middle_of_greeting()
            self.terminal.line(line)

    async def _middle_of_greeting(self) -> None:
        await self.at(Step.BANNER)
        if self.node.plan.take(Kind.ENDLESS_BANNER):
            await self._without_end(texts.DNS_UNREACHABLE + "\r\n")

    async def _first_prompt(self) -> None:
        plan = self.node.plan
        await self.at(Step.PROMPT)
        if plan.take(Kind.NO_PROMPT):
            await wait_forever()
        if plan.take(Kind.LOGIN_QUESTION):
            await self._refuse_without_new_password()
        if plan.take(Kind.NO_ECHO):
            self.terminal.echo = False
        if self.node.options.prompt is Prompt.NUDGE:
            await self.terminal.read_line(Echo.NONE)
            self.terminal.line()
            self._prompt()
            self.terminal.line()
        self._prompt()
        if plan.take(Kind.PROMPT_NO_ECHO):
            self.terminal.frozen = True

    async def _refuse_without_new_password(self) -> None:
        """Whatever is typed, an empty line too, counts as an answer and ends the connection."""
        self.terminal.line(texts.PASSWORD_EXPIRED)
        self.terminal.write(texts.ASK_CURRENT_PASSWORD)
        await self.terminal.read_line(Echo.NONE)
        self.terminal.line()
        self.terminal.line(texts.PASSWORD_UNCHANGED)
        await self.terminal.drain()
        self._cut()
        await wait_forever()

    def _prompt(self) -> None:
        self._prompts += 1
        counter = f"{self._prompts} " if self._counting else ""
        escape = "\x1b[K" if self.node.options.prompt is Prompt.ESCAPE else ""
        self.terminal.write(escape + counter + texts.PROMPT)

    # -- the foreground

    def _interrupt(self) -> None:
        self.node.count("interrupts")
        if self.node.plan.take(Kind.IGNORE_CTRL_C):
            return
        self.interrupted = True
        if self._foreground is None or not self._foreground.cancel():
            self._between = True

    async def _in_foreground(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs `work`, which Ctrl-C cancels; then raises Interrupted."""
        if self._between:
            self._between = False
            work.close()
            raise Interrupted
        self.interrupted = False
        task = asyncio.get_running_loop().create_task(work)
        self._foreground = task
        try:
            await asyncio.wait({task})
        finally:
            self._foreground = None
            if not task.done():  # the session itself is being ended
                task.cancel()
                await asyncio.wait({task})
            elif not task.cancelled():
                # If the session is ended in this moment nobody asks for it, and asyncio logs that.
                task.exception()
        if task.cancelled():
            raise Interrupted
        return task.result()

    # -- faults

    async def at(self, step: Step) -> None:
        """The session is at `step`: the faults of this step happen now."""
        plan = self.node.plan
        if plan.take(Kind.SILENT, step):
            await wait_forever()
        if plan.take(Kind.HANG, step):
            self.terminal.frozen = True
            await wait_forever()
        if plan.take(Kind.DROP, step):
            self._cut()
            await wait_forever()
        if plan.take(Kind.SILENT_RETURN, step):
            raise BackToPrompt
        for kind, text in _ENDLESS.items():
            if plan.take(kind, step):
                await self._without_end(text)
        if garbage := plan.take(Kind.GARBAGE, step):
            await self._garbage(int(garbage.number))

    async def _garbage(self, size: int) -> None:
        """Random bytes without line ends: they are one long line too."""
        while size == 0:
            await self._noise(4096)
        await self._noise(size)
        await wait_forever()

    async def _noise(self, size: int) -> None:
        while size > 0:
            noise = os.urandom(min(size, 4096)).translate(_NO_LINE_ENDS)
            self.terminal.write(noise)
            size -= len(noise)
            await self.terminal.drain()

    async def _without_end(self, text: str) -> None:
        while True:
            self.terminal.write(text * 32)
            await self.terminal.drain()

    # -- commands

    async def _execute(self, words: list[str]) -> None:
        try:
            if words[:2] == ["file", "get"]:
                await FileGetDialogue(self).run(words[2:])
            else:
                await self.at(Step.PREPARE)
                await self._plain(words)
        except Refused as refusal:
            await self.terminal.page(refusal.lines)
        except BackToPrompt:
            self.terminal.line()

    async def _plain(self, words: list[str]) -> None:
        for name, (least, most, command) in _COMMANDS.items():
            if (given := _arguments(words, name, least, most)) is not None:
                return await command(self, given)
        for name, (least, most, report) in REPORTS.items():
            if (given := _arguments(words, name, least, most)) is not None:
                return await self._print(report(self._here, given))
        raise Refused(texts.NO_VALID_COMMAND)

    @property
    def _here(self) -> Here:
        node = self.node
        return Here(node.here, node.members, node.now(), node.options.timezone)

    async def _print(self, lines: Sequence[str]) -> None:
        """An answer, page by page, with what can go wrong in the middle of it."""
        plan, half = self.node.plan, len(lines) // 2
        if plan.take(Kind.PAGER_AGAIN):
            await self.terminal.page(lines[:half])
            await self.terminal.more()
            lines = lines[half:]
        elif plan.take(Kind.QUESTION):
            await self.terminal.page(lines[:half])
            self.terminal.write(texts.CONTINUE + " ")
            while True:  # whatever is typed is no answer
                await self.terminal.read_line()
                self.terminal.write("\r\n" + texts.CONTINUE + " ")
        elif plan.take(Kind.SILENT_ANSWER):
            await self.terminal.page(lines[:half])
            await wait_forever()
        await self.terminal.page(lines)

    async def network_cluster(self, _words: list[str]) -> None:
        lines = answers.network_cluster(self.node.members, self.node.here)
        if strangers := self.node.plan.take(Kind.STRANGERS):
            lines = answers.with_strangers(lines, int(strangers.number))
        if self.node.plan.take(Kind.OTHER_TABLE):
            lines = answers.other_table(self.node.members)
        await self._print(lines)

    async def version_active(self, _words: list[str]) -> None:
        await self._print(answers.version_active())

    async def status(self, _words: list[str]) -> None:
        zone = self.node.options.timezone
        used = self.node.percent_used
        await self._print(answers.status(self.node.here, self.node.now(), zone, used))

    async def timezone_config(self, _words: list[str]) -> None:
        zone = self.node.options.timezone
        await self._print(answers.timezone_config(self.node.now(), zone))

    async def service_list(self, _words: list[str]) -> None:
        await self._print(answers.service_list())

    async def pagination(self, words: list[str]) -> None:
        if words[0] not in ("on", "off"):
            raise Refused(texts.NO_VALID_COMMAND)
        self.terminal.paging = words[0] == "on"
        self.terminal.line(texts.PAGER_IS_ON if self.terminal.paging else texts.PAGER_IS_OFF)

    async def commandcount(self, words: list[str]) -> None:
        if words[0] not in ("enable", "disable"):
            raise Refused(texts.NO_VALID_COMMAND)
        self._counting = words[0] == "enable"

    async def file_list(self, words: list[str]) -> None:
        given = parse_list(words)
        entries = self._entries(given)
        lines = answers.file_list(entries, self.node.options.timezone, detail=given.detail)
        pages = self.terminal.page if given.page else self.terminal.lines
        while self.node.plan.take(Kind.ENDLESS_LIST):
            await pages(lines[:-1])
        await pages(lines)

    async def file_search(self, words: list[str]) -> None:
        """Of each file only the beginning is searched: a trace of the lab is the same all over."""
        get, pattern = parse_search(words, self.node.now(), self.node.options.timezone)
        files = select(self.node.files(get.location), get, self.node.now())
        await self._print(answers.file_search(get, files, pattern, self.node.here.number))

    async def capture(self, words: list[str]) -> None:
        await capturing.capture(self, words)

    async def file_delete(self, words: list[str]) -> None:
        await capturing.delete(self, words)

    def _entries(self, given: FileList) -> list[Entry]:
        if self.node.plan.take(Kind.INVALID_PATH):
            raise Refused(texts.NO_SUCH_FILE, texts.UNSUCCESSFUL)
        return listing(self.node.files(given.location), given, self.node.now())


# What is printed without end. Each prompt is on its own line; the other texts have no line ends.
_ENDLESS = {
    Kind.PROMPT_STORM: texts.PROMPT + "\r\n",
    Kind.ENDLESS_LINE: "7:12:44.101 |AppInfo  |SIPTcp - wait_SdlReadRsp: ",
    Kind.ESCAPE_STORM: "\x1b[2J\x1b[31m\x1b]0;owned\x07\x1b[H\x1b[?25l\x1b[",
}
# Maps every byte to itself, and line ends to "@".
_NO_LINE_ENDS = bytes(0x40 if byte in b"\r\n" else byte for byte in range(256))

# name -> mandatory parameters, all parameters, what it does
_COMMANDS: dict[str, tuple[int, int, Callable[[Console, list[str]], Awaitable[None]]]] = {
    "show network cluster": (0, 1, Console.network_cluster),
    "show version active": (0, 0, Console.version_active),
    "show status": (0, 0, Console.status),
    "show timezone config": (0, 0, Console.timezone_config),
    "utils service list": (0, 1, Console.service_list),
    "set cli pagination": (1, 1, Console.pagination),
    "set commandcount": (1, 1, Console.commandcount),
    "file list": (2, 6, Console.file_list),
    "file search": (3, 7, Console.file_search),
    "file delete": (2, 4, Console.file_delete),
    "utils network capture": (0, 13, Console.capture),
}


def _arguments(words: list[str], name: str, least: int, most: int) -> list[str] | None:
    """What follows the name of the command; None: it is another one. Raises Refused."""
    length = len(name.split())
    if words[:length] != name.split():
        return None
    if not least <= len(words) - length <= most:
        arity = texts.WRONG_ARITY.format(mandatory=least, more=most - least)
        raise Refused(arity, texts.UNSUCCESSFUL)
    return words[length:]
