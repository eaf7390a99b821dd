"""Runs every command of `cucmctl`, on a terminal of 80 columns and as JSON."""

import os
import sys
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path

import msgspec
import pytest

from cucmctl import Client
from cucmctl.main import VERBS
from cucmd.job.work_request import Collection, Commands, Login, Packets
from rig.credentials import login_options, named_credential
from rig.daemon import Daemon, running_daemon
from rig.interface_text import Declared
from rig.jobs import SDL
from rig.lab import Lab, running_lab
from rig.quiet import wait_until
from system.ctl.terminal import Terminal

pytestmark = pytest.mark.long

TEXT = files("cucmd.protocol") / "io.cucmd.Jobs.varlink"
DECLARED = Declared(TEXT.read_text())

LOGIN = "--credential lab"
JOB, JOBS = {"": "Job"}, {"": "[]JobSummary"}

# command -> the types of a JSON line, by one of its keys, or of the whole line by "".
COMMANDS: dict[str, dict[str, str]] = {
    f"start {{nodes}} {LOGIN} --path {SDL} --wait": JOB,
    f"start {{nodes}} {LOGIN} --profile sip --last 2h --dry-run": JOB,
    f"run {{nodes}} {LOGIN} -- show status": {"output": "CommandOutput", "job": "Job"},
    f"check berlin {LOGIN} --receiver": JOB,
    f"health berlin {LOGIN}": JOB,
    f"capture {{nodes}} {LOGIN} --duration 1s --wait": JOB,
    f"follow {{node}} {LOGIN} syslog/messages --duration 1s": {
        "output": "CommandOutput",
        "job": "Job",
    },
    "stop {capture}": {"": "Stop"},
    f"discover {{node}} {LOGIN}": JOB,
    f"retry {{failed}} {LOGIN} --wait": JOB,
    "status {job}": JOB,
    "status": JOBS,
    "list": JOBS,
    "cancel {job}": {"": "Cancel"},
    "files {job}": {"": "File"},
    "find {job} 00000010|10:": {"missing": "[]MissingLog", "unread": "[]WrongFile"},
    "export {job} -o {folder}/case.zip --force": {},
    "export {job} -o {folder}/masked.zip --mask --force": {},
    "mask {folder}/reply.txt -o {folder}/masked.zip --force": {},
    "unmask {folder}/reply.txt": {},
    "verify {job}": {"": "WrongFile"},
    "transcript {job} {node}": {"": "Transcript"},
    "output {run}": {"output": "CommandOutput"},
    "label {job} case=1": JOB,
    "watch {job}": {"job": "Job"},
    "wait {job}": JOB,
    "clusters": {"": "[]Cluster"},
    "clusters berlin": {"": "[]Cluster"},
    "profiles": {"": "[]Profile"},
    "profiles sip": {"": "[]Profile"},
    "login {node} {typed}": {"": "[]KeptLogin"},
    "logout": {"": "ForgetLogin"},
    "credentials": {"": "Credentials"},
    "hostkeys": {"": "[]HostKey"},
    "metrics": {"": "Figures"},
    "top --once": {"time": "string"},
    "reload": {"": "Reload"},
    "prune --keep 1000 --yes": {"": "Prune"},
    "delete {old} --yes": {"": "Delete"},
}

# These print a line per file, lines of files, the output of a node, or text for a program. Such
# lines are not cut.
NOT_CUT = ("metrics", "files", "find", "transcript", "output")


class Place:
    """Holds a daemon with jobs, and the values of the words in COMMANDS."""

    def __init__(self, daemon: Daemon, lab: Lab, folder: Path) -> None:
        self.daemon, self.lab, self.folder = daemon, lab, folder
        with daemon.client() as client:
            self.job = self._ended(client, SDL)
            self.failed = self._ended(client, "nothing/here")

    def words(self, command: str) -> list[str]:
        made: dict[str, Callable[[], str]] = {
            "{nodes}": lambda: " ".join(self.lab.nodes),
            "{node}": lambda: self.lab.nodes[0],
            "{job}": lambda: self.job,
            "{failed}": lambda: self.failed,
            "{typed}": lambda: " ".join(login_options(self.folder, self.lab)),
            "{folder}": lambda: str(self.folder),
            "{capture}": self._capture,
            "{run}": self._run,
            "{old}": self._old,
        }
        for word, make in made.items():
            if word in command:
                command = command.replace(word, make())
        return command.split()

    def _ended(self, client: Client, path: str) -> str:
        collection = Collection(paths=(path,))
        login = Login(credential="lab")
        job = client.start(self.lab.nodes, login=login, work=collection)
        wait_until(lambda: client.wait(job.job_id).closed)
        return job.job_id

    def _run(self) -> str:
        with self.daemon.client() as client:
            commands = Commands(("show status",))
            job = client.start(self.lab.nodes, commands, login=Login(credential="lab"))
            return client.wait(job.job_id).job_id

    def _old(self) -> str:
        with self.daemon.client() as client:
            return self._ended(client, SDL)

    def _capture(self) -> str:
        with self.daemon.client() as client:
            login = Login(credential="lab")
            job = client.capture(self.lab.nodes, Packets(duration=600.0), login=login)
            wait_until(lambda: self.lab.report()["captures_now"] == len(self.lab.nodes))
            return job.job_id


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("verbs")
    with running_lab(2) as lab:
        config = named_credential(folder / "given", "lab", lab.username, lab.password)
        config += f'[clusters.berlin]\npublisher = "{lab.nodes[0]}"\nnodes = ["{lab.nodes[1]}"]\n'
        (folder / "reply.txt").write_text("")
        with running_daemon(folder / "cucmd", config) as daemon, pytest.MonkeyPatch.context() as to:
            to.setenv("XDG_DATA_HOME", str(folder / "data"))  # of `mask`
            yield Place(daemon, lab, folder)


def code_of(command: str) -> int:
    if command.startswith("retry"):
        return 1
    return 3 if "--mask" in command else 0  # the end of a trace still being written


def test_no_verb_is_left_out() -> None:
    # `events` has no end; tests/system/ctl reads it. `upload` is in test_handover.py, the
    # others are in the folder `sites`.
    elsewhere = {"events", "upload", "sites", "bridge"}
    assert {command.split()[0] for command in COMMANDS} == VERBS.keys() - elsewhere


@pytest.mark.parametrize("command", COMMANDS)
def test_on_a_terminal_of_80_columns(place: Place, command: str) -> None:
    words = place.words(command)
    run = [sys.executable, "-m", "cucmctl", "--socket", str(place.daemon.socket), *words]
    terminal = Terminal(run, {**os.environ, "TERM": "xterm"}, 80, 24)
    try:
        code = terminal.ended()
        assert code == code_of(command), terminal.screen
        assert (terminal.unknown, terminal.cursor_shown) == ([], True)
        assert terminal.settings == terminal.before
        wide = [line for line in terminal.screen.splitlines() if len(line.rstrip()) > 80]
        # The terminal may break sentences, which have a colon, and paths, but not tables.
        broken = [line for line in wide if ": " in line or line.startswith(("/", "files in /"))]
        assert words[0] in NOT_CUT or wide == broken
    finally:
        terminal.close()


@pytest.mark.parametrize("command", COMMANDS)
def test_json_is_what_the_interface_says(place: Place, command: str) -> None:
    done = place.daemon.ctl("--json", *place.words(command))
    assert done.returncode == code_of(command), done.stderr
    for line in done.stdout.splitlines():
        value = msgspec.json.decode(line)
        for key, kind in COMMANDS[command].items():
            if not key or key in value:
                assert DECLARED.wrong(value[key] if key else value, kind) is None
