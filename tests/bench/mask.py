"""Measures how fast and in how much memory `cucmctl mask` masks traces.

The traces are those of a site with 200 telephones, as CUCM writes them with detailed tracing: SDL
lines with times and counters, whole SIP messages with identifiers of their own, SCCP, digit
analysis, dumps of ISDN messages, and searches of the data base. About a quarter of the text is in
words that were not there before, and half of the lines appear once.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from figures import Figure, Measures, Sample
from installed import Version
from rig.call_traces import Leg, Phone, Traces
from served import clean_environ

_PHONES = 200
_BYTES_OF_CALL = 20_000
_FILE = 1_000_000  # bytes of a file, as of CUCM
_FIRST = ("Anna", "Bernd", "Carla", "David", "Elena", "Frank", "Greta", "Ingo", "Julia", "Karl")
_LAST = ("Miller", "Schmidt", "Becker", "Wagner", "Fischer", "Koch", "Richter", "Klein", "Wolf")
_HEADERS = (
    "Max-Forwards: 70",
    "User-Agent: Cisco-CP8841/12.8.1",
    "Allow: INVITE, OPTIONS, INFO, BYE, CANCEL, ACK, PRACK, UPDATE, REFER, SUBSCRIBE, NOTIFY",
    "Supported: replaces,join,sdp-anat,norefersub,resource-priority,extended-refer",
)
_SDP = (
    "b=AS:4064\nt=0 0\na=rtpmap:114 opus/48000/2\na=fmtp:114 maxplaybackrate=16000;stereo=0\n"
    "a=rtpmap:9 G722/8000\na=rtpmap:0 PCMU/8000\na=rtpmap:8 PCMA/8000\na=rtpmap:18 G729/8000\n"
    "a=fmtp:18 annexb=no\na=rtpmap:101 telephone-event/8000\na=fmtp:101 0-15\na=sendrecv"
)
# A process is at least as large as the one that starts it was, so a small one must start it.
_LAUNCHER = """if True:
    import os, sys
    os.sched_setaffinity(0, map(int, sys.argv[1].split(",")))
    process = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ)
    _, status, usage = os.wait4(process, 0)
    print(status, usage.ru_utime + usage.ru_stime, usage.ru_maxrss)
"""


def reason_to_skip(versions: Sequence[Version]) -> str | None:
    for version in versions:
        asked = [version.bin / "cucmctl", "mask", "--help"]
        if subprocess.run(asked, capture_output=True, env=clean_environ(), check=False).returncode:
            return f"{version.name} has no mask"
    return None


@contextmanager
def prepared(versions: Sequence[Version], options: Namespace) -> Iterator[Measures]:
    with tempfile.TemporaryDirectory(prefix="cucmd-bench-") as folder:
        source = Path(folder, "traces")
        size = write_traces(source, options.size * 1_000_000 // 16)
        yield [partial(_measure, version, source, size) for version in versions]


def write_traces(folder: Path, size: int) -> int:
    """Writes traces of at least `size` bytes, and returns how many there are."""
    written = 0
    for node, files in _Site().write(size // _BYTES_OF_CALL).files(_FILE).items():
        for name, data in files.items():
            path = folder / node / name
            path.parent.mkdir(parents=True, exist_ok=True)
            written += path.write_bytes(data)
    return written


def _measure(version: Version, source: Path, size: int) -> Sample:
    one, all_cores = {min(os.sched_getaffinity(0))}, os.sched_getaffinity(0)
    _, used, memory = _mask(version, source, one)
    took, used_by_all, memory_of_one = _mask(version, source, all_cores)
    return {
        Figure("masked on one core, by processor time", "MB/s", aim="10 MB/s"): size / used,
        Figure("    processor time of this", "s", decides=True): used,
        Figure("    memory", "MB"): memory,
        Figure(f"masked on {len(all_cores)} cores", "MB/s", aim="18 MB/s on two"): size / took,
        Figure("    processor time of all processes", "s", decides=True): used_by_all,
        Figure("    memory of the largest process", "MB"): memory_of_one,
    }


def _mask(version: Version, source: Path, cores: set[int]) -> tuple[float, float, int]:
    """Returns the seconds, the seconds of the processor, and the bytes of the largest process."""
    with tempfile.TemporaryDirectory(prefix="cucmd-bench-") as folder:
        command = [version.bin / "cucmctl", "mask", source, "-o", Path(folder, "masked.zip")]
        began = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", _LAUNCHER, ",".join(map(str, cores)), *command],
            capture_output=True,
            check=True,
            env=clean_environ(XDG_DATA_HOME=folder, CUCMD_SOCKET=f"{folder}/none"),
        )
        took = time.perf_counter() - began
    code, used, kilobytes = done.stdout.split()[-3:]
    assert code == b"0", done.stderr.decode()
    return took, float(used), int(kilobytes) * 1024


class _Site(Traces):
    """Writes the calls of many telephones, with all that CUCM traces beside them."""

    def __init__(self) -> None:
        super().__init__()
        dice = random.Random(5)
        self._names: dict[str, str] = {}
        for number in range(_PHONES):
            mac = f"{dice.choice(('38ed18', '6c416a', '001819'))}{dice.getrandbits(24):06x}"
            extension = str(7021100 + number if number % 3 else 2000 + number)
            address, node = f"10.48.0.{10 + number}", self.nodes[number % 2]
            self.phones.append(Phone(extension, mac, address, node, 100 + number))
            name = f"{_LAST[number % len(_LAST)]}, {_FIRST[number % len(_FIRST)]}"
            self._names[extension] = name

    def _message(
        self, leg: Leg, at: datetime, cause: str, incoming: bool, first: str, *headers: str
    ) -> None:
        dice, named = self._random, []
        for header in headers:
            field, _, value = header.partition(" ")
            number = value.removeprefix("<sip:").partition("@")[0]
            if field in ("From:", "To:") and number in self._names:
                value = f'"{self._names[number]}" {value}'
            elif field == "Via:":
                value = f"{value.partition('=')[0]}=z9hG4bK{dice.getrandbits(48):x}"
            named.append(f"{field} {value}")
        named += [f"Date: {at:%a, %d %b %Y %H:%M:%S} GMT", *_HEADERS]
        if "INVITE" in first or "200" in first:
            named += [
                f"Contact: <sip:{leg.number}@{leg.address}:50147;transport=tcp>",
                "Content-Type: application/sdp\n\nv=0",
                f"o=Cisco-SIPUA {dice.randrange(30000)} 0 IN IP4 {leg.address}\ns=SIP Call",
                f"c=IN IP4 {leg.address}\nm=audio {dice.randrange(16384, 32768, 2)} RTP/AVP 114 0",
                _SDP,
            ]
        super()._message(leg, at, cause, incoming, first, *named)

    def _noise(self, at: datetime) -> None:
        super()._noise(at)
        dice = self._random
        for _ in range(12):
            phone = dice.choice(self.phones)
            mac, number, id32 = phone.mac.upper(), phone.number, f"{dice.getrandbits(32):08x}"
            counter, dumped = dice.randrange(99999), number.encode().hex(" ").upper()
            address = bytes(map(int, phone.address.split("."))).hex()
            name, *apps = dice.choice(
                (
                    (
                        f"StationInit({phone.connection})",
                        f"StationD:    ({phone.connection:07d}) ipAddr:0x{address}{24 * '0'} "
                        f"Port={16384 + counter % 9999} rtpDtmfPayload=101",
                        f"StationInit: KeepAlive. DeviceName=SEP{mac}, TCPPid = [1.100.14.83]",
                    ),
                    (
                        "MMManInd",
                        "Out Message -- PriSetupMsg -- Protocol= PriNi2Protocol",
                        f"IsdnMsgData2= 08 02 {counter % 256:02X} 05 04 6C 06 00 81 {dumped} 70 05",
                    ),
                    (
                        f"LineCdpc(1,100,179,{counter})",
                        "RegionsServer::matchCapabilities-- savedOption=3, PREF_NONE, "
                        f"regionA=(null) regionB=(null) kbps=64, capACount={counter % 14}",
                    ),
                    (
                        "SIPOptionsReq",
                        f"SIPStationD({counter}) - getDeviceInfo: SEP{mac} ipaddr={phone.address} "
                        f"ccbId={counter} sipRegAge={counter % 3600}",
                        f"//SIP/SIPUdp/wait_UdpDataInd: {phone.address} ref 0x{id32} in 0.4 ms",
                    ),
                    (
                        "AuConnectRequest",
                        f"ConnectionManager(1): wait_AuConnectRequest({counter},{counter + 1}) "
                        f"pkid=[{id32}-863d-879c-f003-9b6de9a1fae5]",
                        f"MediaExchange({counter}): state change from WaitCaps to Active",
                    ),
                    (
                        "DbObjectCounterUpdate",
                        f"CCM|DbMobility: can't find remdest {number} in map",
                        f"CCM|LineControl({counter})::endPointInCall - dn={number}/SEP{mac} "
                        f"name={self._names.get(number, '').partition(',')[0]}",
                    ),
                )
            )
            cause = phone.cause(dice.randrange(9999))
            then = at + timedelta(seconds=dice.random() * 7)
            phone.node.signal(then, name, "Cdcc(1,100,219,1)", cause, f"c=0x{id32}", *apps)
