"""The reference pages: the parts made from the code are up to date, and links are valid."""

import re
from pathlib import Path

import pytest

from cucmctl import Client
from cucmd.job.work import KINDS, kind_of
from rig.pages import MADE, PAGES, PART, ROOT, with_parts

TEXTS = [*PAGES, ROOT / "README.md", ROOT / ".github/CONTRIBUTING.md"]
LINK = re.compile(r"\]\(([^)#]*)(?:#([^)]+))?\)")
HEADING = re.compile(r"^#+ (.*)", re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_made_parts_are_up_to_date(page: Path) -> None:
    text = page.read_text()
    assert with_parts(text) == text, "cd tests && python -m rig.pages makes it anew"


def test_all_parts_are_in_a_page() -> None:
    assert {part[2] for page in PAGES for part in PART.finditer(page.read_text())} == set(MADE)


def test_page_names_each_short_form() -> None:
    text = (ROOT / "ctl/man/cucmctl.3.md").read_text()
    short_forms = [kind for kind in map(kind_of, KINDS) if hasattr(Client, kind)]
    assert [kind for kind in short_forms if f"`{kind}`" not in text] == []


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: page.name)
def test_links_lead_to_headings(page: Path) -> None:
    links = [link for link in LINK.findall(page.read_text()) if "://" not in link[0]]
    files = {link: page.parent / link[0] if link[0] else page for link in links}
    assert [link for link, file in files.items() if not file.exists()] == []
    named = {link: file for link, file in files.items() if link[1]}
    assert [link for link, file in named.items() if link[1] not in anchors(file)] == []


def anchors(page: Path) -> set[str]:
    """Returns the anchors of a page's headings, as GitHub makes them."""
    headings = HEADING.findall(page.read_text())
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_paragraphs_are_short(page: Path) -> None:
    text = re.sub(r"```.*?```", "", PART.sub("", page.read_text()), flags=re.DOTALL)
    parts = re.split(r"\n\n|\n *[-|] ?|\n\d+\. ", text)
    assert [part for part in parts if len(part.split()) > 80 and part[:4] != "    "] == []
