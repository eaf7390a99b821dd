"""The layout, held against the imports.

Which part may import which stands in one table; a part that is not in it fails. Imports under
`TYPE_CHECKING` count: an annotation is a dependency too.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cucmctl.client.errors import Refused
from cucmd.job.work import KINDS, kind_of
from rig.sources import (
    ALL,
    CLIENT,
    DAEMON,
    LAB,
    OF_ASYNCIO,
    TRIO_CLIENT,
    WEB,
    docstring,
    files_of,
    imports,
    part,
    roots,
)

MOST_LOOSE_FILES = 12

# What every part may import. These import at most `failure`.
COMMON = {
    "allowance",
    "durable",
    "failure",
    "job",
    "node_name",
    "paths",
    "received_file",
}

# part -> the other parts that it may import, and does
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
    },
    "protocol": set(),
    "plan": {"config", "jobs", "node", "store", "vos"},
    "cases": {"store", "worker"},
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
# Only these modules of another part.
ONLY = {
    ("plan", "node"): {"cucmd.node.ports"},
    ("plan", "jobs"): {"cucmd.jobs.job_errors"},
    ("jobs", "node"): {"cucmd.node.ports"},
    ("reading", "worker"): {"cucmd.worker.frames", "cucmd.worker.forked"},
    ("receiver", "ssh"): {f"cucmd.ssh.{name}" for name in ("algorithms", "library", "peer")},
}

# Names of types that stand in two files, and mean one thing in both.
TWO_HOMES = {
    # Flat on the wire, since Varlink has no unions.
    # Timeouts that are absent in a request are as the configuration says.
    *("Job", "Node", "Timeouts"),
    # In the configuration, with what each key accepts; on the wire, where what is empty is absent.
    "Profile",
    # In `node/ports.py`, and where they are made.
    *("Readers", "Receiver", "Shell", "JointRun", "UploadTarget"),
    # The daemon's errors, which the client raises by their names on the wire.
    *({error.__name__ for error in Refused.__subclasses__()} - {"NotPermitted"}),
    # Blocking, and on trio.
    *("Calls", "Client", "Wire"),
}

CAMEL_CASE = re.compile("_*[A-Z][A-Za-z0-9]*[a-z][A-Za-z0-9]*")

EVENT_LOOPS = {"trio", "asyncio", "asyncssh", "trio_asyncio"}
# zoneinfo reads a file for a name, which a node or a person may have chosen.
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


def circles(graph: dict[Path, set[Path]]) -> list[list[str]]:
    """Finds all groups of files that import each other (Tarjan's strongly connected components)."""
    index: dict[Path, int] = {}
    low: dict[Path, int] = {}
    stack: list[Path] = []
    found: list[list[str]] = []

    def visit(file: Path) -> None:
        index[file] = low[file] = len(index)
        stack.append(file)
        for other in graph[file]:
            if other not in index:
                visit(other)
                low[file] = min(low[file], low[other])
            elif other in stack:
                low[file] = min(low[file], index[other])
        if low[file] == index[file]:
            at = stack.index(file)
            group, stack[at:] = stack[at:], []
            if len(group) > 1:
                found.append(sorted("/".join(one.parts[-3:]) for one in group))

    for file in graph:
        if file not in index:
            visit(file)
    return found


@pytest.mark.parametrize("file", files_of(DAEMON), ids=lambda file: str(file.relative_to(DAEMON)))
def test_no_import_points_up(file: Path) -> None:
    here = part(file)
    allowed = MAY_IMPORT[here] | {here, "__version__"}
    if here not in COMMON:
        allowed |= COMMON
    assert [module for there, module in ours(file) if there not in allowed] == []


@pytest.mark.parametrize("here", sorted(MAY_IMPORT))
def test_what_the_table_allows_is_used(here: str) -> None:
    used = {there for file in files_of(DAEMON) if part(file) == here for there, _ in ours(file)}
    assert sorted(MAY_IMPORT[here] - used) == []


@pytest.mark.parametrize(("here", "there"), sorted(ONLY))
def test_of_some_parts_only_named_modules_are_imported(here: str, there: str) -> None:
    for file in files_of(DAEMON / here):
        for other, module in ours(file):
            if other == there:
                found = module if module in ONLY[here, there] else module.rpartition(".")[0]
                assert found in ONLY[here, there], f"{file.name}: {module}"


def test_no_files_import_each_other() -> None:
    graph: dict[Path, set[Path]] = {}
    for file in [file for folder in ALL for file in files_of(folder)]:
        targets = {file_of(module) for module in imports(file)}
        graph[file] = {target for target in targets if target is not None and target != file}
    assert circles(graph) == []


def test_job_imports_msgspec_and_the_standard_library_alone() -> None:
    known = sys.stdlib_module_names | {"cucmd", "msgspec"}
    more = {(file.name, root) for file in files_of(DAEMON / "job") for root in roots(file) - known}
    # Where types are checked: Python has defaults of type variables since 3.13.
    assert more == {("node.py", "typing_extensions")}


def test_few_files_lie_loose_at_the_root() -> None:
    assert len(list(DAEMON.glob("*.py"))) <= MOST_LOOSE_FILES


def types_at_the_top(file: Path) -> Iterator[str]:
    """Yields the names of its classes, of its aliases of types, and of type variables but `T` and
    the like.
    """
    for node in ast.parse(file.read_text()).body:
        match node:
            case ast.ClassDef(name=name):
                yield name
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                if CAMEL_CASE.fullmatch(name):
                    yield name


def test_the_name_of_a_type_means_one_thing() -> None:
    homes: dict[str, list[str]] = {}
    for file in [file for folder in ALL for file in files_of(folder)]:
        for name in types_at_the_top(file):
            where = str(file.relative_to(DAEMON.parent.parent))
            homes.setdefault(name.lstrip("_"), []).append(where)
    two = {name: files for name, files in homes.items() if len(files) > 1}
    assert {name: two[name] for name in two.keys() - TWO_HOMES} == {}
    assert sorted(TWO_HOMES - two.keys()) == []


def test_asyncio_is_known_to_two_parts() -> None:
    for file in files_of(DAEMON):
        if part(file) not in OF_ASYNCIO:
            assert not roots(file) & (EVENT_LOOPS - {"trio"}), file


@pytest.mark.parametrize("file", PURE, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_what_calls_itself_pure_has_no_clock_and_no_io(file: Path) -> None:
    assert not roots(file) & NO_IO


MAPS = [file for folder in ALL for file in files_of(folder) if file.stem == "__init__"]
ENTRY = re.compile(r"(?<![\w/])(\w+(?:\.py\b|/(?= )))( +PURE\b)?")  # not within a path


@pytest.mark.parametrize("file", MAPS, ids=lambda file: file.parent.name)
def test_a_map_names_every_file_and_says_which_are_pure(file: Path) -> None:
    said = {name: bool(pure) for name, pure in ENTRY.findall(docstring(file))}
    here = file.parent
    there = {f"{other.parent.name}/": other in PURE for other in here.glob("*/__init__.py")}
    there |= {other.name: other in PURE for other in here.glob("[!_]*.py")}
    if file in PURE:  # said once, for all of them
        there = dict.fromkeys(there, False)
    for kind in map(kind_of, KINDS):  # where they are is said in job/work.py
        said.pop(f"{kind}.py", None)
        there.pop(f"{kind}.py", None)
    assert said == there


@pytest.mark.parametrize("file", [file for file in PURE if file.name == "__init__.py"])
def test_a_package_that_calls_itself_pure_is_so_in_every_file(file: Path) -> None:
    assert [other for other in files_of(file.parent) if other not in PURE] == []


SHARED = ("cucmd.__version__", "cucmd.paths", "cucmd.protocol", "cucmd.job")
# What a program that serves needs too, and what knows nothing of jobs.
SERVING = (
    "cucmd.durable",
    "cucmd.node_name",
    "cucmd.service.log",
    "cucmd.service.systemd",
    "cucmd.stdout",
    "cucmd.toml_file",
    "cucmd.varlink.listener",
)


@pytest.mark.parametrize(("package", "more"), [(CLIENT, ()), (TRIO_CLIENT, ()), (WEB, SERVING)])
def test_a_client_knows_the_structs_of_the_socket_and_little_else_of_the_daemon(
    package: Path, more: tuple[str, ...]
) -> None:
    for file in files_of(package):
        for _, module in ours(file):
            assert module.startswith(SHARED + more)


def test_the_client_on_trio_knows_what_is_beneath_the_blocking_one_and_nothing_above() -> None:
    for file in files_of(TRIO_CLIENT):
        named = {module for module in imports(file) if module.startswith("cucmctl.")}
        assert {module for module in named if not module.startswith("cucmctl.client.")} == set()
        assert not roots(file) & (EVENT_LOOPS - {"trio"})


def test_only_the_client_on_trio_knows_itself() -> None:
    assert [file for file in files_of(CLIENT) if "cucmtrio" in roots(file)] == []


def test_only_the_command_line_loads_the_lab() -> None:
    files = [file for folder in ALL if folder != LAB for file in files_of(folder)]
    assert [file for file in files if "cucmlab" in roots(file)] == [DAEMON / "main.py"]


@pytest.mark.parametrize("file", files_of(LAB), ids=lambda file: file.name)
def test_the_lab_knows_little_of_the_daemon(file: Path) -> None:
    """A mistake of the daemon must not be answered by the same mistake in the lab."""
    for _, module in ours(file):
        assert module.startswith(("cucmd.ssh.bridge", "cucmd.stdout", "cucmd.paths"))


def test_the_daemon_knows_no_client() -> None:
    clients = {folder.name for folder in (CLIENT, TRIO_CLIENT, WEB)}
    assert [file for file in files_of(DAEMON) if roots(file) & clients] == []


def test_importing_the_client_loads_no_event_loop() -> None:
    heavy = "{'trio', 'asyncio', 'asyncssh', 'trio_asyncio', 'rich', 'cryptography'}"
    program = f"import cucmctl, cucmctl.main, sys; print(sorted({heavy} & set(sys.modules)))"
    command = [sys.executable, "-c", program]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_importing_the_client_on_trio_loads_no_other_event_loop() -> None:
    heavy = "{'asyncio', 'asyncssh', 'trio_asyncio', 'rich', 'cryptography'}"
    program = f"import cucmtrio, sys; print(sorted({heavy} & set(sys.modules)))"
    command = [sys.executable, "-c", program]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
