"""Each kind of work has its modules, and nothing else asks for it by its name."""

import ast
import inspect
from importlib import import_module
from pathlib import Path

import pytest

from cucmctl.text.kind_text import KindText
from cucmd.job.work import KINDS, kind_of
from rig.sources import ALL, CLIENT, files_of

NAMES = [kind_of(kind) for kind in KINDS]


@pytest.mark.parametrize("folder", ALL, ids=lambda folder: folder.name)
def test_no_comparison_with_a_kind(folder: Path) -> None:
    """There is no `job.kind == "capture"`: every kind has an attribute for that."""
    compared = [
        f"{file}: {ast.unparse(node)}"
        for file in files_of(folder)
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Compare)
        and isinstance(node.left, ast.Attribute)
        and node.left.attr == "kind"
        and any(isinstance(part, ast.Constant) and part.value in NAMES for part in ast.walk(node))
    ]
    assert compared == []


@pytest.mark.parametrize("kind", NAMES)
def test_kind_has_a_function(kind: str) -> None:
    assert inspect.iscoroutinefunction(getattr(import_module(f"cucmd.work.{kind}"), kind))


def test_texts_of_kinds() -> None:
    files = (CLIENT / "text").glob("[!_]*.py")
    modules = [import_module(f"cucmctl.text.{file.stem}") for file in files]
    texts = {module.__name__: module.TEXT for module in modules if hasattr(module, "TEXT")}
    assert texts
    assert texts.keys() <= {f"cucmctl.text.{kind}_text" for kind in NAMES}
    assert [name for name, text in texts.items() if not isinstance(text, KindText)] == []
