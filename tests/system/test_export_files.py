"""An export by descriptors: what comes of it is that of the stream, whoever ends it."""

import json
import os
import resource
import shutil
import socket
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from msgspec import structs

from cucmctl import DaemonUnavailable
from cucmctl.export import files as export_files
from cucmctl.export.export import Damaged, Format, save
from cucmctl.export.files import pack
from cucmctl.export.received import OpenExport
from cucmctl.export.target import target
from rig.collected import JOB_ID
from rig.daemon import Daemon
from rig.exported import LARGE, SMALL, UNREAD, Case, running
from rig.quiet import wait_until

FORMATS: dict[Format, str] = {"zip": ".zip", "tar": ".tar", "tgz": ".tar.gz", "dir": ""}
ODD = {
    "empty": 0,
    "of a block": 512,
    "large": LARGE,
    "folder/" * 30 + "long": 700,
    "x\\y\nz": 1,
    "größe": 5,
    "\udcff": 6,
    "..\\..\\up": 7,
    "sdl/Case.txt": 8,
    "sdl/case.txt": 9,
    "nul.txt": 10,
    "larger": LARGE + 1,
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    with running(tmp_path_factory.mktemp("files"), ODD | SMALL) as case:
        yield case


@pytest.fixture
def case(whole: Case) -> Iterator[Case]:
    """Afterwards nobody holds the job, and the daemon has no file of it open."""
    yield whole
    wait_until(lambda: not whole.in_use())
    assert whole.open_files() == []


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Case]:
    """A job that the test may change."""
    with running(tmp_path, SMALL) as case:
        yield case


# What comes of it


def by_stream(case: Case, path: Path, form: Format) -> None:
    with (
        case.daemon.client() as client,
        client.export(JOB_ID) as export,
        target(path, form, force=False) as sink,
    ):
        save(export, sink)


def content(path: Path) -> bytes | dict[str, tuple[bytes, int]]:
    if path.is_file():
        return path.read_bytes()
    return {
        str(file.relative_to(path)): (file.read_bytes(), int(file.stat().st_mtime))
        for file in path.rglob("*")
        if file.is_file()
    }


@pytest.mark.parametrize("form", FORMATS)
def test_the_result_is_that_of_the_stream(case: Case, tmp_path: Path, form: Format) -> None:
    by_stream(case, tmp_path / "stream", form)
    path = tmp_path / f"files{FORMATS[form]}"
    done = case.daemon.ctl("export", JOB_ID, "--format", form, "-o", path)
    assert done.returncode == 0, done.stderr
    assert content(path) == content(tmp_path / "stream")


RENAMED = {
    "x\\y\nz": "x%5Cy%0Az",
    "\\xff": "%FF",
    "..\\..\\up": "..%5C..%5Cup",
    "sdl/Case.txt": "sdl/%43ase.txt",
    "nul.txt": "%6Eul.txt",
}


@pytest.mark.parametrize("form", FORMATS)
def test_names_are_those_that_any_system_can_unpack(
    case: Case, tmp_path: Path, form: Format
) -> None:
    path = tmp_path / f"x{FORMATS[form]}"
    done = case.daemon.ctl("export", JOB_ID, "--format", form, "-o", path)
    assert done.returncode == 0, done.stderr
    out = tmp_path / "out"
    unpack(path, out)
    there = {str(file.relative_to(out / "a")) for file in (out / "a").rglob("*") if file.is_file()}
    kept = (ODD.keys() | SMALL.keys()) - RENAMED.keys() - {"\udcff"}
    assert there == kept | set(RENAMED.values())
    check = ["sha256sum", "-c", "--quiet", "--strict", "SHA256SUMS"]
    subprocess.run(check, cwd=out, check=True, capture_output=True)
    summary = (out / "summary.txt").read_text()
    files = json.loads((out / "manifest.json").read_text())["files"]
    for given, name in RENAMED.items():
        assert f"  {f'a/{given}'!r} is a/{name}\n" in summary
    assert {file["path"]: file["exported_as"] for file in files if "exported_as" in file} == {
        f"a/{given}": f"a/{name}" for given, name in RENAMED.items()
    }


def unpack(path: Path, out: Path) -> None:
    if path.is_dir():
        path.rename(out)
    elif path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            archive.extractall(out)
    else:
        with tarfile.open(path) as tar:
            tar.extractall(out, filter="data")


def read_by(daemon: Daemon) -> int:
    """Bytes that it has read of files."""
    counters = Path(f"/proc/{daemon.pid}/io").read_text().split()
    return int(counters[counters.index("rchar:") + 1])


@pytest.mark.parametrize("verb", [("export", "--format", "tar", "-o", "-"), ("verify",)])
def test_the_daemon_reads_no_file(case: Case, tmp_path: Path, verb: tuple[str, ...]) -> None:
    before = read_by(case.daemon)
    done = case.daemon.ctl(verb[0], JOB_ID, *verb[1:], cwd=tmp_path, text=False)
    assert done.returncode == 0, done.stderr
    assert read_by(case.daemon) - before < LARGE


def test_where_descriptors_cannot_pass_the_stream_is_taken(case: Case, tmp_path: Path) -> None:
    """Descriptors cannot pass `ssh -L`."""
    with forwarded(case, tmp_path) as path:
        assert exported(path, tmp_path) == exported(case.daemon.socket, tmp_path)
        assert verified(path) == 0


@pytest.mark.parametrize(("most", "by_stream"), [(511, True), (512, False)])
def test_a_client_with_few_descriptors_takes_the_stream(
    case: Case, tmp_path: Path, most: int, by_stream: bool
) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

    before = read_by(case.daemon)
    done = case.daemon.ctl("export", JOB_ID, "-o", tmp_path / "x.tar", preexec_fn=limit)
    assert done.returncode == 0, done.stderr
    assert (read_by(case.daemon) - before > LARGE) == by_stream


def exported(socket_path: Path, folder: Path) -> bytes:
    path = folder / f"{socket_path.name}.tar"
    assert cucmctl(socket_path, "export", JOB_ID, "-o", str(path)) == 0
    return path.read_bytes()


def verified(socket_path: Path) -> int:
    return cucmctl(socket_path, "verify", JOB_ID)


def cucmctl(socket_path: Path, *arguments: str) -> int:
    command = [sys.executable, "-m", "cucmctl", "--socket", str(socket_path), *arguments]
    return subprocess.run(command, check=False, capture_output=True).returncode


@contextmanager
def forwarded(case: Case, folder: Path) -> Iterator[Path]:
    """Passes on the bytes of a socket, without descriptors."""
    path = folder / "forwarded"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        thread = threading.Thread(target=_forward_all, args=(listener, case))
        thread.start()
        yield path
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def _forward_all(listener: socket.socket, case: Case) -> None:
    threads = []
    while True:
        try:
            near, _ = listener.accept()
        except OSError:
            break
        threads.append(threading.Thread(target=_forward, args=(near, case)))
        threads[-1].start()
    for thread in threads:
        thread.join()


def _forward(near: socket.socket, case: Case) -> None:
    with near, socket.socket(socket.AF_UNIX) as far:
        far.connect(str(case.daemon.socket))
        back = threading.Thread(target=_copy, args=(far, near))
        back.start()
        _copy(near, far)
        back.join()


def _copy(source: socket.socket, to: socket.socket) -> None:
    try:
        while data := source.recv(100_000):
            to.sendall(data)
    except OSError:
        pass
    for one in (source, to):
        try:
            one.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def test_verify_names_what_differs_and_what_is_gone(own: Case) -> None:
    changed, shorter, gone, fifo, *_ = sorted((own.folder / "a/files/small").iterdir())[1:]
    changed.write_bytes(bytes(changed.stat().st_size))
    shorter.write_bytes(b"")
    gone.unlink()
    with own.daemon.client() as client:
        theirs = [file for reply in client.verify(JOB_ID) for file in reply.wrong]
    fifo.unlink()
    os.mkfifo(fifo)
    done = own.daemon.ctl("--json", "verify", JOB_ID)
    assert done.returncode == 1
    wrong = [json.loads(line) for line in done.stdout.splitlines()]
    assert wrong[:-1] == [structs.asdict(file) for file in theirs]
    assert wrong[-1]["reason"] == "is no regular file"
    shutil.rmtree(own.folder)
    assert len(own.daemon.ctl("verify", JOB_ID).stdout.splitlines()) == len(SMALL)


# Cut off


def test_a_file_that_goes_in_the_middle_cuts_it_off(own: Case, tmp_path: Path) -> None:
    with own.daemon.client() as client, client.export_files(JOB_ID) as export:
        shutil.rmtree(own.folder)
        with pytest.raises(DaemonUnavailable), target(tmp_path / "x", "dir", force=False) as sink:
            pack(export, sink)
    assert not (tmp_path / "x").exists()
    assert "is gone" in own.daemon.log.read_text()


def test_a_file_that_is_cut_in_the_middle_is_damaged(own: Case, tmp_path: Path) -> None:
    with own.daemon.client() as client, client.export_files(JOB_ID) as export:
        os.truncate(own.folder / "a/files/small/0001", 0)
        with pytest.raises(Damaged), target(tmp_path / "x", "dir", force=False) as sink:
            pack(export, sink)
    assert not (tmp_path / "x").exists()


def test_a_daemon_that_is_killed_cuts_it_off(tmp_path: Path) -> None:
    with (
        running(tmp_path, SMALL) as own,
        own.daemon.client() as client,
        client.export_files(JOB_ID) as export,
    ):
        own.daemon.kill()
        with pytest.raises(DaemonUnavailable), target(tmp_path / "x", "tar", force=False) as sink:
            pack(export, sink)
    assert not (tmp_path / "x").exists()


class Counting:
    def __init__(self) -> None:
        self.names: list[str] = []

    def raw(self, data: bytes) -> None: ...
    def close(self) -> None: ...
    def add(self, member: tarfile.TarInfo, content: Iterator[bytes]) -> None:
        assert sum(map(len, content)) == member.size
        self.names.append(member.name)


@pytest.mark.long
def test_a_slow_sink_is_no_reason_to_cut_it_off(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One file takes longer than a peer may say nothing."""

    class Slow(Counting):
        def add(self, member: tarfile.TarInfo, content: Iterator[bytes]) -> None:
            pause = 2 * UNREAD / (LARGE // export_files._PIECE)
            slow = "larger" in member.name
            super().add(member, (piece for piece in content if not (slow and pace.wait(pause))))

    monkeypatch.setattr(OpenExport, "SAY_EVERY", UNREAD / 4)
    pace = threading.Event()  # never set
    with case.daemon.client() as client, client.export_files(JOB_ID) as export:
        sink = Slow()
        pack(export, sink)
    assert len(sink.names) == export.reply.files + 4


def test_a_sink_that_fails_leaves_no_thread_and_no_descriptor(case: Case) -> None:
    class Full(Counting):
        def add(self, member: tarfile.TarInfo, content: Iterator[bytes]) -> None:
            if "large" in member.name:
                next(content)
                raise OSError(28, "No space left on device")
            super().add(member, content)

    before = len(os.listdir("/proc/self/fd")), threading.active_count()
    with (
        case.daemon.client() as client,
        client.export_files(JOB_ID) as export,
        pytest.raises(OSError, match="No space"),
    ):
        pack(export, Full())
    assert len(os.listdir("/proc/self/fd")) == before[0]
    assert threading.active_count() <= before[1]  # another test's may have ended meanwhile
