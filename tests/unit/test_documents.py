"""What code and tests cite exists: sections of NODES.md, rows of BE-020, and documents."""

import ast
import re
from pathlib import Path

import cucmd

ROOT = Path(__file__).parents[2]
NODES = Path(cucmd.__file__).parent / "vos" / "NODES.md"
BE020 = ROOT / "tests" / "system" / "test_be020.py"

SECTION = re.compile(r"^#{2,3} (\d+(?:\.\d+)?)\.? ", re.MULTILINE)
# A comment may be wrapped between any two words.
WRAP = r"(?:\s|#)+"
CITED_SECTION = re.compile(rf"NODES\.md,{WRAP}section{WRAP}(\d+(?:\.\d+)?)")
CITED_ROW = re.compile(rf"(?:test_be020\.py|BE-020),{WRAP}row{WRAP}(\d+)")
CITED_DOCUMENT = re.compile(r"[\w./-]*\w\.md\b")
ROW = re.compile(r"^\| (\d+) \|.*\| `(\w+)` \|$", re.MULTILINE)

SOURCES = [
    file
    for folder in ("daemon", "ctl", "tests", "systemd")
    for file in sorted((ROOT / folder).rglob("*"))
    if file.suffix in {".py", ".service", ".socket", ".conf", ".varlink"} and file != Path(__file__)
]


def citations(pattern: re.Pattern[str]) -> set[tuple[str, str]]:
    """Returns (file, citation) for each match of `pattern` in the sources."""
    return {
        (str(file.relative_to(ROOT)), match[match.re.groups])
        for file in SOURCES
        for match in pattern.finditer(file.read_text())
    }


def rows() -> list[tuple[str, str]]:
    return ROW.findall(ast.get_docstring(ast.parse(BE020.read_text())) or "")


def test_cited_sections_exist() -> None:
    sections = set(SECTION.findall(NODES.read_text()))
    cited = citations(CITED_SECTION)
    assert len(cited) > 5
    assert [citation for citation in cited if citation[1] not in sections] == []


def test_cited_documents_exist() -> None:
    places = (ROOT, NODES.parents[1], NODES.parent)
    cited = citations(CITED_DOCUMENT)
    assert len({name for _, name in cited}) > 5
    wrong = [
        (file, name)
        for file, name in cited
        if not any((place / name).is_file() for place in (*places, (ROOT / file).parent))
    ]
    assert wrong == []


def test_be020_rows_have_tests() -> None:
    tests = {
        node.name
        for node in ast.walk(ast.parse(BE020.read_text()))
        if isinstance(node, ast.FunctionDef)
    }
    assert rows()
    assert [int(number) for number, _ in rows()] == list(range(1, len(rows()) + 1))
    assert [test for _, test in rows() if test not in tests] == []


def test_cited_be020_rows_exist() -> None:
    numbers = {number for number, _ in rows()}
    cited = citations(CITED_ROW)
    assert cited
    assert [citation for citation in cited if citation[1] not in numbers] == []
