"""Runs `cucmctl` in a process of its own, for work that takes all cores or has to end at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence

import trio

# Seconds that cucmctl has after a cancel, to remove its files and to say what is known.
_GRACE = 5.0
# Bytes of the output, and of a line of the messages, that are kept.
_MOST_PRINTED = 64 * 1024


async def run_cucmctl(
    words: Sequence[str],
    tell: Callable[[str], None],
    printed: bytearray | None = None,
    *,
    typed: str = "",
    environ: Mapping[str, str] | None = None,
    folder: str | None = None,
) -> int | None:
    """Runs `cucmctl` until it ends, and returns its exit code. If this is cancelled, cucmctl gets
    SIGINT, and later a SIGKILL. Its last messages are told too.

    words    the arguments
    tell     is called with each line of standard error
    printed  gets the end of standard output
    typed    lines for standard input, without the end of the last line
    environ  the environment; None for that of this process
    folder   the working directory; None for that of this process

    Raises `OSError`.
    """
    printed = bytearray() if printed is None else printed
    process = await trio.lowlevel.open_process(
        [sys.executable, "-P", "-m", "cucmctl", *words],
        env=environ,
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,  # so that Ctrl-C at our terminal does not reach it
    )
    stdin, stdout, stderr = process.stdin, process.stdout, process.stderr
    assert stdin is not None
    assert stdout is not None
    assert stderr is not None

    async def send_typed() -> None:
        async with stdin:
            try:
                await stdin.send_all(f"{typed}\n".encode())
            except trio.BrokenResourceError:  # cucmctl has ended
                pass

    async def keep_printed() -> None:
        async for data in stdout:
            printed.extend(data)
            del printed[:-_MOST_PRINTED]

    async def tell_lines() -> None:
        async for line in _lines(stderr):
            tell(line)

    async with stdin, stdout, stderr, trio.open_nursery() as waiting:
        waiting.start_soon(_interrupt_when_cancelled, process)
        with trio.CancelScope(shield=True):
            async with trio.open_nursery() as streams:
                for task in (send_typed, keep_printed, tell_lines):
                    streams.start_soon(task)
                await process.wait()
                # Another process may have inherited the pipes.
                streams.cancel_scope.deadline = trio.current_time() + _GRACE
        waiting.cancel_scope.cancel()
    return process.returncode


async def _interrupt_when_cancelled(process: trio.Process) -> None:
    try:
        await trio.sleep_forever()
    finally:
        # Python handles a signal that arrives just before a system call only after that call, and
        # cucmctl can wait for a server's answer for minutes. The second signal interrupts the call.
        for _ in range(2):
            if process.returncode is None:
                process.send_signal(signal.SIGINT)
                with trio.move_on_after(_GRACE / 2, shield=True):
                    await process.wait()
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)


async def _lines(stream: trio.abc.ReceiveStream) -> AsyncIterator[str]:
    left = b""
    async for data in stream:
        *lines, left = (left + data).split(b"\n")
        left = left[:_MOST_PRINTED]
        for line in lines:
            yield line.decode(errors="backslashreplace")
