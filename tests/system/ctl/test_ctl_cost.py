"""`cucmctl` is small and quick: what it loads is measured, since time on a busy machine is not."""

import json
import os
import subprocess
import sys

import pytest

HEAVY = ("trio", "trio_asyncio", "asyncio", "asyncssh", "cryptography", "rich", "sqlite3", "ssl")


def loaded(program: str, *arguments: str) -> list[str]:
    """The modules that a program has loaded by its end, beyond those of a bare Python."""
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


# What a status can show of a node.
KINDS_SHOWN = ("capture", "check", "collect", "discover")


def heavy(modules: list[str]) -> list[str]:
    return [name for name in modules if name.partition(".")[0] in HEAVY]


def test_importing_the_client_loads_nothing_heavy():
    assert heavy(loaded("import cucmctl, cucmctl.main")) == []
    assert heavy(loaded("from cucmctl import *; from cucmctl import Client")) == []


def test_importing_the_package_does_not_even_load_msgspec():
    assert "msgspec" not in loaded("import cucmctl")


@pytest.mark.parametrize("arguments", ["status", "status 3f2a", "list --json", "watch 3f2a"])
def test_a_command_loads_only_msgspec_and_the_standard_library(canned, job, summary, arguments):
    canned.on("List", canned.reply({"jobs": [summary()]}))
    canned.on("Status", canned.reply({"job": job()}))
    canned.watch(job())
    run = "import sys; before = set(sys.modules); from cucmctl.main import main; main()"
    modules = loaded(run, "--socket", str(canned.path), *arguments.split())
    assert heavy(modules) == []
    foreign = {name.partition(".")[0] for name in modules} - set(loaded("pass"))
    assert foreign - sys.stdlib_module_names == {"cucmctl", "cucmd", "msgspec"}
    # of the daemon only its vocabulary and its paths
    ours = {name for name in modules if name.partition(".")[0] == "cucmd"}
    asked = {f"cucmd.job.{name}" for name in (*KINDS_SHOWN, "asked", "duration", "kind")}
    calls = {f"cucmd.protocol.{name}" for name in ("jobs", "cases", "knowledge", "errors")}
    others = {"cucmd", "cucmd.failure", "cucmd.job", "cucmd.paths", "cucmd.protocol"}
    assert ours == asked | calls | others


def test_a_start_does_not_load_what_only_a_watch_needs(canned, job):
    canned.on("Start", canned.reply({"job": job()}))
    run = "from cucmctl.main import main; main()"
    start = ("start", "a", "--path", "x", "--credential", "c")
    modules = loaded(run, "--socket", str(canned.path), *start)
    assert heavy(modules) == []
    assert "cucmctl.cli.prompt" not in modules
