"""Downloads with curl: their memory, and downloads that do not come to their end.

None of these looks complete or leaves anything behind.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from cucmweb.places import DOWNLOADS_PER_CALLER
from rig.daemon import Daemon, running_daemon
from rig.exported import Case, make_job
from rig.quiet import wait_until
from rig.web import Web, running_web

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed"),
    pytest.mark.skipif(shutil.which("unzip") is None, reason="unzip is not installed"),
]
MIB = 1 << 20
# Bytes of a file of which not all waits in pipes and sockets.
LONG = 8 * MIB
LARGE, CHANGED = "0a1b2c3d4e5f", "1a1b2c3d4e5f"
PATHS = {form: f"/jobs/{LARGE}/export.{form}" for form in ("zip", "tar")}
TRANSCRIPT = f"/jobs/{LARGE}/nodes/a/transcript"
# Programs that read all of an export, and say whether it is whole: `tar` of a pipe alone, since it
# skips what is in a file.
TESTS = {"tar": ["tar", "-tf", "-"], "zip": ["unzip", "-tqq"]}
CUT_OFF = 18  # curl: less came than there was to be
SILENCE = 2  # seconds for a daemon to answer; 60 otherwise
forms = pytest.mark.parametrize("form", PATHS)


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    """Runs a daemon with a job of 200 MiB and a long transcript."""
    folder = tmp_path_factory.mktemp("downloads") / "cucmd"
    job = make_job(folder / "state", {"one": 100 * MIB, "two": 100 * MIB}, LARGE, sparse=True)
    (job / "a/transcript.log").write_text("admin:show status\n" * 500_000)
    make_job(folder / "state", {"one": LONG, "two": LONG}, CHANGED, sparse=True)
    with running_daemon(folder) as daemon:
        yield Case(daemon, job)


@pytest.fixture(scope="module")
def _web_of_a_module(case: Case, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    folder = tmp_path_factory.mktemp("downloads") / "web"
    with running_web(folder, case.daemon.socket) as web:
        yield web


@pytest.fixture
def web(_web_of_a_module: Web, case: Case) -> Iterator[Web]:
    yield _web_of_a_module
    wait_until_free(_web_of_a_module, case)


def wait_until_free(web: Web, case: Case) -> None:
    """Waits until `cucmweb` has no client and nobody reads the job."""
    wait_until(lambda: web.clients() == 0)
    wait_until(lambda: case.exporting() == [] and not case.in_use())


class Download:
    """A running curl. The test reads its output, so curl reads no further than the test."""

    def __init__(self, process: subprocess.Popen[bytes], request_id: str) -> None:
        assert process.stdout is not None
        self.process = process
        self.request_id = request_id
        self.stdout = process.stdout
        self.came = b""

    def read(self, size: int) -> None:
        self.came += self.stdout.read(size)

    def ended(self) -> int:
        """Reads the rest of the output. Returns the exit code of curl."""
        self.came += self.stdout.read()
        return self.process.wait(60)


@contextmanager
def download(web: Web, path: str) -> Iterator[Download]:
    request_id = f"download-{os.urandom(4).hex()}"
    command = ["curl", "-sS", "--no-buffer", "--unix-socket", str(web.socket)]
    command += ["-H", f"x-request-id: {request_id}", f"http://localhost{path}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            yield Download(process, request_id)
        finally:
            process.kill()


def begun(web: Web, path: str, stack: ExitStack) -> Download:
    one = stack.enter_context(download(web, path))
    one.read(1000)
    return one


def assert_cut_off(one: Download, web: Web, folder: Path, form: str | None = None) -> None:
    """Checks that a download was cut off: the exit code of curl, the bytes, and the log."""
    assert one.ended() == CUT_OFF
    if form is not None:
        assert not looks_whole(one.came, folder, form)
    wait_until(lambda: f"request {one.request_id} was cut off" in web.log.read_text())


def looks_whole(came: bytes, folder: Path, form: str) -> bool:
    (folder / "export.zip").write_bytes(came)
    command = [*TESTS[form], *(["export.zip"] if form == "zip" else [])]
    done = subprocess.run(command, cwd=folder, input=came, capture_output=True, check=False)
    return done.returncode == 0


# Memory.


@forms
def test_memory_is_flat(web: Web, case: Case, form: str) -> None:
    both: tuple[Web | Daemon, ...] = (web, case.daemon)
    assert web.ask("GET", "/jobs").status == 200
    idle = [one.memory() for one in both]
    with download(web, PATHS[form]) as one:
        size = 0
        while piece := one.stdout.read(MIB):
            size += len(piece)
        assert one.process.wait(60) == 0
    assert size > 200 * MIB
    grown = [one.most_memory() - before for one, before in zip(both, idle, strict=True)]
    assert max(grown) < 16 * MIB


# Who leaves, or does not read.


def test_leaving_client_frees_its_place(web: Web) -> None:
    """It also frees the connection to the daemon and the thread that packs."""
    most = web.threads() + DOWNLOADS_PER_CALLER
    request = f"GET {PATHS['zip']} HTTP/1.1\r\nhost: localhost\r\nx-request-id: leaves\r\n\r\n"
    for times in (1, 2):
        with ExitStack() as stack:
            for _ in range(DOWNLOADS_PER_CALLER):
                sock = stack.enter_context(web.raw(request.encode()))
                assert sock.recv(12) == b"HTTP/1.1 200"
            refused = web.ask("GET", PATHS["zip"])
            assert (refused.status, refused.json()["code"]) == (429, "TooManyDownloads")
        ended = times * DOWNLOADS_PER_CALLER
        wait_until(lambda: web.log.read_text().count("request leaves") == ended)  # noqa: B023
        assert web.threads() <= most


# What is not as it was received.


@pytest.fixture
def changed(case: Case) -> Iterator[Path]:
    """Yields the second of two files of a job, and restores it afterwards."""
    file = case.folder.with_name(CHANGED) / "a/files/two"
    yield file
    file.unlink(missing_ok=True)
    file.touch()
    os.truncate(file, LONG)
    with case.daemon.client() as client:  # which has the daemon forget what was wrong
        assert [one for reply in client.verify(CHANGED) for one in reply.wrong] == []


@forms
@pytest.mark.parametrize("at", ["", "/ui"], ids=["program", "page"])
def test_damaged_file_is_left_out(
    web: Web, changed: Path, tmp_path: Path, form: str, at: str
) -> None:
    path = f"{at}/jobs/{CHANGED}/export.{form}"
    with download(web, path) as whole:
        assert whole.ended() == 0
        assert looks_whole(whole.came, tmp_path, form)
    with changed.open("r+b") as file:
        file.seek(LONG // 2)
        file.write(b"x")
    with download(web, path) as one:
        assert_cut_off(one, web, tmp_path, form)
    assert f"request {one.request_id} was cut off: not as received" in web.log.read_text()
    with download(web, path) as again:
        assert again.ended() == 0
        assert looks_whole(again.came, tmp_path, form)
        assert b"a: two has another checksum" in again.came  # in the summary


@forms
@pytest.mark.parametrize("size", [None, LONG - 1], ids=["removed", "cut"])
def test_missing_file_cuts_export_off(
    web: Web, changed: Path, tmp_path: Path, form: str, size: int | None
) -> None:
    with ExitStack() as stack:
        one = begun(web, f"/jobs/{CHANGED}/export.{form}", stack)
        changed.unlink() if size is None else os.truncate(changed, size)
        assert_cut_off(one, web, tmp_path, form)


# A daemon that goes, or says nothing.


def test_killed_daemon_cuts_download_off(tmp_path: Path) -> None:
    make_job(tmp_path / "cucmd/state", {"one": LONG}, LARGE, sparse=True)
    with (
        running_daemon(tmp_path / "cucmd") as daemon,
        running_web(tmp_path / "web", daemon.socket) as web,
        ExitStack() as stack,
    ):
        downloads = {form: begun(web, path, stack) for form, path in PATHS.items()}
        daemon.kill()
        for form, one in downloads.items():
            assert_cut_off(one, web, tmp_path, form)
