"""Compares the imports with the architecture.

One table says which part may import which. A part that is not in the table fails. Imports under
`TYPE_CHECKING` count, because an annotation is a dependency, too.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from cucmd.job.work import KINDS, kind_of
from rig.sources import (
    ALL,
    ASSISTANT,
    CLIENT,
    DAEMON,
    FLEET,
    LAB,
    MASK,
    OF_ASYNCIO,
    TRIO_CLIENT,
    WEB,
    docstring,
    files_of,
    imports,
    part,
    roots,
)

# The parts that every part may import. They themselves import at most `job`.
COMMON = {
    "allowance",
    "durable",
    "failure",
    "histogram",
    "job",
    "node_name",
    "paths",
    "received_file",
}

# part -> the other parts that it may import
MAY_IMPORT: dict[str, set[str]] = {
    "__init__": set(),
    "__main__": {"main"},
    "main": {"config", "service", "stdout", "worker"},
    "stdout": set(),
    "toml_file": set(),
    "service": {
        "api",
        "cases",
        "config",
        "jobs",
        "node",
        "plan",
        "receiver",
        "ssh",
        "store",
        "varlink",
        "vos",
        "work",
        "worker",
    },
    "api": {
        "cases",
        "config",
        "jobs",
        "plan",
        "protocol",
        "store",
        "toml_file",
        "varlink",
        "vos",
        "worker",
    },
    "protocol": set(),
    "plan": {"config", "jobs", "node", "store", "vos"},
    "cases": {"reading", "store", "worker"},
    "reading": {"worker"},
    "jobs": {"cases", "config", "node", "store"},
    "work": {"node", "vos"},
    "node": {"vos"},
    "config": {"toml_file", "vos"},
    "receiver": {"ssh", "worker"},
    "ssh": set(),
    "vos": set(),
    "store": set(),
    "worker": set(),
    "varlink": set(),
    **{name: {"job"} if name == "failure" else set() for name in COMMON},
}
# Parts of which only these modules may be imported.
ONLY = {
    ("plan", "node"): {"cucmd.node.ports"},
    ("plan", "jobs"): {"cucmd.jobs.job_errors"},
    ("api", "worker"): {"cucmd.worker.frames"},
    ("cases", "reading"): {"cucmd.reading.call_search"},
    ("jobs", "node"): {"cucmd.node.ports"},
    ("reading", "worker"): {"cucmd.worker.frames", "cucmd.worker.forked"},
    ("receiver", "ssh"): {
        f"cucmd.ssh.{name}" for name in ("algorithms", "asyncssh_setup", "unread_bytes")
    },
}

EVENT_LOOPS = {"trio", "asyncio", "asyncssh", "trio_asyncio"}
# zoneinfo reads the file of a time zone, whose name a node or a person may have chosen.
NO_IO = EVENT_LOOPS | {"socket", "subprocess", "tempfile", "threading", "time", "zoneinfo"}


def claims_purity(file: Path) -> bool:
    return docstring(file).startswith("PURE. ")


PURE = [file for folder in ALL for file in files_of(folder) if claims_purity(file)]


def ours(file: Path) -> Iterator[tuple[str, str]]:
    """Yields (part, module) of each import from the daemon."""
    for module in imports(file):
        if module.startswith("cucmd."):
            yield module.split(".")[1], module


def file_of(module: str) -> Path | None:
    """Finds the file that an import of `module`, or of a name in it, leads to."""
    root = {folder.name: folder for folder in ALL}.get(module.split(".", maxsplit=1)[0])
    if root is None:
        return None
    for name in (module, module.rpartition(".")[0]):
        path = root.parent / name.replace(".", "/")
        for file in (path.with_suffix(".py"), path / "__init__.py"):
            if file.exists():
                return file
    return None


@pytest.mark.parametrize("file", files_of(DAEMON), ids=lambda file: str(file.relative_to(DAEMON)))
def test_no_import_points_up(file: Path) -> None:
    here = part(file)
    allowed = MAY_IMPORT[here] | {here, "__version__"}
    if here not in COMMON:
        allowed |= COMMON
    assert [module for there, module in ours(file) if there not in allowed] == []


@pytest.mark.parametrize(("here", "there"), sorted(ONLY))
def test_restricted_imports(here: str, there: str) -> None:
    for file in files_of(DAEMON / here):
        for other, module in ours(file):
            if other == there:
                found = module if module in ONLY[here, there] else module.rpartition(".")[0]
                assert found in ONLY[here, there], f"{file.name}: {module}"


def test_imports_have_no_circles() -> None:
    graph: dict[Path, set[Path]] = {}
    for file in [file for folder in ALL for file in files_of(folder)]:
        targets = {file_of(module) for module in imports(file)}
        graph[file] = {target for target in targets if target is not None and target != file}
    TopologicalSorter(graph).prepare()  # raises CycleError


def test_job_needs_only_msgspec() -> None:
    known = sys.stdlib_module_names | {"cucmd", "msgspec"}
    more = {(file.name, root) for file in files_of(DAEMON / "job") for root in roots(file) - known}
    # Only for type checking: Python has defaults of type variables since 3.13.
    assert more == {("node.py", "typing_extensions")}


def test_two_parts_use_asyncio() -> None:
    for file in files_of(DAEMON):
        if part(file) not in OF_ASYNCIO:
            assert not roots(file) & (EVENT_LOOPS - {"trio"}), file


@pytest.mark.parametrize("file", PURE, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_pure_files_have_no_io(file: Path) -> None:
    assert not roots(file) & NO_IO


MAPS = [file for folder in ALL for file in files_of(folder) if file.stem == "__init__"]
ENTRY = re.compile(r"(?<![\w/])(\w+(?:\.py\b|/(?= )))( +PURE\b)?")  # not within a path


@pytest.mark.parametrize("file", MAPS, ids=lambda file: file.parent.name)
def test_map_names_every_file(file: Path) -> None:
    said = {name: bool(pure) for name, pure in ENTRY.findall(docstring(file))}
    here = file.parent
    there = {f"{other.parent.name}/": other in PURE for other in here.glob("*/__init__.py")}
    there |= {other.name: other in PURE for other in here.glob("[!_]*.py")}
    if file in PURE:  # a pure package says so once for all of its files
        there = dict.fromkeys(there, False)
    for kind in map(kind_of, KINDS):  # these files are listed in job/work.py
        said.pop(f"{kind}.py", None)
        there.pop(f"{kind}.py", None)
    assert said == there


SHARED = (
    "cucmd.__version__",
    "cucmd.worker.parent_end",
    "cucmd.paths",
    "cucmd.protocol",
    "cucmd.job",
)
# Modules that a serving program needs, too. They know nothing about jobs.
SERVING = (
    "cucmd.durable",
    "cucmd.node_name",
    "cucmd.service.log",
    "cucmd.service.systemd",
    "cucmd.stdout",
    "cucmd.toml_file",
    "cucmd.varlink.listener",
)


# What the hub needs to serve the interface of the daemon, and its event loop.
HUB = (
    "cucmd.api.interface",
    "cucmd.api.refusals",
    "cucmd.api.request_checks",
    "cucmd.api.watching",
    "cucmd.config.load",
    "cucmd.config.model",
    "cucmd.jobs.job_feed",
    "cucmd.plan.resolve",
    "cucmd.service.access",
    "cucmd.ssh.bridge",
    "cucmd.store",
    "cucmd.varlink",
)


@pytest.mark.parametrize(
    ("package", "more"),
    [
        (CLIENT, ("cucmd.stdout", "cucmd.toml_file")),
        (TRIO_CLIENT, ()),
        (WEB, SERVING),
        (ASSISTANT, ("cucmd.toml_file",)),
        (FLEET, SERVING + HUB),
    ],
)
def test_clients_import_little_of_daemon(package: Path, more: tuple[str, ...]) -> None:
    for file in files_of(package):
        for _, module in ours(file):
            assert module.startswith(SHARED + more)


def test_trio_client_imports_only_client_package() -> None:
    for file in files_of(TRIO_CLIENT):
        named = {module for module in imports(file) if module.startswith("cucmctl.")}
        assert {module for module in named if not module.startswith("cucmctl.client.")} == set()
        assert not roots(file) & (EVENT_LOOPS - {"trio"})


def test_client_does_not_import_cucmtrio() -> None:
    assert [file for file in files_of(CLIENT) if "cucmtrio" in roots(file)] == []


def test_one_file_knows_nats() -> None:
    files = [file for folder in ALL for file in files_of(folder)]
    knows = [file for file in files if "nats" in roots(file)]
    assert knows == [FLEET / "jetstream.py"]
    assert [file for folder in ALL for file in files_of(folder) if "cucmfleet" in roots(file)] == [
        file for file in files_of(FLEET) if "cucmfleet" in roots(file)
    ]


def test_mask_needs_little() -> None:
    allowed = (sys.stdlib_module_names | {"cucmmask", "ahocorasick_rs"}) - NO_IO
    for file in files_of(MASK):
        assert roots(file) <= allowed, file


def test_only_demos_load_the_lab() -> None:
    files = [file for folder in ALL if folder != LAB for file in files_of(folder)]
    loads = {file for file in files if "cucmlab" in roots(file)}
    assert loads == {DAEMON / "main.py", FLEET / "main.py", WEB / "demo.py"}


@pytest.mark.parametrize("file", files_of(LAB), ids=lambda file: file.name)
def test_lab_imports_little_of_daemon(file: Path) -> None:
    """Otherwise the lab could have the same mistake as the daemon, and hide it."""
    for _, module in ours(file):
        assert module.startswith(
            ("cucmd.ssh.bridge", "cucmd.stdout", "cucmd.paths", "cucmd.worker.parent_end")
        )


def test_daemon_imports_no_client() -> None:
    clients = {folder.name for folder in (CLIENT, TRIO_CLIENT, WEB, MASK, ASSISTANT, FLEET)}
    assert [file for file in files_of(DAEMON) if roots(file) & clients] == []


@pytest.mark.parametrize(
    ("modules", "more"), [("cucmctl, cucmctl.main", {"trio"}), ("cucmtrio", set())]
)
def test_imports_load_no_other_event_loop(modules: str, more: set[str]) -> None:
    heavy = {"asyncio", "asyncssh", "trio_asyncio", "rich", "cryptography"} | more
    program = f"import {modules}, sys; print(sorted({heavy} & set(sys.modules)))"
    command = [sys.executable, "-c", program]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
