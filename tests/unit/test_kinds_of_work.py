"""A kind of work, held against the files that know it: few, and each of its name."""

import ast
import inspect
from importlib import import_module
from pathlib import Path

import pytest

from cucmctl.text.kind_text import KindText
from cucmd.job.work import KINDS, kind_of
from rig.sources import ALL, CLIENT, files_of, imports

# kind of work -> the struct that asks for it, and how many files import that, its structs, its text
# or what does it. Another file is a reason to look for the row of a table that would do. One that
# is not here is known to the list of kinds, what does it and its verb.
FEWEST = ("", 3)
KNOWN = {
    "capture": ("Packets", 10),
    "check": ("Checks", 6),
    "collect": ("Files", 14),
    "discover": ("Discovery", 10),
    "dry_run": ("Estimate", 6),
    "follow": ("Tail", 6),
    "health": ("HealthChecks", 12),
    "run": ("Commands", 7),
}


def names_of(kind: str) -> set[str]:
    """Returns the modules of a kind of work, and its structs where they have none of their own."""
    asked, _ = KNOWN.get(kind, FEWEST)
    (planned,) = (one for one in KINDS if kind_of(one) == kind)
    return {
        f"cucmd.job.work_request.{asked}",
        *(f"cucmd.{part}.{kind}" for part in ("job", "work")),
        f"cucmctl.commands.{kind}",
        f"cucmctl.text.{kind}_text",
        f"{planned.__module__}.{planned.__name__}",
    }


def knows(file: Path, names: set[str]) -> bool:
    """Says whether the file imports one of these or a name in it, or takes it from `asked`."""
    modules = set(imports(file))
    if "cucmd.job.work_request" in modules:
        attributes = (
            node
            for node in ast.walk(ast.parse(file.read_text()))
            if isinstance(node, ast.Attribute)
        )
        modules |= {f"cucmd.job.work_request.{node.attr}" for node in attributes}
    return any(names & {module, module.rpartition(".")[0]} for module in modules)


@pytest.mark.long
@pytest.mark.parametrize("kind", [kind_of(kind) for kind in KINDS])
def test_no_further_file_knows_a_kind_of_work(kind: str) -> None:
    names, (_, most) = names_of(kind), KNOWN.get(kind, FEWEST)
    files = [file for folder in ALL for file in files_of(folder)]
    found = [str(file) for file in files if knows(file, names)]
    assert len(found) == most, found


@pytest.mark.parametrize("folder", ALL, ids=lambda folder: folder.name)
def test_what_a_kind_of_work_has_of_its_own_is_not_asked_for_by_its_name(folder: Path) -> None:
    """No `job.kind == "capture"`: what stands in its place is an attribute that every kind has."""
    compared = [
        f"{file}: {ast.unparse(node)}"
        for file in files_of(folder)
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Compare)
        and isinstance(node.left, ast.Attribute)
        and node.left.attr == "kind"
        and any(
            isinstance(one, ast.Constant) and isinstance(one.value, str) for one in ast.walk(node)
        )
    ]
    assert compared == []


@pytest.mark.parametrize("kind", [kind_of(kind) for kind in KINDS])
def test_each_kind_of_work_has_a_function_of_its_name(kind: str) -> None:
    assert inspect.iscoroutinefunction(getattr(import_module(f"cucmd.work.{kind}"), kind))


def test_each_text_of_a_kind_of_work_has_its_name() -> None:
    modules = [
        import_module(f"cucmctl.text.{file.stem}") for file in (CLIENT / "text").glob("[!_]*.py")
    ]
    texts = {one.__name__: one.TEXT for one in modules if hasattr(one, "TEXT")}
    assert texts.keys() <= {f"cucmctl.text.{kind_of(kind)}_text" for kind in KINDS}
    assert [name for name, text in texts.items() if not isinstance(text, KindText)] == []
