"""Measures how fast and in how much memory the files of a job are searched, beside `zgrep -h`.

The files are in the page cache. One line in a hundred is found, by a text, and then none, by a
regular expression. The processes that search have a low priority, so zgrep gets the same one: on a
machine that does other work too, the times can only be compared in this way.
"""

from __future__ import annotations

import gzip
import random
import subprocess
import tempfile
import time
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from figures import Figure, Measures, Sample
from installed import Version
from rig.collected import JOB_ID
from rig.searched import make_job
from served import SDL, DaemonProcess, clean_environ, cpu_of_children, running_daemon_of

_NODES = ("pub", "sub1", "sub2")
_FILE = 32_000_000  # bytes of an unpacked file, which has the lines of ten minutes
_TEXT, _PATTERN = "StationOutputDisplayNotify", r"CcSetupReq .*\|7021[0-9]{4}\|never"
_PAUSE = 0.5  # seconds between two looks at the memory


def reason_to_skip(versions: Sequence[Version]) -> str | None:
    for version in versions:
        asked = [version.bin / "cucmctl", "find", "--help"]
        if subprocess.run(asked, capture_output=True, env=clean_environ(), check=False).returncode:
            return f"{version.name} has no find"
    return None


@contextmanager
def prepared(versions: Sequence[Version], options: Namespace) -> Iterator[Measures]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cucmd-bench-")))
        files = dict(_files(options.size * 1_000_000))
        measures = []
        for place, version in enumerate(versions):
            job = make_job(folder / str(place) / "state", files)
            daemon = stack.enter_context(running_daemon_of(version, folder / str(place)))
            daemon.wait_until_idle()
            measures.append(partial(_measure, daemon, job, len(files) * _FILE))
        yield measures


def _files(size: int) -> Iterator[tuple[str, bytes]]:
    """Yields the name and the content of each file. Files of one time have the same content."""
    dice = random.Random(7)
    made, lines = 0, []
    while made < _FILE:
        second = made * 600 // _FILE
        signal = _TEXT if dice.random() < 0.01 else dice.choice(("CcSetupReq ", "SIPStationInit"))
        lines.append(
            f"{len(lines):08}.000 |@@:@{second // 60}:{second % 60:02}.{dice.randrange(1000):03} "
            f"|SdlSig   |{signal:40} |wait                           |Cdcc(1,100,219,{second}) "
            f"|{dice.getrandbits(48):012x} |[R:N-H:0,N:0,L:0,V:0,Z:0,D:0]\n"
        )
        made += len(lines[-1])
    text = "".join(lines).encode()
    for number in range(max(1, size // _FILE // len(_NODES))):
        time_of_day = b"|%02d:%d" % divmod(number % 144, 6)
        head = b"00000000.000 %s0:00.000 |FileHead |UTC:+00:00, Date: 2026/11/25,\n" % time_of_day
        packed = gzip.compress(head + text.replace(b"|@@:@", time_of_day), 4)
        for node in _NODES:
            yield f"{node}/{SDL}/SDL001_100_{number:06}.txt.gz", packed


def _measure(daemon: DaemonProcess, job: Path, size: int) -> Sample:
    files = sorted(job.glob("*/files/**/*.gz"))
    sample: dict[Figure, float] = {}
    for what, ours, theirs in (
        ("text in 1 % of the lines", [_TEXT], ["-F", _TEXT]),
        ("regular expression in no line", ["--regex", _PATTERN], ["-E", _PATTERN]),
    ):
        found, took, used, memory = _find(daemon, ours)
        printed, took_zgrep, used_zgrep = _zgrep(theirs, files)
        assert found == printed, (found, printed)
        sample |= {
            Figure(f"searched for a {what}", "MB/s"): size / took,
            Figure("    how many times as long as zgrep takes" + _for(what)): took / took_zgrep,
            Figure("    how much of the processor's time" + _for(what)): used / used_zgrep,
            Figure("    processor time of all" + _for(what), "s", decides=True): used,
            Figure("    most memory of the daemon" + _for(what), "MB"): memory,
        }
    return sample


def _for(what: str) -> str:
    return f" ({what.split(' in ', maxsplit=1)[0]})"


def _find(daemon: DaemonProcess, search: Sequence[str]) -> tuple[int, float, float, int]:
    """Returns the lines, the seconds, the seconds of the processor, and the most memory."""
    command = [daemon.version.bin / "cucmctl", "find", JOB_ID, *search]
    environment = clean_environ(CUCMD_SOCKET=str(daemon.socket))
    used, began, memory = daemon.cpu() + cpu_of_children(), time.perf_counter(), 0
    with tempfile.TemporaryFile() as output:
        with subprocess.Popen(
            command, stdout=output, stderr=subprocess.PIPE, env=environment
        ) as running:
            while running.poll() is None:
                memory = max(memory, daemon.memory())
                time.sleep(_PAUSE)
            assert running.returncode in (0, 1, 3), running.stderr.read()
        took = time.perf_counter() - began
        output.seek(0)
        lines = sum(1 for _ in output)
    return lines, took, daemon.cpu() + cpu_of_children() - used, memory


def _zgrep(search: Sequence[str], files: Sequence[Path]) -> tuple[int, float, float]:
    used, began = cpu_of_children(), time.perf_counter()
    with tempfile.TemporaryFile() as output:
        command = ["nice", "-n", "10", "zgrep", "-h", *search, *files]
        subprocess.run(command, stdout=output, check=False, env=clean_environ(LC_ALL="C"))
        took = time.perf_counter() - began
        output.seek(0)
        lines = sum(1 for _ in output)
    return lines, took, cpu_of_children() - used
