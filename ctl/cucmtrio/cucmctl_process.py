"""Runs `cucmctl` in a process of its own, for work that takes all cores or has to end at once.

`cucmctl` calls the same daemon as the client that is given, and on behalf of the same person.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp

import trio

from cucmtrio.calls import Calls

# Seconds that cucmctl has after a cancel, to remove its files and to say what is known.
_GRACE = 5.0
# Bytes of the output, and of a line of the messages, that are kept.
_MOST_PRINTED = 64 * 1024


async def upload_job(
    client: Calls,
    job_id: str,
    options: Sequence[str],
    tell: Callable[[str], None],
    printed: bytearray,
    *,
    typed: str = "",
    folder: Path | None = None,
) -> None:
    """Exports a job into a temporary folder, and uploads the export. Cancelling this ends both.

    options  those of `TargetSettings.options` in cucmctl/upload/target.py
    tell     is called with each message, and with each update of the progress
    printed  gets the standard output of cucmctl, which `uploaded` there reads. Even after a cancel,
             it can say that the target has confirmed the file
    typed    the token and the password, a line each, for options that read standard input
    folder   where the temporary folder is made; None for where the system has such folders

    Raises `OSError`.
    """
    to = mkdtemp(prefix="export-", dir=folder)
    try:
        words = ["--json", "export", job_id, "-o", to, *options]
        await run_cucmctl(client, words, tell, printed, typed=typed, progress=True)
    finally:
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(shutil.rmtree, to, True)


async def run_cucmctl(
    client: Calls,
    words: Sequence[str],
    tell: Callable[[str], None],
    printed: bytearray | None = None,
    *,
    typed: str = "",
    progress: bool = False,
) -> int | None:
    """Runs `cucmctl` until it ends, and returns its exit code. If this is cancelled, cucmctl gets
    SIGINT, and later a SIGKILL. Its last messages are told too.

    words     the arguments
    tell      is called with each line of standard error
    printed   gets the end of standard output
    typed     lines for standard input, without the end of the last line
    progress  whether each update of the progress is told as a line

    Raises `OSError`.
    """
    printed = bytearray() if printed is None else printed
    speaker = f"{client.caller.role} {client.caller.name}" if client.caller else ""
    own = {"CUCMD_ON_BEHALF_OF": speaker, "CUCMCTL_PROGRESS_LINES": "1" if progress else ""}
    process = await trio.lowlevel.open_process(
        [sys.executable, "-P", "-m", "cucmctl", "--socket", client.socket, *words],
        env={**os.environ, **own},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,  # so that Ctrl-C at our terminal does not reach it
    )
    stdin, stdout, stderr = process.stdin, process.stdout, process.stderr
    assert stdin is not None
    assert stdout is not None
    assert stderr is not None

    async def keep_printed() -> None:
        async for data in stdout:
            printed.extend(data)
            del printed[:-_MOST_PRINTED]

    async def tell_lines() -> None:
        left = b""
        async for data in stderr:
            *lines, left = (left + data).split(b"\n")
            left = left[:_MOST_PRINTED]
            for line in lines:
                tell(line.decode(errors="backslashreplace"))

    async with stdin, stdout, stderr, trio.open_nursery() as waiting:
        waiting.start_soon(_interrupt_when_cancelled, process)
        async with trio.open_nursery() as streams:
            streams.cancel_scope.shield = True
            streams.start_soon(keep_printed)
            streams.start_soon(tell_lines)
            with suppress(trio.BrokenResourceError):  # cucmctl has ended
                await stdin.send_all(f"{typed}\n".encode())
            await stdin.aclose()
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
