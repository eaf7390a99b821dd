"""`cucmctl` is small and quick: what it loads is measured, since time on a busy machine is not."""

import json
import os
import subprocess
import sys

import pytest

HEAVY = ("trio", "trio_asyncio", "asyncio", "asyncssh", "cryptography", "rich", "sqlite3", "ssl")


def loaded(program: str, *arguments: str) -> list[str]:
    """Lists the modules that a program has loaded by its end, beyond those of a bare Python."""
    # Coverage measures every child, and loads what it needs for that.
    environ = {name: value for name, value in os.environ.items() if "COVERAGE" not in name}
    report = "; import sys, json; print(json.dumps(sorted(sys.modules)), file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", program + report, *arguments],
        capture_output=True,
        text=True,
        check=True,
        env=environ,
    )
    return json.loads(done.stderr.splitlines()[-1])


def heavy(modules: list[str]) -> list[str]:
    return [name for name in modules if name.partition(".")[0] in HEAVY]


def test_importing_the_client_loads_nothing_heavy():
    assert heavy(loaded("import cucmctl, cucmctl.main")) == []
    assert heavy(loaded("from cucmctl import *; from cucmctl import Client")) == []


def test_importing_the_package_does_not_even_load_msgspec():
    assert "msgspec" not in loaded("import cucmctl")


RUN = "import sys; before = set(sys.modules); from cucmctl.main import main; main()"
COMMANDS = ("status", "status 3f2a", "list", "list --json", "cancel 3f2a", "watch 3f2a")


@pytest.fixture
def answering(canned, job, node, summary, monkeypatch):
    """Answers as most daemons do: the nodes are in the time zone of whoever asks."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    window = {"since": "2026-03-01T06:00:00Z", "until": "2026-03-01T08:00:00Z"}
    collected = job("succeeded", node(zone="Europe/Berlin"), collection={"paths": ["x"], **window})
    canned.on("List", canned.reply({"jobs": [summary()]}))
    canned.on("Status", canned.reply({"job": collected}))
    canned.on(
        "Cancel",
        canned.reply({"job_id": "3f2a", "status": "running", "cancelled": True, "message": "yes"}),
    )
    canned.watch(job())
    return str(canned.path)


@pytest.mark.parametrize("arguments", COMMANDS)
def test_a_command_loads_only_msgspec_and_the_standard_library(answering, arguments):
    modules = loaded(RUN, "--socket", answering, *arguments.split())
    assert heavy(modules) == []
    # msgspec takes `typing_extensions` where it is installed, and `zoneinfo` that of sysconfig.
    known = {"cucmctl", "cucmd", "msgspec", "typing_extensions"}
    foreign = {name.partition(".")[0] for name in modules} - set(loaded("pass"))
    foreign -= {name for name in foreign if name.startswith("_sysconfigdata")}
    assert foreign - sys.stdlib_module_names <= known


def test_a_verb_loads_no_other_verbs(answering):
    modules = loaded(RUN, "--socket", answering, "status")
    verbs = {name for name in modules if name.startswith("cucmctl.commands.")}
    assert verbs == {"cucmctl.commands.lookup", "cucmctl.commands.show"}


@pytest.mark.parametrize(
    ("arguments", "output", "code"),
    [
        (["list", "--json"], "/dev/stdout", 0),
        (["list", "--json"], "/dev/full", 74),
        (["--help"], "/dev/stdout", 0),
        (["list", "--nothing"], "/dev/stdout", 2),
    ],
)
def test_the_script_has_written_its_output_when_it_ends(answering, arguments, output, code):
    program = "from cucmctl.__main__ import command; command()"
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-c", program, "--socket", answering, *arguments],
            stdout=full if output == "/dev/full" else subprocess.PIPE,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert done.returncode == code
    assert (code == 0) == bool(done.stdout)
    assert (code == 0) == (not done.stderr)


def test_a_start_does_not_load_what_only_a_watch_needs(canned, job):
    canned.on("Start", canned.reply({"job": job()}))
    run = "from cucmctl.main import main; main()"
    start = ("start", "a", "--path", "x", "--credential", "c")
    modules = loaded(run, "--socket", str(canned.path), *start)
    assert heavy(modules) == []
