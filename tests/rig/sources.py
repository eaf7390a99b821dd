"""Finds the source files of the project, and what they import."""

import ast
from collections.abc import Iterator
from pathlib import Path

import cucmctl
import cucmd
import cucmlab
import cucmmask
import cucmtrio

DAEMON = Path(cucmd.__file__).parent
LAB = Path(cucmlab.__file__).parent
CLIENT = Path(cucmctl.__file__).parent
TRIO_CLIENT = Path(cucmtrio.__file__).parent
WEB = CLIENT.parent / "cucmweb"
MASK = Path(cucmmask.__file__).parent
ASSISTANT = CLIENT.parent / "cucmmcp"
FLEET = CLIENT.parent / "cucmfleet"
ALL = (DAEMON, LAB, CLIENT, TRIO_CLIENT, WEB, MASK, ASSISTANT, FLEET)
# The parts of the daemon that know asyncio.
OF_ASYNCIO = {"ssh", "receiver"}


def imports(file: Path) -> Iterator[str]:
    """Yields every module that the file imports. `from a import b` counts as `a.b`."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: a relative import hides where it leads"
            yield from (f"{node.module}.{name.name}" for name in node.names)


def roots(file: Path) -> set[str]:
    return {module.split(".")[0] for module in imports(file)}


def part(file: Path) -> str:
    return file.relative_to(DAEMON).parts[0].removesuffix(".py")


def files_of(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def docstring(file: Path) -> str:
    return ast.get_docstring(ast.parse(file.read_text())) or ""
