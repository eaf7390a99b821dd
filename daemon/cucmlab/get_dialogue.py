"""Runs the `file get` dialogue of a simulated node: gathering, sizes, questions, push, end.

`_plan` makes two lists of files once: the files that the node announces, and those that it sends.
Every fault that concerns files is a difference between the two.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from ipaddress import ip_address
from typing import Any, TypeVar

import msgspec

from cucmlab import texts
from cucmlab.faults import FaultKind, Step
from cucmlab.files import (
    ROOTS,
    SMALLEST_GZIP,
    VirtualFile,
    gzipped,
    stamped,
    tgz,
    unpacked_size,
    without_last,
)
from cucmlab.options import Extra
from cucmlab.push import InvalidDirectory, Push, PushedFile, PushFailed, PushTarget
from cucmlab.selection import CommandRefused, Get, Unsuccessful, parse_get, select
from cucmlab.session import BackToPrompt, LabSession
from cucmlab.terminal import Echo

T = TypeVar("T")

_HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?")
# Bytes after which the node prints a dot. It also prints a dot at the end of each file. How many
# bytes a dot stands for on a real appliance is unknown.
_BYTES_A_DOT = 4 * 1024 * 1024


class GetDialogue:
    """Runs `file get` once, in a session."""

    def __init__(self, session: LabSession) -> None:
        self._session = session
        self._node = session.node
        self._terminal = session.terminal
        self._faults = session.node.plan
        self._unshown = 0  # bytes sent since the last dot

    async def run(self, words: list[str]) -> None:
        """Runs `file get` with the arguments `words`. Raises CommandRefused, BackToPrompt."""
        options = self._node.options
        await self._session.reach(Step.COMMAND)
        if self._faults.take(FaultKind.REFUSE_COMMAND):
            raise CommandRefused(texts.INVALID_COMMAND.format(command="file get"))
        now = self._node.now()
        get = parse_get(words, now, options.timezone)
        if self._faults.take(FaultKind.INVALID_PATH):
            raise Unsuccessful(texts.NO_SUCH_FILE)
        matched = select(self._node.files(get.location), get, now)
        if options.extra_question is Extra.BEFORE:
            await self._yes_or_no(texts.ANSWER_Y_OR_N)
        if not matched or self._faults.take(FaultKind.NO_FILES):
            await self._size([], ROOTS[get.location])
            self._terminal.line(texts.NO_FILES_MATCHED)
            return
        announced, sent = self._plan(matched)
        await self._size(announced, ROOTS[get.location])
        self._announce(announced, get)
        if self._faults.take(FaultKind.SIZES_TWICE):
            self._announce(announced, get)
        if options.extra_question is Extra.AFTER:
            await self._yes_or_no(texts.ANSWER_Y_OR_N)
        if not self._faults.take(FaultKind.OMIT, Step.PROCEED):
            await self._yes_or_no(texts.PROCEED, Step.PROCEED)
        receiver = await self._ask_receiver()
        await self._transfer(receiver, sent, get, now)

    # -- what is announced, what is sent

    def _plan(self, matched: list[VirtualFile]) -> tuple[list[VirtualFile], list[VirtualFile]]:
        """Returns the files that the node announces, and the files that it sends."""
        take = self._faults.take
        if take(FaultKind.ZERO_BYTE):
            matched = [msgspec.structs.replace(file, size=0) for file in matched]
        if big := take(FaultKind.BIG_FILE):
            matched[0] = msgspec.structs.replace(matched[0], size=int(big.number))
        if take(FaultKind.DUPLICATE_NAMES):
            matched = [matched[0], *matched]
        announced, sent = matched, list(matched)
        if more := take(FaultKind.ANNOUNCE_MORE):
            announced = [*matched, *_invented(matched[-1], int(more.number))]
        if fewer := take(FaultKind.ANNOUNCE_FEWER):
            sent += _invented(matched[-1], int(fewer.number))
        if short := take(FaultKind.UPLOAD_SHORT):
            size = max(0, matched[0].size - int(short.number))
            sent[0] = msgspec.structs.replace(matched[0], size=size)
        return announced, sent

    async def _size(self, files: list[VirtualFile], root: str) -> None:
        """Prints the lines of the gathering. Step.SIZING is in the middle of them."""
        delay = self._node.options.sizing_delay
        endless = bool(files) and self._faults.take(FaultKind.ENDLESS_LIST) is not None
        self._terminal.write(texts.GATHERING)
        await asyncio.sleep(delay / 2)
        # Older releases only print `done.`, as nodes with odd numbers do here. Newer ones list the
        # files.
        if self._node.index % 2 and not endless:
            await self._session.reach(Step.SIZING)
            await asyncio.sleep(delay / 2)
            self._terminal.line(texts.GATHERED)
            return
        self._terminal.line()
        half = len(files) // 2
        await self._list(files[:half], root)
        await self._session.reach(Step.SIZING)
        await asyncio.sleep(delay / 2)
        while endless:
            await self._list(files, root)
        await self._list(files[half:], root)
        self._terminal.line(texts.GATHERED)

    async def _list(self, files: list[VirtualFile], root: str) -> None:
        for file in files:
            self._terminal.line(texts.GET_FILE.format(path=f"{root}/{file.path}"))
            await self._terminal.drain()

    def _announce(self, files: list[VirtualFile], get: Get) -> None:
        size = sum(file.size for file in files)
        kbytes = f"{size / 1024:.4f}".rstrip("0").rstrip(".")
        self._terminal.line(texts.TRAVERSED if get.recurs else texts.NOT_TRAVERSED)
        self._terminal.line(texts.FILES_AFFECTED.format(files=len(files)))
        self._terminal.line(texts.SIZE_BYTES.format(size=size))
        self._terminal.line(texts.SIZE_KBYTES.format(size=kbytes))

    # -- the questions

    async def _ask_receiver(self) -> PushTarget:
        answers: dict[str, Any] = {"directory": "/"}
        asked = list(_RECEIVER)
        if self._faults.take(FaultKind.OMIT, Step.DIRECTORY):
            asked.remove(Step.DIRECTORY)
        if self._faults.take(FaultKind.REORDER):
            asked.reverse()
        for step in asked:
            name, question, accept, echo = _RECEIVER[step]
            answers[name] = await self._ask(question, accept, step, echo)
        return PushTarget(**answers)

    async def _ask(
        self,
        question: str,
        accept: Callable[[str], T | None],
        step: Step | None = None,
        echo: Echo = Echo.PLAIN,
    ) -> T:
        """Asks until `accept` returns a value for the answer, and not None. Returns that value."""
        while True:
            self._terminal.write(f"{question} ")
            if step is not None:
                await self._session.reach(step)
            accepted = accept((await self._terminal.read_line(echo)).strip())
            if accepted is not None and not self._faults.take(FaultKind.REASK, step):
                return accepted

    async def _yes_or_no(self, question: str, step: Step | None = None) -> None:
        """Asks a question. Returns if the answer is yes; raises BackToPrompt if it is no."""
        if not await self._ask(question, _yes, step):
            raise BackToPrompt

    async def _trust(self, address: str, algorithm: str, fingerprint: str) -> bool:
        """Asks OpenSSH's question about an unknown host key. Returns whether it is accepted."""
        self._terminal.line(texts.HOST_KEY_UNKNOWN.format(host=address))
        self._terminal.line(
            texts.HOST_KEY_FINGERPRINT.format(algorithm=algorithm, fingerprint=fingerprint)
        )
        question = texts.HOST_KEY_QUESTION
        while True:
            self._terminal.write(f"{question} ")
            answer = (await self._terminal.read_line()).strip().lower()
            if answer in ("yes", "no"):
                return answer == "yes"
            question = texts.HOST_KEY_AGAIN

    # -- the push

    async def _transfer(
        self, receiver: PushTarget, files: list[VirtualFile], get: Get, now: datetime
    ) -> None:
        if self._faults.take(FaultKind.COMPLETED_ONLY):
            self._completed()
            return
        if early := self._faults.take(FaultKind.COMPLETED_EARLY) is not None:
            self._completed()
        self._move_clock()
        push = Push(
            self._node,
            receiver,
            trust=self._trust if self._node.options.ask_host_key else None,
            halfway=lambda: self._session.reach(Step.TRANSFER),
            on_sent=self._print_dot,
        )
        try:
            await push.run(self._items(files, get, now))
        except InvalidDirectory:
            self._terminal.line(texts.INVALID_DIRECTORY)
            return
        except PushFailed:
            # What a real appliance prints here is unknown. The lab prints nothing.
            raise BackToPrompt from None
        await self._session.reach(Step.COMPLETED)
        if not early:
            self._completed()

    def _completed(self) -> None:
        self._terminal.line()
        # Some appliances print no dot at the end.
        dot = "." if self._node.index % 3 else ""
        self._terminal.line(texts.TRANSFER_COMPLETED + dot)

    def _move_clock(self) -> None:
        if ahead := self._faults.take(FaultKind.CLOCK_AHEAD):
            self._node.move_clock(timedelta(seconds=ahead.number))
        if back := self._faults.take(FaultKind.CLOCK_BACK):
            self._node.move_clock(-timedelta(seconds=back.number))

    def _items(self, files: list[VirtualFile], get: Get, now: datetime) -> list[PushedFile]:
        root, stamp = ROOTS[get.location], self._node.next_stamp()
        content = partial(self._content, now, get.location)
        top = f"{self._node.member.address}/{stamp}"
        if get.compress:
            cut = self._faults.take(FaultKind.ARCHIVE_CUT)
            missing = int(cut.number) if cut else 0

            def packed() -> Iterator[bytes]:
                return without_last(tgz(root, files, now, content), missing)

            size = sum(file.size for file in files)
            return [PushedFile(f"{top}/{root}_{stamp}.tgz", size=size, modified=now, blocks=packed)]
        return [
            PushedFile(
                path=f"{top}/{file.path}",
                size=file.size,
                modified=file.modified(now),
                blocks=partial(content, file),
            )
            for file in files
        ]

    def _content(self, now: datetime, location: str, file: VirtualFile) -> Iterator[bytes]:
        # A file that is still written has no end yet: no checksum and no length.
        ending = 8 if file.path.endswith(".gzo") else 0
        size = file.size + ending
        packed = file.path.endswith((".gz", ".gzo")) and size >= SMALLEST_GZIP
        if packed:
            file = msgspec.structs.replace(file, size=unpacked_size(size))
        content = self._node.blocks(location, file)
        options = self._node.options
        if options.stamps:
            content = stamped(content, file, now, options.timezone)
        return without_last(gzipped(content, size), ending) if packed else content

    def _print_dot(self, size: int, *, whole: bool) -> None:
        """Prints a dot if one is due, after `size` bytes were sent. `whole`: the file has ended."""
        self._unshown += size
        if whole or self._unshown >= _BYTES_A_DOT:
            self._unshown = 0
            self._terminal.write(texts.TRANSFER_DOT)


def _invented(like: VirtualFile, count: int) -> list[VirtualFile]:
    stem = f"{like.folder}/" if like.folder else ""
    return [
        msgspec.structs.replace(like, path=f"{stem}invented{n:06d}.txt.gz")
        for n in range(1, count + 1)
    ]


def _yes(answer: str) -> bool | None:
    return {"y": True, "yes": True, "n": False, "no": False}.get(answer.lower())


def _anything(answer: str) -> str | None:
    return answer or None


def _port(answer: str) -> int | None:
    if not answer:
        return 22
    if not answer.isascii() or not answer.isdigit() or not 0 < int(answer) < 65536:
        return None
    return int(answer)


def _address(answer: str) -> str | None:
    try:
        return str(ip_address(answer))
    except ValueError:
        # Digits and dots that are not a valid address are not a host name either.
        numeric = answer.replace(".", "").isdigit()
        return answer if not numeric and _HOST_NAME.fullmatch(answer) else None


# The questions about the receiver in their usual order. For each: the field of PushTarget, the
# question, a function that converts the answer or returns None to ask again, and the echo.
_RECEIVER: dict[Step, tuple[str, str, Callable[[str], Any], Echo]] = {
    Step.ADDRESS: ("host", texts.ASK_HOST, _address, Echo.PLAIN),
    Step.PORT: ("port", texts.ASK_PORT, _port, Echo.PLAIN),
    Step.USER: ("username", texts.ASK_USER, _anything, Echo.PLAIN),
    Step.PASSWORD: ("password", texts.ASK_PASSWORD, _anything, Echo.STARS),
    Step.DIRECTORY: ("directory", texts.ASK_DIRECTORY, _anything, Echo.PLAIN),
}
