"""`cucmctl` is small and quick: what it loads is measured, since time on a busy machine is not."""

import json
import os
import subprocess
import sys

import pytest

from cucmd.job.work import KINDS, kind_of

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


# What is loaded of the daemon for every command, and what for those that show jobs: the vocabulary.
EVERY = {
    *("cucmd", "cucmd.paths", "cucmd.protocol", "cucmd.protocol.requests"),
    *("cucmd.job", "cucmd.job.request", "cucmd.job.status"),
}
VOCABULARY = {
    *EVERY,
    "cucmd.protocol.jobs",
    *(f"cucmd.job.{name}" for name in ("asked", "coverage", "duration", "failure", "kind", "work")),
    *(kind.__module__ for kind in KINDS),
}
# Structs of all of that; one more costs a command about 20 us.
STRUCTS = {"cancel 3f2a": 13}
STRUCTS_OF_JOBS = 62
# Of the standard library, and of msgspec: slow to load, and not needed.
UNNEEDED = (
    *("_decimal", "gettext", "importlib", "inspect", "locale", "math", "platform", "selectors"),
    *("shutil", "signal"),
    *("socket", "textwrap", "threading", "tokenize", "typing_extensions", "uuid", "zoneinfo"),
    *("msgspec.inspect", "msgspec.msgpack", "msgspec.toml", "msgspec.yaml"),
    *(() if sys.version_info >= (3, 14) else ("ast",)),  # 3.14: of annotationlib, in 0.3 ms
)


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
    foreign = {name.partition(".")[0] for name in modules} - set(loaded("pass"))
    assert foreign - sys.stdlib_module_names == {"cucmctl", "cucmd", "msgspec"}
    expected = EVERY if arguments == "cancel 3f2a" else VOCABULARY
    assert {name for name in modules if name.partition(".")[0] == "cucmd"} == expected


@pytest.mark.parametrize("arguments", COMMANDS[:-1])
def test_a_short_command_loads_nothing_that_is_slow_and_not_needed(answering, arguments):
    modules = loaded(RUN, "--socket", answering, *arguments.split())
    # A bare Python has some of them where site-packages has `.pth` files.
    assert set(UNNEEDED) & (set(modules) - set(loaded("pass"))) == set()
    shown = {name for name in modules if name.startswith("cucmctl.text.")}
    others = {kind_of(kind) for kind in KINDS} - {"collect"}
    assert not shown & {f"cucmctl.text.{kind}" for kind in others}


@pytest.mark.parametrize("arguments", COMMANDS[:-1])
def test_a_short_command_makes_no_structs_that_it_does_not_use(answering, arguments):
    count = (
        "; import gc, msgspec"
        "; print(sum(type(o) is msgspec.StructMeta for o in gc.get_objects()), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", RUN + count, "--socket", answering, *arguments.split()],
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stderr.splitlines()[-1]) == STRUCTS.get(arguments, STRUCTS_OF_JOBS)


def test_what_stood_in_for_modules_has_gone_and_they_work_later(answering):
    later = (
        "; import decimal, gettext, msgspec, msgspec.msgpack, textwrap, typing_extensions, uuid"
        "; assert uuid.uuid4() and decimal.Decimal(1) and gettext.gettext and textwrap.dedent"
        "; assert msgspec.json.schema(int) and msgspec.inspect.type_info(int)"
        "; assert msgspec.msgpack.decode(msgspec.msgpack.encode(1)) == 1"
    )
    loaded(RUN + later, "--socket", answering, "status")


@pytest.mark.skipif(
    sys.version_info[:2] == (3, 12),
    reason="3.12 never imports a module in C whose first import has failed (seen with 3.12.1)",
)
def test_if_a_package_does_not_import_in_a_quick_way_it_does_as_usual():
    program = (
        "from cucmctl import lean; lean._TYPES['decimal'].clear(); lean.load_msgspec()"
        "; import msgspec; msgspec.json.encode(1)"
    )
    assert "_decimal" in loaded(program)


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
    assert "cucmctl.cli.terminal" not in modules
