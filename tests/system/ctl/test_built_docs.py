"""What `.ci/build-docs` makes: the manual pages are complete, and no formatter complains."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cucmctl.main import VERBS
from cucmd.failure import Code
from rig.pages import PAGES, ROOT

MISSING = [name for name in ("go-md2man", "mandoc") if shutil.which(name) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")


@pytest.fixture(scope="module")
def man(tmp_path_factory):
    """The folder of the manual pages."""
    folder = tmp_path_factory.mktemp("docs")
    subprocess.run([sys.executable, str(ROOT / ".ci/build-docs"), str(folder)], check=True)
    return folder / "share/man"


def shown(page: Path) -> str:
    command = ["mandoc", "-T", "utf8", str(page)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return re.sub(".\b", "", text)


def test_every_page_and_verb_is_there(man):
    expected = {page.stem for page in PAGES} | {f"cucmctl-{verb}.1" for verb in VERBS}
    assert {page.name for page in man.rglob("*.?")} == expected


def test_lint_is_silent(man):
    pages = [str(page) for page in man.rglob("*.?")]
    done = subprocess.run(
        ["mandoc", "-T", "lint", "-W", "error", *pages], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.returncode) == ("", 0)


def test_page_names_every_failure(man):
    text = shown(man / "man7/cucmd-failures.7")
    assert [code for code in Code if f"\n       {code}" not in text] == []


def test_pages_have_no_markdown(man):
    found = {
        page.name: re.findall(r"\]\(|^ *\| |```|<!--", shown(page)) for page in man.rglob("*.?")
    }
    assert {name: words for name, words in found.items() if words} == {}


@pytest.mark.skipif(shutil.which("man") is None, reason="man is not installed")
def test_help_opens_page(man, terminal):
    shell = terminal("help", "stop", MANPATH=str(man), MANPAGER="cat")
    shell.until("CUCMCTL-STOP(1)")
    assert shell.ended() == 0


def test_help_without_page_prints_text(tmp_path, terminal):
    shell = terminal("help", "stop", MANPATH=str(tmp_path))
    shell.until("usage: cucmctl stop")
    assert shell.ended() == 0


def test_help_without_terminal_prints_text(man, process, environ):
    with process("help", "stop", env={**environ, "MANPATH": str(man)}) as done:
        assert done.stdout is not None
        text = done.stdout.read()
    assert text.startswith("usage: cucmctl stop")
