"""`cucmctl` starts quickly. Loaded modules are checked, since time depends on the machine."""

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


def test_import_loads_nothing_heavy():
    assert heavy(loaded("import cucmctl, cucmctl.main")) == []
    assert heavy(loaded("from cucmctl import *; from cucmctl import Client")) == []


def test_package_import_is_lazy():
    assert "msgspec" not in loaded("import cucmctl")


def test_completion_loads_little():
    """A person who presses Tab waits for it. Each of these takes 2 to 8 ms."""
    modules = loaded("from cucmctl.__main__ import run; run()", "__complete", "status", "")
    late = {"subprocess", "zoneinfo", "difflib"}
    if sys.version_info < (3, 14):  # there argparse loads it
        late.add("inspect")
    assert late.isdisjoint(modules)


RUN = "import sys; before = set(sys.modules); from cucmctl.main import main; main()"
COMMANDS = ("status 3f2a", "watch 3f2a")


@pytest.fixture
def answering(canned, job, node, summary, monkeypatch):
    """A daemon whose nodes are in the time zone of the user."""
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
def test_verb_loads_few_modules(answering, arguments):
    modules = loaded(RUN, "--socket", answering, *arguments.split())
    assert heavy(modules) == []
    # msgspec takes `typing_extensions` where it is installed, and `zoneinfo` that of sysconfig.
    known = {"cucmctl", "cucmd", "msgspec", "typing_extensions"}
    foreign = {name.partition(".")[0] for name in modules} - set(loaded("pass"))
    foreign -= {name for name in foreign if name.startswith("_sysconfigdata")}
    assert foreign - sys.stdlib_module_names <= known
