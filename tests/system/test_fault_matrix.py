"""Tests every fault of a lab node, and the outcome that it must have.

Each fault has a node of its own, and all run at once beside healthy nodes. So each row also shows
that no node disturbs another. The rows that one timeout ends are in one job, whose other timeouts
are long: so only that timeout can end them. The table is printed.

Then the faults are gone, and every job is tried again.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from cucmctl import Client
from cucmctl.export.save import save
from cucmctl.export.target import target
from cucmd.job.work_request import Login
from cucmd.protocol.jobs import Job, Node
from rig.daemon import CONFIG, Daemon, running_daemon
from rig.inspection import check_files, digest, manifest
from rig.jobs import node, start
from rig.lab import Lab, free_port, running_lab
from rig.quiet import assert_nothing_open, wait_until

pytestmark = pytest.mark.long

MakeLab = Callable[..., Lab]

# Seconds of each timeout. A node among all the others must reach its fault before.
CONNECT, LOGIN, ANSWER, COMMAND, STALL, NODE = 6.0, 15.0, 14.0, 16.0, 12.0, 20.0
STORM = 8.0  # endless output takes processor time from all others
TIMEOUTS = {
    CONNECT: "connect",
    LOGIN: "login",
    ANSWER: "answer",
    COMMAND: "command",
    STORM: "command",
    STALL: "stall",
    NODE: "node",
}
GRACE = 1.0
HEALTHY = 4
# A shared machine may be late by so many seconds.
SLACK = 30.0


class Row(NamedTuple):
    """Describes a row of the matrix.

    fault: one or more faults, separated by spaces. code: the code of the failure, or None. says:
    what the message contains. timeout: the timeout that ends it, in seconds, or 0. packed: whether
    the node compresses the files.
    """

    fault: str
    code: str | None
    says: str = ""
    after: float = 0.0
    packs: bool = False


def rows() -> Iterator[Row]:
    yield Row("refuse-tcp", "connection_refused", "refused")
    yield Row("drop-syn", "connect_timeout", "waiting for a connection", CONNECT)
    yield Row("close-after-accept", "connection_lost", "SSH version")
    yield Row("not-ssh", "connect_timeout", "waiting for SSH on an open connection", CONNECT)
    yield Row("kex", "no_common_algorithm", "we offer")
    yield Row("refuse-login", "auth_failed", "administrator")
    yield Row("lockout@0", "auth_failed", "administrator")
    # The first connection shows one key and is cut, the next one shows another.
    yield Row("drop:login*1 key-changed", "host_key_changed", "has changed")
    yield Row("endless-banner", "not_a_node", "during login")
    yield Row("no-prompt", "login_timeout", "logging in", LOGIN)
    yield Row("login-question", "login_question", "'Current password:'")
    yield Row("prompt-no-echo", "command_timeout", "set cli pagination", ANSWER)
    yield Row("no-echo", None)
    yield Row("ignore-ctrl-c", None)
    yield from hang_drop_and_garbage()
    yield Row("silent:command", "command_timeout", "file get", COMMAND)
    yield Row("silent:sizing", "command_timeout", "file get", COMMAND)
    yield Row("silent:transfer", "stalled", "no byte moved", STALL)
    yield Row("endless-line:command", "command_timeout", "file get", STORM)
    yield Row("escape-storm:command", "command_timeout", "file get", STORM)
    yield Row("prompt-storm:command", "command_timeout", "file get", STORM)
    yield Row("endless-list", "command_timeout", "file get", STORM)
    yield Row("silent-return", "receiver_unreachable", "no login came in")
    yield Row("silent-return:command", "command_refused", "no reason")
    yield Row("silent-return:sizing", "command_refused", "no reason")
    for question, asked in QUESTIONS.items():
        yield Row(f"silent-return:{question}", "command_refused", asked)
    for step in ("transfer", "completed"):
        yield Row(f"silent-return:{step}", "transfer_incomplete", "Transfer completed")
    yield Row("refuse-command", "command_refused", "% Invalid command")
    yield from other_forms()
    for question in ("proceed", "address", "port", "user", "password", "directory"):
        yield Row(f"reask:{question}", "receiver_rejected", "again after 3 answers")
    yield Row("no-files", "no_files_matched", "no files matched")
    yield Row("invalid-path", "invalid_path", "no such file")
    yield Row("zero-byte", None)
    yield Row("duplicate-names", None)
    yield Row("announce-more", "transfer_incomplete", "short: ")
    yield Row("announce-fewer", None)
    yield Row("invalid-directory", "receiver_rejected", "Invalid download directory")
    yield Row("unreachable", "receiver_unreachable", "no login came in", STALL)
    # The node itself gives up, before or after the stall limit.
    yield Row("slow-greeting", "receiver_unreachable", "no login came in")
    yield Row("upload-wrong-password", "receiver_rejected", "wrong password")
    yield Row("upload-cut", "transfer_incomplete", "Transfer completed")
    yield Row("upload-stalled", "stalled", "no byte moved", STALL)
    yield Row("trickle@0.05", "stalled", "no byte moved", STALL)  # a byte every 20 s
    yield Row("trickle@1", "node_timeout", "whole node", NODE)  # slow, but bytes come
    yield Row("upload-short", "transfer_incomplete", "short: ")
    yield Row("trickle@10000", None)
    yield Row("clock-ahead", None)
    yield Row("clock-back", None)
    yield from of_archives()


def of_archives() -> Iterator[Row]:
    """Yields the rows of compressed files: one file comes, and must contain all others."""
    yield Row("archive-cut", "transfer_incomplete", "ends before", packs=True)
    yield Row("archive-cut@2000", "transfer_incomplete", "ends before", packs=True)
    yield Row("upload-short", "transfer_incomplete", "the archive is", packs=True)
    yield Row("announce-more", "transfer_incomplete", "the archive is", packs=True)
    yield Row("announce-fewer", None, packs=True)
    yield Row("zero-byte", None, packs=True)


# A node asks these questions before it logs in to the receiver.
QUESTIONS = {
    "proceed": "proceed [y/n]?",
    "address": "SFTP server IP:",
    "port": "SFTP server port",
    "user": "User ID:",
    "password": "Password:",
}


def other_forms() -> Iterator[Row]:
    """Yields dialogues of `file get` that differ from the usual one."""
    for fault in ("omit:proceed", "omit:directory", "reorder", "sizes-twice", "completed-early"):
        yield Row(fault, None)
    yield Row("omit:directory upload-cut", "transfer_incomplete", "Transfer completed")
    yield Row("completed-early upload-cut", "transfer_incomplete", "cut off")
    yield Row("completed-only", "receiver_unreachable", "no login came in")
    yield Row("omit:directory unreachable", "receiver_unreachable", "no login came in", STALL)
    # The echo of the last answer is no progress.
    yield Row("hang:directory", "command_timeout", "(command timeout)", COMMAND)


STEPS = ("command", "sizing", "proceed", "address", "port", "user", "password")


def hang_drop_and_garbage() -> Iterator[Row]:
    """Yields each of the three faults at every step."""
    yield Row("hang:accept", "connect_timeout", "waiting for SSH on an open connection", CONNECT)
    for step in ("login", "banner", "prompt"):
        yield Row(f"hang:{step}", "login_timeout", "logging in", LOGIN)
    for fault in ("hang", "garbage"):
        yield Row(f"{fault}:prepare", "command_timeout", "answer timeout", ANSWER)
    for step in STEPS:
        yield Row(f"hang:{step}", "command_timeout", "command timeout", COMMAND)
        yield Row(f"garbage:{step}", "command_timeout", "command timeout", COMMAND)
    for step in ("banner", "prompt"):
        yield Row(f"garbage:{step}", "login_timeout", "logging in", LOGIN)
    for fault in ("hang", "garbage"):
        yield Row(f"{fault}:directory", "receiver_unreachable", "no login came in", STALL)
        yield Row(f"{fault}:transfer", "stalled", "no byte moved", STALL)
        yield Row(f"{fault}:completed", "stalled", "no byte moved", STALL)
    for step in ("accept", "login", "banner", "prompt", "prepare", *STEPS):
        yield Row(f"drop:{step}", "connection_lost", "")
    for step in ("directory", "transfer", "completed"):
        # The node closes the connection. It counts as lost if the daemon was answering.
        yield Row(f"drop:{step}", "connection_lost", "connection")


MATRIX = list(rows())


class Outcome(NamedTuple):
    row: Row
    node: Node

    @property
    def seconds(self) -> float:
        assert self.node.started_at is not None
        assert self.node.completed_at is not None
        return (self.node.completed_at - self.node.started_at).total_seconds()

    def wrong(self) -> str | None:
        """Says what differs from the row."""
        code = self.node.failure.code if self.node.failure else None
        status = "failed" if self.row.code else "succeeded"
        if (self.node.status, code) != (status, self.row.code):
            return f"expected {self.row.code or 'success'}"
        if self.row.says.lower() not in (self.node.error or "").lower():
            return f"the message lacks {self.row.says!r}"
        if self.node.failure and not self.node.failure.hint:
            return "no hint"
        if not self.row.after - 0.5 <= self.seconds <= self.row.after + GRACE + SLACK:
            return f"took {self.seconds:.1f} s"
        return None

    def line(self) -> str:
        code = self.node.failure.code if self.node.failure else "succeeded"
        deadline = f"{self.row.after:.0f}" if self.row.after else ""
        said = (self.node.error or "; ".join(self.node.notes))[:70]
        return f"{self.row.fault:<26}{code:<22}{self.seconds:6.1f} {deadline:>3}  {said}"


# The rows of each job: one timeout ends them, or none, and the nodes compress files or not.
JOBS = [
    [number for number, row in enumerate(MATRIX) if (row.after, row.packs) == key]
    for key in ((0.0, False), *((after, False) for after in TIMEOUTS), (0.0, True))
]


class Ended(NamedTuple):
    """Holds all jobs after their end. The last nodes of the first job are healthy.

    report: of the lab, whose nodes are gone. same: the options of a lab whose nodes have the same
    addresses and the same key.
    """

    jobs: list[Job]
    report: dict
    daemon: Daemon
    same: list[str]

    @property
    def healthy(self) -> Sequence[Node]:
        return self.jobs[0].nodes[-HEALTHY:]

    def outcomes(self) -> list[Outcome]:
        """Returns the outcomes in the order of the rows."""
        found = {
            number: node
            for numbers, job in zip(JOBS, self.jobs, strict=True)
            for number, node in zip(numbers, job.nodes, strict=False)
        }
        return [Outcome(row, found[number]) for number, row in enumerate(MATRIX)]


@pytest.fixture(scope="module")
def unmeasured() -> Iterator[None]:
    """Stops the measurement of coverage, with which 80 nodes at once would miss their deadlines."""
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv("COVERAGE_PROCESS_START", raising=False)
        yield


@pytest.fixture(scope="module")
def matrix(unmeasured: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ended]:
    folder = tmp_path_factory.mktemp("matrix")
    same = ["--files", "3", "--size", "20000", "--port", free_port()]
    same += ["--host-key", str(folder / "key")]
    faults = []
    for number, row in enumerate(MATRIX, 1):
        for fault in row.fault.split():
            faults += ["--fault", f"{number}={fault}"]
    config = CONFIG + "connections = 400\n"
    with running_daemon(folder / "cucmd", config) as daemon:
        with running_lab(len(MATRIX) + HEALTHY, *same, *faults) as lab:
            before = daemon.descriptors()
            with daemon.client() as client:
                started = [start_rows(client, lab, numbers) for numbers in JOBS]
                jobs = [client.wait(job.job_id) for job in started]
            wait_until(lambda: lab.report()["connections_now"] == 0)
            assert_nothing_open(daemon, before)
            report = lab.report()
        yield Ended(jobs, report, daemon, same)


def start_rows(client: Client, lab: Lab, numbers: list[int]) -> Job:
    """Starts one job, of which only the timeout of its rows is short."""
    after, packs = MATRIX[numbers[0]].after, MATRIX[numbers[0]].packs
    nodes = [lab.nodes[number] for number in numbers]
    timeouts = {"grace": GRACE}
    if after:
        # The command timeout must not be shorter than the connect timeout.
        timeouts |= {"connect": STORM, TIMEOUTS[after]: after}
    elif not packs:
        nodes += lab.nodes[-HEALTHY:]
    return start(client, lab, nodes, compress=packs, concurrency=400, try_all=True, **timeouts)


def test_each_fault_has_its_outcome(matrix: Ended, capsys: pytest.CaptureFixture[str]) -> None:
    outcomes = matrix.outcomes()
    with capsys.disabled():
        print(f"\n{'fault':<26}{'came out as':<22}{'took':>6} {'of':>3}  message")
        for outcome in outcomes:
            print(outcome.line())
    wrong = [f"{outcome.line()}: {why}" for outcome in outcomes if (why := outcome.wrong())]
    assert wrong == []


def test_each_fault_was_used(matrix: Ended) -> None:
    seen = zip(MATRIX, matrix.report["nodes"].values(), strict=False)
    unused = [row.fault for row, one in seen if one["faults_used"] < len(row.fault.split())]
    assert unused == ["ignore-ctrl-c"]  # no successful node is interrupted


def test_healthy_nodes_succeeded(matrix: Ended) -> None:
    assert [node.status for node in matrix.healthy] == ["succeeded"] * HEALTHY


def test_incomplete_files_do_not_count(matrix: Ended) -> None:
    """A file counts after the client has closed it and the node has reported the end of all."""
    for job in matrix.jobs:
        check_files(Path(job.directory))
        failed = {node.node for node in job.nodes if node.status != "succeeded"}
        files = manifest(Path(job.directory))
        complete = {file["path"] for file in files if file["complete"]}
        of_failed = {file["path"] for file in files if file["node"] in failed}
        assert complete == {file["path"] for file in files} - of_failed
        assert [node.files_received for node in job.nodes if node.node in failed] == [0] * len(
            failed
        )


def test_connections_were_closed_cleanly(matrix: Ended) -> None:
    report = matrix.report
    assert report["defects"] == 0
    assert report["closed_cleanly"] + report["cut_by_node"] == report["connections_ever"]
    assert report["dropped"] == 0


# The faults are gone


@pytest.fixture(scope="module")
def healed(matrix: Ended) -> list[Job]:
    """Tries the same jobs again, on the same nodes without their faults.

    The jobs run one after the other, since the timeout of a row is short for a transfer among a
    hundred.
    """
    with (
        running_lab(len(MATRIX) + HEALTHY, *matrix.same) as lab,
        matrix.daemon.client() as client,
    ):
        login = Login(lab.username, lab.password)
        jobs = []
        for job in matrix.jobs:
            client.retry(job.job_id, login=login, try_all=True)
            jobs.append(client.wait(job.job_id))
            wait_until(lambda job_id=job.job_id: client.status(job_id).closed)
        failed = [node for job in matrix.jobs for node in job.nodes if node.status == "failed"]
        assert lab.report()["logins"] == len(failed), "what has succeeded is left alone"
    return jobs


def test_retry_succeeds_without_fault(matrix: Ended, healed: list[Job]) -> None:
    for job, before in zip(healed, matrix.jobs, strict=True):
        assert [(one.node, one.error) for one in job.nodes if one.status != "succeeded"] == []
        assert (job.status, job.retries) == ("succeeded", 1)
        for now, then in zip(job.nodes, before.nodes, strict=True):
            again = then.status == "failed"
            assert now.attempt == then.attempt + again
            assert now.completed_at > then.completed_at if again else now.files_received > 0


def test_retry_counts_only_new_files(matrix: Ended, healed: list[Job], tmp_path: Path) -> None:
    with matrix.daemon.client() as client:
        for job in healed:
            check_files(Path(job.directory))
            nodes = {one.node: one for one in job.nodes}
            files = list(client.files(job.job_id))
            for file in files:
                right = file.attempt == nodes[file.node].attempt
                assert (file.complete, file.exported) == (right, right), file
            for name, one in nodes.items():
                sizes = [file.size for file in files if file.exported and file.node == name]
                assert (one.files_received, one.bytes_received) == (len(sizes), sum(sizes))
                assert len(sizes) >= (1 if job.collection.compress else one.files_announced)
            assert [wrong for reply in client.verify(job.job_id) for wrong in reply.wrong] == []
            folder = tmp_path / job.job_id
            with client.export(job.job_id) as export, target(folder, "dir", force=False) as sink:
                save(export, sink)
            exported = {
                f"{file.node.replace(':', '_')}/{file.path}": file.sha256
                for file in files
                if file.exported
            }
            found = {str(path.relative_to(folder)): path for path in folder.glob("*_*/**/*")}
            assert {
                name: digest(path) for name, path in found.items() if path.is_file()
            } == exported


def test_locked_account_is_tried_once(daemon: Daemon, make_lab: MakeLab) -> None:
    lab = make_lab(1, "--fault", "lockout@1")
    with daemon.client() as client:
        job = client.wait(start(client, lab, password="wrong").job_id)
        assert node(job, 0).failure.code == "auth_failed"
        job = client.wait(start(client, lab).job_id)
    assert (node(job, 0).failure.code, node(job, 0).attempt) == ("auth_failed", 1)
