"""Tests what a search finds in the files of a job, beside zgrep, and what it leaves behind."""

import gzip
import subprocess
import tarfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from cucmctl import InvalidRequest, JobBusy, JobNotFound
from cucmd.job.collect import Collect
from cucmd.protocol.cases import FindReply, Match, Search
from rig.collected import JOB_ID
from rig.daemon import CONFIG, Daemon, running_daemon
from rig.jobs import start, until
from rig.lab import Lab
from rig.quiet import wait_until
from rig.searched import SDL, ZONES, make_job, sdl_lines, traces

BEGIN = datetime(2026, 3, 8, 5, 0, tzinfo=UTC)  # two hours before New York changes its clock
SECOND = timedelta(seconds=1)
# Jobs with more matches than a client gets that does not read.
MANY = ("57f30a1b2c3d", "57f40a1b2c3d")


class Searched(NamedTuple):
    daemon: Daemon
    folder: Path  # of the job

    def replies(self, search: Search, job_id: str = JOB_ID, **more: Any) -> list[FindReply]:
        with self.daemon.client() as client:
            return list(client.find(job_id, search, **more))

    def matches(self, search: Search, **more: Any) -> list[Match]:
        return [match for reply in self.replies(search, **more) for match in reply.matches or ()]

    def zgrep(self, *arguments: str) -> list[str]:
        files = sorted(map(str, self.folder.glob("*/files/**/*.gz")))
        done = subprocess.run(
            ["zgrep", "-h", *arguments, *files], check=False, stdout=subprocess.PIPE
        )
        return done.stdout.decode().replace("\r\n", "\n").splitlines()


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Searched]:
    folder = tmp_path_factory.mktemp("find") / "cucmd"
    job = make_job(folder / "state", traces(BEGIN, 4, 5000, SECOND))
    text = gzip.compress(b"".join(sdl_lines(BEGIN, "UTC", 20_000, SECOND, 1)), 3)
    for job_id in MANY:
        files = {f"pub/{SDL.format(number)}": text for number in range(20)}
        make_job(folder / "state", files, job_id)
    with running_daemon(folder, CONFIG) as daemon:
        yield Searched(daemon, job)


@pytest.mark.parametrize("text", ["SIP/2.0 503", "CcDisconnInd |wait |00", "no such text"])
def test_text_finds_lines_of_zgrep(searched: Searched, text: str) -> None:
    found = [match.line for match in searched.matches(Search(text=text))]
    assert sorted(found) == sorted(searched.zgrep("-F", text))


@pytest.mark.parametrize("pattern", ["SIP/2.0 (5|6)", "^Call-ID: [0-9a-f]*7@", r"\d+\|[^x]*$"])
def test_regex_finds_lines_of_zgrep(searched: Searched, pattern: str) -> None:
    found = [match.line for match in searched.matches(Search(regex=pattern))]
    assert sorted(found) == sorted(searched.zgrep("-P", pattern))
    assert found


def test_context_is_that_of_zgrep(searched: Searched) -> None:
    found = searched.matches(Search(text="SIP/2.0 503"), context=3)
    lines = {
        line
        for match in found
        for line in (*(match.before or ()), match.line, *(match.after or ()))
    }
    assert lines == set(searched.zgrep("-F", "-C3", "SIP/2.0 503")) - {"--"}


def test_matches_of_all_zones_are_in_order(searched: Searched) -> None:
    replies = searched.replies(Search(text="SIP/2.0 503"))
    found = [match for reply in replies for match in reply.matches or ()]
    times = [match.time for match in found]
    assert {match.node for match in found} == set(ZONES)
    assert times == sorted(times)
    assert not any(reply.unordered for reply in replies)


@pytest.mark.parametrize("node", ZONES)
def test_matches_have_true_times(searched: Searched, node: str) -> None:
    """The last number of a line is the second of its file in which it was written."""
    found = searched.matches(Search(text="SdlSig"), nodes=[node])
    begins = [BEGIN + 5000 * SECOND * file for file in range(4) for _ in range(5000)]
    seconds = [int(match.line.rpartition("|")[2]) for match in found]
    expected = [begin + at * SECOND for begin, at in zip(begins, seconds, strict=True)]
    assert [match.time for match in found] == expected


def test_found_files_have_counts(searched: Searched) -> None:
    search = Search(text="CcSetupReq")
    matches = Counter((match.node, match.path) for match in searched.matches(search))
    found = [each for reply in searched.replies(search, files=True) for each in reply.found or ()]
    assert {(each.node, each.path): each.matches for each in found} == matches


def test_export_has_only_found_files(searched: Searched) -> None:
    search = Search(text="SIP/2.0 503")
    [first, *_] = searched.matches(search, nodes=["sub1"])
    found = msgspec.structs.replace(search, until=first.time.isoformat())
    with (
        searched.daemon.client() as client,
        client.export(JOB_ID, nodes=["sub1"], found=found) as export,
        tarfile.open(fileobj=export, mode="r|") as tar,
    ):
        names = [member.name for member in tar]
    assert [name for name in names if "SDL001" in name] == [f"sub1/{first.path}"]
    assert "manifest.json" in names


def test_never_ending_pattern_is_named(searched: Searched) -> None:
    with pytest.raises(InvalidRequest, match="SDL001_100_") as refused:
        searched.matches(Search(regex="(SdlSig|.|[a-z|]+ ?)+\0"))
    assert refused.value.parameters.parameter == "search.regex"


@pytest.mark.parametrize(
    ("search", "parameter"),
    [
        (Search(), "search"),
        (Search(text="a", regex="b"), "search"),
        (Search(text="a\nb"), "search.text"),
        (Search(regex="("), "search.regex"),
        (Search(number="abc"), "search.number"),
        (Search(call_id="a b"), "search.call_id"),
        (Search(text="a", since="yesterday"), "search.since"),
    ],
)
def test_wrong_search_names_its_field(searched: Searched, search: Search, parameter: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        searched.replies(search)
    assert refused.value.parameters.parameter == parameter


def test_no_nodes_are_refused(searched: Searched) -> None:
    with pytest.raises(InvalidRequest) as refused:
        searched.replies(Search(text="a"), nodes=[])
    assert refused.value.parameters.parameter == "nodes"


def test_closing_client_ends_processes(searched: Searched) -> None:
    before = set(searched.daemon.tree())
    with searched.daemon.client() as client:
        with closing(client.find(MANY[0], Search(text="SdlSig"))) as replies:
            next(replies)
            assert set(searched.daemon.tree()) > before
        wait_until(lambda: set(searched.daemon.tree()) == before)


def test_deletion_ends_search(searched: Searched) -> None:
    with (
        searched.daemon.client() as client,
        searched.daemon.client() as operator,
        closing(client.find(MANY[1], Search(text="SdlSig"))) as replies,
    ):
        next(replies)
        operator.delete(MANY[1])
        with pytest.raises((JobBusy, JobNotFound)):
            list(replies)


@pytest.mark.parametrize("count", [30, pytest.param(1000, marks=pytest.mark.long)])
def test_searches_leave_nothing(tmp_path: Path, count: int) -> None:
    """`running_daemon` compares the descriptors and processes of the daemon."""
    make_job(tmp_path / "cucmd/state", traces(BEGIN, 1, 100, SECOND))
    searches = [Search(text="SdlSig"), Search(text="no"), Search(regex="("), Search()]
    with running_daemon(tmp_path / "cucmd", CONFIG) as daemon, daemon.client() as client:
        for number in range(count):
            found = client.find(JOB_ID, searches[number % len(searches)])
            with closing(found) as replies, suppress(InvalidRequest):
                next(replies)


def test_export_names_unsearched_files(tmp_path: Path) -> None:
    files = {"pub/a.log": b"needle\n", "pub/b.log.gz": gzip.compress(gzip.compress(b"needle\n"))}
    make_job(tmp_path / "cucmd/state", files)
    with (
        running_daemon(tmp_path / "cucmd", CONFIG) as daemon,
        daemon.client() as client,
        client.export(JOB_ID, found=Search(text="needle")) as export,
    ):
        reply = export.reply
    assert (reply.files, reply.unsearched) == (1, 1)
    assert [file.path.rpartition("/")[2] for file in reply.unread] == ["b.log.gz"]


def test_missing_time_is_named(tmp_path: Path) -> None:
    """The log has nothing from its 1000th to its 5000th second, in a window of 6000."""
    work = Collect(("cm/trace/ccm/sdl",), since=BEGIN, until=BEGIN + 6000 * SECOND)
    files = {
        f"pub/{SDL.format(number)[:-3]}": b"".join(
            sdl_lines(BEGIN + second * SECOND, ZONES["pub"], 1000, SECOND, number)
        )
        for number, second in ((1, 0), (9, 5000))
    }
    make_job(tmp_path / "cucmd/state", files, work=work)
    with running_daemon(tmp_path / "cucmd", CONFIG) as daemon:
        searched = Searched(daemon, tmp_path)
        [missing] = searched.replies(Search(text="no such text"))[-2].missing
        inside = Search(text="x", until=(BEGIN + 900 * SECOND).isoformat())
        assert not any(reply.missing for reply in searched.replies(inside))
    assert (missing.node, missing.log) == ("pub", "cm/trace/ccm/sdl/SDL*.txt")
    assert (missing.since, missing.until) == (BEGIN + 999 * SECOND, BEGIN + 5000 * SECOND)


def test_running_job_is_searched(tmp_path: Path, make_lab: Callable[..., Lab]) -> None:
    """The first node has sent its files; the second one does not answer."""
    lab = make_lab(2, "--fault", "2=hang:command")
    with running_daemon(tmp_path / "cucmd", CONFIG) as daemon, daemon.client() as client:
        job = start(client, lab)
        until(client, job.job_id, lambda job: job.nodes[0].status == "succeeded")
        replies = Searched(daemon, tmp_path).replies(Search(text="|"), job.job_id)
        client.cancel(job.job_id)
    found = {match.node for reply in replies for match in reply.matches or ()}
    missing = [each for reply in replies for each in reply.missing or ()]
    assert found == {job.nodes[0].node}
    assert (job.nodes[1].node, "it is running") in {(one.node, one.reason) for one in missing}
