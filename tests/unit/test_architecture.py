"""The picture of the house, held against the imports.

Who may know whom stands in the table; a room that is not in it fails too. `TYPE_CHECKING` imports
count: a name that is only an annotation is still an arrow.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import cucmctl
import cucmd

HOUSE = Path(cucmd.__file__).parent
CLIENT = Path(cucmctl.__file__).parent

NOTHING: set[str] = set()
WORDS = {"job", "failure", "node_name", "allowance"}

# room -> the rooms of ours that it may import, and does
MAY_KNOW = {
    "__init__": NOTHING,
    "__main__": {"main"},
    "job": {"failure"},
    "failure": NOTHING,
    "node_name": NOTHING,
    "allowance": NOTHING,
    "durable": NOTHING,
    "memory": NOTHING,
    "cannot_start": NOTHING,
    "paths": NOTHING,
    "stdout": NOTHING,
    "vos": {"job", "failure"},
    "varlink": NOTHING,
    "signals": NOTHING,
    "systemd": NOTHING,
    "store": {"durable", "job"},
    "config": {"job", "node_name", "paths", "vos"},
    "ssh": {"durable", "failure", "job", "node_name"},
    "receiver": {"allowance", "durable", "failure", "ssh"},
    "node": WORDS | {"vos"},
    "work": {"failure", "job", "node", "node_name", "vos"},
    "jobs": {"config", "durable", "failure", "job", "node", "store"},
    "ssh_doors": {"config", "job", "node", "node_name", "receiver", "ssh"},
    "api": WORDS | {"config", "jobs", "node", "store", "varlink"},
    "access": {"varlink"},
    "service": {
        "access",
        "api",
        "cannot_start",
        "config",
        "jobs",
        "memory",
        "node",
        "receiver",
        "signals",
        "ssh",
        "ssh_doors",
        "store",
        "systemd",
        "varlink",
        "work",
    },
    "lab": {"ssh", "stdout"},
    "demo": {"stdout"},
    "main": {"config", "demo", "lab", "service", "stdout"},
}
# Narrower than the room: only these modules of it.
ONLY = {
    "lab": {"cucmd.ssh.bridge", "cucmd.stdout"},
    "receiver": {
        "cucmd.allowance",
        "cucmd.durable",
        "cucmd.failure",
        "cucmd.ssh.algorithms",
        "cucmd.ssh.bridge",
        "cucmd.ssh.unread",
    },
}

EVENT_LOOPS = {"trio", "asyncio", "asyncssh", "trio_asyncio"}
# zoneinfo reads a file for a name, which a node or a person may have chosen.
NO_IO = EVENT_LOOPS | {"socket", "subprocess", "tempfile", "threading", "time", "zoneinfo"}


def imports(file: Path) -> Iterator[str]:
    """Every module that the file names, `from a import b` as `a.b`."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: a relative import hides where it leads"
            yield from (f"{node.module}.{name.name}" for name in node.names)


def room(file: Path) -> str:
    return file.relative_to(HOUSE).parts[0].removesuffix(".py")


def files_of(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def docstring(file: Path) -> str:
    return ast.get_docstring(ast.parse(file.read_text())) or ""


def claims_purity(file: Path) -> bool:
    return docstring(file).startswith("PURE. ")


PURE = [file for folder in (HOUSE, CLIENT) for file in files_of(folder) if claims_purity(file)]


def ours(file: Path) -> Iterator[tuple[str, str]]:
    """(room, module) of each import from the daemon."""
    for module in imports(file):
        if module.startswith("cucmd."):
            yield module.split(".")[1], module


@pytest.mark.parametrize("file", files_of(HOUSE), ids=lambda file: str(file.relative_to(HOUSE)))
def test_no_arrow_points_back_up(file: Path) -> None:
    here = room(file)
    allowed = MAY_KNOW[here] | {here, "__version__"}
    assert [module for there, module in ours(file) if there not in allowed] == []


@pytest.mark.parametrize("here", sorted(MAY_KNOW))
def test_no_arrow_is_there_for_nobody(here: str) -> None:
    used = {there for file in files_of(HOUSE) if room(file) == here for there, _ in ours(file)}
    assert sorted(MAY_KNOW[here] - used) == []


@pytest.mark.parametrize("here", sorted(ONLY))
def test_a_narrow_door_stays_narrow(here: str) -> None:
    for file in files_of(HOUSE / here):
        for there, module in ours(file):
            known = module if module in ONLY[here] else module.rpartition(".")[0]
            assert there == here or known in ONLY[here], f"{file.name}: {module}"


def test_asyncio_is_known_to_the_ssh_rooms_and_the_lab_alone() -> None:
    for file in files_of(HOUSE):
        if room(file) not in {"ssh", "receiver", "lab"}:
            known = {module.split(".")[0] for module in imports(file)}
            assert not known & (EVENT_LOOPS - {"trio"}), file


@pytest.mark.parametrize("file", PURE, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_what_calls_itself_pure_has_no_clock_and_no_io(file: Path) -> None:
    assert not {module.split(".")[0] for module in imports(file)} & NO_IO


MAPS = [file for folder in (HOUSE, CLIENT) for file in files_of(folder) if file.stem == "__init__"]
ROOM = re.compile(r"(?<![\w/])(\w+(?:\.py\b|/(?= )))( +PURE\b)?")  # not within a path


@pytest.mark.parametrize("file", MAPS, ids=lambda file: file.parent.name)
def test_a_map_names_every_room_and_says_which_are_pure(file: Path) -> None:
    said = {name: bool(pure) for name, pure in ROOM.findall(docstring(file))}
    here = file.parent
    there = {f"{other.parent.name}/": other in PURE for other in here.glob("*/__init__.py")}
    there |= {other.name: other in PURE for other in here.glob("[!_]*.py")}
    if file in PURE:  # said once, for all of them
        there = dict.fromkeys(there, False)
    assert said == there


@pytest.mark.parametrize("file", [file for file in PURE if file.name == "__init__.py"])
def test_a_package_that_calls_itself_pure_is_so_in_every_file(file: Path) -> None:
    assert [other for other in files_of(file.parent) if other not in PURE] == []


def test_the_client_knows_the_structs_of_the_socket_and_nothing_else_of_ours() -> None:
    for file in files_of(CLIENT):
        for _, module in ours(file):
            assert module.startswith(("cucmd.__version__", "cucmd.paths", "cucmd.api.structs"))


def test_importing_the_client_loads_no_event_loop() -> None:
    heavy = "{'trio', 'asyncio', 'asyncssh', 'trio_asyncio', 'rich', 'cryptography'}"
    program = f"import cucmctl, cucmctl.main, sys; print(sorted({heavy} & set(sys.modules)))"
    command = [sys.executable, "-c", program]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
