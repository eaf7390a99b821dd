"""Makes a job with traces of several nodes, to search in."""

import gzip
import hashlib
import io
import random
import tarfile
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec

from cucmd.job.collect import Collect
from cucmd.job.node import Node
from cucmd.received_file import ReceivedFile
from rig.collected import JOB_ID, WORK, record

ZONES = {"pub": "Europe/Berlin", "sub1": "America/New_York", "sub2": "Asia/Kolkata"}
SDL = "cm/trace/ccm/sdl/SDL001_100_{:06}.txt.gz"
_SIGNALS = ("CcSetupReq", "SIPStationInit", "StationOutputDisplayText", "CcDisconnInd")


def header(local: datetime, zone: ZoneInfo) -> bytes:
    offset = local.replace(tzinfo=zone).strftime("%z")
    return (
        f"{1:08}.000 |{local:%H:%M:%S}.000 |FileHead |UTC:{offset[:3]}:{offset[3:]},"
        f" Date:{local:%Y/%m/%d}, Node: 1\n"
    ).encode()


def sdl_lines(
    begin: datetime, zone: str, number: int, step: timedelta, seed: int
) -> Iterator[bytes]:
    """Yields the lines of a file, of which the first has the date. begin: in UTC.

    Some lines are followed by a SIP message, whose lines have no stamp.
    """
    dice, where = random.Random(seed), ZoneInfo(zone)
    for at in range(number):
        local = (begin + at * step).astimezone(where).replace(tzinfo=None)
        if not at:
            yield header(local, where)
        stamp = f"{at:08}.{at % 1000:03} |{local:%H:%M:%S}.{local.microsecond // 1000:03} "
        signal = dice.choice(_SIGNALS)
        yield f"{stamp}|SdlSig   |{signal} |wait |{dice.getrandbits(64):016x}|{at}\n".encode()
        if dice.random() < 0.1:
            yield b"SIP/2.0 %d Answer\r\n" % dice.choice((180, 200, 503))
            yield f"Call-ID: {dice.getrandbits(64):x}@192.0.2.1\r\n\r\n".encode()


def archive(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return packed.getvalue()


def make_job(
    state: Path,
    files: dict[str, bytes],
    job_id: str = JOB_ID,
    *,
    nodes: Sequence[Node] = (),
    work: Collect = WORK,
) -> Path:
    """Makes a closed job, and returns its folder.

    files: the content by node and path: "pub/cm/trace/x.txt".
    nodes: by default, those with a file. Their zones are those in `ZONES`.
    """
    folder, received = state / "jobs" / job_id, []
    for given, content in files.items():
        node, _, name = given.partition("/")
        path = f"{node}/files/192.0.2.9/stamp/{name}"
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        received.append(ReceivedFile(node, path, len(content), digest, True, True, 1))
    names = dict.fromkeys(given.partition("/")[0] for given in files)
    found = nodes or [msgspec.structs.replace(Node(n), zone=ZONES.get(n)) for n in names]
    record(state, received, job_id, nodes=found, work=work)
    return folder


def traces(begin: datetime, files: int, lines: int, step: timedelta) -> dict[str, bytes]:
    """Returns traces of the nodes in `ZONES`: of each node, files that follow each other."""
    return {
        f"{node}/{SDL.format(number)}": gzip.compress(
            b"".join(
                sdl_lines(begin + number * lines * step, zone, lines, step, hash((place, number)))
            ),
            3,
        )
        for place, (node, zone) in enumerate(ZONES.items())
        for number in range(files)
    }
