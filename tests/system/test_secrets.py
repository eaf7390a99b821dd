"""Tests passwords that are used, echoed by nodes and put into wrong fields: they are written
nowhere.
"""

import base64
import json
import os
import shutil
import signal
import socket
from collections.abc import Collection, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import msgspec
import pytest

from rig import openssh_node, others, written
from rig.credentials import login_options, named_credential
from rig.daemon import CONFIG, Daemon, running_daemon
from rig.jobs import SDL, in_phase, node, start, until
from rig.lab import Lab, running_lab
from rig.parameters import mostly_more
from rig.worker_processes import read_memory

UNUSUAL = {
    "regex": r"a.*b(c)[d]{2}+^$|?\d",
    "quotes": "\"double\" 'single' \\back\\ `tick` $(sub) %s {0}",
    "letters": "pässwörd-日本語-ñandú",
    "blanks": "  leading, in   between and trailing  ",
}

# The fault of each node. Every node prints the password in its banner.
NODES = (
    "well",
    "refuse-login",
    "no-prompt",
    "prompt-no-echo",
    "reask:password",
    "upload-wrong-password",
    "silent:command",
)


@pytest.fixture(scope="module")
def target_passwords(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the file to which this daemon writes the passwords of its upload targets."""
    return tmp_path_factory.mktemp("target_passwords") / "targets"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory, target_passwords: Path) -> Iterator[Daemon]:
    folder = tmp_path_factory.mktemp("secrets")
    config = CONFIG
    for name, password in UNUSUAL.items():
        section = named_credential(folder / "given", name, "administrator", password)
    environ = {"CUCMD_TEST_TARGETS": str(target_passwords)}
    odd = {"module": "rig.odd_daemon", "options": ["--verbose"]}
    with running_daemon(folder / "cucmd", config + section, environ, **odd) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def labs() -> Iterator[dict[str, Lab]]:
    """Yields for each password a lab whose nodes show it."""
    faults = [
        word
        for number, fault in enumerate(NODES[1:], start=2)
        for word in ("--fault", f"{number}={fault}")
    ]
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(
                running_lab(
                    len(NODES),
                    f"--password={password}",
                    f"--logon-message=Hello, your password is {password}, they say",
                    *("--address", f"127.1.{number}.1", "--files", "2", "--size", "1000"),
                    *faults,
                )
            )
            for number, (name, password) in enumerate(UNUSUAL.items(), start=7)
        }


@pytest.fixture(scope="module")
def jobs(daemon: Daemon, labs: dict[str, Lab]) -> list:
    """Runs jobs on all nodes of all labs, with passwords of both kinds; returns them after their
    end.
    """
    limits = dict.fromkeys(("connect", "login", "answer", "command", "stall"), 8) | {"grace": 1}
    with daemon.client() as client:
        typed = [start(client, lab, try_all=True, **limits) for lab in labs.values()]
        named = [start(client, lab, lab.nodes[:1], credential=name) for name, lab in labs.items()]
        return [client.wait(job.job_id, timeout=60) for job in (*typed, *named)]


@pytest.mark.long
def test_unusual_passwords_work(jobs: list) -> None:
    for job in jobs:
        assert node(job, 0).status == "succeeded", node(job, 0).error
    for job in jobs[: len(UNUSUAL)]:
        codes = [one.failure.code for one in job.nodes[1:]]
        assert codes[0] == "auth_failed"
        assert len(codes) == len(NODES) - 1, "each of the others failed in its own way"


@pytest.mark.long
def test_passwords_in_output_are_masked(jobs: list) -> None:
    job = jobs[0]
    transcripts = list(Path(job.directory).glob("*/transcript.log"))
    with_banner = [path for path in transcripts if "Hello, your password is" in path.read_text()]
    assert len(with_banner) >= len(NODES) - 1, "all but the one that refused the login"
    for path in with_banner:
        assert "Hello, your password is *****, they say" in path.read_text()


@pytest.mark.long
def test_written_files_hold_no_password(daemon: Daemon, jobs: list, target_passwords: Path) -> None:
    targets = target_passwords.read_text().split()
    assert len(targets) >= len(UNUSUAL) * 2
    written.PASSWORDS.update(targets)
    assert " DEBUG " in daemon.log.read_text()
    assert written.passwords_in(daemon.folder) == []


@pytest.mark.long
def test_replies_hold_no_password(daemon: Daemon, jobs: list, labs: dict[str, Lab]) -> None:
    replies = []
    with daemon.client() as client:
        for job in jobs:
            replies += [msgspec.json.encode(client.status(job.job_id))]
            replies += [msgspec.json.encode(change) for change in client.watch(job.job_id)]
        replies.append(msgspec.json.encode(client.list()))
    assert [written.found_in(reply) for reply in replies] == [[]] * len(replies)
    for verb in (("list",), ("status", jobs[0].job_id), ("watch", jobs[0].job_id), ("status",)):
        for form in ((), ("--json",)):
            done = daemon.ctl(*verb, *form, text=False)
            assert done.stdout
            assert written.found_in(done.stdout + done.stderr) == []


@pytest.mark.long
@pytest.mark.parametrize("name", mostly_more(UNUSUAL))
def test_client_shows_no_password(
    daemon: Daemon, labs: dict[str, Lab], name: str, tmp_path: Path
) -> None:
    lab = labs[name]
    login = login_options(tmp_path, lab)
    what = ("--path", SDL, "--json", "--watch")
    done = daemon.ctl("start", *lab.nodes[:2], *login, *what, text=False)
    assert done.returncode == 3, done.stderr
    assert b"auth_failed" in done.stdout
    assert written.found_in(done.stdout + done.stderr) == []


@pytest.mark.long
def test_process_facts_hold_no_password(daemon: Daemon, jobs: list) -> None:
    for name in ("cmdline", "environ", "comm", "status"):
        data = Path(f"/proc/{daemon.pid}/{name}").read_bytes()
        assert written.found_in(data) == [], name


@pytest.mark.long
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may read its memory")
def test_worker_memory_holds_no_password(
    daemon: Daemon, jobs: list, target_passwords: Path
) -> None:
    """A forked process begins with the memory of the fork server. It learns no password of a
    node, and no login of the receiver before its client presents one.
    """

    def found(pid: int, passwords: Collection[str]) -> list[str]:
        return [one for part in read_memory(pid) for one in written.found_in(part, passwords)]

    of_the_receiver = target_passwords.read_text().split()
    looked_at = 0
    with daemon.stranger():
        for pid in daemon.tree()[1:]:
            with suppress(FileNotFoundError, ProcessLookupError):  # a process of a node may end
                assert found(pid, (*UNUSUAL.values(), *of_the_receiver)) == []
                looked_at += 1
    assert looked_at >= 2
    assert found(os.getpid(), UNUSUAL.values()) != []


@pytest.mark.long
def test_invalid_frames_are_not_logged(daemon: Daemon) -> None:
    for password in UNUSUAL.values():
        text = json.dumps({"method": "io.cucmd.Jobs.Start", "parameters": {"login": password}})
        for frame in (text[:-1].encode() + b"\0", text.encode() * 2 + b"\0", text.encode()):
            with socket.socket(socket.AF_UNIX) as peer:
                peer.connect(str(daemon.socket))
                peer.sendall(frame)
                peer.shutdown(socket.SHUT_WR)
                answer = peer.makefile("rb").read()
            assert written.found_in(answer) == []
    assert written.passwords_in(daemon.folder) == []


@pytest.mark.long
def test_cancel_and_stop_show_no_password(tmp_path: Path, labs: dict[str, Lab]) -> None:
    """SIGTERM comes in the middle. The next start says what it found."""
    folder = tmp_path / "cucmd"
    with running_daemon(folder, options=["--verbose"]) as daemon, daemon.client() as client:
        for lab in labs.values():
            job = start(client, lab, lab.nodes[-1:], grace=1)
            until(client, job.job_id, in_phase("command"))
        client.cancel(job.job_id)
        daemon.signal(signal.SIGTERM)
        assert daemon.process.wait(30) == 0
    with running_daemon(folder, options=["--verbose"]) as daemon, daemon.client() as client:
        assert len(client.list()) == len(labs)


@pytest.mark.long
@openssh_node.needs_openssh
def test_only_openssh_node_gets_password(
    daemon: Daemon, target_passwords: Path, tmp_path: Path
) -> None:
    password = UNUSUAL["regex"]
    with openssh_node.openssh_node(tmp_path / "node", "127.3.7.1", password) as one:
        (one.root / "log").mkdir()
        shutil.copyfile("/etc/hostname", one.root / "log" / "hostname")
        with daemon.client() as client:
            typed = {"paths": ["log"], "last": None}
            job = client.wait(start(client, one, [one.address], **typed).job_id)
            assert job.status == "succeeded", node(job, 0).error
            wrong = f"{password}-but-wrong"
            job = client.wait(start(client, one, [one.address], password=wrong, **typed).job_id)
            assert node(job, 0).failure.code == "auth_failed"
    written.PASSWORDS.update({wrong, *target_passwords.read_text().split()})
    assert written.passwords_in(daemon.folder) == []


@pytest.mark.long
@others.needs_root
def test_own_user_cannot_read_memory() -> None:
    """Below /proc a process without core dumps belongs to root, whoever runs it."""
    somebody = 61001
    with (
        others.folder_of(somebody) as folder,
        running_daemon(folder, user=somebody) as daemon,
    ):
        proc = Path(f"/proc/{daemon.pid}")
        assert f"Uid:\t{somebody}" in (proc / "status").read_text()
        for name in ("mem", "environ", "fd"):
            assert (proc / name).stat().st_uid == 0, name
        assert others.as_user(somebody, ["cat", str(proc / "environ")]).returncode != 0
        assert others.as_user(somebody, ["ls", str(proc / "fd")]).returncode != 0


@pytest.mark.long
@pytest.mark.parametrize("password", UNUSUAL.values(), ids=UNUSUAL)
def test_search_finds_every_spelling(password: str, tmp_path: Path) -> None:
    state = tmp_path / "state"
    (state / "jobs" / "j" / "n" / "files").mkdir(parents=True)
    clear = password.encode()
    for number, text in enumerate(
        (
            clear,
            json.dumps({"password": password}).encode(),
            repr({"password": password}).encode(),
            ascii([password]).encode(),
            clear.hex().encode(),
            *(base64.b64encode(b"x" * before + clear + b"after") for before in range(4)),
        )
    ):
        (state / f"{number}").write_bytes(b"before " + text + b" after")
        assert len(written.passwords_in(tmp_path)) == number + 1
    (state / "jobs" / "j" / "n" / "files" / "pushed").write_bytes(clear)
    assert len(written.passwords_in(tmp_path)) == number + 1, "a node's own file is the node's"
