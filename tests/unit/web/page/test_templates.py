"""What the templates and scripts of the page may contain."""

import hashlib
import re
from pathlib import Path

import pytest

import cucmweb.page

FOLDER = Path(cucmweb.page.__file__).parent
TEMPLATES = sorted((FOLDER / "templates").glob("*.html"))
# The files of htmx 4.0.1 as they were published (npm, 0BSD).
PUBLISHED = {
    "htmx.min.js": "a0abb04f2f45a1f89d1d4844023245537e5e6014c87b144553e0607b4cc32130",
    "hx-sse.min.js": "18ef2761356ec1fe0bb6d92612315b37517a7c1e9856b661c5ae81fef239d103",
    "htmx.LICENSE": "d3d2456f76414f2456104660ebd65aff1c04cd7966b942bdabd63f3cdb316a38",
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_htmx_is_as_published(name: str) -> None:
    content = (FOLDER / "static" / name).read_bytes()
    assert hashlib.sha256(content).hexdigest() == PUBLISHED[name]


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda file: file.name)
def test_nothing_in_a_template_is_run(template: Path) -> None:
    text = template.read_text()
    assert re.findall(r"hx-on|\bjs:|javascript:|\bon\w+=|style=|<style|\|\s*safe", text) == []
    assert [script for script in re.findall(r"<script[^>]*>", text) if " src=" not in script] == []
    # A filter of a trigger, such as click[ctrlKey], is evaluated as a script.
    assert [trigger for trigger in re.findall(r'hx-trigger="[^"]*"', text) if "[" in trigger] == []


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda file: file.name)
def test_nothing_comes_from_elsewhere(template: Path) -> None:
    assert (
        re.findall(r'(?:src|href|action)="(?!/ui/|/sites/|\{\{|#)[^"]*', template.read_text()) == []
    )


def test_style_sheet_is_short() -> None:
    assert len((FOLDER / "static" / "style.css").read_text().splitlines()) <= 500
