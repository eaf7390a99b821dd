"""Whole texts, kept in pages/, at 80 columns and in a pipe.

`cd tests && python -m unit.ctl.test_kept_pages` writes them again; `git diff` then shows the change
as people will read it. Other tests look at single fields.
"""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from cucmctl.text import job_list, listing, render
from cucmd.failure import Code, failure
from cucmd.job.capture import CaptureSettings
from cucmd.job.collect import PathSize, Sizes
from cucmd.job.coverage import Gap
from cucmd.job.work_request import Collection
from cucmd.protocol.cases import File
from cucmd.protocol.jobs import Job, JobSummary, Node
from unit.ctl.conftest import make_job, make_node

PAGES = Path(__file__).parent / "pages"
ZONE = "Europe/Berlin"
# An earlier year, so that the texts never change.
UNTIL = datetime(2020, 11, 27, 23, 25, tzinfo=UTC)
SINCE = UNTIL - timedelta(hours=1)
NOW = UNTIL + timedelta(minutes=20)
CALLMANAGER = Collection(
    profile="callmanager",
    paths=("cm/trace/ccm/sdl", "cm/trace/ccm/calllogs"),
    last="1h",
    since=SINCE.isoformat(),
    until=UNTIL.isoformat(),
)


def node(name: str, status: str = "succeeded", **fields: Any) -> Node:
    values = {"started_at": UNTIL, "completed_at": UNTIL + timedelta(seconds=42), "zone": "UTC"}
    return make_node(f"{name}.example.org", status, **{**values, **fields})


def failed(name: str, code: Code, message: str, hint: str | None = None, **fields: Any) -> Node:
    why = failure(code, message, hint=hint)
    return node(name, "failed", error=message, failure=why, **fields)


def refused(name: str) -> Node:
    said = f"cannot connect to {name}.example.org: Connection refused"
    return failed(name, Code.CONNECTION_REFUSED, said)


def job(status: str, *nodes: Node, **fields: Any) -> Job:
    values = {
        "closed": True,
        "created_at": UNTIL,
        "started_at": UNTIL,
        "completed_at": UNTIL + timedelta(seconds=102),
        "directory": "/srv/cucmd/jobs/3f2a00112233",
        "collection": CALLMANAGER,
        "owner": 0,
        "username": "administrator",
        "targets": ("berlin",),
    }
    return make_job(*nodes, status=status, **{**values, **fields})


def status(**layout: Any) -> Iterator[str]:
    """Shows gaps and failures."""
    came = {"files_announced": 27, "files_received": 27, "bytes_received": 45_600_000}
    late = timedelta(minutes=32, seconds=9)
    begins = Gap("cm/trace/ccm/calllogs", "begin", None, 1929, SINCE + late)
    ends = Gap("cm/trace/ccm/sdl", "end", "6h", 600, UNTIL - timedelta(minutes=10), "sdl/SDL001")
    covers = "covers 23:25 to 00:25 (Europe/Berlin)"
    one = job(
        "partial",
        node("cucm-pub", gaps=(begins,), **came),
        node("cucm-sub1", gaps=(begins, ends), **came),
        node("cucm-sub2", gaps=(Gap("cm/trace/ccm/sdl", "all"),)),
        node("cucm-sub3", coverage=covers, **came),
        node("cucm-sub4", coverage=covers, notes=("28 files came",), **came),
        node("cucm-sub5", coverage="coverage unknown: 27 files could not be read", **came),
        refused("cucm-sub6"),
        refused("cucm-sub7"),
        failed(
            "imp1",
            Code.TRANSFER_INCOMPLETE,
            "cm/trace/ccm/sdl: 1 byte short: 1,799,999 of 1,800,000",
            **{**came, "bytes_announced": 1_800_000, "bytes_received": 1_799_999},
        ),
        failed("imp2", Code.COMMAND_TIMEOUT, "TimeoutError: Timed out after 600s"),
        node("imp3", "cancelled", bytes_received=5000),
        labels={"site": "berlin", "case": "698123456"},
    )
    yield from render.show_job(one, NOW, **layout)


def failed_start(**layout: Any) -> Iterator[str]:
    """Shows how `start --wait` ends where no node took the login."""
    one = job(
        "failed",
        failed("cucm-pub", Code.AUTH_FAILED, "cucm-pub.example.org refused the login"),
        failed("cucm-sub1", Code.AUTH_FAILED, "cucm-sub1.example.org refused the login"),
        failed(
            "cucm-sub2",
            Code.HOST_KEY_CHANGED,
            "the host key of cucm-sub2.example.org has changed",
            "if it was reinstalled: cucmctl hostkeys forget cucm-sub2.example.org",
        ),
    )
    layout.pop("colour", None)
    yield from render.ending(one, **layout)
    yield from render.where_files_are(one)


def dry_run(**layout: Any) -> Iterator[str]:
    """Shows a node that refused, and one that does not fit."""

    def sized(name: str, size: int, **fields: object) -> Node:
        paths = (PathSize("cm/trace/ccm/sdl", 24, size), PathSize("cm/trace/ccm/calllogs", 3, 9000))
        return node(name, sizes=Sizes(paths, 20_000_000_000, **fields))

    too_much = "800,009,000 bytes more than limits.node_bytes leaves (1,000,000,000)"
    one = job(
        "partial",
        sized("cucm-pub", 45_600_000, fits=True),
        sized("cucm-sub1", 1_800_000_000, fits=False, why=too_much),
        refused("cucm-sub2"),
        kind="dry_run",
    )
    yield from render.show_job(one, NOW, **layout)


def files(**layout: Any) -> Iterator[str]:
    at, push = UNTIL - timedelta(minutes=7), "192.0.2.9/2020-11-27_23-25-09"
    sdl = f"{push}/cm/trace/ccm/sdl/SDL001_100_000{{}}.txt.gz"
    found = [
        File("cucm-pub", sdl.format(1), 1_800_000, True, False, "a" * 64, 1, at),
        File("cucm-pub", sdl.format(2), 7_300, True, True, "b" * 64, 2, at),
        File("cucm-pub", "output/001-show-status.txt", 512, True, True, "c" * 64, 2),
        File("cucm-pub", sdl.format(3), 10**9, False, False, None, 2, at),
    ]
    long = [File("cucm-sub1", f"{push}/cm/trace/{'folder/' * 9}sdi.log", 5, True, True)]
    yield from listing.files("cucm-pub.example.org", found, long=False, **layout)
    yield from listing.files("cucm-sub1.example.org", long, long=False, **layout)


def jobs(**layout: Any) -> Iterator[str]:
    def summary(job_id: str, status: str, kind: str, **fields: object) -> JobSummary:
        pub = node("cucm-pub", bytes_received=15_200_000)
        sub = node("cucm-sub1", "failed" if status == "failed" else "succeeded")
        one = render.summary(job(status, pub, sub, kind=kind))
        return replace(one, job_id=job_id, **fields)

    sdl = Collection(paths=("cm/trace/ccm/sdl", "cm/trace/ccm/calllogs"), last="2h")
    capture = CaptureSettings("cucmd_x", host="10.20.0.1", port=5060)
    found = [
        summary("57f3a0112233", "running", "capture", capture=capture, completed_at=None),
        summary("3f2a00112233", "succeeded", "collect", labels={"case": "698123456"}),
        summary("b10500112233", "partial", "collect", collection=sdl, targets=("a", "b")),
        summary("c0de00112233", "failed", "run", commands=("show status", "utils service list")),
        summary("0dd000112233", "succeeded", "dry_run", collection=sdl, targets=("imp1",)),
        summary("cafe00112233", "succeeded", "check", collection=Collection()),
    ]
    yield from job_list.jobs(found, NOW, **layout)


KEPT = {page.__name__: page for page in (status, failed_start, dry_run, files, jobs)}
FORMS = {"80 columns": 80, "a pipe": None}


def text_of(page: Callable[..., Iterable[str]]) -> str:
    """Writes the page in each form, without colour."""
    forms = ([f"--- {name}", *page(columns=width)] for name, width in FORMS.items())
    return "\n\n".join("\n".join(lines) for lines in forms) + "\n"


@pytest.mark.parametrize("name", KEPT)
def test_kept_pages(name, in_zone):
    in_zone(ZONE)
    kept = (PAGES / f"{name}.txt").read_text()
    assert text_of(KEPT[name]) == kept, "cd tests; python -m unit.ctl.test_kept_pages"
    narrow = kept.partition("\n\n--- a pipe")[0]
    assert max(map(len, narrow.splitlines())) <= 80


if __name__ == "__main__":
    os.environ["TZ"] = ZONE
    time.tzset()
    for name, page in KEPT.items():
        (PAGES / f"{name}.txt").write_text(text_of(page))
