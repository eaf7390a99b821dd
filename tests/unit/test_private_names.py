"""Private names of libraries: each is named where it is used, and one minor version is let in."""

import ast
import re
import tomllib
from asyncio import selector_events
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from rig.sources import DAEMON, LAB, OF_ASYNCIO, docstring, files_of, part


def own_names(tree: list[ast.AST]) -> Iterator[str]:
    """Yields those of functions, and of attributes that a class of it has or sets of itself."""
    for node in tree:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.Attribute(attr=name, value=ast.Name("self"), ctx=ast.Store()):
                yield name
            case ast.ClassDef(body=body):
                for one in body:
                    if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name):
                        yield one.target.id


def private_names(tree: list[ast.AST]) -> Iterator[str]:
    """Attributes with a private name, and private names that are imported."""
    for node in tree:
        match node:
            case ast.Attribute(attr=name, value=value) if ast.unparse(value) != "os":
                yield from re.findall("^_[a-z].*[^_]$", name)
            case ast.ImportFrom(module=module, names=names):
                for one in [str(module), *(name.name for name in names)]:
                    yield from re.findall("^_[a-z].*[^_]$", one)


def names_of_bases(tree: list[ast.AST]) -> Iterator[str]:
    """Yields private names that a class of the file has in place of those of its base."""
    for node in tree:
        match node:
            case ast.Attribute(attr=name, value=ast.Call(func=ast.Name("super"))):
                yield from re.findall("^_[a-z].*[^_]$", name)


@pytest.mark.parametrize(
    "file",
    [
        *(file for file in files_of(DAEMON) if part(file) in OF_ASYNCIO),
        *files_of(LAB),
    ],
    ids=lambda file: f"{file.parent.name}/{file.name}",
)
def test_private_names_of_libraries_are_named_in_the_opening_page(file: Path) -> None:
    tree = list(ast.walk(ast.parse(file.read_text())))
    private = (set(private_names(tree)) - set(own_names(tree))) | set(names_of_bases(tree))
    assert [name for name in sorted(private) if f"{name}`" not in docstring(file)] == []


@pytest.mark.parametrize("library", ["asyncssh", "trio-asyncio"])
def test_of_a_library_whose_private_parts_are_used_one_minor_version_is_let_in(
    library: str,
) -> None:
    project = tomllib.loads((DAEMON.parent.parent / "pyproject.toml").read_text())["project"]
    bounds = {one.name: one.specifier for one in map(Requirement, project["dependencies"])}
    major, minor, *_ = map(int, version(library).split("."))
    assert version(library) in bounds[library]
    assert f"{major}.{minor + 1}.0" not in bounds[library]
    assert f"{major}.{minor - 1}.99" not in bounds[library]


def test_how_much_asyncio_reads_at_once_has_the_name_that_is_set() -> None:
    """It is not documented, and another name would be set without an error."""
    assert selector_events._SelectorSocketTransport.max_size > 0
